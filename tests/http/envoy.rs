//! Envoy's ext_authz, with the generated client.

use std::collections::HashMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request as Attributes};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
use rolecall::grpc::services::envoy::Mapping;
use rolecall::server::{Config, Gateways};
use rolecall::wire::{self, ApiKeyScope, Environment};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::fixture::roles;
use crate::guarded::Guarded;
use crate::server::{Server, on_both};
use crate::support;

pub const MAPPING: &str = "
user: { claim: sub }
org: { path: org }
rules:
  - { methods: [GET, HEAD], path: '/orgs/{org}/invoices/**', permission: { constant: invoices.view } }
  - { path: '/orgs/{org}/invoices/{rest}', permission: { constant: invoices.pay } }
  - { path: '/by-header', org: { header: X-Org }, permission: { constant: invoices.view } }
  - { path: '/by-claim', org: { claim: org_id }, permission: { constant: invoices.view } }
  - { path: '/internal/{permission}', org: { constant: acme }, user: { trusted_header: X-User }, permission: { path: permission } }
";

pub fn gateways(mapping: &str) -> Gateways {
    Gateways { envoy: Some(Arc::new(Mapping::parse(mapping).unwrap())), ..Gateways::default() }
}

async fn shop(server: &Server) {
    let shop = server.single();
    for permission in ["invoices.view", "invoices.pay"] {
        shop.permission(permission).await;
    }
    shop.role("Viewer").await;
    shop.grant("Default", "Viewer", &["invoices.view"]).await;
    for org in ["acme", "globex"] {
        shop.org(org, "Default").await;
    }
    shop.add("acme", "ann", &roles(&["Viewer"])).await;
}

fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.into())) }
}

fn object(fields: Vec<(&str, Value)>) -> Value {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Value { kind: Some(Kind::StructValue(Struct { fields })) }
}

/// Returns a request as Envoy sends it, with the claims of a verified JWT.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], claims: &[(&str, &str)]) -> CheckRequest {
    let claims = object(claims.iter().map(|(name, value)| (*name, text(value))).collect());
    let payload = Struct { fields: HashMap::from([("jwt_payload".to_owned(), claims)]) };
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Attributes {
                http: Some(HttpRequest {
                    method: method.into(),
                    path: path.into(),
                    headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            metadata_context: Some(Metadata {
                filter_metadata: HashMap::from([("envoy.filters.http.jwt_authn".to_owned(), payload)]),
                ..Default::default()
            }),
            ..Default::default()
        }),
    }
}

/// Returns `OK`, or the status code and the header with the reason of a denial.
fn shown(answer: &CheckResponse) -> String {
    let status = answer.status.as_ref().unwrap();
    match answer.http_response.as_ref().unwrap() {
        HttpResponse::OkResponse(_) => {
            assert_eq!(status.code, 0);
            "OK".into()
        }
        HttpResponse::DeniedResponse(denied) => {
            assert_ne!(status.code, 0);
            let headers = denied.headers.iter().map(|header| header.header.as_ref().unwrap());
            let reason = headers.filter(|header| header.key == "x-rolecall-decision").map(|header| &header.value);
            format!("{} {}", denied.status.as_ref().unwrap().code, reason.collect::<Vec<_>>()[0])
        }
        other => panic!("{other:?}"),
    }
}

pub async fn ask(server: &Server, request: impl tonic::IntoRequest<CheckRequest>) -> Result<String, Status> {
    let answer = AuthorizationClient::new(server.channel.clone()).check(request).await?;
    Ok(shown(answer.get_ref()))
}

/// Returns the health of the service.
pub async fn health(channel: Channel) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: "envoy.service.auth.v3.Authorization".into() };
    let answer = HealthClient::new(channel).check(request).await;
    answer.map(|answer| answer.into_inner().status()).map_err(|status| status.code())
}

fn with_key(request: CheckRequest, authorization: &str) -> Request<CheckRequest> {
    let mut request = Request::new(request);
    request.metadata_mut().insert("authorization", authorization.parse().unwrap());
    request
}

fn on_shop(test: impl AsyncFn(&Server)) {
    support::on_both(async |database| {
        let configured = |config| Config { gateways: gateways(MAPPING), ..config };
        let server = Server::start_configured(database.url.clone(), configured).await;
        shop(&server).await;
        test(&server).await;
    });
}

#[test]
fn the_service_of_envoy_has_a_health_where_it_is_served() {
    support::block_on(async {
        for (gateways, expected) in
            [(gateways(MAPPING), Ok(ServingStatus::Serving)), (Gateways::default(), Err(Code::NotFound))]
        {
            let database = support::sqlite();
            let configured = |config| Config { gateways, ..config };
            let server = Server::start_configured(database.url.clone(), configured).await;
            assert_eq!(health(server.channel.clone()).await, expected);
            server.stop().await;
        }
    });
}

#[test]
fn the_first_rule_that_matches_says_what_is_checked() {
    on_shop(async |server| {
        let ann = [("sub", "ann")];
        for (method, path, headers, claims, expected) in [
            ("GET", "/orgs/acme/invoices/7", vec![], &ann[..], "OK"),
            ("GET", "/orgs/acme/invoices?page=2", vec![], &ann, "OK"),
            ("GET", "/orgs/acme/%69nvoices/7", vec![], &ann, "OK"),
            ("POST", "/orgs/acme/invoices/7", vec![], &ann, "403 MISSING_PERMISSION"),
            ("GET", "/orgs/globex/invoices/7", vec![], &ann, "403 NOT_A_MEMBER"),
            ("GET", "/orgs/initech/invoices/7", vec![], &ann, "403 ORG_NOT_FOUND"),
            ("POST", "/orgs/acme/invoices/7/pay", vec![], &ann, "403 NO_RULE"),
            ("GET", "/", vec![], &ann, "403 NO_RULE"),
            ("get", "/orgs/acme/invoices", vec![], &ann, "403 NO_RULE"),
            ("GET", "/orgs/acme/../acme/invoices", vec![], &ann, "403 PATH_MALFORMED"),
            ("GET", "/orgs/acme/invoices/%2e%2e", vec![], &ann, "403 PATH_MALFORMED"),
            ("GET", "/orgs/acme/invoices;x/7", vec![], &ann, "403 PATH_MALFORMED"),
            ("GET", "/orgs/acme/%2569nvoices/7", vec![], &ann, "403 PATH_MALFORMED"),
            ("GET", "/by-header", vec![("x-org", "acme")], &ann, "OK"),
            ("GET", "/by-header", vec![], &ann, "403 ORG_MISSING"),
            ("GET", "/by-header", vec![("x-org", "")], &ann, "403 ORG_MISSING"),
            ("GET", "/by-header", vec![("x-org", "a c m e")], &ann, "403 ORG_MALFORMED"),
            ("GET", "/by-claim", vec![], &[("sub", "ann"), ("org_id", "acme")], "OK"),
            ("GET", "/by-claim", vec![("org_id", "acme")], &ann, "403 ORG_MISSING"),
            // A header is an identity only where the mapping says so.
            ("GET", "/orgs/acme/invoices", vec![("x-user", "ann"), ("sub", "ann")], &[], "401 USER_MISSING"),
            ("GET", "/orgs/acme/invoices", vec![], &[("sub", "an n")], "401 USER_MALFORMED"),
            ("GET", "/internal/invoices.view", vec![("x-user", "ann")], &[], "OK"),
            ("GET", "/internal/invoices.pay", vec![("x-user", "ann")], &[], "403 MISSING_PERMISSION"),
            ("GET", "/internal/invoices.fly", vec![("x-user", "ann")], &[], "403 UNKNOWN_PERMISSION"),
            ("GET", "/internal/invoices.view", vec![], &ann, "401 USER_MISSING"),
        ] {
            let answer = ask(server, request(method, path, &headers, claims)).await.unwrap();
            assert_eq!(answer, expected, "{method} {path} {headers:?} {claims:?}");
        }
        for empty in [CheckRequest::default(), CheckRequest { attributes: Some(AttributeContext::default()) }] {
            assert_eq!(ask(server, empty).await.unwrap(), "403 NO_RULE");
        }
    });
}

#[test]
fn a_claim_that_is_no_text_and_one_of_another_filter_are_no_identity() {
    on_shop(async |server| {
        let mut asked = request("GET", "/orgs/acme/invoices", &[], &[]);
        let metadata = asked.attributes.as_mut().unwrap().metadata_context.as_mut().unwrap();
        let number = Value { kind: Some(Kind::NumberValue(7.0)) };
        let payload = Struct { fields: HashMap::from([("jwt_payload".to_owned(), object(vec![("sub", number)]))]) };
        metadata.filter_metadata.insert("envoy.filters.http.jwt_authn".into(), payload);
        let other = Struct { fields: HashMap::from([("jwt_payload".to_owned(), object(vec![("sub", text("ann"))]))]) };
        metadata.filter_metadata.insert("envoy.lb".into(), other);
        assert_eq!(ask(server, asked).await.unwrap(), "401 USER_MISSING");
    });
}

#[test]
fn w3_envoy_is_a_caller_as_any_other_and_its_failures_are_errors() {
    support::on_both(async |database| {
        let guarded = Guarded::start(&database.url, gateways(MAPPING), shop).await;
        let server = &guarded.server;
        let asked = || request("GET", "/orgs/acme/invoices", &[], &[("sub", "ann")]);
        assert_eq!(ask(server, asked()).await.unwrap_err().code(), Code::Unauthenticated);
        assert_eq!(ask(server, with_key(asked(), &guarded.authorization)).await.unwrap(), "OK");
        // Also a request that no rule matches needs a caller that may check.
        let unmatched = request("GET", "/", &[], &[]);
        assert_eq!(ask(server, unmatched).await.unwrap_err().code(), Code::Unauthenticated);
        server.stop().await;
    });
}

#[test]
fn w6_what_a_client_of_envoy_chooses_is_denied_and_never_an_error() {
    support::on_both(async |database| {
        let open = Server::start(database.url.clone(), Default::default()).await;
        shop(&open).await;
        open.operator("envoy", "Admin").await;
        let scope =
            ApiKeyScope { project: "default".into(), org_id: "acme".into(), checks_only: true, ..Default::default() };
        let key = format!("Bearer {}", open.key("envoy", Environment::Live, scope).await.1);
        open.stop().await;
        let configured = |config| Config { gateways: gateways(MAPPING), ..config };
        let server = Server::start_configured(database.url.clone(), configured).await;
        let ann = [("sub", "ann")];
        for (path, expected) in [
            ("/orgs/acme/invoices", "OK"),
            ("/orgs/globex/invoices", "403 API_KEY_SCOPE"),
            ("/", "403 NO_RULE"),
            ("/by-header", "403 ORG_MISSING"),
        ] {
            assert_eq!(
                ask(&server, with_key(request("GET", path, &[], &ann), &key)).await.unwrap(),
                expected,
                "{path}"
            );
        }
        // Only the request for the other org was a refused call of Envoy.
        assert_eq!(server.running.lock().unwrap().as_ref().unwrap().app.engine.denials.denied.get(), 1);
        // An operator without the permission is a fault of the installation.
        let block =
            wire::BlockUserRequest { project: "workspace".into(), user_id: "envoy".into(), ..Default::default() };
        server.block_user(block).await.unwrap();
        for path in ["/orgs/acme/invoices", "/"] {
            let refused = ask(&server, with_key(request("GET", path, &[], &ann), &key)).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{path}");
        }
        server.stop().await;
    });
}

#[test]
fn w6_a_key_that_is_not_for_envoy_is_an_error_and_no_denial() {
    support::on_both(async |database| {
        let open = Server::start(database.url.clone(), Default::default()).await;
        shop(&open).await;
        open.multi_in(Environment::Live).await.org("acme", "Default").await;
        open.operator("envoy", "Admin").await;
        let (shop, other) = ("default".to_owned(), "multi".to_owned());
        let of_org =
            |project: &str| ApiKeyScope { project: project.into(), org_id: "acme".into(), ..Default::default() };
        let mut keys = Vec::new();
        for scope in [
            ApiKeyScope { sidecar_only: true, ..Default::default() },
            ApiKeyScope { acting_user_required: true, ..Default::default() },
            ApiKeyScope { acting_user_required: true, ..of_org(&shop) },
            ApiKeyScope { project: other.clone(), ..Default::default() },
            of_org(&other),
        ] {
            keys.push(format!("Bearer {}", open.key("envoy", Environment::Live, scope).await.1));
        }
        open.stop().await;
        let configured = |config| Config { gateways: gateways(MAPPING), ..config };
        let server = Server::start_configured(database.url.clone(), configured).await;
        for (at, key) in keys.iter().enumerate() {
            for org in ["acme", "globex"] {
                let asked = request("GET", &format!("/orgs/{org}/invoices"), &[], &[("sub", "ann")]);
                let refused = ask(&server, with_key(asked, key)).await.unwrap_err();
                assert_eq!(refused.code(), Code::PermissionDenied, "key {at}, {org}: {refused:?}");
            }
        }
        server.stop().await;
    });
}

#[test]
fn without_a_mapping_there_is_no_such_service_and_an_unknown_project_is_an_error() {
    on_both(async |server| {
        let asked = request("GET", "/orgs/acme/invoices", &[], &[("sub", "ann")]);
        assert_eq!(ask(server, asked).await.unwrap_err().code(), Code::Unimplemented);
    });
    support::on_both(async |database| {
        let mapping = format!("project: nowhere\n{MAPPING}");
        let configured = |config| Config { gateways: gateways(&mapping), ..config };
        let server = Server::start_configured(database.url.clone(), configured).await;
        let asked = request("GET", "/orgs/acme/invoices", &[], &[("sub", "ann")]);
        assert_eq!(ask(&server, asked).await.unwrap_err().code(), Code::NotFound);
        server.stop().await;
    });
}
