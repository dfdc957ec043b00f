//! What a random command cannot know when it is made up: the etags of the moment, and all the roles there are. It says words
//! instead, and they are put into their places just before the command is decided.

use rolecall::domain::model::etag::etag;
use rolecall::domain::rules::role::role_order_etag;
use rolecall::domain::{Command, Project, ProjectKey, RoleName, State};

/// The etag that the thing has now.
pub const FRESH: &str = "fresh";
/// Another one than it has now.
pub const STALE: &str = "stale";
/// In an order: all the roles that it does not name.
pub const ALL_OTHERS: &str = "*";

/// The command with the words replaced by what they stand for in this state.
pub fn resolved(state: &State, command: &Command) -> Command {
    let mut command = command.clone();
    let found = |key: &ProjectKey| state.project(key).cloned();
    match &mut command {
        Command::UpdateProject(update) => {
            say(&mut update.etag, found(&update.project).map(|project| project_etag(&project)))
        }
        Command::ConvertRoleStructure(convert) => {
            let project = found(&convert.project);
            say(&mut convert.etag, project.as_ref().map(|project| project_etag(project)));
            if let Some(project) = project {
                all_roles(&project, &mut convert.order);
            }
        }
        Command::DeleteProject(delete) => {
            say(&mut delete.etag, found(&delete.project).map(|project| project_etag(&project)))
        }
        Command::UpdateRole(update) => {
            say(&mut update.etag, found(&update.project).and_then(|it| role_etag(&it, update.name.as_str())))
        }
        Command::DeleteRole(delete) => {
            say(&mut delete.etag, found(&delete.project).and_then(|it| role_etag(&it, delete.name.as_str())))
        }
        Command::ReorderRoles(reorder) => {
            let project = found(&reorder.project);
            say(&mut reorder.etag, project.as_ref().map(|project| role_order_etag(project)));
            if let Some(project) = project {
                all_roles(&project, &mut reorder.roles);
            }
        }
        Command::UpdateRoleMapping(update) => {
            say(&mut update.etag, found(&update.project).and_then(|it| mapping_etag(&it, update.name.as_str())))
        }
        Command::DeleteRoleMapping(delete) => {
            say(&mut delete.etag, found(&delete.project).and_then(|it| mapping_etag(&it, delete.name.as_str())))
        }
        _ => {}
    }
    command
}

fn say(said: &mut Option<String>, now: Option<String>) {
    let Some(now) = now else { return };
    *said = match said.as_deref() {
        Some(FRESH) => Some(now),
        // The etag before this one.
        Some(STALE) => {
            let mut parts: Vec<u32> =
                now.split('.').map(|part| u32::from_str_radix(part, 16).expect("a number")).collect();
            // An id, a version, and for an order what else tells one from another.
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

/// The roles named, by whatever name, and after them all others.
fn all_roles(project: &Project, roles: &mut Vec<RoleName>) {
    let len = roles.len();
    roles.retain(|name| name.as_str() != ALL_OTHERS);
    if roles.len() < len {
        let named: Vec<_> = roles.iter().filter_map(|name| project.role_named(name.as_str())).collect();
        let rest = project.role_order.iter().filter(|id| !named.contains(id));
        roles.extend(rest.map(|&id| project.role_name(id)));
    }
}
