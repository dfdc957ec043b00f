//! PropelAuth's roles and permissions, from `terraform show -json` or a `.tf.json` file.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::contents::Misfits;
use super::files::in_words;
use super::fitting;
use crate::cli::table::plain;
use crate::cli::trouble::Trouble;
use crate::wire::{
    Configuration, ConfiguredGrants, ConfiguredPermission, ConfiguredRole, ConfiguredRoleMapping, RoleStructure,
};

/// The abilities that PropelAuth has built in, and ours.
const ABILITIES: [(&str, &str); 9] = [
    ("can_view_other_members", "can_view_other_members"),
    ("can_invite", "can_invite"),
    ("can_change_roles", "can_change_roles"),
    ("can_manage_api_keys", "can_manage_api_keys"),
    ("can_remove_users", "can_remove_users"),
    ("can_setup_saml", "can_setup_sso"),
    ("can_delete_org", "can_delete_org"),
    ("can_edit_org_access", "can_edit_org_access"),
    ("can_update_org_metadata", "can_update_org_metadata"),
];

/// In the permissions of an override: it does not change them.
const UNSET: &str = "propelauth::null_permission";

/// The resources of one file.
#[derive(Deserialize)]
pub struct Resources {
    /// `terraform show -json`.
    values: Option<Values>,
    /// `.tf.json`.
    resource: Option<Named>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `root_module`")]
struct Values {
    root_module: Module,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `resources`")]
struct Module {
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    child_modules: Vec<Module>,
}

/// Other types of resources have other values.
#[derive(Deserialize)]
#[serde(expecting = "a resource with `type` and `values`")]
struct Resource {
    r#type: String,
    #[serde(default)]
    values: serde_json::Value,
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object with one entry for each type of resource")]
struct Named {
    #[serde(default)]
    propelauth_roles_and_permissions: BTreeMap<String, RolesAndPermissions>,
    #[serde(default)]
    propelauth_role_permissions_override: BTreeMap<String, Override>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `roles`, `default_role` and `default_owner_role`")]
struct RolesAndPermissions {
    permissions: Option<Vec<Permission>>,
    roles: BTreeMap<String, Role>,
    role_hierarchy: Option<Vec<String>>,
    default_role: String,
    default_owner_role: String,
    multiple_roles_per_user: Option<bool>,
    default_mapping_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "a permission with `name`")]
struct Permission {
    name: String,
    display_name: Option<String>,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "a role")]
struct Role {
    is_internal: Option<bool>,
    disabled: Option<bool>,
    description: Option<String>,
    roles_can_manage: Option<Vec<String>>,
    permissions: Option<Vec<String>>,
    /// The abilities, and fields of no interest.
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(expecting = "an override with `name`")]
struct Override {
    name: String,
    #[serde(default)]
    roles: BTreeMap<String, Role>,
}

impl Resources {
    /// Returns true if the file is one of Terraform.
    pub fn is_some(&self) -> bool {
        self.values.is_some() || self.resource.is_some()
    }
}

/// Returns the configuration that the resources describe. `None` if there are none.
pub fn configuration(
    files: Vec<Resources>,
    multiple_roles: bool,
    misfits: &mut Misfits,
) -> Result<Option<Configuration>, Trouble> {
    let (mut all, mut overrides, mut modules) = (Vec::<RolesAndPermissions>::new(), Vec::<Override>::new(), Vec::new());
    let is_given = files.iter().any(Resources::is_some);
    for Resources { values, resource } in files {
        let named = resource.unwrap_or_default();
        all.extend(named.propelauth_roles_and_permissions.into_values());
        overrides.extend(named.propelauth_role_permissions_override.into_values());
        modules.extend(values.map(|values| values.root_module));
    }
    while let Some(module) = modules.pop() {
        for resource in module.resources {
            match resource.r#type.as_str() {
                "propelauth_roles_and_permissions" => all.push(values(resource.values)?),
                "propelauth_role_permissions_override" => overrides.push(values(resource.values)?),
                _ => {}
            }
        }
        modules.extend(module.child_modules);
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = overrides.iter().find(|it| !names.insert(&it.name)) {
        return Err(Trouble::new(
            format!("the files hold several overrides with the name `{}`", plain(&twice.name)),
            "give each file of Terraform once, and those of one PropelAuth project only",
        ));
    }
    match (all.pop(), all.is_empty()) {
        (None, _) => match overrides.first() {
            None if is_given => {
                let what = "the files of Terraform hold no resource `propelauth_roles_and_permissions`";
                Err(Trouble::new(what, "write them in the folder of the PropelAuth project"))
            }
            None => Ok(None),
            Some(first) => Err(Trouble::new(
                format!(
                    "the files hold the override `{}`, but not the resource `propelauth_roles_and_permissions` that it \
                     changes",
                    plain(&first.name)
                ),
                "give the files with both",
            )),
        },
        (Some(only), true) => fitting::fitted(configured(only, overrides, multiple_roles, misfits), misfits).map(Some),
        (Some(_), false) => Err(Trouble::new(
            "the files hold several resources `propelauth_roles_and_permissions`",
            "give the files of one PropelAuth project",
        )),
    }
}

fn values<T: serde::de::DeserializeOwned>(values: serde_json::Value) -> Result<T, Trouble> {
    serde_json::from_value(values).map_err(|error| {
        let why = in_words(&error.to_string());
        let what = format!("a resource of PropelAuth in the Terraform file is not what was expected: {why}");
        Trouble::new(what, "write it with `terraform show -json`; docs/import.md says what it holds")
    })
}

fn configured(
    from: RolesAndPermissions,
    mut overrides: Vec<Override>,
    multiple_roles: bool,
    misfits: &mut Misfits,
) -> Configuration {
    let multiple_roles = from.multiple_roles_per_user.unwrap_or(multiple_roles);
    let mut order = from.role_hierarchy.clone().unwrap_or_default();
    order.retain(|name| from.roles.contains_key(name));
    let unordered: Vec<String> = from.roles.keys().filter(|name| !order.contains(name)).cloned().collect();
    if !multiple_roles {
        let internal = |name: &String| from.roles[name].is_internal.unwrap_or_default();
        for name in unordered.iter().filter(|name| !internal(name)) {
            misfits.add("roles that are not in role_hierarchy: imported as the lowest", name.as_str());
        }
    }
    order.extend(unordered);
    let role = |name: &String| {
        let role = &from.roles[name];
        let description = role.description.as_deref().unwrap_or_default();
        ConfiguredRole {
            name: name.clone(),
            description: fitting::description(description, &format!("role {name}"), misfits),
            internal: role.is_internal.unwrap_or_default(),
            manages: role.roles_can_manage.clone().filter(|_| multiple_roles).unwrap_or_default(),
            ..ConfiguredRole::default()
        }
    };
    let roles: Vec<ConfiguredRole> = order.iter().map(role).collect();
    let mapping = |name: String, roles: &dyn Fn(&String) -> RoleInMapping| {
        let roles: Vec<(&String, RoleInMapping)> = order.iter().map(|name| (name, roles(name))).collect();
        let grants = |(name, role): &(&String, RoleInMapping)| ConfiguredGrants {
            role: (*name).clone(),
            permissions: role.permissions.iter().cloned().collect(),
        };
        ConfiguredRoleMapping {
            name,
            disabled_roles: roles.iter().filter(|(_, role)| role.disabled).map(|(name, _)| (*name).clone()).collect(),
            grants: roles.iter().map(grants).collect(),
            ..ConfiguredRoleMapping::default()
        }
    };
    let is_owner = |name: &String| *name == from.default_owner_role;
    let default_mapping = from.default_mapping_name.clone().unwrap_or_else(|| "Default".into());
    let base = |name: &String| from.roles[name].in_mapping(&from.roles[name], is_owner(name));
    let mut role_mappings = vec![mapping(default_mapping.clone(), &base)];
    overrides.sort_by(|one, other| one.name.cmp(&other.name));
    for it in &overrides {
        for name in it.roles.keys().filter(|name| !from.roles.contains_key(*name)) {
            misfits.add("roles of an override that do not exist: not imported", format!("{name} in {}", it.name));
        }
        // A role that the override does not name is as in the default mapping.
        let overridden = |name: &String| {
            let base = &from.roles[name];
            it.roles.get(name).unwrap_or(base).in_mapping(base, is_owner(name))
        };
        role_mappings.push(mapping(it.name.clone(), &overridden));
    }
    let mut permissions: Vec<ConfiguredPermission> =
        from.permissions.into_iter().flatten().map(|it| permission(it, misfits)).collect();
    // Code that asks for PropelAuth's own permissions goes on working.
    permissions.extend(ABILITIES.iter().map(|(theirs, ours)| ConfiguredPermission {
        name: format!("propelauth::{theirs}"),
        description: format!("PropelAuth's name of rolecall::{ours}"),
        ..ConfiguredPermission::default()
    }));
    let known: BTreeSet<&str> = permissions.iter().map(|it| it.name.as_str()).collect();
    let unknown: BTreeSet<String> = role_mappings
        .iter()
        .flat_map(|it| it.grants.iter().flat_map(|it| &it.permissions))
        .filter(|name| !known.contains(name.as_str()) && !name.starts_with("rolecall::"))
        .cloned()
        .collect();
    for name in unknown {
        misfits.add("permissions of roles that are not in `permissions`: imported too", name.as_str());
        permissions.push(ConfiguredPermission { name, ..ConfiguredPermission::default() });
    }
    let structure = if multiple_roles { RoleStructure::MultiRole } else { RoleStructure::SingleRole };
    Configuration {
        role_structure: structure.into(),
        default_role: from.default_role.clone(),
        default_owner_role: from.default_owner_role.clone(),
        default_role_mapping: default_mapping,
        permissions,
        roles,
        role_mappings,
        ..Configuration::default()
    }
}

fn permission(from: Permission, misfits: &mut Misfits) -> ConfiguredPermission {
    let display_name = from.display_name.filter(|name| *name != from.name);
    let parts: Vec<String> = display_name.into_iter().chain(from.description).filter(|text| !text.is_empty()).collect();
    let description = fitting::description(&parts.join(" "), &format!("permission {}", from.name), misfits);
    ConfiguredPermission { name: from.name, description, ..ConfiguredPermission::default() }
}

/// A role in a role mapping.
struct RoleInMapping {
    disabled: bool,
    permissions: BTreeSet<String>,
}

impl Role {
    /// Returns the role in a role mapping. What this definition leaves open is as in `base`.
    fn in_mapping(&self, base: &Role, is_owner: bool) -> RoleInMapping {
        let own = self.permissions.as_ref().filter(|names| !names.iter().any(|name| name == UNSET));
        let mut permissions: BTreeSet<String> =
            own.or(base.permissions.as_ref()).into_iter().flatten().cloned().collect();
        let ability = |role: &Role, name: &str| role.others.get(name).and_then(serde_json::Value::as_bool);
        for (theirs, ours) in ABILITIES {
            // PropelAuth's defaults. The role of owners always has two of them.
            let default = theirs == "can_view_other_members";
            let always = is_owner && ["can_setup_saml", "can_delete_org"].contains(&theirs);
            if always || ability(self, theirs).or(ability(base, theirs)).unwrap_or(default) {
                permissions.insert(format!("propelauth::{theirs}"));
                permissions.insert(format!("rolecall::{ours}"));
            }
        }
        RoleInMapping { disabled: self.disabled.or(base.disabled).unwrap_or_default(), permissions }
    }
}
