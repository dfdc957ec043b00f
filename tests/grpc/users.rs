//! Blocked and deleted users: U1, U2, U3, and the parts of G1, I2, I4, K1 and K2 about blocked users.

use rolecall::wire::{self, Decision};

use crate::fixture::{Project, add, in_an_hour, micros, role, roles, row, set, temporary};
use crate::refusals::refused;
use crate::server::{Server, on_both};

async fn acme(server: &Server) -> Project<'_> {
    let project = server.single();
    project.permission("read").await;
    project.grant("Default", "Member", &["read"]).await;
    project.org_with_owner("acme", "ann").await;
    project.add("acme", "bob", &roles(&["Member"])).await;
    project
}

impl Project<'_> {
    async fn block(&self, user_id: &str) -> wire::User {
        let request =
            wire::BlockUserRequest { project: self.key.into(), user_id: user_id.into(), ..Default::default() };
        self.server.block_user(request).await.unwrap().user.unwrap()
    }

    async fn unblock(&self, user_id: &str) -> wire::User {
        let request =
            wire::UnblockUserRequest { project: self.key.into(), user_id: user_id.into(), ..Default::default() };
        self.server.unblock_user(request).await.unwrap().user.unwrap()
    }

    fn deleting_user(&self, user_id: &str) -> wire::DeleteUserRequest {
        wire::DeleteUserRequest { project: self.key.into(), user_id: user_id.into(), ..Default::default() }
    }

    async fn user(&self, user_id: &str) -> wire::User {
        let request = wire::GetUserRequest { project: self.key.into(), user_id: user_id.into(), consistency: None };
        self.server.get_user(request).await.unwrap().user.unwrap()
    }
}

#[test]
fn u1_a_blocked_user_is_denied_everywhere_at_once_and_keeps_the_memberships() {
    on_both(async |server| {
        let project = acme(server).await;
        project.org("globex", "").await;
        project.add("globex", "bob", &[temporary("Member", in_an_hour())]).await;
        let before = project.member("acme", "bob").await.unwrap();
        let blocked = project.block("bob").await;
        assert!(blocked.blocked && blocked.user_id == "bob");
        for org in ["acme", "globex"] {
            assert_eq!(project.check(org, "bob", "read").await, Decision::UserBlocked);
        }
        let item = |org: &str| wire::CheckItem { org_id: org.into(), user_id: "bob".into(), permission: "read".into() };
        let batch = wire::BatchCheckRequest {
            items: vec![item("acme"), item("nowhere"), item("globex")],
            ..Default::default()
        };
        let decisions: Vec<_> = server.batch_check(batch).await.unwrap().decisions().collect();
        assert_eq!(decisions, [Decision::UserBlocked, Decision::OrgNotFound, Decision::UserBlocked]);
        assert_eq!(project.member("acme", "bob").await.unwrap(), before);
        let unblocked = project.unblock("bob").await;
        assert_eq!(unblocked, wire::User { user_id: "bob".into(), blocked: false, block_time: None });
        assert_eq!(project.check("acme", "bob", "read").await, Decision::Allowed);
    });
}

#[test]
fn k2_a_block_comes_after_unknown_names_and_before_no_membership() {
    on_both(async |server| {
        let project = acme(server).await;
        project.block("stranger").await;
        assert_eq!(project.check("acme", "stranger", "read").await, Decision::UserBlocked);
        assert_eq!(project.check("acme", "stranger", "fly").await, Decision::UnknownPermission);
        assert_eq!(project.check("nowhere", "stranger", "read").await, Decision::OrgNotFound);
        assert_eq!(project.check("acme", "other", "read").await, Decision::NotAMember);
    });
}

#[test]
fn u1_a_block_survives_a_restart_and_is_of_one_project() {
    on_both(async |server| {
        let project = acme(server).await;
        project.block("bob").await;
        let multi = server.multi().await;
        assert!(!multi.user("bob").await.blocked);
        let before = project.user("bob").await;
        let server = server.restarted().await;
        let project = server.single();
        assert_eq!(project.user("bob").await, before);
        assert_eq!(project.check("acme", "bob", "read").await, Decision::UserBlocked);
        project.unblock("bob").await;
        let server = server.restarted().await;
        assert_eq!(server.single().check("acme", "bob", "read").await, Decision::Allowed);
    });
}

#[test]
fn u1_blocking_again_changes_nothing() {
    on_both(async |server| {
        let project = acme(server).await;
        let first = project.block("bob").await;
        assert!(micros(&first.block_time.unwrap()) > 0);
        let again = wire::BlockUserRequest { user_id: "bob".into(), ..Default::default() };
        let again = server.storing_nothing(server.block_user(again)).await.unwrap();
        assert_eq!(again.user.unwrap(), first);
        let never = wire::UnblockUserRequest { user_id: "eve".into(), ..Default::default() };
        server.storing_nothing(server.unblock_user(never)).await.unwrap();
        let preview = wire::BlockUserRequest { user_id: "eve".into(), validate_only: true, ..Default::default() };
        let preview = server.storing_nothing(server.block_user(preview)).await.unwrap();
        assert!(preview.user.unwrap().blocked && preview.impact.unwrap().members == 0);
        assert!(!project.user("eve").await.blocked);
    });
}

#[test]
fn u3_a_user_whom_nobody_mentioned_can_be_read() {
    on_both(async |server| {
        let project = server.single();
        assert_eq!(project.user("x").await, wire::User { user_id: "x".into(), ..Default::default() });
        let unknown = wire::GetUserRequest { project: "no".into(), user_id: "x".into(), consistency: None };
        refused(server.get_user(unknown).await, "PROJECT_NOT_FOUND");
    });
}

#[test]
fn u1_a_blocked_user_cannot_be_added_by_anyone() {
    on_both(async |server| {
        let project = acme(server).await;
        project.block("eve").await;
        let adding = project.adding("acme", "eve", &roles(&["Member"]));
        let answer = refused(server.storing_nothing(server.add_member(adding.clone())).await, "USER_NOT_AVAILABLE");
        assert_eq!(answer.subjects(), ["users/eve"]);
        let adding = wire::AddMemberRequest { acting_user_id: "ann".into(), ..adding };
        refused(server.storing_nothing(server.add_member(adding)).await, "USER_NOT_AVAILABLE");
        let creating =
            wire::CreateOrgRequest { org_id: "new".into(), creator_user_id: "eve".into(), ..Default::default() };
        refused(server.storing_nothing(server.create_org(creating)).await, "USER_NOT_AVAILABLE");
        let rows = vec![row("acme", "dan", add(&["Member"])), row("acme", "eve", add(&["Member"]))];
        let batch = server.batch_write_members(project.writing(rows));
        let answer = refused(server.storing_nothing(batch).await, "USER_NOT_AVAILABLE");
        assert_eq!((answer.metadata("rows"), answer.subjects()), ("1", vec!["rows[1].add"]));
        project.block("bob").await;
        let rows = vec![row("acme", "bob", set(&["Admin"]))];
        server.batch_write_members(project.writing(rows)).await.unwrap();
        assert_eq!(project.roles_of("acme", "bob").await, "Admin live");
        project.remove("acme", "bob").await;
    });
}

#[test]
fn g1_a_blocked_acting_user_is_refused_in_every_write() {
    on_both(async |server| {
        let project = acme(server).await;
        project.block("ann").await;
        let acting = || "ann".to_string();
        let adding = wire::AddMemberRequest { acting_user_id: acting(), ..project.adding("acme", "dan", &[]) };
        let answer = refused(server.storing_nothing(server.add_member(adding)).await, "ACTING_USER_BLOCKED");
        assert_eq!((answer.metadata("rule"), answer.metadata("user_id")), ("G1", "ann"));
        let setting = project.setting("acme", "bob", &[role("Admin")]);
        let setting = wire::SetMemberRolesRequest { acting_user_id: acting(), ..setting };
        refused(server.storing_nothing(server.set_member_roles(setting)).await, "ACTING_USER_BLOCKED");
        let leaving = wire::RemoveMemberRequest { acting_user_id: acting(), ..project.removing("acme", "ann") };
        refused(server.storing_nothing(server.remove_member(leaving)).await, "ACTING_USER_BLOCKED");
        let updating = wire::UpdateOrgRequest { org_id: "acme".into(), acting_user_id: acting(), ..Default::default() };
        refused(server.storing_nothing(server.update_org(updating)).await, "ACTING_USER_BLOCKED");
        let deleting = wire::DeleteOrgRequest { org_id: "acme".into(), acting_user_id: acting(), ..Default::default() };
        refused(server.storing_nothing(server.delete_org(deleting)).await, "ACTING_USER_BLOCKED");
        let asking =
            wire::ListManageableRolesRequest { org_id: "acme".into(), acting_user_id: acting(), ..Default::default() };
        refused(server.list_manageable_roles(asking).await, "ACTING_USER_BLOCKED");
    });
}

#[test]
fn i2_a_blocked_viewer_is_refused_in_every_read() {
    on_both(async |server| {
        let project = acme(server).await;
        project.block("ann").await;
        let (org, viewer) = (|| "acme".to_string(), || "ann".to_string());
        let reading = wire::GetOrgRequest { org_id: org(), viewer_user_id: viewer(), ..Default::default() };
        let answer = refused(server.get_org(reading).await, "VIEWER_BLOCKED");
        assert_eq!((answer.metadata("rule"), answer.metadata("user_id")), ("I2", "ann"));
        let reading =
            wire::GetMemberRequest { org_id: org(), user_id: viewer(), viewer_user_id: viewer(), ..Default::default() };
        refused(server.get_member(reading).await, "VIEWER_BLOCKED");
        let reading = wire::ListMembersRequest { org_id: org(), viewer_user_id: viewer(), ..Default::default() };
        refused(server.list_members(reading).await, "VIEWER_BLOCKED");
        let reading = wire::ListRolesRequest { org_id: org(), viewer_user_id: viewer(), ..Default::default() };
        refused(server.list_roles(reading).await, "VIEWER_BLOCKED");
    });
}

#[test]
fn g5_nothing_that_adds_a_blocked_target_is_offered() {
    on_both(async |server| {
        let project = acme(server).await;
        project.block("eve").await;
        project.block("bob").await;
        let asking = |target: &str| wire::ListManageableRolesRequest {
            org_id: "acme".into(),
            acting_user_id: "ann".into(),
            target_user_id: target.into(),
            ..Default::default()
        };
        let found = server.list_manageable_roles(asking("eve")).await.unwrap();
        assert!(found.roles.iter().all(|role| !role.invite && !role.give && !role.take), "{:?}", found.roles);
        let found = server.list_manageable_roles(asking("bob")).await.unwrap();
        assert!(found.roles.iter().all(|role| !role.invite && role.give), "a blocked member can be given other roles");
    });
}

#[test]
fn i4_a_blocked_user_and_an_internal_member_get_the_same_refusal() {
    on_both(async |server| {
        let project = acme(server).await;
        project.internal_role("Spy").await;
        project.add("acme", "spy", &roles(&["Spy"])).await;
        project.block("eve").await;
        let mut messages = Vec::new();
        for user in ["spy", "eve"] {
            let adding = project.adding("acme", user, &roles(&["Member"]));
            let adding = wire::AddMemberRequest { acting_user_id: "ann".into(), ..adding };
            let answer = refused(server.storing_nothing(server.add_member(adding)).await, "USER_NOT_AVAILABLE");
            messages.push(format!("{answer:?}").replace(user, "X"));
        }
        assert_eq!(messages[0], messages[1]);
    });
}

#[test]
fn u2_a_deleted_user_leaves_every_org_and_the_orgs_without_an_owner_are_listed() {
    on_both(async |server| {
        let project = acme(server).await;
        project.org_with_owner("globex", "ann").await;
        project.org("initech", "").await;
        project.add("initech", "ann", &roles(&["Member"])).await;
        project.block("ann").await;
        let preview = wire::DeleteUserRequest { validate_only: true, ..project.deleting_user("ann") };
        let preview = server.storing_nothing(server.delete_user(preview)).await.unwrap();
        let impact = preview.impact.unwrap();
        let digest = impact.digest.clone();
        assert_eq!(preview.removed_memberships, 3);
        let deleting = wire::DeleteUserRequest {
            request_id: "once".into(),
            impact_digest: digest.clone(),
            ..project.deleting_user("ann")
        };
        let deleted = server.delete_user(deleting.clone()).await.unwrap();
        assert_eq!(deleted.removed_memberships, 3);
        let impact = deleted.impact.clone().unwrap();
        assert_eq!((impact.orgs, impact.members), (3, 3));
        let ownerless = impact.orgs_left_ownerless.unwrap();
        assert_eq!((ownerless.total, ownerless.first), (2, vec!["acme".to_string(), "globex".to_string()]));
        let again = server.storing_nothing(server.delete_user(deleting)).await.unwrap();
        assert!(again.replayed && again.removed_memberships == 3);
        for org in ["acme", "globex", "initech"] {
            refused(project.member(org, "ann").await, "MEMBER_NOT_FOUND");
        }
        let listing = wire::ListUserMembershipsRequest { user_id: "ann".into(), ..Default::default() };
        assert!(server.list_user_memberships(listing).await.unwrap().memberships.is_empty());
        assert_eq!(project.check("acme", "bob", "read").await, Decision::Allowed);
        assert!(project.user("ann").await.blocked, "a block outlives the deletion (U1)");
        let nothing = server.storing_nothing(server.delete_user(project.deleting_user("ann"))).await.unwrap();
        assert_eq!(nothing.removed_memberships, 0);
        let server = server.restarted().await;
        refused(server.single().member("acme", "ann").await, "MEMBER_NOT_FOUND");
    });
}
