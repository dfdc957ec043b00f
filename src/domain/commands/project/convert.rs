//! Converts a project between SINGLE_ROLE and MULTI_ROLE (P5).
//!
//! To MULTI_ROLE no member's roles change. To SINGLE_ROLE a set of several roles becomes the set of the one role that
//! is kept. Which one depends on the roles enabled in the org's mapping, so a set may differ between mappings. Then the
//! orgs of all but one mapping get new sets.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::commands::command::ConvertRoleStructure;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::role::edits::{complete_order, count_reordering, set_manages, set_order};
use crate::domain::commands::{org_domain, role_set};
use crate::domain::model::etag;
use crate::domain::model::id::{OrgNo, RoleId, RoleMappingId, RoleSetId};
use crate::domain::model::membership::{MembershipRecord, Origin, TemporaryRole, origins};
use crate::domain::model::name::UserId;
use crate::domain::model::project::{ProjectRecord, RoleStructure};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::Time;
use crate::domain::rules::owners::check_owners_kept;
use crate::domain::state::change::{Change, Edit, MembershipKey, Scoped};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

pub fn convert(draft: &mut Draft<'_>, command: &ConvertRoleStructure) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    etag::check(command.etag.as_deref(), project.id.number(), project.record.version)?;
    let is = project.record.role_structure;
    if is == command.to {
        return Err(Refusal::WrongRoleStructure { is, why: "there is nothing to convert", rule: "P5" });
    }
    match command.to {
        RoleStructure::MultiRole => to_multi(draft, &project, |_| true)?,
        RoleStructure::SingleRole => to_single(draft, &project, command)?,
    }
    let latest = draft.latest(&project)?;
    if !command.allow_ownerless {
        check_owners_kept(&project, &latest, draft.now())?;
    }
    Ok(Outcome::Project(latest))
}

fn set_structure(draft: &mut Draft<'_>, project: &Project, role_structure: RoleStructure) -> Result<(), Refusal> {
    let before = ProjectRecord::clone(&draft.latest(project)?.record);
    let after = ProjectRecord { role_structure, version: before.version + 1, ..before.clone() };
    draft.edit(Change::Project(Edit { key: project.id, before: Some(before), after: Some(after) }));
    Ok(())
}

/// Each role of `keeps` manages the roles that it managed by its position in the order. The others manage none.
pub fn to_multi(draft: &mut Draft<'_>, project: &Project, keeps: impl Fn(RoleId) -> bool) -> Result<(), Refusal> {
    // The roles above a visible role manage it, and the highest also itself.
    let mut pairs = usize::from(project.highest_visible().is_some_and(&keeps));
    let mut above = 0;
    for &role in project.role_order.iter() {
        pairs += if project.is_visible(role) { above } else { 0 };
        above += usize::from(keeps(role));
    }
    draft.check_limit("managed_roles", draft.limits().managed_roles, pairs)?;
    set_structure(draft, project, RoleStructure::MultiRole)?;
    for role in project.role_order.iter().copied().filter(|&role| keeps(role)) {
        let managed = project.role_order.iter().copied().filter(|&other| project.manages(role, other));
        let managed: BTreeSet<RoleId> = managed.collect();
        set_manages(draft, project, role, managed.into_iter().collect());
    }
    Ok(())
}

/// Each member keeps one role, and perhaps a temporary role that overrides it.
fn to_single(draft: &mut Draft<'_>, project: &Project, command: &ConvertRoleStructure) -> Result<(), Refusal> {
    let order = complete_order(project, &command.order)?;
    set_structure(draft, project, RoleStructure::SingleRole)?;
    for (role, _) in project.roles.entries() {
        set_manages(draft, project, role, Arc::default());
    }
    if order != **project.role_order {
        let latest = draft.latest(project)?;
        set_order(draft, &latest, &order);
        count_reordering(draft, &latest);
    }
    let position = order.iter().enumerate().map(|(at, &role)| (role, at)).collect();
    let choice = Choice { project, position, now: draft.now() };
    let (sets, with_temporary_roles) = choice.holders();
    let new_sets = choice.rewrite_sets(draft, &sets)?;
    for (org, users) in with_temporary_roles {
        for user in users {
            let Some(before) = project.membership(org, &user) else { continue };
            let after = choice.record(draft, org, &before, &sets)?;
            if before != after {
                let key = MembershipKey { project: project.id, org: org.no, user };
                draft.edit(Change::Membership(Edit { key, before: Some(before), after: Some(after) }));
            }
        }
    }
    choice.remap(draft, &sets, &new_sets);
    project.for_each_org(|org| {
        let mut rules = org.domains().to_vec();
        for rule in &mut rules {
            let new_set = rule.role_set.and_then(|set| new_sets.get(&(set, org.record.role_mapping)).copied());
            rule.role_set = new_set.or(rule.role_set);
        }
        org_domain::replace(draft, project, org, rules);
    });
    Ok(())
}

/// For each set of several roles, the mappings and orgs of the invitations and of the members without temporary roles
/// that have it.
type Sets = BTreeMap<RoleSetId, BTreeMap<RoleMappingId, BTreeSet<OrgNo>>>;

/// Chooses which of several roles is kept.
struct Choice<'a> {
    project: &'a Project,
    /// The positions in the new order, 0 for the highest.
    position: BTreeMap<RoleId, usize>,
    now: Time,
}

impl<'a> Choice<'a> {
    /// Prefers enabled visible roles, then visible roles, then the highest.
    fn preference(&self, mapping: RoleMappingId, role: RoleId) -> impl Ord + use<> {
        let visible = self.project.is_visible(role);
        let enabled = self.project.role_mappings.get(mapping).is_some_and(|mapping| mapping.enabled(role));
        (Reverse(visible && enabled), Reverse(visible), self.position.get(&role).copied())
    }

    fn kept(&self, mapping: RoleMappingId, roles: impl Iterator<Item = RoleId>) -> Option<RoleId> {
        roles.min_by_key(|&role| self.preference(mapping, role))
    }

    /// Returns the sets of several roles, and the users with temporary roles.
    fn holders(&self) -> (Sets, Vec<(&'a Org, Vec<UserId>)>) {
        let mut sets = Sets::new();
        let mut with_temporary_roles = Vec::new();
        let mut orgs: Vec<&'a Org> = Vec::new();
        self.project.for_each_org(|org| orgs.push(org));
        orgs.sort_unstable_by_key(|org| org.no);
        for org in orgs {
            self.project.each_membership(org, |member| {
                if member.temporary.is_empty() && member.set.roles.len() > 1 {
                    let mappings = sets.entry(member.set_id).or_default();
                    mappings.entry(org.record.role_mapping).or_default().insert(org.no);
                }
            });
            // An expired invitation too: it must not keep several roles.
            org.any_invitation(|invitation| {
                let set = invitation.record.role_set();
                let set = set.filter(|&id| self.project.role_sets.get(id).is_some_and(|set| set.roles.len() > 1));
                if let Some(id) = set {
                    sets.entry(id).or_default().entry(org.record.role_mapping).or_default().insert(org.no);
                }
                false
            });
            // The orgs are those of members: a domain is written by a change of its own.
            for set in org.domains().iter().filter_map(|rule| rule.role_set) {
                if self.project.role_sets.get(set).is_some_and(|set| set.roles.len() > 1) {
                    sets.entry(set).or_default().entry(org.record.role_mapping).or_default();
                }
            }
            let mut users = Vec::new();
            org.for_each_with_temporary_roles(|user| users.push(user.clone()));
            users.sort_unstable();
            if !users.is_empty() {
                with_temporary_roles.push((org, users));
            }
        }
        (sets, with_temporary_roles)
    }

    /// Rewrites each set to the role that is kept in the first of its mappings. Creates new sets for the mappings that
    /// keep another role.
    fn rewrite_sets(
        &self,
        draft: &mut Draft<'_>,
        sets: &Sets,
    ) -> Result<BTreeMap<(RoleSetId, RoleMappingId), RoleSetId>, Refusal> {
        let mut new_sets = BTreeMap::new();
        for (&id, mappings) in sets {
            let Some(set) = self.project.role_sets.get(id) else { continue };
            let kept = |mapping| self.kept(mapping, set.roles.iter().copied());
            let only = |role: Option<RoleId>| set.migrated(|other| role.filter(|&role| role == other));
            let Some(first) = mappings.keys().next().and_then(|&mapping| kept(mapping)) else { continue };
            let mut by_role: BTreeMap<RoleId, RoleSetId> = BTreeMap::from([(first, id)]);
            for &mapping in mappings.keys() {
                let Some(role) = kept(mapping).filter(|&role| role != first) else { continue };
                let set_id = match by_role.get(&role) {
                    Some(&set_id) => set_id,
                    None => role_set::add(draft, self.project.id, only(Some(role)))?,
                };
                by_role.insert(role, set_id);
                new_sets.insert((id, mapping), set_id);
            }
            let key = Scoped { project: self.project.id, id };
            let (before, after) = (Some(RoleSet::clone(set)), Some(only(Some(first))));
            draft.edit(Change::RoleSet(Edit { key, before, after }));
        }
        Ok(new_sets)
    }

    /// Gives the orgs of a mapping its new sets.
    fn remap(&self, draft: &mut Draft<'_>, sets: &Sets, new_sets: &BTreeMap<(RoleSetId, RoleMappingId), RoleSetId>) {
        let mut moves: BTreeMap<OrgNo, Vec<(RoleSetId, RoleSetId)>> = BTreeMap::new();
        for (&(set, mapping), &new_set) in new_sets {
            let orgs = sets.get(&set).and_then(|mappings| mappings.get(&mapping));
            orgs.into_iter().flatten().for_each(|&org| moves.entry(org).or_default().push((set, new_set)));
        }
        for (org, moves) in moves {
            let (before, after): (Vec<_>, Vec<_>) = moves.into_iter().unzip();
            let key = Scoped { project: self.project.id, id: org };
            draft.edit(Change::Remap(Edit { key, before: Some(before.into()), after: Some(after.into()) }));
        }
    }

    /// Returns the record of a member with temporary roles: the permanent role that is kept, and a temporary one if it
    /// is preferred to that.
    fn record(
        &self,
        draft: &mut Draft<'_>,
        org: &Org,
        before: &MembershipRecord,
        sets: &Sets,
    ) -> Result<MembershipRecord, Refusal> {
        let Some(recorded) = self.project.recorded_in(before) else { return Ok(before.clone()) };
        let mapping = org.record.role_mapping;
        let roles = || recorded.set.roles.iter().copied();
        let held = |role: &RoleId| recorded.holds(*role, self.now);
        let permanent = self.kept(mapping, roles().filter(|&role| recorded.holds_permanently(role)));
        let temporary = self.kept(mapping, roles().filter(held).filter(|&role| !recorded.holds_permanently(role)));
        let preferred = |role: &RoleId| {
            permanent.is_none_or(|permanent| self.preference(mapping, *role) < self.preference(mapping, permanent))
        };
        let mut kept: Vec<RoleId> = permanent.into_iter().chain(temporary.filter(preferred)).collect();
        if kept.is_empty() {
            kept.extend(self.kept(mapping, roles()));
        }
        if kept.len() == recorded.set.roles.len() {
            if !sets.contains_key(&before.role_set) {
                return Ok(before.clone());
            }
            // The old set is rewritten for members without temporary roles.
            let roles = RoleSet::new(kept);
            let role_set = role_set::intern(draft, self.project.id, roles)?;
            return Ok(MembershipRecord { role_set, ..before.clone() });
        }
        let temporary: Vec<TemporaryRole> =
            before.temporary.iter().copied().filter(|temporary| kept.contains(&temporary.role)).collect();
        let kept_origins = kept.iter().map(|&role| (role, before.origin_of(role, recorded.set)));
        let origins = origins(kept_origins, Origin::Migration);
        let role_set = role_set::intern(draft, self.project.id, RoleSet::new(kept))?;
        Ok(MembershipRecord { role_set, origin: Origin::Migration, temporary: temporary.into(), origins })
    }
}
