//! The commands at the start of a random history.

use rolecall::domain::commands::command::*;
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::model::template::B2B;
use rolecall::domain::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, UserId};

use super::{ABILITIES, PROJECTS};

/// The projects of every history.
pub fn initial_projects() -> Vec<Command> {
    let create = |key, role_structure| {
        Command::CreateProject(CreateProject {
            key: ProjectKey::stored(key),
            display_name: "One".into(),
            environment: Environment::Live,
            role_structure,
            reuse_deleted_key: false,
            template: &B2B,
            owner_role: None,
        })
    };
    let (single, multi) = (RoleStructure::SingleRole, RoleStructure::MultiRole);
    vec![create("default", single), create("single", single), create("multi", multi)]
}

/// Fills each project, so that more of the random commands are accepted.
pub fn set_up_commands() -> Vec<Command> {
    let mut commands = Vec::new();
    for key in PROJECTS {
        let project = ProjectKey::stored(key);
        let new = |name| NewPermission { name: PermissionName::stored(name), description: String::new() };
        commands.push(Command::CreatePermissions(CreatePermissions {
            project: project.clone(),
            permissions: vec![new("read"), new("write")],
            batch: true,
        }));
        commands.push(Command::CreateRole(CreateRole {
            project: project.clone(),
            name: RoleName::stored("Auditor"),
            description: String::new(),
            internal: false,
            place: Place::Above(RoleName::stored("Member")),
            disabled_in: vec![],
            manages: vec![],
        }));
        commands.push(Command::CreateRole(CreateRole {
            project: project.clone(),
            name: RoleName::stored("Boss"),
            description: String::new(),
            internal: true,
            place: Place::Below(RoleName::stored("Owner")),
            disabled_in: vec![],
            manages: vec![],
        }));
        if key == "multi" {
            for (name, managed) in [("Owner", &["Owner", "Admin", "Auditor", "Member"][..]), ("Boss", &["Auditor"][..])]
            {
                commands.push(Command::UpdateRole(UpdateRole {
                    project: project.clone(),
                    name: RoleName::stored(name),
                    etag: None,
                    new_name: None,
                    description: None,
                    internal: None,
                    aliases: None,
                    manages: Some(managed.iter().map(|&name| RoleName::stored(name)).collect()),
                }));
            }
        }
        let grant = |role, add: &[&'static str]| GrantEdit {
            role: RoleName::stored(role),
            add: add.iter().map(|&name| PermissionName::stored(name)).collect(),
            remove: vec![],
        };
        commands.push(Command::CreateRoleMapping(CreateRoleMapping {
            project: project.clone(),
            name: RoleMappingName::stored("Free"),
            description: String::new(),
            duplicate_of: None,
            edits: RoleMappingEdits {
                grants: vec![
                    grant("Owner", &ABILITIES),
                    grant("Auditor", &["read", "rolecall::can_invite", "rolecall::can_change_roles"]),
                    grant("Admin", &["write"]),
                    grant("Member", &["read"]),
                ],
                enable: vec![],
                disable: vec![RoleName::stored("Admin")],
            },
            subscribe: vec![],
            on_disabled: OnDisabled::Reject,
        }));
        commands.push(Command::CreateRoleMapping(CreateRoleMapping {
            project: project.clone(),
            name: RoleMappingName::stored("Paid"),
            description: String::new(),
            duplicate_of: Some(RoleMappingName::stored("Default")),
            edits: RoleMappingEdits { grants: vec![grant("Admin", &["read", "write"])], ..RoleMappingEdits::default() },
            subscribe: vec![],
            on_disabled: OnDisabled::Reject,
        }));
        for (org, mapping) in [("acme", "Free"), ("globex", "Paid")] {
            commands.push(Command::CreateOrg(CreateOrg {
                project: project.clone(),
                org_id: OrgId::stored(org),
                display_name: org.to_uppercase(),
                metadata: String::new(),
                role_mapping: None,
                creator: Some(UserId::stored("Ann")),
                reuse_deleted_id: false,
            }));
            commands.push(Command::SubscribeOrg(SubscribeOrg {
                project: project.clone(),
                org_id: OrgId::stored(org),
                to: SubscribeTo::RoleMapping(RoleMappingName::stored(mapping)),
                on_disabled: OnDisabled::Reject,
            }));
            for (user, role) in [("ann", None), ("bob", Some("Auditor")), ("cid", Some("Admin"))] {
                let row = MemberWrite {
                    org_id: OrgId::stored(org),
                    user_id: UserId::stored(user),
                    write: Write::Add(role.into_iter().map(permanent).collect()),
                };
                commands.push(Command::WriteMember(WriteMember {
                    project: project.clone(),
                    row,
                    allow_ownerless: false,
                    keep_invitations: false,
                }));
            }
        }
    }
    commands
}

fn permanent(role: &'static str) -> RoleAssignment {
    RoleAssignment { role: RoleName::stored(role), expire_time: None, permanent: false }
}
