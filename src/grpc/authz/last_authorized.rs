//! What a connection was last allowed to call.

use std::sync::{Mutex, PoisonError};

use super::Authorized;
use crate::domain::model::api_key::ApiKeyId;
use crate::domain::model::project::{TEAM, WORKSPACE};
use crate::domain::model::revision::Revision;
use crate::domain::{State, UserId};
use crate::grpc::caller::Access;

/// Remembers one allowed call, so that equal ones are not decided again: the same method, project and caller in a State of the
/// same revision. Remembers only calls that depend on nothing else. Denied calls are decided and recorded each time.
#[derive(Debug, Default)]
pub struct LastAuthorized(Mutex<Option<Allowed>>);

#[derive(Debug)]
struct Allowed {
    revision: Revision,
    operator: UserId,
    key: Option<ApiKeyId>,
    method: &'static str,
    project: Box<str>,
}

impl LastAuthorized {
    /// Returns true if this call was allowed before. A key may have expired since.
    pub fn allowed<R: Authorized>(&self, access: &Access, state: &State, request: &R) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().is_some_and(|last| {
            last.revision == state.revision()
                && !asks_more(request)
                && last.method == R::RULE.method
                && request.project() == Some(&*last.project)
                && access.caller.operator() == Some(&last.operator)
                && access.caller.key().map(|(id, _)| id) == last.key
        })
    }

    /// Remembers an allowed call if nothing but its method, project and caller decides on it.
    pub fn remember<R: Authorized>(&self, access: &Access, state: &State, request: &R) {
        let (Some(operator), Some(project)) = (access.caller.operator(), request.project()) else { return };
        let scope = access.caller.key().map(|(_, key)| key.scope).unwrap_or_default();
        let by_request = asks_more(request)
            || !R::RULE.requires_in_test.is_empty()
            || !R::RULE.suffices_in_test.is_empty()
            || scope.org.is_some()
            || scope.acting_user_required;
        if by_request || roles_expire(state, operator) {
            return;
        }
        let last = Allowed {
            revision: state.revision(),
            operator: operator.clone(),
            key: access.caller.key().map(|(id, _)| id),
            method: R::RULE.method,
            project: project.into(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }
}

/// Returns true if the request needs more permissions because of its fields.
fn asks_more(request: &impl Authorized) -> bool {
    let mut more = false;
    request.for_each_effect(|_| more = true);
    more
}

/// Returns true if time alone may change what the operator may do.
fn roles_expire(state: &State, operator: &UserId) -> bool {
    let workspace = state.project_keyed(WORKSPACE);
    let record = workspace.and_then(|workspace| workspace.membership(workspace.org(TEAM)?, operator));
    record.is_none_or(|record| !record.temporary.is_empty())
}
