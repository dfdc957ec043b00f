//! `rolecall keys`, `operators` and `whoami`, and the key that a command sends.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::ask::refused_with;
use crate::commands::has_section;
use crate::run::{Server, both, output, rolecall};

/// The file with the key of `bootstrap`.
pub const FIRST: &str = "first.key";

/// A server where every call needs credentials, and commands that send the key of `bootstrap`.
pub struct Guarded {
    pub server: Server,
    pub folder: TempDir,
}

impl Guarded {
    pub fn start() -> Self {
        Self::with(&[])
    }

    pub fn with(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let args = [&["--auth", "required", "--bootstrap-key-file", FIRST], args].concat();
        Self { server: Server::start(folder.path(), &args), folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a command that sends no key.
    pub fn keyless(&self, args: &[&str]) -> Command {
        let mut command = rolecall(self.folder.path());
        command.args(args).env("ROLECALL_SERVER", &self.server.address);
        command
    }

    fn ask(&self, args: &[&str]) -> Output {
        output(self.keyless(args).env("ROLECALL_KEY_FILE", FIRST))
    }

    /// Returns the standard output of a command that works.
    #[track_caller]
    pub fn says(&self, args: &[&str]) -> String {
        worked(&self.ask(args))
    }

    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[args, &["--json"]].concat())).unwrap()
    }

    #[track_caller]
    fn refuses(&self, code: i32, args: &[&str], says: &[&str]) {
        refused_with(code, &self.ask(args), says);
    }

    /// Returns the output of a command that sends another key.
    pub fn with_key(&self, key: &str, args: &[&str]) -> Output {
        output(self.keyless(args).env("ROLECALL_KEY", key))
    }
}

#[track_caller]
pub fn worked(finished: &Output) -> String {
    assert_eq!((finished.status.code(), &*finished.stderr), (Some(0), &b""[..]), "{}", both(finished));
    String::from_utf8(finished.stdout.clone()).unwrap()
}

/// Returns the last line, where `keys create` prints the token.
fn token(printed: &str) -> &str {
    printed.lines().last().unwrap()
}

#[test]
fn w6_keys_are_created_listed_and_archived() {
    let guarded = Guarded::start();
    guarded.says(&["operators", "add", "ann", "--role", "Developer"]);
    let created = guarded.says(&["keys", "create", "billing service", "--operator", "ann", "--reason", "rollout"]);
    assert!(created.contains("(billing service) of ann. Its token is not shown again:\nrk_live_"), "{created}");
    let ann = token(&created);
    assert!(worked(&guarded.with_key(ann, &["whoami"])).starts_with("ann by API key ak_"));

    guarded.says(&["keys", "create", "sandbox", "--test", "--acting-user-required", "--expires-in", "1h"]);
    let scope = ["--checks-only", "--no-activity", "--only-project", "default", "--expires-in", "90d"];
    let checks = guarded.json(&[&["keys", "create", "checks", "--operator", "ann"][..], &scope].concat());
    assert!(checks["token"].as_str().unwrap().starts_with("rk_live_"), "{checks}");
    assert_eq!(checks["api_key"]["scope"]["checks_only"], true, "{checks}");
    assert_eq!(checks["api_key"]["scope"]["no_activity"], true, "{checks}");
    assert!(checks["api_key"]["expire_time"].is_string(), "{checks}");
    let checks = checks["token"].as_str().unwrap();
    let said = worked(&guarded.with_key(checks, &["whoami"]));
    assert!(said.contains("(checks), only checks, project default\nroles: Developer\n"), "{said}");
    refused_with(2, &guarded.with_key(checks, &["mappings", "list"]), &["PERMISSION_DENIED API_KEY_SCOPE"]);

    let listed = guarded.says(&["keys", "list"]);
    assert_eq!(listed.lines().count(), 5, "the first key is listed too: {listed}");
    for (name, cells) in [
        ("billing service", "ann        LIVE                           active"),
        ("sandbox", "bootstrap  TEST  calls for acting users   until 2"),
        ("checks", "ann        LIVE  checks, project default  until 2"),
    ] {
        let line =
            listed.lines().find(|line| line.contains(&format!("  {name}  "))).unwrap_or_else(|| panic!("{listed}"));
        assert!(line.contains(cells), "`{cells}` is not in `{line}`");
    }
    let secret = listed.contains("rk_") || guarded.says(&["keys", "list", "--json"]).contains("rk_");
    assert!(!secret, "lists contain no tokens: {listed}");

    let id = created.split_whitespace().find(|word| word.starts_with("ak_")).unwrap();
    assert_eq!(guarded.says(&["keys", "archive", id]), format!("Archived key {id} (billing service).\n"));
    let archived = guarded.with_key(ann, &["whoami"]);
    refused_with(2, &archived, &["UNAUTHENTICATED API_KEY_ARCHIVED", "ROLECALL_KEY", "--key-file", "rolecall recover"]);
    let of_ann = guarded.says(&["keys", "list", "--operator", "ann"]);
    assert!(
        of_ann.contains("checks") && !of_ann.contains("sandbox") && !of_ann.contains("billing service"),
        "{of_ann}"
    );
    let all = guarded.says(&["keys", "list", "--operator", "ann", "--archived"]);
    assert!(all.lines().any(|line| line.contains("billing service") && line.ends_with("archived")), "{all}");
    let again = guarded.json(&["keys", "archive", id]);
    assert!(again["api_key"]["archive_time"].is_string(), "archiving again changes nothing: {again}");
    let nobody = guarded.ask(&["keys", "list", "--operator", "nobody"]);
    assert!(both(&nobody).contains("there are no such API keys"), "{}", both(&nobody));

    guarded.refuses(2, &["keys", "archive", "ak_0000000000000000"], &["API_KEY_NOT_FOUND"]);
    guarded.refuses(2, &["keys", "create", "x", "--operator", "nobody"], &["MEMBER_NOT_FOUND", "`nobody`"]);
    for usage in [&["keys", "create", "x", "--only-org", "acme"][..], &["keys", "create", "x", "--expires-in", "soon"]]
    {
        assert_eq!(guarded.ask(usage).status.code(), Some(2), "{usage:?}");
    }
    let to_file = ["keys", "create", "to a file", "--expires-in", "1h", "--token-file", "made.key"];
    let said = guarded.says(&to_file);
    assert!(said.ends_with("(to a file) of bootstrap.\n") && said.lines().count() == 1, "{said}");
    assert_eq!(mode(&guarded.path("made.key")), 0o600);
    assert!(worked(&output(&mut guarded.keyless(&["whoami", "--key-file", "made.key"]))).contains("(to a file)"));
    let before = guarded.says(&["keys", "list"]);
    guarded.refuses(2, &to_file, &["made.key", "exists", "new file"]);
    assert_eq!(guarded.says(&["keys", "list"]), before, "no key was made");
    guarded.refuses(
        2,
        &["keys", "create", "x", "--operator", "nobody", "--token-file", "x.key"],
        &["MEMBER_NOT_FOUND"],
    );
    assert!(!guarded.path("x.key").exists());
    // A Developer makes no key that is stronger.
    let dev = token(&guarded.says(&["keys", "create", "laptop", "--operator", "ann"])).to_string();
    let stronger = guarded.with_key(&dev, &["keys", "create", "x", "--operator", "bootstrap"]);
    refused_with(1, &stronger, &["PERMISSION_DENIED", "`team.manage`"]);
}

#[test]
fn w1_operators_are_added_listed_and_removed() {
    let guarded = Guarded::start();
    assert_eq!(guarded.says(&["operators", "add", "ann", "--role", "Owner"]), "Operator ann is Owner.\n");
    assert_eq!(
        guarded.says(&["operators", "add", "dns:billing.example.org"]),
        "Operator dns:billing.example.org is ReadOnly.\n"
    );
    guarded.refuses(1, &["operators", "add", "ann", "--role", "Admin"], &["MEMBER_ALREADY_EXISTS", "`--replace`"]);
    guarded.refuses(2, &["operators", "add", "bob", "--role", "Admn"], &["ROLE_NOT_FOUND", "did you mean `Admin`"]);
    guarded.refuses(2, &["operators", "add", "local"], &["RESERVED_NAME"]);
    guarded.refuses(1, &["operators", "add", "ann", "--role", "Admin", "--replace"], &["LAST_OWNER"]);
    guarded.says(&["operators", "add", "bob", "--role", "Developer"]);
    guarded.says(&["operators", "add", "bob", "--role", "Admin", "--replace", "--reason", "promoted"]);
    guarded.says(&["operators", "add", "temp", "--role", "Member", "--expires-in", "12h"]);
    let listed = guarded.says(&["operators", "list"]);
    for line in
        ["ann                      Owner", "bob                      Admin", "bootstrap                Owner (until 2"]
    {
        assert!(listed.contains(line), "`{line}` is not in:\n{listed}");
    }
    let json = guarded.json(&["operators", "list"]);
    let ids: Vec<&str> =
        json["operators"].as_array().unwrap().iter().map(|it| it["user_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["ann", "bob", "bootstrap", "dns:billing.example.org", "temp"]);

    let bob = guarded.says(&["keys", "create", "laptop", "--operator", "bob"]);
    assert_eq!(guarded.says(&["operators", "remove", "bob"]), "Removed operator bob.\n");
    refused_with(2, &guarded.with_key(token(&bob), &["operators", "list"]), &["API_KEY_ARCHIVED"]);
    guarded.refuses(2, &["operators", "remove", "bob"], &["MEMBER_NOT_FOUND", "`bob`"]);
    guarded.refuses(1, &["operators", "remove", "ann"], &["LAST_OWNER", "`Owner`", "operators add"]);
}

#[test]
fn w1_an_operator_is_blocked_and_unblocked_and_keeps_its_keys() {
    let guarded = Guarded::start();
    guarded.says(&["operators", "add", "ann", "--role", "Owner"]);
    guarded.says(&["operators", "add", "bob", "--role", "Admin"]);
    let bob = guarded.says(&["keys", "create", "laptop", "--operator", "bob"]);
    let lists = |code: i32, says: &[&str]| {
        let finished = guarded.with_key(token(&bob), &["operators", "list"]);
        assert_eq!(finished.status.code(), Some(code), "{}", both(&finished));
        assert!(says.iter().all(|part| both(&finished).contains(part)), "{}", both(&finished));
    };
    let blocked = guarded.says(&["operators", "block", "bob", "--reason", "lost the laptop"]);
    assert_eq!(blocked, "Blocked operator bob.\n");
    lists(2, &["PERMISSION_DENIED OPERATOR_PERMISSION_MISSING", "blocked"]);
    let again = guarded.json(&["operators", "block", "bob"]);
    assert_eq!(again, serde_json::json!({"operator": "bob", "blocked": true}));
    let events = guarded.says(&["log", "--project", "workspace", "--kind", "BlockUser"]);
    assert!(events.contains("lost the laptop"), "{events}");
    assert_eq!(guarded.says(&["operators", "unblock", "bob"]), "Unblocked operator bob.\n");
    lists(0, &["bob"]);
    // The id of nobody can be blocked too, and that may be a typo.
    let typo = guarded.ask(&["operators", "block", "bbo"]);
    assert_eq!(both(&typo), "Blocked operator bbo.\nthere is no operator bbo now\n");
    let admin = guarded.with_key(token(&bob), &["operators", "block", "ann"]);
    refused_with(1, &admin, &["PERMISSION_DENIED ROLE_OUT_OF_SCOPE"]);
    guarded.refuses(1, &["operators", "block", "ann"], &["LAST_OWNER", "operators add"]);
}

#[test]
fn w3_whoami_names_the_caller() {
    let guarded = Guarded::start();
    let said = guarded.says(&["whoami"]);
    assert!(said.starts_with("bootstrap by API key ak_"), "{said}");
    assert!(said.contains("roles: Owner\n  api_keys.live.manage\n"), "{said}");
    let json = guarded.json(&["whoami"]);
    assert_eq!((&json["operator"], &json["credential"]), (&"bootstrap".into(), &"api_key".into()));
    refused_with(
        2,
        &output(&mut guarded.keyless(&["whoami"])),
        &["UNAUTHENTICATED CREDENTIALS_MISSING", "ROLECALL_KEY", "--key-file", "rolecall keys create"],
    );
    let health = output(&mut guarded.keyless(&["health", "--address", &guarded.server.address]));
    assert_eq!(both(&health), "SERVING\n", "health needs no credentials");
    let verbose = output(&mut guarded.keyless(&["health", "--verbose", "--address", &guarded.server.address]));
    assert!(verbose.status.success() && both(&verbose).contains("no details: "), "{}", both(&verbose));

    let folder = tempfile::tempdir().unwrap();
    let open = Server::start::<&str>(folder.path(), &[]);
    let said = worked(&output(rolecall(folder.path()).arg("whoami").env("ROLECALL_SERVER", &open.address)));
    assert_eq!(said, "local without credentials; the server lets local callers do everything\n");
    // A key that is sent is judged there too.
    let key = std::fs::read_to_string(guarded.path(FIRST)).unwrap();
    let foreign = output(
        rolecall(folder.path()).arg("whoami").envs([("ROLECALL_SERVER", &*open.address), ("ROLECALL_KEY", &key)]),
    );
    refused_with(2, &foreign, &["UNAUTHENTICATED API_KEY_UNKNOWN"]);
}

#[test]
fn w3_a_key_is_read_from_a_file_or_a_variable() {
    let guarded = Guarded::start();
    let key = std::fs::read_to_string(guarded.path(FIRST)).unwrap();
    assert!(key.ends_with('\n'), "editors and `cat` expect a line end");
    let key = key.trim();
    let whoami = |args: &[&str], variables: &[(&str, &str)]| {
        output(guarded.keyless(&[&["whoami"], args].concat()).envs(variables.iter().copied()))
    };
    for (name, text) in [("bare", key.to_string()), ("dos", format!("{key}\r\n")), ("blanks", format!("\n  {key} \n"))]
    {
        std::fs::write(guarded.path(name), text).unwrap();
        worked(&whoami(&["--key-file", name], &[]));
        worked(&whoami(&[], &[("ROLECALL_KEY_FILE", name)]));
    }
    worked(&whoami(&[], &[("ROLECALL_KEY", &format!("{key}\n"))]));
    worked(&whoami(&["--key-file", "bare"], &[("ROLECALL_KEY", "rk_live_nonsense")]));
    worked(&whoami(&["--key-file", "bare"], &[("ROLECALL_KEY_FILE", "absent")]));

    let cut = &key[..key.len() - 1];
    let swapped = key.replacen(&key[8..10], &key[8..10].chars().rev().collect::<String>(), 1);
    for wrong in [cut, "rk_live_", "nonsense", &format!("{key}x")] {
        let finished = whoami(&[], &[("ROLECALL_KEY", wrong)]);
        refused_with(2, &finished, &["UNAUTHENTICATED CREDENTIALS_MALFORMED", "ROLECALL_KEY", "--key-file"]);
        assert!(!both(&finished).contains(&key[10..]), "errors repeat no secrets: {}", both(&finished));
    }
    if swapped != key {
        refused_with(2, &whoami(&[], &[("ROLECALL_KEY", &swapped)]), &["CREDENTIALS_MALFORMED", "mistyped"]);
    }
    refused_with(2, &whoami(&[], &[("ROLECALL_KEY", "rk\u{7}live")]), &["ROLECALL_KEY is no API key", "keys create"]);
    refused_with(2, &whoami(&["--key-file", "absent"], &[]), &["`absent`", "--key-file"]);
    std::fs::write(guarded.path("binary"), [0xff, 0xfe, 0x00]).unwrap();
    refused_with(2, &whoami(&["--key-file", "binary"], &[]), &["`binary`", "--key-file"]);
    std::fs::write(guarded.path("empty"), "\n").unwrap();
    refused_with(2, &whoami(&["--key-file", "empty"], &[]), &["`empty` is no API key"]);
    // An empty variable is an unset one.
    refused_with(2, &whoami(&[], &[("ROLECALL_KEY", " \n")]), &["CREDENTIALS_MISSING"]);
}

#[test]
fn a_printed_command_names_the_same_key_file() {
    let mut guarded = Guarded::with(&["--demo"]);
    guarded.server.demo();
    let refused = output(&mut guarded.keyless(&["subscribe", "globex", "Free", "--key-file", FIRST]));
    assert!(both(&refused).contains(" --key-file first.key --dry-run\n"), "{}", both(&refused));
    let refused = guarded.ask(&["subscribe", "globex", "Free"]);
    assert!(both(&refused).contains(" --dry-run\n") && !both(&refused).contains("first.key"), "{}", both(&refused));
}

/// Returns the mode of a file, as `ls` shows it.
pub fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn w5_the_document_has_the_matrices_of_the_command() {
    let folder = tempfile::tempdir().unwrap();
    for roles in ["propelauth", "stytch"] {
        let printed =
            worked(&output(rolecall(folder.path()).args(["operators", "matrix", "--json", "--roles", roles])));
        let matrix = markdown(&serde_json::from_str(&printed).unwrap());
        has_section("docs/operators.md", &format!("matrix: {roles}"), &matrix);
    }
}

fn markdown(matrix: &Value) -> String {
    let texts =
        |list: &Value| list.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_string()).collect::<Vec<_>>();
    let roles = texts(&matrix["roles"]);
    let mut table =
        format!("| RPC | {} | needs | in the workspace |\n|{}\n", roles.join(" | "), "---|".repeat(roles.len() + 3));
    let mut service = "";
    for method in matrix["methods"].as_array().unwrap() {
        let of = method["service"].as_str().unwrap();
        if of != service {
            service = of;
            table += &format!("| **{service}** |{}\n", " |".repeat(roles.len() + 2));
        }
        let notes: String = method["notes"].as_array().unwrap().iter().map(|note| format!(" ({note})")).collect();
        let cells: Vec<&str> = method["allowed"].as_array().unwrap().iter().map(cell).collect();
        let requires = match method["requires"].as_str().unwrap() {
            "" => "a known caller",
            requires => requires,
        };
        let name = method["method"].as_str().unwrap();
        let in_workspace = texts(&method["requires_in_workspace"]).join(", ");
        table += &format!("| {name}{notes} | {} | {requires} | {in_workspace} |\n", cells.join(" | "));
    }
    let notes = texts(&matrix["notes"]).into_iter().enumerate();
    let notes: Vec<String> = notes.map(|(at, note)| format!("({}) {note}.", at + 1)).collect();
    format!("{table}\n{}\n", notes.join("  \n"))
}

fn cell(allowed: &Value) -> &'static str {
    match (allowed["live"] == true, allowed["test"] == true, allowed["workspace"].as_bool()) {
        (true, true, None | Some(true)) => "yes",
        (true, true, Some(false)) => "outside",
        (false, true, None | Some(false)) => "TEST",
        (false, false, Some(true)) => "workspace",
        (false, false, _) => "",
        other => panic!("explain {other:?} in the document"),
    }
}

#[test]
fn w5_the_matrix_shows_what_each_role_may_call() {
    let folder = tempfile::tempdir().unwrap();
    let matrix = |roles: &str| worked(&output(rolecall(folder.path()).args(["operators", "matrix", "--roles", roles])));
    let cells = |text: &str, method: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{method} "))).unwrap();
        line.split_whitespace().skip(1).filter(|word| !word.starts_with('(')).map(String::from).collect::<Vec<_>>()
    };
    let text = matrix("propelauth");
    assert_eq!(text, worked(&output(rolecall(folder.path()).args(["operators", "matrix"]))), "the default");
    // Owner, Admin, Developer, Customer Management, Member, ReadOnly.
    let needs = ["orgs.members", "team.manage"];
    assert_eq!(cells(&text, "AddMember"), [&["yes", "yes", "-", "outside", "outside", "-"][..], &needs].concat());
    let needs = ["config.roles_permissions", "team.settings"];
    assert_eq!(cells(&text, "CreateRole"), [&["yes", "outside", "outside", "-", "outside", "-"][..], &needs].concat());
    assert!(text.contains("also needs orgs.members if the request sets `on_disabled.replacements`"), "{text}");
    // Admin, Developer, Support Manager, Support Agent, No Access.
    let text = matrix("stytch");
    assert_eq!(cells(&text, "CreateApiKey")[..5], ["yes", "TEST", "-", "-", "-"]);
    assert_eq!(cells(&text, "SubscribeOrg")[..5], ["yes", "outside", "outside", "-", "-"]);
    assert_eq!(cells(&text, "ListProjects")[..5], ["yes"; 5]);
    assert_eq!(cells(&text, "Check")[..5], ["yes", "yes", "yes", "yes", "workspace"]);
    assert_eq!(cells(&text, "WhoAmI"), ["yes", "yes", "yes", "yes", "yes", "a", "known", "caller"]);
}
