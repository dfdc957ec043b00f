//! Decides a command: its changes and outcome, or its refusal. Pure.

use std::sync::Arc;

use crate::domain::commands::command::Command;
use crate::domain::commands::draft::{Draft, Terms};
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::{
    api_key, configuration, expired, invitation, membership, org, org_domain, permission, project, provisioning, purge,
    role, role_mapping, role_set, subscription, user, workspace,
};
use crate::domain::impact::impact;
use crate::domain::impact::report::Impact;
use crate::domain::model::project::WORKSPACE;
use crate::domain::model::refusal::Refusal;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::State;
use crate::domain::state::change::Change;
use crate::domain::state::project::Project;

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
    let (draft, outcome) = match draft(Draft::new(state, terms), state, command, terms) {
        // Sets that nobody holds do not count. Otherwise one org could use up the limit for all, by giving a member one
        // combination of roles after the other.
        Err(refusal) if refusal.exceeds(role_set::LIMIT) => {
            let mut collected = Draft::new(state, terms);
            let project = command.project().and_then(|key| state.project(key)).map(|project| project.id);
            if !project.is_some_and(|project| role_set::delete_unused(&mut collected, project)) {
                return Err(refusal);
            }
            draft(collected, state, command, terms)?
        }
        drafted => drafted?,
    };
    let (next, changes) = draft.into_parts();
    let impact = match command {
        // Neither deleted data nor expired roles affect members.
        Command::Purge(_) | Command::RemoveExpired(_) => Impact::default(),
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

/// Returns true if the command would be accepted. Role sets that nobody holds count, see [`without_unused_sets`].
pub fn accepts(state: &State, command: &Command, terms: &Terms<'_>) -> bool {
    draft(Draft::new(state, terms), state, command, terms).is_ok()
}

/// Adds the command to a draft of the state.
fn draft<'a>(
    mut draft: Draft<'a>,
    state: &State,
    command: &Command,
    terms: &Terms<'_>,
) -> Result<(Draft<'a>, Outcome), Refusal> {
    let workspace = command.project().filter(|key| key.as_str() == WORKSPACE).and_then(|key| state.project(key));
    // No other command takes an acting user (G1). If the contract ever gets such a field without a rule, refuse.
    if terms.call.acting_user.is_some() && workspace.is_none() && !command.takes_acting_user() {
        return Err(Refusal::Bug);
    }
    if let Some(workspace) = workspace {
        workspace::check_command(workspace, command, terms)?;
    }
    let outcome = run(&mut draft, command).map_err(|refusal| match refusal {
        // The workspace accepts no `allow_ownerless`, which the message would offer.
        Refusal::LastOwner { role, .. } if workspace.is_some() => Refusal::LastOperatorOwner { role },
        refusal => refusal,
    })?;
    role_set::collect(&mut draft);
    if let Some(before) = workspace {
        api_key::archive_keys_of_former(&mut draft, before)?;
        let after = draft.latest(before)?;
        workspace::check_effects(before, &after, command, draft.changes(), terms)?;
    }
    Ok((draft, outcome))
}

/// Returns the state that a command is decided on if the limit of role sets would refuse one more.
pub fn without_unused_sets(state: &State, project: &Project, terms: &Terms<'_>) -> State {
    let mut draft = Draft::new(state, terms);
    if project.role_sets.len() as u64 >= terms.limits.role_sets {
        role_set::delete_unused(&mut draft, project.id);
    }
    draft.into_parts().0
}

/// Adds the changes of a command to a draft, without what is checked of every command.
pub fn run(draft: &mut Draft<'_>, command: &Command) -> Result<Outcome, Refusal> {
    match command {
        Command::CreateProject(command) => project::create(draft, command),
        Command::UpdateProject(command) => project::update(draft, command),
        Command::ConvertRoleStructure(command) => project::convert::convert(draft, command),
        Command::DeleteProject(command) => project::delete(draft, command),
        Command::CreatePermissions(command) => permission::create(draft, command),
        Command::UpdatePermission(command) => permission::update(draft, command),
        Command::DeletePermission(command) => permission::delete(draft, command),
        Command::CreateRole(command) => role::create(draft, command),
        Command::BatchCreateRoles(command) => role::batch::create(draft, command),
        Command::UpdateRole(command) => role::update(draft, command),
        Command::ReorderRoles(command) => role::reorder(draft, command),
        Command::DeleteRole(command) => role::delete::delete(draft, command),
        Command::CreateRoleMapping(command) => role_mapping::create(draft, command),
        Command::UpdateRoleMapping(command) => role_mapping::update(draft, command),
        Command::PromoteRoleMapping(command) => role_mapping::promote(draft, command),
        Command::DeleteRoleMapping(command) => role_mapping::delete(draft, command),
        Command::CreateOrg(command) => org::create(draft, command),
        Command::UpdateOrg(command) => org::update(draft, command),
        Command::DeleteOrg(command) => org::delete(draft, command),
        Command::SubscribeOrg(command) => subscription::subscribe_org(draft, command),
        Command::BatchSubscribeOrgs(command) => subscription::subscribe_orgs(draft, command),
        Command::WriteMember(command) => membership::write_one(draft, command),
        Command::BatchWriteMembers(command) => membership::write_batch(draft, command),
        Command::CreateInvitations(command) => invitation::create(draft, command),
        Command::RevokeInvitation(command) => invitation::revoke(draft, command),
        Command::AcceptInvitation(command) => invitation::accept(draft, command),
        Command::BlockUser(command) => user::block(draft, command),
        Command::UnblockUser(command) => user::unblock(draft, command),
        Command::DeleteUser(command) => user::delete(draft, command),
        Command::SetOrgDomains(command) => org_domain::set(draft, command),
        Command::VerifyOrgDomain(command) => org_domain::verify(draft, command),
        Command::ProvisionMember(command) => provisioning::provision(draft, command),
        Command::CreateApiKey(command) => api_key::create(draft, command),
        Command::ArchiveApiKey(command) => api_key::archive(draft, command),
        Command::RemoveExpired(command) => expired::remove(draft, command),
        Command::ApplyConfiguration(command) => configuration::apply(draft, command),
        Command::Purge(command) => purge::purge(draft, command),
    }
}
