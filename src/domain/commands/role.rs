//! Creates, updates and reorders roles (R1, R2, R3, R6, R10).

pub mod batch;
pub mod delete;
pub mod edits;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::commands::alias::Naming;
use crate::domain::commands::command::{CreateRole, Place, ReorderRoles, UpdateRole};
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::role::edits::{complete_order, count_reordering, free_rank, set_order};
use crate::domain::commands::{alias, role_mapping};
use crate::domain::model::etag;
use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::model::name::RoleName;
use crate::domain::model::project::RoleStructure;
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::role::Role;
use crate::domain::rules::role::{position, role_order_etag};
use crate::domain::state::change::{Change, Edit, Scoped};
use crate::domain::state::project::Project;

/// Creates a role at a position in the order (R2). It grants nothing. It is enabled in every mapping not listed in
/// `disabled_in`.
pub fn create(draft: &mut Draft<'_>, command: &CreateRole) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    check_name(&project, &command.name, None)?;
    draft.check_limit("roles", draft.limits().roles, project.roles.len() + 1)?;
    let disabled_in = command.disabled_in.iter().map(|name| project.role_mapping(name));
    let disabled_in: BTreeSet<RoleMappingId> = disabled_in.collect::<Result<_, _>>()?;
    let position = match &command.place {
        Place::Last => project.role_order.len(),
        Place::Above(name) => position(&project, project.role(name)?),
        Place::Below(name) => position(&project, project.role(name)?) + 1,
    };
    let rank = free_rank(draft, &project, position);
    let id = project.roles.next_id();
    let role = Role {
        name: command.name.clone(),
        description: command.description.as_str().into(),
        internal: command.internal,
        rank,
        create_time: draft.commit_time(),
        aliases: [].into(),
        version: 1,
        manages: manages(draft, &project, &command.manages, &[], Some((&command.name, id)))?,
    };
    let key = Scoped { project: project.id, id };
    draft.edit(Change::Role(Edit { key, before: None, after: Some(role) }));
    for mapping in disabled_in {
        role_mapping::disable(draft, &project, mapping, id);
    }
    Ok(Outcome::Role(draft.project(&command.project)?, id))
}

/// Looks up the roles that a role shall manage (G2). A new role may name itself.
fn managed(
    project: &Project,
    names: &[RoleName],
    new: Option<(&RoleName, RoleId)>,
) -> Result<BTreeSet<RoleId>, Refusal> {
    let itself = |name: &RoleName| new.filter(|(new, _)| *new == name).map(|(_, id)| id);
    let roles = names.iter().map(|name| itself(name).map_or_else(|| project.role(name), Ok));
    let roles: BTreeSet<RoleId> = roles.collect::<Result<_, _>>()?;
    let is = project.record.role_structure;
    if !roles.is_empty() && is == RoleStructure::SingleRole {
        let why = "each role manages the roles below it; convert the project, or leave `manages` empty";
        return Err(Refusal::WrongRoleStructure { is, why, rule: "G2" });
    }
    Ok(roles)
}

/// Like [`managed`], and refuses more pairs in the project than the limit.
fn manages(
    draft: &Draft<'_>,
    project: &Project,
    names: &[RoleName],
    before: &[RoleId],
    new: Option<(&RoleName, RoleId)>,
) -> Result<Arc<[RoleId]>, Refusal> {
    let roles = managed(project, names, new)?;
    if roles.len() > before.len() {
        let all: usize = project.roles.entries().map(|(_, role)| role.manages.len()).sum();
        draft.check_limit("managed_roles", draft.limits().managed_roles, all - before.len() + roles.len())?;
    }
    Ok(roles.into_iter().collect())
}

/// Refuses a name that another role has as its name or as an alias (R1, R3).
fn check_name(project: &Project, name: &RoleName, of: Option<RoleId>) -> Result<(), Refusal> {
    let taken = project.role_taking(name.as_str()).filter(|&id| Some(id) != of);
    match taken.and_then(|id| project.roles.get(id)) {
        Some(role) => Err(alias::taken(Noun::Role, name.as_str(), role.name.as_str())),
        None => Ok(()),
    }
}

pub fn update(draft: &mut Draft<'_>, command: &UpdateRole) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let id = project.role(&command.name)?;
    let Some(before) = project.roles.get(id) else { return Err(Refusal::Bug) };
    etag::check(command.etag.as_deref(), id.number(), before.version)?;
    let renamed = command.new_name.as_ref().filter(|&name| *name != before.name);
    if let Some(name) = renamed {
        check_name(&project, name, Some(id))?;
    }
    let internal = command.internal.unwrap_or(before.internal);
    if internal != before.internal {
        let record = &project.record;
        // A default role is visible (R5).
        if internal && [record.default_role, record.default_owner_role].contains(&id) {
            let why = "it would be internal; name another first".into();
            return Err(Refusal::DefaultRoleUnsuitable { role: before.name.clone(), deleting: false, why });
        }
        let members = project.holders(id, draft.now());
        let invitations = project.invitations_to(id, draft.now());
        let mut domains = 0;
        project.for_each_domain_with(id, |_, _| domains += 1);
        if members + invitations + domains > 0 {
            return Err(Refusal::RoleInUse { role: before.name.clone(), members, invitations, domains });
        }
    }
    let naming = Naming { name: &before.name, new_name: renamed, kept: command.aliases.as_deref() };
    let after = Role {
        name: renamed.unwrap_or(&before.name).clone(),
        description: command.description.as_deref().map_or_else(|| before.description.clone(), Into::into),
        internal,
        aliases: naming.aliases(draft, &before.aliases)?,
        manages: match &command.manages {
            Some(names) => manages(draft, &project, names, &before.manages, None)?,
            None => before.manages.clone(),
        },
        ..Role::clone(before)
    };
    if after != **before {
        let key = Scoped { project: project.id, id };
        let after = Role { version: before.version + 1, ..after };
        draft.edit(Change::Role(Edit { key, before: Some(Role::clone(before)), after: Some(after) }));
    }
    Ok(Outcome::Role(draft.project(&command.project)?, id))
}

pub fn reorder(draft: &mut Draft<'_>, command: &ReorderRoles) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let now = role_order_etag(&project);
    if command.etag.as_ref().is_some_and(|expected| *expected != now) {
        return Err(Refusal::EtagMismatch { now });
    }
    let order = complete_order(&project, &command.roles)?;
    if order != **project.role_order {
        set_order(draft, &project, &order);
        count_reordering(draft, &project);
    }
    Ok(Outcome::RolesReordered(draft.project(&command.project)?))
}
