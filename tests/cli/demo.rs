//! `serve --demo`.

use std::path::Path;

use crate::run::{Server, both, grpcurl, shell};
use crate::support::postgres;

const CHECK: &str = "rolecall.v1.CheckService/Check";
const BOB: &str = r#"{"org_id": "globex", "user_id": "bob", "permission": "billing.manage"}"#;
const BEA: &str = r#"{"org_id": "acme", "user_id": "bea", "permission": "billing.manage"}"#;

#[test]
fn every_call_of_the_demo_works_as_printed_on_sqlite() {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    works_as_printed(&grpcurl, folder.path(), "sqlite://rolecall.db");
}

#[tokio::test]
async fn every_call_of_the_demo_works_as_printed_on_postgres() {
    let (Some(grpcurl), Some(database)) = (grpcurl(), postgres::database().await) else { return };
    let folder = tempfile::tempdir().unwrap();
    works_as_printed(&grpcurl, folder.path(), &database);
    assert!(!folder.path().join("rolecall.db").exists());
}

fn works_as_printed(grpcurl: &Path, folder: &Path, database: &str) {
    let mut server = Server::start(folder, &["--database", database, "--demo", "--listen", "unix:it's.sock"]);
    let printed = server.demo();
    assert!(printed.contains("The store was empty"), "{printed}");
    assert!(!printed.contains('\u{1b}'), "no colours without a terminal: {printed}");
    assert!(printed.contains("│ acme   ┆ Free ┆ bea  ┆ Billing Manager   ┆ off"), "{printed}");
    assert!(printed.contains("│ globex ┆ Paid ┆ gil  ┆ Owner             ┆ yes"), "{printed}");
    assert!(printed.contains("│ acme   ┆ Free ┆ max  ┆ Admin (temporary) ┆ yes"), "{printed}");
    assert!(printed.contains("│ acme   ┆ Free ┆ eve  ┆ Member (blocked)  ┆ no"), "{printed}");

    let invited = "\ndora@mail.example is invited to acme as Billing Manager, but cannot accept now\n";
    assert!(printed.contains(invited), "{printed}");

    let mut comment = "";
    let (mut calls, mut explanations) = (0, 0);
    let mut decisions = Vec::new();
    for line in printed.lines() {
        if line.starts_with("# ") {
            comment = line;
        }
        let explain = format!("{} explain ", env!("CARGO_BIN_EXE_rolecall"));
        match () {
            () if line.starts_with("grpcurl ") => calls += 1,
            () if line.starts_with(&explain) => explanations += 1,
            () => continue,
        }
        let output = shell(grpcurl, line);
        assert!(output.status.success(), "{line}\n{}", both(&output));
        if line.contains("/ProvisionMember") {
            assert!(both(&output).contains(r#""MEMBERSHIP_ORIGIN_DOMAIN""#), "{}", both(&output));
        }
        if line.contains("/ListInvitations") {
            for shown in [r#""inviterUserId": "ann""#, r#""unacceptableReason": "ROLE_DISABLED""#] {
                assert!(both(&output).contains(shown), "{}", both(&output));
            }
        }
        if let Some((_, decision)) = comment.split_once("? DECISION_") {
            let answer = format!(r#""decision": "DECISION_{decision}""#);
            assert!(both(&output).contains(&answer), "{comment}\n{line}\n{}", both(&output));
            decisions.push(decision);
        }
    }
    assert_eq!((calls, explanations), (15, 1), "{printed}");
    assert_eq!(decisions, ["ALLOWED", "ROLE_DISABLED", "ALLOWED", "USER_BLOCKED", "ALLOWED"]);
    server.stop();

    let again = Server::start(folder, &["--database", database]);
    assert_eq!(again.printed(), "");
    assert!(again.call(grpcurl, BOB, CHECK).contains("DECISION_ALLOWED"));
    assert!(again.call(grpcurl, BEA, CHECK).contains("DECISION_ALLOWED"), "the move was kept");
    again.stop();
}

#[test]
fn the_demo_changes_nothing_in_a_store_that_holds_its_own_example() {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &["--demo"]);
    server.demo();
    let before = revision(&server, &grpcurl);
    server.stop();
    let mut again = Server::start(folder.path(), &["--demo"]);
    let printed = again.demo();
    assert!(printed.contains("holds data already: the demo changed nothing"), "{printed}");
    assert!(printed.contains("│ acme   ┆ Free ┆ bea  ┆ Billing Manager   ┆ off"), "{printed}");
    assert_eq!(revision(&again, &grpcurl), before);
}

#[test]
fn the_demo_changes_nothing_in_a_store_that_holds_other_data() {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start::<&str>(folder.path(), &[]);
    let made = server.call(&grpcurl, r#"{"org_id": "initech"}"#, "rolecall.v1.OrgService/CreateOrg");
    assert!(made.contains("initech"), "{made}");
    let before = revision(&server, &grpcurl);
    server.stop();
    let mut again = Server::start(folder.path(), &["--demo"]);
    again.wait_for("the demo is printed", |server| server.printed().contains("nothing to show"));
    assert!(again.printed().contains("holds data already: the demo changed nothing"), "{}", again.printed());
    assert_eq!(revision(&again, &grpcurl), before);
    assert!(again.call(&grpcurl, BOB, CHECK).contains("DECISION_ORG_NOT_FOUND"));
}

fn revision(server: &Server, grpcurl: &Path) -> String {
    let info = server.call(grpcurl, "{}", "rolecall.v1.ServerService/GetServerInfo");
    let line = info.lines().find(|line| line.contains(r#""revision""#));
    line.unwrap_or_else(|| panic!("no revision: {info}")).to_owned()
}
