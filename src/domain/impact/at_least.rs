//! Who is no longer "at least" some role (K6).

use std::collections::HashMap;

use super::Sides;
use crate::domain::id::RoleId;
use crate::domain::membership::Visibility;
use crate::domain::project::{Project, RoleStructure};

/// The places of roles in a hierarchy, 0 for the highest, as they were, and what is to be known of all from one place down;
/// of the roles alone that are there afterwards.
pub struct Hierarchy {
    before: HashMap<RoleId, usize>,
    after: HashMap<RoleId, usize>,
    /// For each place before: of the roles from there down, the highest place that one has afterwards.
    highest_after: Vec<usize>,
    /// For each place before: how many roles there are from there down.
    below: Vec<usize>,
}

impl Hierarchy {
    fn new(before: &Project, after: &Project, visibility: Visibility) -> Self {
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

impl Sides<'_> {
    /// Whether there is a role for "at least" which live roles were enough before, and others are not after. Of the roles
    /// that are there afterwards.
    pub(super) fn loses_at_least(&self, live: &[Vec<RoleId>; 2]) -> bool {
        let (Some(before), Some(after)) = (self.before, self.after) else { return false };
        if live[0].is_empty() || !self.reordered && live[0] == live[1] {
            return false;
        }
        let known = |role: RoleId| {
            after.roles.get(role).is_some() && (self.visibility == Visibility::All || after.is_visible(role))
        };
        if before.record.role_structure == RoleStructure::MultiRole {
            return live[0].iter().any(|&role| known(role) && !passes(after, &live[1], role));
        }
        let hierarchy = self.hierarchy.get_or_init(|| Hierarchy::new(before, after, self.visibility));
        let Some(from) = live[0].iter().filter_map(|role| hierarchy.before.get(role)).min().copied() else {
            return false;
        };
        match after.record.role_structure {
            RoleStructure::SingleRole => {
                let place = live[1].iter().filter_map(|role| hierarchy.after.get(role)).min();
                let highest = hierarchy.highest_after.get(from).copied().unwrap_or(usize::MAX);
                highest != usize::MAX && place.is_none_or(|&place| highest < place)
            }
            RoleStructure::MultiRole => {
                let below = |role: &&RoleId| hierarchy.before.get(role).is_some_and(|&at| at >= from) && known(**role);
                let mut stay: Vec<&RoleId> = live[1].iter().filter(below).collect();
                stay.sort_unstable();
                stay.dedup();
                hierarchy.below.get(from).is_some_and(|&all| stay.len() < all)
            }
        }
    }
}

/// Whether live roles are enough for "at least" a role.
fn passes(project: &Project, live: &[RoleId], asked: RoleId) -> bool {
    let rank = |role| project.roles.get(role).map(|role| role.rank);
    match project.record.role_structure {
        RoleStructure::SingleRole => live.iter().any(|&role| rank(role).is_some() && rank(role) <= rank(asked)),
        RoleStructure::MultiRole => live.contains(&asked),
    }
}
