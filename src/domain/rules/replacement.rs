//! Which role may replace another (R4, M7).

use crate::domain::model::id::RoleId;
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::state::project::Project;

/// Refuses a role as its own replacement, and a visible replacement of an internal role or the reverse.
pub fn check_replacement(project: &Project, role: RoleId, replacement: RoleId) -> Result<(), Refusal> {
    if role == replacement {
        return Err(Refusal::OwnReplacement { noun: Noun::Role, name: project.role_name(role).to_string() });
    }
    if project.is_visible(role) == project.is_visible(replacement) {
        return Ok(());
    }
    Err(Refusal::ReplacementUnsuitable { role: project.role_name(role), replacement: project.role_name(replacement) })
}
