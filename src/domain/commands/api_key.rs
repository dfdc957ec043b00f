//! Creates and archives API keys (W6).

use std::sync::Arc;

use crate::domain::commands::call::SYSTEM;
use crate::domain::commands::command::{ArchiveApiKey, CreateApiKey};
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::workspace;
use crate::domain::model::api_key::{ApiKey, ApiKeyId, ApiKeyScope};
use crate::domain::model::name::UserId;
use crate::domain::model::project::TEAM;
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::time::Time;
use crate::domain::state::change::{Change, Edit, Scoped};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;
use crate::limits::API_KEYS_MAX;

/// Creates a key for an operator. For somebody else only if the creator may manage that operator and lacks none of
/// their permissions (W7.b).
pub fn create(draft: &mut Draft<'_>, command: &CreateApiKey) -> Result<Outcome, Refusal> {
    let workspace = draft.project(&command.project)?;
    let creator = draft.acting_user();
    let operator = command.operator.clone().or_else(|| creator.clone()).ok_or(Refusal::Bug)?;
    let team = workspace::team(&workspace)?;
    if !workspace.has_member(team, &operator, draft.now()) {
        return Err(Refusal::NotFound(Noun::Member, operator.to_string()));
    }
    // A key for somebody else must not outlast the role by which it is made (G6).
    let mut expire_time_max = command.expire_time_max;
    if let Some(creator) = creator.filter(|creator| *creator != operator) {
        let max = workspace::check_may_create_key_for(&workspace, &creator, &operator, draft.now())?;
        expire_time_max = expire_time_max.into_iter().chain(max).min();
    }
    if command.expire_time.is_some_and(|time| time <= draft.now()) {
        return Err(Refusal::ApiKeyExpiryPast);
    }
    if let Some(max) = expire_time_max
        && command.expire_time.is_none_or(|time| time > max)
    {
        return Err(Refusal::ApiKeyOutlasts { expire_time: max });
    }
    // `rolecall recover` must work all the same.
    if **draft.actor() != *SYSTEM {
        draft.check_limit("api_keys", API_KEYS_MAX, workspace.api_keys.len() + 1)?;
    }
    let scope = scope(draft, command)?;
    let id = ApiKeyId::of(&command.hash);
    if workspace.api_keys.get(id).is_some() {
        // Tokens are random.
        return Err(Refusal::Bug);
    }
    let key = Arc::new(ApiKey {
        hash: command.hash,
        display_name: command.display_name.as_str().into(),
        operator,
        environment: command.environment,
        scope,
        creator: draft.actor().as_ref().into(),
        create_time: draft.commit_time(),
        expire_time: command.expire_time,
        archive_time: None,
    });
    let place = Scoped { project: workspace.id, id };
    draft.edit(Change::ApiKey(Edit { key: place, before: None, after: Some(key.clone()) }));
    Ok(Outcome::ApiKey(draft.state().shown_api_key(id, key)))
}

/// Archives a key: an own one, or that of an operator whom the caller may manage (W7.a). An archived key stays archived.
pub fn archive(draft: &mut Draft<'_>, command: &ArchiveApiKey) -> Result<Outcome, Refusal> {
    let workspace = draft.project(&command.project)?;
    let before = workspace.api_keys.get(command.id);
    let before = before.ok_or_else(|| Refusal::NotFound(Noun::ApiKey, command.id.to_string()))?;
    if let Some(caller) = draft.acting_user().filter(|caller| *caller != before.operator) {
        workspace::check_manages(&workspace, &caller, &before.operator, draft.now())?;
    }
    let after = match before.archive_time {
        None => archive_key(draft, &workspace, command.id, before.clone()),
        Some(_) => before.clone(),
    };
    Ok(Outcome::ApiKey(draft.state().shown_api_key(command.id, after)))
}

/// Archives the keys of operators whose membership the command ends, or begins: a former operator who is added again, and
/// whose membership ended by expiry, had keys until now. Otherwise the keys of somebody who left would belong to the next
/// operator with the same id.
pub fn archive_keys_of_former(draft: &mut Draft<'_>, before: &Project) -> Result<(), Refusal> {
    // Deleting a role can leave members without roles by changing their set.
    let concerns = |change: &Change| matches!(change, Change::Membership(_) | Change::RoleSet(_) | Change::Remap(_));
    if !draft.changes().iter().any(concerns) {
        return Ok(());
    }
    let after = draft.latest(before)?;
    let mut keys = Vec::new();
    before.api_keys.for_each(|id, key| {
        if key.archive_time.is_none() && !stays(before, &after, &key.operator, draft.now()) {
            keys.push((id, key.clone()));
        }
    });
    keys.sort_unstable_by_key(|(id, _)| *id);
    for (id, key) in keys {
        archive_key(draft, before, id, key);
    }
    Ok(())
}

/// Returns true if an operator belongs to the team before and after. An operator whose roles have expired stays until the
/// membership is removed: adding the id again begins another one.
fn stays(before: &Project, after: &Project, operator: &UserId, now: Time) -> bool {
    let holds_role = |workspace: &Project| {
        let team = workspace.org(TEAM);
        team.is_some_and(|team| workspace.has_member(team, operator, now))
    };
    match (holds_role(before), holds_role(after)) {
        (true, true) => true,
        (false, false) => after.org(TEAM).is_some_and(|team| after.membership(team, operator).is_some()),
        _ => false,
    }
}

fn archive_key(draft: &mut Draft<'_>, workspace: &Project, id: ApiKeyId, before: Arc<ApiKey>) -> Arc<ApiKey> {
    let after = Arc::new(ApiKey { archive_time: Some(draft.commit_time()), ..ApiKey::clone(&before) });
    let key = Scoped { project: workspace.id, id };
    draft.edit(Change::ApiKey(Edit { key, before: Some(before), after: Some(after.clone()) }));
    after
}

/// Finds the project and the org of a scope. The project must be of the key's environment (W6.d).
fn scope(draft: &Draft<'_>, command: &CreateApiKey) -> Result<ApiKeyScope, Refusal> {
    let mut scope = ApiKeyScope {
        checks_only: command.checks_only,
        sidecar_only: command.sidecar_only,
        acting_user_required: command.acting_user_required,
        no_activity: command.no_activity,
        project: None,
        org: None,
    };
    if let Some(key) = &command.scope_project {
        let project = draft.project(key)?;
        if project.record.environment != command.environment {
            // As if it did not exist: a key for TEST projects must not probe the names of LIVE ones.
            return Err(Refusal::NotFound(Noun::Project, key.to_string()));
        }
        scope.project = Some(project.id);
        let org = command.scope_org.as_ref().map(|org_id| project.org_or_refusal(org_id)).transpose()?;
        scope.org = org.map(|org: &Arc<Org>| org.no);
    }
    Ok(scope)
}
