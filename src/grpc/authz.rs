//! Decides whether a caller may make a call (W2, W6, W8). Each method says in its proto file what it needs.

pub mod last_authorized;

use tonic::Status;
use tonic_types::StatusExt;

use super::authn::{self, jwt::JwtError};
use super::caller::{Access, Caller};
use super::layers::calls;
use super::{convert, status};
use crate::clock;
use crate::domain::commands::call::LOCAL;
use crate::domain::model::api_key::ApiKey;
use crate::domain::model::permission::TEAM_MANAGE;
use crate::domain::model::project::{Environment, WORKSPACE};
use crate::domain::{Decision, Project, State, Time, UserId};
use crate::engine::denials::RefusedCall;
use crate::wire::ErrorReason;

/// What a method needs: its option `authorization`, as `proto/rolecall/v1/options.proto` explains it. An empty text or
/// list means: none.
#[derive(Debug)]
pub struct Rule {
    /// `rolecall.v1.OrgService/GetOrg`.
    pub method: &'static str,
    pub requires: &'static str,
    pub requires_in_test: &'static str,
    pub suffices_in_test: &'static str,
    pub requires_in_workspace: &'static [&'static str],
    /// True if the request names the orgs that it is about.
    pub scoped: bool,
    pub any_caller: bool,
    pub names_project: bool,
    pub effects: &'static [Effect],
}

/// A permission that a request needs as well if it sets one of the fields.
#[derive(Debug)]
pub struct Effect {
    pub requires: &'static str,
    pub fields: &'static [&'static str],
}

/// The request of a method, with the fields by which it is authorized. Generated for all methods.
pub trait Authorized {
    const RULE: &'static Rule;

    /// Returns the key of the project, as the request has it. `None` if the method is about no project.
    fn project(&self) -> Option<&str> {
        None
    }

    /// Returns the number of the environment that the request sets. 0 if it sets none.
    fn environment(&self) -> i32 {
        0
    }

    /// Returns the id of the org in the request. Empty if there is none, or several.
    fn org_id(&self) -> &str {
        ""
    }

    /// Returns the acting user in the request. Empty if there is none.
    fn acting_user_id(&self) -> &str {
        ""
    }

    /// Returns true if the request has an acting user or a viewer.
    fn names_user(&self) -> bool {
        false
    }

    /// Returns true if the request is about this org and no other.
    fn is_only_about(&self, _org_id: &str) -> bool {
        false
    }

    /// Calls `needs` with the permissions of effects that the request asks for.
    fn for_each_effect(&self, _needs: impl FnMut(&'static str)) {}
}

include!(concat!(env!("OUT_DIR"), "/authorization.rs"));

const CHECKS: &str = "checks.run";
const REPLICATION: &str = "replication.read";
/// Needed for checks as of the past, and for nothing else beside another permission.
const AUDIT_VIEW: &str = "audit.view";

/// Refuses the current call if its caller may not make it. Nothing has been looked up before.
pub fn authorize(request: &impl Authorized) -> Result<(), Status> {
    of_current_call(|access| authorize_as(access, request))
}

/// Refuses the current call if its caller lacks the permissions. Does not judge what the request names, and records nothing.
pub fn authorize_caller(request: &impl Authorized) -> Result<(), Status> {
    of_current_call(|access| authorize_caller_at(&access.engine.load().state, &access.caller, request))
}

fn of_current_call(judge: impl FnOnce(&Access) -> Result<(), Status>) -> Result<(), Status> {
    calls::with_access(judge).unwrap_or_else(|| {
        tracing::error!("a request was decoded outside of a call");
        Err(status::plain(ErrorReason::Internal, "the call has no caller; this is a bug, please report it"))
    })
}

/// Refuses a call that the caller may not make.
pub fn authorize_as(access: &Access, request: &impl Authorized) -> Result<(), Status> {
    check(access, request).inspect_err(|status| record(access, request, status))
}

/// Records a refused call of a known caller (A1).
pub fn record<R: Authorized>(access: &Access, request: &R, status: &Status) {
    let info = status.get_details_error_info();
    let key_id = access.caller.key().map(|(id, _)| id.to_string()).unwrap_or_default();
    access.engine.denials.record(RefusedCall {
        at: clock::now(),
        kind: R::RULE.method.rsplit('/').next().unwrap_or_default(),
        actor: access.caller.operator().map_or(LOCAL, UserId::as_str),
        key_id: &key_id,
        project: match request.project() {
            Some(project) => convert::project_or_default(project),
            // Keys belong to the workspace.
            None if !R::RULE.requires_in_test.is_empty() => WORKSPACE,
            None => "",
        },
        org_id: request.org_id(),
        acting_user: request.acting_user_id(),
        reason: info.as_ref().map_or("", |info| &info.reason),
        missing_permission: info.as_ref().and_then(|info| info.metadata.get("permission")).map_or("", String::as_str),
    });
}

fn check<R: Authorized>(access: &Access, request: &R) -> Result<(), Status> {
    let published = access.engine.load();
    if access.peer.last_authorized.allowed(access, &published.state, request) {
        return access.caller.key().map_or(Ok(()), |(_, key)| key.check_active(clock::now()).map_err(authn::inactive));
    }
    authorize_at(&published.state, &access.caller, request)?;
    access.peer.last_authorized.remember(access, &published.state, request);
    Ok(())
}

/// Refuses to go on with a stream whose caller may no longer make the call.
pub fn authorize_at<R: Authorized>(state: &State, caller: &Caller, request: &R) -> Result<(), Status> {
    judge(state, caller, request, true)
}

/// Does the same, but does not judge what the request names: the stream goes on with the project and the org that it began with,
/// and these may be deleted since.
pub fn authorize_caller_at<R: Authorized>(state: &State, caller: &Caller, request: &R) -> Result<(), Status> {
    judge(state, caller, request, false)
}

fn judge<R: Authorized>(state: &State, caller: &Caller, request: &R, scope: bool) -> Result<(), Status> {
    let Caller::Operator { id, .. } = caller else { return Ok(()) };
    let call = Call { state, operator: id, rule: R::RULE, request, now: clock::now() };
    if caller.until().is_some_and(|until| call.now >= until) {
        return Err(authn::invalid_token(JwtError::Expired));
    }
    match caller.key() {
        None => call.check_permissions(),
        // The key may have been archived since the call began.
        Some((key_id, _)) => {
            let key = call.workspace().and_then(|workspace| workspace.api_keys.get(key_id));
            let key = key.ok_or_else(|| status::plain(ErrorReason::ApiKeyUnknown, "the API key no longer exists"))?;
            key.check_active(call.now).map_err(authn::inactive)?;
            call.check_permissions()?;
            if scope { call.check_key(key) } else { Ok(()) }
        }
    }
}

/// A call of an operator.
struct Call<'a, R> {
    state: &'a State,
    operator: &'a UserId,
    rule: &'static Rule,
    request: &'a R,
    now: Time,
}

impl<'a, R: Authorized> Call<'a, R> {
    fn workspace(&self) -> Option<&'a Project> {
        self.state.project_keyed(WORKSPACE).map(AsRef::as_ref)
    }

    fn project_key(&self) -> Option<&'a str> {
        self.request.project().map(convert::project_or_default)
    }

    fn project(&self) -> Option<&'a Project> {
        self.state.project_keyed(self.project_key()?).map(AsRef::as_ref)
    }

    /// Returns the environment that decides. `None` if the request names none and no existing project.
    fn environment(&self) -> Option<Environment> {
        let named = convert::named_environment(self.request.environment());
        named.or_else(|| self.project().map(|project| project.record.environment))
    }

    fn check_permissions(&self) -> Result<(), Status> {
        let rule = self.rule;
        if rule.any_caller {
            return Ok(());
        }
        if self.project_key() == Some(WORKSPACE) {
            if rule.requires_in_workspace.is_empty() {
                return Err(self.missing(rule.requires, Decision::MissingPermission));
            }
            rule.requires_in_workspace.iter().try_for_each(|permission| self.check_permission(permission))?;
            // There, all effects are on operators.
            return self.check_effects(|permission| match permission {
                AUDIT_VIEW => &[AUDIT_VIEW, TEAM_MANAGE],
                _ => &[TEAM_MANAGE],
            });
        }
        let environment = self.environment();
        let instead = |permission: &'static str| Some(permission).filter(|permission| !permission.is_empty());
        let result = match (environment, instead(rule.requires_in_test), instead(rule.suffices_in_test)) {
            (Some(Environment::Test), Some(permission), _) => self.check_permission(permission),
            // Without an environment the handler shows only what the caller manages.
            (None, Some(permission), _) | (Some(Environment::Test), None, Some(permission)) => self
                .check_permission(rule.requires)
                .or_else(|missing| self.check_permission(permission).map_err(|_| missing)),
            _ => self.check_permission(rule.requires),
        };
        result?;
        self.check_effects(|_| &[])
    }

    /// Checks the permissions that effects of the request need. `instead` returns what takes the place of each, if anything
    /// does.
    fn check_effects(&self, instead: impl Fn(&'static str) -> &'static [&'static str]) -> Result<(), Status> {
        let mut effects = Ok(());
        self.request.for_each_effect(|permission| {
            let own = [permission];
            let needed = match instead(permission) {
                [] => &own[..],
                needed => needed,
            };
            for permission in needed {
                if effects.is_ok() {
                    effects = self.check_permission(permission);
                }
            }
        });
        effects
    }

    fn asks_about_the_past(&self) -> bool {
        let mut past = false;
        self.request.for_each_effect(|permission| past |= permission == AUDIT_VIEW);
        past
    }

    fn check_permission(&self, permission: &'static str) -> Result<(), Status> {
        match self.state.operator_decision(self.operator, permission, self.now) {
            Decision::Allowed => Ok(()),
            denied => Err(self.missing(permission, denied)),
        }
    }

    fn missing(&self, permission: &str, decision: Decision) -> Status {
        status::operator_permission_missing(self.operator, permission, self.rule.method, decision)
    }

    /// Refuses a call outside of the environment or scope of its key (W6.c, W6.d).
    fn check_key(&self, key: &ApiKey) -> Result<(), Status> {
        let rule = self.rule;
        if rule.any_caller {
            return Ok(());
        }
        let wrong_environment = match self.project_key() {
            // An unknown project looks like one of the other environment.
            Some(_) => self.project().is_none_or(|project| project.record.environment != key.environment),
            None if rule.requires_in_test.is_empty() => self.environment().is_some_and(|it| it != key.environment),
            // A key for LIVE projects may manage those for TEST projects, and not the reverse.
            None => self.environment() == Some(Environment::Live) && key.environment == Environment::Test,
        };
        if wrong_environment {
            return Err(status::api_key_environment(key.environment));
        }
        let scope = key.scope;
        let outside =
            |what: &str| Err(status::plain(ErrorReason::ApiKeyScope, format!("the API key is only for {what}")));
        if scope.sidecar_only && rule.requires != REPLICATION {
            return outside("sidecars");
        }
        if scope.checks_only && (rule.requires != CHECKS || self.project_key() == Some(WORKSPACE)) {
            return outside("Check, BatchCheck and StreamCheck");
        }
        // The past may be that of another org with the same id, and takes longer than a check.
        if (scope.checks_only || scope.org.is_some()) && self.asks_about_the_past() {
            return outside("the present");
        }
        if scope.acting_user_required && !self.request.names_user() {
            return outside("calls with an `acting_user_id` or a `viewer_user_id`");
        }
        // ReplicationService sends nothing of other projects.
        if let Some(only) = scope.project
            && rule.requires != REPLICATION
            && self.project().is_none_or(|project| project.id != only)
        {
            return outside("another project");
        }
        if let Some(only) = scope.org {
            let org = self.project().and_then(|project| project.org_numbered(only));
            let org = org.filter(|org| org.record.lifecycle.exists());
            if !rule.scoped || org.is_none_or(|org| !self.request.is_only_about(org.record.profile.org_id.as_str())) {
                return outside("another org");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w2_every_method_says_what_it_needs() {
        for rule in RULES {
            assert!(rule.any_caller == rule.requires.is_empty(), "{}", rule.method);
            assert!(!rule.names_project || !rule.requires_in_workspace.is_empty(), "{}", rule.method);
        }
        assert!(RULES.len() > 60);
    }
}
