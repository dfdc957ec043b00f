//! Reads a configuration to apply.

use tonic::Status;

use super::convert::{at_most, names, optional, text};
use super::on_disabled::on_disabled_at;
use super::{convert, status};
use crate::domain::commands::command::ApplyConfiguration;
use crate::domain::commands::command::configuration::{
    DeletedRole, DeletedRoleMapping, WantedNames, WantedPermission, WantedRole, WantedRoleMapping,
};
use crate::domain::model::name::BadName;
use crate::domain::model::project::RoleStructure;
use crate::domain::{PermissionName, RoleMappingName, RoleName};
use crate::limits::{ALIASES_MAX, DESCRIPTION_BYTES_MAX, DISPLAY_NAME_BYTES_MAX, Limits};
use crate::wire;

/// Reads the request. The domain decides how many objects a project may have (P7). A project whose limits were lowered has more,
/// and its own configuration must be readable.
pub fn command(request: &wire::ApplyConfigurationRequest, limits: &Limits) -> Result<ApplyConfiguration, Status> {
    let Some(wanted) = &request.configuration else {
        return Err(status::invalid("configuration", "must be set"));
    };
    let role_structure = match wire::RoleStructure::try_from(wanted.role_structure) {
        Ok(wire::RoleStructure::Unspecified) => None,
        Ok(wire::RoleStructure::SingleRole) => Some(RoleStructure::SingleRole),
        Ok(wire::RoleStructure::MultiRole) => Some(RoleStructure::MultiRole),
        Err(_) => return Err(status::invalid("configuration.role_structure", "is unknown to this version")),
    };
    let display_name = |name: &str| text("configuration.display_name", name, DISPLAY_NAME_BYTES_MAX);
    Ok(ApplyConfiguration {
        project: convert::project(&request.project)?,
        etag: convert::etag(&request.etag),
        display_name: optional(&wanted.display_name, display_name)?,
        role_structure,
        default_role: convert::role("configuration.default_role", &wanted.default_role)?,
        default_owner_role: convert::role("configuration.default_owner_role", &wanted.default_owner_role)?,
        default_role_mapping: convert::role_mapping(
            "configuration.default_role_mapping",
            &wanted.default_role_mapping,
        )?,
        permissions: each("configuration.permissions", &wanted.permissions, permission)?,
        roles: each("configuration.roles", &wanted.roles, role)?,
        role_mappings: each("configuration.role_mappings", &wanted.role_mappings, |at, wanted| {
            role_mapping(at, wanted, limits)
        })?,
        deleted_permissions: names("deleted_permissions", &request.deleted_permissions, PermissionName::parse)?,
        deleted_roles: each("deleted_roles", &request.deleted_roles, deleted_role)?,
        deleted_role_mappings: each("deleted_role_mappings", &request.deleted_role_mappings, |at, deleted| {
            deleted_role_mapping(at, deleted, limits)
        })?,
        prune: request.prune,
        allow_ownerless: request.allow_ownerless,
    })
}

/// Reads the elements of a list. `read` gets the path of each, as in `configuration.roles[3]`.
fn each<W, T>(field: &str, list: &[W], read: impl Fn(&str, &W) -> Result<T, Status>) -> Result<Vec<T>, Status> {
    list.iter().enumerate().map(|(at, element)| read(&format!("{field}[{at}]"), element)).collect()
}

fn naming<N>(
    at: &str,
    (name, aliases, renamed_from): (&str, &[String], &str),
    parse: fn(&str) -> Result<N, BadName>,
) -> Result<WantedNames<N>, Status> {
    let field = |field: &str| format!("{at}.{field}");
    let read = |name: &str, text: &str| parse(text).map_err(|why| status::invalid(field(name), why));
    at_most(&field("aliases"), aliases.len(), ALIASES_MAX as usize)?;
    Ok(WantedNames {
        name: read("name", name)?,
        aliases: names(&field("aliases"), aliases, parse)?,
        renamed_from: optional(renamed_from, |text| read("renamed_from", text))?,
    })
}

fn description(at: &str, given: &str) -> Result<String, Status> {
    text(&format!("{at}.description"), given, DESCRIPTION_BYTES_MAX)
}

fn permission(at: &str, wanted: &wire::ConfiguredPermission) -> Result<WantedPermission, Status> {
    let given = (&*wanted.name, &*wanted.aliases, &*wanted.renamed_from);
    let names = naming(at, given, PermissionName::parse)?;
    Ok(WantedPermission { names, description: description(at, &wanted.description)? })
}

fn role(at: &str, wanted: &wire::ConfiguredRole) -> Result<WantedRole, Status> {
    Ok(WantedRole {
        names: naming(at, (&*wanted.name, &*wanted.aliases, &*wanted.renamed_from), RoleName::parse)?,
        description: description(at, &wanted.description)?,
        internal: wanted.internal,
        manages: names(&format!("{at}.manages"), &wanted.manages, RoleName::parse)?,
    })
}

fn role_mapping(at: &str, wanted: &wire::ConfiguredRoleMapping, limits: &Limits) -> Result<WantedRoleMapping, Status> {
    let grants = |at: &str, row: &wire::ConfiguredGrants| {
        let role = convert::role(&format!("{at}.role"), &row.role)?;
        Ok((role, names(&format!("{at}.permissions"), &row.permissions, PermissionName::parse)?))
    };
    Ok(WantedRoleMapping {
        names: naming(at, (&*wanted.name, &*wanted.aliases, &*wanted.renamed_from), RoleMappingName::parse)?,
        description: description(at, &wanted.description)?,
        disabled_roles: names(&format!("{at}.disabled_roles"), &wanted.disabled_roles, RoleName::parse)?,
        grants: each(&format!("{at}.grants"), &wanted.grants, grants)?,
        on_disabled: on_disabled_at(&format!("{at}.on_disabled"), wanted.on_disabled.as_ref(), limits)?,
    })
}

fn deleted_role(at: &str, deleted: &wire::DeletedRole) -> Result<DeletedRole, Status> {
    let replacement = |text: &str| convert::role(&format!("{at}.replacement"), text);
    Ok(DeletedRole {
        name: convert::role(&format!("{at}.name"), &deleted.name)?,
        replacement: optional(&deleted.replacement, replacement)?,
    })
}

fn deleted_role_mapping(
    at: &str,
    deleted: &wire::DeletedRoleMapping,
    limits: &Limits,
) -> Result<DeletedRoleMapping, Status> {
    let to = |text: &str| convert::role_mapping(&format!("{at}.move_subscribers_to"), text);
    Ok(DeletedRoleMapping {
        name: convert::role_mapping(&format!("{at}.name"), &deleted.name)?,
        move_subscribers_to: optional(&deleted.move_subscribers_to, to)?,
        on_disabled: on_disabled_at(&format!("{at}.on_disabled"), deleted.on_disabled.as_ref(), limits)?,
    })
}
