//! Which members pass fewer "at least" checks after a write (K6).

use crate::domain::impact::sides::{Hierarchy, Sides};
use crate::domain::model::id::RoleId;
use crate::domain::model::project::RoleStructure;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::project::Project;

impl Sides<'_> {
    /// Returns true if "at least" some role was allowed to the live roles before, and is not allowed to those after.
    /// Only roles that exist afterwards count.
    pub(super) fn loses_at_least(&self, live: &[Vec<RoleId>; 2]) -> bool {
        let (Some(before), Some(after)) = (self.before, self.after) else { return false };
        if live[0].is_empty() || !self.reordered && live[0] == live[1] {
            return false;
        }
        let shown = |role: RoleId| {
            after.roles.get(role).is_some() && (self.visibility == Visibility::All || after.is_visible(role))
        };
        if before.record.role_structure == RoleStructure::MultiRole {
            return live[0].iter().any(|&role| shown(role) && !passes(after, &live[1], role));
        }
        let hierarchy = self.hierarchy.get_or_init(|| Hierarchy::new(before, after, self.visibility));
        let Some(from) = live[0].iter().filter_map(|role| hierarchy.before.get(role)).min().copied() else {
            return false;
        };
        match after.record.role_structure {
            RoleStructure::SingleRole => {
                let position = live[1].iter().filter_map(|role| hierarchy.after.get(role)).min();
                let highest = hierarchy.highest_after.get(from).copied().unwrap_or(usize::MAX);
                highest != usize::MAX && position.is_none_or(|&position| highest < position)
            }
            RoleStructure::MultiRole => {
                let below = |role: &&RoleId| hierarchy.before.get(role).is_some_and(|&at| at >= from) && shown(**role);
                let mut kept: Vec<&RoleId> = live[1].iter().filter(below).collect();
                kept.sort_unstable();
                kept.dedup();
                hierarchy.below.get(from).is_some_and(|&all| kept.len() < all)
            }
        }
    }
}

/// Returns true if "at least" a role is allowed to the live roles.
fn passes(project: &Project, live: &[RoleId], asked: RoleId) -> bool {
    let rank = |role| project.roles.get(role).map(|role| role.rank);
    match project.record.role_structure {
        RoleStructure::SingleRole => live.iter().any(|&role| rank(role).is_some() && rank(role) <= rank(asked)),
        RoleStructure::MultiRole => live.contains(&asked),
    }
}
