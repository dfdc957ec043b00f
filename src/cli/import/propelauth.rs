//! Reads dumps of PropelAuth: pages of its backend API and its Terraform resources.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::contents::{Contents, Role};
use super::files::json;
use super::terraform::{self, Resources};
use crate::cli::trouble::Trouble;

/// Any of the supported files. Fields have the names of the API, and those of the client libraries.
#[derive(Deserialize)]
#[serde(expecting = "an object with `orgs`, `users` or resources of Terraform")]
struct Page {
    orgs: Option<Vec<Org>>,
    users: Option<Vec<User>>,
    #[serde(flatten)]
    resources: Resources,
}

#[derive(Deserialize)]
#[serde(expecting = "an org with `org_id`")]
struct Org {
    #[serde(alias = "orgId")]
    org_id: String,
    #[serde(default, alias = "org_name", alias = "orgName")]
    name: String,
    #[serde(default)]
    metadata: Value,
    #[serde(default, alias = "customRoleMappingName")]
    custom_role_mapping_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "a user with `user_id`")]
struct User {
    #[serde(alias = "userId")]
    user_id: String,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    locked: bool,
    #[serde(default, alias = "orgIdToOrgInfo", alias = "orgIdToOrgMemberInfo")]
    org_id_to_org_info: Option<BTreeMap<String, OrgInfo>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `user_role`")]
struct OrgInfo {
    #[serde(alias = "userAssignedRole", alias = "userRole")]
    user_role: String,
    #[serde(default, alias = "userAssignedAdditionalRoles", alias = "additionalRoles")]
    additional_roles: Vec<String>,
    #[serde(default, alias = "orgRoleStructure")]
    org_role_structure: Option<String>,
    #[serde(default, alias = "orgName")]
    org_name: Option<String>,
    #[serde(default, alias = "userPermissions")]
    user_permissions: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

/// Org, role set and permissions of a member, to be compared with what the roles grant.
type Granted = HashSet<(usize, usize, Vec<String>)>;

pub fn read(files: &[PathBuf]) -> Result<Contents, Trouble> {
    let mut contents = Contents::default();
    let (mut granted, mut resources, mut multiple_roles) = (Granted::new(), Vec::new(), false);
    for file in files {
        json(file, |page: Page| {
            let known = page.orgs.is_some() || page.users.is_some() || page.resources.is_some();
            page.orgs.into_iter().flatten().for_each(|org| take_org(&mut contents, org));
            for user in page.users.into_iter().flatten() {
                multiple_roles |= take_user(&mut contents, &mut granted, user);
            }
            resources.push(page.resources);
            known
        })?;
    }
    contents.configuration = terraform::configuration(resources, multiple_roles, &mut contents.misfits)?;
    compare(&mut contents, granted);
    Ok(contents)
}

fn take_org(contents: &mut Contents, org: Org) {
    let Some(at) = contents.org(&org.org_id) else { return };
    let metadata = match &org.metadata {
        Value::Null => String::new(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => other.to_string(),
    };
    contents.describe(at, org.name, metadata, org.custom_role_mapping_name.unwrap_or_default());
}

/// Returns true if the user may have several roles in an org.
fn take_user(contents: &mut Contents, granted: &mut Granted, user: User) -> bool {
    let orgs = user.org_id_to_org_info.unwrap_or_default();
    if orgs.is_empty() {
        contents.misfits.add("users without an org: not imported", user.user_id);
        return false;
    }
    if !user.enabled || user.locked {
        contents
            .misfits
            .add("disabled or locked users: imported as members; block them with BlockUser", &*user.user_id);
    }
    let mut multiple_roles = false;
    for (org_id, info) in orgs {
        let Some(org) = contents.org(&org_id) else { continue };
        if let Some(name) = info.org_name.filter(|_| contents.orgs[org].display_name.is_empty()) {
            contents.name(org, name);
        }
        let is_multiple = info.org_role_structure.as_deref() == Some("multi_role");
        multiple_roles |= is_multiple;
        // In a hierarchy the SDK looks at the one role only.
        let others = info.additional_roles.into_iter().filter(|_| is_multiple);
        let roles: Vec<Role> = others.chain([info.user_role]).map(Role::permanent).collect();
        if let Some(mut permissions) = info.user_permissions {
            permissions.sort_unstable();
            let set = contents.role_set(roles.clone());
            granted.insert((org, set, permissions));
        }
        contents.member(org, &user.user_id, roles);
    }
    multiple_roles
}

/// Reports roles that grant something else in the dump of the users than in the Terraform resources.
fn compare(contents: &mut Contents, granted: Granted) {
    let Some(configuration) = &contents.configuration else { return };
    let mut found: HashSet<String> = HashSet::new();
    for (org, set, permissions) in granted {
        let find = |name: &str| configuration.role_mappings.iter().find(|mapping| mapping.name == *name);
        let mapping = find(&contents.orgs[org].role_mapping).or_else(|| find(&configuration.default_role_mapping));
        let names = |role: &Role| mapping.into_iter().flat_map(|it| &it.grants).find(|it| it.role == role.name);
        let roles = contents.roles(set);
        let granted = roles.iter().filter_map(names).flat_map(|it| it.permissions.iter().map(String::as_str));
        // The built-in ones are there under both names.
        let granted: HashSet<&str> = granted.filter(|name| !name.starts_with("rolecall::")).collect();
        let dumped: HashSet<&str> = permissions.iter().map(String::as_str).collect();
        let list = |one: &HashSet<&str>, other: &HashSet<&str>| {
            let mut names: Vec<&str> = one.difference(other).copied().collect();
            names.sort_unstable();
            names.join(", ")
        };
        let (gained, lost) = (list(&granted, &dumped), list(&dumped, &granted));
        if !gained.is_empty() || !lost.is_empty() {
            let roles: Vec<&str> = roles.iter().map(|role| &*role.name).collect();
            let name = mapping.map_or("", |mapping| &mapping.name);
            found.insert(format!("{} on {name}: gains [{gained}], loses [{lost}]", roles.join(" + ")));
        }
    }
    for what in found {
        contents.misfits.add("roles that grant something else to the users of the dump than in Terraform", what);
    }
}
