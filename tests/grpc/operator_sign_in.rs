//! Operators who sign in without an API key: with a JWT of an issuer, or by the user id of their process (W3, W4, J4).

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use rolecall::grpc::authn::jwt::Issuer;
use rolecall::server::OperatorConfig;
use rolecall::wire::{self, WatchRequest};
use serde_json::{Value, json};
use tonic::Code;

use crate::operators::Caller;
use crate::refusals::{Details, refused};
use crate::server::Server;
use crate::support;
use crate::watch_keys::watch;

/// An issuer with one key.
struct Identity {
    key: EcdsaKeyPair,
    jwks: String,
}

impl Identity {
    fn new(jwks: &Path) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        // An uncompressed point: 4, x and y.
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "one", "x": encoded(x), "y": encoded(y)});
        let text = json!({"keys": [jwk]}).to_string();
        std::fs::write(jwks, &text).unwrap();
        Self { key, jwks: text }
    }

    fn token(&self, claims: &Value) -> String {
        self.token_of("one", claims)
    }

    /// Returns a token that names this key, and is signed by the only one.
    fn token_of(&self, kid: &str, claims: &Value) -> String {
        let signed = unsigned(&json!({"alg": "ES256", "kid": kid}), claims);
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encoded(signature.as_ref()))
    }

    /// Returns tokens whose shared secret is the public key, in the forms in which others know it.
    fn signed_by_the_public_key(&self, claims: &Value) -> Vec<String> {
        let point = self.key.public_key().as_ref();
        let secrets = [point, &point[1..], encoded(point).as_bytes(), self.jwks.as_bytes()].map(<[u8]>::to_vec);
        let sign = |secret: &Vec<u8>| {
            let signed = unsigned(&json!({"alg": "HS256", "kid": "one"}), claims);
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
            format!("{signed}.{}", encoded(tag.as_ref()))
        };
        secrets.iter().map(sign).collect()
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()))
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Claims of a token that is valid for an hour.
fn claims(subject: &str) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    json!({"iss": "https://id.example", "aud": "rolecall", "sub": subject, "exp": now + 3_600})
}

fn with(mut claims: Value, more: Value) -> Value {
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

/// Runs a test on a server that accepts tokens of one issuer, with a key of an owner.
fn with_issuer(test: impl AsyncFn(&Server, &Caller, &Identity)) {
    support::on_both(async |database| {
        let folder = tempfile::tempdir().unwrap();
        let jwks = folder.path().join("jwks.json");
        let identity = Identity::new(&jwks);
        let open = Server::start(database.url.clone(), Default::default()).await;
        let token = open.operator("root", "Owner").await;
        open.stop().await;
        let issuer = format!(
            "name=okta,issuer=https://id.example,audience=rolecall,jwks={},provisions=true,skew=0",
            jwks.display()
        );
        let operators = OperatorConfig { jwt_issuers: vec![issuer.parse::<Issuer>().unwrap()], ..Default::default() };
        let server = Server::start_for(database.url.clone(), Default::default(), operators).await;
        test(&server, &Caller::new(&server, &token).await, &identity).await;
    });
}

#[test]
fn w3_a_token_is_known_by_issuer_and_subject() {
    with_issuer(async |server, root, identity| {
        let ann = Caller::new(server, &identity.token(&claims("ann"))).await;
        let refused = ann.who_am_i().await.unwrap_err();
        assert_eq!((refused.code(), &*refused.reason()), (Code::Unauthenticated, "OPERATOR_UNKNOWN"));
        assert!(refused.message().contains("okta:ann"), "{}", refused.message());
        root.add_operator("okta:ann", "Developer").await.unwrap();
        let who = ann.who_am_i().await.unwrap();
        assert_eq!(
            (&*who.operator, &*who.credential, &who.roles[..]),
            ("okta:ann", "token", &["Developer".to_string()][..])
        );
        // The address of a token is no identity.
        let claims = with(claims("eve"), json!({"email": "ann@acme.example", "email_verified": true}));
        let eve = Caller::new(server, &identity.token(&claims)).await;
        assert_eq!(eve.who_am_i().await.unwrap_err().reason(), "OPERATOR_UNKNOWN");
    });
}

#[test]
fn w3_a_token_that_is_not_valid_is_refused_with_the_reason() {
    with_issuer(async |server, root, identity| {
        root.add_operator("okta:ann", "Developer").await.unwrap();
        let valid = identity.token(&claims("ann"));
        let (body, _) = valid.rsplit_once('.').unwrap();
        let unsigned = format!("{}.{}.", encoded(br#"{"alg":"none"}"#), body.split_once('.').unwrap().1);
        let tokens = [
            (identity.token(&with(claims("ann"), json!({"aud": "another"}))), "another audience"),
            (identity.token(&with(claims("ann"), json!({"iss": "https://evil.example"}))), "`iss`"),
            (identity.token(&with(claims("ann"), json!({"exp": 1_000}))), "expired"),
            (identity.token(&with(claims("ann"), json!({"nbf": 99_999_999_999_u64}))), "not valid yet"),
            (format!("{body}.{}", encoded(&[7; 64])), "signature"),
            (unsigned, "`none`"),
            ("eyJ.not.jwt".into(), "well-formed"),
            (identity.token_of("two", &claims("ann")), "`kid`"),
            (identity.token_of("", &claims("ann")), "`kid`"),
        ];
        let by_the_public_key = identity.signed_by_the_public_key(&claims("ann"));
        assert_eq!(by_the_public_key.len(), 4);
        let by_the_public_key = by_the_public_key.into_iter().map(|token| (token, "shared secret"));
        for (token, why) in tokens.into_iter().chain(by_the_public_key) {
            let refused = Caller::new(server, &token).await.who_am_i().await.unwrap_err();
            assert_eq!((refused.code(), &*refused.reason()), (Code::Unauthenticated, "TOKEN_INVALID"), "{why}");
            assert!(refused.message().contains(why), "{why}: {}", refused.message());
        }
        Caller::new(server, &valid).await.who_am_i().await.unwrap();
    });
}

#[test]
fn j4_w4_a_verified_address_of_a_listed_domain_makes_an_operator() {
    with_issuer(async |server, root, identity| {
        let addressed = |subject: &str, email: &str, email_verified: bool| {
            identity.token(&with(claims(subject), json!({"email": email, "email_verified": email_verified})))
        };
        let signs_in = async |token: String| Caller::new(server, &token).await.who_am_i().await;
        let unknown = async |token: String| refused(signs_in(token).await, "OPERATOR_UNKNOWN");
        unknown(addressed("ann", "ann@staff.example", true)).await;
        let rule = |domain: &str, roles: &[&str]| wire::OrgDomainSpec {
            domain: domain.into(),
            roles: crate::fixture::texts(roles),
            ..Default::default()
        };
        let domains = wire::SetOrgDomainsRequest {
            project: "workspace".into(),
            org_id: "team".into(),
            domains: vec![rule("staff.example", &[]), rule("support.example", &["Customer Management"])],
            ..Default::default()
        };
        root.call::<wire::SetOrgDomainsResponse>("OrgService/SetOrgDomains", &domains).await.unwrap();
        // A domain that an operator sets must be verified first (J1.c).
        unknown(addressed("ann", "ann@staff.example", true)).await;
        for domain in ["staff.example", "support.example"] {
            let verify = wire::VerifyOrgDomainRequest {
                project: "workspace".into(),
                org_id: "team".into(),
                domain: domain.into(),
                ..Default::default()
            };
            root.call::<wire::VerifyOrgDomainResponse>("OrgService/VerifyOrgDomain", &verify).await.unwrap();
        }
        unknown(addressed("ann", "ann@staff.example", false)).await;
        unknown(addressed("ann", "ann@elsewhere.example", true)).await;
        let ann = signs_in(addressed("ann", "ann@staff.example", true)).await.unwrap();
        assert_eq!((&*ann.operator, &ann.roles[..]), ("okta:ann", &["ReadOnly".to_string()][..]));
        let sue = signs_in(addressed("sue", "sue@support.example", true)).await.unwrap();
        assert_eq!(sue.roles, ["Customer Management"]);
        // Later tokens need no address. A removed operator stays out (J3).
        signs_in(identity.token(&claims("ann"))).await.unwrap();
        root.remove_operator("okta:ann").await.unwrap();
        unknown(addressed("ann", "ann@staff.example", true)).await;
        // A blocked one is not let in, and can do nothing if let in before (J3).
        let block = async |user_id: &str| {
            let (project, user_id) = ("workspace".into(), user_id.into());
            let request = wire::BlockUserRequest { project, user_id, ..Default::default() };
            root.call::<wire::BlockUserResponse>("UserService/BlockUser", &request).await.unwrap();
        };
        block("okta:bob").await;
        let before = server.head().await;
        unknown(addressed("bob", "bob@staff.example", true)).await;
        assert_eq!(server.callers_commits_since(before).await.len(), 0, "nobody was added");
        block("okta:sue").await;
        let sue = Caller::new(server, &addressed("sue", "sue@support.example", true)).await;
        assert_eq!(sue.who_am_i().await.unwrap().roles, [""; 0]);
        let refused =
            sue.call::<wire::ListOrgsResponse>("OrgService/ListOrgs", &wire::ListOrgsRequest::default()).await;
        let refused = refused.unwrap_err();
        assert_eq!((refused.code(), &*refused.reason()), (Code::PermissionDenied, "OPERATOR_PERMISSION_MISSING"));
        // Unblocked, the next sign-in adds the one who was never added.
        let (project, user_id) = ("workspace".into(), "okta:bob".into());
        let request = wire::UnblockUserRequest { project, user_id, ..Default::default() };
        root.call::<wire::UnblockUserResponse>("UserService/UnblockUser", &request).await.unwrap();
        assert_eq!(signs_in(addressed("bob", "bob@staff.example", true)).await.unwrap().roles, ["ReadOnly"]);
    });
}

#[test]
fn w3_a_process_is_known_by_its_user_id_over_a_unix_socket() {
    support::on_both(async |database| {
        let open = Server::start(database.url.clone(), Default::default()).await;
        let uid = format!("uid:{}", rustix::process::geteuid().as_raw());
        open.operator(&uid, "Developer").await;
        open.stop().await;
        let operators = OperatorConfig { authentication: Some(true), ..Default::default() };
        let server = Server::start_for(database.url.clone(), Default::default(), operators).await;
        let over_tcp = server.who_am_i(wire::WhoAmIRequest {}).await;
        refused(over_tcp, "CREDENTIALS_MISSING");
        let channel = server.unix_channel().await;
        let mut client = rolecall::grpc::generated::server_service_client::ServerServiceClient::new(channel);
        let who = client.who_am_i(wire::WhoAmIRequest {}).await.unwrap().into_inner();
        assert_eq!((&*who.operator, &*who.credential), (&*uid, "uid"));
        let app = server.app();
        let remove = wire::RemoveMemberRequest {
            project: "workspace".into(),
            org_id: "team".into(),
            user_id: uid.clone(),
            ..Default::default()
        };
        drop(app);
        server.stop().await;
        let open = Server::start(database.url.clone(), Default::default()).await;
        open.remove_member(remove).await.unwrap();
        open.operator("root", "Owner").await;
        open.stop().await;
        let operators = OperatorConfig { authentication: Some(true), ..Default::default() };
        let server = Server::start_for(database.url.clone(), Default::default(), operators).await;
        let channel = server.unix_channel().await;
        let mut client = rolecall::grpc::generated::server_service_client::ServerServiceClient::new(channel);
        let unknown = client.who_am_i(wire::WhoAmIRequest {}).await.unwrap_err();
        assert_eq!((unknown.code(), &*unknown.reason()), (Code::Unauthenticated, "OPERATOR_UNKNOWN"));
    });
}

#[test]
fn w3_a_stream_ends_with_its_token() {
    with_issuer(async |server, root, identity| {
        root.add_operator("okta:ann", "Owner").await.unwrap();
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        // A slow machine needs a longer one to begin.
        let mut seconds = 1.0;
        let mut stream = loop {
            let token = identity.token(&with(claims("ann"), json!({"exp": now() + seconds})));
            match watch(server, &token, WatchRequest::default()).await {
                Ok(stream) => break stream,
                Err(status) => assert_eq!(status.reason(), "TOKEN_INVALID"),
            }
            seconds *= 2.0;
        };
        let status = loop {
            if let Err(status) = stream.message().await.map(|message| message.expect("the token has expired")) {
                break status;
            }
        };
        assert_eq!((status.code(), &*status.reason()), (Code::Unauthenticated, "TOKEN_INVALID"));
    });
}
