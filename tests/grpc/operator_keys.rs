//! API keys: which are accepted, and for what (W3, W6).

use std::time::Duration;

use rolecall::grpc::caller_limits::CallerLimits;
use rolecall::server::{Config, OperatorConfig};
use rolecall::wire::{self, ApiKeyScope, Environment};
use tonic::Code;
use tonic_types::StatusExt;

use crate::contract::shop;
use crate::fixture::{after, in_an_hour, micros, role, temporary, wait_until};
use crate::operators::{Caller, may_ann_see_invoices, on_both};
use crate::raw::framed;
use crate::refusals::Details;
use crate::server::Server;
use crate::support;

/// Runs a test on a server where every call needs credentials, with a key of an owner.
fn on_both_required(test: impl AsyncFn(&Server, &Caller)) {
    support::on_both(async |database| {
        let open = Server::start(database.url.clone(), Default::default()).await;
        shop(&open).await;
        let token = open.operator("root", "Owner").await;
        open.stop().await;
        let operators = OperatorConfig { authentication: Some(true), ..OperatorConfig::default() };
        let server = Server::start_for(database.url.clone(), Default::default(), operators).await;
        test(&server, &Caller::new(&server, &token).await).await;
    });
}

fn key_of(operator: &str) -> wire::CreateApiKeyRequest {
    wire::CreateApiKeyRequest {
        display_name: "test".into(),
        operator: operator.into(),
        environment: Environment::Live.into(),
        ..Default::default()
    }
}

#[test]
fn w3_strangers_are_turned_away_and_learn_nothing_about_keys() {
    on_both_required(async |server, root| {
        let raw = server.raw().await;
        let id = root.create_key(key_of("")).await.unwrap().api_key.unwrap().api_key_id;
        let unknown = format!("rk_live_{}", "0".repeat(43));
        let unknown = format!("{unknown}{}", checksum(&unknown));
        for (headers, reason) in [
            (vec![], "CREDENTIALS_MISSING"),
            (vec![("authorization", "")], "CREDENTIALS_MALFORMED"),
            (vec![("authorization", "Basic cm9vdDpyb290")], "CREDENTIALS_MALFORMED"),
            (vec![("authorization", "Bearer")], "CREDENTIALS_MALFORMED"),
            (vec![("authorization", "Bearer rk_live_tooshort")], "CREDENTIALS_MALFORMED"),
            (vec![("authorization", &*format!("Bearer {id}"))], "CREDENTIALS_MALFORMED"),
            (vec![("authorization", &*format!("Bearer {unknown}"))], "API_KEY_UNKNOWN"),
        ] {
            for method in ["rolecall.v1.ServerService/WhoAmI", "rolecall.v1.CheckService/Check"] {
                let refused = raw.send(method, &headers, framed(0, b"")).await.unwrap_err();
                assert_eq!((refused.code(), &*refused.reason()), (Code::Unauthenticated, reason), "{headers:?}");
                assert!(!refused.message().contains(&id), "{refused:?}");
            }
        }
        // A body that is no request is not even read.
        let refused = raw.send("rolecall.v1.OrgService/GetOrg", &[], framed(0, &[255; 64])).await.unwrap_err();
        assert_eq!(refused.reason(), "CREDENTIALS_MISSING");
        // Health and reflection need no credentials (W2.a). Every other service does, also one that does not exist.
        raw.send("grpc.health.v1.Health/Check", &[], framed(0, b"")).await.unwrap();
        let list_services = framed(0, b"\x3a\x00");
        raw.send("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &[], list_services).await.unwrap();
        let refused = raw.send("made.up.Service/Method", &[], framed(0, b"")).await.unwrap_err();
        assert_eq!(refused.reason(), "CREDENTIALS_MISSING");
    });
}

/// Returns the checksum as the documentation describes it: the CRC-32 in base 62, in 6 digits.
fn checksum(text: &str) -> String {
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = !text.bytes().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    });
    let mut sum = String::new();
    for _ in 0..6 {
        sum.insert(0, char::from(digits[(rest % 62) as usize]));
        rest /= 62;
    }
    sum
}

#[test]
fn w3_a_key_is_known_by_its_operator_and_recorded() {
    on_both_required(async |server, root| {
        let who = root.who_am_i().await.unwrap();
        assert_eq!((&*who.operator, &*who.credential), ("root", "api_key"));
        assert_eq!(who.roles, ["Owner"]);
        assert!(who.permissions.contains(&"team.manage".to_string()) && who.permissions.is_sorted());
        let before = server.head().await;
        let request = wire::BlockUserRequest { user_id: "mallory".into(), reason: "spam".into(), ..Default::default() };
        root.call::<wire::BlockUserResponse>("UserService/BlockUser", &request).await.unwrap();
        let commits = server.callers_commits_since(before).await;
        assert_eq!((&*commits[0].actor, &*commits[0].reason), ("root", "spam"));
        assert_eq!(commits[0].key.as_deref(), who.api_key.map(|key| key.api_key_id).as_deref());
        // A caller with credentials cannot choose another name.
        let headers = [("authorization", &*root.authorization), ("rolecall-actor", "somebody")];
        let body = framed(0, &prost::Message::encode_to_vec(&request));
        let refused = root.raw.send("rolecall.v1.UserService/BlockUser", &headers, body).await.unwrap_err();
        assert_eq!(refused.fields(), ["rolecall-actor"]);
    });
}

#[test]
fn w6_an_archived_key_stops_with_the_next_call_on_every_open_connection() {
    on_both_required(async |server, root| {
        let created = root.create_key(key_of("")).await.unwrap();
        let mut callers = Vec::new();
        for _ in 0..5 {
            callers.push(Caller::new(server, &created.token).await);
        }
        for caller in &callers {
            caller.check(may_ann_see_invoices("acme")).await.unwrap();
        }
        let api_key_id = created.api_key.unwrap().api_key_id;
        let archive = wire::ArchiveApiKeyRequest { api_key_id: api_key_id.clone(), ..Default::default() };
        let archived: wire::ArchiveApiKeyResponse = root.call("ApiKeyService/ArchiveApiKey", &archive).await.unwrap();
        assert!(archived.api_key.unwrap().archive_time.is_some());
        for caller in &callers {
            let refused = caller.check(may_ann_see_invoices("acme")).await.unwrap_err();
            assert_eq!((refused.code(), &*refused.reason()), (Code::Unauthenticated, "API_KEY_ARCHIVED"));
        }
        // Archiving again changes nothing. Lists show it only on request.
        let before = server.head().await;
        root.call::<wire::ArchiveApiKeyResponse>("ApiKeyService/ArchiveApiKey", &archive).await.unwrap();
        assert_eq!(server.head().await, before);
        let listed = async |include_archived| {
            let request = wire::ListApiKeysRequest { include_archived, ..Default::default() };
            let answer: wire::ListApiKeysResponse = root.call("ApiKeyService/ListApiKeys", &request).await.unwrap();
            answer.api_keys.iter().any(|key| key.api_key_id == api_key_id)
        };
        assert!(listed(true).await && !listed(false).await);
    });
}

#[test]
fn w6_an_expired_key_is_turned_away() {
    on_both_required(async |server, root| {
        let soon = Some(after(Duration::from_secs(2)));
        let created = root.create_key(wire::CreateApiKeyRequest { expire_time: soon, ..key_of("") }).await.unwrap();
        let caller = Caller::new(server, &created.token).await;
        let refused = loop {
            match caller.who_am_i().await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(status) => break status,
            }
        };
        assert_eq!((refused.code(), &*refused.reason()), (Code::Unauthenticated, "API_KEY_EXPIRED"));
        let past = Some(after(Duration::ZERO));
        let refused = root.create_key(wire::CreateApiKeyRequest { expire_time: past, ..key_of("") }).await.unwrap_err();
        assert_eq!((&*refused.reason(), refused.fields()), ("END_IN_THE_PAST", vec!["expire_time".to_string()]));
    });
}

#[test]
fn w6_what_a_connection_was_allowed_is_decided_again_when_time_caller_or_project_changes() {
    on_both_required(async |server, root| {
        let soon = after(Duration::from_secs(8));
        root.add_operator("dev", "Developer").await.unwrap();
        let add = wire::AddMemberRequest {
            project: "workspace".into(),
            org_id: "team".into(),
            user_id: "guest".into(),
            roles: vec![temporary("Developer", soon)],
            ..Default::default()
        };
        root.call::<wire::AddMemberResponse>("MembershipService/AddMember", &add).await.unwrap();
        let expiring = wire::CreateApiKeyRequest { expire_time: Some(soon), ..key_of("dev") };
        let billing = ApiKeyScope { project: "deserted".into(), ..Default::default() };
        let test_key = wire::CreateApiKeyRequest { environment: Environment::Test.into(), ..key_of("dev") };
        let elsewhere = wire::CreateApiKeyRequest { scope: Some(billing), ..test_key };
        let mut callers = Vec::new();
        for request in [expiring, key_of("guest"), elsewhere, key_of("dev")] {
            callers.push(format!("Bearer {}", root.create_key(request).await.unwrap().token));
        }
        // All on one connection, as through a proxy. Again and again, so that the answers could be remembered.
        let mut caller = Caller::new(server, "").await;
        let checked = async |caller: &mut Caller, authorization: &String| {
            caller.authorization = authorization.clone();
            let mut reasons = Vec::new();
            for project in ["default", "", "default", "deserted", "workspace"] {
                let request = wire::CheckRequest { project: project.into(), ..may_ann_see_invoices("acme") };
                reasons.push(caller.check(request).await.map_or_else(|status| status.reason(), |_| "yes".into()));
            }
            reasons
        };
        let live = ["yes", "yes", "yes", "API_KEY_ENVIRONMENT", "yes"];
        let test = ["API_KEY_ENVIRONMENT", "API_KEY_ENVIRONMENT", "API_KEY_ENVIRONMENT", "yes", "API_KEY_ENVIRONMENT"];
        let expired = |by: &'static str| [by; 5];
        for _ in 0..2 {
            assert_eq!(checked(&mut caller, &callers[0]).await, live);
            assert_eq!(checked(&mut caller, &callers[1]).await, live);
        }
        assert_eq!(checked(&mut caller, &callers[2]).await, test);
        assert_eq!(checked(&mut caller, &callers[3]).await, live);
        wait_until(&soon).await;
        assert_eq!(checked(&mut caller, &callers[3]).await, live);
        assert_eq!(checked(&mut caller, &callers[0]).await, expired("API_KEY_EXPIRED"));
        assert_eq!(checked(&mut caller, &callers[1]).await, expired("OPERATOR_PERMISSION_MISSING"));
    });
}

#[test]
fn w6_calls_that_were_allowed_end_with_the_expiry_of_key_or_role() {
    on_both_required(async |server, root| {
        for of_role in [true, false] {
            let soon = after(Duration::from_secs(3));
            let (id, expiry) = if of_role { ("guest", Some(soon)) } else { ("dev", None) };
            let add = wire::AddMemberRequest {
                project: "workspace".into(),
                org_id: "team".into(),
                user_id: id.into(),
                roles: vec![wire::RoleAssignment { expire_time: expiry, ..role("Developer") }],
                ..Default::default()
            };
            root.call::<wire::AddMemberResponse>("MembershipService/AddMember", &add).await.unwrap();
            let expire_time = Some(soon).filter(|_| !of_role);
            let key = wire::CreateApiKeyRequest { expire_time, ..key_of(id) };
            let caller = Caller::new(server, &root.create_key(key).await.unwrap().token).await;
            let refused = loop {
                let began = rolecall::clock::now();
                match caller.check(may_ann_see_invoices("acme")).await {
                    Ok(_) => assert!(began.0 < micros(&soon), "allowed after the expiry"),
                    Err(status) => break status.reason(),
                }
            };
            assert_eq!(refused, if of_role { "OPERATOR_PERMISSION_MISSING" } else { "API_KEY_EXPIRED" });
        }
    });
}

#[test]
fn w6_a_key_narrows_with_its_operator() {
    on_both_required(async |server, root| {
        root.add_operator("dev", "Developer").await.unwrap();
        let token = root.create_key(key_of("dev")).await.unwrap().token;
        let dev = Caller::new(server, &token).await;
        let create = |name: &str| wire::CreatePermissionRequest { name: name.into(), ..Default::default() };
        let called = async |name| -> Result<wire::CreatePermissionResponse, _> {
            dev.call("PermissionService/CreatePermission", &create(name)).await
        };
        called("one").await.unwrap();
        root.set_role("dev", "ReadOnly").await.unwrap();
        let refused = called("two").await.unwrap_err();
        assert_eq!((refused.code(), &*refused.reason()), (Code::PermissionDenied, "OPERATOR_PERMISSION_MISSING"));
        assert_eq!(refused.detail("permission"), "config.roles_permissions");
        dev.check(may_ann_see_invoices("acme")).await.unwrap();
        let block = wire::BlockUserRequest { project: "workspace".into(), user_id: "dev".into(), ..Default::default() };
        root.call::<wire::BlockUserResponse>("UserService/BlockUser", &block).await.unwrap();
        let refused = dev.check(may_ann_see_invoices("acme")).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert!(refused.message().contains("blocked"), "{}", refused.message());
        root.remove_operator("dev").await.unwrap();
        let unblock =
            wire::UnblockUserRequest { project: "workspace".into(), user_id: "dev".into(), ..Default::default() };
        root.call::<wire::UnblockUserResponse>("UserService/UnblockUser", &unblock).await.unwrap();
        // The key of somebody who was removed does not belong to the next operator with the same id.
        root.add_operator("dev", "Developer").await.unwrap();
        let refused = dev.check(may_ann_see_invoices("acme")).await.unwrap_err();
        assert_eq!((refused.code(), &*refused.reason()), (Code::Unauthenticated, "API_KEY_ARCHIVED"));
    });
}

#[test]
fn w6_a_key_sees_only_projects_of_its_environment() {
    on_both_required(async |server, root| {
        let test_key = wire::CreateApiKeyRequest { environment: Environment::Test.into(), ..key_of("") };
        let created = root.create_key(test_key.clone()).await.unwrap();
        assert!(created.token.starts_with("rk_test_"), "{}", created.token);
        let test = Caller::new(server, &created.token).await;
        let refused = test.check(may_ann_see_invoices("acme")).await.unwrap_err();
        assert_eq!((refused.code(), &*refused.reason()), (Code::PermissionDenied, "API_KEY_ENVIRONMENT"));
        // A project that does not exist looks the same.
        let unknown = wire::CheckRequest { project: "ghost".into(), ..may_ann_see_invoices("acme") };
        let same = test.check(unknown).await.unwrap_err();
        assert_eq!((same.code(), same.message()), (refused.code(), refused.message()));
        let project = |key: &str, environment: Environment| wire::CreateProjectRequest {
            key: key.into(),
            environment: environment.into(),
            ..Default::default()
        };
        let create = async |caller: &Caller, key: &str, environment| -> Result<wire::CreateProjectResponse, _> {
            caller.call("ProjectService/CreateProject", &project(key, environment)).await
        };
        assert_eq!(create(&test, "live", Environment::Live).await.unwrap_err().reason(), "API_KEY_ENVIRONMENT");
        assert_eq!(create(root, "test", Environment::Test).await.unwrap_err().reason(), "API_KEY_ENVIRONMENT");
        create(&test, "sandbox", Environment::Test).await.unwrap();
        let listed = async |caller: &Caller| {
            let request = wire::ListProjectsRequest::default();
            let answer: wire::ListProjectsResponse =
                caller.call("ProjectService/ListProjects", &request).await.unwrap();
            answer.projects.into_iter().map(|project| project.key).collect::<Vec<_>>()
        };
        assert_eq!(listed(&test).await, ["deserted", "sandbox"]);
        assert_eq!(listed(root).await, ["default", "workspace"]);
        // A TEST key cannot create a LIVE key, and neither sees nor archives one.
        assert_eq!(test.create_key(key_of("")).await.unwrap_err().reason(), "API_KEY_ENVIRONMENT");
        test.create_key(test_key).await.unwrap();
        let keys: wire::ListApiKeysResponse =
            test.call("ApiKeyService/ListApiKeys", &wire::ListApiKeysRequest::default()).await.unwrap();
        assert!(keys.api_keys.iter().all(|key| key.environment() == Environment::Test) && !keys.api_keys.is_empty());
        let own = root.who_am_i().await.unwrap().api_key.unwrap().api_key_id;
        for api_key_id in [own, "ak_0000000000000000".into()] {
            let archive = wire::ArchiveApiKeyRequest { api_key_id, ..Default::default() };
            let refused = test.call::<wire::ArchiveApiKeyResponse>("ApiKeyService/ArchiveApiKey", &archive).await;
            assert_eq!(refused.unwrap_err().reason(), "API_KEY_NOT_FOUND");
        }
    });
}

#[test]
fn w6_a_scoped_key_calls_only_what_names_its_scope() {
    on_both_required(async |server, root| {
        let scoped = async |scope: ApiKeyScope| {
            let request = wire::CreateApiKeyRequest { scope: Some(scope), ..key_of("") };
            Caller::new(server, &root.create_key(request).await.unwrap().token).await
        };
        let refused = |status: tonic::Status| (status.code(), status.reason());
        let outside = (Code::PermissionDenied, "API_KEY_SCOPE".to_string());
        let org = |org_id: &str| wire::GetOrgRequest { org_id: org_id.into(), ..Default::default() };
        let get = async |caller: &Caller, org_id: &str| -> Result<wire::GetOrgResponse, _> {
            caller.call("OrgService/GetOrg", &org(org_id)).await
        };
        let list = async |caller: &Caller| -> Result<wire::ListOrgsResponse, _> {
            caller.call("OrgService/ListOrgs", &wire::ListOrgsRequest::default()).await
        };

        let checks = scoped(ApiKeyScope { checks_only: true, ..Default::default() }).await;
        checks.check(may_ann_see_invoices("acme")).await.unwrap();
        checks.who_am_i().await.unwrap();
        assert_eq!(refused(get(&checks, "acme").await.unwrap_err()), outside);
        let of_operators = wire::CheckRequest { project: "workspace".into(), ..may_ann_see_invoices("team") };
        assert_eq!(refused(checks.check(of_operators).await.unwrap_err()), outside);

        let shop = scoped(ApiKeyScope { project: "default".into(), ..Default::default() }).await;
        get(&shop, "acme").await.unwrap();
        list(&shop).await.unwrap();
        let all = wire::ListProjectsRequest::default();
        let projects = shop.call::<wire::ListProjectsResponse>("ProjectService/ListProjects", &all).await;
        assert_eq!(refused(projects.unwrap_err()), outside);
        assert_eq!(refused(shop.add_operator("friend", "Owner").await.unwrap_err()), outside);

        let acme = scoped(ApiKeyScope { project: "default".into(), org_id: "acme".into(), ..Default::default() }).await;
        get(&acme, "acme").await.unwrap();
        acme.check(may_ann_see_invoices("acme")).await.unwrap();
        for foreign in ["globex", "ghost"] {
            assert_eq!(refused(get(&acme, foreign).await.unwrap_err()), outside);
            assert_eq!(refused(acme.check(may_ann_see_invoices(foreign)).await.unwrap_err()), outside);
        }
        assert_eq!(refused(list(&acme).await.unwrap_err()), outside);

        let acting = scoped(ApiKeyScope { acting_user_required: true, ..Default::default() }).await;
        assert_eq!(refused(get(&acting, "acme").await.unwrap_err()), outside);
        let viewed = wire::GetOrgRequest { viewer_user_id: "olga".into(), ..org("acme") };
        acting.call::<wire::GetOrgResponse>("OrgService/GetOrg", &viewed).await.unwrap();

        // The scope is the org, not its id: a later org with the same id is another one (S5).
        let delete = wire::DeleteOrgRequest { org_id: "acme".into(), ..Default::default() };
        root.call::<wire::DeleteOrgResponse>("OrgService/DeleteOrg", &delete).await.unwrap();
        assert_eq!(refused(get(&acme, "acme").await.unwrap_err()), outside);
        let again = wire::CreateOrgRequest { org_id: "acme".into(), reuse_deleted_id: true, ..Default::default() };
        root.call::<wire::CreateOrgResponse>("OrgService/CreateOrg", &again).await.unwrap();
        assert_eq!(refused(get(&acme, "acme").await.unwrap_err()), outside);
    });
}

#[test]
fn w6_a_batch_of_a_key_for_one_org_has_item_errors_for_other_orgs() {
    on_both_required(async |server, root| {
        let scope = ApiKeyScope { project: "default".into(), org_id: "acme".into(), ..Default::default() };
        let request = wire::CreateApiKeyRequest { scope: Some(scope), ..key_of("") };
        let acme = Caller::new(server, &root.create_key(request).await.unwrap().token).await;
        let item = |org_id: &str| wire::CheckItem {
            org_id: org_id.into(),
            user_id: "olga".into(),
            permission: "rolecall::can_invite".into(),
        };
        let columns = wire::CheckColumns {
            orgs: vec!["globex".into(), "acme".into()],
            users: vec!["olga".into()],
            permissions: vec!["rolecall::can_invite".into()],
            org_ix: vec![1, 0],
            ..Default::default()
        };
        let batch = wire::BatchCheckRequest {
            items: vec![item("acme"), item("globex"), item("ghost")],
            columns: Some(columns),
            ..Default::default()
        };
        let answer: wire::BatchCheckResponse = acme.call("CheckService/BatchCheck", &batch).await.unwrap();
        let allowed = wire::Decision::Allowed as i32;
        assert_eq!(answer.decisions, [allowed, 0, 0, allowed, 0]);
        let errors: Vec<_> = answer.errors.iter().map(|it| (it.index, &*it.reason, &*it.field)).collect();
        let foreign = "API_KEY_SCOPE";
        assert_eq!(errors, [(1, foreign, "org_id"), (2, foreign, "org_id"), (4, foreign, "columns.orgs")]);
    });
}

#[test]
fn w6_only_the_hash_of_a_token_is_stored_and_a_repeated_call_does_not_return_it() {
    on_both_required(async |server, root| {
        let before = server.head().await;
        let request = wire::CreateApiKeyRequest { request_id: "once".into(), ..key_of("") };
        let first = root.create_key(request.clone()).await.unwrap();
        let again = root.create_key(request).await.unwrap();
        assert!(again.replayed && again.token.is_empty() && again.api_key == first.api_key);
        let preview = wire::CreateApiKeyRequest { validate_only: true, ..key_of("") };
        assert!(root.create_key(preview).await.unwrap().token.is_empty());
        let commits = server.callers_commits_since(before).await;
        assert_eq!(commits.len(), 1);
        let stored = format!("{:?}", commits[0].changes);
        assert!(!stored.contains(&first.token[8..]), "the token is stored");
    });
}

#[test]
fn w7_no_key_is_stronger_or_lasts_longer_than_its_maker() {
    on_both(async |server| {
        let admin = Caller::operator(server, "admin", "Admin").await;
        let owner = server.operator("owner", "Owner").await;
        let dev = Caller::operator(server, "dev", "Developer").await;
        server.operator("other-dev", "Developer").await;
        // Developers create keys, but only their own.
        dev.create_key(key_of("")).await.unwrap();
        dev.create_key(key_of("dev")).await.unwrap();
        for other in ["owner", "admin", "other-dev"] {
            let refused = dev.create_key(key_of(other)).await.unwrap_err();
            assert_eq!(refused.reason(), "ACTING_USER_MISSING_PERMISSION", "{other}");
        }
        admin.create_key(key_of("dev")).await.unwrap();
        assert_eq!(admin.create_key(key_of("owner")).await.unwrap_err().reason(), "ROLE_OUT_OF_SCOPE");
        assert_eq!(admin.create_key(key_of("nobody")).await.unwrap_err().reason(), "MEMBER_NOT_FOUND");
        let owner = Caller::new(server, &owner).await;
        let expire_time = Some(in_an_hour());
        let short = owner.create_key(wire::CreateApiKeyRequest { expire_time, ..key_of("") }).await.unwrap();
        let short = Caller::new(server, &short.token).await;
        let refused = short.create_key(key_of("")).await.unwrap_err();
        assert_eq!((refused.code(), &*refused.reason()), (Code::PermissionDenied, "OUTLASTS_GRANTER"));
        let expire_time = Some(after(Duration::from_secs(60)));
        short.create_key(wire::CreateApiKeyRequest { expire_time, ..key_of("") }).await.unwrap();
    });
}

#[test]
fn each_key_has_its_own_rate_and_its_own_calls_in_flight() {
    support::on_both(async |database| {
        // The second call of a key comes too fast, however slow the machine is.
        let callers = CallerLimits { calls_per_second: 1, burst: 1, calls_in_flight: 0 };
        let open = Server::start(database.url.clone(), Default::default()).await;
        let tokens = [open.operator("ann", "Owner").await, open.operator("bob", "Owner").await];
        open.stop().await;
        let server = Server::start_configured(database.url.clone(), |config| Config { callers, ..config }).await;
        for token in &tokens {
            let caller = Caller::new(&server, token).await;
            let answers = futures_util::future::join_all((0..20).map(|_| caller.who_am_i())).await;
            let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
            assert!(!refused.is_empty() && refused.len() < 20, "{}", refused.len());
            for status in refused {
                assert_eq!((status.code(), &*status.reason()), (Code::ResourceExhausted, "CALLER_TOO_FAST"));
                let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
                assert!(wait <= Duration::from_secs(20), "{wait:?}");
            }
        }
        // Callers without credentials are not limited.
        for _ in 0..20 {
            server.who_am_i(wire::WhoAmIRequest {}).await.unwrap();
        }
    });
}
