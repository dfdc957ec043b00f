//! Checks on a stream: StreamCheck.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use rolecall::grpc::caller_limits::CallerLimits;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::server::{Config, ConnectionLimits};
use rolecall::wire::check_request::Question;
use rolecall::wire::{
    self, ApiKeyScope, CheckRequest, Decision, Environment, NumberedCheck, StreamCheckRequest, StreamCheckResponse,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use crate::contract::shop;
use crate::fixture::{micros, roles, texts};
use crate::operators::{Caller, may_ann_see_invoices};
use crate::raw::framed;
use crate::refusals::{Details, explained};
use crate::server::{Server, on_both};
use crate::support;

const PATIENCE: Duration = Duration::from_secs(30);

/// An open stream.
struct Open {
    requests: mpsc::UnboundedSender<StreamCheckRequest>,
    answers: Streaming<StreamCheckResponse>,
}

/// What a check got: its number, and the decision or the reason and the field of its error.
type Answer = (u64, Result<Decision, (String, String)>);

impl Open {
    async fn on(server: &Server, token: Option<&str>) -> Result<Self, Status> {
        let (requests, received) = mpsc::unbounded_channel();
        let mut request = Request::new(UnboundedReceiverStream::new(received));
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let mut client = CheckServiceClient::new(server.channel.clone());
        Ok(Self { requests, answers: client.stream_check(request).await?.into_inner() })
    }

    fn send(&self, checks: impl IntoIterator<Item = (u64, CheckRequest)>) {
        let checks = checks.into_iter().map(|(number, check)| NumberedCheck { number, check: Some(check) });
        self.requests.send(StreamCheckRequest { checks: checks.collect() }).unwrap();
    }

    /// Returns the next response.
    async fn next(&mut self) -> Result<Option<StreamCheckResponse>, Status> {
        tokio::time::timeout(PATIENCE, self.answers.message()).await.expect("the stream answers in time")
    }

    /// Sends checks in one message, and returns their answers.
    async fn ask(&mut self, checks: impl IntoIterator<Item = (u64, CheckRequest)>) -> Result<Vec<Answer>, Status> {
        self.send(checks);
        Ok(answers(&self.next().await?.expect("the stream is open")))
    }

    /// Returns the status with which the stream ends.
    async fn end(mut self) -> Status {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok(""),
                Err(status) => return status,
            }
        }
    }
}

fn answers(response: &StreamCheckResponse) -> Vec<Answer> {
    let answer = |answer: &wire::NumberedAnswer| match &answer.error {
        None => (answer.number, Ok(answer.decision())),
        Some(error) => {
            assert!(answer.decision() == Decision::Unspecified && !error.description.is_empty(), "{answer:?}");
            (answer.number, Err((error.reason.clone(), error.field.clone())))
        }
    };
    response.answers.iter().map(answer).collect()
}

fn failed(reason: &str, field: &str) -> Result<Decision, (String, String)> {
    Err((reason.into(), field.into()))
}

#[test]
fn every_check_gets_the_answer_of_a_call_of_check() {
    on_both(async |server| {
        shop(server).await;
        let asking = |org: &str, user: &str, question| CheckRequest {
            org_id: org.into(),
            user_id: user.into(),
            question,
            ..Default::default()
        };
        let permission = |name: &str| Some(Question::Permission(name.into()));
        let list = |names: &[&str]| wire::PermissionList { permissions: texts(names) };
        let good = asking("acme", "ann", permission("invoices.view"));
        let checks = [
            good.clone(),
            asking("acme", "olga", permission("invoices.view")),
            asking("acme", "stranger", permission("invoices.view")),
            asking("nowhere", "ann", permission("invoices.view")),
            asking("acme", "ann", permission("unknown")),
            asking("acme", "ann", Some(Question::Role("Member".into()))),
            asking("acme", "ann", Some(Question::AtLeastRole("Admin".into()))),
            asking("acme", "olga", Some(Question::AllOf(list(&["invoices.view", "invoices.pay"])))),
            asking("acme", "olga", Some(Question::AnyOf(list(&["rolecall::can_invite", "invoices.pay"])))),
            asking("a b", "ann", permission("invoices.view")),
            asking("acme", "", permission("invoices.view")),
            asking("acme", "ann", permission("")),
            asking("acme", "ann", None),
            asking("acme", "ann", Some(Question::AllOf(list(&[])))),
            asking("acme", "ann", Some(Question::AnyOf(list(&["invoices.view", " "])))),
            asking("acme", "ann", Some(Question::AllOf(list(&["invoices.view"; 101])))),
            CheckRequest { project: "nowhere".into(), ..good.clone() },
            CheckRequest { project: "No Key".into(), ..good.clone() },
        ];
        let mut expected = Vec::new();
        for (check, number) in checks.iter().zip(7..) {
            let answer = match server.check(check.clone()).await {
                Ok(answer) => Ok(answer.decision()),
                Err(status) => {
                    let bad = tonic_types::StatusExt::get_details_bad_request(&status);
                    let field = bad.map(|bad| bad.field_violations[0].field.clone()).unwrap_or_default();
                    Err((status.reason().to_string(), field))
                }
            };
            expected.push((number, answer));
        }
        assert!(expected.iter().any(|(_, answer)| answer.is_ok()) && expected.iter().any(|(_, it)| it.is_err()));
        let mut open = Open::on(server, None).await.unwrap();
        assert_eq!(open.ask((7..).zip(checks.clone())).await.unwrap(), expected);
        // One check in each message: the answers have the same order, in as many responses as the server likes.
        (7..).zip(checks.clone()).for_each(|check| open.send([check]));
        let mut answered = Vec::new();
        while answered.len() < checks.len() {
            answered.extend(answers(&open.next().await.unwrap().unwrap()));
        }
        assert_eq!(answered, expected);
        // What only Check has, and a missing check.
        let token = server.token().await;
        let at_least = wire::consistency::Requirement::AtLeast(token.clone());
        let not_here = [
            (CheckRequest { as_of_revision: token, ..good.clone() }, "as_of_revision"),
            (CheckRequest { as_of_time: Some(prost_types::Timestamp::default()), ..good.clone() }, "as_of_time"),
            (
                CheckRequest { consistency: Some(wire::Consistency { requirement: Some(at_least) }), ..good },
                "consistency",
            ),
        ];
        for (check, field) in not_here {
            assert_eq!(open.ask([(1, check)]).await.unwrap(), [(1, failed("INVALID_FIELD", field))]);
        }
        open.requests.send(StreamCheckRequest { checks: vec![NumberedCheck { number: 3, check: None }] }).unwrap();
        let response = open.next().await.unwrap().unwrap();
        assert_eq!(answers(&response), [(3, failed("INVALID_FIELD", "check"))]);
        assert!(open.ask([]).await.unwrap().is_empty());
        drop(open.requests);
        assert!(open.answers.message().await.unwrap().is_none(), "the stream ends with the client's side");
    });
}

#[test]
fn k5_an_answer_is_from_the_newest_revision() {
    on_both(async |server| {
        shop(server).await;
        let project = server.single();
        let mut open = Open::on(server, None).await.unwrap();
        let mut before = 0;
        for round in 0..20_u64 {
            let role = if round % 2 == 0 { "Admin" } else { "Guest" };
            project.set("acme", "ann", &roles(&[role])).await;
            let written = server.token().await;
            open.send([(round, may_ann_see_invoices("acme"))]);
            let response = open.next().await.unwrap().unwrap();
            let expected = if round % 2 == 0 { Decision::Allowed } else { Decision::MissingPermission };
            assert_eq!(answers(&response), [(round, Ok(expected))]);
            assert_eq!(response.revision, written);
            let evaluated_at = micros(&response.evaluated_at.unwrap());
            assert!(evaluated_at >= before);
            before = evaluated_at;
        }
    });
}

#[test]
fn a_message_that_cannot_be_read_ends_the_stream_after_the_answers_before_it() {
    on_both(async |server| {
        shop(server).await;
        let open = Open::on(server, None).await.unwrap();
        open.send((0..1_001).map(|number| (number, may_ann_see_invoices("acme"))));
        let refused = explained(&open.end().await, "TOO_MANY_ROWS");
        assert_eq!(refused.fields(), ["checks"]);
        let mut open = Open::on(server, None).await.unwrap();
        let most = open.ask((0..1_000).map(|number| (number, may_ann_see_invoices("acme")))).await.unwrap();
        assert_eq!(most.len(), 1_000);
        open.send([(1, may_ann_see_invoices("acme"))]);
        open.send((0..1_001).map(|number| (number, may_ann_see_invoices("acme"))));
        assert_eq!(open.next().await.unwrap().unwrap().answers.len(), 1);
        explained(&open.end().await, "TOO_MANY_ROWS");
        let open = Open::on(server, None).await.unwrap();
        open.send([(1, CheckRequest { project: "p".repeat(2 << 20), ..may_ann_see_invoices("acme") })]);
        explained(&open.end().await, "REQUEST_TOO_LARGE");
        let raw = server.raw().await;
        for body in [&b"\0\0\0\0\x01\xff"[..], b"\x01\0\0\0\0", b"\0\0\0\0\x09\x0a", b"\0\0"] {
            let answer = raw.send("rolecall.v1.CheckService/StreamCheck", &[], body.into()).await;
            explained(&answer.unwrap_err(), "MALFORMED_REQUEST");
        }
    });
}

#[test]
fn w6_each_check_is_authorized_and_an_archived_key_ends_the_stream() {
    crate::operators::on_both(async |server| {
        shop(server).await;
        server.operator("root", "Owner").await;
        let asking = |project: &str, org: &str| CheckRequest { project: project.into(), ..may_ann_see_invoices(org) };
        // The project `default` is LIVE, `deserted` is TEST.
        let scopes = [
            ApiKeyScope::default(),
            ApiKeyScope { project: "default".into(), org_id: "acme".into(), ..Default::default() },
            ApiKeyScope { project: "deserted".into(), ..Default::default() },
            ApiKeyScope { checks_only: true, ..Default::default() },
            ApiKeyScope { acting_user_required: true, ..Default::default() },
        ];
        let checks = [
            asking("", "acme"),
            asking("", "globex"),
            asking("deserted", "acme"),
            asking("workspace", "team"),
            asking("nowhere", "acme"),
        ];
        for scope in scopes {
            let environment = if scope.project == "deserted" { Environment::Test } else { Environment::Live };
            let (id, token) = server.key("root", environment, scope.clone()).await;
            let caller = Caller::new(server, &token).await;
            let mut open = Open::on(server, Some(&token)).await.unwrap();
            for (number, check) in (0..).zip(&checks) {
                let alone = match caller.check(check.clone()).await {
                    Ok(answer) => Ok(answer.decision()),
                    Err(status) => Err(status.reason().to_string()),
                };
                let answer = open.ask([(number, check.clone())]).await.unwrap().remove(0).1;
                assert_eq!(answer.map_err(|(reason, _)| reason), alone, "{scope:?} {check:?}");
            }
            let archive = wire::ArchiveApiKeyRequest { api_key_id: id, ..Default::default() };
            server.archive_api_key(archive).await.unwrap();
            open.send([(9, asking("", "acme"))]);
            let ended = open.end().await;
            assert_eq!((ended.code(), &*ended.reason()), (Code::Unauthenticated, "API_KEY_ARCHIVED"));
        }
        // An operator who loses the permission gets errors, and one who is removed cannot go on.
        let token = server.operator("eva", "Developer").await;
        let mut open = Open::on(server, Some(&token)).await.unwrap();
        assert!(open.ask([(1, asking("", "acme"))]).await.unwrap()[0].1.is_ok());
        let root = Caller::operator(server, "chief", "Owner").await;
        root.remove_operator("eva").await.unwrap();
        open.send([(2, asking("", "acme"))]);
        assert_eq!(open.end().await.code(), Code::Unauthenticated);
        let unknown = Open::on(server, Some("rk_live_nonsense")).await.err().unwrap();
        assert_eq!(unknown.code(), Code::Unauthenticated);
    });
}

#[test]
fn each_check_counts_for_the_rate_of_its_caller() {
    support::on_both(async |database| {
        let open = Server::start(database.url.clone(), Default::default()).await;
        shop(&open).await;
        let token = open.operator("ann", "Owner").await;
        open.stop().await;
        let callers = CallerLimits { calls_per_second: 1, burst: 10, calls_in_flight: 1 };
        let server = Server::start_configured(database.url.clone(), |config| Config { callers, ..config }).await;
        let mut open = Open::on(&server, Some(&token)).await.unwrap();
        // Another call would be the second one in flight.
        let refused = Caller::new(&server, &token).await.who_am_i().await.unwrap_err();
        assert_eq!(&*refused.reason(), "CALLER_TOO_FAST");
        let answers = open.ask((0..100).map(|number| (number, may_ann_see_invoices("acme")))).await.unwrap();
        let allowed = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
        // However slow the machine is, it does not take 90 seconds.
        assert!((5..50).contains(&allowed), "{allowed}");
        assert!(answers.iter().all(|(_, it)| it.is_ok() || *it == failed("CALLER_TOO_FAST", "")), "{answers:?}");
    });
}

#[test]
fn u4_a_check_of_a_stream_makes_its_org_active() {
    on_both(async |server| {
        shop(server).await;
        let active = async || {
            let answer = server.get_insights(wire::GetInsightsRequest::default()).await.unwrap();
            answer.weekly_active_orgs
        };
        let asking = |no_activity| CheckRequest {
            user_id: "olga".into(),
            question: Some(Question::Permission("rolecall::can_invite".into())),
            no_activity,
            ..may_ann_see_invoices("acme")
        };
        let mut open = Open::on(server, None).await.unwrap();
        for (no_activity, expected) in [(true, 0), (false, 1)] {
            assert_eq!(open.ask([(1, asking(no_activity))]).await.unwrap(), [(1, Ok(Decision::Allowed))]);
            assert_eq!(active().await, expected);
        }
    });
}

#[test]
fn a_client_that_reads_no_answers_cannot_send_without_end() {
    on_both(async |server| {
        shop(server).await;
        let (requests, received) = mpsc::channel(1);
        let mut client = CheckServiceClient::new(server.channel.clone());
        let stream = tokio_stream::wrappers::ReceiverStream::new(received);
        let mut answers = client.stream_check(stream).await.unwrap().into_inner();
        let checks = |from: u64| StreamCheckRequest {
            checks: (from..from + 1_000)
                .map(|number| NumberedCheck { number, check: Some(may_ann_see_invoices("acme")) })
                .collect(),
        };
        let mut sent = 0;
        while let Ok(taken) = tokio::time::timeout(Duration::from_secs(2), requests.send(checks(sent * 1_000))).await {
            taken.unwrap();
            sent += 1;
            assert!(sent < 2_000, "the server reads without end");
        }
        // Other calls go on, and once the answers are read nothing is lost.
        server.check(may_ann_see_invoices("acme")).await.unwrap();
        drop(requests);
        let mut answered = 0;
        while let Some(response) = answers.message().await.unwrap() {
            for answer in response.answers {
                assert_eq!(answer.number, answered);
                answered += 1;
            }
        }
        assert_eq!(answered, sent * 1_000);
    });
}

#[test]
fn a_stream_ends_with_the_server_and_with_the_age_of_its_connection() {
    support::on_both(async |database| {
        let server = Server::start(database.url.clone(), Default::default()).await;
        shop(&server).await;
        let mut open = Open::on(&server, None).await.unwrap();
        open.ask([(1, may_ann_see_invoices("acme"))]).await.unwrap();
        server.stop().await;
        let ended = open.end().await;
        assert_eq!((ended.code(), &*ended.reason()), (Code::Unavailable, "CALL_FAILED"));
        let server = Server::start_configured(database.url.clone(), |config| {
            let connections = ConnectionLimits { age: Some(Duration::from_secs(1)), ..config.connections };
            Config { connections, ..config }
        })
        .await;
        let mut open = Open::on(&server, None).await.unwrap();
        open.ask([(1, may_ann_see_invoices("acme"))]).await.unwrap();
        let ended = open.end().await;
        assert_eq!((ended.code(), &*ended.reason()), (Code::Unavailable, "CALL_FAILED"));
    });
}

#[test]
fn a_stream_may_pause_between_messages_and_not_within_one() {
    support::on_both(async |database| {
        let server = Server::start_configured(database.url.clone(), |config| {
            let connections = ConnectionLimits { body: Duration::from_millis(500), ..config.connections };
            Config { connections, ..config }
        })
        .await;
        shop(&server).await;
        let mut open = Open::on(&server, None).await.unwrap();
        for number in 0..2 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(open.ask([(number, may_ann_see_invoices("acme"))]).await.unwrap().len(), 1);
        }
        // Each frame has the end of a message and the begin of the next one.
        let message = framed(0, b"");
        let parts: Vec<_> = message.repeat(8).chunks(3).map(Bytes::copy_from_slice).collect();
        let slow = tokio_stream::iter(parts).then(async |part| {
            tokio::time::sleep(Duration::from_millis(60)).await;
            Ok::<_, Infallible>(Frame::data(part))
        });
        let raw = server.raw().await;
        let body = BodyExt::boxed(StreamBody::new(Box::pin(slow)));
        raw.send_body("rolecall.v1.CheckService/StreamCheck", &[], body).await.unwrap();
        for part in [&b"\0"[..], b"\0\0\0\0\x02\x0a", b"\0\0\0\0\0\0\0\0\0\x01"] {
            let frames = tokio_stream::iter([Ok(Frame::data(part.into()))]);
            let body = BodyExt::boxed(StreamBody::new(frames.chain(tokio_stream::pending())));
            let answer = raw.send_body("rolecall.v1.CheckService/StreamCheck", &[], body).await;
            explained(&answer.unwrap_err(), "DEADLINE_PASSED");
        }
    });
}

#[test]
fn a_stream_ends_at_its_deadline() {
    on_both(async |server| {
        shop(server).await;
        let raw = server.raw().await;
        let body = BodyExt::boxed(StreamBody::new(tokio_stream::pending()));
        let headers = [("grpc-timeout", "200m")];
        let answer = raw.send_body("rolecall.v1.CheckService/StreamCheck", &headers, body).await;
        explained(&answer.unwrap_err(), "DEADLINE_PASSED");
    });
}
