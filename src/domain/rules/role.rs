//! The order of roles (R6, M9, I2).

use sha2::{Digest, Sha256};

use crate::domain::model::etag;
use crate::domain::model::id::RoleId;
use crate::domain::state::project::Project;

/// Returns the etag of the order of roles (M9). A new role changes `next`, a deleted one the number of roles.
pub fn role_order_etag(project: &Project) -> String {
    let (next, roles) = (project.roles.next_number(), project.roles.len());
    format!("{}.{next:x}.{roles:x}", etag::etag(project.id.number(), project.record.role_order_version))
}

/// Returns a number that identifies the order of the visible roles, each with its create time. It changes if a visible
/// role is added, removed or reordered. It reveals nothing that end users do not see: ids would count internal roles
/// too, so only their order is used.
pub fn visible_order(project: &Project) -> i64 {
    let visible = project.role_order.iter().filter_map(|&id| Some((id, project.roles.get(id)?)));
    let visible: Vec<_> = visible.filter(|(_, role)| !role.internal).collect();
    let mut ids: Vec<RoleId> = visible.iter().map(|&(id, _)| id).collect();
    ids.sort_unstable();
    let mut hash = Sha256::new();
    for (id, role) in &visible {
        hash.update((ids.partition_point(|other| other < id) as u64).to_le_bytes());
        hash.update(role.create_time.0.to_le_bytes());
    }
    let hash = hash.finalize();
    i64::from_le_bytes(std::array::from_fn(|at| hash[at])) & i64::MAX
}

/// Returns the position of a role in the order, 0 for the highest.
pub fn position(project: &Project, role: RoleId) -> usize {
    project.role_order.iter().position(|&other| other == role).unwrap_or(project.role_order.len())
}
