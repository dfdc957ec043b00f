//! TODO doc

use crate::domain::model::id::RoleId;
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::state::project::Project;

/// Refuses a role that cannot take another's place: an internal role is replaced by an internal one only, and a visible one
/// by a visible one.
pub fn fits(project: &Project, role: RoleId, other: RoleId) -> Result<(), Refusal> {
    if role == other {
        return Err(Refusal::OwnReplacement { noun: Noun::Role, name: project.role_name(role).to_string() });
    }
    if project.is_visible(role) == project.is_visible(other) {
        return Ok(());
    }
    Err(Refusal::ReplacementUnsuitable { role: project.role_name(role), replacement: project.role_name(other) })
}
