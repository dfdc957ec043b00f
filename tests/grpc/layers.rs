//! Errors before or around a method: request sizes, deadlines, unknown methods, overload, no database.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, Pending, StreamExt, pending};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use rolecall::domain::commands::command::PromoteRoleMapping;
use rolecall::domain::{Call, Command, ProjectKey, RoleMappingName};
use rolecall::wire::{self, consistency::Requirement};
use tonic::Code;

use crate::contract::{Contract, requests, shop};
use crate::raw::{Raw, framed};
use crate::refusals::{explained, refused};
use crate::server::on_both;

const REQUEST_BYTES_MAX: usize = 1 << 20;
const BULK_REQUEST_BYTES_MAX: usize = 16 << 20;

/// The methods that take 16 MiB.
const BULK: [&str; 15] = [
    "rolecall.v1.ConfigurationService/ApplyConfiguration",
    "rolecall.v1.PermissionService/BatchCreatePermissions",
    "rolecall.v1.ProjectService/ConvertRoleStructure",
    "rolecall.v1.RoleService/CreateRole",
    "rolecall.v1.RoleService/BatchCreateRoles",
    "rolecall.v1.RoleService/UpdateRole",
    "rolecall.v1.RoleService/ReorderRoles",
    "rolecall.v1.SubscriptionService/BatchSubscribeOrgs",
    "rolecall.v1.SubscriptionService/SubscribeOrg",
    "rolecall.v1.RoleMappingService/DeleteRoleMapping",
    "rolecall.v1.RoleMappingService/CreateRoleMapping",
    "rolecall.v1.RoleMappingService/UpdateRoleMapping",
    "rolecall.v1.MembershipService/BatchWriteMembers",
    "rolecall.v1.InvitationService/BatchCreateInvitations",
    "rolecall.v1.CheckService/BatchCheck",
];

/// Returns the request with an unknown field, so that it has `bytes` bytes.
fn padded(request: &[u8], bytes: usize) -> Vec<u8> {
    let mut padded = request.to_vec();
    encode_key(1_000, WireType::LengthDelimited, &mut padded);
    // Every length needed here is encoded in three or four bytes.
    let mut length = bytes - padded.len() - 3;
    if length >= 1 << 21 {
        length -= 1;
    }
    encode_varint(length as u64, &mut padded);
    padded.resize(bytes, b'x');
    padded
}

async fn create_org(raw: &Raw, timeout: &str, request_id: &str) -> Result<bytes::Bytes, tonic::Status> {
    let request = wire::CreateOrgRequest { request_id: request_id.into(), ..Default::default() };
    raw.call_within(timeout, "rolecall.v1.OrgService/CreateOrg", &request.encode_to_vec()).await
}

#[test]
fn a_request_of_the_maximal_size_is_read_and_a_larger_one_is_refused() {
    on_both(async |server| {
        shop(server).await;
        let requests = requests(server).await;
        let raw = server.raw().await;
        let ordinary = [
            "rolecall.v1.OrgService/GetOrg",
            "rolecall.v1.ProjectService/GetProject",
            "rolecall.v1.CheckService/Check",
            "rolecall.v1.MembershipService/GetMember",
        ];
        let sizes = BULK.map(|method| (method, BULK_REQUEST_BYTES_MAX));
        let sizes = sizes.into_iter().chain(ordinary.map(|method| (method, REQUEST_BYTES_MAX)));
        for (method, bytes_max) in sizes {
            let (_, request) = requests.iter().find(|(name, _)| *name == method).unwrap();
            let too_long = raw.call(method, &padded(request, bytes_max + 1)).await;
            let refused = refused(server.storing_nothing(async { too_long }).await, "REQUEST_TOO_LARGE");
            let [(subject, description)] = refused.quotas()[..] else { panic!("{refused:?}") };
            assert_eq!(subject, "request_bytes");
            for number in [bytes_max, bytes_max + 1] {
                assert!(description.contains(&number.to_string()), "{method}: {description}");
            }
            // The request is read. It may fail after that, because the requests before it in the list were not sent.
            let answer = raw.call(method, &padded(request, bytes_max)).await;
            let was_read = |status: &tonic::Status| {
                let later = [Code::NotFound, Code::FailedPrecondition, Code::AlreadyExists];
                let incomplete = || status.message().starts_with("the order must name every role");
                BULK.contains(&method) && (later.contains(&status.code()) || incomplete())
            };
            assert!(answer.as_ref().err().is_none_or(was_read), "{method}: {answer:?}");
        }
    });
}

#[test]
fn an_unknown_method_or_service_is_named() {
    on_both(async |server| {
        let raw = server.raw().await;
        for path in [
            "rolecall.v1.OrgService/LoseOrg",
            "rolecall.v1.OrgService/getOrg",
            "rolecall.v1.NoService/GetOrg",
            "rolecall.v2.OrgService/GetOrg",
            "OrgService/GetOrg",
            "",
        ] {
            let refused = refused(raw.call(path, b"").await, "UNKNOWN_METHOD");
            assert!(refused.message.contains(path), "{}", refused.message);
        }
    });
}

#[test]
fn an_unsupported_compression_is_not_an_unknown_method() {
    on_both(async |server| {
        let raw = server.raw().await;
        let body = framed(1, b"\x1f\x8b");
        let answer = raw.send("rolecall.v1.OrgService/GetOrg", &[("grpc-encoding", "gzip")], body).await;
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        let refused = explained(&status, "CALL_FAILED");
        assert!(refused.message.contains("gzip"), "{}", refused.message);
        // A compressed message in a request without `grpc-encoding`.
        let answer = raw.send("rolecall.v1.OrgService/GetOrg", &[], framed(1, b"\x1f\x8b")).await;
        self::refused(answer, "MALFORMED_REQUEST");
    });
}

#[test]
fn a_truncated_or_empty_body_is_malformed() {
    on_both(async |server| {
        let raw = server.raw().await;
        let whole = framed(0, &wire::CreateOrgRequest::default().encode_to_vec());
        let request = wire::CreateOrgRequest { org_id: "acme".into(), ..Default::default() };
        let long = framed(0, &request.encode_to_vec());
        server
            .storing_nothing(async {
                for body in [bytes::Bytes::new(), whole.slice(..3), long.slice(..long.len() - 1)] {
                    let answer = raw.send("rolecall.v1.OrgService/CreateOrg", &[], body).await;
                    refused(answer, "MALFORMED_REQUEST");
                }
            })
            .await;
    });
}

/// A request with the header `grpc-encoding` is answered by tonic, one without it by the fast path of Check and BatchCheck.
#[test]
fn the_fast_path_answers_every_body_as_tonic_does() {
    on_both(async |server| {
        shop(server).await;
        let raw = server.raw().await;
        let check = wire::CheckRequest {
            project: "shop".into(),
            org_id: "acme".into(),
            user_id: "ann".into(),
            question: Some(wire::check_request::Question::Permission("orders.read".into())),
            ..Default::default()
        };
        let item = wire::CheckItem { org_id: "acme".into(), user_id: "ann".into(), permission: "orders.read".into() };
        let batch = wire::BatchCheckRequest { project: "shop".into(), items: vec![item; 3], ..Default::default() };
        for (method, message) in [("Check", check.encode_to_vec()), ("BatchCheck", batch.encode_to_vec())] {
            let path = format!("rolecall.v1.CheckService/{method}");
            let whole = framed(0, &message);
            let with_flag = |flag| vec![framed(flag, &message)];
            let with_length = |length: usize| {
                let mut lying = whole.to_vec();
                lying[1..5].copy_from_slice(&(length as u32).to_be_bytes());
                vec![lying.into()]
            };
            let bodies: [(&str, Vec<bytes::Bytes>); 18] = [
                ("one frame", vec![whole.clone()]),
                ("the prefix by itself", vec![whole.slice(..5), whole.slice(5..)]),
                ("a part of the prefix", vec![whole.slice(..2), whole.slice(2..)]),
                ("an empty frame between", vec![whole.slice(..9), bytes::Bytes::new(), whole.slice(9..)]),
                ("byte by byte", (0..whole.len()).map(|at| whole.slice(at..=at)).collect()),
                ("no frame", vec![]),
                ("an empty frame", vec![bytes::Bytes::new()]),
                ("half a prefix", vec![whole.slice(..3)]),
                ("a prefix alone", vec![whole.slice(..5)]),
                ("a byte too few", vec![whole.slice(..whole.len() - 1)]),
                ("a byte too many", vec![whole.clone(), bytes::Bytes::from_static(b"\0")]),
                ("two messages", vec![whole.clone(), whole.clone()]),
                ("an empty message", vec![framed(0, b"")]),
                ("another wire type", vec![framed(0, b"\x0f")]),
                ("marked as compressed", with_flag(1)),
                ("an unknown mark", with_flag(2)),
                ("a length that is too large", with_length(u32::MAX as usize)),
                ("a length beyond the limit", with_length(BULK_REQUEST_BYTES_MAX + 1)),
            ];
            for (body, data) in bodies {
                let mut frames = data.into_iter().map(Frame::data).collect::<Vec<_>>();
                let mut answers = Vec::new();
                for trailers in [false, true] {
                    if trailers {
                        frames.push(Frame::trailers(http::HeaderMap::new()));
                    }
                    let again = || frames.iter().map(copied).collect();
                    for headers in [&[][..], &[("grpc-encoding", "identity")]] {
                        let answer = raw.send_frames(&path, headers, again()).await;
                        answers.push(match (method, answer) {
                            (_, Err(status)) => {
                                Err((status.code(), status.message().to_owned(), status.details().to_owned()))
                            }
                            ("Check", Ok(bytes)) => {
                                Ok(wire::CheckResponse::decode(bytes).unwrap().decision().as_str_name().to_owned())
                            }
                            (_, Ok(bytes)) => {
                                Ok(format!("{:?}", wire::BatchCheckResponse::decode(bytes).unwrap().decisions))
                            }
                        });
                    }
                }
                assert_eq!(answers[0], answers[1], "{method}, {body}");
                // tonic forgives some malformed bodies if trailers follow.
                let forgiven = answers[2].is_err() && answers[0].is_err();
                assert!(answers[2] == answers[3] || forgiven, "{method}, {body}: {answers:?}");
                assert!(answers[2] == answers[0] || answers[0].is_err(), "{method}, {body}: {answers:?}");
            }
        }
    });
}

#[test]
fn a_deadline_passes_while_the_body_of_a_check_arrives() {
    on_both(async |server| {
        let raw = server.raw().await;
        for method in ["Check", "BatchCheck"] {
            let path = format!("rolecall.v1.CheckService/{method}");
            let never: Pending<Result<Frame<bytes::Bytes>, Infallible>> = pending();
            let body = BodyExt::boxed(StreamBody::new(never));
            refused(raw.send_body(&path, &[("grpc-timeout", "50m")], body).await, "DEADLINE_PASSED");
        }
    });
}

fn copied(frame: &Frame<bytes::Bytes>) -> Frame<bytes::Bytes> {
    match frame.data_ref() {
        Some(data) => Frame::data(data.clone()),
        None => Frame::trailers(frame.trailers_ref().unwrap().clone()),
    }
}

#[test]
fn a_write_whose_deadline_passed_can_be_repeated() {
    on_both(async |server| {
        let raw = server.raw().await;
        let before = server.head().await;
        let blocking_write = server.app().store.begin_write().await.unwrap();
        let began = Instant::now();
        refused(create_org(&raw, "200m", "once").await, "DEADLINE_PASSED");
        let waited = began.elapsed();
        assert!((Duration::from_millis(150)..Duration::from_secs(3)).contains(&waited), "{waited:?}");
        blocking_write.rollback().await;
        let first = create_org(&raw, "20S", "once").await.unwrap();
        let again = create_org(&raw, "20S", "once").await.unwrap();
        let id = |answer| wire::CreateOrgResponse::decode(answer).unwrap().org.unwrap().org_id;
        assert_eq!(id(first), id(again));
        assert_eq!(server.head().await.number, before.number + 1);
    });
}

#[test]
fn a_very_short_deadline_is_deadline_exceeded() {
    on_both(async |server| {
        let raw = server.raw().await;
        let blocking_write = server.app().store.begin_write().await.unwrap();
        // Repeated often, because tonic's timer and the server's own expire at nearly the same moment.
        for timeout in ["0n", "1n", "1u", "900u", "1m", "2m", "5m"].iter().cycle().take(210) {
            refused(create_org(&raw, timeout, "").await, "DEADLINE_PASSED");
        }
        blocking_write.rollback().await;
        // A malformed timeout is ignored.
        for malformed in ["soon", "-1S", "123456789S", ""] {
            create_org(&raw, malformed, "").await.unwrap();
        }
    });
}

#[test]
fn too_many_waiting_writes_are_refused_with_a_retry_delay() {
    on_both(async |server| {
        let app = server.app();
        let blocking_write = app.store.begin_write().await.unwrap();
        // A command that changes nothing, so that waiting costs little.
        let command = Command::PromoteRoleMapping(PromoteRoleMapping {
            project: ProjectKey::default_project(),
            name: RoleMappingName::stored("Default"),
        });
        let call = Call::plain("test", "");
        let mut waiting = FuturesUnordered::new();
        for _ in 0..6_000 {
            waiting.push(app.writer.submit(command.clone(), call.clone()));
        }
        // One poll queues or refuses each.
        let overloaded = waiting.next().now_or_never();
        assert!(matches!(overloaded, Some(Some(Err(_)))), "the queue took six thousand writes");
        let refused = refused(server.create_org(wire::CreateOrgRequest::default()).await, "OVERLOADED");
        assert!(refused.details.retry_info().unwrap().retry_delay.unwrap() >= Duration::from_millis(100));
        // Checks do not wait for writes.
        server.single().check("acme", "ann", "p").await;
        blocking_write.rollback().await;
        while let Some(answer) = waiting.next().await {
            drop(answer);
        }
        server.create_org(wire::CreateOrgRequest::default()).await.unwrap();
    });
}

#[test]
fn without_the_database_checks_work_and_other_calls_are_unavailable() {
    let contract = Contract::read();
    on_both(async |server| {
        shop(server).await;
        let project = server.single();
        let requests = requests(server).await;
        server.app().store.clone().close().await;
        let raw = server.raw().await;
        let mut unavailable = BTreeSet::new();
        for (method, request) in &requests {
            match method.rsplit_once('/').unwrap() {
                ("rolecall.v1.ServerService", _) => {}
                ("rolecall.v1.CheckService", "Check" | "BatchCheck" | "StreamCheck" | "Explain" | "GetAccess") => {}
                // Templates are part of the program.
                (_, "ListTemplates") => {}
                // These are answered from the State.
                (
                    _,
                    "GetProject"
                    | "ListProjects"
                    | "GetPermission"
                    | "ListPermissions"
                    | "GetRole"
                    | "ListRoles"
                    | "GetRoleMapping"
                    | "ListRoleMappings"
                    | "ListRoleMappingRoles"
                    | "DiffRoleMappings"
                    | "GetConfiguration"
                    | "GetOrg"
                    | "GetSubscription"
                    | "GetMember"
                    | "GetUser"
                    // A pending invitation.
                    | "GetInvitation"
                    | "ListManageableRoles"
                    | "ListApiKeys"
                    | "Watch",
                ) => drop(raw.call(method, request).await.unwrap()),
                _ => {
                    refused(raw.call(method, request).await, "DATABASE_UNAVAILABLE");
                    unavailable.insert(*method);
                }
            }
        }
        assert_eq!(unavailable.len(), contract.methods.len() - 27);
        let decision = project.check("acme", "ann", "rolecall::can_view_other_members").await;
        assert_eq!(decision, wire::Decision::Allowed);
        let latest = wire::CheckRequest {
            consistency: Some(wire::Consistency { requirement: Some(Requirement::Latest(true)) }),
            ..project.asking("acme", "ann", "invoices.view")
        };
        refused(server.check(latest).await, "DATABASE_UNAVAILABLE");
        server.get_server_info(wire::GetServerInfoRequest {}).await.unwrap();
    });
}
