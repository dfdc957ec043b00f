//! Who is no longer "at least" some role (K6).

use crate::domain::impact::sides::{Hierarchy, Sides};
use crate::domain::model::id::RoleId;
use crate::domain::model::project::RoleStructure;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::project::Project;

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
