//! What becomes of those for whom a role gets disabled (M7), as requests say it.

use tonic::Status;

use super::{convert, status};
use crate::domain::RoleName;
use crate::domain::command::OnDisabled;
use crate::limits::Limits;
use crate::wire::{self, DisabledRoleStrategy};

/// Reads the strategy of a write. Not said: the write is refused where somebody would lose a role.
pub fn on_disabled(given: Option<&wire::OnDisabled>, limits: &Limits) -> Result<OnDisabled, Status> {
    let Some(given) = given else { return Ok(OnDisabled::Reject) };
    match DisabledRoleStrategy::try_from(given.strategy) {
        Ok(DisabledRoleStrategy::Unspecified | DisabledRoleStrategy::Reject) => {
            no_remap(given)?;
            no_stand_in(given)?;
            Ok(OnDisabled::Reject)
        }
        Ok(DisabledRoleStrategy::Suspend) => {
            no_remap(given)?;
            let stand_in = |name: &str| convert::role("on_disabled.stand_in_role", name);
            Ok(OnDisabled::Suspend { stand_in: convert::optional(&given.stand_in_role, stand_in)? })
        }
        Ok(DisabledRoleStrategy::Remap) => {
            no_stand_in(given)?;
            remap(given, limits)
        }
        Err(_) => Err(status::invalid("on_disabled.strategy", "must be one of the strategies of the contract")),
    }
}

fn remap(given: &wire::OnDisabled, limits: &Limits) -> Result<OnDisabled, Status> {
    // A project has no more, so that more are never all of one project.
    convert::at_most("on_disabled.role_map", given.role_map.len(), convert::roles_max(limits))?;
    let entry = |(at, entry): (usize, &wire::RoleReplacement)| {
        let named = |field: &str, text| convert::role(&format!("on_disabled.role_map[{at}].{field}"), text);
        Ok((named("role", &entry.role)?, named("to", &entry.to)?))
    };
    let role_map = given.role_map.iter().enumerate().map(entry).collect::<Result<Vec<(RoleName, RoleName)>, Status>>();
    let others_to = convert::optional(&given.others_to, |name| convert::role("on_disabled.others_to", name))?;
    Ok(OnDisabled::Remap { role_map: role_map?, others_to })
}

fn no_remap(given: &wire::OnDisabled) -> Result<(), Status> {
    let why = "is only taken with DISABLED_ROLE_STRATEGY_REMAP";
    if !given.role_map.is_empty() {
        return Err(status::invalid("on_disabled.role_map", why));
    }
    if given.others_to.is_empty() { Ok(()) } else { Err(status::invalid("on_disabled.others_to", why)) }
}

fn no_stand_in(given: &wire::OnDisabled) -> Result<(), Status> {
    let why = "is only taken with DISABLED_ROLE_STRATEGY_SUSPEND";
    if given.stand_in_role.is_empty() { Ok(()) } else { Err(status::invalid("on_disabled.stand_in_role", why)) }
}
