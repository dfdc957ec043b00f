//! Placeholders for values that a random command cannot know when it is generated: current etags, the complete role
//! order, and ids of invitations. They are replaced just before the command is decided.

use std::sync::Arc;

use rolecall::domain::commands::command::configuration::ApplyConfiguration;
use rolecall::domain::model::email::EmailAddress;
use rolecall::domain::model::etag::etag;
use rolecall::domain::model::invitation::InvitationId;
use rolecall::domain::rules::configuration::configuration_etag;
use rolecall::domain::rules::role::role_order_etag;
use rolecall::domain::{Command, OrgId, Project, ProjectKey, RoleMappingName, RoleName, State};
use rolecall::limits::Limits;

use crate::random_configuration::{Names, random_request};
use crate::random_history::{MAPPINGS, PERMISSIONS, ROLES};

/// The current etag.
pub const FRESH: &str = "fresh";
/// An older etag.
pub const STALE: &str = "stale";
/// In an order: all roles that it does not name.
pub const ALL_OTHERS: &str = "*";

/// The addresses that histories invite. The id of an invitation in a random command is the position of its address.
pub const EMAILS: [&str; 3] = ["x@a.example", "y@a.example", "z@b.example"];

/// Returns the command with its placeholders replaced.
pub fn fill(state: &State, command: &Command) -> Command {
    let mut command = command.clone();
    let project_of = |key: &ProjectKey| state.project(key).cloned();
    match &mut command {
        Command::UpdateProject(update) => {
            fill_etag(&mut update.etag, project_of(&update.project).map(|project| project_etag(&project)))
        }
        Command::ConvertRoleStructure(convert) => {
            let project = project_of(&convert.project);
            fill_etag(&mut convert.etag, project.as_ref().map(|project| project_etag(project)));
            if let Some(project) = project {
                fill_roles(&project, &mut convert.order);
            }
        }
        Command::DeleteProject(delete) => {
            fill_etag(&mut delete.etag, project_of(&delete.project).map(|project| project_etag(&project)))
        }
        Command::UpdateRole(update) => {
            fill_etag(&mut update.etag, project_of(&update.project).and_then(|it| role_etag(&it, update.name.as_str())))
        }
        Command::DeleteRole(delete) => {
            fill_etag(&mut delete.etag, project_of(&delete.project).and_then(|it| role_etag(&it, delete.name.as_str())))
        }
        Command::ReorderRoles(reorder) => {
            let project = project_of(&reorder.project);
            fill_etag(&mut reorder.etag, project.as_ref().map(|project| role_order_etag(project)));
            if let Some(project) = project {
                fill_roles(&project, &mut reorder.roles);
            }
        }
        Command::UpdateRoleMapping(update) => fill_etag(
            &mut update.etag,
            project_of(&update.project).and_then(|it| mapping_etag(&it, update.name.as_str())),
        ),
        Command::DeleteRoleMapping(delete) => fill_etag(
            &mut delete.etag,
            project_of(&delete.project).and_then(|it| mapping_etag(&it, delete.name.as_str())),
        ),
        Command::CreateInvitations(create) => {
            let next = u128::from(state.revision().number + 1) << 64;
            for (number, row) in create.rows.iter_mut().enumerate() {
                row.id = InvitationId(next + number as u128);
            }
        }
        Command::ApplyConfiguration(apply) => {
            if let Some(project) = project_of(&apply.project) {
                let expected = std::mem::take(&mut apply.etag);
                *apply = configuration(&project, apply);
                // A stale etag stays as it is: it is no etag.
                apply.etag = expected.map(|word| if word == FRESH { configuration_etag(&project) } else { word });
            }
        }
        Command::RevokeInvitation(revoke) => fill_id(&mut revoke.id, project_of(&revoke.project), &revoke.org_id),
        Command::AcceptInvitation(accept) => fill_id(&mut accept.id, project_of(&accept.project), &accept.org_id),
        _ => {}
    }
    command
}

/// Returns a command that [`fill`] replaces by a random change of the project's configuration.
pub fn random_configuration(project: ProjectKey, etag: Option<String>, seed: u64) -> Command {
    let role = || RoleName::stored(seed.to_string());
    Command::ApplyConfiguration(ApplyConfiguration {
        project,
        etag,
        display_name: None,
        role_structure: None,
        default_role: role(),
        default_owner_role: role(),
        default_role_mapping: RoleMappingName::stored("any"),
        permissions: vec![],
        roles: vec![],
        role_mappings: vec![],
        deleted_permissions: vec![],
        deleted_roles: vec![],
        deleted_role_mappings: vec![],
        prune: false,
        allow_ownerless: false,
    })
}

fn configuration(project: &Project, placeholder: &ApplyConfiguration) -> ApplyConfiguration {
    let mut random: u64 = placeholder.default_role.as_str().parse().expect("a seed");
    // Knuth's generator. Its low bits are not random.
    let mut below = |sides: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % sides
    };
    let names = Names { permissions: &PERMISSIONS, roles: &ROLES, role_mappings: &MAPPINGS };
    let request = random_request(project, &names, &mut below);
    rolecall::grpc::configuration::command(&request, &Limits::default()).expect("the request is well-formed")
}

/// Replaces the position of an address by the id of its pending invitation.
fn fill_id(id: &mut InvitationId, project: Option<Arc<Project>>, org_id: &OrgId) {
    let email = EMAILS.get(id.0 as usize).map(|email| EmailAddress::stored(*email));
    let found = project.zip(email).and_then(|(project, email)| {
        let org = project.org(org_id.as_str())?;
        project.invitation_of(org, &email).map(|invitation| invitation.id)
    });
    *id = found.unwrap_or(InvitationId(u128::MAX));
}

fn fill_etag(etag: &mut Option<String>, now: Option<String>) {
    let Some(now) = now else { return };
    *etag = match etag.as_deref() {
        Some(FRESH) => Some(now),
        // The previous etag.
        Some(STALE) => {
            let mut parts: Vec<u32> =
                now.split('.').map(|part| u32::from_str_radix(part, 16).expect("a number")).collect();
            // An etag is an id and a version. The etag of an order has a third part.
            parts[1] -= 1;
            Some(parts.iter().map(|part| format!("{part:x}")).collect::<Vec<_>>().join("."))
        }
        other => other.map(str::to_string),
    };
}

pub fn project_etag(project: &Project) -> String {
    etag(project.id.number(), project.record.version)
}

pub fn role_etag(project: &Project, name: &str) -> Option<String> {
    let id = project.role_named(name)?;
    Some(etag(id.number(), project.roles.get(id)?.version))
}

pub fn mapping_etag(project: &Project, name: &str) -> Option<String> {
    let id = project.role_mapping_named(name)?;
    Some(etag(id.number(), project.role_mappings.get(id)?.record.version))
}

/// Replaces `*` by all roles that are not named.
fn fill_roles(project: &Project, roles: &mut Vec<RoleName>) {
    let len = roles.len();
    roles.retain(|name| name.as_str() != ALL_OTHERS);
    if roles.len() < len {
        let named: Vec<_> = roles.iter().filter_map(|name| project.role_named(name.as_str())).collect();
        let rest = project.role_order.iter().filter(|id| !named.contains(id));
        roles.extend(rest.map(|&id| project.role_name(id)));
    }
}
