//! Finds out who calls (W3).

pub mod jwt;
pub mod last_key;
pub mod token;

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tonic::Status;

use super::caller::{Caller, Credential};
use super::peer::Peer;
use super::status;
use crate::domain::commands::command::ProvisionMember;
use crate::domain::model::api_key::Inactive;
use crate::domain::model::email::EmailAddress;
use crate::domain::model::project::{TEAM, WORKSPACE};
use crate::domain::{OrgId, Project, ProjectKey, State, Time, UserId};
use crate::wire::ErrorReason;
use jwt::{JwtError, Verifier};
use last_key::NoKey;

/// How a server finds out who calls.
pub enum Authentication {
    Operators {
        /// Verifies JWTs. `None` accepts none.
        tokens: Option<Arc<Verifier>>,
        /// False lets callers without credentials in, as [`Caller::Local`].
        required: bool,
    },
    /// A sidecar knows no operators. It lets in every process of this machine, or only those of these user ids, and reads no
    /// credentials.
    Processes(Option<Vec<u32>>),
}

impl Authentication {
    /// Returns the caller, or UNAUTHENTICATED. A credential that is sent is judged, also where none is required.
    pub fn caller(&self, state: &State, headers: &HeaderMap, peer: &Peer, now: Time) -> Result<Caller, Unknown> {
        let (tokens, required) = match self {
            Self::Operators { tokens, required } => (tokens, *required),
            Self::Processes(Some(uids)) if peer.uid.is_none_or(|uid| !uids.contains(&uid)) => {
                let uid = peer.uid.map_or("an unknown user id".into(), |uid| format!("user id {uid}"));
                let why = format!("the sidecar does not let in processes of {uid}; see its --allow-uid");
                return Err(Unknown::No(status::plain(ErrorReason::UidNotAllowed, why)));
            }
            Self::Processes(_) => return Ok(Caller::Local),
        };
        if let Some(value) = headers.get(AUTHORIZATION) {
            let token = value.to_str().ok().and_then(bearer).ok_or_else(|| {
                let why = "the metadata `authorization` must be `Bearer` and an API key or a token";
                status::plain(ErrorReason::CredentialsMalformed, why)
            })?;
            return match tokens {
                _ if token::is_key(token) => Ok(by_key(state, peer, token, now)?),
                None => Err(Unknown::No(not_a_key())),
                Some(verifier) => by_token(state, verifier, token, now),
            };
        }
        if !required {
            return Ok(Caller::Local);
        }
        let workspace = workspace(state);
        let names = peer.certificate_names.iter().map(|name| (name.clone(), Credential::Certificate));
        let uid = peer.uid.map(|uid| (format!("uid:{uid}"), Credential::Uid));
        let mut unknown = Vec::new();
        for (name, by) in names.chain(uid) {
            // Names from certificates are checked like any other id.
            match UserId::parse(&name).ok().filter(|id| is_operator(workspace, id)) {
                Some(id) => return Ok(Caller::Operator { id, by }),
                None => unknown.push(name),
            }
        }
        Err(Unknown::No(match unknown.first() {
            Some(first) => unknown_operator(first),
            None => status::plain(
                ErrorReason::CredentialsMissing,
                "the call has no credentials; send an API key as metadata `authorization: Bearer rk_live_…`",
            ),
        }))
    }
}

/// Why a call has no known caller.
pub enum Unknown {
    No(Status),
    /// The caller is proven, and a domain of the workspace may make it an operator (W4).
    Provisionable(Box<ProvisionMember>),
}

impl From<Status> for Unknown {
    fn from(status: Status) -> Self {
        Self::No(status)
    }
}

/// Returns the caller with a JWT.
fn by_token(state: &State, verifier: &Verifier, token: &str, now: Time) -> Result<Caller, Unknown> {
    let workspace = workspace(state);
    let identity = verifier.verify(token, now);
    let identity = identity.map_err(invalid_token)?;
    let id = UserId::stored(&*identity.operator);
    if is_operator(workspace, &id) {
        return Ok(Caller::Operator { id, by: Credential::Token { until: identity.until } });
    }
    let listed = |email: &EmailAddress| {
        let Some((workspace, team)) = workspace.and_then(|it| Some((it, it.org(TEAM)?))) else { return false };
        let rule = team.domains().iter().find(|rule| rule.domain.as_str() == email.domain());
        // A write that would be refused must not be tried with each call.
        let shut_out = workspace.is_user_blocked(&id) || workspace.was_removed(team, &id);
        rule.is_some_and(|rule| rule.verified) && !shut_out
    };
    match identity.email.as_ref().filter(|email| identity.provisions && listed(email)) {
        None => Err(Unknown::No(unknown_operator(&identity.operator))),
        Some(email) => Err(Unknown::Provisionable(Box::new(ProvisionMember {
            project: ProjectKey::stored(WORKSPACE),
            org_id: OrgId::stored(TEAM),
            user_id: id,
            email: email.clone(),
            email_verified: true,
            allow_provisioning: false,
        }))),
    }
}

/// Returns the status of a call whose token is not accepted.
pub fn invalid_token(why: JwtError) -> Status {
    status::plain(ErrorReason::TokenInvalid, why.to_string())
}

/// Returns the credentials of the scheme Bearer, whose name may be in any case (RFC 9110).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, rest) = value.split_once(' ')?;
    let token = rest.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Returns the caller with an API key. The answer for an unknown key is the same whatever keys exist.
fn by_key(state: &State, peer: &Peer, token: &str, now: Time) -> Result<Caller, Status> {
    let (id, key) = peer.last_key.find(token, state).map_err(|why| match why {
        NoKey::Malformed => {
            let why = "the API key is cut or mistyped: its checksum does not fit; copy it again";
            status::plain(ErrorReason::CredentialsMalformed, why)
        }
        NoKey::Unknown => status::plain(ErrorReason::ApiKeyUnknown, "this installation has no such API key"),
    })?;
    key.check_active(now).map_err(inactive)?;
    Ok(Caller::Operator { id: key.operator.clone(), by: Credential::Key(id, key) })
}

/// Returns the status of a call with a key that is archived or has expired. Its caller has proven to hold it.
pub fn inactive(why: Inactive) -> Status {
    match why {
        Inactive::Archived => status::plain(ErrorReason::ApiKeyArchived, "the API key is archived; use another one"),
        Inactive::Expired => status::plain(ErrorReason::ApiKeyExpired, "the API key has expired; use another one"),
    }
}

fn not_a_key() -> Status {
    status::plain(
        ErrorReason::CredentialsMalformed,
        "the credentials are no API key, and this server accepts no tokens",
    )
}

pub fn unknown_operator(name: &str) -> Status {
    let why = format!("`{name}` is no operator of this installation; `rolecall operators add` makes it one");
    status::plain(ErrorReason::OperatorUnknown, why)
}

fn workspace(state: &State) -> Option<&Project> {
    state.project_keyed(WORKSPACE).map(AsRef::as_ref)
}

/// Returns true if the user is a member of the workspace, with whatever roles.
fn is_operator(workspace: Option<&Project>, id: &UserId) -> bool {
    let Some(workspace) = workspace else { return false };
    workspace.org(TEAM).is_some_and(|team| workspace.membership(team, id).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_from_its_header() {
        assert_eq!(bearer("Bearer rk_live_1"), Some("rk_live_1"));
        assert_eq!(bearer("bearer  rk_live_1 "), Some("rk_live_1"));
        for other in ["", "Bearer", "Bearer ", "Basic abc", "rk_live_1"] {
            assert_eq!(bearer(other), None, "{other:?}");
        }
    }
}
