//! The messages of configurations.

use crate::domain::Project;
use crate::domain::model::id::RoleId;
use crate::domain::model::refusal::Noun;
use crate::domain::rules::configuration::{Action, FieldChange, Object, Step};
use crate::domain::state::role_mapping::RoleMapping;
use crate::wire::resource::texts;
use crate::wire::{self, ConfigurationAction, ConfigurationObjectKind};

/// Returns the configuration of a project.
pub fn configuration(project: &Project) -> wire::Configuration {
    let shown = wire::resource::project(project);
    let permissions = project.permissions.entries().map(|(_, permission)| wire::ConfiguredPermission {
        name: permission.name.to_string(),
        description: permission.description.to_string(),
        aliases: texts(&permission.aliases),
        renamed_from: String::new(),
    });
    let mut permissions: Vec<_> = permissions.collect();
    permissions.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let role = |id: &RoleId| {
        let role = project.roles.get(*id)?;
        let mut manages: Vec<String> = role.manages.iter().map(|&id| project.role_name(id).to_string()).collect();
        manages.sort_unstable();
        Some(wire::ConfiguredRole {
            name: role.name.to_string(),
            description: role.description.to_string(),
            internal: role.internal,
            manages,
            aliases: texts(&role.aliases),
            renamed_from: String::new(),
        })
    };
    let mut role_mappings: Vec<_> =
        project.role_mappings.entries().map(|(_, mapping)| role_mapping(project, mapping)).collect();
    role_mappings.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    wire::Configuration {
        display_name: shown.display_name,
        environment: shown.environment,
        role_structure: shown.role_structure,
        default_role: shown.default_role,
        default_owner_role: shown.default_owner_role,
        default_role_mapping: shown.default_role_mapping,
        permissions,
        roles: project.role_order.iter().filter_map(role).collect(),
        role_mappings,
    }
}

fn role_mapping(project: &Project, mapping: &RoleMapping) -> wire::ConfiguredRoleMapping {
    let record = &mapping.record;
    let mut disabled: Vec<String> =
        record.disabled_roles.iter().map(|&role| project.role_name(role).to_string()).collect();
    disabled.sort_unstable();
    let row = |&id: &RoleId| {
        let permissions = texts(&project.permission_names(mapping.row(id)?));
        Some(wire::ConfiguredGrants { role: project.role_name(id).to_string(), permissions })
    };
    wire::ConfiguredRoleMapping {
        name: record.name.to_string(),
        description: record.description.to_string(),
        disabled_roles: disabled,
        grants: project.role_order.iter().filter_map(row).filter(|row| !row.permissions.is_empty()).collect(),
        on_disabled: None,
        aliases: texts(&record.aliases),
        renamed_from: String::new(),
    }
}

/// Returns about how many bytes the grants of a configuration take, which are most of it.
pub fn grant_bytes(project: &Project) -> usize {
    let names = |id| project.permissions.get(id).map_or(0, |permission| permission.name.as_str().len() + 3);
    let rows = project.role_mappings.entries().flat_map(|(_, mapping)| mapping.rows.iter());
    rows.map(|row| row.iter().map(names).sum::<usize>()).sum()
}

pub fn step(step: &Step) -> wire::ConfigurationStep {
    let action = match step.action {
        Action::Create => ConfigurationAction::Create,
        Action::Update => ConfigurationAction::Update,
        Action::Delete => ConfigurationAction::Delete,
    };
    wire::ConfigurationStep {
        action: action.into(),
        object: Some(object(&step.object)),
        changes: step.changes.iter().map(change).collect(),
    }
}

pub fn object(object: &Object) -> wire::ConfigurationObject {
    let kind = match object.noun {
        Noun::Project => ConfigurationObjectKind::Project,
        Noun::Permission => ConfigurationObjectKind::Permission,
        Noun::Role => ConfigurationObjectKind::Role,
        Noun::RoleMapping => ConfigurationObjectKind::RoleMapping,
        // No configuration has these.
        Noun::Org | Noun::OrgDomain | Noun::Member | Noun::Invitation | Noun::ApiKey => {
            ConfigurationObjectKind::Unspecified
        }
    };
    wire::ConfigurationObject { kind: kind.into(), name: object.name.clone() }
}

fn change(change: &FieldChange) -> wire::ConfigurationChange {
    wire::ConfigurationChange {
        field: change.field.into(),
        role: change.role.clone(),
        before: change.before.clone(),
        after: change.after.clone(),
        removed: change.removed.clone(),
        added: change.added.clone(),
    }
}
