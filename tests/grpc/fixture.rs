//! Helpers that set up and read the data of a test. A method whose name ends in `ing` returns a request and sends nothing.

// With paths, because `tests/http` has this file too.
#[path = "fixture/catalog.rs"]
mod catalog;
#[path = "fixture/end_users.rs"]
mod end_users;

use std::time::{Duration, SystemTime};

use prost_types::Timestamp;
use rolecall::wire::{self, Decision, Environment, MemberRoleState, RoleStructure};

use crate::server::Server;

pub use catalog::mask;
pub use end_users::{role_changes, sampled, without_sample};

/// A project of a server. Its calls must succeed, unless they return a `Result`.
#[derive(Clone, Copy)]
pub struct Project<'a> {
    pub server: &'a Server,
    pub key: &'static str,
}

impl Server {
    /// Returns the project `default`, which is SINGLE_ROLE.
    pub fn single(&self) -> Project<'_> {
        Project { server: self, key: "" }
    }

    /// Creates a MULTI_ROLE project.
    pub async fn multi(&self) -> Project<'_> {
        self.multi_in(Environment::Test).await
    }

    pub async fn multi_in(&self, environment: Environment) -> Project<'_> {
        let request = wire::CreateProjectRequest {
            key: "multi".into(),
            environment: environment.into(),
            role_structure: RoleStructure::MultiRole.into(),
            ..Default::default()
        };
        self.create_project(request).await.unwrap();
        Project { server: self, key: "multi" }
    }
}

impl Project<'_> {
    pub async fn permission(&self, name: &str) {
        let request =
            wire::CreatePermissionRequest { project: self.key.into(), name: name.into(), ..Default::default() };
        self.server.create_permission(request).await.unwrap();
    }

    pub async fn role(&self, name: &str) -> wire::Role {
        let request = wire::CreateRoleRequest { project: self.key.into(), name: name.into(), ..Default::default() };
        self.server.create_role(request).await.unwrap().role.unwrap()
    }

    /// Creates an empty role mapping.
    pub async fn mapping(&self, name: &str) -> wire::RoleMapping {
        let request =
            wire::CreateRoleMappingRequest { project: self.key.into(), name: name.into(), ..Default::default() };
        self.server.create_role_mapping(request).await.unwrap().role_mapping.unwrap()
    }

    pub async fn grant(&self, mapping: &str, role: &str, permissions: &[&str]) {
        self.edit(mapping, wire::GrantEdit { role: role.into(), add: texts(permissions), remove: vec![] }).await;
    }

    pub async fn take(&self, mapping: &str, role: &str, permissions: &[&str]) {
        self.edit(mapping, wire::GrantEdit { role: role.into(), add: vec![], remove: texts(permissions) }).await;
    }

    async fn edit(&self, mapping: &str, edit: wire::GrantEdit) {
        let request = wire::UpdateRoleMappingRequest {
            project: self.key.into(),
            name: mapping.into(),
            edits: vec![edit],
            ..Default::default()
        };
        self.server.update_role_mapping(request).await.unwrap();
    }

    pub async fn enable(&self, mapping: &str, roles: &[&str]) {
        let request = wire::UpdateRoleMappingRequest {
            project: self.key.into(),
            name: mapping.into(),
            enable_roles: texts(roles),
            ..Default::default()
        };
        self.server.update_role_mapping(request).await.unwrap();
    }

    /// Disables roles. Members keep them as suspended roles.
    pub async fn disable(&self, mapping: &str, roles: &[&str]) {
        let request = wire::UpdateRoleMappingRequest {
            project: self.key.into(),
            name: mapping.into(),
            disable_roles: texts(roles),
            on_disabled: suspending(),
            ..Default::default()
        };
        self.server.update_role_mapping(request).await.unwrap();
    }

    /// Creates an org and subscribes it to a mapping. An empty `mapping` is the default one.
    pub async fn org(&self, org_id: &str, mapping: &str) -> wire::Org {
        let request = wire::CreateOrgRequest {
            project: self.key.into(),
            org_id: org_id.into(),
            role_mapping: mapping.into(),
            ..Default::default()
        };
        self.server.create_org(request).await.unwrap().org.unwrap()
    }

    /// Moves an org. Members keep roles that are disabled there as suspended roles.
    pub async fn subscribe(&self, org_id: &str, mapping: &str) {
        let request = wire::SubscribeOrgRequest { on_disabled: suspending(), ..self.moving(org_id, mapping) };
        self.server.subscribe_org(request).await.unwrap();
    }

    pub fn moving(&self, org_id: &str, mapping: &str) -> wire::SubscribeOrgRequest {
        wire::SubscribeOrgRequest {
            project: self.key.into(),
            org_id: org_id.into(),
            target: Some(wire::subscribe_org_request::Target::RoleMapping(mapping.into())),
            ..Default::default()
        }
    }

    pub fn moving_all(&self, org_ids: &[&str], mapping: &str) -> wire::BatchSubscribeOrgsRequest {
        wire::BatchSubscribeOrgsRequest {
            project: self.key.into(),
            org_ids: texts(org_ids),
            target: Some(wire::batch_subscribe_orgs_request::Target::RoleMapping(mapping.into())),
            ..Default::default()
        }
    }

    pub fn updating(&self, mapping: &str) -> wire::UpdateRoleMappingRequest {
        wire::UpdateRoleMappingRequest { project: self.key.into(), name: mapping.into(), ..Default::default() }
    }

    pub fn deleting(&self, mapping: &str, move_subscribers_to: &str) -> wire::DeleteRoleMappingRequest {
        wire::DeleteRoleMappingRequest {
            project: self.key.into(),
            name: mapping.into(),
            move_subscribers_to: move_subscribers_to.into(),
            ..Default::default()
        }
    }

    pub async fn delete_org(&self, org_id: &str) -> i32 {
        let request = wire::DeleteOrgRequest { project: self.key.into(), org_id: org_id.into(), ..Default::default() };
        self.server.delete_org(request).await.unwrap().removed_memberships
    }

    /// Creates an org with a creator, who is its owner (S4).
    pub async fn org_with_owner(&self, org_id: &str, owner: &str) -> wire::Org {
        let request = wire::CreateOrgRequest {
            project: self.key.into(),
            org_id: org_id.into(),
            creator_user_id: owner.into(),
            ..Default::default()
        };
        self.server.create_org(request).await.unwrap().org.unwrap()
    }

    pub async fn ask(&self, org_id: &str, user_id: &str, question: wire::check_request::Question) -> Decision {
        let request = wire::CheckRequest { question: Some(question), ..self.asking(org_id, user_id, "") };
        let answer = self.server.check(request).await.unwrap();
        assert_eq!(answer.allowed, answer.decision() == Decision::Allowed);
        answer.decision()
    }

    pub async fn add(&self, org_id: &str, user_id: &str, roles: &[wire::RoleAssignment]) -> wire::Member {
        self.server.add_member(self.adding(org_id, user_id, roles)).await.unwrap().member.unwrap()
    }

    pub async fn set(&self, org_id: &str, user_id: &str, roles: &[wire::RoleAssignment]) -> wire::Member {
        self.server.set_member_roles(self.setting(org_id, user_id, roles)).await.unwrap().member.unwrap()
    }

    pub async fn remove(&self, org_id: &str, user_id: &str) {
        self.server.remove_member(self.removing(org_id, user_id)).await.unwrap();
    }

    pub fn adding(&self, org_id: &str, user_id: &str, roles: &[wire::RoleAssignment]) -> wire::AddMemberRequest {
        wire::AddMemberRequest {
            project: self.key.into(),
            org_id: org_id.into(),
            user_id: user_id.into(),
            roles: roles.to_vec(),
            ..Default::default()
        }
    }

    pub fn setting(&self, org_id: &str, user_id: &str, roles: &[wire::RoleAssignment]) -> wire::SetMemberRolesRequest {
        wire::SetMemberRolesRequest {
            project: self.key.into(),
            org_id: org_id.into(),
            user_id: user_id.into(),
            roles: roles.to_vec(),
            ..Default::default()
        }
    }

    pub fn removing(&self, org_id: &str, user_id: &str) -> wire::RemoveMemberRequest {
        wire::RemoveMemberRequest {
            project: self.key.into(),
            org_id: org_id.into(),
            user_id: user_id.into(),
            ..Default::default()
        }
    }

    pub fn writing(&self, rows: Vec<wire::MemberWrite>) -> wire::BatchWriteMembersRequest {
        wire::BatchWriteMembersRequest { project: self.key.into(), rows, ..Default::default() }
    }

    pub async fn member(&self, org_id: &str, user_id: &str) -> Result<wire::Member, tonic::Status> {
        let request = wire::GetMemberRequest {
            project: self.key.into(),
            org_id: org_id.into(),
            user_id: user_id.into(),
            ..Default::default()
        };
        self.server.get_member(request).await.map(|answer| answer.member.unwrap())
    }

    /// Returns the roles of a member in the form of [`shown`].
    pub async fn roles_of(&self, org_id: &str, user_id: &str) -> String {
        shown(&self.member(org_id, user_id).await.unwrap())
    }

    pub fn asking(&self, org_id: &str, user_id: &str, permission: &str) -> wire::CheckRequest {
        wire::CheckRequest {
            project: self.key.into(),
            org_id: org_id.into(),
            user_id: user_id.into(),
            question: Some(wire::check_request::Question::Permission(permission.into())),
            no_activity: false,
            consistency: None,
            ..Default::default()
        }
    }

    pub async fn check(&self, org_id: &str, user_id: &str, permission: &str) -> Decision {
        let answer = self.server.check(self.asking(org_id, user_id, permission)).await.unwrap();
        assert_eq!(answer.allowed, answer.decision() == Decision::Allowed);
        answer.decision()
    }

    /// Returns the names of the roles, highest first.
    pub async fn role_order(&self) -> Vec<String> {
        let request = wire::ListRolesRequest { project: self.key.into(), page_size: 1_000, ..Default::default() };
        let roles = self.server.list_roles(request).await.unwrap().roles;
        assert!(roles.iter().zip(1..).all(|(role, position)| role.position == position), "{roles:?}");
        roles.into_iter().map(|role| role.name).collect()
    }

    pub async fn get_mapping(&self, name: &str) -> wire::RoleMapping {
        let request = wire::GetRoleMappingRequest { project: self.key.into(), name: name.into(), ..Default::default() };
        self.server.get_role_mapping(request).await.unwrap().role_mapping.unwrap()
    }

    /// Asks for the rows of a mapping. Without `roles` it asks for all.
    pub fn asking_rows(&self, mapping: &str, roles: &[&str]) -> wire::ListRoleMappingRolesRequest {
        wire::ListRoleMappingRolesRequest {
            project: self.key.into(),
            name: mapping.into(),
            roles: texts(roles),
            page_size: 1_000,
            ..Default::default()
        }
    }

    pub async fn rows(&self, mapping: &str) -> Vec<wire::RoleGrants> {
        self.server.list_role_mapping_roles(self.asking_rows(mapping, &[])).await.unwrap().roles
    }

    /// Returns the permissions in a role's row of a mapping.
    pub async fn row(&self, mapping: &str, role: &str) -> Vec<String> {
        let rows = self.rows(mapping).await;
        rows.into_iter().find(|row| row.role == role).expect("every role has a row").permissions
    }

    /// Returns the role mappings, each with its default flag.
    pub async fn mappings(&self) -> Vec<(String, bool)> {
        let request = wire::ListRoleMappingsRequest { project: self.key.into(), ..Default::default() };
        let mappings = self.server.list_role_mappings(request).await.unwrap().role_mappings;
        mappings.into_iter().map(|mapping| (mapping.name, mapping.is_default)).collect()
    }

    pub async fn mapping_of(&self, org_id: &str) -> String {
        let request =
            wire::GetSubscriptionRequest { project: self.key.into(), org_id: org_id.into(), ..Default::default() };
        self.server.get_subscription(request).await.unwrap().subscription.unwrap().role_mapping
    }
}

/// Members keep disabled roles as suspended roles.
pub fn suspending() -> Option<wire::OnDisabled> {
    suspending_with_fallback("")
}

/// Members keep disabled roles as suspended roles and get a fallback role.
pub fn suspending_with_fallback(fallback_role: &str) -> Option<wire::OnDisabled> {
    let strategy = wire::DisabledRoleStrategy::Suspend.into();
    Some(wire::OnDisabled { strategy, fallback_role: fallback_role.into(), ..Default::default() })
}

/// Members get replacements for disabled roles.
pub fn remapping(replacements: &[(&str, &str)], default_replacement: &str) -> Option<wire::OnDisabled> {
    let entry =
        |(role, to): &(&str, &str)| wire::RoleReplacement { role: role.to_string(), replacement: to.to_string() };
    Some(wire::OnDisabled {
        strategy: wire::DisabledRoleStrategy::Remap.into(),
        replacements: replacements.iter().map(entry).collect(),
        default_replacement: default_replacement.into(),
        ..Default::default()
    })
}

/// A role without an expiry in the request.
pub fn role(name: &str) -> wire::RoleAssignment {
    wire::RoleAssignment { role: name.into(), ..Default::default() }
}

pub fn roles(names: &[&str]) -> Vec<wire::RoleAssignment> {
    names.iter().map(|name| role(name)).collect()
}

pub fn temporary(name: &str, expire_time: Timestamp) -> wire::RoleAssignment {
    wire::RoleAssignment { role: name.into(), expire_time: Some(expire_time), ..Default::default() }
}

/// A role whose expiry the request removes.
pub fn permanent(name: &str) -> wire::RoleAssignment {
    wire::RoleAssignment { role: name.into(), permanent: true, ..Default::default() }
}

/// Returns the time after `wait` from now, in whole microseconds.
pub fn after(wait: Duration) -> Timestamp {
    let since = (SystemTime::now() + wait).duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp { seconds: since.as_secs() as i64, nanos: since.subsec_micros() as i32 * 1_000 }
}

/// Returns a time that leaves a test time to give a role and read it, and that a test can wait for.
pub fn soon() -> Timestamp {
    after(Duration::from_millis(900))
}

/// Waits until a time has passed.
pub async fn wait_until(time: &Timestamp) {
    let wait = micros(time) - micros(&after(Duration::ZERO));
    tokio::time::sleep(Duration::from_micros(wait.max(0) as u64) + Duration::from_millis(2)).await;
}

pub fn in_an_hour() -> Timestamp {
    after(Duration::from_secs(3_600))
}

/// Returns the microseconds since 1970.
pub fn micros(time: &Timestamp) -> i64 {
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000
}

/// Returns the roles of a member with their states, as `Admin live, Owner suspended`.
pub fn shown(member: &wire::Member) -> String {
    let role = |role: &wire::MemberRole| {
        let state = match role.state() {
            MemberRoleState::Unspecified => "unspecified",
            MemberRoleState::Live => "live",
            MemberRoleState::Suspended => "suspended",
            MemberRoleState::Expired => "expired",
            MemberRoleState::Overridden => "overridden",
        };
        format!("{} {state}", role.role)
    };
    member.roles.iter().map(role).collect::<Vec<_>>().join(", ")
}

pub fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

pub fn row(org_id: &str, user_id: &str, write: Option<wire::member_write::Write>) -> wire::MemberWrite {
    wire::MemberWrite { org_id: org_id.into(), user_id: user_id.into(), write }
}

pub fn add(names: &[&str]) -> Option<wire::member_write::Write> {
    Some(wire::member_write::Write::Add(wire::RoleAssignments { roles: roles(names) }))
}

pub fn set(names: &[&str]) -> Option<wire::member_write::Write> {
    Some(wire::member_write::Write::Set(wire::RoleAssignments { roles: roles(names) }))
}

pub fn remove() -> Option<wire::member_write::Write> {
    Some(wire::member_write::Write::Remove(wire::Removal {}))
}
