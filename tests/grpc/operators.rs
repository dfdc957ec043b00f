//! Callers with keys, for the tests of operators.

use prost::Message;
use rolecall::domain::model::template::{PROPELAUTH, Template};
use rolecall::limits::Limits;
use rolecall::server::OperatorConfig;
use rolecall::wire;
use tonic::Status;

use crate::raw::{Raw, framed};
use crate::server::Server;
use crate::support;

/// Runs a test on both databases, on a server where every call may have credentials, with these operator roles.
pub fn on_both_with(roles: &'static Template, test: impl AsyncFn(&Server)) {
    support::on_both(async |database| {
        let operators = OperatorConfig { roles, ..OperatorConfig::default() };
        test(&Server::start_for(database.url.clone(), Limits::default(), operators).await).await;
    });
}

/// Runs a test with PropelAuth's roles.
pub fn on_both(test: impl AsyncFn(&Server)) {
    on_both_with(&PROPELAUTH, test);
}

/// A caller with a key.
pub struct Caller {
    pub raw: Raw,
    pub authorization: String,
}

impl Caller {
    pub async fn new(server: &Server, token: &str) -> Self {
        Self { raw: server.raw().await, authorization: format!("Bearer {token}") }
    }

    /// Adds an operator with a role, and returns the operator as a caller.
    pub async fn operator(server: &Server, id: &str, role: &str) -> Self {
        Self::new(server, &server.operator(id, role).await).await
    }

    pub async fn send(&self, method: &str, request: &[u8]) -> Result<prost::bytes::Bytes, Status> {
        self.raw.send(method, &[("authorization", &self.authorization)], framed(0, request)).await
    }

    /// Calls a method of `rolecall.v1`, for example `OrgService/GetOrg`.
    pub async fn call<T: Message + Default>(&self, method: &str, request: &impl Message) -> Result<T, Status> {
        let answer = self.send(&format!("rolecall.v1.{method}"), &request.encode_to_vec()).await?;
        Ok(T::decode(answer).unwrap())
    }

    pub async fn add_operator(&self, id: &str, role: &str) -> Result<wire::AddMemberResponse, Status> {
        let request = wire::AddMemberRequest {
            project: "workspace".into(),
            org_id: "team".into(),
            user_id: id.into(),
            roles: vec![wire::RoleAssignment { role: role.into(), ..Default::default() }],
            ..Default::default()
        };
        self.call("MembershipService/AddMember", &request).await
    }

    pub async fn set_role(&self, id: &str, role: &str) -> Result<wire::SetMemberRolesResponse, Status> {
        let request = wire::SetMemberRolesRequest {
            project: "workspace".into(),
            org_id: "team".into(),
            user_id: id.into(),
            roles: vec![wire::RoleAssignment { role: role.into(), ..Default::default() }],
            ..Default::default()
        };
        self.call("MembershipService/SetMemberRoles", &request).await
    }

    pub async fn remove_operator(&self, id: &str) -> Result<wire::RemoveMemberResponse, Status> {
        let request = wire::RemoveMemberRequest {
            project: "workspace".into(),
            org_id: "team".into(),
            user_id: id.into(),
            ..Default::default()
        };
        self.call("MembershipService/RemoveMember", &request).await
    }

    pub async fn create_key(&self, request: wire::CreateApiKeyRequest) -> Result<wire::CreateApiKeyResponse, Status> {
        self.call("ApiKeyService/CreateApiKey", &request).await
    }

    pub async fn who_am_i(&self) -> Result<wire::WhoAmIResponse, Status> {
        self.call("ServerService/WhoAmI", &wire::WhoAmIRequest {}).await
    }

    pub async fn check(&self, request: wire::CheckRequest) -> Result<wire::CheckResponse, Status> {
        self.call("CheckService/Check", &request).await
    }
}

pub fn may_ann_see_invoices(org_id: &str) -> wire::CheckRequest {
    wire::CheckRequest {
        org_id: org_id.into(),
        user_id: "ann".into(),
        question: Some(wire::check_request::Question::Permission("invoices.view".into())),
        ..Default::default()
    }
}
