//! TODO doc

use sha2::{Digest, Sha256};

use crate::domain::model::etag;
use crate::domain::model::id::{ProjectId, RoleId};
use crate::domain::model::time::Time;
use crate::domain::state::project::Project;

/// The etag of the order of roles (M9).
pub fn role_order_etag(project: &Project) -> String {
    let next = project.roles.next_number();
    role_order_etag_of(project.id, project.record.role_order_version, next, project.roles.len())
}

/// The same, of a project whose roles are not at hand: how often they were ranked anew, the number that the next role
/// gets, and how many there are. One that comes changes the second, one that goes the third.
pub fn role_order_etag_of(project: ProjectId, role_order_version: u32, next_role: u32, roles: usize) -> String {
    format!("{}.{next_role:x}.{roles:x}", etag::etag(project.number(), role_order_version))
}

/// A number for the order of the visible roles, highest first, each with when it was created: another for another order,
/// and where one came or went. It is made of nothing that end users do not see: an id would count internal roles too, so
/// that of the ids only the order is taken.
pub fn visible_order_of(roles: &[(RoleId, Time)]) -> i64 {
    let mut ids: Vec<RoleId> = roles.iter().map(|&(id, _)| id).collect();
    ids.sort_unstable();
    let mut hash = Sha256::new();
    for (id, created) in roles {
        hash.update((ids.partition_point(|other| other < id) as u64).to_le_bytes());
        hash.update(created.0.to_le_bytes());
    }
    let hash = hash.finalize();
    i64::from_le_bytes(std::array::from_fn(|at| hash[at])) & i64::MAX
}

/// The same, of a project.
pub fn visible_order(project: &Project) -> i64 {
    let visible = project.role_order.iter().filter_map(|&id| Some((id, project.roles.get(id)?)));
    let visible = visible.filter(|(_, role)| !role.internal).map(|(id, role)| (id, role.create_time));
    visible_order_of(&visible.collect::<Vec<_>>())
}

/// The position of a role in the order, 0 for the highest.
pub fn position(project: &Project, role: RoleId) -> usize {
    project.role_order.iter().position(|&other| other == role).unwrap_or(project.role_order.len())
}
