//! Reads dumps of Stytch B2B: the RBAC policy, organizations and members.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::contents::{Contents, Misfits, Role};
use super::files::{ListOrMap, json};
use super::fitting;
use crate::cli::trouble::Trouble;
use crate::wire::{
    Configuration, ConfiguredGrants, ConfiguredPermission, ConfiguredRole, ConfiguredRoleMapping, RoleStructure,
};

/// The role that every member has.
const MEMBER: &str = "stytch_member";
/// The role of the member who creates an organization.
const ADMIN: &str = "stytch_admin";
const ALL_ACTIONS: &str = "*";

/// Any of the supported files.
#[derive(Deserialize)]
#[serde(expecting = "an object with `organizations`, `members` or `policy`")]
struct Page {
    organizations: Option<ListOrMap<Organization>>,
    members: Option<Vec<Member>>,
    /// The answer of the API.
    policy: Option<Policy>,
    /// Or the policy itself.
    roles: Option<Vec<PolicyRole>>,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(expecting = "a policy with `roles` and `resources`")]
struct Policy {
    roles: Vec<PolicyRole>,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(expecting = "a role with `role_id`")]
struct PolicyRole {
    role_id: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    permissions: Vec<Permission>,
}

#[derive(Deserialize)]
#[serde(expecting = "a permission with `resource_id` and `actions`")]
struct Permission {
    resource_id: String,
    actions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "a resource with `resource_id` and `actions`")]
struct Resource {
    resource_id: String,
    #[serde(default)]
    description: String,
    actions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "an organization with `organization_id`")]
struct Organization {
    organization_id: String,
    #[serde(default)]
    organization_name: String,
    #[serde(default)]
    trusted_metadata: Value,
}

#[derive(Deserialize)]
#[serde(expecting = "a member with `member_id` and `organization_id`")]
struct Member {
    member_id: String,
    organization_id: String,
    #[serde(default = "active")]
    status: String,
    #[serde(default)]
    roles: Vec<MemberRole>,
}

#[derive(Deserialize)]
#[serde(expecting = "a role with `role_id`")]
struct MemberRole {
    role_id: String,
    #[serde(default)]
    sources: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(expecting = "a source with `type`")]
struct Source {
    r#type: String,
}

fn active() -> String {
    "active".into()
}

pub fn read(files: &[PathBuf]) -> Result<Contents, Trouble> {
    let mut contents = Contents::default();
    let mut policies = Vec::new();
    for file in files {
        json(file, |page: Page| {
            let lists = page.organizations.is_some() || page.members.is_some();
            let known = lists || page.policy.is_some() || page.roles.is_some();
            let organizations = page.organizations.into_iter().flat_map(|all| all.0);
            organizations.for_each(|organization| take_org(&mut contents, organization));
            page.members.into_iter().flatten().for_each(|member| take_member(&mut contents, member));
            policies.extend(page.policy);
            policies.extend(page.roles.map(|roles| Policy { roles, resources: page.resources }));
            known
        })?;
    }
    match (policies.pop(), policies.is_empty()) {
        (None, _) => {}
        (Some(policy), true) => contents.configuration = Some(configuration(policy, &mut contents.misfits)?),
        (Some(_), false) => {
            let what = "the files hold several policies";
            return Err(Trouble::new(what, "give the policy of one Stytch project, without those of organizations"));
        }
    }
    Ok(contents)
}

fn take_org(contents: &mut Contents, from: Organization) {
    let Some(at) = contents.org(&from.organization_id) else { return };
    let metadata = match &from.trusted_metadata {
        Value::Null => String::new(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => other.to_string(),
    };
    contents.describe(at, from.organization_name, metadata, String::new());
}

fn take_member(contents: &mut Contents, from: Member) {
    let Some(org) = contents.org(&from.organization_id) else { return };
    if from.status != "active" {
        contents
            .misfits
            .add("members who are not active: not imported", format!("{} ({})", from.member_id, from.status));
        return;
    }
    let mut roles = vec![Role::permanent(MEMBER)];
    for role in from.roles {
        // Stytch grants it only in sessions with that sign-in.
        let by_sign_in = |source: &Source| ["sso_connection", "sso_connection_group"].contains(&&*source.r#type);
        if !role.sources.is_empty() && role.sources.iter().all(by_sign_in) {
            let what = format!("{} of {} in {}", role.role_id, from.member_id, from.organization_id);
            contents.misfits.add("roles that depend on how a member signs in: not imported", what);
        } else {
            roles.push(Role::permanent(role.role_id));
        }
    }
    contents.member(org, &from.member_id, roles);
}

fn configuration(policy: Policy, misfits: &mut Misfits) -> Result<Configuration, Trouble> {
    let mut permissions: BTreeMap<String, String> = BTreeMap::new();
    let mut actions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for resource in &policy.resources {
        let shown = format!("resource {}", resource.resource_id);
        let description = fitting::description(&resource.description, &shown, misfits);
        for action in &resource.actions {
            permissions.insert(named(&resource.resource_id, action), description.clone());
            actions.entry(&resource.resource_id).or_default().insert(action);
        }
    }
    let mut grants = Vec::new();
    for role in &policy.roles {
        let mut granted = BTreeSet::new();
        for permission in &role.permissions {
            let resource = permission.resource_id.as_str();
            granted.extend(permission.actions.iter().map(|action| named(resource, action)));
            if permission.actions.iter().any(|action| action == ALL_ACTIONS) {
                // The wildcard grants what is listed, and a question about the wildcard itself.
                let listed = actions.get(resource).into_iter().flatten();
                granted.extend(listed.map(|action| named(resource, action)));
                if !actions.contains_key(resource) {
                    let what = format!("{resource} of {}", role.role_id);
                    misfits
                        .add("wildcards of resources that the policy does not list: only `*` itself is granted", what);
                }
            }
        }
        for name in &granted {
            permissions.entry(name.clone()).or_default();
        }
        grants.push(ConfiguredGrants { role: role.role_id.clone(), permissions: granted.into_iter().collect() });
    }
    let mut roles: Vec<ConfiguredRole> = policy.roles.into_iter().map(|role| configured(role, misfits)).collect();
    // Both always exist.
    for name in [ADMIN, MEMBER] {
        if !roles.iter().any(|role| role.name == name) {
            misfits.add("roles that the policy does not list: they grant nothing", name);
            roles.push(ConfiguredRole { name: name.into(), ..ConfiguredRole::default() });
        }
    }
    let permission =
        |(name, description)| ConfiguredPermission { name, description, ..ConfiguredPermission::default() };
    let mapping = ConfiguredRoleMapping { name: "Default".into(), grants, ..ConfiguredRoleMapping::default() };
    let all = Configuration {
        role_structure: RoleStructure::MultiRole.into(),
        default_role: MEMBER.into(),
        default_owner_role: ADMIN.into(),
        default_role_mapping: "Default".into(),
        permissions: permissions.into_iter().map(permission).collect(),
        roles,
        role_mappings: vec![mapping],
        ..Configuration::default()
    };
    fitting::fitted(all, misfits)
}

fn configured(role: PolicyRole, misfits: &mut Misfits) -> ConfiguredRole {
    let description = fitting::description(&role.description, &format!("role {}", role.role_id), misfits);
    ConfiguredRole { name: role.role_id, description, ..ConfiguredRole::default() }
}

fn named(resource: &str, action: &str) -> String {
    format!("{resource}::{action}")
}
