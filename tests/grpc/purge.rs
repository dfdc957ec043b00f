//! Deleted data is unreachable at once and purged later, in chunks, by recorded commands: S5, P6, R4.

use rolecall::domain::collections::hash::HashKey;
use rolecall::domain::commands::group::Commit;
use rolecall::domain::{Change, State};
use rolecall::limits::{Limits, PURGE_ROWS_MAX};
use rolecall::wire::{self, Decision, Environment};

use crate::fixture::{Project, add, roles, row};
use crate::refusals::refused;
use crate::server::{Server, on_both};
use crate::support::on_postgres;

/// Loads the State from the tables.
async fn loaded(server: &Server) -> State {
    server.app().store.load(HashKey::new([3; 16])).await.unwrap()
}

/// Returns the number of memberships that a commit removed.
fn removed(commit: &Commit) -> usize {
    let removed = |change: &&Change| matches!(change, Change::Membership(edit) if edit.after.is_none());
    commit.changes.iter().filter(removed).count()
}

async fn fill(project: Project<'_>, org_id: &str, members: usize) {
    let users: Vec<String> = (0..members).map(|user| format!("user-{user}")).collect();
    let rows = users.iter().map(|user| row(org_id, user, add(&["Member"]))).collect();
    project.server.batch_write_members(project.writing(rows)).await.unwrap();
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
        assert_eq!(project.delete_org("acme").await, members as i32);
        assert_eq!(project.check("acme", "user-1", "rolecall::can_view_other_members").await, Decision::OrgNotFound);
        refused(project.member("acme", "user-1").await, "ORG_NOT_FOUND");
        server.settled().await;

        let commits = server.commits_since(before).await;
        let (deletion, purges) = commits.split_first().unwrap();
        assert_eq!((deletion.kind.as_ref(), removed(deletion)), ("DeleteOrg", 0));
        assert!(purges.iter().all(|commit| commit.kind.as_ref() == "Purge" && commit.actor.as_ref() == "system"));
        assert!(purges.iter().all(|commit| removed(commit) <= PURGE_ROWS_MAX));
        assert_eq!(purges.iter().map(removed).sum::<usize>(), members);
        let state = loaded(server).await;
        let stored: usize = state.projects().map(|project| project.memberships_len()).sum();
        assert_eq!(stored, 10);
        assert_eq!(project.check("globex", "user-1", "rolecall::can_view_other_members").await, Decision::Allowed);
    });
}

#[test]
fn s5_purging_continues_after_a_restart_and_spares_a_reused_id() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        fill(project, "acme", PURGE_ROWS_MAX * 2).await;
        project.delete_org("acme").await;
        let again = wire::CreateOrgRequest { org_id: "acme".into(), reuse_deleted_id: true, ..Default::default() };
        server.create_org(again).await.unwrap();
        fill(project, "acme", 20).await;
        let server = server.restarted().await;
        server.settled().await;
        let project = server.single();
        assert_eq!(project.check("acme", "user-1", "rolecall::can_view_other_members").await, Decision::Allowed);
        let outsider = format!("user-{}", PURGE_ROWS_MAX - 1);
        assert_eq!(project.check("acme", &outsider, "rolecall::can_view_other_members").await, Decision::NotAMember);
        let state = loaded(&server).await;
        assert_eq!(state.projects().map(|project| project.memberships_len()).sum::<usize>(), 20);
    });
}

#[test]
fn s5_all_invitations_of_a_deleted_org_are_purged() {
    on_both(async |server| {
        let project = server.single();
        for org in ["acme", "globex"] {
            project.org(org, "").await;
            let accepted = project.invite(org, "accepted@acme.example", &[]).await;
            project.accept(&accepted, "bea").await;
            project.invite(org, "pending@acme.example", &[]).await;
        }
        project.delete_org("acme").await;
        server.settled().await;
        assert_eq!(server.count("invitations").await, 2, "those of globex");
        assert_eq!(project.invited("globex", "", &[]).await.len(), 2);
    });
}

#[test]
fn p6_the_data_of_a_deleted_project_is_purged_and_its_key_stays_retired() {
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
        project.delete_org("initech").await;
        let block = wire::BlockUserRequest { project: "multi".into(), user_id: "user-1".into(), ..Default::default() };
        server.block_user(block).await.unwrap();
        let request = wire::DeleteProjectRequest {
            project: "multi".into(),
            confirm: "multi".into(),
            force: true,
            ..Default::default()
        };
        assert_eq!(server.delete_project(request).await.unwrap().deleted_orgs, 2);
        server.settled().await;
        let state = loaded(server).await;
        let purged = state.all_projects().find(|project| project.record.key.as_str() == "multi").unwrap();
        assert!(purged.record.lifecycle.is_purged());
        assert!(purged.roles.is_empty() && purged.permissions.is_empty() && purged.role_mappings.is_empty());
        assert!(
            purged.role_sets.is_empty()
                && purged.grants == 0
                && purged.orgs_len() == 0
                && purged.memberships_len() == 0
                && purged.block_of("user-1").is_none()
        );
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
fn r4_a_user_left_without_roles_is_not_a_member_and_is_purged() {
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
        // A user whose old membership is not purged yet can be added again.
        project.add("acme", "staff-9", &roles(&["Member"])).await;
        server.settled().await;
        let members = server.list_members(wire::ListMembersRequest { org_id: "acme".into(), ..Default::default() });
        let members: Vec<String> = members.await.unwrap().members.into_iter().map(|member| member.user_id).collect();
        assert_eq!(members, ["ann", "staff-9"]);
        let state = loaded(server).await;
        assert_eq!(state.projects().map(|project| project.memberships_len()).sum::<usize>(), 2);
    });
}

#[test]
fn s5_two_servers_on_one_database_purge_each_membership_once() {
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
            project.delete_org(org_id).await;
        }
        one.settled().await;
        other.settled().await;
        let commits = one.commits_since(before).await;
        let purged: usize = commits.iter().filter(|commit| commit.kind.as_ref() == "Purge").map(removed).sum();
        assert_eq!(purged, orgs.len() * (PURGE_ROWS_MAX + 700));
        for server in [&one, &other] {
            assert_eq!(loaded(server).await.projects().map(|project| project.memberships_len()).sum::<usize>(), 0);
        }
    });
}
