//! TODO doc

use std::cell::OnceCell;
use std::collections::HashMap;

use crate::domain::model::id::RoleId;
use crate::domain::model::time::Time;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::project::Project;

/// What is compared, and how it is looked at.
pub struct Sides<'a> {
    pub before: Option<&'a Project>,
    pub after: Option<&'a Project>,
    /// For an acting user nothing internal is there.
    pub visibility: Visibility,
    pub now: Time,
    /// Whether roles that were there are in another order now, or the structure is another.
    pub reordered: bool,
    /// Looked up once, where a member may lose a check.
    pub hierarchy: OnceCell<Hierarchy>,
}

impl Sides<'_> {
    pub fn is_reordered(&self) -> bool {
        let (Some(before), Some(after)) = (self.before, self.after) else { return false };
        let there = |project: &Project, role: RoleId| project.roles.get(role).is_some();
        let was = before.role_order.iter().filter(|&&role| there(after, role));
        let is = after.role_order.iter().filter(|&&role| there(before, role));
        before.record.role_structure != after.record.role_structure || !was.eq(is)
    }
}

/// The places of roles in a hierarchy, 0 for the highest, as they were, and what is to be known of all from one place down;
/// of the roles alone that are there afterwards.
pub struct Hierarchy {
    pub before: HashMap<RoleId, usize>,
    pub after: HashMap<RoleId, usize>,
    /// For each place before: of the roles from there down, the highest place that one has afterwards.
    pub highest_after: Vec<usize>,
    /// For each place before: how many roles there are from there down.
    pub below: Vec<usize>,
}

impl Hierarchy {
    pub fn new(before: &Project, after: &Project, visibility: Visibility) -> Self {
        let places = |project: &Project| -> HashMap<RoleId, usize> {
            project.role_order.iter().enumerate().map(|(at, &role)| (role, at)).collect()
        };
        let (was, is) = (places(before), places(after));
        let known = |role: RoleId| visibility == Visibility::All || after.is_visible(role);
        let end = before.role_order.len();
        let (mut highest_after, mut below) = (vec![usize::MAX; end + 1], vec![0; end + 1]);
        for (at, role) in before.role_order.iter().enumerate().rev() {
            let place = is.get(role).copied().filter(|_| known(*role));
            highest_after[at] = highest_after[at + 1].min(place.unwrap_or(usize::MAX));
            below[at] = below[at + 1] + usize::from(place.is_some());
        }
        Self { before: was, after: is, highest_after, below }
    }
}
