//! The order of roles (R6, M9, I2).

use sha2::{Digest, Sha256};

use crate::domain::model::etag;
use crate::domain::model::id::{ProjectId, RoleId};
use crate::domain::model::time::Time;
use crate::domain::state::project::Project;

/// Returns the etag of the order of roles (M9).
pub fn role_order_etag(project: &Project) -> String {
    let next = project.roles.next_number();
    role_order_etag_of(project.id, project.record.role_order_version, next, project.roles.len())
}

/// Returns the same etag without the roles. A new role changes `next_role`, a deleted one changes `roles`.
pub fn role_order_etag_of(project: ProjectId, role_order_version: u32, next_role: u32, roles: usize) -> String {
    format!("{}.{next_role:x}.{roles:x}", etag::etag(project.number(), role_order_version))
}

/// Returns a number that identifies the order of the visible roles, each with its create time, highest first. It
/// changes if a visible role is added, removed or reordered. It reveals nothing that end users do not see: ids would
/// count internal roles too, so only their order is used.
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

/// Returns that number for a project.
pub fn visible_order(project: &Project) -> i64 {
    let visible = project.role_order.iter().filter_map(|&id| Some((id, project.roles.get(id)?)));
    let visible = visible.filter(|(_, role)| !role.internal).map(|(id, role)| (id, role.create_time));
    visible_order_of(&visible.collect::<Vec<_>>())
}

/// Returns the position of a role in the order, 0 for the highest.
pub fn position(project: &Project, role: RoleId) -> usize {
    project.role_order.iter().position(|&other| other == role).unwrap_or(project.role_order.len())
}
