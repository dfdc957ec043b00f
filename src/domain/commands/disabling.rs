//! What becomes of those who hold a role when it turns from enabled to disabled for them, as the caller says (M7), and of
//! those whose suspended role is enabled again: its fallback role goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::commands::command::OnDisabled;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::{fallback, replacement, role_set};
use crate::domain::model::fallback::{Fallback, fallback_of};
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

/// The caller's answer, its names looked up.
enum Answer {
    Reject,
    Remap { replacements: BTreeMap<RoleId, RoleId>, default_replacement: Option<RoleId> },
    Suspend { fallback_role: Option<RoleId> },
}

/// Roles being disabled and enabled for orgs, all of which get the same mapping, or stay with it while it changes.
pub struct Disabling<'a> {
    project: &'a Project,
    answer: Answer,
    /// The roles that are disabled afterwards.
    disabled: BTreeSet<RoleId>,
    /// What orgs of a mapping lose, found once for all of them.
    lost: BTreeMap<RoleMappingId, Arc<BTreeSet<RoleId>>>,
    /// The sets made in the place of others, for members of orgs that come from a mapping.
    remapped: BTreeMap<(RoleMappingId, RoleSetId), RoleSetId>,
}

/// Members who would lose a role without having been asked about.
#[derive(Default)]
struct Uncovered {
    held: BTreeMap<RoleId, u64>,
    members: u64,
    orgs: u64,
}

impl<'a> Disabling<'a> {
    /// Looks up what the caller said; the roles named must be enabled in the mapping that results, whose name this is.
    pub fn new(
        project: &'a Project,
        on_disabled: &OnDisabled,
        disabled: BTreeSet<RoleId>,
        role_mapping: &RoleMappingName,
    ) -> Result<Self, Refusal> {
        let to = |name: &RoleName| {
            let role = project.role(name)?;
            if disabled.contains(&role) {
                let role = project.role_name(role);
                return Err(Refusal::RoleDisabled { role, role_mapping: role_mapping.clone() });
            }
            Ok(role)
        };
        let answer = match on_disabled {
            OnDisabled::Reject => Answer::Reject,
            OnDisabled::Remap { replacements, default_replacement } => {
                let mut entries = BTreeMap::new();
                for (name, other) in replacements {
                    let (role, other) = (project.role(name)?, to(other)?);
                    check_replacement(project, role, other)?;
                    if entries.insert(role, other).is_some() {
                        return Err(Refusal::RemappedTwice { role: name.clone() });
                    }
                }
                Answer::Remap {
                    replacements: entries,
                    default_replacement: default_replacement.as_ref().map(to).transpose()?,
                }
            }
            OnDisabled::Suspend { fallback_role } => {
                let fallback_role = fallback_role.as_ref().map(to).transpose()?;
                if let Some(role) = fallback_role.filter(|&role| !project.is_visible(role)) {
                    return Err(Refusal::FallbackRoleInternal { role: project.role_name(role) });
                }
                Answer::Suspend { fallback_role }
            }
        };
        Ok(Self { project, answer, disabled, lost: BTreeMap::new(), remapped: BTreeMap::new() })
    }

    /// The same, for orgs that move to a mapping.
    pub fn moving(project: &'a Project, to: RoleMappingId, on_disabled: &OnDisabled) -> Result<Self, Refusal> {
        let Some(mapping) = project.role_mappings.get(to) else { return Err(Refusal::Panicked) };
        let disabled = mapping.record.disabled_roles.iter().copied().collect();
        Self::new(project, on_disabled, disabled, &mapping.record.name)
    }

    /// Refuses where a member of these orgs would lose a role that the caller's answer does not cover.
    pub fn covered<'o>(&mut self, orgs: impl Iterator<Item = &'o Org>, now: Time) -> Result<(), Refusal> {
        if matches!(self.answer, Answer::Suspend { .. }) {
            return Ok(());
        }
        let mut uncovered = Uncovered::default();
        for org in orgs {
            let lost = self.lost(org);
            if lost.is_empty() {
                continue;
            }
            let before = uncovered.members;
            self.project.each_membership(org, |it| {
                let mut roles = self.loses(org, it, &lost, now);
                roles.retain(|&role| self.becomes(role).is_none());
                uncovered.members += u64::from(!roles.is_empty());
                roles.into_iter().for_each(|role| *uncovered.held.entry(role).or_default() += 1);
            });
            uncovered.orgs += u64::from(uncovered.members > before);
        }
        if uncovered.members == 0 {
            return Ok(());
        }
        let held = uncovered.held.into_iter().map(|(role, count)| (self.project.role_name(role), count)).collect();
        Err(Refusal::RolesWouldBeDisabled { held, members: uncovered.members, orgs: uncovered.orgs })
    }

    /// Does to the members of an org what the caller said, which covers all of them. The org itself is not moved.
    pub fn apply(&mut self, draft: &mut Draft<'_>, org: &Org) -> Result<(), Refusal> {
        let lost = self.lost(org);
        if matches!(self.answer, Answer::Remap { .. }) && !lost.is_empty() {
            self.remap(draft, org, &lost)?;
        }
        self.fallbacks(draft, org, &lost);
        Ok(())
    }

    fn mapping(&self, org: &Org) -> Option<&RoleMapping> {
        self.project.role_mappings.get(org.record.role_mapping).map(AsRef::as_ref)
    }

    /// The roles that turn from enabled to disabled for an org.
    fn lost(&mut self, org: &Org) -> Arc<BTreeSet<RoleId>> {
        let from = org.record.role_mapping;
        if let Some(lost) = self.lost.get(&from) {
            return lost.clone();
        }
        let enabled = |role: &RoleId| self.mapping(org).is_some_and(|mapping| mapping.enabled(*role));
        let lost: Arc<BTreeSet<RoleId>> = Arc::new(self.disabled.iter().copied().filter(enabled).collect());
        self.lost.insert(from, lost.clone());
        lost
    }

    /// What a member loses: roles of its own, and what stands in for one that stays suspended.
    fn loses(&self, org: &Org, it: Recorded<'_>, lost: &BTreeSet<RoleId>, now: Time) -> BTreeSet<RoleId> {
        let in_place = |role| self.project.fallback_of(org, role).filter(|_| self.disabled.contains(&role));
        let roles = it.held(now).filter_map(|role| if lost.contains(&role) { Some(role) } else { in_place(role) });
        roles.filter(|role| lost.contains(role)).collect()
    }

    /// What takes the place of a role that is disabled; none, if the caller did not say.
    fn becomes(&self, role: RoleId) -> Option<RoleId> {
        let Answer::Remap { replacements, default_replacement } = &self.answer else { return None };
        let alike = |other: &RoleId| self.project.is_visible(*other) == self.project.is_visible(role);
        replacements.get(&role).copied().or_else(|| default_replacement.filter(alike))
    }

    fn remap(&mut self, draft: &mut Draft<'_>, org: &Org, lost: &BTreeSet<RoleId>) -> Result<(), Refusal> {
        let project = self.project;
        let mut sets = BTreeSet::new();
        project.each_membership(org, |it| {
            if it.temporary.is_empty() && it.set.roles.iter().any(|role| lost.contains(role)) {
                sets.insert(it.set_id);
            }
        });
        let mut with_temporary_roles = Vec::new();
        org.for_each_with_temporary_roles(|user| with_temporary_roles.push(user));
        for user in with_temporary_roles {
            let Some(before) = project.membership(org, user) else { continue };
            let replacement_of =
                |role, held: bool| if held && lost.contains(&role) { self.becomes(role) } else { Some(role) };
            let loses =
                project.recorded_in(&before).is_some_and(|it| it.held(draft.now()).any(|it| lost.contains(&it)));
            if loses {
                let after = replacement::record(draft, project, &before, replacement_of)?;
                let key = MembershipKey { project: project.id, org: org.no, user: user.clone() };
                draft.edit(Change::Membership(Edit { key, before: Some(before), after }));
            }
        }
        let mut others = Vec::with_capacity(sets.len());
        for &set in &sets {
            others.push(self.remapped(draft, org.record.role_mapping, set, lost)?);
        }
        if !sets.is_empty() {
            let key = Scoped { project: project.id, id: org.no };
            let (before, after) = (Some(sets.into_iter().collect()), Some(others.into()));
            draft.edit(Change::Remap(Edit { key, before, after }));
        }
        Ok(())
    }

    /// The set in the place of another: new, so that whoever has it is known to have got it here.
    fn remapped(
        &mut self,
        draft: &mut Draft<'_>,
        from: RoleMappingId,
        set_id: RoleSetId,
        lost: &BTreeSet<RoleId>,
    ) -> Result<RoleSetId, Refusal> {
        if let Some(&known) = self.remapped.get(&(from, set_id)) {
            return Ok(known);
        }
        let Some(set) = self.project.role_sets.get(set_id) else { return Err(Refusal::Panicked) };
        let other = set.migrated(|role| if lost.contains(&role) { self.becomes(role) } else { Some(role) });
        let other = role_set::add(draft, self.project.id, other)?;
        self.remapped.insert((from, set_id), other);
        Ok(other)
    }

    /// Those of roles that are enabled again go. One that is disabled now stays, with what stands in for it, or another
    /// takes its place.
    fn fallbacks(&self, draft: &mut Draft<'_>, org: &Org, lost: &BTreeSet<RoleId>) {
        let stay = org.fallbacks().iter().filter(|it| self.disabled.contains(&it.role)).map(|it| match &self.answer {
            Answer::Remap { .. } if lost.contains(&it.fallback_role) => {
                Fallback { fallback_role: self.becomes(it.fallback_role).unwrap_or(it.fallback_role), ..*it }
            }
            _ => *it,
        });
        let mut fallbacks: BTreeMap<RoleId, RoleId> = stay.map(|it| (it.role, it.fallback_role)).collect();
        if let Answer::Suspend { fallback_role: Some(fallback_role) } = self.answer
            && !lost.is_empty()
        {
            let now = draft.now();
            let mut held = BTreeSet::new();
            self.project.each_membership(org, |it| held.extend(self.loses(org, it, lost, now)));
            let visible = held.into_iter().filter(|&role| self.project.is_visible(role));
            fallbacks.extend(visible.map(|role| (role, fallback_role)));
        }
        // What nobody was left to hold may name a role that is disabled now, and lead nowhere.
        let enabled = |role| !self.disabled.contains(&role);
        let all: Vec<Fallback> =
            fallbacks.into_iter().map(|(role, fallback_role)| Fallback { role, fallback_role }).collect();
        let leads = |it: &&Fallback| fallback_of(&all, it.role, enabled).is_some() || org.fallbacks().contains(it);
        let all = all.iter().filter(leads).copied().collect();
        fallback::set(draft, self.project, org, all);
    }
}
