//! The impact of a write: the report that the preview and the real call both return (R9). It compares the project
//! before the write with the project after it, independent of the command.

pub mod at_least;
pub mod digest;
pub mod effect;
pub mod members;
pub mod report;
pub mod roles;
pub mod scope;
pub mod sides;

use std::cell::OnceCell;

use crate::domain::impact::report::Impact;
use crate::domain::impact::scope::Scope;
use crate::domain::impact::sides::Sides;
use crate::domain::model::id::ProjectId;
use crate::domain::model::time::Time;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::State;
use crate::domain::state::change::Change;
use crate::domain::state::project::Project;

/// Compares the states before and after the changes.
pub fn impact(before: &State, after: &State, changes: &[Change], visibility: Visibility, now: Time) -> Impact {
    let mut impact = Impact::default();
    let mut marks = digest::Marks::default();
    if visibility == Visibility::VisibleOnly {
        // The report for an acting user contains less. So it has a different digest even if the contents are equal.
        marks.add(digest::Kind::Visible, &[]);
    }
    if let Some(project) = changes.first().map(Change::project) {
        let (before, after) = (existing(before, project), existing(after, project));
        let scope = Scope::of(changes);
        let mut sides = Sides { before, after, visibility, now, reordered: false, hierarchy: OnceCell::new() };
        sides.reordered = scope.reordered && sides.is_reordered();
        members::count(&sides, &scope, &mut impact, &mut marks);
        [impact.grants_gained, impact.grants_lost] = roles::grants(&sides, changes, &mut marks);
        if scope.roles {
            impact.at_least_lost = roles::at_least_lost(&sides, &mut marks);
            impact.manages_lost = roles::manages_lost(&sides, &scope, &mut marks);
        }
    }
    impact.digest = digest::digest(&impact, &marks);
    impact
}

fn existing(state: &State, project: ProjectId) -> Option<&Project> {
    state.project_numbered(project).map(AsRef::as_ref).filter(|project| project.record.lifecycle.exists())
}
