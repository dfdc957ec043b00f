//! A sidecar answers as its server does, and knows only what checks need.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use rolecall::engine::Token;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::limits::Limits;
use rolecall::server::sidecar::{RunningSidecar, SidecarConfig};
use rolecall::server::{ConnectionLimits, Gateways, Listen, MetricsListen};
use rolecall::sidecar::upstream::{Client, Connect, Credentials, client};
use rolecall::wire::replication::{FollowRequest, Revision};
use rolecall::wire::{self, Consistency, consistency::Requirement};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::contract::{requests, shop};
use crate::operators::{self, Caller, may_ann_see_invoices};
use crate::raw::framed;
use crate::refusals::Details;
use crate::server::{Server, on_both, over_unix};

/// The test fails if what it waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and the key with which a sidecar follows it.
struct Upstream {
    address: String,
    key: Option<String>,
}

#[tonic::async_trait]
impl Connect for Upstream {
    fn address(&self) -> &str {
        &self.address
    }

    async fn connect(&self) -> Result<Client, String> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
        Ok(client(channel, Credentials(self.key.as_ref().map(|key| format!("Bearer {key}").parse().unwrap()))))
    }
}

/// A sidecar of a server, and a client of it.
pub struct Sidecar {
    pub running: RunningSidecar,
    channel: Channel,
}

impl Sidecar {
    async fn of(server: &Server) -> Self {
        Self::start(server, None, &[], None).await
    }

    /// Starts a sidecar that serves metrics.
    pub async fn with_metrics(server: &Server) -> Self {
        let metrics = MetricsListen::At(Listen::Tcp("127.0.0.1:0".into()));
        Self::start_configured(server, None, &[], None, |config| SidecarConfig { metrics, ..config }).await
    }

    pub async fn start(server: &Server, key: Option<String>, projects: &[&str], file: Option<PathBuf>) -> Self {
        Self::start_configured(server, key, projects, file, |config| config).await
    }

    async fn start_configured(
        server: &Server,
        key: Option<String>,
        projects: &[&str],
        file: Option<PathBuf>,
        change: impl FnOnce(SidecarConfig) -> SidecarConfig,
    ) -> Self {
        let upstream = Upstream { address: server.address.clone(), key };
        let config = SidecarConfig {
            follows: rolecall::sidecar::Config {
                upstreams: vec![Arc::new(upstream)],
                projects: projects.iter().map(ToString::to_string).collect(),
                file,
            },
            listen: vec![Listen::Tcp("127.0.0.1:0".into())],
            metrics: MetricsListen::Off,
            gateways: Gateways::default(),
            socket_mode: 0o600,
            uids: None,
            staleness_max: None,
            refuses_stale: false,
            connections: ConnectionLimits::default(),
            batch_check_items: Limits::default().batch_check_items,
            drain: Duration::from_secs(5),
        };
        let running = tokio::time::timeout(PATIENCE, RunningSidecar::start(change(config))).await.unwrap().unwrap();
        let channel = match &running.addresses[0] {
            Listen::Tcp(address) => {
                Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
            }
            Listen::Unix(path) => over_unix(path.clone()).await,
        };
        Self { running, channel }
    }

    pub async fn check(&self, request: wire::CheckRequest) -> Result<wire::CheckResponse, Status> {
        Ok(CheckServiceClient::new(self.channel.clone()).check(request).await?.into_inner())
    }
}

pub fn at_least(token: &str) -> Option<Consistency> {
    Some(Consistency { requirement: Some(Requirement::AtLeast(token.into())) })
}

/// What a server or a sidecar says about everybody: decisions, explanations and accesses, without revisions and times.
async fn answers(channel: &Channel, token: &str) -> Result<Vec<String>, Status> {
    let mut client = CheckServiceClient::new(channel.clone());
    let mut all = Vec::new();
    let said = |answer: Result<String, Status>| answer.unwrap_or_else(|status| status.reason());
    for project in ["default", "deserted", "sandbox"] {
        for org_id in ["acme", "globex", "nova"] {
            for user_id in ["ann", "bea", "olga", "zoe"] {
                for permission in ["invoices.view", "invoices.pay"] {
                    let request = wire::ExplainRequest {
                        project: project.into(),
                        org_id: org_id.into(),
                        user_id: user_id.into(),
                        question: Some(wire::explain_request::Question::Permission(permission.into())),
                        consistency: at_least(token),
                        ..Default::default()
                    };
                    let explained = client.explain(request.clone()).await.map(|answer| {
                        let answer = answer.into_inner();
                        format!("{:?}", wire::ExplainResponse { revision: String::new(), evaluated_at: None, ..answer })
                    });
                    all.push(said(explained));
                    let check = wire::CheckRequest::decode(&*request.encode_to_vec()).unwrap();
                    let checked = client.check(check).await;
                    all.push(said(checked.map(|answer| answer.into_inner().decision().as_str_name().to_string())));
                }
                let request = wire::GetAccessRequest {
                    project: project.into(),
                    org_id: org_id.into(),
                    user_id: user_id.into(),
                    consistency: at_least(token),
                    ..Default::default()
                };
                let access = client.get_access(request).await.map(|answer| {
                    let answer = answer.into_inner();
                    format!("{:?}", wire::GetAccessResponse { revision: String::new(), evaluated_at: None, ..answer })
                });
                all.push(said(access));
            }
        }
    }
    Ok(all)
}

#[test]
fn k4_a_sidecar_answers_as_its_server_after_every_write() {
    on_both(async |server| {
        shop(server).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("copy");
        let sidecar = Sidecar::start(server, None, &[], Some(file.clone())).await;
        let raw = server.raw().await;
        let (mut compared, mut different) = (0, BTreeSet::new());
        let mut last = String::new();
        for (method, request) in requests(server).await {
            let _ = raw.send(method, &[], framed(0, &request)).await;
            let token = server.token().await;
            if token == last {
                continue;
            }
            let expected = answers(&server.channel, &token).await.unwrap();
            let found = answers(&sidecar.channel, &token).await.unwrap();
            // The purger may have written meanwhile.
            if server.token().await == token {
                assert_eq!(found, expected, "after {method}");
                compared += 1;
                different.insert(expected);
            }
            last = token;
        }
        server.settled().await;
        assert!(compared > 20 && different.len() > 10, "{compared} {}", different.len());

        // A sidecar that begins now, and one that begins with the file.
        let token = server.token().await;
        let expected = answers(&server.channel, &token).await.unwrap();
        let late = Sidecar::of(server).await;
        assert_eq!(answers(&late.channel, &token).await.unwrap(), expected);
        assert_eq!(answers(&sidecar.channel, &token).await.unwrap(), expected);
        late.running.stop().await;
        sidecar.running.stop().await;
        server.stop().await;
        let alone = Sidecar::start(server, None, &[], Some(file)).await;
        assert_eq!(answers(&alone.channel, &token).await.unwrap(), expected);
        let latest = Consistency { requirement: Some(Requirement::Latest(true)) };
        let latest = wire::CheckRequest { consistency: Some(latest), ..may_ann_see_invoices("acme") };
        assert_eq!(alone.check(latest).await.unwrap_err().reason(), "UPSTREAM_UNAVAILABLE");
        alone.running.stop().await;
    });
}

#[test]
fn k4_a_sidecar_waits_for_a_revision_and_refuses_one_of_another_history() {
    on_both(async |server| {
        shop(server).await;
        let sidecar = Sidecar::of(server).await;
        for user in ["x", "y", "z"] {
            let request = server.single().adding("globex", user, &crate::fixture::roles(&["Billing Manager"]));
            let token = server.add_member(request).await.unwrap().revision;
            let ask = wire::CheckRequest {
                user_id: user.into(),
                consistency: at_least(&token),
                ..may_ann_see_invoices("globex")
            };
            let answer = sidecar.check(ask).await.unwrap();
            assert!(answer.allowed);
            assert!(Token::decode(&answer.revision).unwrap().number >= Token::decode(&token).unwrap().number);
        }
        let token = Token::decode(&server.token().await).unwrap();
        for other in [
            Token { tag: !token.tag, ..token },
            Token { store_id: !token.store_id, ..token },
            Token { number: token.number + 9, ..token },
            Token { number: 1, tag: !token.tag, ..token },
        ] {
            let ask = wire::CheckRequest { consistency: at_least(&other.encode()), ..may_ann_see_invoices("acme") };
            let status = sidecar.check(ask).await.unwrap_err();
            assert_eq!((status.code(), &*status.reason()), (Code::FailedPrecondition, "REVISION_OF_ANOTHER_HISTORY"));
        }
        let latest = Consistency { requirement: Some(Requirement::Latest(true)) };
        let latest = wire::CheckRequest { consistency: Some(latest), ..may_ann_see_invoices("acme") };
        assert!(sidecar.check(latest).await.is_ok());
        let number = 7;
        let check = Some(may_ann_see_invoices("acme"));
        let asked = wire::StreamCheckRequest { checks: vec![wire::NumberedCheck { number, check }] };
        let mut client = CheckServiceClient::new(sidecar.channel.clone());
        let mut answers = client.stream_check(tokio_stream::iter([asked])).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap();
        let expected = sidecar.check(may_ann_see_invoices("acme")).await.unwrap().decision;
        assert_eq!((answer.answers[0].number, answer.answers[0].decision), (number, expected));
        let past = wire::CheckRequest { as_of_revision: token.encode(), ..may_ann_see_invoices("acme") };
        assert_eq!(sidecar.check(past).await.unwrap_err().reason(), "SIDECAR_READ_ONLY");
        sidecar.running.stop().await;
    });
}

#[test]
fn w6_a_key_for_sidecars_feeds_them_with_its_own_projects_and_does_nothing_else() {
    operators::on_both(async |server| {
        shop(server).await;
        let root = Caller::operator(server, "root", "Owner").await;
        let key = async |environment: wire::Environment, project: &str| {
            let scope = wire::ApiKeyScope { sidecar_only: true, project: project.into(), ..Default::default() };
            let request = wire::CreateApiKeyRequest {
                display_name: "sidecar".into(),
                environment: environment.into(),
                scope: Some(scope),
                ..Default::default()
            };
            root.create_key(request).await.unwrap()
        };
        let check = |project: &str| wire::CheckRequest { project: project.into(), ..may_ann_see_invoices("acme") };
        let default = server.get_project(wire::GetProjectRequest::default()).await.unwrap().project.unwrap();
        let environment = default.environment();
        let all = key(environment, "").await;
        let one = key(environment, "default").await;
        let test = key(wire::Environment::Test, "deserted").await;
        for (key, seen, unseen) in [
            (&all, &["default"][..], &["workspace"][..]),
            (&one, &["default"], &["deserted", "workspace"]),
            (&test, &["deserted"], &["default", "workspace"]),
        ] {
            let sidecar = Sidecar::start(server, Some(key.token.clone()), &[], None).await;
            for project in seen {
                assert!(sidecar.check(check(project)).await.is_ok(), "{project}");
            }
            for project in unseen {
                assert_eq!(sidecar.check(check(project)).await.unwrap_err().reason(), "PROJECT_NOT_FOUND");
            }
            // Its callers need no credentials, and theirs are not read.
            let mut request = Request::new(check(seen[0]));
            request.metadata_mut().insert("authorization", "Bearer nonsense".parse().unwrap());
            assert!(CheckServiceClient::new(sidecar.channel.clone()).check(request).await.is_ok());
            sidecar.running.stop().await;
        }
        let caller = Caller::new(server, &all.token).await;
        assert_eq!(caller.check(check("")).await.unwrap_err().reason(), "API_KEY_SCOPE");

        // An archived key ends the stream.
        let mut client =
            client(server.channel.clone(), Credentials(Some(format!("Bearer {}", all.token).parse().unwrap())));
        let token = Token::decode(&server.token().await).unwrap();
        let after = Revision { store_id: token.store_id, number: token.number, tag: token.tag, time_micros: 0 };
        let request = FollowRequest { version: 1, projects: Vec::new(), after: Some(after), ..Default::default() };
        let mut frames = client.follow(request.clone()).await.unwrap().into_inner();
        assert!(frames.message().await.unwrap().is_some());
        let id = all.api_key.unwrap().api_key_id;
        let archive = wire::ArchiveApiKeyRequest { api_key_id: id, ..Default::default() };
        root.call::<wire::ArchiveApiKeyResponse>("ApiKeyService/ArchiveApiKey", &archive).await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Err(status) = frames.message().await {
                    return status;
                }
            }
        });
        assert_eq!(ended.await.unwrap().reason(), "API_KEY_ARCHIVED");
        assert_eq!(client.follow(request).await.unwrap_err().reason(), "API_KEY_ARCHIVED");
    });
}

#[test]
fn u4_checks_of_a_sidecar_make_an_org_active() {
    on_both(async |server| {
        shop(server).await;
        let request = server.single().adding("globex", "x", &crate::fixture::roles(&["Billing Manager"]));
        let token = server.add_member(request).await.unwrap().revision;
        let sidecar = Sidecar::of(server).await;
        let ask =
            wire::CheckRequest { user_id: "x".into(), consistency: at_least(&token), ..may_ann_see_invoices("globex") };
        assert!(sidecar.check(ask).await.unwrap().allowed);
        tokio::time::timeout(PATIENCE, async {
            while sidecar.running.sidecar.current().is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap();
        sidecar.running.sidecar.report_activity_now().await;
        let active = server.app().engine.activity.unwritten();
        assert_eq!(active.len(), 1, "{active:?}");
        assert!(sidecar.running.sidecar.engine.activity.unwritten().is_empty());
        sidecar.running.stop().await;
    });
}

#[test]
fn a_sidecar_that_must_not_answer_from_old_data_says_so() {
    on_both(async |server| {
        shop(server).await;
        // Any age is too old.
        let change = |config| SidecarConfig { staleness_max: Some(Duration::ZERO), refuses_stale: true, ..config };
        let sidecar = Sidecar::start_configured(server, None, &[], None, change).await;
        let refused = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Err(status) = sidecar.check(may_ann_see_invoices("acme")).await {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let refused = refused.await.unwrap();
        assert_eq!((refused.code(), &*refused.reason()), (Code::Unavailable, "STATE_TOO_OLD"));
        let mut health = HealthClient::new(sidecar.channel.clone());
        for service in ["", "rolecall.v1.CheckService"] {
            let status =
                health.check(HealthCheckRequest { service: service.into() }).await.unwrap().into_inner().status();
            assert_eq!(status, ServingStatus::NotServing, "{service}");
        }
        sidecar.running.stop().await;
    });
}

#[test]
fn a_sidecar_lets_in_only_processes_of_its_users() {
    on_both(async |server| {
        shop(server).await;
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("checks.sock");
        let own = std::fs::metadata(folder.path()).unwrap().uid();
        for (uids, reason) in [(vec![own + 1], Some("UID_NOT_ALLOWED")), (vec![own + 1, own], None)] {
            let change = |config| SidecarConfig {
                listen: vec![Listen::Unix(socket.clone())],
                socket_mode: 0o640,
                uids: Some(uids),
                ..config
            };
            let sidecar = Sidecar::start_configured(server, None, &[], None, change).await;
            assert_eq!(std::fs::metadata(&socket).unwrap().mode() & 0o777, 0o640);
            let refused = sidecar.check(may_ann_see_invoices("acme")).await.err();
            assert_eq!(refused.as_ref().map(Details::reason).as_deref(), reason);
            assert_eq!(refused.map(|status| status.code()), reason.map(|_| Code::PermissionDenied));
            sidecar.running.stop().await;
        }
    });
}
