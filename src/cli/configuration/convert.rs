//! Converts documents to requests of the API, and configurations of the API to documents.

use super::document::{
    DeletedRole, DeletedRoleMapping, Document, Environment, OnDisabled, Permission, Role, RoleMapping, RoleStructure,
    Strategy,
};
use crate::cli::table::plain;
use crate::cli::trouble::Trouble;
use crate::domain::model::permission::BUILT_INS;
use crate::wire::{self, DisabledRoleStrategy};

/// What is said beside a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::Args)]
pub struct Options {
    /// Also deletes what the document does not name: permissions, roles, role mappings and aliases.
    #[arg(long)]
    pub prune: bool,

    /// Allows another default owner role or role structure that leaves orgs without an owner.
    #[arg(long)]
    pub allow_ownerless: bool,
}

/// Returns the request that applies a document. Only what the contract has in another form is checked here.
pub fn request(document: &Document, options: Options) -> Result<wire::ApplyConfigurationRequest, Trouble> {
    let mut defaults = document.role_mappings.iter().filter(|mapping| mapping.default);
    let (Some(default), None) = (defaults.next(), defaults.next()) else {
        let what = "the document must have exactly one role mapping with `default: true`";
        return Err(Trouble::new(what, "new orgs get the default role mapping; choose one"));
    };
    let permission = |permission: &Permission| wire::ConfiguredPermission {
        name: permission.name.clone(),
        description: permission.description.clone(),
        aliases: permission.aliases.clone(),
        renamed_from: permission.renamed_from.clone().unwrap_or_default(),
    };
    let role = |role: &Role| wire::ConfiguredRole {
        name: role.name.clone(),
        description: role.description.clone(),
        internal: role.internal,
        manages: role.manages.clone(),
        aliases: role.aliases.clone(),
        renamed_from: role.renamed_from.clone().unwrap_or_default(),
    };
    let grants = |(role, permissions): (&String, &Vec<String>)| wire::ConfiguredGrants {
        role: role.clone(),
        permissions: permissions.clone(),
    };
    let role_mapping = |mapping: &RoleMapping| wire::ConfiguredRoleMapping {
        name: mapping.name.clone(),
        description: mapping.description.clone(),
        disabled_roles: mapping.disabled_roles.clone(),
        grants: mapping.grants.iter().map(grants).collect(),
        on_disabled: mapping.on_disabled.as_ref().map(on_disabled),
        aliases: mapping.aliases.clone(),
        renamed_from: mapping.renamed_from.clone().unwrap_or_default(),
    };
    let deleted_role = |deleted: &DeletedRole| wire::DeletedRole {
        name: deleted.name.clone(),
        replacement: deleted.replacement.clone().unwrap_or_default(),
    };
    let deleted_role_mapping = |deleted: &DeletedRoleMapping| wire::DeletedRoleMapping {
        name: deleted.name.clone(),
        move_subscribers_to: deleted.move_subscribers_to.clone().unwrap_or_default(),
        on_disabled: deleted.on_disabled.as_ref().map(on_disabled),
    };
    Ok(wire::ApplyConfigurationRequest {
        project: document.project.clone(),
        configuration: Some(wire::Configuration {
            display_name: document.display_name.clone().unwrap_or_default(),
            environment: environment(document).into(),
            role_structure: role_structure(document).into(),
            default_role: document.default_role.clone(),
            default_owner_role: document.default_owner_role.clone(),
            default_role_mapping: default.name.clone(),
            permissions: document.permissions.iter().map(permission).collect(),
            roles: document.roles.iter().map(role).collect(),
            role_mappings: document.role_mappings.iter().map(role_mapping).collect(),
        }),
        deleted_permissions: document.deleted_permissions.clone(),
        deleted_roles: document.deleted_roles.iter().map(deleted_role).collect(),
        deleted_role_mappings: document.deleted_role_mappings.iter().map(deleted_role_mapping).collect(),
        prune: options.prune,
        allow_ownerless: options.allow_ownerless,
        ..Default::default()
    })
}

/// Returns the document of a configuration. Built-in permissions are in it only if they are described otherwise.
pub fn document(project: &str, configuration: wire::Configuration) -> Document {
    let environment = match configuration.environment() {
        wire::Environment::Test => Some(Environment::Test),
        wire::Environment::Live => Some(Environment::Live),
        wire::Environment::Unspecified => None,
    };
    let role_structure = match configuration.role_structure() {
        wire::RoleStructure::SingleRole => Some(RoleStructure::SingleRole),
        wire::RoleStructure::MultiRole => Some(RoleStructure::MultiRole),
        wire::RoleStructure::Unspecified => None,
    };
    let permission = |permission: wire::ConfiguredPermission| Permission {
        name: permission.name,
        description: permission.description,
        aliases: permission.aliases,
        renamed_from: None,
    };
    let is_plain_built_in =
        |permission: &Permission| BUILT_INS.contains(&(permission.name.as_str(), permission.description.as_str()));
    let role = |role: wire::ConfiguredRole| Role {
        name: role.name,
        description: role.description,
        internal: role.internal,
        manages: role.manages,
        aliases: role.aliases,
        renamed_from: None,
    };
    let default = configuration.default_role_mapping;
    let role_mapping = |mapping: wire::ConfiguredRoleMapping| RoleMapping {
        default: mapping.name == default,
        name: mapping.name,
        description: mapping.description,
        disabled_roles: mapping.disabled_roles,
        grants: mapping.grants.into_iter().map(|row| (row.role, row.permissions)).collect(),
        on_disabled: None,
        aliases: mapping.aliases,
        renamed_from: None,
    };
    let permissions = configuration.permissions.into_iter().map(permission);
    Document {
        project: project.into(),
        display_name: Some(configuration.display_name).filter(|name| !name.is_empty()),
        environment,
        role_structure,
        default_role: configuration.default_role,
        default_owner_role: configuration.default_owner_role,
        permissions: permissions.filter(|permission| !is_plain_built_in(permission)).collect(),
        roles: configuration.roles.into_iter().map(role).collect(),
        role_mappings: configuration.role_mappings.into_iter().map(role_mapping).collect(),
        ..Document::default()
    }
}

pub fn environment(document: &Document) -> wire::Environment {
    match document.environment {
        Some(Environment::Test) => wire::Environment::Test,
        Some(Environment::Live) => wire::Environment::Live,
        None => wire::Environment::Unspecified,
    }
}

fn role_structure(document: &Document) -> wire::RoleStructure {
    match document.role_structure {
        Some(RoleStructure::SingleRole) => wire::RoleStructure::SingleRole,
        Some(RoleStructure::MultiRole) => wire::RoleStructure::MultiRole,
        None => wire::RoleStructure::Unspecified,
    }
}

fn on_disabled(given: &OnDisabled) -> wire::OnDisabled {
    let strategy = match given.strategy {
        Strategy::Reject => DisabledRoleStrategy::Reject,
        Strategy::Suspend => DisabledRoleStrategy::Suspend,
        Strategy::Remap => DisabledRoleStrategy::Remap,
    };
    let replacement = |(role, replacement): (&String, &String)| wire::RoleReplacement {
        role: role.clone(),
        replacement: replacement.clone(),
    };
    wire::OnDisabled {
        strategy: strategy.into(),
        replacements: given.replacements.iter().map(replacement).collect(),
        default_replacement: given.default_replacement.clone().unwrap_or_default(),
        fallback_role: given.fallback_role.clone().unwrap_or_default(),
    }
}

/// Reads a document from a file.
pub fn read(path: &std::path::Path) -> Result<Document, Trouble> {
    let shown = plain(&path.display().to_string());
    let text = std::fs::read_to_string(path).map_err(|error| {
        Trouble::new(format!("{shown} cannot be read: {error}"), "`rolecall export -o FILE` writes such a file")
    })?;
    Document::from_yaml(&text).map_err(|error| {
        Trouble::new(
            format!("{shown} is no configuration: {error}"),
            "`rolecall export --schema` prints its JSON schema",
        )
    })
}
