//! The two sides of the comparison.

use std::cell::OnceCell;
use std::collections::HashMap;

use crate::domain::model::id::RoleId;
use crate::domain::model::time::Time;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::project::Project;

/// The project before and after a write.
pub struct Sides<'a> {
    pub before: Option<&'a Project>,
    pub after: Option<&'a Project>,
    pub visibility: Visibility,
    pub now: Time,
    /// True if the order of the existing roles changed, or the role structure.
    pub reordered: bool,
    /// Built once, if a member may lose an "at least" check.
    pub hierarchy: OnceCell<Hierarchy>,
}

impl Sides<'_> {
    pub fn is_reordered(&self) -> bool {
        let (Some(before), Some(after)) = (self.before, self.after) else { return false };
        let exists = |project: &Project, role: RoleId| project.roles.get(role).is_some();
        let order_before = before.role_order.iter().filter(|&&role| exists(after, role));
        let order_after = after.role_order.iter().filter(|&&role| exists(before, role));
        before.record.role_structure != after.record.role_structure || !order_before.eq(order_after)
    }
}

/// The positions of roles in the order before and after, 0 for the highest. Summaries per position before count only
/// visible roles that exist afterwards.
pub struct Hierarchy {
    pub before: HashMap<RoleId, usize>,
    pub after: HashMap<RoleId, usize>,
    /// For each position before: the highest position afterwards of the roles from there down.
    pub highest_after: Vec<usize>,
    /// For each position before: the number of roles from there down.
    pub below: Vec<usize>,
}

impl Hierarchy {
    pub fn new(before: &Project, after: &Project, visibility: Visibility) -> Self {
        let positions = |project: &Project| -> HashMap<RoleId, usize> {
            project.role_order.iter().enumerate().map(|(at, &role)| (role, at)).collect()
        };
        let positions_after = positions(after);
        let shown = |role: RoleId| visibility == Visibility::All || after.is_visible(role);
        let end = before.role_order.len();
        let (mut highest_after, mut below) = (vec![usize::MAX; end + 1], vec![0; end + 1]);
        for (at, role) in before.role_order.iter().enumerate().rev() {
            let position = positions_after.get(role).copied().filter(|_| shown(*role));
            highest_after[at] = highest_after[at + 1].min(position.unwrap_or(usize::MAX));
            below[at] = below[at + 1] + usize::from(position.is_some());
        }
        Self { before: positions(before), after: positions_after, highest_after, below }
    }
}
