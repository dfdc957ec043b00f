//! The key of `bootstrap` at the first start, `rolecall recover`, and the flags by which operators sign in.

use std::path::Path;
use std::time::Instant;

use sea_orm::{ConnectionTrait, Database, Statement};

use crate::operators::{FIRST, Guarded, mode, worked};
use crate::run::{PATIENCE, Server, both, output, rolecall, serve};
use crate::support::postgres;

const REQUIRED: [&str; 4] = ["--listen", "127.0.0.1:0", "--auth", "required"];

#[track_caller]
fn does_not_start(folder: &Path, args: &[&str], says: &[&str]) {
    let finished = output(serve(folder).args(REQUIRED).args(args));
    assert_eq!(finished.status.code(), Some(1), "{}", both(&finished));
    for part in says {
        assert!(both(&finished).contains(part), "`{part}` is not in: {}", both(&finished));
    }
    assert!(!both(&finished).contains("rk_live_"), "no key without a terminal: {}", both(&finished));
}

#[test]
fn w9_the_first_key_needs_a_terminal_or_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FIRST);
    does_not_start(folder.path(), &[], &["no operators yet", "--bootstrap-key-file", "terminal"]);
    std::fs::write(&path, "precious").unwrap();
    let file = ["--bootstrap-key-file", FIRST];
    does_not_start(folder.path(), &file, &[FIRST, "exists", "new file"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    does_not_start(folder.path(), &["--bootstrap-key-file", "no/such/folder/key"], &["no/such/folder/key"]);
    std::fs::remove_file(&path).unwrap();

    // None of these attempts has made a key.
    let server = Server::start(folder.path(), &["--auth", "required", file[0], file[1]]);
    assert_eq!(mode(&path), 0o600);
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(key.starts_with("rk_live_") && key.ends_with('\n'), "{key:?}");
    assert!(server.logs().contains(FIRST), "the log names the file: {}", server.logs());
    assert!(!(server.logs() + &server.printed()).contains("rk_live_"), "and not the key: {}", server.logs());
    server.stop();

    // Now the store has an operator, so further starts need no file and make no key.
    for args in [&REQUIRED[2..], &["--auth", "required", "--bootstrap-key-file", "second.key"]] {
        let server = Server::start(folder.path(), args);
        assert!(!folder.path().join("second.key").exists());
        let list = |what: &str| {
            let args = [what, "list", "--json", "--server", &server.address, "--key-file", FIRST];
            serde_json::from_str::<serde_json::Value>(&worked(&output(rolecall(folder.path()).args(args)))).unwrap()
        };
        let keys = list("keys");
        let keys = keys["api_keys"].as_array().unwrap();
        assert_eq!((keys.len(), &keys[0]["operator"]), (1, &"bootstrap".into()), "{keys:?}");
        let operators = list("operators");
        let role = &operators["operators"][0]["roles"][0];
        assert_eq!(role["role"], "Owner", "{operators}");
        // A temporary role makes no owner of the workspace.
        assert!(
            role["expire_time"].is_string() && role["expire_time"] == keys[0]["expire_time"],
            "{operators} {keys:?}"
        );
        server.stop();
    }
}

#[test]
fn w9_a_loopback_server_without_keys_needs_no_first_key() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--bootstrap-key-file", FIRST]);
    assert!(server.logs().contains("--auth required"), "{}", server.logs());
    assert!(!folder.path().join(FIRST).exists());
    let args = ["operators", "add", "ann", "--role", "Owner", "--server", &server.address];
    worked(&output(rolecall(folder.path()).args(args)));
    server.stop();
    // An operator exists, who was added without a key. So no first key is made.
    let server = Server::start(folder.path(), &REQUIRED[2..]);
    server.stop();
}

#[test]
fn w9_a_start_that_locks_everybody_out_names_the_way_back() {
    let folder = tempfile::tempdir().unwrap();
    let start = |auth: &str| Server::start(folder.path(), &["--auth", auth, "--bootstrap-key-file", FIRST]);
    let add = |id: &str, role: &str| {
        let server = start("off");
        assert!(!server.logs().contains("rolecall recover"), "callers without credentials can do everything");
        let args = ["operators", "add", id, "--role", role, "--server", &server.address];
        worked(&output(rolecall(folder.path()).args(args)));
        server.stop();
    };
    add("dev", "Developer");
    let server = start("required");
    assert!(!folder.path().join(FIRST).exists(), "the store has an operator");
    let logs = server.logs();
    assert!(logs.contains("WARN") && logs.contains("`team.manage`") && logs.contains("`rolecall recover`"), "{logs}");
    server.stop();
    add("ann", "Admin");
    let server = start("required");
    assert!(!server.logs().contains("rolecall recover"), "{}", server.logs());
    server.stop();
}

#[test]
fn a_start_warns_about_a_database_file_that_others_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rolecall.db");
    let start = || Server::start::<&str>(folder.path(), &[]);
    let server = start();
    assert!(!server.logs().contains("chmod"), "{}", server.logs());
    server.stop();
    assert_eq!(mode(&path), 0o600, "a new file is for its owner only");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let server = start();
    let logs = server.logs();
    let warnings: Vec<&str> = logs.lines().filter(|line| line.contains("chmod 600")).collect();
    assert!(matches!(warnings[..], [line] if line.contains("mode 0644") && line.contains("rolecall.db")), "{logs}");
    server.stop();
}

#[tokio::test]
async fn w9_recover_on_sqlite_works_while_the_server_is_stopped() {
    let mut guarded = Guarded::start();
    let url = format!("sqlite://{}", guarded.path("rolecall.db").display());
    let first = guarded.json(&["whoami"]);
    let recover = |args: &[&str]| output(rolecall(guarded.folder.path()).arg("recover").args(args));
    let refused = |args: &[&str], says: &[&str]| {
        let finished = recover(args);
        assert_eq!(finished.status.code(), Some(1), "{}", both(&finished));
        for part in says {
            assert!(both(&finished).contains(part), "`{part}` is not in: {}", both(&finished));
        }
    };
    refused(&["--key-file", "new.key"], &["in use", "stop"]);
    assert!(!guarded.path("new.key").exists(), "a second attempt can use the name");
    guarded.server.signal("-TERM");
    guarded.server.wait();

    let before = commits(&url).await.len();
    refused(&[], &["terminal", "--key-file"]);
    refused(&["--key-file", FIRST], &[FIRST, "exists"]);
    refused(&["--key-file", "typo.key", "--database", "sqlite://typo.db"], &["typo.db", "no such file"]);
    assert!(!guarded.path("typo.key").exists() && !guarded.path("typo.db").exists());
    worked(&output(rolecall(guarded.folder.path()).args(["migrate", "--database", "sqlite://unused.db"])));
    refused(&["--key-file", "unused.key", "--database", "sqlite://unused.db"], &["no server has ever used"]);
    assert_eq!(commits(&url).await.len(), before, "nothing was created");

    let said = worked(&recover(&["--key-file", "new.key", "--reason", "lost the laptop"]));
    assert!(said.contains("new.key") && said.contains("24 hours") && said.contains("rolecall operators add"), "{said}");
    assert!(!said.contains("rk_live_"), "{said}");
    assert_eq!(mode(&guarded.path("new.key")), 0o600);
    recovered_is_recorded(&commits(&url).await);

    guarded.server = Server::start(guarded.folder.path(), &REQUIRED[2..]);
    both_keys_work(&guarded, &first);
}

#[tokio::test]
async fn w9_recover_on_postgres_works_beside_a_running_server() {
    let Some(database) = postgres::database().await else { return };
    let guarded = Guarded::with(&["--database", &database]);
    let first = guarded.json(&["whoami"]);
    let args = ["recover", "--database", &database, "--key-file", "new.key", "--reason", "lost the laptop"];
    worked(&output(rolecall(guarded.folder.path()).args(args)));
    recovered_is_recorded(&commits(&database).await);
    // The server follows.
    let began = Instant::now();
    while !output(&mut guarded.keyless(&["whoami", "--key-file", "new.key"])).status.success() {
        assert!(began.elapsed() < PATIENCE, "the server does not follow: {}", guarded.server.logs());
    }
    both_keys_work(&guarded, &first);
}

/// Asserts that both keys are of `bootstrap`, and that the first one expires when it did before.
#[track_caller]
fn both_keys_work(guarded: &Guarded, first: &serde_json::Value) {
    let new = worked(&output(&mut guarded.keyless(&["whoami", "--json", "--key-file", "new.key"])));
    let new: serde_json::Value = serde_json::from_str(&new).unwrap();
    assert_eq!((&new["operator"], &new["roles"]), (&first["operator"], &first["roles"]), "{new}");
    assert_ne!(new["api_key"]["api_key_id"], first["api_key"]["api_key_id"]);
    let expiries = |key: &serde_json::Value| key["api_key"]["expire_time"].as_str().unwrap().to_string();
    assert!(expiries(&new) > expiries(first), "{new} {first}");
    assert_eq!(expiries(&guarded.json(&["whoami"])), expiries(first));
    // The new key lets an owner in for good.
    let add = ["operators", "add", "ann", "--role", "Owner", "--key-file", "new.key"];
    worked(&output(&mut guarded.keyless(&add)));
}

/// Returns kind, actor and reason of every commit.
async fn commits(url: &str) -> Vec<[String; 3]> {
    let database = Database::connect(url).await.unwrap();
    let rows = Statement::from_string(
        database.get_database_backend(),
        "SELECT kind, actor, reason FROM commits ORDER BY revision",
    );
    let rows = database.query_all_raw(rows).await.unwrap();
    let rows =
        rows.iter().map(|row| ["kind", "actor", "reason"].map(|column| row.try_get("", column).unwrap())).collect();
    database.close().await.unwrap();
    rows
}

fn recovered_is_recorded(commits: &[[String; 3]]) {
    let last: Vec<_> = commits.iter().rev().take(2).rev().map(|commit| commit.each_ref().map(String::as_str)).collect();
    let recorded = |kind| [kind, "system", "lost the laptop"];
    assert_eq!(last, [recorded("SetMemberRoles"), recorded("CreateApiKey")]);
}

/// Runs a command in a terminal. `None` if `script` is missing.
fn in_a_terminal(folder: &Path, line: &str) -> Option<String> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join("script")).find(|file| file.is_file())?;
    let line = format!("{} {line}", env!("CARGO_BIN_EXE_rolecall"));
    let finished = output(std::process::Command::new("script").args(["-qec", &line, "/dev/null"]).current_dir(folder));
    Some(both(&finished))
}

#[cfg(target_os = "linux")]
#[test]
fn w9_a_terminal_shows_the_key() {
    let guarded = Guarded::start();
    let path = guarded.folder.path().to_owned();
    guarded.server.stop();
    let Some(printed) = in_a_terminal(&path, "recover") else { return };
    let key = printed.lines().find(|line| line.starts_with("rk_live_")).unwrap_or_else(|| panic!("{printed}"));
    let server = Server::start(&path, &REQUIRED[2..]);
    let whoami = ["whoami", "--server", &server.address];
    worked(&output(rolecall(&path).args(whoami).env("ROLECALL_KEY", key.trim())));
}

#[test]
fn a_jwt_issuer_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("keys.json"), r#"{"keys": []}"#).unwrap();
    std::fs::write(folder.path().join("broken.json"), "{").unwrap();
    const GOOD: &str = "name=okta,issuer=https://idp.example,audience=rolecall,jwks=keys.json";
    for (issuer, says) in [
        ("okta", "KEY=VALUE"),
        ("name=okta,issuer=https://idp.example,audience=rolecall", "`jwks`"),
        ("name=Okta!,issuer=https://idp.example,audience=rolecall,jwks=keys.json", "`name`"),
        ("name=uid,issuer=https://idp.example,audience=rolecall,jwks=keys.json", "`name`"),
        (&format!("{GOOD},skew=601"), "`skew`"),
        (&format!("{GOOD},skew=soon"), "`skew`"),
        (&format!("{GOOD},provisions=yes"), "`provisions`"),
        (&format!("{GOOD},audience=other"), "`audience`"),
        (&format!("{GOOD},colour=red"), "`colour`"),
    ] {
        let finished = output(serve(folder.path()).args(["--jwt-issuer", issuer]));
        assert_eq!(finished.status.code(), Some(2), "{issuer}: {}", both(&finished));
        assert!(both(&finished).contains(says), "{issuer}: {}", both(&finished));
    }
    let other = GOOD.replace("keys.json", "other.json");
    let broken = GOOD.replace("keys.json", "broken.json");
    for (issuers, says) in [
        (&["--jwt-issuer", &*other][..], &["`okta`", "other.json"][..]),
        (&["--jwt-issuer", &*broken], &["`okta`", "broken.json"]),
        (&["--jwt-issuer", GOOD, "--jwt-issuer", GOOD], &["same name or issuer"]),
    ] {
        does_not_start(folder.path(), issuers, says);
    }
    assert!(!folder.path().join("rolecall.db").exists(), "nothing was created");
    let two = format!("{GOOD} {}", GOOD.replace("okta", "corp").replace("idp.", "corp."));
    // Where issuers are known, every call needs credentials.
    let mut command = serve(folder.path());
    command.args(["--listen", "127.0.0.1:0", "--bootstrap-key-file", FIRST]).env("ROLECALL_JWT_ISSUERS", two);
    let server = Server::listening(&mut command);
    assert!(folder.path().join(FIRST).exists());
    for name in ["okta", "corp"] {
        assert!(server.logs().contains(name), "{}", server.logs());
    }
    server.stop();
}

#[test]
fn the_keys_of_a_jwt_issuer_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let jwks = folder.path().join("keys.json");
    std::fs::write(&jwks, r#"{"keys": []}"#).unwrap();
    let issuer = "name=okta,issuer=https://idp.example,audience=rolecall,jwks=keys.json";
    let mut server = Server::start(folder.path(), &["--jwt-issuer", issuer, "--auth", "off"]);
    assert!(server.logs().contains("has no keys"), "{}", server.logs());
    // The example of RFC 7517.
    let key = r#"{"keys": [{"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;
    for (text, logged) in [(key, "loaded the keys of a JWT issuer"), ("{", "keeps its old keys")] {
        std::fs::write(&jwks, text).unwrap();
        server.wait_for("it looks again", |server| server.logs().contains(logged));
    }
    server.stop();
}
