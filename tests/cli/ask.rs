//! `rolecall check`, `who-can`, `manageable` and `mappings`, against a server that holds the example of the demo.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::run::{Server, both, grpcurl, output, rolecall, shell};

const BEA: [&str; 5] = ["check", "bea", "billing.manage", "--org", "acme"];
const BOB: [&str; 5] = ["check", "bob", "billing.manage", "--org", "globex"];

/// A server that holds the example of the demo.
pub struct Demo {
    pub server: Server,
    folder: TempDir,
}

impl Demo {
    pub fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::start(folder.path(), &[&["--demo"], args].concat());
        server.demo();
        Self { server, folder }
    }

    pub fn ask(&self, args: &[&str]) -> Output {
        output(rolecall(self.folder.path()).args(args).env("ROLECALL_SERVER", &self.server.address))
    }

    /// Returns the standard output of a command, which must exit with this code and print no error.
    pub fn says(&self, code: i32, args: &[&str]) -> String {
        let finished = self.ask(args);
        assert_eq!(finished.status.code(), Some(code), "{args:?}: {}", both(&finished));
        assert_eq!(String::from_utf8_lossy(&finished.stderr), "", "{args:?}");
        String::from_utf8(finished.stdout).unwrap()
    }

    pub fn json(&self, code: i32, args: &[&str]) -> Value {
        let text = self.says(code, &[args, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    #[track_caller]
    pub fn refuses(&self, args: &[&str], says: &[&str]) {
        refused(&self.ask(args), says);
    }
}

/// Checks that a command without an answer exits with 2 and prints only an error and a next step.
#[track_caller]
fn refused(finished: &Output, says: &[&str]) {
    refused_with(2, finished, says);
}

/// The same, with another exit code.
#[track_caller]
pub fn refused_with(code: i32, finished: &Output, says: &[&str]) {
    let printed = both(finished);
    assert_eq!(finished.status.code(), Some(code), "{printed}");
    assert_eq!(String::from_utf8_lossy(&finished.stdout), "", "{printed}");
    assert!(printed.starts_with("error: "), "{printed}");
    assert!(printed.lines().nth(1).is_some_and(|line| line.starts_with("next: ")), "{printed}");
    for part in says {
        assert!(printed.contains(part), "`{part}` is not in: {printed}");
    }
}

#[test]
fn a_check_exits_with_its_answer() {
    let demo = Demo::start(&[]);
    assert_eq!(demo.says(0, &BOB), "allowed\n");
    let denied = "denied ROLE_DISABLED: a role of the user grants it, but is disabled in the org's role mapping\n";
    assert_eq!(demo.says(1, &BEA), denied);
    for (code, args) in [
        (0, &["bob", "--role", "Billing Manager", "--org", "globex"][..]),
        (1, &["bob", "--role", "Admin", "--org", "globex"]),
        (0, &["bob", "--at-least", "Member", "--org", "globex"]),
        (1, &["bob", "--at-least", "Admin", "--org", "globex"]),
        (0, &["bob", "billing.manage", "reports.view", "--all", "--org", "globex"]),
        (1, &["bob", "billing.manage", "sso.configure", "--all", "--org", "globex"]),
        (0, &["bob", "billing.manage", "sso.configure", "--any", "--org", "globex"]),
        (1, &["nobody", "reports.view", "--org", "globex"]),
        (1, &["bob", "reports.view", "--org", "nowhere"]),
    ] {
        let said = demo.says(code, &[&["check"], args].concat());
        assert!(said.starts_with(if code == 0 { "allowed" } else { "denied" }), "{args:?}: {said}");
    }
}

#[test]
fn a_check_without_an_answer_exits_with_2() {
    let demo = Demo::start(&[]);
    let unknown = ["check", "bob", "x", "--org", "globex", "--project", "nowhere"];
    demo.refuses(&unknown, &["NOT_FOUND PROJECT_NOT_FOUND: ", "`nowhere`", "--project"]);
    demo.refuses(&["check", "bob smith", "x", "--org", "globex"], &["INVALID_ARGUMENT INVALID_FIELD: ", "user_id"]);
    demo.refuses(&["check", "bob", "a", "b", "--org", "globex"], &["2 permissions", "--all", "--any"]);
    for wrong in [
        &["check", "bob", "--org", "globex"][..],
        &["check", "bob", "a"],
        &["check", "bob", "a", "--role", "Admin", "--org", "globex"],
        &["check", "bob", "a", "b", "--all", "--any", "--org", "globex"],
        &["check", "bob", "--role", "Admin", "--all", "--org", "globex"],
        &["check", "bob", "a", "--org", "globex", "--server", "nonsense"],
    ] {
        let finished = demo.ask(wrong);
        assert_eq!(finished.status.code(), Some(2), "{wrong:?}: {}", both(&finished));
    }
}

#[test]
fn the_help_lists_the_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let help = |args: &[&str]| both(&output(rolecall(folder.path()).args(args)));
    let long = help(&["check", "--help"]);
    for line in ["  0  allowed", "  1  denied", "  2  no answer"] {
        assert!(long.contains(line), "{long}");
    }
    let short = help(&["check", "-h"]);
    assert!(short.contains("0 allowed; 1 denied; 2 no answer"), "{short}");
    for args in [
        &["who-can", "--help"][..],
        &["manageable", "-h"],
        &["mappings", "list", "--help"],
        &["mappings", "diff", "-h"],
    ] {
        let help = help(args);
        assert!(help.contains("0 answered") && help.contains("2 no answer"), "{help}");
    }
}

#[test]
fn an_unknown_name_suggests_the_nearest_known_one() {
    let demo = Demo::start(&[]);
    let said = demo.says(1, &["check", "bob", "biling.manage", "--org", "globex"]);
    assert!(said.contains("UNKNOWN_PERMISSION") && said.contains("did you mean `billing.manage`?"), "{said}");
    let said =
        demo.says(1, &["check", "bob", "reports.view", "sso.config", "sso.confgure", "--any", "--org", "nowhere"]);
    assert!(said.contains("ORG_NOT_FOUND") && !said.contains("did you mean"), "{said}");
    let said = demo.says(1, &["check", "bob", "reports.view", "sso.confgure", "--all", "--org", "globex"]);
    assert!(said.contains("did you mean `sso.configure`?"), "{said}");
    let said = demo.json(1, &["check", "bob", "--at-least", "Admn", "--org", "globex"]);
    assert_eq!(said["suggestion"], "Admin", "{said}");
    let not_found =
        |noun: &str, meant: &str| [format!("NOT_FOUND {noun}_NOT_FOUND: "), format!("did you mean `{meant}`?")];
    for (args, noun, meant) in [
        (&["who-can", "report.view", "--org", "acme"][..], "PERMISSION", "reports.view"),
        (&["mappings", "show", "Payd"], "ROLE_MAPPING", "Paid"),
        (&["mappings", "show", "Paid", "--role", "Ownr"], "ROLE", "Owner"),
        (&["mappings", "diff", "Free", "Payd"], "ROLE_MAPPING", "Paid"),
    ] {
        let says = not_found(noun, meant);
        demo.refuses(args, &[&says[0], &says[1]]);
        demo.refuses(&[args, &["--json"]].concat(), &[&says[0], &says[1]]);
    }
    demo.refuses(&["who-can", "reports.view", "--org", "nowhere"], &["NOT_FOUND ORG_NOT_FOUND: ", "--project"]);
}

#[test]
fn json_contains_all_that_text_does() {
    let demo = Demo::start(&[]);
    let mut check = demo.json(1, &BEA);
    for output in ["revision", "evaluated_at"] {
        assert!(check[output].as_str().is_some_and(|text| !text.is_empty()), "{check}");
        check.as_object_mut().unwrap().remove(output);
    }
    assert_eq!(
        check,
        json!({"project": "default", "org_id": "acme", "user_id": "bea", "permission": "billing.manage",
            "allowed": false, "decision": "DECISION_ROLE_DISABLED"})
    );
    let both = ["check", "bob", "reports.view", "billing.view", "--any", "--org", "globex"];
    assert_eq!(demo.json(0, &both)["any_of"], json!(["reports.view", "billing.view"]));

    let mut who = demo.json(0, &["who-can", "billing.manage", "--org", "globex"]);
    for member in who["members"].as_array_mut().unwrap() {
        let revision = member.as_object_mut().unwrap().remove("revision");
        assert!(revision.is_some_and(|revision| revision.is_string()), "{member}");
    }
    let direct = "MEMBERSHIP_ORIGIN_DIRECT";
    let member = |user_id: &str, role: &str| {
        let role = json!({"role": role, "state": "MEMBER_ROLE_STATE_LIVE", "origin": direct});
        json!({"org_id": "globex", "user_id": user_id, "roles": [role], "origin": direct})
    };
    assert_eq!(who["members"], json!([member("bob", "Billing Manager"), member("gil", "Owner")]));
    let nobody = demo.json(0, &["who-can", "sso.configure", "--org", "acme"]);
    assert_eq!(nobody["members"], json!([]));

    let list = demo.json(0, &["mappings", "list"]);
    let paid = &list["role_mappings"][2];
    assert_eq!((&paid["name"], &paid["is_default"]), (&json!("Paid"), &json!(false)), "{list}");
    assert_eq!(paid["subscriber_count"], 1, "{list}");
    assert_eq!(list["role_mappings"][1]["disabled_roles"], json!(["Billing Manager"]), "{list}");

    let show = demo.json(0, &["mappings", "show", "Free", "--role", "Member", "--role", "Billing Manager"]);
    assert_eq!(show["role_mapping"]["name"], "Free");
    assert_eq!(show["role_mapping"]["subscriber_count"], 1);
    assert_eq!(
        show["rows"][0],
        json!({"role": "Billing Manager", "enabled": false,
            "permissions": ["billing.manage", "billing.view", "reports.view"]})
    );

    let diff = demo.json(0, &["mappings", "diff", "Free", "Paid"]);
    assert_eq!(diff["roles"].as_array().unwrap().len(), 3, "{diff}");
    assert_eq!(
        diff["roles"][2],
        json!({"role": "Billing Manager", "enabled_left": false, "enabled_right": true, "only_left": [],
            "only_right": ["reports.export"], "both": ["billing.manage", "billing.view", "reports.view"]})
    );
    let all = demo.json(0, &["mappings", "diff", "Free", "Paid", "--all"]);
    assert_eq!(all["roles"].as_array().unwrap().len(), 4, "{all}");
}

#[test]
fn tables_are_aligned_and_plain_without_a_terminal() {
    let demo = Demo::start(&[]);
    let table = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(
        demo.says(0, &["who-can", "billing.manage", "--org", "globex"]),
        table(&["USER  ROLES", "bob   Billing Manager", "gil   Owner"])
    );
    assert_eq!(
        demo.says(0, &["mappings", "show", "Free", "--role", "Member", "--role", "Billing Manager"]),
        table(&[
            "ROLE             ENABLED   PERMISSIONS",
            "Billing Manager  disabled  billing.manage, billing.view, reports.view",
            "Member           enabled   reports.view, rolecall::can_view_other_members",
        ])
    );
    assert_eq!(
        demo.says(0, &["mappings", "diff", "Free", "Paid"]),
        table(&[
            "ROLE             IN Free   IN Paid  ONLY IN Free  ONLY IN Paid                   BOTH",
            "Owner            enabled   enabled                reports.export, sso.configure    13",
            "Admin            enabled   enabled                billing.view, reports.export      9",
            "Billing Manager  disabled  enabled                reports.export                    3",
        ])
    );
    let list = demo.says(0, &["mappings", "list"]);
    assert!(
        list.starts_with("NAME     DEFAULT  ORGS  GRANTS  DISABLED ROLES   DESCRIPTION\nDefault  default     0 "),
        "{list}"
    );
    let same = demo.ask(&["mappings", "diff", "Free", "Free"]);
    assert_eq!(both(&same), "`Free` and `Free` do not differ; --all shows every role\n");
    assert_eq!(same.status.code(), Some(0));
}

#[test]
fn k7_an_explanation_is_a_tree_and_names_the_plan_that_would_allow_it() {
    let demo = Demo::start(&[]);
    let tree = [
        "bea",
        "├─ org acme on Free",
        "├─ role Billing Manager (suspended): grants it, but is not live",
        "├─ denied ROLE_DISABLED: a role of the user grants it, but is disabled in the org's role mapping",
        "└─ would be allowed on: Paid",
    ];
    let said = demo.says(0, &["explain", "bea", "billing.manage", "--org", "acme"]);
    assert_eq!(said.lines().collect::<Vec<_>>(), tree);
    let mut explained = demo.json(0, &["explain", "bea", "billing.manage", "--org", "acme"]);
    let object = explained.as_object_mut().unwrap();
    assert!(object.remove("revision").is_some() && object.remove("evaluated_at").is_some());
    assert!(object.remove("role_mapping_etag").is_some());
    let role = json!({"role": "Billing Manager", "state": "MEMBER_ROLE_STATE_SUSPENDED",
        "origin": "MEMBERSHIP_ORIGIN_DIRECT"});
    assert_eq!(
        explained,
        json!({"project": "default", "org_id": "acme", "user_id": "bea", "permission": "billing.manage",
            "allowed": false, "decision": "DECISION_ROLE_DISABLED", "role_mapping": "Free",
            "roles": [{"role": role, "grants": true, "fallback_role_grants": false}],
            "allowed_on": ["Paid"], "allowed_on_total": 1, "permissions": []})
    );
}

#[test]
fn k8_access_is_shown_with_the_plan() {
    let demo = Demo::start(&[]);
    let said = demo.says(0, &["access", "bob", "--org", "globex"]);
    for part in ["plan", "Paid", "Billing Manager", "Billing Manager, Member", "billing.manage"] {
        assert!(said.contains(part), "{said}");
    }
    let access = demo.json(0, &["access", "bob", "--org", "globex"]);
    assert_eq!(access["access"]["role_mapping"], "Paid");
    assert_eq!(access["access"]["at_least_roles"], json!(["Billing Manager", "Member"]));
    demo.refuses(&["access", "nobody", "--org", "globex"], &["NOT_FOUND MEMBER_NOT_FOUND: "]);
}

#[test]
fn b4_members_and_orgs_are_tables() {
    let demo = Demo::start(&[]);
    let owners = demo.says(0, &["members", "globex", "--role", "Owner"]);
    assert_eq!(owners, "USER  ROLES\ngil   Owner\n");
    let members = demo.json(0, &["members", "acme"]);
    assert!(members["members"].as_array().unwrap().iter().any(|member| member["user_id"] == "bea"), "{members}");
    demo.refuses(&["members", "nowhere"], &["NOT_FOUND ORG_NOT_FOUND: "]);
    let orgs = demo.says(0, &["orgs", "bob"]);
    assert!(orgs.starts_with("ORG     PLAN  ROLES            PERMISSIONS\nglobex  Paid  Billing Manager"), "{orgs}");
    let orgs = demo.json(0, &["orgs", "bob"]);
    assert_eq!(orgs["memberships"][0]["access"]["at_least_roles"], json!(["Billing Manager", "Member"]));
    assert_eq!(demo.json(0, &["orgs", "nobody"])["memberships"], json!([]));
}

#[test]
fn v1_invite_creates_an_invitation_and_invitations_lists_it() {
    let demo = Demo::start(&[]);
    let nothing = demo.ask(&["invitations", "--org", "globex"]);
    assert_eq!((nothing.status.code(), both(&nothing)), (Some(0), "`globex` has no invitations\n".to_string()));
    let said = demo.says(0, &["invite", "Dora@Acme.example", "--org", "globex", "--role", "Admin", "--as", "gil"]);
    assert!(said.starts_with("Invited dora@acme.example to globex as Admin, until "), "{said}");
    let list = demo.says(0, &["invitations", "--org", "globex"]);
    let lines: Vec<&str> = list.lines().collect();
    let [head, row] = lines[..] else { panic!("{list}") };
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), ["EMAIL", "ROLES", "STATE", "EXPIRES", "ID"]);
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(row[..3], ["dora@acme.example", "Admin", "pending"]);
    assert!(said.ends_with(&format!("until {}.\ninvitation_id {}\n", row[3], row[4])), "{said}{list}");

    let again = ["invite", "dora@acme.example", "--org", "globex"];
    refused_with(1, &demo.ask(&again), &["ALREADY_EXISTS INVITATION_ALREADY_EXISTS: "]);
    let by_member = [&again[..], &["--as", "mia", "--role", "Owner"]].concat();
    refused_with(1, &demo.ask(&by_member), &["PERMISSION_DENIED ROLE_OUT_OF_SCOPE: "]);
    let mut replaced = demo.json(0, &[&again[..], &["--replace", "--expires-in", "12h"]].concat());
    let invitation = replaced["invitation"].as_object_mut().unwrap();
    let time = |name: &str| invitation[name].as_str().unwrap().parse::<prost_types::Timestamp>().unwrap().seconds;
    assert!((12 * 3_600 - 60..=12 * 3_600 + 60).contains(&(time("expire_time") - time("create_time"))));
    for name in ["invitation_id", "expire_time", "create_time"] {
        assert!(invitation.remove(name).is_some(), "{name}");
    }
    assert_eq!(
        replaced["invitation"],
        json!({"org_id": "globex", "email": "dora@acme.example", "roles": ["Member"],
            "state": "INVITATION_STATE_PENDING", "acceptable": true})
    );
    let states: Vec<Value> = demo.json(0, &["invitations", "--org", "globex"])["invitations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|invitation| invitation["state"].clone())
        .collect();
    assert_eq!(states, ["INVITATION_STATE_REVOKED", "INVITATION_STATE_PENDING"]);

    demo.refuses(&["invite", "no address", "--org", "globex"], &["INVALID_ARGUMENT INVALID_FIELD: "]);
    demo.refuses(&["invite", "eve@acme.example", "--org", "nowhere"], &["NOT_FOUND ORG_NOT_FOUND: "]);
    demo.refuses(&["invitations", "--org", "nowhere"], &["NOT_FOUND ORG_NOT_FOUND: "]);
    let late = ["invite", "eve@acme.example", "--org", "globex", "--expires-in", "91d"];
    demo.refuses(&late, &["INVALID_ARGUMENT INVITATION_EXPIRY_TOO_LATE: "]);
    let usage = demo.ask(&["invite", "eve@acme.example", "--org", "globex", "--expires-in", "soon"]);
    assert!(usage.status.code() == Some(2) && both(&usage).contains("`7d`"), "{}", both(&usage));
}

#[test]
fn u4_insights_are_a_table_and_checks_of_the_command_line_do_not_count() {
    let demo = Demo::start(&[]);
    assert_eq!(demo.says(0, &BOB), "allowed\n");
    let said = demo.says(0, &["insights"]);
    for part in ["default ", "NUMBER\n", "orgs                    2\n", "active orgs today       0\n"] {
        assert!(said.contains(part), "{said}");
    }
    let shown = demo.json(0, &["insights"]);
    assert_eq!(
        (&shown["project"], &shown["orgs"], &shown["monthly_active_orgs"]),
        (&json!("default"), &json!(2), &json!(0))
    );
    demo.refuses(&["insights", "--project", "nowhere"], &["NOT_FOUND PROJECT_NOT_FOUND: "]);
}

#[test]
fn g5_manageable_roles_are_a_table() {
    let demo = Demo::start(&[]);
    let table = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(
        demo.says(0, &["manageable", "globex", "mia"]),
        table(&[
            "ROLE             INVITE  GIVE  TAKE",
            "Owner            no      no    no",
            "Admin            no      no    no",
            "Billing Manager  yes     yes   yes",
            "Member           yes     yes   yes",
            "mia may remove members from globex",
        ])
    );
    // The plan of acme disables Billing Manager: the role can be taken, but not given.
    let about_bea = demo.json(0, &["manageable", "acme", "ben", "bea"]);
    assert_eq!((&about_bea["target_user_id"], &about_bea["remove"]), (&json!("bea"), &json!(true)), "{about_bea}");
    let member = json!({"role": "Member", "invite": false, "give": true, "take": false});
    assert_eq!(about_bea["roles"][3], member, "{about_bea}");
    let about_gil = demo.says(0, &["manageable", "globex", "mia", "gil"]);
    assert!(about_gil.ends_with("\nmia may not remove gil from globex\n"), "{about_gil}");
    demo.refuses(&["manageable", "globex", "zoe"], &["PERMISSION_DENIED ACTING_USER_NOT_A_MEMBER: ", "`zoe`"]);
    demo.refuses(&["manageable", "nowhere", "mia"], &["NOT_FOUND ORG_NOT_FOUND: ", "--project"]);
}

#[test]
fn colours_need_a_terminal_unless_they_are_forced() {
    let demo = Demo::start(&[]);
    let ask = |args: &[&str], set: &[(&str, &str)]| {
        let mut command = rolecall(demo.folder.path());
        command.args(args).env("ROLECALL_SERVER", &demo.server.address).envs(set.iter().copied());
        both(&output(&mut command))
    };
    for args in [&BEA[..], &["mappings", "diff", "Free", "Paid"], &["mappings", "show", "None"]] {
        let plain = ask(args, &[]);
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
        let forced = ask(args, &[("CLICOLOR_FORCE", "1")]);
        assert!(forced.contains('\u{1b}'), "{forced:?}");
        assert_eq!(ask(args, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), plain);
    }
    let json = ask(&["mappings", "list", "--json"], &[("CLICOLOR_FORCE", "1")]);
    assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json:?}");
}

#[test]
fn a_server_is_found_by_flag_and_by_either_variable() {
    let demo = Demo::start(&["--listen", "unix:r.sock"]);
    let allowed = |command: &mut std::process::Command| {
        let finished = output(command);
        assert_eq!(both(&finished), "allowed\n", "{command:?}");
    };
    let check = || {
        let mut command = rolecall(demo.folder.path());
        command.args(BOB);
        command
    };
    let tcp = demo.server.address.as_str();
    let both_addresses = format!("unix:r.sock,{tcp}");
    for server in [tcp, "unix:r.sock"] {
        allowed(check().args(["--server", server]));
        allowed(check().env("ROLECALL_SERVER", server));
        allowed(check().env("ROLECALL_LISTEN", server));
    }
    allowed(check().env("ROLECALL_LISTEN", &both_addresses));
    allowed(check().args(["--server", tcp]).env("ROLECALL_SERVER", "127.0.0.1:1"));
    allowed(check().env("ROLECALL_SERVER", tcp).env("ROLECALL_LISTEN", "127.0.0.1:1"));
    refused(&output(check().env("ROLECALL_LISTEN", "nonsense")), &["`nonsense` in ROLECALL_LISTEN"]);
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let check = |server: &str| {
        output(
            rolecall(folder.path()).args(BOB).args(["--server", server, "--timeout", "1"]).env("RUST_BACKTRACE", "1"),
        )
    };
    refused(&check("127.0.0.1:1"), &["127.0.0.1:1 does not answer", "refused", "rolecall serve", "--server"]);
    refused(&check("unix:none.sock"), &["unix:none.sock does not answer", "No such file", "--server"]);
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap().to_string();
    refused(&check(&address), &[&address, "within 1 s", "--timeout"]);

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in other.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    refused(&check(&address), &[&address, "--server"]);
}

#[test]
fn all_pages_of_a_list_are_read() {
    let Some(grpcurl) = grpcurl() else { return };
    let demo = Demo::start(&[]);
    let mut expected: Vec<String> = Vec::new();
    for hundred in 0..24 {
        let users: Vec<String> = (0..100).map(|number| format!("user-{:04}", hundred * 100 + number)).collect();
        let rows: Vec<Value> = users.iter().map(|id| json!({"org_id": "globex", "user_id": id, "add": {}})).collect();
        let body = json!({"rows": rows}).to_string();
        let wrote = demo.server.call(&grpcurl, &body, "rolecall.v1.MembershipService/BatchWriteMembers");
        assert!(wrote.contains(r#""added": 100"#), "{wrote}");
        expected.extend(users);
    }
    let who = demo.json(0, &["who-can", "reports.view", "--org", "globex"]);
    let found = who["members"].as_array().unwrap().iter().map(|member| member["user_id"].as_str().unwrap().to_string());
    let found: Vec<String> = found.filter(|id| id.starts_with("user-")).collect();
    assert_eq!(found, expected);
    let text = demo.says(0, &["who-can", "reports.view", "--org", "globex"]);
    assert_eq!(text.lines().filter(|line| line.ends_with("  Member")).count(), 2_401, "these users and meg");
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let demo = Demo::start(&[]);
    let run = |line: &str| {
        let line = line.replace("rolecall", &format!("'{}'", env!("CARGO_BIN_EXE_rolecall")));
        shell(Path::new("/bin/true"), &format!("{line} --server {}", demo.server.address))
    };
    let full = run("exec >/dev/full; rolecall check bob billing.manage --org globex");
    refused(&full, &["cannot be written", "No space left"]);
}
