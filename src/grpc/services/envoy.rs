//! Envoy's external authorization (ext_authz, gRPC v3): a mapping says which check a request of HTTP is.
//!
//! What a client of Envoy sends never makes an error, which Envoy may be configured to let pass. It is answered by a denial.

mod mapping;
mod path;

use std::sync::Arc;

use envoy_types::ext_authz::v3::pb::{
    Authorization, AuthorizationServer, CheckRequest as EnvoyRequest, CheckResponse, DeniedHttpResponse,
    HeaderAppendAction, HeaderValue, HeaderValueOption, HttpResponse, HttpStatus, HttpStatusCode, OkHttpResponse,
};
use envoy_types::pb::google::rpc;
use tonic::server::NamedService;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

use crate::grpc::app::Checks;
use crate::grpc::authz::{authorize, authorize_at, authorize_caller};
use crate::grpc::convert;
use crate::grpc::layers::calls;
use crate::grpc::services::{Reply, check};
use crate::limits::ENVOY_REQUEST_BYTES_MAX;
use crate::wire::{CheckRequest, ErrorReason, check_request};

pub use mapping::Mapping;

/// The full name of the service.
pub const SERVICE: &str = <AuthorizationServer<EnvoyApi> as NamedService>::NAME;
/// The header that says why a request is denied.
const DECISION: &str = "x-rolecall-decision";

pub struct EnvoyApi {
    checks: Arc<Checks>,
    mapping: Arc<Mapping>,
}

/// Returns the service that answers Envoy.
pub fn service(checks: Arc<Checks>, mapping: Arc<Mapping>) -> AuthorizationServer<EnvoyApi> {
    AuthorizationServer::new(EnvoyApi { checks, mapping }).max_decoding_message_size(ENVOY_REQUEST_BYTES_MAX)
}

#[tonic::async_trait]
impl Authorization for EnvoyApi {
    async fn check(&self, request: Request<EnvoyRequest>) -> Reply<CheckResponse> {
        let (metadata, extensions, request) = request.into_parts();
        let asked = request.attributes.as_ref().map_or(Err(Denial::NoRule), |request| self.mapping.read(request));
        let asked = match asked {
            Ok(asked) => asked,
            Err(denial) => {
                // Envoy without the permission is an error, whatever its client sent. There is no org to judge.
                authorize_caller(&self.check_request(Asked::default()))?;
                return Ok(Response::new(denied(denial.status(), denial.reason())));
            }
        };
        let check = self.check_request(asked);
        match authorize(&check) {
            Ok(()) => {}
            Err(status) if is_about_scope(&status) && is_for_another_org(&check) => {
                return Ok(Response::new(denied(HttpStatusCode::Forbidden, ErrorReason::ApiKeyScope.as_str_name())));
            }
            Err(status) => return Err(status),
        }
        match check::check(&self.checks, Request::from_parts(metadata, extensions, check)).await {
            Ok(answer) if answer.get_ref().allowed => Ok(Response::new(allowed())),
            Ok(answer) => {
                let reason = answer.get_ref().decision().as_str_name().trim_start_matches("DECISION_");
                Ok(Response::new(denied(HttpStatusCode::Forbidden, reason)))
            }
            Err(status) if status.code() == Code::InvalidArgument => {
                let denial = malformed(&status);
                Ok(Response::new(denied(denial.status(), denial.reason())))
            }
            Err(status) => Err(status),
        }
    }
}

impl EnvoyApi {
    fn check_request(&self, asked: Asked) -> CheckRequest {
        let Asked { org_id, user_id, permission } = asked;
        CheckRequest {
            project: self.mapping.project().into(),
            org_id,
            user_id,
            question: Some(check_request::Question::Permission(permission)),
            ..CheckRequest::default()
        }
    }
}

/// What a request asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub org_id: String,
    pub user_id: String,
    pub permission: String,
}

/// Why a request is denied without a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No rule matches method and path.
    NoRule,
    /// Servers behind Envoy may read the path in another way.
    PathMalformed,
    UserMissing,
    UserMalformed,
    OrgMissing,
    OrgMalformed,
    PermissionMissing,
    PermissionMalformed,
}

impl Denial {
    fn reason(self) -> &'static str {
        match self {
            Self::NoRule => "NO_RULE",
            Self::PathMalformed => "PATH_MALFORMED",
            Self::UserMissing => "USER_MISSING",
            Self::UserMalformed => "USER_MALFORMED",
            Self::OrgMissing => "ORG_MISSING",
            Self::OrgMalformed => "ORG_MALFORMED",
            Self::PermissionMissing => "PERMISSION_MISSING",
            Self::PermissionMalformed => "PERMISSION_MALFORMED",
        }
    }

    fn status(self) -> HttpStatusCode {
        match self {
            Self::UserMissing | Self::UserMalformed => HttpStatusCode::Unauthorized,
            _ => HttpStatusCode::Forbidden,
        }
    }
}

fn is_about_scope(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == ErrorReason::ApiKeyScope.as_str_name())
}

/// Returns true if Envoy's key is for one org and could make the same check of that one. So its client chose another org. All
/// else that a key is not for is a fault of the installation.
fn is_for_another_org(check: &CheckRequest) -> bool {
    let could = calls::with_access(|access| {
        let published = access.engine.load();
        let project = published.state.project_keyed(convert::project_or_default(&check.project))?;
        let (_, key) = access.caller.key()?;
        let org_id = project.org_numbered(key.scope.org?)?.record.profile.org_id.to_string();
        let of_own = CheckRequest { org_id, ..check.clone() };
        Some(authorize_at(&published.state, &access.caller, &of_own).is_ok())
    });
    could.flatten().unwrap_or_default()
}

/// Returns which part of a check is malformed.
fn malformed(status: &Status) -> Denial {
    let details = status.get_details_bad_request();
    match details.as_ref().and_then(|details| details.field_violations.first()).map(|first| first.field.as_str()) {
        Some("org_id") => Denial::OrgMalformed,
        Some("user_id") => Denial::UserMalformed,
        _ => Denial::PermissionMalformed,
    }
}

fn allowed() -> CheckResponse {
    CheckResponse {
        status: Some(rpc::Status { code: Code::Ok.into(), ..rpc::Status::default() }),
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse::default())),
        ..CheckResponse::default()
    }
}

fn denied(status: HttpStatusCode, reason: &str) -> CheckResponse {
    let header = |key: &str, value: &str| HeaderValueOption {
        header: Some(HeaderValue { key: key.into(), value: value.into(), ..HeaderValue::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    };
    let mut headers = vec![header(DECISION, reason)];
    let mut code = Code::PermissionDenied;
    if status == HttpStatusCode::Unauthorized {
        headers.push(header("www-authenticate", "Bearer"));
        code = Code::Unauthenticated;
    }
    CheckResponse {
        status: Some(rpc::Status { code: code.into(), message: reason.into(), ..rpc::Status::default() }),
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code: status.into() }),
            headers,
            body: format!("access denied: {reason}\n"),
        })),
        ..CheckResponse::default()
    }
}
