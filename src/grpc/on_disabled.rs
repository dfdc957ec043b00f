//! Reads `on_disabled`: what happens to members whose roles would be disabled (M7).

use tonic::Status;

use super::{convert, status};
use crate::domain::RoleName;
use crate::domain::commands::command::OnDisabled;
use crate::limits::Limits;
use crate::wire::{self, DisabledRoleStrategy};

/// Reads the strategy of a write. If absent, the write is refused if a member would lose a role.
pub fn on_disabled(given: Option<&wire::OnDisabled>, limits: &Limits) -> Result<OnDisabled, Status> {
    on_disabled_at("on_disabled", given, limits)
}

/// Does the same for the field `at`.
pub fn on_disabled_at(at: &str, given: Option<&wire::OnDisabled>, limits: &Limits) -> Result<OnDisabled, Status> {
    let Some(given) = given else { return Ok(OnDisabled::Reject) };
    match DisabledRoleStrategy::try_from(given.strategy) {
        Ok(DisabledRoleStrategy::Unspecified | DisabledRoleStrategy::Reject) => {
            no_remap(at, given)?;
            no_fallback_role(at, given)?;
            Ok(OnDisabled::Reject)
        }
        Ok(DisabledRoleStrategy::Suspend) => {
            no_remap(at, given)?;
            let fallback_role = |name: &str| convert::role(&format!("{at}.fallback_role"), name);
            Ok(OnDisabled::Suspend { fallback_role: convert::optional(&given.fallback_role, fallback_role)? })
        }
        Ok(DisabledRoleStrategy::Remap) => {
            no_fallback_role(at, given)?;
            remap(at, given, limits)
        }
        Err(_) => Err(status::invalid(format!("{at}.strategy"), "must be a value of DisabledRoleStrategy")),
    }
}

fn remap(at: &str, given: &wire::OnDisabled, limits: &Limits) -> Result<OnDisabled, Status> {
    // More are never roles of one project.
    convert::at_most(&format!("{at}.replacements"), given.replacements.len(), convert::roles_max(limits))?;
    let entry = |(row, entry): (usize, &wire::RoleReplacement)| {
        let named = |field: &str, text| convert::role(&format!("{at}.replacements[{row}].{field}"), text);
        Ok((named("role", &entry.role)?, named("replacement", &entry.replacement)?))
    };
    let replacements =
        given.replacements.iter().enumerate().map(entry).collect::<Result<Vec<(RoleName, RoleName)>, Status>>();
    let default_replacement = convert::optional(&given.default_replacement, |name| {
        convert::role(&format!("{at}.default_replacement"), name)
    })?;
    Ok(OnDisabled::Remap { replacements: replacements?, default_replacement })
}

fn no_remap(at: &str, given: &wire::OnDisabled) -> Result<(), Status> {
    let why = "needs the strategy DISABLED_ROLE_STRATEGY_REMAP";
    if !given.replacements.is_empty() {
        return Err(status::invalid(format!("{at}.replacements"), why));
    }
    if given.default_replacement.is_empty() {
        Ok(())
    } else {
        Err(status::invalid(format!("{at}.default_replacement"), why))
    }
}

fn no_fallback_role(at: &str, given: &wire::OnDisabled) -> Result<(), Status> {
    let why = "needs the strategy DISABLED_ROLE_STRATEGY_SUSPEND";
    if given.fallback_role.is_empty() { Ok(()) } else { Err(status::invalid(format!("{at}.fallback_role"), why)) }
}
