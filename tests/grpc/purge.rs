//! What is deleted is out of reach at once and purged soon after, in chunks, on the record: S5, P6, R4.

use std::time::{Duration, Instant};

use rolecall::domain::collections::hash::HashKey;
use rolecall::domain::commands::group::Commit;
use rolecall::domain::{Change, State};
use rolecall::limits::{Limits, PURGE_ROWS_MAX};
use rolecall::wire::{self, Decision, Environment};

use crate::fixture::{Project, add, roles, row};
use crate::refusals::refused;
use crate::server::{Server, on_both};
use crate::support::on_postgres;

/// Waits until nothing dead is left to purge.
async fn purged(server: &Server) {
    let patience = Instant::now() + Duration::from_secs(30);
    while server.app().engine.pin().state.all_projects().any(|project| project.has_data_to_purge()) {
        assert!(Instant::now() < patience, "what was deleted is not purged");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The State as the tables say it.
async fn loaded(server: &Server) -> State {
    server.app().store.load(HashKey::new([3; 16])).await.unwrap()
}

/// The memberships that a commit took away.
fn taken(commit: &Commit) -> usize {
    let taken = |change: &&Change| matches!(change, Change::Membership(edit) if edit.after.is_none());
    commit.changes.iter().filter(taken).count()
}

async fn fill(project: Project<'_>, org_id: &str, members: usize) {
    let users: Vec<String> = (0..members).map(|user| format!("user-{user}")).collect();
    let rows = users.iter().map(|user| row(org_id, user, add(&["Member"]))).collect();
    project.server.batch_write_members(project.writing(rows)).await.unwrap();
}

async fn delete_org(project: Project<'_>, org_id: &str) -> i32 {
    let request = wire::DeleteOrgRequest { project: project.key.into(), org_id: org_id.into(), ..Default::default() };
    project.server.delete_org(request).await.unwrap().removed_memberships
}

#[test]
fn s5_the_memberships_of_a_deleted_org_are_purged_in_chunks_by_the_system() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.org("globex", "").await;
        let members = PURGE_ROWS_MAX * 2 + 500;
        fill(project, "acme", members).await;
        fill(project, "globex", 10).await;
        let before = server.head().await;
        assert_eq!(delete_org(project, "acme").await, members as i32);
        assert_eq!(project.check("acme", "user-1", "rolecall::can_view_other_members").await, Decision::OrgNotFound);
        refused(project.member("acme", "user-1").await, "ORG_NOT_FOUND");
        purged(server).await;

        let commits = server.commits_since(before).await;
        let (deletion, purges) = commits.split_first().unwrap();
        assert_eq!((deletion.kind.as_ref(), taken(deletion)), ("DeleteOrg", 0));
        assert!(purges.iter().all(|commit| commit.kind.as_ref() == "Purge" && commit.actor.as_ref() == "system"));
        assert!(purges.iter().all(|commit| taken(commit) <= PURGE_ROWS_MAX));
        assert_eq!(purges.iter().map(taken).sum::<usize>(), members);
        let state = loaded(server).await;
        let stored: usize = state.projects().map(|project| project.memberships_len()).sum();
        assert_eq!(stored, 10);
        assert_eq!(project.check("globex", "user-1", "rolecall::can_view_other_members").await, Decision::Allowed);
    });
}

#[test]
fn s5_purging_goes_on_after_a_restart_and_leaves_a_reused_id_alone() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        fill(project, "acme", PURGE_ROWS_MAX * 2).await;
        delete_org(project, "acme").await;
        let again = wire::CreateOrgRequest { org_id: "acme".into(), reuse_deleted_id: true, ..Default::default() };
        server.create_org(again).await.unwrap();
        fill(project, "acme", 20).await;
        let server = server.restarted().await;
        purged(&server).await;
        let project = server.single();
        assert_eq!(project.check("acme", "user-1", "rolecall::can_view_other_members").await, Decision::Allowed);
        let outsider = format!("user-{}", PURGE_ROWS_MAX - 1);
        assert_eq!(project.check("acme", &outsider, "rolecall::can_view_other_members").await, Decision::NotAMember);
        let state = loaded(&server).await;
        assert_eq!(state.projects().map(|project| project.memberships_len()).sum::<usize>(), 20);
    });
}

#[test]
fn p6_all_that_was_in_a_deleted_project_is_purged_and_its_key_stays_taken() {
    on_both(async |server| {
        let project = server.multi().await;
        project.permission("read").await;
        project.role("Clerk").await;
        project.mapping("Paid").await;
        project.grant("Paid", "Clerk", &["read"]).await;
        for org_id in ["acme", "globex", "initech"] {
            project.org(org_id, "Paid").await;
            fill(project, org_id, 30).await;
        }
        delete_org(project, "initech").await;
        let request = wire::DeleteProjectRequest {
            project: "multi".into(),
            confirm: "multi".into(),
            force: true,
            ..Default::default()
        };
        assert_eq!(server.delete_project(request).await.unwrap().deleted_orgs, 2);
        purged(server).await;
        let state = loaded(server).await;
        let dead = state.all_projects().find(|project| project.record.key.as_str() == "multi").unwrap();
        assert!(dead.record.lifecycle.is_purged());
        assert!(dead.roles.is_empty() && dead.permissions.is_empty() && dead.role_mappings.is_empty());
        assert!(dead.role_sets.is_empty() && dead.grants == 0 && dead.orgs_len() == 0 && dead.memberships_len() == 0);
        let create = |reuse_deleted_key| wire::CreateProjectRequest {
            key: "multi".into(),
            environment: Environment::Test.into(),
            reuse_deleted_key,
            ..Default::default()
        };
        refused(server.create_project(create(false)).await, "PROJECT_KEY_RETIRED");
        server.create_project(create(true)).await.unwrap();
        refused(project.member("acme", "user-1").await, "ORG_NOT_FOUND");
    });
}

#[test]
fn r4_who_is_left_without_a_role_is_no_member_and_is_purged() {
    on_both(async |server| {
        let project = server.single();
        let internal = wire::CreateRoleRequest { name: "Support".into(), internal: true, ..Default::default() };
        server.create_role(internal).await.unwrap();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Member"])).await;
        let staff: Vec<String> = (0..PURGE_ROWS_MAX + 20).map(|user| format!("staff-{user}")).collect();
        let rows = staff.iter().map(|user| row("acme", user, add(&["Support"]))).collect();
        server.batch_write_members(project.writing(rows)).await.unwrap();
        let request = wire::DeleteRoleRequest { name: "Support".into(), ..Default::default() };
        let deleted = server.delete_role(request).await.unwrap();
        assert_eq!(deleted.migrated_members, staff.len() as i32);
        assert_eq!(project.check("acme", "staff-7", "rolecall::can_invite").await, Decision::NotAMember);
        refused(project.member("acme", "staff-7").await, "MEMBER_NOT_FOUND");
        // Whoever is waiting to be purged can be added anew.
        project.add("acme", "staff-9", &roles(&["Member"])).await;
        purged(server).await;
        let members = server.list_members(wire::ListMembersRequest { org_id: "acme".into(), ..Default::default() });
        let members: Vec<String> = members.await.unwrap().members.into_iter().map(|member| member.user_id).collect();
        assert_eq!(members, ["ann", "staff-9"]);
        let state = loaded(server).await;
        assert_eq!(state.projects().map(|project| project.memberships_len()).sum::<usize>(), 2);
    });
}

#[test]
fn s5_two_servers_on_one_database_purge_side_by_side_and_each_membership_once() {
    on_postgres(async |database| {
        let one = Server::start(database.url.clone(), Limits::default()).await;
        let other = Server::start(database.url, Limits::default()).await;
        let project = one.single();
        let before = one.head().await;
        let orgs = ["acme", "globex", "initech"];
        for org_id in orgs {
            project.org(org_id, "").await;
            fill(project, org_id, PURGE_ROWS_MAX + 700).await;
        }
        for org_id in orgs {
            delete_org(project, org_id).await;
        }
        purged(&one).await;
        purged(&other).await;
        let commits = one.commits_since(before).await;
        let purged: usize = commits.iter().filter(|commit| commit.kind.as_ref() == "Purge").map(taken).sum();
        assert_eq!(purged, orgs.len() * (PURGE_ROWS_MAX + 700));
        for server in [&one, &other] {
            assert_eq!(loaded(server).await.projects().map(|project| project.memberships_len()).sum::<usize>(), 0);
        }
    });
}
