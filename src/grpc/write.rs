//! What all writes share: the caller, request ids, `validate_only` and the answer (A1, A4, R9).

use std::sync::Arc;

use prost::Message;
use sha2::{Digest, Sha256};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::app::App;
use super::authz::{self, Authorized};
use super::caller::Caller;
use super::convert;
use super::layers::calls::{self, hold_memory};
use super::status::{self, Names, RowPath};
use crate::domain::commands::call::{LOCAL, SYSTEM};
use crate::domain::model::project::WORKSPACE;
use crate::domain::rules::visibility::Visibility;
use crate::domain::{Actor, Call, Command, ProjectKey, RequestKey, UserId};
use crate::engine::Token;
use crate::limits::{ACTOR_BYTES_MAX, REASON_BYTES_MAX, REQUEST_ID_BYTES_MAX};
use crate::wire::{self, ErrorReason, storage, storage::outcome::Outcome};
use crate::writer::{Answer, Failure, Written};

/// The metadata with the name of a caller without credentials. It is recorded, but not proven.
pub const ACTOR: &str = "rolecall-actor";

/// A request that writes.
pub trait WriteRequest: Message {
    /// The RPC's name. The same body sent to another RPC is another request.
    const METHOD: &'static str;

    fn request_id(&self) -> &str;
    fn reason(&self) -> &str;
    fn validate_only(&self) -> bool;
    fn impact_digest(&self) -> &str;

    /// The end user on whose behalf the call writes. Most requests have none.
    fn acting_user_id(&self) -> &str {
        ""
    }
}

macro_rules! write_requests {
    ($($request:ident $method:literal $(by $acting_user_id:ident)?;)*) => {$(
        impl WriteRequest for wire::$request {
            const METHOD: &'static str = $method;

            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn reason(&self) -> &str {
                &self.reason
            }

            fn validate_only(&self) -> bool {
                self.validate_only
            }

            fn impact_digest(&self) -> &str {
                &self.impact_digest
            }

            $(fn acting_user_id(&self) -> &str {
                &self.$acting_user_id
            })?
        }
    )*};
}

write_requests! {
    CreateProjectRequest "CreateProject";
    UpdateProjectRequest "UpdateProject";
    ConvertRoleStructureRequest "ConvertRoleStructure";
    DeleteProjectRequest "DeleteProject";
    CreatePermissionRequest "CreatePermission";
    BatchCreatePermissionsRequest "BatchCreatePermissions";
    UpdatePermissionRequest "UpdatePermission";
    DeletePermissionRequest "DeletePermission";
    CreateRoleRequest "CreateRole";
    BatchCreateRolesRequest "BatchCreateRoles";
    UpdateRoleRequest "UpdateRole";
    ReorderRolesRequest "ReorderRoles";
    DeleteRoleRequest "DeleteRole";
    CreateRoleMappingRequest "CreateRoleMapping";
    UpdateRoleMappingRequest "UpdateRoleMapping";
    PromoteRoleMappingRequest "PromoteRoleMapping";
    DeleteRoleMappingRequest "DeleteRoleMapping";
    ApplyConfigurationRequest "ApplyConfiguration";
    CreateOrgRequest "CreateOrg";
    UpdateOrgRequest "UpdateOrg" by acting_user_id;
    DeleteOrgRequest "DeleteOrg" by acting_user_id;
    SubscribeOrgRequest "SubscribeOrg";
    BatchSubscribeOrgsRequest "BatchSubscribeOrgs";
    AddMemberRequest "AddMember" by acting_user_id;
    SetMemberRolesRequest "SetMemberRoles" by acting_user_id;
    RemoveMemberRequest "RemoveMember" by acting_user_id;
    BatchWriteMembersRequest "BatchWriteMembers";
    CreateInvitationRequest "CreateInvitation" by acting_user_id;
    BatchCreateInvitationsRequest "BatchCreateInvitations" by acting_user_id;
    RevokeInvitationRequest "RevokeInvitation" by acting_user_id;
    AcceptInvitationRequest "AcceptInvitation";
    SetOrgDomainsRequest "SetOrgDomains" by acting_user_id;
    VerifyOrgDomainRequest "VerifyOrgDomain";
    ProvisionMemberRequest "ProvisionMember";
    BlockUserRequest "BlockUser";
    UnblockUserRequest "UnblockUser";
    DeleteUserRequest "DeleteUser";
    CreateApiKeyRequest "CreateApiKey";
    ArchiveApiKeyRequest "ArchiveApiKey";
}

/// Answers a write: names the outcome that its command has, and the response without the fields that all writes share.
macro_rules! respond {
    ($answered:ident, $outcome:pat => $response:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {{
        let $crate::grpc::write::Answered { outcome, impact, revision, replayed } = $answered;
        let $outcome = outcome else { return Err($crate::grpc::write::unexpected()) };
        Ok(Response::new(wire::$response { $($field $(: $value)?,)* revision, replayed, impact }))
    }};
}
pub(super) use respond;

/// The answer to a write.
pub struct Answered {
    pub outcome: Outcome,
    /// `None` for a remembered answer of a release that reported no impact.
    pub impact: Option<wire::Impact>,
    pub revision: String,
    pub replayed: bool,
}

impl App {
    /// Submits a write, or previews it with `validate_only`.
    pub async fn write<R: WriteRequest + Authorized>(
        &self,
        metadata: &MetadataMap,
        request: &R,
        command: Command,
        row_path: RowPath<'_>,
    ) -> Result<Answered, Status> {
        let project = command.project().cloned();
        let call = call(metadata, request, &command)?;
        // Do not suggest internal roles to end users (I2).
        let known = Visibility::of(call.acting_user.as_ref());
        let written = match request.validate_only() {
            true => self.preview(project.as_ref(), command, call).await?,
            false => self.writer.submit_holding(command, call, hold_memory()).await,
        };
        let names = Names {
            project: project.as_ref().map_or("", ProjectKey::as_str),
            resource: if R::METHOD.starts_with("Update") { "resource." } else { "" },
            role: if R::METHOD == "CreateInvitation" { "" } else { ".role" },
            row: row_path,
        };
        let refused =
            |failure| self.suggesting(project.as_ref(), known, |suggest| status::failed(failure, &names, suggest));
        let written = written.map_err(refused);
        self.answered(written.inspect_err(|status| {
            if status.code() == Code::PermissionDenied {
                calls::with_access(|access| authz::record(access, request, status));
            }
        })?)
    }

    async fn preview(
        &self,
        project: Option<&ProjectKey>,
        command: Command,
        call: Call,
    ) -> Result<Result<Written, Failure>, Status> {
        let project = project.and_then(|project| self.project_id(project));
        let turn = self.preview_turns.next(project).await?;
        let preview = match self.writer.preview(command, call, (turn, hold_memory())).await {
            Ok(preview) => preview,
            Err(failure) => return Ok(Err(failure)),
        };
        let _turn = match preview.has_unnamed_members() {
            true => Some(self.list_turns.next(project).await?),
            false => None,
        };
        Ok(self.writer.name_members(preview).await)
    }

    fn answered(&self, written: Written) -> Result<Answered, Status> {
        let storage::Outcome { outcome, impact } = match written.answer {
            Answer::Decided { outcome, impact } => wire::outcome::outcome(&outcome, &impact),
            Answer::Remembered(bytes) => storage::Outcome::decode(&*bytes)
                .map_err(|error| internal(&format!("a remembered answer is unreadable: {error}")))?,
        };
        let outcome = outcome.ok_or_else(|| internal("an answer is empty"))?;
        let revision = Token::new(self.engine.store_id(), written.revision).encode();
        Ok(Answered { outcome, impact, revision, replayed: written.replayed })
    }
}

/// Returns the status for an outcome of another kind than the command has.
pub fn unexpected() -> Status {
    internal("an answer is of the wrong kind")
}

fn internal(what: &str) -> Status {
    tracing::error!(what, "internal error");
    status::plain(ErrorReason::Internal, "the answer could not be created; this is a bug, please report it")
}

fn call<R: WriteRequest>(metadata: &MetadataMap, request: &R, command: &Command) -> Result<Call, Status> {
    let caller = calls::caller().ok_or_else(|| internal("a write has no caller"))?;
    let actor = actor(&caller, metadata)?;
    let key = request_key(&actor, request, command)?;
    Ok(Call {
        fingerprint: key.as_ref().map_or(0, |_| fingerprint(request)),
        request: key,
        reason: convert::text("reason", request.reason(), REASON_BYTES_MAX)?.into(),
        acting_user: acting_user(&caller, request, command)?,
        key: caller.key().map(|(id, _)| id.to_string().into()),
        impact_digest: Some(request.impact_digest()).filter(|digest| !digest.is_empty()).map(Arc::from),
        actor,
    })
}

/// Returns the key of a write that may be repeated. A preview is neither looked up nor remembered (A4).
fn request_key<R: WriteRequest>(caller: &Actor, request: &R, command: &Command) -> Result<Option<RequestKey>, Status> {
    let request_id = request.request_id();
    if request_id.is_empty() || request.validate_only() {
        return Ok(None);
    }
    if request_id.len() > REQUEST_ID_BYTES_MAX || !request_id.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        let why = format!("must be at most {REQUEST_ID_BYTES_MAX} printable ASCII characters");
        return Err(status::invalid("request_id", why));
    }
    let project = match command {
        Command::CreateProject(command) => Some(&command.key),
        command => command.project(),
    };
    let project = project.cloned().unwrap_or_else(ProjectKey::default_project);
    Ok(Some(RequestKey { caller: caller.clone(), project, request_id: request_id.into() }))
}

/// Returns the user for whom a call writes. In the workspace that is the operator who calls (W7.a).
fn acting_user<R: WriteRequest>(caller: &Caller, request: &R, command: &Command) -> Result<Option<UserId>, Status> {
    let named = request.acting_user_id();
    if command.project().is_some_and(|project| project.as_str() == WORKSPACE) {
        if !named.is_empty() {
            let why = "must be empty in the workspace, where the caller is the acting user";
            return Err(status::invalid("acting_user_id", why));
        }
        return Ok(caller.operator().cloned());
    }
    convert::optional(named, |text| convert::user("acting_user_id", text))
}

/// Returns the name under which a call is recorded. Only a caller without credentials may choose one.
fn actor(caller: &Caller, metadata: &MetadataMap) -> Result<Actor, Status> {
    let value = metadata.get(ACTOR);
    if let Some(operator) = caller.operator() {
        return match value {
            None => Ok(operator.as_str().into()),
            Some(_) => Err(status::invalid(ACTOR, "must not be sent with credentials, which name the caller")),
        };
    }
    let Some(value) = value else { return Ok(Arc::from(LOCAL)) };
    // `to_str` accepts tabs.
    let printable = value.to_str().ok().filter(|text| text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    let text = printable.ok_or_else(|| status::invalid(ACTOR, "must be printable ASCII"))?;
    if text.is_empty() || text.len() > ACTOR_BYTES_MAX {
        return Err(status::invalid(ACTOR, format!("must be 1 to {ACTOR_BYTES_MAX} bytes")));
    }
    if text == SYSTEM {
        return Err(status::invalid(ACTOR, format!("must not be `{SYSTEM}`, the actor of the service itself")));
    }
    Ok(text.into())
}

/// Returns a hash of a request. It is the same on every server that knows the same fields.
fn fingerprint<R: WriteRequest>(request: &R) -> u128 {
    let digest =
        Sha256::new().chain_update(R::METHOD).chain_update([0]).chain_update(request.encode_to_vec()).finalize();
    u128::from_le_bytes(std::array::from_fn(|at| digest[at]))
}
