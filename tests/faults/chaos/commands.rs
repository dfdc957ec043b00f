//! The writes: random commands, and how a client sends them.

use rolecall::domain::commands::command::*;
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::model::template::B2B;
use rolecall::domain::{Command, OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, UserId};

use crate::random::Random;

pub const PROJECT: &str = "shop";
pub const ORGS: [&str; 5] = ["acme", "globex", "initech", "hooli", "umbrella"];
pub const USERS: [&str; 8] = ["ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal"];
/// Highest first.
pub const ROLES: [&str; 6] = ["Owner", "Admin", "Auditor", "Seller", "Temp", "Member"];
pub const PERMISSIONS: [&str; 5] = ["read", "write", "sell", "audit", "rolecall::can_invite"];
const MAPPINGS: [&str; 4] = ["Default", "Free", "Paid", "Trial"];
/// The roles that may be disabled or deleted.
const MINOR_ROLES: [&str; 4] = ["Admin", "Auditor", "Seller", "Temp"];

/// Returns the commands that create what the random ones change.
pub fn set_up() -> Vec<Command> {
    let mut commands = vec![Command::CreateProject(CreateProject {
        key: project(),
        display_name: String::new(),
        environment: Environment::Live,
        role_structure: RoleStructure::SingleRole,
        reuse_deleted_key: false,
        template: &B2B,
        owner_role: None,
    })];
    commands.extend(PERMISSIONS[..4].iter().map(|name| create_permission(name)));
    commands.extend(["Auditor", "Seller", "Temp"].map(create_role));
    let grants = [("Admin", "write"), ("Auditor", "audit"), ("Seller", "sell"), ("Member", "read")];
    commands.extend(grants.map(|(role, permission)| edit_mapping("Default", grants_of(role, &[permission], &[]))));
    commands.extend(MAPPINGS[1..].iter().map(|name| create_mapping(name, "Default")));
    commands.extend(ORGS.iter().map(|org| create_org(org, "Default")));
    commands
}

/// Returns a command that is often accepted.
pub fn random_command(random: &mut Random) -> Command {
    let (org, user) = (random.pick(&ORGS), random.pick(&USERS));
    let (role, minor) = (random.pick(&ROLES), random.pick(&MINOR_ROLES));
    let (mapping, permission) = (random.pick(&MAPPINGS), random.pick(&PERMISSIONS));
    let write = |write| {
        let row = MemberWrite { org_id: OrgId::stored(org), user_id: UserId::stored(user), write };
        Command::WriteMember(WriteMember { project: project(), row, allow_ownerless: true, keep_invitations: false })
    };
    match random.below(100) {
        0..25 => write(Write::Set(assignments(role))),
        25..37 => write(Write::Add(assignments(role))),
        37..45 => write(Write::Remove),
        45..53 => Command::BatchWriteMembers(BatchWriteMembers {
            project: project(),
            rows: random_rows(random),
            allow_ownerless: true,
            keep_invitations: false,
        }),
        53..59 => edit_mapping(mapping, grants_of(role, &[permission], &[])),
        59..64 => edit_mapping(mapping, grants_of(role, &[], &[permission])),
        64..68 => edit_mapping(mapping, (RoleMappingEdits { enable: names(minor), ..Default::default() }, reject())),
        68..73 => {
            let edits = RoleMappingEdits { disable: names(minor), ..Default::default() };
            edit_mapping(mapping, (edits, random_strategy(random)))
        }
        73..81 => Command::SubscribeOrg(SubscribeOrg {
            project: project(),
            org_id: OrgId::stored(org),
            to: SubscribeTo::RoleMapping(RoleMappingName::stored(mapping)),
            on_disabled: random_strategy(random),
        }),
        81..83 => Command::BatchSubscribeOrgs(BatchSubscribeOrgs {
            project: project(),
            org_ids: vec![OrgId::stored(ORGS[0]), OrgId::stored(ORGS[1])],
            to: SubscribeTo::Default,
            on_disabled: random_strategy(random),
        }),
        83 => Command::BlockUser(BlockUser { project: project(), user_id: UserId::stored(user) }),
        84..87 => Command::UnblockUser(UnblockUser { project: project(), user_id: UserId::stored(user) }),
        87..90 => edit_mapping(
            mapping,
            (
                RoleMappingEdits { disable: names(minor), ..Default::default() },
                OnDisabled::Suspend { fallback_role: None },
            ),
        ),
        90 => Command::DeleteOrg(DeleteOrg { project: project(), org_id: OrgId::stored("umbrella") }),
        91 => create_org("umbrella", mapping),
        92 => create_role(if random.below(2) == 0 { "Temp" } else { "Seller" }),
        93 => Command::DeleteRole(DeleteRole {
            project: project(),
            name: RoleName::stored(if random.below(2) == 0 { "Temp" } else { "Seller" }),
            etag: None,
            replacement: (random.below(2) == 0).then(|| RoleName::stored("Auditor")),
        }),
        94 => create_permission("audit"),
        95 => Command::DeletePermission(DeletePermission { project: project(), name: PermissionName::stored("audit") }),
        96..98 => create_mapping("Trial", if random.below(2) == 0 { "Free" } else { "Paid" }),
        98 => Command::DeleteRoleMapping(DeleteRoleMapping {
            project: project(),
            name: RoleMappingName::stored("Trial"),
            etag: None,
            move_subscribers_to: Some(RoleMappingName::stored("Free")),
            on_disabled: random_strategy(random),
        }),
        _ => Command::DeleteUser(DeleteUser {
            project: project(),
            user_id: UserId::stored(user),
            keep_invitations: false,
        }),
    }
}

fn random_rows(random: &mut Random) -> Vec<MemberWrite> {
    let (org, first, count) = (random.pick(&ORGS), random.below(USERS.len()), 2 + random.below(4));
    let row = |at: usize| MemberWrite {
        org_id: OrgId::stored(org),
        user_id: UserId::stored(USERS[(first + at) % USERS.len()]),
        write: Write::Add(assignments(random.pick(&ROLES))),
    };
    let mut rows: Vec<MemberWrite> = (0..count).map(row).collect();
    // Members are more often there than not.
    for row in &mut rows {
        if random.below(4) > 0 {
            row.write = Write::Set(assignments(random.pick(&ROLES)));
        }
    }
    rows
}

fn random_strategy(random: &mut Random) -> OnDisabled {
    match random.below(4) {
        0 => OnDisabled::Suspend { fallback_role: None },
        1 => OnDisabled::Suspend { fallback_role: Some(RoleName::stored("Member")) },
        2 => OnDisabled::Remap { replacements: Vec::new(), default_replacement: Some(RoleName::stored("Member")) },
        _ => OnDisabled::Suspend { fallback_role: Some(RoleName::stored(random.pick(&ROLES))) },
    }
}

fn project() -> ProjectKey {
    ProjectKey::stored(PROJECT)
}

fn names(role: &str) -> Vec<RoleName> {
    vec![RoleName::stored(role)]
}

fn reject() -> OnDisabled {
    OnDisabled::Reject
}

fn assignments(role: &str) -> Vec<RoleAssignment> {
    vec![RoleAssignment { role: RoleName::stored(role), expire_time: None, permanent: false }]
}

fn grants_of(role: &str, add: &[&str], remove: &[&str]) -> (RoleMappingEdits, OnDisabled) {
    let names = |names: &[&str]| names.iter().map(|&name| PermissionName::stored(name)).collect();
    let edit = GrantEdit { role: RoleName::stored(role), add: names(add), remove: names(remove) };
    (RoleMappingEdits { grants: vec![edit], ..Default::default() }, reject())
}

fn create_permission(name: &str) -> Command {
    let permission = NewPermission { name: PermissionName::stored(name), description: String::new() };
    Command::CreatePermissions(CreatePermissions { project: project(), permissions: vec![permission], batch: false })
}

fn create_role(name: &str) -> Command {
    Command::CreateRole(CreateRole {
        project: project(),
        name: RoleName::stored(name),
        description: String::new(),
        internal: false,
        place: Place::Above(RoleName::stored("Member")),
        disabled_in: vec![],
        manages: vec![],
    })
}

fn create_org(org: &str, mapping: &str) -> Command {
    Command::CreateOrg(CreateOrg {
        project: project(),
        org_id: OrgId::stored(org),
        display_name: String::new(),
        metadata: String::new(),
        role_mapping: Some(RoleMappingName::stored(mapping)),
        creator: Some(UserId::stored("ann")),
        reuse_deleted_id: true,
    })
}

fn create_mapping(name: &str, original: &str) -> Command {
    Command::CreateRoleMapping(CreateRoleMapping {
        project: project(),
        name: RoleMappingName::stored(name),
        description: String::new(),
        duplicate_of: Some(RoleMappingName::stored(original)),
        edits: RoleMappingEdits::default(),
        subscribe: vec![],
        on_disabled: reject(),
    })
}

fn edit_mapping(name: &str, (edits, on_disabled): (RoleMappingEdits, OnDisabled)) -> Command {
    Command::UpdateRoleMapping(UpdateRoleMapping {
        project: project(),
        name: RoleMappingName::stored(name),
        etag: None,
        new_name: None,
        description: None,
        aliases: None,
        edits,
        on_disabled,
    })
}
