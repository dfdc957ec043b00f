//! An installation with an operator of each role, and calls as the API makes them.

use std::collections::BTreeSet;

use rolecall::domain::commands::command::{
    ArchiveApiKey, CreateApiKey, CreateOrg, CreateProject, CreateRole, GrantEdit, MemberWrite, OnDisabled, Place,
    RoleAssignment, RoleMappingEdits, UpdateRoleMapping, Write, WriteMember,
};
use rolecall::domain::commands::decide::decide;
use rolecall::domain::commands::draft::Terms;
use rolecall::domain::model::api_key::ApiKeyId;
use rolecall::domain::model::id::PermissionId;
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::model::template::PROPELAUTH;
use rolecall::domain::{
    Call, Command, OrgId, PermissionName, Project, ProjectKey, Refusal, RoleMappingName, RoleName, State, Time, UserId,
};
use rolecall::grpc::authz::RULES;
use rolecall::limits::Limits;

use crate::random_history::empty_state;

pub const ROLES: [&str; 8] =
    ["Owner", "Admin", "Settings", "Developer", "Customer Management", "Member", "ReadOnly", "Extra"];
/// The first seven hold the first seven roles. `shift` is ReadOnly, and an Admin for 12 hours.
pub const USERS: [&str; 10] =
    ["owner", "admin", "settings", "dev", "cm", "member", "reader", "friend", "shift", "bootstrap"];
pub const PERMISSIONS: [&str; 8] = [
    "team.view",
    "team.manage",
    "team.settings",
    "billing",
    "orgs.view",
    "roles.view",
    "api_keys.live.manage",
    "new.one",
];
/// How long `bootstrap` is an Owner.
pub const BOOTSTRAP_HOURS: i64 = 24;
pub const HOUR: i64 = 3_600 * 1_000_000;

pub fn key() -> ProjectKey {
    ProjectKey::stored("workspace")
}

pub fn team() -> OrgId {
    OrgId::stored("team")
}

/// The installation of a test, and what everybody holds.
pub struct World {
    pub state: State,
    pub now: Time,
    pub hashes: u8,
}

impl World {
    /// Creates the workspace as the first start does. It has no operators.
    pub fn empty() -> Self {
        let mut world = Self { state: empty_state(), now: Time(1_000_000_000), hashes: 0 };
        let create = CreateProject {
            key: key(),
            display_name: "Workspace".into(),
            environment: Environment::Live,
            role_structure: RoleStructure::SingleRole,
            reuse_deleted_key: false,
            template: &PROPELAUTH,
            owner_role: None,
        };
        world.system(Command::CreateProject(create));
        world.system(Command::CreateOrg(CreateOrg {
            project: key(),
            org_id: team(),
            display_name: String::new(),
            metadata: String::new(),
            role_mapping: None,
            creator: None,
            reuse_deleted_id: false,
        }));
        world
    }

    pub fn new() -> Self {
        let mut world = Self::empty();
        world.system(role("Settings", false, Place::Below(RoleName::stored("Admin"))));
        let grants = ["team.view", "team.settings", "orgs.view", "api_keys.live.manage"];
        world.system(grant("Settings", &grants, &[]));
        for (user, role) in USERS.into_iter().zip(ROLES).take(7) {
            world.system(write(user, Write::Add(vec![permanent(role)])));
        }
        let shift = vec![permanent("ReadOnly"), until("Admin", world.in_hours(12))];
        world.system(write("shift", Write::Add(shift)));
        world.system(write("bootstrap", Write::Add(vec![until("Owner", world.in_hours(BOOTSTRAP_HOURS))])));
        world
    }

    pub fn in_hours(&self, hours: i64) -> Time {
        Time(self.now.0 + hours * HOUR)
    }

    pub fn workspace(&self) -> &Project {
        self.state.project(&key()).unwrap()
    }

    pub fn system(&mut self, command: Command) {
        let call = Call::plain("system", "");
        self.state = decide(&self.state, &command, &Terms::new(&call, self.now, &Limits::default())).unwrap().next;
    }

    /// Makes a call as the API does: first the permission of the RPC, then the decision. Returns true if it is accepted.
    pub fn call(&mut self, caller: &str, command: &Command) -> bool {
        self.may_call(caller, command) && self.decide(caller, command).is_ok()
    }

    fn may_call(&self, caller: &str, command: &Command) -> bool {
        let rule = RULES.iter().find(|rule| rule.method.ends_with(&format!("/{}", command.kind()))).unwrap();
        let required =
            if rule.requires_in_workspace.is_empty() { &[rule.requires] } else { rule.requires_in_workspace };
        let user = UserId::stored(caller);
        // Effects on operators need `team.manage`.
        let gives_roles = matches!(command, Command::DeleteRole(_))
            || matches!(command, Command::UpdateRoleMapping(update) if update.on_disabled != OnDisabled::Reject);
        let effects = gives_roles.then_some(&"team.manage");
        required.iter().chain(effects).all(|permission| self.state.operator_may(&user, permission, self.now))
    }

    /// Decides a call, whatever RPCs the caller may call.
    pub fn decide(&mut self, caller: &str, command: &Command) -> Result<(), Refusal> {
        self.decide_within(&Limits::default(), caller, command)
    }

    pub fn decide_within(&mut self, limits: &Limits, caller: &str, command: &Command) -> Result<(), Refusal> {
        let call = Call { acting_user: Some(UserId::stored(caller)), ..Call::plain(caller, "") };
        self.state = decide(&self.state, command, &Terms::new(&call, self.now, limits))?.next;
        self.now = Time(self.now.0 + 1);
        Ok(())
    }

    /// Returns the operators of the keys that are not archived.
    pub fn operators_with_keys(&self) -> Vec<String> {
        let mut operators = Vec::new();
        self.workspace().api_keys.for_each(|_, key| {
            if key.archive_time.is_none() {
                operators.push(key.operator.to_string());
            }
        });
        operators.sort();
        operators
    }

    /// Returns the existing permissions, by the names that calls ask about.
    pub fn permissions(&self) -> Vec<(&'static str, PermissionId)> {
        let workspace = self.workspace();
        PERMISSIONS.into_iter().filter_map(|name| Some((name, workspace.permission_named(name)?))).collect()
    }

    /// Returns which of these permissions an operator has at a time if nothing changes until then.
    pub fn holds(&self, permissions: &[(&'static str, PermissionId)], user: &str, at: Time) -> BTreeSet<&'static str> {
        let workspace = self.workspace();
        let granted = workspace.operator_permissions(workspace.org("team").unwrap(), &UserId::stored(user), at);
        permissions.iter().filter(|(_, id)| granted.contains(*id)).map(|(name, _)| *name).collect()
    }

    /// Returns the live role of an operator at a time.
    pub fn role_of(&self, user: &str, at: Time) -> Option<String> {
        let workspace = self.workspace();
        let roles = workspace.operator_roles(workspace.org("team").unwrap(), &UserId::stored(user), at);
        roles.first().map(|&role| workspace.role_name(role).to_string())
    }
}

fn role(name: &str, internal: bool, place: Place) -> Command {
    Command::CreateRole(CreateRole {
        project: key(),
        name: RoleName::stored(name),
        description: String::new(),
        internal,
        place,
        disabled_in: vec![],
        manages: vec![],
    })
}

pub fn role_above(name: &str, other: &str) -> Command {
    role(name, false, Place::Above(RoleName::stored(other)))
}

pub fn internal_role(name: &str) -> Command {
    role(name, true, Place::Last)
}

pub fn permanent(role: &str) -> RoleAssignment {
    RoleAssignment { role: RoleName::stored(role), expire_time: None, permanent: false }
}

pub fn until(role: &str, time: Time) -> RoleAssignment {
    RoleAssignment { expire_time: Some(time), ..permanent(role) }
}

/// Returns the command of a key that is for everything.
pub fn create_key(operator: &str, hash: u8, expire_time: Option<Time>) -> Command {
    Command::CreateApiKey(CreateApiKey {
        project: key(),
        hash: [hash; 32],
        display_name: "key".into(),
        operator: Some(UserId::stored(operator)),
        environment: Environment::Live,
        checks_only: false,
        sidecar_only: false,
        acting_user_required: false,
        no_activity: false,
        scope_project: None,
        scope_org: None,
        expire_time,
        expire_time_max: None,
    })
}

pub fn archive_key(hash: u8) -> Command {
    Command::ArchiveApiKey(ArchiveApiKey { project: key(), id: ApiKeyId::of(&[hash; 32]) })
}

pub fn write(user: &str, write: Write) -> Command {
    let row = MemberWrite { org_id: team(), user_id: UserId::stored(user), write };
    Command::WriteMember(WriteMember { project: key(), row, allow_ownerless: false, keep_invitations: false })
}

pub fn grant(role: &str, add: &[&str], enable: &[&str]) -> Command {
    let add = add.iter().map(|name| PermissionName::stored(*name)).collect();
    let grants = vec![GrantEdit { role: RoleName::stored(role), add, remove: vec![] }];
    let enable = enable.iter().map(|name| RoleName::stored(*name)).collect();
    update(RoleMappingEdits { grants, enable, disable: vec![] }, OnDisabled::Reject)
}

/// Returns the command that disables a role. Its holders keep it, suspended.
pub fn disable(role: &str, fallback: Option<&str>) -> Command {
    let edits = RoleMappingEdits { disable: vec![RoleName::stored(role)], ..Default::default() };
    update(edits, OnDisabled::Suspend { fallback_role: fallback.map(RoleName::stored) })
}

fn update(edits: RoleMappingEdits, on_disabled: OnDisabled) -> Command {
    Command::UpdateRoleMapping(UpdateRoleMapping {
        project: key(),
        name: RoleMappingName::stored("Default"),
        etag: None,
        new_name: None,
        description: None,
        aliases: None,
        edits,
        on_disabled,
    })
}
