//! Decides a command: its changes and outcome, or its refusal. Pure.

use std::sync::Arc;

use crate::domain::commands::command::Command;
use crate::domain::commands::draft::{Draft, Terms};
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::{
    membership, org, permission, project, purge, role, role_mapping, role_set, subscription,
};
use crate::domain::impact::impact;
use crate::domain::impact::report::Impact;
use crate::domain::model::refusal::Refusal;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::State;
use crate::domain::state::change::Change;

/// An accepted command.
pub struct Decided {
    /// The state with the changes. It still has the revision of the state decided on.
    pub next: State,
    /// Empty if the command changes nothing. Then it takes no revision.
    pub changes: Vec<Change>,
    pub outcome: Outcome,
    pub impact: Arc<Impact>,
}

/// Decides one command. A refused command changes nothing.
pub fn decide(state: &State, command: &Command, terms: &Terms<'_>) -> Result<Decided, Refusal> {
    let (draft, outcome) = draft(state, command, terms)?;
    let (next, changes) = draft.into_parts();
    let impact = match command {
        // Purging deleted data affects no members.
        Command::Purge(_) => Impact::default(),
        _ => {
            let visibility = Visibility::of(terms.call.acting_user.as_ref());
            impact(state, &next, &changes, visibility, terms.now)
        }
    };
    if terms.call.impact_digest.as_deref().is_some_and(|expected| *expected != *impact.digest) {
        return Err(Refusal::ImpactChanged { now: impact.digest });
    }
    Ok(Decided { next, changes, outcome, impact: Arc::new(impact) })
}

/// Returns true if the command would be accepted.
pub fn accepts(state: &State, command: &Command, terms: &Terms<'_>) -> bool {
    draft(state, command, terms).is_ok()
}

fn draft<'a>(state: &State, command: &Command, terms: &'a Terms<'a>) -> Result<(Draft<'a>, Outcome), Refusal> {
    // No other command takes an acting user (G1). If the contract ever gets such a field without a rule, refuse.
    if terms.call.acting_user.is_some() && !command.takes_acting_user() {
        return Err(Refusal::Bug);
    }
    let mut draft = Draft::new(state, terms);
    let outcome = match command {
        Command::CreateProject(command) => project::create(&mut draft, command),
        Command::UpdateProject(command) => project::update(&mut draft, command),
        Command::ConvertRoleStructure(command) => project::convert::convert(&mut draft, command),
        Command::DeleteProject(command) => project::delete(&mut draft, command),
        Command::CreatePermissions(command) => permission::create(&mut draft, command),
        Command::UpdatePermission(command) => permission::update(&mut draft, command),
        Command::DeletePermission(command) => permission::delete(&mut draft, command),
        Command::CreateRole(command) => role::create(&mut draft, command),
        Command::UpdateRole(command) => role::update(&mut draft, command),
        Command::ReorderRoles(command) => role::reorder(&mut draft, command),
        Command::DeleteRole(command) => role::delete::delete(&mut draft, command),
        Command::CreateRoleMapping(command) => role_mapping::create(&mut draft, command),
        Command::UpdateRoleMapping(command) => role_mapping::update(&mut draft, command),
        Command::PromoteRoleMapping(command) => role_mapping::promote(&mut draft, command),
        Command::DeleteRoleMapping(command) => role_mapping::delete(&mut draft, command),
        Command::CreateOrg(command) => org::create(&mut draft, command),
        Command::UpdateOrg(command) => org::update(&mut draft, command),
        Command::DeleteOrg(command) => org::delete(&mut draft, command),
        Command::SubscribeOrg(command) => subscription::subscribe_org(&mut draft, command),
        Command::BatchSubscribeOrgs(command) => subscription::subscribe_orgs(&mut draft, command),
        Command::WriteMember(command) => membership::write_one(&mut draft, command),
        Command::BatchWriteMembers(command) => membership::write_batch(&mut draft, command),
        Command::Purge(command) => purge::purge(&mut draft, command),
    }?;
    role_set::collect(&mut draft);
    Ok((draft, outcome))
}
