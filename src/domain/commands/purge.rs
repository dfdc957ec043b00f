//! Purges deleted data in chunks (S5, P6).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::commands::command::Purge;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::membership::removal;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::{fallback, org_domain};
use crate::domain::model::lifecycle::Lifecycle;
use crate::domain::model::org::{OrgProfile, OrgRecord};
use crate::domain::model::permission::{Permission, PermissionSet};
use crate::domain::model::project::ProjectRecord;
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role::Role;
use crate::domain::model::role_set::RoleSet;
use crate::domain::state::change::{Change, Edit, GrantsKey, InvitationKey, MembershipKey, Scoped, UserKey};
use crate::domain::state::project::Project;
use crate::limits::PURGE_ROWS_MAX;

/// Purges memberships of deleted orgs, projects and role sets, and with the last one also these. It purges only deleted
/// data, even if the command names other data.
pub fn purge(draft: &mut Draft<'_>, command: &Purge) -> Result<Outcome, Refusal> {
    let Some(project) = draft.state().project_numbered(command.project).cloned() else { return Ok(Outcome::Purged(0)) };
    // Each once, even if it is named several times.
    for (no, user) in command.members.iter().collect::<BTreeSet<_>>() {
        let Some(org) = project.org_numbered(*no) else { continue };
        let record = project.membership(org, user);
        if let Some(before) = record.filter(|record| project.is_deleted(org, record.role_set)) {
            let key = MembershipKey { project: project.id, org: *no, user: user.clone() };
            draft.edit(Change::Membership(Edit { key, before: Some(before), after: None }));
        }
        if !project.record.lifecycle.exists() || !org.record.lifecycle.exists() {
            removal::forget(draft, &project, org, user);
        }
    }
    if command.last {
        let project = draft.latest(&project)?;
        let rows = purge_invitations(draft, &project);
        if rows >= PURGE_ROWS_MAX {
            return Ok(Outcome::Purged(draft.changes().len()));
        }
        let project = draft.latest(&project)?;
        purge_orgs(draft, &project);
        purge_role_sets(draft, &project);
        if project.is_being_purged() && project.orgs_being_purged().is_empty() {
            purge_project(draft, &project);
        }
    }
    Ok(Outcome::Purged(draft.changes().len()))
}

/// Purges pending invitations of deleted orgs, or of all orgs of a deleted project. Returns how many.
fn purge_invitations(draft: &mut Draft<'_>, project: &Project) -> usize {
    let mut orgs = Vec::new();
    if project.is_being_purged() {
        project.for_each_org(|org| orgs.push(org));
    }
    project.for_each_deleted_org(|org| orgs.push(org));
    orgs.retain(|org| org.invitations_len() > 0);
    orgs.sort_unstable_by_key(|org| org.no);
    let invitations = orgs.into_iter().flat_map(|org| org.invitations().into_iter().map(|it| (org.no, it)));
    let mut rows = 0;
    for (org, invitation) in invitations.take(PURGE_ROWS_MAX) {
        let key = InvitationKey { project: project.id, org, id: invitation.id };
        draft.edit(Change::Invitation(Edit { key, before: Some(invitation.record.clone()), after: None }));
        rows += 1;
    }
    rows
}

/// Keeps only the number and the id of an org.
fn purge_orgs(draft: &mut Draft<'_>, project: &Project) {
    for &no in project.orgs_being_purged().iter().take(PURGE_ROWS_MAX) {
        let Some(org) = project.org_numbered(no).filter(|org| org.memberships_len() + org.removed_len() == 0) else {
            continue;
        };
        fallback::set(draft, project, org, Vec::new());
        org_domain::replace(draft, project, org, Vec::new());
        let before = org.record.clone();
        let profile = OrgProfile { display_name: "".into(), metadata: "".into(), ..OrgProfile::clone(&before.profile) };
        let deleted_at = before.lifecycle.deleted_at().unwrap_or(draft.commit_time());
        let after =
            OrgRecord { profile: Arc::new(profile), lifecycle: Lifecycle::Purged(deleted_at), ..before.clone() };
        let key = Scoped { project: project.id, id: no };
        draft.edit(Change::Org(Edit { key, before: Some(before), after: Some(after) }));
    }
}

fn purge_role_sets(draft: &mut Draft<'_>, project: &Project) {
    if project.role_sets_being_purged().is_empty() {
        return;
    }
    let unused = project.unused_role_sets();
    for id in unused.into_iter().filter(|id| project.role_sets_being_purged().contains(id)) {
        let before = project.role_sets.get(id).map(|set| RoleSet::clone(set));
        draft.edit(Change::RoleSet(Edit { key: Scoped { project: project.id, id }, before, after: None }));
    }
}

/// Purges a part of a deleted project, dependents first. Keeps only the key of the project.
fn purge_project(draft: &mut Draft<'_>, project: &Project) {
    // Memberships depend on all other records, so they must be purged first.
    if project.has_members_to_purge() {
        return;
    }
    let mut rows = 0;
    for (change, weight) in remains(project) {
        if rows >= PURGE_ROWS_MAX {
            return;
        }
        rows += weight.max(1);
        draft.edit(change);
    }
    let before = ProjectRecord::clone(&project.record);
    let deleted_at = before.lifecycle.deleted_at().unwrap_or(draft.commit_time());
    let after = ProjectRecord { display_name: "".into(), lifecycle: Lifecycle::Purged(deleted_at), ..before.clone() };
    draft.edit(Change::Project(Edit { key: project.id, before: Some(before), after: Some(after) }));
}

/// Returns the changes that delete all records of a project, and how many rows each change costs.
fn remains(project: &Project) -> impl Iterator<Item = (Change, usize)> {
    let in_project = project.id;
    let mut orgs = Vec::new();
    project.for_each_org(|org| orgs.push(org));
    project.for_each_deleted_org(|org| orgs.push(org));
    let orgs = orgs.into_iter().flat_map(move |org| {
        let key = Scoped { project: in_project, id: org.no };
        let fallbacks = org.fallbacks.clone();
        let domains = org.domains.clone();
        let domains = domains.map(|before| {
            let weight = before.len();
            (Change::OrgDomains(Edit { key, before: Some(before), after: None }), weight)
        });
        let weight = fallbacks.as_deref().map_or(0, <[_]>::len);
        let fallbacks =
            fallbacks.map(|before| (Change::Fallbacks(Edit { key, before: Some(before), after: None }), weight));
        fallbacks
            .into_iter()
            .chain(domains)
            .chain([(Change::Org(Edit { key, before: Some(org.record.clone()), after: None }), 1)])
    });
    let mut blocked = Vec::new();
    project.for_each_blocked(|user| blocked.push(user));
    let blocks = blocked.into_iter().map(move |blocked| {
        let key = UserKey { project: in_project, user: blocked.user.clone() };
        (Change::Block(Edit { key, before: Some(blocked.block), after: None }), 1)
    });
    let sets = project.role_sets.entries().map(move |(id, set)| {
        let key = Scoped { project: in_project, id };
        (Change::RoleSet(Edit { key, before: Some(RoleSet::clone(set)), after: None }), set.roles.len())
    });
    let mappings = project.role_mappings.entries().flat_map(move |(role_mapping, mapping)| {
        let rows = mapping.rows.entries().map(move |(role, row)| {
            let key = GrantsKey { project: in_project, role_mapping, role };
            (Change::Grants(Edit { key, before: Some(PermissionSet::clone(row)), after: None }), row.len())
        });
        let key = Scoped { project: in_project, id: role_mapping };
        let before = Some(mapping.record.clone());
        rows.chain(std::iter::once_with(move || (Change::RoleMapping(Edit { key, before, after: None }), 1)))
    });
    let roles = project.roles.entries().map(move |(id, role)| {
        let key = Scoped { project: in_project, id };
        (Change::Role(Edit { key, before: Some(Role::clone(role)), after: None }), 1)
    });
    let permissions = project.permissions.entries().map(move |(id, permission)| {
        let key = Scoped { project: in_project, id };
        (Change::Permission(Edit { key, before: Some(Permission::clone(permission)), after: None }), 1)
    });
    orgs.chain(blocks).chain(sets).chain(mappings).chain(roles).chain(permissions)
}
