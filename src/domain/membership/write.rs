//! Adds, sets and removes members (B1, B2, B3, M3), also on behalf of an acting user (G1, G3, I4).

use std::collections::{BTreeMap, BTreeSet};

use super::given::{Given, Roles, counted, given};
use super::{MembershipRecord, Origin, TemporaryRole, Visibility, origins};
use crate::domain::change::MembershipKey;
use crate::domain::command::{BatchWriteMembers, MemberWrite, Write, WriteMember};
use crate::domain::decide::{Draft, Outcome, Tally};
use crate::domain::delegation::{Acting, CAN_CHANGE_ROLES, CAN_INVITE, CAN_REMOVE_USERS};
use crate::domain::hash::TextHash;
use crate::domain::id::RoleId;
use crate::domain::name::{OrgId, ProjectKey, UserId};
use crate::domain::org::Org;
use crate::domain::project::{Project, RoleStructure};
use crate::domain::refusal::{Noun, Refusal, Rows};
use crate::domain::role_set::{self, RoleSet};
use crate::domain::{Change, Edit, Time};

/// Adds, sets or removes one member.
pub fn write_one(draft: &mut Draft<'_>, command: &WriteMember) -> Result<Outcome, Refusal> {
    let acting = draft.acting_user();
    let (_, left) = write(draft, &command.project, &command.row, acting.as_ref())?;
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.row.org_id)?;
    if left && !command.allow_ownerless {
        owned(&project, org, &BTreeSet::from([&command.row.user_id]), draft.now())?;
    }
    let record = project.membership(org, &command.row.user_id);
    let record = record.filter(|_| !matches!(command.row.write, Write::Remove));
    let visibility = if acting.is_some() { Visibility::VisibleOnly } else { Visibility::All };
    Ok(match record {
        Some(record) => Outcome::Member(project.member(org, &command.row.user_id, &record, visibility, draft.now())),
        None => Outcome::Removed,
    })
}

/// Adds, sets and removes many members, all or none (B2).
pub fn write_batch(draft: &mut Draft<'_>, command: &BatchWriteMembers) -> Result<Outcome, Refusal> {
    draft.project(&command.project)?;
    let mut tally = Tally::default();
    let mut visibility = BTreeSet::new();
    let mut left = Vec::new();
    let mut rows = Rows::default();
    for (number, row) in command.rows.iter().enumerate() {
        if !visibility.insert((&row.org_id, &row.user_id)) {
            rows.push(number, Refusal::RepeatedRow);
            continue;
        }
        match write(draft, &command.project, row, None) {
            Ok((done, owner_left)) => {
                tally.count(done);
                left.extend(owner_left.then_some((number, row)));
            }
            Err(refusal) => rows.push(number, refusal),
        }
    }
    rows.none()?;
    if !command.allow_ownerless {
        all_owned(draft, &command.project, &left)?;
    }
    Ok(Outcome::Tally(tally))
}

/// Refuses to leave an org without an owner that keeps visible members beside those who were its owners (B3).
fn owned(project: &Project, org: &Org, left: &BTreeSet<&UserId>, now: Time) -> Result<(), Refusal> {
    if project.has_owner(org) {
        return Ok(());
    }
    let left: BTreeSet<TextHash> = left.iter().map(|user| project.hash_key.text(user.as_str())).collect();
    if !project.has_visible_member(org, |user, _| left.contains(&user), now) {
        return Ok(());
    }
    Err(last_owner(project, org))
}

fn last_owner(project: &Project, org: &Org) -> Refusal {
    let role = project.role_name(project.record.default_owner_role);
    Refusal::LastOwner { role, first: org.record.profile.org_id.clone(), orgs: 1 }
}

/// Judges the orgs that owners left once all rows are written; each is looked through once.
fn all_owned(draft: &Draft<'_>, project: &ProjectKey, left: &[(usize, &MemberWrite)]) -> Result<(), Refusal> {
    let project = draft.project(project)?;
    let mut leavers: BTreeMap<&OrgId, BTreeSet<&UserId>> = BTreeMap::new();
    for (_, row) in left {
        leavers.entry(&row.org_id).or_default().insert(&row.user_id);
    }
    let mut judged: BTreeMap<&OrgId, Refusal> = BTreeMap::new();
    for (org_id, left) in leavers {
        let org = project.org_or_refusal(org_id)?;
        judged.extend(owned(&project, org, &left, draft.now()).err().map(|refusal| (org_id, refusal)));
    }
    let mut rows = Rows::default();
    for (number, row) in left {
        if let Some(refusal) = judged.get(&row.org_id) {
            rows.push(*number, refusal.clone());
        }
    }
    rows.none()
}

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Added,
    Set,
    Removed,
    Unchanged,
}

/// Writes one row; also says whether it took a permanent owner from the org.
fn write(
    draft: &mut Draft<'_>,
    project: &ProjectKey,
    row: &MemberWrite,
    acting: Option<&UserId>,
) -> Result<(Done, bool), Refusal> {
    let project = draft.project(project)?;
    let org = project.org_or_refusal(&row.org_id)?;
    let before = project.membership(org, &row.user_id);
    let member = Member { project: &project, org, user: &row.user_id, record: before.as_ref() };
    let (after, done) = match acting {
        None => member.written(draft, &row.write)?,
        Some(acting) => member.written_by(draft, &row.write, &Acting::new(&project, org, acting, draft.now())?)?,
    };
    if after == before {
        return Ok((Done::Unchanged, false));
    }
    // A set that was just made is in the draft alone.
    let latest = draft.again(&project)?;
    let owner = project.record.default_owner_role;
    let owns = |record: &Option<MembershipRecord>| {
        let recorded = record.as_ref().and_then(|record| latest.recorded_in(record));
        recorded.is_some_and(|recorded| recorded.holds_for_ever(owner))
    };
    let owner_left = owns(&before) && !owns(&after);
    let key = MembershipKey { project: project.id, org: org.no, user: row.user_id.clone() };
    draft.edit(Change::Membership(Edit { key, before, after }));
    Ok((done, owner_left))
}

/// Whose roles are written.
struct Member<'a> {
    project: &'a Project,
    org: &'a Org,
    user: &'a UserId,
    record: Option<&'a MembershipRecord>,
}

type Written = (Option<MembershipRecord>, Done);

impl Member<'_> {
    /// The roles held, with their ends.
    fn held(&self, now: Time) -> Roles {
        let recorded = self.record.and_then(|record| self.project.recorded_in(record));
        recorded.map_or_else(Roles::new, |it| it.held(now).map(|role| (role, it.end(role))).collect())
    }

    fn not_found(&self) -> Refusal {
        Refusal::NotFound(Noun::Member, self.user.to_string())
    }

    fn exists(&self) -> Refusal {
        Refusal::AlreadyExists(Noun::Member, self.user.to_string())
    }

    /// What a caller writes on its own behalf.
    fn written(&self, draft: &mut Draft<'_>, write: &Write) -> Result<Written, Refusal> {
        let held = self.held(draft.now());
        match write {
            Write::Add(_) if !held.is_empty() => Err(self.exists()),
            Write::Set(_) | Write::Remove if held.is_empty() => Err(self.not_found()),
            Write::Remove => Ok((None, Done::Removed)),
            Write::Add(roles) | Write::Set(roles) => {
                let (before, done) = match write {
                    Write::Set(_) => (self.record, Done::Set),
                    _ => (None, Done::Added),
                };
                let ask = Given { project: self.project, roles, kept: before, visible_only: false };
                let roles = given(&ask, draft.now())?;
                counted(draft, self.project, &roles)?;
                Ok((Some(self.record(draft, before, &held, roles)?), done))
            }
        }
    }

    /// What is written on behalf of an acting user. The member's internal roles stay, and nothing tells of them (I4).
    fn written_by(&self, draft: &mut Draft<'_>, write: &Write, acting: &Acting<'_>) -> Result<Written, Refusal> {
        let now = draft.now();
        let itself = acting.user == self.user;
        let permission = match write {
            Write::Add(_) => CAN_INVITE,
            Write::Set(_) => CAN_CHANGE_ROLES,
            Write::Remove => CAN_REMOVE_USERS,
        };
        if !itself || matches!(write, Write::Add(_)) {
            acting.able(permission)?;
        }
        let (held, hidden): (Roles, Roles) =
            self.held(now).into_iter().partition(|(role, _)| self.project.is_visible(*role));
        let is_member = !held.is_empty();
        let to = match write {
            Write::Remove => Roles::new(),
            Write::Add(roles) | Write::Set(roles) => {
                let kept = self.record.filter(|_| is_member && matches!(write, Write::Set(_)));
                let ask = Given { project: self.project, roles, kept, visible_only: true };
                ask.known()?;
                if !is_member && matches!(write, Write::Set(_)) {
                    return Err(self.not_found());
                }
                given(&ask, now)?
            }
        };
        if !is_member && matches!(write, Write::Remove) {
            return Err(self.not_found());
        }
        let exists = is_member && matches!(write, Write::Add(_));
        // Whether it may or not, it is told so before it is told that there is such a member.
        let had = if exists { Roles::new() } else { held.clone() };
        let own = itself && !matches!(write, Write::Add(_));
        // Scope first, of all roles concerned; then whether they last too long (G6).
        self.concerned(&had, &to, |role, given| match given {
            Some(expire_time) if own && acting.steps_down(role, expire_time) => Ok(()),
            None if own => Ok(()),
            _ => acting.may(permission, role),
        })?;
        self.concerned(&had, &to, |role, given| match given {
            Some(expire_time) if !own || !acting.steps_down(role, expire_time) => {
                acting.may_give(permission, role, expire_time)
            }
            _ => Ok(()),
        })?;
        if exists {
            return Err(self.exists());
        }
        if let Write::Remove = write {
            return Ok((self.without_visible(draft, hidden)?, Done::Removed));
        }
        counted(draft, self.project, &to)?;
        self.enabled(&held, &to)?;
        if let Some(record) = self.record.filter(|record| self.is_as_visible(record, &to)) {
            return Ok((Some(record.clone()), Done::Set));
        }
        let single = self.project.record.role_structure == RoleStructure::SingleRole;
        let owner = self.project.record.default_owner_role;
        let owner_left = held.get(&owner) == Some(&None) && to.get(&owner) != Some(&None);
        let all: Roles = to.into_iter().chain(hidden.clone()).collect();
        let taken_up = single && !is_member && !hidden.is_empty();
        if taken_up || !hidden.is_empty() && counted(draft, self.project, &all).is_err() {
            // What would be refused without internal roles is refused as it would be.
            if owner_left && self.project.needs_owner(self.org, self.user, now) {
                return Err(last_owner(self.project, self.org));
            }
            return Err(Refusal::UserNotAvailable(self.user.clone()));
        }
        let record = self.record.filter(|_| is_member || !hidden.is_empty());
        let all_held: Roles = held.into_iter().chain(hidden).collect();
        let done = if is_member { Done::Set } else { Done::Added };
        Ok((Some(self.record(draft, record, &all_held, all)?), done))
    }

    /// Whether these are all the visible roles that are recorded, ended ones included: then nothing is written, whatever
    /// is recorded of internal ones.
    fn is_as_visible(&self, record: &MembershipRecord, to: &Roles) -> bool {
        let Some(recorded) = self.project.recorded_in(record) else { return false };
        let visible = recorded.set.roles.iter().copied().filter(|&role| self.project.is_visible(role));
        visible.map(|role| (role, recorded.end(role))).eq(to.iter().map(|(&role, &end)| (role, end)))
    }

    /// Asks `may` of every role that a write concerns: taken (`None`), or given until then (G3).
    fn concerned(
        &self,
        held: &Roles,
        to: &Roles,
        may: impl Fn(RoleId, Option<Option<Time>>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let single = self.project.record.role_structure == RoleStructure::SingleRole;
        let lent = |(role, after): (&RoleId, &Option<Time>)| {
            after.is_some() && held.get(role).is_none_or(|&before| longer(*after, before))
        };
        let lends = single && to.iter().any(lent);
        // What stands in for a role goes with it, and lasts as long.
        let with_fallback_role = |role, given| {
            may(role, given)?;
            self.project.fallback_of(self.org, role).map_or(Ok(()), |fallback_role| may(fallback_role, given))
        };
        for (&role, &before) in held {
            // Whom a role is lent, for the first time or for longer, loses the base role for as long.
            if to.get(&role).is_none_or(|&after| longer(before, after) || after.is_none() && lends) {
                with_fallback_role(role, None)?;
            }
        }
        for (&role, &after) in to {
            match held.get(&role) {
                Some(&before) if longer(after, before) => with_fallback_role(role, Some(after))?,
                Some(_) => {}
                None => may(role, Some(after))?,
            }
        }
        Ok(())
    }

    /// What is left of a member whose visible roles go.
    fn without_visible(&self, draft: &mut Draft<'_>, hidden: Roles) -> Result<Option<MembershipRecord>, Refusal> {
        if hidden.is_empty() {
            return Ok(None);
        }
        self.record(draft, self.record, &hidden.clone(), hidden).map(Some)
    }

    /// Refuses to give anew what is disabled here (M3).
    fn enabled(&self, held: &Roles, to: &Roles) -> Result<(), Refusal> {
        let mapping = self.project.role_mappings.get(self.org.record.role_mapping);
        for role in to.keys() {
            if !mapping.is_some_and(|mapping| mapping.enabled(*role)) && !held.contains_key(role) {
                return Err(Refusal::RoleDisabled {
                    role: self.project.role_name(*role),
                    role_mapping: self.project.role_mapping_name(self.org.record.role_mapping),
                });
            }
        }
        Ok(())
    }

    /// Turns roles into what is recorded, if the member may have them.
    fn record(
        &self,
        draft: &mut Draft<'_>,
        before: Option<&MembershipRecord>,
        held: &Roles,
        roles: Roles,
    ) -> Result<MembershipRecord, Refusal> {
        self.enabled(held, &roles)?;
        let temporary: Vec<TemporaryRole> = roles
            .iter()
            .filter_map(|(&role, &expire_time)| Some(TemporaryRole { role, expire_time: expire_time? }))
            .collect();
        let set = before.and_then(|record| Some((record, self.project.role_sets.get(record.role_set)?)));
        // Whoever asks for what there is changes nothing, whatever it came by.
        if let Some((record, recorded)) = set
            && recorded.roles.iter().eq(roles.keys())
            && *record.temporary == *temporary
        {
            return Ok(record.clone());
        }
        let came = |role| match set {
            Some((record, set)) if held.contains_key(&role) => record.origin_of(role, set),
            _ => Origin::Direct,
        };
        let origins = origins(roles.keys().map(|&role| (role, came(role))), Origin::Direct);
        let role_set = role_set::intern(draft, self.project.id, RoleSet::new(roles.into_keys()))?;
        Ok(MembershipRecord { role_set, origin: Origin::Direct, temporary: temporary.into(), origins })
    }
}

/// Whether one end is later than another; no end is the latest.
fn longer(one: Option<Time>, other: Option<Time>) -> bool {
    other.is_some_and(|other| one.is_none_or(|one| one > other))
}
