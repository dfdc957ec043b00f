//! Envoy itself, with the configuration of docs/envoy.md.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use rolecall::grpc::services::envoy::Mapping;
use rolecall::server::{Gateways, Listen};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::client::{Answer, request, send};
use crate::fixture::roles;
use crate::guarded::Guarded;
use crate::server::Server;
use crate::support::{block_on, sqlite};

const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &[u8] = b"the secret of the issuer in a test";

/// Killed when dropped.
struct Envoy {
    child: Child,
    address: Listen,
    admin: Listen,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns Envoy's program. `None` skips the test. In CI its absence is a failure.
fn envoy() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|folder| folder.join("envoy")).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "envoy not found, and CI=true");
        // Written past the capture of the test runner: a skipped test must be seen.
        let _ = std::io::stderr().write_all(b"skipped: envoy not found\n");
    }
    found
}

/// Returns the YAML blocks of the document.
fn documented() -> Vec<String> {
    let document = include_str!("../../docs/envoy.md");
    let blocks = document.split("```yaml\n").skip(1);
    blocks.map(|rest| rest.split_once("```").unwrap().0.to_owned()).collect()
}

impl Envoy {
    /// Starts Envoy and waits until it listens.
    async fn start(program: &Path, configuration: &str, folder: &Path) -> Self {
        let (file, admin) = (folder.join("envoy.yaml"), folder.join("admin"));
        std::fs::write(&file, configuration).unwrap();
        let child = Command::new(program)
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "error"])
            .arg("--config-path")
            .arg(&file)
            .arg("--admin-address-path")
            .arg(&admin)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut envoy = Self { child, address: Listen::Tcp(String::new()), admin: Listen::Tcp(String::new()) };
        let began = Instant::now();
        loop {
            assert!(envoy.child.try_wait().unwrap().is_none(), "Envoy has exited");
            assert!(began.elapsed() < PATIENCE, "Envoy does not listen");
            if let Some(address) = envoy.listens(&admin).await {
                envoy.address = Listen::Tcp(address);
                return envoy;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns where it listens for requests, once it does.
    async fn listens(&mut self, admin: &Path) -> Option<String> {
        self.admin = Listen::Tcp(std::fs::read_to_string(admin).ok().filter(|address| !address.is_empty())?);
        if send(&self.admin, request("GET", "/ready", &[], "")).await.status != 200 {
            return None;
        }
        let text = self.shown("/listeners").await;
        text.lines().find_map(|line| line.split_once("::127.0.0.1:")).map(|(_, port)| format!("127.0.0.1:{port}"))
    }

    /// Returns a page of its administration.
    async fn shown(&self, path: &str) -> String {
        String::from_utf8(send(&self.admin, request("GET", path, &[], "")).await.body.to_vec()).unwrap()
    }

    /// Waits until its health checks find Rolecall healthy. It would send requests to an unhealthy server too.
    async fn finds_rolecall_healthy(&self) {
        let began = Instant::now();
        let is_healthy = |line: &str| line.starts_with("rolecall::") && line.ends_with("::health_flags::healthy");
        while !self.shown("/clusters").await.lines().any(is_healthy) {
            assert!(began.elapsed() < PATIENCE, "{}", self.shown("/clusters").await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn ask(&self, method: &str, path: &str, user: &str) -> Answer {
        let authorization = format!("Bearer {}", token(user));
        let headers = if user.is_empty() { vec![] } else { vec![("authorization", &*authorization)] };
        send(&self.address, request(method, path, &headers, "")).await
    }
}

/// Returns a JWT of the issuer that the document names.
fn token(user: &str) -> String {
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let claims = json!({ "iss": "https://login.example", "aud": "app", "sub": user, "exp": 4_102_444_800_u64 });
    let signed = format!("{}.{}", part(json!({ "alg": "HS256", "typ": "JWT" })), part(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// An application that answers every request. Returns its port.
async fn app() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4_096]).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\napp";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    port
}

async fn shop(server: &Server) {
    let shop = server.single();
    for permission in ["invoices.view", "invoices.approve"] {
        shop.permission(permission).await;
    }
    shop.role("Viewer").await;
    shop.grant("Default", "Viewer", &["invoices.view"]).await;
    for org in ["acme", "globex"] {
        shop.org(org, "Default").await;
    }
    shop.add("acme", "ann", &roles(&["Viewer"])).await;
}

#[test]
fn envoy_with_the_documented_configuration_lets_through_what_is_allowed() {
    let Some(program) = envoy() else { return };
    block_on(async {
        let [mapping, configuration] = &documented()[..] else { panic!("the document has other blocks") };
        let (database, folder) = (sqlite(), tempfile::tempdir().unwrap());
        let envoy = Some(Arc::new(Mapping::parse(mapping).unwrap()));
        let guarded = Guarded::start(&database.url, Gateways { envoy, ..Gateways::default() }, shop).await;
        let jwks = json!({ "keys": [{ "kty": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(SECRET) }] });
        std::fs::write(folder.path().join("jwks.json"), jwks.to_string()).unwrap();
        let mut configuration = configuration.clone();
        for (documented, here) in [
            ("port_value: 8080", "port_value: 0".to_owned()),
            ("port_value: 3000", format!("port_value: {}", app().await)),
            ("port_value: 50051", format!("port_value: {}", guarded.server.address.rsplit_once(':').unwrap().1)),
            ("/etc/envoy/jwks.json", folder.path().join("jwks.json").display().to_string()),
            ("Bearer rk_live_…", guarded.authorization.clone()),
            // A slow machine is no failure.
            ("timeout: 0.5s", "timeout: 30s".to_owned()),
        ] {
            assert!(configuration.contains(documented), "{documented}");
            configuration = configuration.replace(documented, &here);
        }
        configuration.push_str("admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }\n");
        let envoy = Envoy::start(&program, &configuration, folder.path()).await;
        envoy.finds_rolecall_healthy().await;
        for (method, path, user, status, decision) in [
            ("GET", "/orgs/acme/invoices", "ann", 200, ""),
            ("GET", "/orgs/acme/invoices/7?page=2", "ann", 200, ""),
            ("POST", "/orgs/acme/invoices/7/approval", "ann", 403, "MISSING_PERMISSION"),
            ("GET", "/orgs/globex/invoices", "ann", 403, "NOT_A_MEMBER"),
            ("GET", "/orgs/acme/../globex/invoices", "ann", 403, "NOT_A_MEMBER"),
            ("DELETE", "/orgs/acme/invoices/7", "ann", 403, "NO_RULE"),
            ("GET", "/orgs/a%20b/invoices", "ann", 403, "ORG_MALFORMED"),
            ("GET", "/orgs/acme/invoices", "an n", 401, "USER_MALFORMED"),
            // These Envoy refuses itself.
            ("GET", "/orgs/acme/invoices", "", 401, ""),
            ("GET", "/orgs/acme%2fglobex/invoices", "ann", 400, ""),
        ] {
            let answer = envoy.ask(method, path, user).await;
            let shown = (answer.status, answer.header("x-rolecall-decision"));
            assert_eq!(shown, (status, decision), "{method} {path} {user}: {answer:?}");
            assert_eq!(answer.body == "app", status == 200, "{answer:?}");
        }
        guarded.server.stop().await;
        let away = envoy.ask("GET", "/orgs/acme/invoices", "ann").await;
        assert_eq!((away.status, away.header("x-rolecall-decision")), (503, ""), "{away:?}");
    });
}
