//! Consistency of checks: K4 and K5.

use std::time::{Duration, Instant};

use prost::Message;
use rolecall::engine::Token;
use rolecall::limits::Limits;
use rolecall::wire::{self, Decision, consistency::Requirement};

use crate::fixture::roles;
use crate::refusals::refused;
use crate::server::{Server, on_both};
use crate::support::on_postgres;

const PERMISSION: &str = "rolecall::can_view_other_members";

fn checking(requirement: Requirement) -> wire::CheckRequest {
    wire::CheckRequest { consistency: Some(wire::Consistency { requirement: Some(requirement) }), ..asking() }
}

fn batch_checking(requirement: Requirement) -> wire::BatchCheckRequest {
    wire::BatchCheckRequest {
        consistency: Some(wire::Consistency { requirement: Some(requirement) }),
        ..Default::default()
    }
}

fn asking() -> wire::CheckRequest {
    wire::CheckRequest {
        org_id: "acme".into(),
        user_id: "ann".into(),
        question: Some(wire::check_request::Question::Permission(PERMISSION.into())),
        ..Default::default()
    }
}

fn at_least(token: &str) -> Requirement {
    Requirement::AtLeast(token.into())
}

/// Returns a token of this store that is `revisions` ahead of the database.
async fn ahead(server: &Server, revisions: u64) -> String {
    let now = Token::decode(&server.token().await).unwrap();
    Token { number: now.number + revisions, ..now }.encode()
}

#[test]
fn k4_every_response_carries_the_revision_it_was_read_at() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let written = server.add_member(project.adding("acme", "ann", &[])).await.unwrap().revision;
        assert_eq!(written, server.token().await);
        for requirement in [Requirement::Any(true), at_least(&written), Requirement::Latest(true)] {
            let answer = server.check(checking(requirement.clone())).await.unwrap();
            assert_eq!((answer.revision.as_str(), answer.decision()), (written.as_str(), Decision::Allowed));
            assert_eq!(server.batch_check(batch_checking(requirement)).await.unwrap().revision, written);
        }
        assert_eq!(server.check(asking()).await.unwrap().revision, written);
        let unset = wire::CheckRequest { consistency: Some(wire::Consistency::default()), ..asking() };
        assert_eq!(server.check(unset).await.unwrap().revision, written);
    });
}

#[test]
fn k4_a_requirement_of_a_newer_client_is_refused() {
    on_both(async |server| {
        let raw = server.raw().await;
        let ask = |consistency: &[u8]| {
            let mut request = asking().encode_to_vec();
            // Field 20 of the request.
            request.extend([0xa2, 0x01]);
            request.push(consistency.len() as u8);
            request.extend(consistency);
            request
        };
        raw.call("rolecall.v1.CheckService/Check", &ask(b"")).await.unwrap();
        raw.call("rolecall.v1.CheckService/Check", &ask(b"\x08\x01")).await.unwrap();
        for newer in [&b"\x20\x01"[..], b"\x20\x01\x08\x01", b"\x08\x01\x20\x01", b"\x2a\x03abc"] {
            let refused = refused(raw.call("rolecall.v1.CheckService/Check", &ask(newer)).await, "INVALID_FIELD");
            assert_eq!(refused.fields(), ["consistency"]);
        }
    });
}

#[test]
fn k4_a_revision_ahead_of_the_database_is_refused_at_once() {
    on_both(async |server| {
        // After a backup was restored clients may hold revisions that it does not contain.
        for lost in [1, 1_000] {
            let token = ahead(server, lost).await;
            let began = Instant::now();
            refused(server.check(checking(at_least(&token))).await, "REVISION_OF_ANOTHER_HISTORY");
            refused(server.batch_check(batch_checking(at_least(&token))).await, "REVISION_OF_ANOTHER_HISTORY");
            assert!(began.elapsed() < Duration::from_secs(8), "it waited");
        }
    });
}

#[test]
fn k4_a_revision_not_reached_by_the_deadline_is_unavailable() {
    on_both(async |server| {
        let raw = server.raw().await;
        let token = ahead(server, 1_000).await;
        // Only the database can tell a revision that does not exist from one that comes late.
        server.app().store.clone().close().await;
        let check = checking(at_least(&token)).encode_to_vec();
        let batch = batch_checking(at_least(&token)).encode_to_vec();
        for (method, request) in [("Check", check), ("BatchCheck", batch)] {
            let began = Instant::now();
            let answer = raw.call_within("300m", &format!("rolecall.v1.CheckService/{method}"), &request).await;
            refused(answer, "REVISION_NOT_REACHED");
            let waited = began.elapsed();
            assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
        }
    });
}

#[test]
fn k4_a_revision_of_another_store_or_history_is_refused_at_once() {
    on_both(async |server| {
        server.single().org("acme", "").await;
        let folder = tempfile::tempdir().unwrap();
        let other = format!("sqlite://{}", folder.path().join("other.db").display());
        let other = Server::start(other, Limits::default()).await;
        let here = Token::decode(&server.token().await).unwrap();
        let tampered = Token { tag: here.tag ^ 1, ..here }.encode();
        let first = Token { number: 1, ..here }.encode();
        let foreign_and_ahead =
            Token { number: here.number + 50, ..Token::decode(&other.token().await).unwrap() }.encode();
        for token in [other.token().await, tampered, first, foreign_and_ahead] {
            let began = Instant::now();
            let refused_check = refused(server.check(checking(at_least(&token))).await, "REVISION_OF_ANOTHER_HISTORY");
            assert_eq!(refused_check.subjects(), ["revision"]);
            refused(server.batch_check(batch_checking(at_least(&token))).await, "REVISION_OF_ANOTHER_HISTORY");
            assert!(began.elapsed() < Duration::from_secs(8), "it waited");
        }
    });
}

#[test]
fn k4_after_a_restart_old_revisions_are_accepted_and_tampered_ones_refused() {
    on_both(async |server| {
        let old = server.token().await;
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &[]).await;
        let server = server.restarted().await;
        let answer = server.check(checking(at_least(&old))).await.unwrap();
        assert_eq!((answer.revision, answer.allowed), (server.token().await, true));
        let token = Token::decode(&old).unwrap();
        let tampered = Token { tag: token.tag ^ 1, ..token }.encode();
        refused(server.check(checking(at_least(&tampered))).await, "REVISION_OF_ANOTHER_HISTORY");
    });
}

#[test]
fn k5_after_a_write_every_later_check_on_the_same_server_sees_it() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        for round in 0..20 {
            project.add("acme", "ann", &roles(&["Member"])).await;
            assert_eq!(project.check("acme", "ann", PERMISSION).await, Decision::Allowed, "round {round}");
            project.remove("acme", "ann").await;
            assert_eq!(project.check("acme", "ann", PERMISSION).await, Decision::NotAMember, "round {round}");
        }
    });
}

#[test]
fn k4_reads_of_another_server_see_a_write_when_they_ask_for_its_revision() {
    on_postgres(async |database| {
        let here = Server::start(database.url.clone(), Limits::default()).await;
        let there = Server::start(database.url.clone(), Limits::default()).await;
        let project = here.single();
        project.org("acme", "").await;
        for round in 0..5 {
            let name = format!("Role {round}");
            let created = here.create_role(project.creating_role(&name)).await.unwrap().revision;
            let at_least = |token: &str| Some(wire::Consistency { requirement: Some(at_least(token)) });
            let role =
                wire::GetRoleRequest { name: name.clone(), consistency: at_least(&created), ..Default::default() };
            assert_eq!(there.get_role(role).await.unwrap().role.unwrap().name, name);
            let user = format!("user-{round}");
            let added = here.add_member(project.adding("acme", &user, &roles(&[&name]))).await.unwrap();
            let list = wire::ListMembersRequest {
                org_id: "acme".into(),
                role: name,
                consistency: at_least(&added.revision),
                ..Default::default()
            };
            let listed = there.list_members(list).await.unwrap().members;
            assert_eq!(listed, [added.member.map(|it| wire::Member { revision: added.revision, ..it }).unwrap()]);
            let manageable = wire::ListManageableRolesRequest {
                org_id: "acme".into(),
                acting_user_id: user,
                consistency: at_least(&listed[0].revision),
                ..Default::default()
            };
            there.list_manageable_roles(manageable).await.unwrap();
            let latest = Some(wire::Consistency { requirement: Some(Requirement::Latest(true)) });
            let projects = wire::ListProjectsRequest { consistency: latest, ..Default::default() };
            assert_eq!(there.list_projects(projects).await.unwrap().revision, here.token().await);
        }
    });
}

#[test]
fn k5_another_server_on_the_same_database_sees_a_write_when_asked_for_its_revision() {
    on_postgres(async |database| {
        let here = Server::start(database.url.clone(), Limits::default()).await;
        let there = Server::start(database.url.clone(), Limits::default()).await;
        here.single().org("acme", "").await;
        for round in 0..5 {
            let added = here.add_member(here.single().adding("acme", "ann", &[])).await.unwrap().revision;
            let answer = there.check(checking(at_least(&added))).await.unwrap();
            assert!(answer.allowed, "round {round}: {answer:?}");
            here.single().remove("acme", "ann").await;
            let answer = there.check(checking(Requirement::Latest(true))).await.unwrap();
            assert_eq!(answer.decision(), Decision::NotAMember, "round {round}");
            assert_eq!(answer.revision, here.token().await);
        }
        // Both servers write, and both have the same history.
        let written = there.add_member(there.single().adding("acme", "bob", &[])).await.unwrap().revision;
        assert_eq!(here.check(checking(at_least(&written))).await.unwrap().revision, written);
        let info = async |server: &Server| server.get_server_info(wire::GetServerInfoRequest {}).await.unwrap();
        assert_eq!(info(&here).await.store_id, info(&there).await.store_id);
    });
}
