//! Applies the strategy for members whose role is disabled (M7). A suspended role that is enabled again loses
//! its fallback role.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::commands::command::OnDisabled;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::{fallback, invitation, org_domain, replacement, role_set};
use crate::domain::model::fallback::{Fallback, first_enabled_fallback};
use crate::domain::model::id::{RoleId, RoleMappingId, RoleSetId};
use crate::domain::model::name::{RoleMappingName, RoleName};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::time::Time;
use crate::domain::rules::replacement::check_replacement;
use crate::domain::rules::usage::Recorded;
use crate::domain::state::change::{Change, Edit, MembershipKey, Scoped};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;
use crate::domain::state::role_mapping::RoleMapping;

/// The strategy of a request, with the names looked up.
enum Strategy {
    Reject,
    Remap { replacements: BTreeMap<RoleId, RoleId>, default_replacement: Option<RoleId> },
    Suspend { fallback_role: Option<RoleId> },
}

/// Applies the strategy (`OnDisabled`) to members whose roles a write disables. The caller writes the mapping or
/// moves the org.
pub struct Disabling<'a> {
    project: &'a Project,
    strategy: Strategy,
    /// The roles that are disabled afterwards.
    disabled: BTreeSet<RoleId>,
    /// For each mapping that orgs come from: the roles that turn from enabled to disabled.
    newly_disabled: BTreeMap<RoleMappingId, Arc<BTreeSet<RoleId>>>,
    /// The new sets for members of orgs that come from a mapping.
    remapped: BTreeMap<(RoleMappingId, RoleSetId), RoleSetId>,
}

/// Counts the members, pending invitations and e-mail domains whose roles the strategy does not cover.
#[derive(Default)]
struct Uncovered {
    held: BTreeMap<RoleId, u64>,
    members: u64,
    invitations: u64,
    domains: u64,
    orgs: u64,
}

impl Uncovered {
    fn total(&self) -> u64 {
        self.members + self.invitations + self.domains
    }
}

impl<'a> Disabling<'a> {
    /// Looks up the names of the strategy. Replacements and fallback roles must be enabled in the resulting mapping,
    /// which is called `role_mapping`.
    pub fn new(
        project: &'a Project,
        on_disabled: &OnDisabled,
        disabled: BTreeSet<RoleId>,
        role_mapping: &RoleMappingName,
    ) -> Result<Self, Refusal> {
        let enabled_role = |name: &RoleName| {
            let role = project.role(name)?;
            if disabled.contains(&role) {
                let role = project.role_name(role);
                return Err(Refusal::RoleDisabled { role, role_mapping: role_mapping.clone() });
            }
            Ok(role)
        };
        let strategy = match on_disabled {
            OnDisabled::Reject => Strategy::Reject,
            OnDisabled::Remap { replacements: named, default_replacement } => {
                let mut replacements = BTreeMap::new();
                for (name, replacement) in named {
                    let (role, replacement) = (project.role(name)?, enabled_role(replacement)?);
                    check_replacement(project, role, replacement)?;
                    if replacements.insert(role, replacement).is_some() {
                        return Err(Refusal::RemappedTwice { role: name.clone() });
                    }
                }
                let default_replacement = default_replacement.as_ref().map(enabled_role).transpose()?;
                Strategy::Remap { replacements, default_replacement }
            }
            OnDisabled::Suspend { fallback_role } => {
                let fallback_role = fallback_role.as_ref().map(enabled_role).transpose()?;
                if let Some(role) = fallback_role.filter(|&role| !project.is_visible(role)) {
                    return Err(Refusal::FallbackRoleInternal { role: project.role_name(role) });
                }
                Strategy::Suspend { fallback_role }
            }
        };
        Ok(Self { project, strategy, disabled, newly_disabled: BTreeMap::new(), remapped: BTreeMap::new() })
    }

    /// As `new`, for orgs that move to a mapping.
    pub fn moving(project: &'a Project, to: RoleMappingId, on_disabled: &OnDisabled) -> Result<Self, Refusal> {
        let Some(mapping) = project.role_mappings.get(to) else { return Err(Refusal::Bug) };
        let disabled = mapping.record.disabled_roles.iter().copied().collect();
        Self::new(project, on_disabled, disabled, &mapping.record.name)
    }

    /// Refuses if the strategy does not cover a role of a member, pending invitation or e-mail domain that would be
    /// disabled.
    pub fn check_covered<'o>(&mut self, orgs: impl Iterator<Item = &'o Org>, now: Time) -> Result<(), Refusal> {
        if matches!(self.strategy, Strategy::Suspend { .. }) {
            return Ok(());
        }
        let mut uncovered = Uncovered::default();
        for org in orgs {
            let newly_disabled = self.newly_disabled(org);
            if newly_disabled.is_empty() {
                continue;
            }
            let before = uncovered.total();
            self.project.each_membership(org, |member| {
                let mut roles = self.disabled_of(org, member, &newly_disabled, now);
                roles.retain(|&role| self.replacement_of(role).is_none());
                uncovered.members += u64::from(!roles.is_empty());
                roles.into_iter().for_each(|role| *uncovered.held.entry(role).or_default() += 1);
            });
            let uncovered_of = |roles: &[RoleId]| -> Vec<RoleId> {
                let disabled = roles.iter().copied().filter(|role| newly_disabled.contains(role));
                disabled.filter(|&role| self.replacement_of(role).is_none()).collect()
            };
            self.project.each_invitation(org, now, |_, set| {
                let roles = uncovered_of(&set.roles);
                uncovered.invitations += u64::from(!roles.is_empty());
                roles.into_iter().for_each(|role| *uncovered.held.entry(role).or_default() += 1);
            });
            for rule in org.domains() {
                let roles = uncovered_of(self.project.domain_roles(rule));
                uncovered.domains += u64::from(!roles.is_empty());
                roles.into_iter().for_each(|role| *uncovered.held.entry(role).or_default() += 1);
            }
            uncovered.orgs += u64::from(uncovered.total() > before);
        }
        let Uncovered { members, invitations, domains, orgs, .. } = uncovered;
        if orgs == 0 {
            return Ok(());
        }
        let held = uncovered.held.into_iter().map(|(role, count)| (self.project.role_name(role), count)).collect();
        Err(Refusal::RolesWouldBeDisabled { held, members, invitations, domains, orgs })
    }

    /// Applies the strategy to the members of an org. The caller has checked that it covers all of them, and moves the
    /// org itself.
    pub fn apply(&mut self, draft: &mut Draft<'_>, org: &Org) -> Result<(), Refusal> {
        let newly_disabled = self.newly_disabled(org);
        if matches!(self.strategy, Strategy::Remap { .. }) && !newly_disabled.is_empty() {
            self.remap(draft, org, &newly_disabled)?;
            self.remap_domains(draft, org, &newly_disabled)?;
        }
        self.set_fallbacks(draft, org, &newly_disabled);
        Ok(())
    }

    fn mapping(&self, org: &Org) -> Option<&RoleMapping> {
        self.project.role_mappings.get(org.record.role_mapping).map(AsRef::as_ref)
    }

    /// Returns the roles that turn from enabled to disabled for an org.
    fn newly_disabled(&mut self, org: &Org) -> Arc<BTreeSet<RoleId>> {
        let from = org.record.role_mapping;
        if let Some(known) = self.newly_disabled.get(&from) {
            return known.clone();
        }
        let enabled = |role: &RoleId| self.mapping(org).is_some_and(|mapping| mapping.enabled(*role));
        let roles: Arc<BTreeSet<RoleId>> = Arc::new(self.disabled.iter().copied().filter(enabled).collect());
        self.newly_disabled.insert(from, roles.clone());
        roles
    }

    /// Returns the newly disabled roles that a member holds, including fallback roles of roles that stay suspended.
    fn disabled_of(
        &self,
        org: &Org,
        member: Recorded<'_>,
        newly_disabled: &BTreeSet<RoleId>,
        now: Time,
    ) -> BTreeSet<RoleId> {
        let fallback_of = |role| self.project.fallback_of(org, role).filter(|_| self.disabled.contains(&role));
        let effective = |role| if newly_disabled.contains(&role) { Some(role) } else { fallback_of(role) };
        member.held(now).filter_map(effective).filter(|role| newly_disabled.contains(role)).collect()
    }

    /// Returns the replacement of a disabled role. `None` if the caller named none.
    fn replacement_of(&self, role: RoleId) -> Option<RoleId> {
        let Strategy::Remap { replacements, default_replacement } = &self.strategy else { return None };
        let suitable = |other: &RoleId| self.project.is_visible(*other) == self.project.is_visible(role);
        replacements.get(&role).copied().or_else(|| default_replacement.filter(suitable))
    }

    fn remap(&mut self, draft: &mut Draft<'_>, org: &Org, newly_disabled: &BTreeSet<RoleId>) -> Result<(), Refusal> {
        let (project, now) = (self.project, draft.now());
        // An expired invitation does not follow, and nobody chose a replacement for its roles.
        invitation::settle_where(draft, project, org, |record| record.has_expired(now));
        let mut sets = BTreeSet::new();
        project.each_membership(org, |member| {
            if member.temporary.is_empty() && member.set.roles.iter().any(|role| newly_disabled.contains(role)) {
                sets.insert(member.set_id);
            }
        });
        project.each_invitation(org, now, |set_id, set| {
            if set.roles.iter().any(|role| newly_disabled.contains(role)) {
                sets.insert(set_id);
            }
        });
        let mut with_temporary_roles = Vec::new();
        org.for_each_with_temporary_roles(|user| with_temporary_roles.push(user));
        for user in with_temporary_roles {
            let Some(before) = project.membership(org, user) else { continue };
            let Some(recorded) = project.recorded_in(&before) else { continue };
            if recorded.held(now).any(|role| newly_disabled.contains(&role)) {
                let after = replacement::record(draft, project, &before, |role, held| {
                    if held && newly_disabled.contains(&role) { self.replacement_of(role) } else { Some(role) }
                })?;
                let key = MembershipKey { project: project.id, org: org.no, user: user.clone() };
                draft.edit(Change::Membership(Edit { key, before: Some(before), after }));
            }
        }
        let mut replacements = Vec::with_capacity(sets.len());
        for &set in &sets {
            replacements.push(self.remapped(draft, org.record.role_mapping, set, newly_disabled)?);
        }
        if !sets.is_empty() {
            let key = Scoped { project: project.id, id: org.no };
            let (before, after) = (Some(sets.into_iter().collect()), Some(replacements.into()));
            draft.edit(Change::Remap(Edit { key, before, after }));
        }
        Ok(())
    }

    /// Replaces disabled roles of the e-mail domains of an org.
    fn remap_domains(
        &mut self,
        draft: &mut Draft<'_>,
        org: &Org,
        newly_disabled: &BTreeSet<RoleId>,
    ) -> Result<(), Refusal> {
        let mut rules = org.domains().to_vec();
        for rule in &mut rules {
            let disabled = self.project.domain_roles(rule).iter().any(|role| newly_disabled.contains(role));
            if let Some(set) = rule.role_set.filter(|_| disabled) {
                rule.role_set = Some(self.remapped(draft, org.record.role_mapping, set, newly_disabled)?);
            }
        }
        org_domain::replace(draft, self.project, org, rules);
        Ok(())
    }

    /// Returns the replacement of a set. It is a new set, which proves the origin of its holders' roles.
    fn remapped(
        &mut self,
        draft: &mut Draft<'_>,
        from: RoleMappingId,
        set_id: RoleSetId,
        newly_disabled: &BTreeSet<RoleId>,
    ) -> Result<RoleSetId, Refusal> {
        if let Some(&known) = self.remapped.get(&(from, set_id)) {
            return Ok(known);
        }
        let Some(set) = self.project.role_sets.get(set_id) else { return Err(Refusal::Bug) };
        let replacement_of = |role| if newly_disabled.contains(&role) { self.replacement_of(role) } else { Some(role) };
        let remapped = role_set::add(draft, self.project.id, set.migrated(replacement_of))?;
        self.remapped.insert((from, set_id), remapped);
        Ok(remapped)
    }

    /// Removes the fallback roles of roles that are enabled again. A role that stays disabled keeps its fallback role
    /// or gets a replacement of it. SUSPEND adds the fallback role of the caller.
    fn set_fallbacks(&self, draft: &mut Draft<'_>, org: &Org, newly_disabled: &BTreeSet<RoleId>) {
        let kept = org.fallbacks().iter().filter(|fallback| self.disabled.contains(&fallback.role));
        let mut fallbacks: BTreeMap<RoleId, RoleId> = BTreeMap::new();
        for &Fallback { role, fallback_role } in kept {
            let replacement = self.replacement_of(fallback_role).filter(|_| newly_disabled.contains(&fallback_role));
            fallbacks.insert(role, replacement.unwrap_or(fallback_role));
        }
        if let Strategy::Suspend { fallback_role: Some(fallback_role) } = self.strategy
            && !newly_disabled.is_empty()
        {
            let now = draft.now();
            let mut held = BTreeSet::new();
            self.project.each_membership(org, |member| held.extend(self.disabled_of(org, member, newly_disabled, now)));
            let visible = held.into_iter().filter(|&role| self.project.is_visible(role));
            fallbacks.extend(visible.map(|role| (role, fallback_role)));
        }
        // A fallback role that no member was left to hold may be disabled now, without an enabled one after it.
        let enabled = |role| !self.disabled.contains(&role);
        let all: Vec<Fallback> =
            fallbacks.into_iter().map(|(role, fallback_role)| Fallback { role, fallback_role }).collect();
        let is_useful = |fallback: &&Fallback| {
            first_enabled_fallback(&all, fallback.role, enabled).is_some() || org.fallbacks().contains(fallback)
        };
        let useful = all.iter().filter(is_useful).copied().collect();
        fallback::set(draft, self.project, org, useful);
    }
}
