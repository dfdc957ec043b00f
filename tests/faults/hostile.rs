//! Clients that are slow, silent or greedy: they stop neither other clients nor the server's stop.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::server::{Config, ConnectionLimits, Running};
use rolecall::wire;
use sea_orm::{ConnectionTrait, TransactionTrait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request};
use tonic_types::StatusExt;

use crate::support::{TestDatabase, block_on, on_postgres, sqlite};

/// Longer than every wait, so that a wait for it is seen.
const DRAIN: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    server: Running,
    address: String,
    _database: TestDatabase,
}

/// A connection that sends any body and reads answers only if asked to.
#[derive(Clone)]
pub struct Client(SendRequest<BoxBody<Bytes, std::convert::Infallible>>);

async fn start(connections: ConnectionLimits) -> World {
    start_on(sqlite(), connections).await
}

async fn start_on(database: TestDatabase, connections: ConnectionLimits) -> World {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let config = Config { connections, drain: DRAIN, ..Config::new(&database.url, listen) };
    let server = Running::start(config).await.unwrap();
    let address = server.addresses[0].to_string();
    World { server, address, _database: database }
}

impl World {
    async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    async fn client(&self) -> Client {
        Client::over(TcpStream::connect(&self.address).await.unwrap()).await.unwrap()
    }

    /// Stops the server. Fails if it waits for the deadline of calls in flight.
    async fn stop(self) {
        let began = Instant::now();
        self.server.stop().await;
        assert!(began.elapsed() < DRAIN / 4, "the stop took {:?}", began.elapsed());
    }
}

pub fn framed(message: &[u8]) -> Bytes {
    let mut body = vec![0];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message);
    body.into()
}

impl Client {
    pub async fn over(stream: TcpStream) -> hyper::Result<Self> {
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        // The windows of a client that sets none.
        builder.timer(TokioTimer::new()).initial_stream_window_size(65_535).initial_connection_window_size(65_535);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends the beginning of a body, and its end if `whole`.
    pub async fn begin(&self, path: &str, part: Bytes, whole: bool) -> hyper::Result<http::Response<Incoming>> {
        self.begin_with(path, part, whole, &[]).await
    }

    pub async fn begin_with(
        &self,
        path: &str,
        part: Bytes,
        whole: bool,
        headers: &[(&str, &str)],
    ) -> hyper::Result<http::Response<Incoming>> {
        let part = stream::iter([Ok(Frame::data(part))]);
        let body = if whole {
            BodyExt::boxed(StreamBody::new(part))
        } else {
            BodyExt::boxed(StreamBody::new(part.chain(stream::pending())))
        };
        let package = if path.starts_with("grpc.") { "" } else { "rolecall.v1." };
        let mut request = http::Request::post(format!("http://localhost/{package}{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.0.clone().send_request(request.body(body).unwrap()).await
    }

    /// Sends a whole request, and returns the status of the answer.
    pub async fn call(&self, path: &str, message: &[u8]) -> Status {
        status(self.begin(path, framed(message), true).await.unwrap()).await
    }
}

pub async fn status(response: http::Response<Incoming>) -> Status {
    let (head, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return status;
    }
    let body = body.collect().await.unwrap();
    body.trailers().and_then(Status::from_header_map).expect("the trailers carry a status")
}

pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

async fn check(channel: Channel) -> Result<(), Status> {
    let request = wire::CheckRequest {
        org_id: "acme".into(),
        user_id: "ann".into(),
        question: Some(wire::check_request::Question::Permission("billing.view".into())),
        ..Default::default()
    };
    CheckServiceClient::new(channel).check(request).await.map(|_| ())
}

/// A batch check with this many items.
pub fn batch(items: usize, user_id: &str) -> Vec<u8> {
    let item = wire::CheckItem { org_id: "a".into(), user_id: user_id.into(), permission: "p".into() };
    wire::BatchCheckRequest { items: vec![item; items], ..Default::default() }.encode_to_vec()
}

/// Returns whether the server closes the connection.
async fn closed(stream: &mut TcpStream) -> bool {
    let read = async {
        let mut bytes = [0; 1_024];
        while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    };
    tokio::time::timeout(PATIENCE, read).await.is_ok()
}

#[test]
fn nested_fields_are_counted_before_they_take_memory() {
    block_on(async {
        let world = start(ConnectionLimits::default()).await;
        let client = world.client().await;
        // An empty message takes two bytes: 3 MiB, and 16 MiB.
        let roles = vec![wire::RoleAssignment::default(); 600_000];
        let add = wire::member_write::Write::Add(wire::RoleAssignments { roles });
        let row = wire::MemberWrite { org_id: "a".into(), user_id: "u".into(), write: Some(add) };
        let rows = wire::BatchWriteMembersRequest { rows: vec![row], ..Default::default() };
        let edit = wire::GrantEdit { role: "Admin".into(), add: vec![String::new(); 600_000], remove: Vec::new() };
        let edits = wire::UpdateRoleMappingRequest { edits: vec![edit], ..Default::default() };
        let replacements = vec![wire::RoleReplacement::default(); 600_000];
        let on_disabled = Some(wire::OnDisabled { replacements, ..Default::default() });
        let subscribe = wire::SubscribeOrgRequest { on_disabled: on_disabled.clone(), ..Default::default() };
        let delete = wire::DeleteRoleMappingRequest { on_disabled, ..Default::default() };
        // Field 3 of a row (`add`), in field 2 of the request (`rows`).
        let mut largest = [0x0a, 0].repeat(8_000_000);
        for key in [0x1a, 0x12] {
            let mut outer = vec![key];
            prost::encoding::encode_varint(largest.len() as u64, &mut outer);
            outer.append(&mut largest);
            largest = outer;
        }
        for (path, message) in [
            ("MembershipService/BatchWriteMembers", rows.encode_to_vec()),
            ("MembershipService/BatchWriteMembers", largest),
            ("RoleMappingService/UpdateRoleMapping", edits.encode_to_vec()),
            ("RoleMappingService/DeleteRoleMapping", delete.encode_to_vec()),
            ("SubscriptionService/SubscribeOrg", subscribe.encode_to_vec()),
        ] {
            let status = client.call(path, &message).await;
            assert_eq!(reason(&status), "TOO_MANY_ROWS", "{path}: {status:?}");
            assert!(status.message().contains("500000"), "{status:?}");
        }
        // The largest batch check by its default limit is answered.
        assert_eq!(client.call("CheckService/BatchCheck", &batch(100_000, "u")).await.code(), Code::Ok);
        world.stop().await;
    });
}

#[test]
fn a_request_takes_memory_for_its_fields_and_a_batch_check_only_for_its_answer() {
    block_on(async {
        let world = start(ConnectionLimits { call_bytes: 1 << 20, ..Default::default() }).await;
        let client = world.client().await;
        // 30,000 messages of 72 bytes in memory are 2 MB. Items are read in place.
        let rows = [0x12, 0].repeat(30_000);
        assert_eq!(reason(&client.call("MembershipService/BatchWriteMembers", &rows).await), "OVERLOADED");
        assert_eq!(client.call("CheckService/BatchCheck", &rows).await.code(), Code::Ok);
        // A string of a table takes 16 bytes.
        let strings = [0x0a, 0].repeat(90_000);
        let mut tables = vec![0x22];
        prost::encoding::encode_varint(strings.len() as u64, &mut tables);
        tables.extend(strings);
        assert_eq!(reason(&client.call("CheckService/BatchCheck", &tables).await), "OVERLOADED");
        assert_eq!(client.call("CheckService/BatchCheck", &batch(100, "u")).await.code(), Code::Ok);
        world.stop().await;
    });
}

#[test]
fn large_calls_share_one_budget_that_leaves_memory_for_checks() {
    block_on(async {
        let world = start(ConnectionLimits { call_bytes: 24 << 20, ..Default::default() }).await;
        // Bodies that never end hold most of the budget.
        let part = framed(&vec![0x7a; 9 << 20]).slice(..8 << 20);
        let mut holders = Vec::new();
        for _ in 0..4 {
            let (client, part) = (world.client().await, part.clone());
            holders.push(tokio::spawn(async move { client.begin("CheckService/BatchCheck", part, false).await }));
        }
        // Two of them do not fit beside the others.
        let mut refused = 0;
        let mut waiting = Vec::new();
        let mut holders: stream::FuturesUnordered<_> = holders.into_iter().collect();
        while refused < 2 {
            let answered = tokio::time::timeout(PATIENCE, holders.next()).await.expect("two are refused").unwrap();
            let status = status(answered.unwrap().unwrap()).await;
            assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
            assert_eq!(reason(&status), "OVERLOADED");
            assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
            refused += 1;
        }
        waiting.extend(holders);
        check(world.channel().await).await.unwrap();
        // Its fields would take 20 MB.
        let rows = [0x12, 0].repeat(200_000);
        let status = world.client().await.call("MembershipService/BatchWriteMembers", &rows).await;
        assert_eq!(reason(&status), "OVERLOADED");
        for holder in waiting {
            holder.abort();
        }
        // Their bytes are given back.
        let began = Instant::now();
        while world.client().await.call("CheckService/BatchCheck", &batch(20_000, "u")).await.code() != Code::Ok {
            assert!(began.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        world.stop().await;
    });
}

#[test]
fn one_connection_cannot_hold_the_memory_of_all_calls() {
    block_on(async {
        let world = start(ConnectionLimits { call_bytes: 24 << 20, ..Default::default() }).await;
        let client = world.client().await;
        // They send 30 MB.
        let part = framed(&vec![0x7a; 600 << 10]).slice(..500 << 10);
        let mut calls: stream::FuturesUnordered<_> =
            (0..60).map(|_| client.begin("CheckService/BatchCheck", part.clone(), false)).collect();
        // 6 MiB is a quarter: at most 13 of them wait for the rest of their bodies.
        for _ in 0..60 - 13 {
            let answered = tokio::time::timeout(PATIENCE, calls.next()).await.expect("47 are refused").unwrap();
            let status = status(answered.unwrap()).await;
            assert_eq!(reason(&status), "OVERLOADED", "{status:?}");
            assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
        }
        check(world.channel().await).await.unwrap();
        assert_eq!(world.client().await.call("CheckService/BatchCheck", &batch(20_000, "u")).await.code(), Code::Ok);
        drop(calls);
        world.stop().await;
    });
}

#[test]
fn an_abandoned_write_holds_its_memory_only_if_it_has_started() {
    on_postgres(async |database| {
        let url = database.url.clone();
        let world = start_on(database, ConnectionLimits { call_bytes: 2 << 20, ..Default::default() }).await;
        let direct = sea_orm::Database::connect(&url).await.unwrap();
        for gives_up in [GivesUp::AtItsDeadline, GivesUp::ByClosing] {
            let kind = format!("{gives_up:?}").to_lowercase();
            // No write is decided while this transaction lasts.
            let lock = direct.begin().await.unwrap();
            lock.execute_unprepared("SELECT * FROM head FOR UPDATE").await.unwrap();
            let large = permissions(&format!("large-{kind}"), LARGE);
            let accepted = abandoned(&world, gives_up, &large).await;
            assert!(accepted.as_ref().is_none_or(|status| reason(status) != "OVERLOADED"), "{accepted:?}");
            let waiting = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waiting = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, waiting);
            let began = Instant::now();
            while direct.query_one_raw(waiting.clone()).await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap() == 0
            {
                assert!(began.elapsed() < PATIENCE, "the large write does not start");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // These take more than all memory together.
            let mut accepted = 0;
            while accepted < 30 {
                assert!(began.elapsed() < PATIENCE * 2, "only {accepted} abandoned writes were accepted");
                let small = permissions(&format!("{kind}-{accepted}"), SMALL);
                let status = abandoned(&world, gives_up, &small).await;
                accepted += usize::from(status.is_none_or(|status| reason(&status) != "OVERLOADED"));
            }
            let refused = world.client().await.call(CREATE, &large).await;
            assert_eq!(reason(&refused), "OVERLOADED", "{refused:?}");
            assert!(refused.message().contains("memory"), "{refused:?}");
            check(world.channel().await).await.unwrap();
            lock.rollback().await.unwrap();
            let after = permissions(&format!("after-{kind}"), LARGE);
            let began = Instant::now();
            while world.client().await.call(CREATE, &after).await.code() != Code::Ok {
                assert!(began.elapsed() < PATIENCE, "the memory is not given back");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        direct.close().await.unwrap();
        world.stop().await;
    });
}

const CREATE: &str = "PermissionService/BatchCreatePermissions";

/// How a caller leaves a write that waits.
#[derive(Clone, Copy, Debug)]
enum GivesUp {
    AtItsDeadline,
    ByClosing,
}

/// Two writes of as many KiB do not fit into the memory for large calls.
const LARGE: usize = 450;
const SMALL: usize = 100;

/// A write of about `kib` KiB.
fn permissions(prefix: &str, kib: usize) -> Vec<u8> {
    let spec = |at| wire::PermissionSpec { name: format!("{prefix}-{at}"), description: "d".repeat(1_000) };
    wire::BatchCreatePermissionsRequest { permissions: (0..kib).map(spec).collect(), ..Default::default() }
        .encode_to_vec()
}

/// Sends a write on a new connection and gives up. Returns its status if it was answered.
async fn abandoned(world: &World, how: GivesUp, request: &[u8]) -> Option<Status> {
    let client = world.client().await;
    let message = framed(request);
    match how {
        GivesUp::AtItsDeadline => {
            let answer = client.begin_with(CREATE, message, true, &[("grpc-timeout", "100m")]).await.unwrap();
            Some(status(answer).await)
        }
        GivesUp::ByClosing => {
            let answer = tokio::time::timeout(Duration::from_millis(100), client.begin(CREATE, message, true)).await;
            Some(status(answer.ok()?.unwrap()).await)
        }
    }
}

#[test]
fn health_and_reflection_take_only_small_messages() {
    block_on(async {
        let world = start(ConnectionLimits::default()).await;
        let client = world.client().await;
        let announced = framed(&vec![0; 1 << 20]).slice(..6);
        let many: Bytes = framed(&[]).repeat(20_000).into();
        for part in [announced, many] {
            for path in ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"] {
                let answer = client.begin(path, part.clone(), false);
                let answer = tokio::time::timeout(PATIENCE / 3, answer).await.expect("the call is refused");
                let status = status(answer.unwrap()).await;
                assert_eq!(reason(&status), "REQUEST_TOO_LARGE", "{path}: {status:?}");
            }
            for version in ["v1", "v1alpha"] {
                let path = format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
                let answer = client.begin(&path, part.clone(), false).await.unwrap();
                // The service ends the stream without an error.
                tokio::time::timeout(PATIENCE / 3, status(answer)).await.expect("the call is ended");
            }
        }
        world.stop().await;
    });
}

#[test]
fn a_body_that_does_not_arrive_is_given_up() {
    block_on(async {
        let body = Duration::from_millis(500);
        let world = start(ConnectionLimits { body, ..Default::default() }).await;
        let client = world.client().await;
        let half = framed(&batch(1_000, "u"));
        let half = half.slice(..half.len() / 2);
        let calls = (0..200).map(|_| client.begin("CheckService/BatchCheck", half.clone(), false));
        let answers = tokio::time::timeout(PATIENCE, futures_util::future::join_all(calls)).await.unwrap();
        for answer in answers {
            let status = status(answer.unwrap()).await;
            assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_PASSED"));
        }
        // A stream whose first message does not arrive.
        let watch = client.begin("grpc.health.v1.Health/Watch", Bytes::new(), false);
        let watch = tokio::time::timeout(PATIENCE, watch).await.expect("the watch is given up");
        assert_eq!(reason(&status(watch.unwrap()).await), "DEADLINE_PASSED");
        assert_eq!(client.call("CheckService/BatchCheck", &batch(10, "u")).await.code(), Code::Ok);
        world.stop().await;
    });
}

#[test]
fn answers_that_are_not_read_are_bounded_and_time_out() {
    block_on(async {
        let limits = ConnectionLimits { answer: Duration::from_secs(1), call_bytes: 64 << 20, ..Default::default() };
        let world = start(limits).await;
        let client = world.client().await;
        // Each answer has more bytes than the client's window.
        let message = framed(&batch(100_000, ""));
        let mut held = Vec::new();
        for _ in 0..30 {
            held.push(client.begin("CheckService/BatchCheck", message.clone(), true).await);
        }
        let began = Instant::now();
        for answer in held.into_iter().flatten() {
            // The connection is closed before the whole answer is read.
            let mut body = answer.into_body();
            let mut lost = false;
            while !lost {
                assert!(began.elapsed() < PATIENCE, "the connection is still open");
                tokio::time::sleep(Duration::from_millis(100)).await;
                lost = client.0.is_closed();
            }
            while let Some(frame) = body.frame().await {
                if frame.is_err() {
                    break;
                }
            }
        }
        let other = world.client().await;
        assert_eq!(other.call("CheckService/BatchCheck", &batch(100_000, "u")).await.code(), Code::Ok);
        world.stop().await;
    });
}

#[test]
fn silent_and_idle_connections_are_closed() {
    block_on(async {
        let (handshake, idle) = (Duration::from_millis(300), Duration::from_millis(300));
        let world = start(ConnectionLimits { handshake, idle, ..Default::default() }).await;
        for first in [&b""[..], b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.0\r\n\r\n"] {
            let mut stream = TcpStream::connect(&world.address).await.unwrap();
            stream.write_all(first).await.unwrap();
            assert!(closed(&mut stream).await, "{first:?}");
        }
        // One that sends no more after the beginning of HTTP/2, and one that has made a call.
        let mut stream = TcpStream::connect(&world.address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        assert!(closed(&mut stream).await);
        let client = world.client().await;
        assert_eq!(client.call("CheckService/BatchCheck", &batch(1, "u")).await.code(), Code::Ok);
        let began = Instant::now();
        while !client.0.is_closed() {
            assert!(began.elapsed() < PATIENCE, "the connection is still open");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // A watch is not idle.
        let mut watch = HealthClient::new(world.channel().await).watch(HealthCheckRequest::default()).await.unwrap();
        assert_eq!(watch.get_mut().message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        let next = tokio::time::timeout(idle * 5, watch.get_mut().message()).await;
        assert!(next.is_err(), "{next:?}");
        world.stop().await;
    });
}

#[test]
fn an_old_connection_is_closed_without_a_failed_call() {
    block_on(async {
        let world = start(ConnectionLimits { age: Some(Duration::from_secs(1)), ..Default::default() }).await;
        // The body of one call arrives in part before the connection is old, and in part afterwards.
        let client = world.client().await;
        let (parts, body) = tokio::sync::mpsc::unbounded_channel();
        let mut request = framed(&batch(1, "u"));
        parts.send(Ok(Frame::data(request.split_to(8)))).unwrap();
        let body = BodyExt::boxed(StreamBody::new(stream::unfold(body, async |mut parts| {
            let part = parts.recv().await?;
            Some((part, parts))
        })));
        let call = http::Request::post("http://localhost/rolecall.v1.CheckService/BatchCheck")
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let slow = client.0.clone().send_request(call.body(body).unwrap());
        let slow = tokio::spawn(async { status(slow.await.unwrap()).await.code() });
        for client in [world.client().await, world.client().await, client] {
            let began = Instant::now();
            loop {
                match client.begin("CheckService/BatchCheck", framed(&batch(1, "u")), true).await {
                    Ok(answer) => assert_eq!(status(answer).await.code(), Code::Ok),
                    // It was not sent: the client has read that it is to send no more calls.
                    Err(error) if error.is_canceled() => break,
                    Err(error) => panic!("a call failed: {error:?}"),
                }
                assert!(began.elapsed() < PATIENCE, "the connection is still open");
            }
        }
        parts.send(Ok(Frame::data(request))).unwrap();
        drop(parts);
        assert_eq!(slow.await.unwrap(), Code::Ok);
        world.stop().await;
    });
}

#[test]
fn connections_above_the_limits_are_refused() {
    block_on(async {
        for limits in [
            ConnectionLimits { per_peer: 2, ..Default::default() },
            ConnectionLimits { total: 2, ..Default::default() },
        ] {
            let world = start(limits).await;
            let first = world.channel().await;
            check(first.clone()).await.unwrap();
            let second = world.channel().await;
            check(second.clone()).await.unwrap();
            let mut third = TcpStream::connect(&world.address).await.unwrap();
            assert!(closed(&mut third).await);
            check(first).await.unwrap();
            drop(second);
            let began = Instant::now();
            loop {
                let stream = TcpStream::connect(&world.address).await.unwrap();
                let answered = match handshake(TokioExecutor::new(), TokioIo::new(stream)).await {
                    Ok((sender, connection)) => {
                        tokio::spawn(connection);
                        Client(sender).begin("CheckService/BatchCheck", framed(&batch(1, "u")), true).await.is_ok()
                    }
                    Err(_) => false,
                };
                if answered {
                    break;
                }
                assert!(began.elapsed() < PATIENCE, "a closed connection is still counted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            world.stop().await;
        }
    });
}

#[test]
fn a_stop_waits_only_for_calls_in_flight() {
    block_on(async {
        let world = start(ConnectionLimits::default()).await;
        let channel = world.channel().await;
        let mut health = HealthClient::new(channel.clone()).watch(HealthCheckRequest::default()).await.unwrap();
        assert_eq!(health.get_mut().message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        let list = server_reflection_request::MessageRequest::ListServices(String::new());
        let ask = ServerReflectionRequest { message_request: Some(list), ..Default::default() };
        let asks = stream::iter([ask]).chain(stream::pending());
        let mut reflection =
            ServerReflectionClient::new(world.channel().await).server_reflection_info(asks).await.unwrap();
        reflection.get_mut().message().await.unwrap();
        let silent = TcpStream::connect(&world.address).await.unwrap();
        // It answers no pings, as a client whose machine is gone.
        let mut half_open = TcpStream::connect(&world.address).await.unwrap();
        half_open.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let idle = world.client().await;
        assert_eq!(idle.call("CheckService/BatchCheck", &batch(1, "u")).await.code(), Code::Ok);
        world.stop().await;
        assert_eq!(health.get_mut().message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        // Whether the service or the connection ends first is not promised.
        let ended = health.get_mut().message().await;
        assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
        let ended = reflection.get_mut().message().await;
        assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
        drop((silent, half_open));
    });
}
