//! The impact of a write on members and invitations. Those with equal roles in equal circumstances are compared once
//! and counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::collections::hash::TextHash;
use crate::domain::impact::digest::Marks;
use crate::domain::impact::effect::{Effect, Rows, Side, effect, granted};
use crate::domain::impact::report::{Impact, Listed, MemberImpact, RoleImpact, Who};
use crate::domain::impact::roles;
use crate::domain::impact::scope::Scope;
use crate::domain::impact::sides::Sides;
use crate::domain::model::fallback::Fallbacks;
use crate::domain::model::id::{OrgNo, RoleId, RoleMappingId, RoleSetId};
use crate::domain::model::membership::{MembershipRecord, TemporaryRole};
use crate::domain::model::name::{OrgId, PermissionName, RoleName, UserId};
use crate::domain::model::permission::PermissionSet;
use crate::domain::rules::usage::Recorded;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::membership::MembershipSlot;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;
use crate::limits::{IMPACT_LIST_MAX, IMPACT_PERMISSIONS_MAX, IMPACT_SAMPLE_MAX};

/// Adds the affected orgs, members and roles to the impact.
pub fn count(sides: &Sides<'_>, scope: &Scope<'_>, impact: &mut Impact, marks: &mut Marks) {
    let mut counting = Counting::new(sides, scope);
    for no in counting.orgs() {
        counting.org(no, impact, marks);
    }
    counting.finish(impact);
}

/// An org before and after the write.
type Pair<'a> = (Option<&'a Org>, Option<&'a Org>);

/// The mapping and the fallback roles of an org, before and after.
type Circumstances = [Option<(RoleMappingId, Option<Fallbacks>)>; 2];

struct Counting<'a> {
    sides: &'a Sides<'a>,
    scope: &'a Scope<'a>,
    rows: Rows,
    circumstances: HashMap<Circumstances, u32>,
    effects: HashMap<(u32, RoleSetId, Option<RoleSetId>), Effect>,
    roles: BTreeMap<RoleId, [u64; 4]>,
    ownerless: BTreeSet<&'a OrgId>,
    sample: BTreeMap<SampleKey<'a>, Sampled>,
}

/// The effects on the members of one org.
#[derive(Default)]
struct InOrg {
    members: u64,
    losing_at_least: u64,
    owner_left: bool,
    /// The number of members for each [`Effect::mark`].
    effects: BTreeMap<u128, u64>,
}

/// Orders the sample: first members who lose something, then by org.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SampleKey<'a> {
    gains_only: bool,
    org_id: &'a OrgId,
    org: OrgNo,
    set: Option<RoleSetId>,
    after: Option<RoleSetId>,
    user: Option<UserId>,
}

struct Sampled {
    members: usize,
    effect: Effect,
}

impl<'a> Counting<'a> {
    fn new(sides: &'a Sides<'a>, scope: &'a Scope<'a>) -> Self {
        Self {
            sides,
            scope,
            rows: Rows::default(),
            circumstances: HashMap::new(),
            effects: HashMap::new(),
            roles: BTreeMap::new(),
            ownerless: BTreeSet::new(),
            sample: BTreeMap::new(),
        }
    }

    /// Returns the orgs to compare.
    fn orgs(&self) -> BTreeSet<OrgNo> {
        let named = self.scope.users.keys().chain(self.scope.invitations.keys());
        let named = named.chain(&self.scope.orgs).chain(&self.scope.changed);
        let mut orgs: BTreeSet<OrgNo> = named.copied().collect();
        if self.scope.all || !self.scope.role_mappings.is_empty() {
            for project in [self.sides.before, self.sides.after].into_iter().flatten() {
                project.for_each_org(|org| {
                    if self.scope.holds(org.no, org.record.role_mapping) {
                        orgs.insert(org.no);
                    }
                });
            }
        }
        orgs
    }

    fn org(&mut self, no: OrgNo, impact: &mut Impact, marks: &mut Marks) {
        let pair = (existing(self.sides.before, no), existing(self.sides.after, no));
        let Some(org) = pair.0.or(pair.1) else { return };
        let mut here = InOrg::default();
        for user in self.scope.users.get(&no).into_iter().flatten() {
            let effect = self.written(pair, user);
            self.add(SampleKey::new(org, &effect, None, None, Some((*user).clone())), &effect, 1, &mut here);
        }
        if self.scope.holds(no, org.record.role_mapping) {
            self.scan(pair, org, &mut here);
        }
        let invitations = self.invitations(pair, org);
        let invited = invitations.values().sum::<u64>();
        impact.members_losing_at_least += here.losing_at_least;
        // The write may create or delete the org, also with its project.
        let created_or_deleted = pair.0.is_some() != pair.1.is_some();
        let domains = self.domains_differ(pair);
        if here.members + invited > 0 || created_or_deleted || domains || self.scope.changed.contains(&no) {
            impact.orgs += 1;
            impact.members += here.members;
            impact.invitations += invited;
            marks.org(&org.record.profile.org_id, &here.effects, &invitations);
        }
        if here.owner_left
            && let (Some(after), Some(project)) = (pair.1, self.sides.after)
            && !project.has_owner(after)
        {
            self.ownerless.insert(&org.record.profile.org_id);
        }
    }

    /// Returns true if an e-mail domain gives other roles than before.
    fn domains_differ(&self, pair: Pair<'_>) -> bool {
        let ((Some(was), Some(before)), (Some(is), Some(after))) =
            ((self.sides.before, pair.0), (self.sides.after, pair.1))
        else {
            return false;
        };
        let roles = before.domains().iter().map(|rule| was.domain_roles(rule));
        !roles.eq(after.domains().iter().map(|rule| is.domain_roles(rule)))
    }

    /// Compares a member that was written individually.
    fn written(&mut self, (before, after): Pair<'a>, user: &UserId) -> Effect {
        let record = |project: Option<&Project>, org: Option<&Org>| project?.membership(org?, user);
        let records = (record(self.sides.before, before), record(self.sides.after, after));
        let before = recorded_side(self.sides.before, before, records.0.as_ref());
        let after = recorded_side(self.sides.after, after, records.1.as_ref());
        effect(self.sides, &mut self.rows, before, after)
    }

    /// Compares all other members that the org had.
    fn scan(&mut self, (before, after): Pair<'a>, org: &'a Org, here: &mut InOrg) {
        let (Some(project), Some(before)) = (self.sides.before, before) else { return };
        let written = self.scope.users.get(&org.no).into_iter().flatten();
        let written: BTreeSet<TextHash> = written.map(|user| project.hash(user.as_str())).collect();
        let context = self.circumstances(Some(before), after);
        let remapped = self.scope.remapped.contains(&org.no);
        let mut groups: BTreeMap<(RoleSetId, Option<RoleSetId>), u64> = BTreeMap::new();
        let mut with_temporary_roles: Vec<(TextHash, MembershipSlot)> = Vec::new();
        let roles = self.scope.roles_in(before);
        let holds_any = |slot: MembershipSlot, roles: &BTreeSet<RoleId>| {
            let set = slot.role_set().and_then(|set| project.role_sets.get(set));
            set.is_some_and(|set| set.roles.iter().any(|role| roles.contains(role)))
        };
        before.any_slot(|user, slot| {
            if roles.is_some_and(|roles| !holds_any(slot, roles)) {
                return false;
            }
            if slot.has_temporary_roles() {
                with_temporary_roles.push((user, slot));
            } else if let Some(set) = slot.role_set().filter(|_| !written.contains(&user)) {
                let moved = if remapped { after.and_then(|org| org.slot(user)?.role_set()) } else { Some(set) };
                *groups.entry((set, moved.filter(|_| after.is_some()))).or_default() += 1;
            }
            false
        });
        for ((set, moved), members) in groups {
            let effect = match self.effects.get(&(context, set, moved)) {
                Some(known) => known.clone(),
                None => {
                    let side_before = side(Some(project), Some(before), Some(set), &[]);
                    let side_after = side(self.sides.after, after, moved, &[]);
                    let effect = effect(self.sides, &mut self.rows, side_before, side_after);
                    self.effects.insert((context, set, moved), effect.clone());
                    effect
                }
            };
            self.add(SampleKey::new(org, &effect, Some(set), moved, None), &effect, members, here);
        }
        with_temporary_roles.retain(|(user, _)| !written.contains(user));
        for (hash, _) in with_temporary_roles {
            let Some(user) = before.detailed_user(hash).cloned() else { continue };
            let effect = self.written((Some(before), after), &user);
            self.add(SampleKey::new(org, &effect, None, None, Some(user)), &effect, 1, here);
        }
    }

    /// Counts the affected invitations for each [`Effect::mark`]. A pending invitation is affected as a member with its
    /// roles would be.
    fn invitations(&mut self, (before, after): Pair<'a>, org: &'a Org) -> BTreeMap<u128, u64> {
        let mut ids = self.scope.invitations.get(&org.no).cloned().unwrap_or_default();
        if let Some(before) = before.filter(|org| self.scope.holds(org.no, org.record.role_mapping)) {
            before.any_invitation(|invitation| {
                ids.insert(invitation.id);
                false
            });
        }
        let set_of = |project: Option<&'a Project>, org: Option<&'a Org>, id| {
            let (project, org) = (project?, org?);
            let record = &project.pending_invitation(org, id)?.record;
            let set_id = record.role_set().filter(|_| !record.has_expired(self.sides.now))?;
            let shown = |&role: &RoleId| self.sides.visibility == Visibility::All || project.is_visible(role);
            project.role_sets.get(set_id).filter(|set| set.roles.iter().all(shown)).map(|_| set_id)
        };
        let mut groups: BTreeMap<[Option<RoleSetId>; 2], u64> = BTreeMap::new();
        for id in ids {
            let sets = [set_of(self.sides.before, before, id), set_of(self.sides.after, after, id)];
            *groups.entry(sets).or_default() += 1;
        }
        let mut effects = BTreeMap::new();
        for ([set, moved], invitations) in groups {
            let invited = |side: Option<Side<'a>>| side.map(|side| Side { invited: true, ..side });
            let side_before = invited(side(self.sides.before, before, set, &[]));
            let side_after = invited(side(self.sides.after, after, moved, &[]));
            let effect = effect(self.sides, &mut self.rows, side_before, side_after);
            if effect.touched {
                *effects.entry(effect.mark).or_default() += invitations;
            }
        }
        effects
    }

    /// Returns a number for the circumstances. Equal circumstances have equal numbers.
    fn circumstances(&mut self, before: Option<&Org>, after: Option<&Org>) -> u32 {
        let of = |org: Option<&Org>| org.map(|org| (org.record.role_mapping, org.fallbacks.clone()));
        let next = self.circumstances.len() as u32;
        *self.circumstances.entry([of(before), of(after)]).or_insert(next)
    }

    /// Counts members with equal effects.
    fn add(&mut self, key: SampleKey<'a>, effect: &Effect, members: u64, here: &mut InOrg) {
        here.owner_left |= effect.loses_owner;
        // These members need not be affected otherwise: their roles may only have moved in the order.
        here.losing_at_least += if effect.loses_at_least { members } else { 0 };
        if !effect.touched {
            return;
        }
        here.members += members;
        *here.effects.entry(effect.mark).or_default() += members;
        let lists = [&effect.given, &effect.removed, &effect.suspended, &effect.reactivated];
        for (at, roles) in lists.into_iter().enumerate() {
            roles.iter().for_each(|&role| self.roles.entry(role).or_default()[at] += members);
        }
        if self.sides.visibility == Visibility::VisibleOnly && !self.is_written(&key) {
            return;
        }
        let full = self.sample.values().map(|sampled| sampled.members).sum::<usize>() >= IMPACT_SAMPLE_MAX;
        if full && self.sample.last_key_value().is_some_and(|(last, _)| *last < key) {
            return;
        }
        let members = usize::try_from(members).unwrap_or(IMPACT_SAMPLE_MAX).min(IMPACT_SAMPLE_MAX);
        self.sample.insert(key, Sampled { members, effect: effect.clone() });
        let mut sum = 0;
        self.sample.retain(|_, sampled| {
            sum += sampled.members;
            sum - sampled.members < IMPACT_SAMPLE_MAX
        });
    }

    /// Returns true if the write named this member. The sample for an acting user lists only these: how other members
    /// are grouped, and which of them have temporary roles, could reveal internal roles.
    fn is_written(&self, key: &SampleKey<'_>) -> bool {
        let written = self.scope.users.get(&key.org);
        key.user.as_ref().is_some_and(|user| written.is_some_and(|written| written.contains(user)))
    }

    fn finish(mut self, impact: &mut Impact) {
        let named: BTreeMap<RoleId, [u64; 4]> = std::mem::take(&mut self.roles);
        let rank = |project: Option<&Project>, id: RoleId| project?.roles.get(id).map(|role| role.rank);
        let mut named: Vec<(RoleId, [u64; 4])> = named.into_iter().collect();
        named.sort_by_key(|&(id, _)| (rank(self.sides.after, id).or(rank(self.sides.before, id)), id));
        impact.roles.extend(named.into_iter().map(|(id, [given, removed, suspended, reactivated])| RoleImpact {
            role: self.name(id),
            given,
            removed,
            suspended,
            reactivated,
        }));
        for &org in &self.ownerless {
            impact.orgs_left_ownerless.add(IMPACT_LIST_MAX, || org.clone());
        }
        let mut members_left = IMPACT_SAMPLE_MAX;
        for (key, sampled) in &self.sample {
            let members = sampled.members.min(members_left);
            members_left -= members;
            impact.sample.push(self.sampled(key, &sampled.effect, members));
        }
    }

    fn sampled(&self, key: &SampleKey<'_>, effect: &Effect, members: usize) -> MemberImpact {
        let pair = (existing(self.sides.before, key.org), existing(self.sides.after, key.org));
        let mapping = |project: Option<&'a Project>, org: Option<&Org>| {
            project?.role_mappings.get(org?.record.role_mapping).map(AsRef::as_ref)
        };
        let before = granted(mapping(self.sides.before, pair.0), &effect.live[0]);
        let after = granted(mapping(self.sides.after, pair.1), &effect.live[1]);
        let names = |roles: &[RoleId]| {
            let mut roles: Vec<RoleId> = roles.to_vec();
            let rank = |id| {
                self.sides.after.or(self.sides.before).and_then(|project| project.roles.get(id)).map(|role| role.rank)
            };
            roles.sort_by_key(|&id| (rank(id), id));
            roles.into_iter().map(|id| self.name(id)).collect::<Vec<RoleName>>()
        };
        MemberImpact {
            org: key.org,
            org_id: key.org_id.clone(),
            who: match (&key.user, key.set) {
                (Some(user), _) => Who::Member(user.clone()),
                (None, Some(role_set)) => Who::SomeOf { role_set, at_most: members },
                // Unreachable: a group of members always has a set.
                (None, None) => Who::Member(UserId::stored("")),
            },
            roles_given: names(&effect.given),
            roles_removed: names(&effect.removed),
            roles_suspended: names(&effect.suspended),
            roles_reactivated: names(&effect.reactivated),
            permissions_gained: without(self.sides.after, &after, &before),
            permissions_lost: without(self.sides.before, &before, &after),
        }
    }

    /// Returns the name of a role after the write, or before it if the write deletes the role.
    fn name(&self, id: RoleId) -> RoleName {
        let of = |project: Option<&Project>| project?.roles.get(id).map(|role| role.name.clone());
        of(self.sides.after).or(of(self.sides.before)).unwrap_or_else(|| RoleName::stored(""))
    }
}

impl<'a> SampleKey<'a> {
    fn new(
        org: &'a Org,
        effect: &Effect,
        set: Option<RoleSetId>,
        after: Option<RoleSetId>,
        user: Option<UserId>,
    ) -> Self {
        Self { gains_only: !effect.loses, org_id: &org.record.profile.org_id, org: org.no, set, after, user }
    }
}

fn existing(project: Option<&Project>, no: OrgNo) -> Option<&Org> {
    project?.org_numbered(no).map(AsRef::as_ref).filter(|org| org.record.lifecycle.exists())
}

fn side<'a>(
    project: Option<&'a Project>,
    org: Option<&'a Org>,
    role_set: Option<RoleSetId>,
    temporary: &'a [TemporaryRole],
) -> Option<Side<'a>> {
    let (project, org, set_id) = (project?, org?, role_set?);
    let set = project.role_sets.get(set_id)?;
    Some(Side { project, org, member: Recorded { set_id, set, temporary }, invited: false })
}

fn recorded_side<'a>(
    project: Option<&'a Project>,
    org: Option<&'a Org>,
    record: Option<&'a MembershipRecord>,
) -> Option<Side<'a>> {
    side(project, org, Some(record?.role_set), &record?.temporary)
}

/// Lists the permissions of `set` that are not in `other`.
fn without(project: Option<&Project>, set: &PermissionSet, other: &PermissionSet) -> Listed<PermissionName> {
    let mut listed = Listed::default();
    for permission in set.iter().filter(|&permission| !other.contains(permission)) {
        listed.add(IMPACT_PERMISSIONS_MAX, || {
            project.map_or_else(|| PermissionName::stored(""), |project| roles::name(project, permission))
        });
    }
    listed
}
