//! Sidecars as processes: what they follow, and what they do without an upstream.

mod access;
mod files;
mod offline;
mod staleness;
mod upstreams;

use std::path::Path;

use rolecall::engine::Token;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::wire::{self, Decision, check_request::Question};
use tempfile::TempDir;
use tonic::Status;
use tonic_types::StatusExt;

use crate::processes::{Address, Process};
use crate::support::proxy::Proxy;

const ORG: &str = "acme";

/// A server with an org, and a way to it that can be cut.
struct Fixture {
    server: Process,
    way: Proxy,
    folder: TempDir,
}

impl Fixture {
    /// Starts a server on SQLite.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", folder.path().join("rolecall.db").display());
        let server = Process::server("server", &database, folder.path()).started().await;
        create_org(&server).await;
        let way = Proxy::to(server.address.port()).await;
        Self { server, way, folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a sidecar that follows the server by the way.
    fn sidecar(&self, more: &[&str]) -> Process {
        self.sidecar_at(Address::free(), more)
    }

    fn sidecar_at(&self, address: Address, more: &[&str]) -> Process {
        Process::sidecar("sidecar", &[self.way_address()], address, self.folder(), more)
    }

    fn way_address(&self) -> String {
        format!("127.0.0.1:{}", self.way.port)
    }

    fn join(&self) {
        self.way.lead_to(self.server.address.port());
    }
}

async fn create_org(server: &Process) {
    let request = wire::CreateOrgRequest { org_id: ORG.into(), ..Default::default() };
    OrgServiceClient::new(server.channel()).create_org(request).await.unwrap();
}

/// Adds a member. Returns the revision.
async fn add(server: &Process, user: &str) -> Token {
    let request = wire::AddMemberRequest { org_id: ORG.into(), user_id: user.into(), ..Default::default() };
    let answer = MembershipServiceClient::new(server.channel()).add_member(request).await.unwrap();
    token(&answer.into_inner().revision)
}

/// Asks whether a user is a member. Returns the revision too.
async fn is_member(process: &Process, user: &str) -> Result<(bool, Token), Status> {
    let request = wire::CheckRequest {
        org_id: ORG.into(),
        user_id: user.into(),
        question: Some(Question::Role("Member".into())),
        ..Default::default()
    };
    let answer = CheckServiceClient::new(process.channel()).check(request).await?.into_inner();
    assert!(matches!(answer.decision(), Decision::Allowed | Decision::NotAMember), "{answer:?}");
    Ok((answer.allowed, token(&answer.revision)))
}

/// Waits until a sidecar has a revision.
async fn has(sidecar: &Process, revision: Token) {
    let is_new = |text: &str| (token(text).number, token(text).store_id) >= (revision.number, revision.store_id);
    sidecar.wait_until("has the revision", |info| is_new(&info.revision)).await;
}

fn token(text: &str) -> Token {
    Token::decode(text).unwrap()
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}
