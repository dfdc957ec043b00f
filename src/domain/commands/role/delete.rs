//! Deletes a role and gives its holders a replacement, in one commit (R4).
//!
//! Memberships point to role sets, and sets are few: each set with the role is rewritten. Only members with temporary
//! roles are written one by one, since each may have other expiries to combine. Sets that become unused are deleted.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::commands::command::DeleteRole;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::role::edits;
use crate::domain::commands::{fallback, invitation, replacement, role_mapping};
use crate::domain::model::etag;
use crate::domain::model::fallback::Fallback;
use crate::domain::model::id::{RoleId, RoleMappingId, RoleSetId};
use crate::domain::model::invitation::InvitationRecord;
use crate::domain::model::permission::PermissionSet;
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role::Role;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::{Time, later};
use crate::domain::rules::replacement::check_replacement;
use crate::domain::rules::usage::Recorded;
use crate::domain::state::change::{Change, Edit, GrantsKey, MembershipKey, Scoped};
use crate::domain::state::project::Project;

/// The deleted role and its replacement.
#[derive(Clone, Copy)]
struct Deletion {
    deleted: RoleId,
    replacement: Option<RoleId>,
    now: Time,
}

/// The holders of the role, found by one scan of all memberships.
#[derive(Default)]
struct Holders {
    members: u64,
    /// For each mapping, the number of members, invitations and e-mail domains that get the replacement.
    migrated: BTreeMap<RoleMappingId, u64>,
    /// The sets of members, invitations and e-mail domains that keep their set, which is rewritten.
    sets: BTreeSet<RoleSetId>,
}

pub fn delete(draft: &mut Draft<'_>, command: &DeleteRole) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let deleted = project.role(&command.name)?;
    let Some(role) = project.roles.get(deleted) else { return Err(Refusal::Bug) };
    etag::check(command.etag.as_deref(), deleted.number(), role.version)?;
    let record = &project.record;
    // A default role cannot be deleted (R5).
    if [record.default_role, record.default_owner_role].contains(&deleted) {
        let why = "it is the project's default role or default owner role; name another first".into();
        return Err(Refusal::DefaultRoleUnsuitable { role: role.name.clone(), deleting: true, why });
    }
    let deletion = Deletion { deleted, replacement: replacement(&project, command, deleted)?, now: draft.now() };
    let holders = deletion.holders(&project);
    deletion.check_replacement_enabled(&project, &holders)?;

    deletion.revoke_invitations(draft, &project);
    deletion.rewrite_sets(draft, &project, &holders);
    deletion.rewrite_members(draft, &project)?;
    deletion.remove_from_mappings(draft, &project);
    deletion.remove_from_fallbacks(draft, &project);
    deletion.remove_from_managers(draft, &project);
    let key = Scoped { project: project.id, id: deleted };
    draft.edit(Change::Role(Edit { key, before: Some(Role::clone(role)), after: None }));
    Ok(Outcome::Deleted(holders.members))
}

/// Returns the named replacement, else the default role. `None` for an internal role without a named one.
fn replacement(project: &Project, command: &DeleteRole, deleted: RoleId) -> Result<Option<RoleId>, Refusal> {
    let id = match &command.replacement {
        Some(name) => project.role(name)?,
        None if !project.is_visible(deleted) => return Ok(None),
        None => project.record.default_role,
    };
    check_replacement(project, deleted, id)?;
    Ok(Some(id))
}

impl Deletion {
    fn replacement_of(self, role: RoleId) -> Option<RoleId> {
        if role == self.deleted { self.replacement } else { Some(role) }
    }

    fn holders(self, project: &Project) -> Holders {
        let mut holders = Holders::default();
        project.for_each_org(|org| {
            project.each_membership(org, |member| {
                let own = member.holds(self.deleted, self.now);
                // A holder of it as a fallback role gets the replacement as the fallback role.
                let as_fallback = project.holds_as_fallback(org, member, self.deleted, self.now);
                if own || as_fallback {
                    holders.members += 1;
                    let migrated = holders.migrated.entry(org.record.role_mapping).or_default();
                    *migrated += u64::from(as_fallback || self.gives_replacement(member));
                }
                if member.temporary.is_empty() && member.set.contains(self.deleted) {
                    holders.sets.insert(member.set_id);
                }
            });
            org.any_invitation(|invitation| {
                let set = invitation.record.role_set().and_then(|id| Some((id, project.role_sets.get(id)?)));
                let Some((id, set)) = set.filter(|(_, set)| set.contains(self.deleted)) else { return false };
                if !self.leaves_nothing(set) {
                    holders.sets.insert(id);
                }
                let gives = self.replacement.is_some_and(|role| !set.contains(role));
                let pending = !invitation.record.has_expired(self.now);
                *holders.migrated.entry(org.record.role_mapping).or_default() += u64::from(gives && pending);
                false
            });
        });
        // A new member by the domain would get the replacement.
        project.for_each_domain_with(self.deleted, |role_mapping, rule| {
            *holders.migrated.entry(role_mapping).or_default() += u64::from(self.replacement.is_some());
            holders.sets.extend(rule.role_set);
        });
        // Memberships of deleted orgs point to their sets until they are purged.
        project.for_each_deleted_org(|org| {
            let named = org.domains().iter().filter(|rule| project.domain_roles(rule).contains(&self.deleted));
            holders.sets.extend(named.filter_map(|rule| rule.role_set));
            project.each_membership(org, |member| {
                if member.set.contains(self.deleted) {
                    holders.sets.insert(member.set_id);
                }
            });
            holders.sets.extend(org.invitations().iter().filter_map(|invitation| invitation.record.role_set()));
        });
        holders
    }

    /// Returns true if a holder gets the replacement, or gets it for longer.
    fn gives_replacement(self, member: Recorded<'_>) -> bool {
        self.replacement.is_some_and(|replacement| {
            !member.holds(replacement, self.now)
                || later(member.expiry(self.deleted), member.expiry(replacement)) != member.expiry(replacement)
        })
    }

    /// Returns true if the deletion takes the only role of a set.
    fn leaves_nothing(self, set: &RoleSet) -> bool {
        self.replacement.is_none() && *set.roles == [self.deleted]
    }

    /// Revokes the invitations that would invite to no role.
    fn revoke_invitations(self, draft: &mut Draft<'_>, project: &Project) {
        let set = |record: &InvitationRecord| record.role_set().and_then(|id| project.role_sets.get(id));
        project.for_each_org(|org| {
            invitation::settle_where(draft, project, org, |record| {
                set(record).is_some_and(|set| self.leaves_nothing(set))
            });
        });
    }

    /// Refuses a replacement that is disabled where a member would get it.
    fn check_replacement_enabled(self, project: &Project, holders: &Holders) -> Result<(), Refusal> {
        let Some(replacement) = self.replacement else { return Ok(()) };
        let disabled = holders.migrated.iter().filter_map(|(&id, &members)| {
            let mapping = project.role_mappings.get(id)?;
            (members > 0 && !mapping.enabled(replacement)).then(|| (mapping.record.name.clone(), members))
        });
        let disabled_in: Vec<_> = disabled.collect();
        if disabled_in.is_empty() {
            return Ok(());
        }
        Err(Refusal::ReplacementDisabled { replacement: project.role_name(replacement), disabled_in })
    }

    /// Rewrites the sets that members keep, and deletes the others. Members with temporary roles get other sets.
    fn rewrite_sets(self, draft: &mut Draft<'_>, project: &Project, holders: &Holders) {
        for (id, set) in project.role_sets.entries().filter(|(_, set)| set.contains(self.deleted)) {
            let after = holders.sets.contains(&id).then(|| set.migrated(|role| self.replacement_of(role)));
            let key = Scoped { project: project.id, id };
            draft.edit(Change::RoleSet(Edit { key, before: Some(RoleSet::clone(set)), after }));
        }
    }

    fn rewrite_members(self, draft: &mut Draft<'_>, project: &Project) -> Result<(), Refusal> {
        let mut written = Vec::new();
        project.for_each_org(|org| {
            org.for_each_with_temporary_roles(|user| {
                let Some(record) = project.membership(org, user) else { return };
                let set = project.role_sets.get(record.role_set);
                if set.is_some_and(|set| set.contains(self.deleted)) {
                    written.push((org.no, user.clone(), record));
                }
            });
        });
        for (org, user, before) in written {
            let after = replacement::record(draft, project, &before, |role, _| self.replacement_of(role))?;
            let key = MembershipKey { project: project.id, org, user };
            draft.edit(Change::Membership(Edit { key, before: Some(before), after }));
        }
        Ok(())
    }

    fn remove_from_mappings(self, draft: &mut Draft<'_>, project: &Project) {
        for (id, mapping) in project.role_mappings.entries() {
            let row = mapping.row(self.deleted);
            if row.is_none() && mapping.enabled(self.deleted) {
                continue;
            }
            if let Some(row) = row {
                let key = GrantsKey { project: project.id, role_mapping: id, role: self.deleted };
                draft.edit(Change::Grants(Edit { key, before: Some(PermissionSet::clone(row)), after: None }));
            }
            role_mapping::enable(draft, project, id, self.deleted);
        }
    }

    /// Removes its fallback roles. Where it is a fallback role itself, the replacement takes over.
    fn remove_from_fallbacks(self, draft: &mut Draft<'_>, project: &Project) {
        project.for_each_org(|org| {
            let mapping = project.role_mappings.get(org.record.role_mapping);
            let enabled = |role| mapping.is_some_and(|mapping| mapping.enabled(role));
            let others = org.fallbacks().iter().filter(|fallback| fallback.role != self.deleted);
            let fallbacks = others.filter_map(|&Fallback { role, fallback_role }| {
                let replacement = self.replacement_of(fallback_role)?;
                // The replacement can be disabled only where no member holds the suspended role any more.
                let is_useful = replacement == fallback_role || enabled(replacement);
                is_useful.then_some(Fallback { role, fallback_role: replacement })
            });
            fallback::set(draft, project, org, fallbacks.collect());
        });
    }

    fn remove_from_managers(self, draft: &mut Draft<'_>, project: &Project) {
        for (id, role) in project.roles.entries() {
            if id != self.deleted && role.manages.contains(&self.deleted) {
                let manages = role.manages.iter().copied().filter(|&other| other != self.deleted).collect();
                edits::set_manages(draft, project, id, manages);
            }
        }
    }
}
