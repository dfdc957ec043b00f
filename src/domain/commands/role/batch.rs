//! Creates many roles with what they grant, all or none (R2). Importers use it.

use std::collections::BTreeMap;

use crate::domain::commands::command::{BatchCreateRoles, NewRole};
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::role::{check_name, managed};
use crate::domain::commands::role_mapping::{self, NewRows};
use crate::domain::model::id::RoleMappingId;
use crate::domain::model::name::ProjectKey;
use crate::domain::model::permission::PermissionSet;
use crate::domain::model::refusal::{Refusal, Rows};
use crate::domain::model::role::{RANK_STEP, Role};
use crate::domain::state::change::{Change, Edit, Scoped};

/// Creates the roles in their order, below all other roles. Each mapping is changed once.
pub fn create(draft: &mut Draft<'_>, command: &BatchCreateRoles) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    draft.check_limit("roles", draft.limits().roles, project.roles.len() + command.roles.len())?;
    let mut pairs = 0;
    let mut mappings: BTreeMap<RoleMappingId, NewRows> = BTreeMap::new();
    let mut rows = Rows::default();
    for (number, new) in command.roles.iter().enumerate() {
        match create_one(draft, &command.project, new, &mut mappings) {
            Ok(managed) => pairs += managed,
            Err(refusal) => rows.push(number, refusal),
        }
    }
    rows.refuse_if_any()?;
    if pairs > 0 {
        let before: usize = project.roles.entries().map(|(_, role)| role.manages.len()).sum();
        draft.check_limit("managed_roles", draft.limits().managed_roles, before + pairs)?;
    }
    for (id, new) in mappings {
        role_mapping::add_roles(draft, &project, id, new)?;
    }
    role_mapping::check_grants(draft, &project)?;
    Ok(Outcome::RolesCreated(command.roles.len()))
}

/// Creates one role and notes what it is in the mappings. Returns how many roles it manages.
fn create_one(
    draft: &mut Draft<'_>,
    project: &ProjectKey,
    new: &NewRole,
    mappings: &mut BTreeMap<RoleMappingId, NewRows>,
) -> Result<usize, Refusal> {
    let (key, role) = {
        let project = draft.project(project)?;
        check_name(&project, &new.name, None)?;
        let id = project.roles.next_id();
        for name in &new.disabled_in {
            mappings.entry(project.role_mapping(name)?).or_default().disabled.insert(id);
        }
        for (name, permissions) in &new.grants {
            let granted = permissions.iter().map(|name| project.permission(name));
            let granted = granted.collect::<Result<PermissionSet, _>>()?;
            let row = mappings.entry(project.role_mapping(name)?).or_default().rows.entry(id).or_default();
            *row = row.edited(&PermissionSet::default(), &granted);
        }
        let lowest = project.role_order.last().and_then(|&role| project.roles.get(role)).map_or(0, |role| role.rank);
        let role = Role {
            name: new.name.clone(),
            description: new.description.as_str().into(),
            internal: new.internal,
            rank: lowest + RANK_STEP,
            create_time: draft.commit_time(),
            aliases: [].into(),
            version: 1,
            manages: managed(&project, &new.manages, Some((&new.name, id)))?.into_iter().collect(),
        };
        (Scoped { project: project.id, id }, role)
    };
    // The reference to the project is dropped: otherwise each role would copy the order of roles.
    let managed = role.manages.len();
    draft.edit(Change::Role(Edit { key, before: None, after: Some(role) }));
    Ok(managed)
}
