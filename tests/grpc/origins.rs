//! Origins of memberships and roles: B6, S4.

use rolecall::wire::{self, Decision, MembershipOrigin};

use crate::fixture::{Project, add, in_an_hour, role, roles, row, set, temporary};
use crate::refusals::refused;
use crate::server::{Server, on_both};

/// Returns a member's origins, as `creator: Owner creator, Admin direct`. Get and both lists must agree.
async fn origins_of(project: Project<'_>, org_id: &str, user_id: &str) -> String {
    let read = project.member(org_id, user_id).await.unwrap();
    let request = wire::ListMembersRequest { project: project.key.into(), org_id: org_id.into(), ..Default::default() };
    let listed = project.server.list_members(request).await.unwrap().members;
    assert!(listed.contains(&read), "{listed:?}");
    let request =
        wire::ListUserMembershipsRequest { project: project.key.into(), user_id: user_id.into(), ..Default::default() };
    let listed = project.server.list_user_memberships(request).await.unwrap().memberships;
    assert!(listed.contains(&read), "{listed:?}");
    shown(&read)
}

fn shown(member: &wire::Member) -> String {
    let word = |origin: MembershipOrigin| match origin {
        MembershipOrigin::Unspecified => "unspecified",
        MembershipOrigin::Direct => "direct",
        MembershipOrigin::Creator => "creator",
        MembershipOrigin::Invitation => "invitation",
        MembershipOrigin::Domain => "domain",
        MembershipOrigin::Migration => "migration",
    };
    let roles: Vec<String> = member.roles.iter().map(|role| format!("{} {}", role.role, word(role.origin()))).collect();
    format!("{}: {}", word(member.origin()), roles.join(", "))
}

#[test]
fn s4_the_creator_of_an_org_gets_the_default_owner_role_in_the_same_commit() {
    on_both(async |server| {
        let project = server.single();
        let before = server.head().await;
        let org = project.org_with_owner("acme", "ann").await;
        assert_eq!((org.org_id.as_str(), server.head().await.number), ("acme", before.number + 1));
        assert_eq!(project.roles_of("acme", "ann").await, "Owner live");
        assert_eq!(project.check("acme", "ann", "rolecall::can_delete_org").await, Decision::Allowed);
        assert_eq!(origins_of(project, "acme", "ann").await, "creator: Owner creator");
        assert_eq!(project.member("acme", "ann").await.unwrap().revision, server.token().await);
        // An org without a creator has no members.
        project.org("globex", "").await;
        refused(project.member("globex", "ann").await, "MEMBER_NOT_FOUND");
        let server = server.restarted().await;
        assert_eq!(origins_of(server.single(), "acme", "ann").await, "creator: Owner creator");
    });
}

#[test]
fn s4_the_creator_gets_the_current_default_owner_role() {
    on_both(async |server| {
        let project = server.multi().await;
        let resource = wire::Project { default_owner_role: "Admin".into(), ..Default::default() };
        let request =
            wire::UpdateProjectRequest { project: "multi".into(), resource: Some(resource), ..Default::default() };
        server.update_project(request).await.unwrap();
        project.org_with_owner("acme", "ann").await;
        assert_eq!(project.roles_of("acme", "ann").await, "Admin live");
    });
}

#[test]
fn s4_a_refused_or_previewed_org_adds_no_member() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let creating = |org: &str, creator: &str| wire::CreateOrgRequest {
            org_id: org.into(),
            creator_user_id: creator.into(),
            ..Default::default()
        };
        server
            .storing_nothing(async {
                refused(server.create_org(creating("acme", "ann")).await, "ORG_ALREADY_EXISTS");
                let malformed = refused(server.create_org(creating("globex", "a b")).await, "INVALID_FIELD");
                assert_eq!(malformed.fields(), ["creator_user_id"]);
                let preview = wire::CreateOrgRequest { validate_only: true, ..creating("globex", "ann") };
                server.create_org(preview).await.unwrap();
            })
            .await;
        refused(project.member("acme", "ann").await, "MEMBER_NOT_FOUND");
    });
}

#[test]
fn b6_roles_keep_their_origin_when_the_set_is_replaced() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org_with_owner("acme", "ann").await;
        let written = project.set("acme", "ann", &roles(&["Owner", "Admin"])).await;
        assert_eq!(shown(&written), "direct: Owner creator, Admin direct");
        assert_eq!(origins_of(project, "acme", "ann").await, "direct: Owner creator, Admin direct");
        // A role that was removed and given again has the origin of the second call.
        project.add("acme", "bob", &roles(&["Owner"])).await;
        project.set("acme", "ann", &roles(&["Admin"])).await;
        assert_eq!(origins_of(project, "acme", "ann").await, "direct: Admin direct");
        project.set("acme", "ann", &roles(&["Admin", "Owner"])).await;
        assert_eq!(origins_of(project, "acme", "ann").await, "direct: Owner direct, Admin direct");
        assert_eq!(origins_of(project, "acme", "bob").await, "direct: Owner direct");
    });
}

#[test]
fn b6_setting_an_expiry_keeps_the_origin_of_the_role() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org_with_owner("acme", "ann").await;
        project.add("acme", "bob", &roles(&["Owner"])).await;
        project.set("acme", "ann", &[temporary("Owner", in_an_hour())]).await;
        assert_eq!(origins_of(project, "acme", "ann").await, "direct: Owner creator");
        let server = server.restarted().await;
        let project = Project { server: &server, key: "multi" };
        assert_eq!(origins_of(project, "acme", "ann").await, "direct: Owner creator");
        // Setting the same role changes nothing, whatever its origin.
        let same = project.setting("acme", "ann", &[role("Owner")]);
        let same = server.storing_nothing(server.set_member_roles(same)).await.unwrap();
        assert_eq!(shown(&same.member.unwrap()), "direct: Owner creator");
    });
}

#[test]
fn b6_bulk_writes_are_direct() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org_with_owner("acme", "ann").await;
        let rows = vec![row("acme", "ann", set(&["Owner", "Member"])), row("acme", "bob", add(&["Admin"]))];
        server.batch_write_members(project.writing(rows)).await.unwrap();
        assert_eq!(origins_of(project, "acme", "ann").await, "direct: Owner creator, Member direct");
        assert_eq!(origins_of(project, "acme", "bob").await, "direct: Admin direct");
    });
}

/// Creates the project `multi`. Its clerks hold only that role, or another one too, or hold it temporarily, or hold the
/// replacement already.
async fn migrated(server: &Server) -> Project<'_> {
    let project = server.multi().await;
    project.role("Clerk").await;
    project.role("Guest").await;
    project.org_with_owner("acme", "ann").await;
    project.set("acme", "ann", &roles(&["Owner", "Clerk"])).await;
    project.add("acme", "bob", &roles(&["Clerk"])).await;
    project.add("acme", "cat", &roles(&["Clerk", "Guest"])).await;
    project.add("acme", "dan", &[temporary("Clerk", in_an_hour()), role("Member")]).await;
    project.add("acme", "eve", &roles(&["Guest"])).await;
    project
}

#[test]
fn b6_the_replacement_of_a_deleted_role_has_the_origin_migration() {
    on_both(async |server| {
        let project = migrated(server).await;
        let before = project.member("acme", "eve").await.unwrap();
        let deleted = server.delete_role(project.deleting_role("Clerk", "Guest")).await.unwrap();
        let everyone = async |server: &Server| {
            let project = Project { server, key: "multi" };
            assert_eq!(origins_of(project, "acme", "ann").await, "migration: Owner creator, Guest migration");
            assert_eq!(origins_of(project, "acme", "bob").await, "migration: Guest migration");
            assert_eq!(origins_of(project, "acme", "cat").await, "migration: Guest direct");
            assert_eq!(origins_of(project, "acme", "dan").await, "migration: Member direct, Guest migration");
            for user in ["ann", "bob", "cat", "dan"] {
                let member = project.member("acme", user).await.unwrap();
                assert_eq!(member.revision, deleted.revision, "{user}: the latest change is the deletion");
            }
            assert_eq!(project.member("acme", "eve").await.unwrap(), before, "a member without the role is unchanged");
        };
        everyone(server).await;
        everyone(&server.restarted().await).await;
    });
}

#[test]
fn b6_roles_given_after_a_migration_are_direct() {
    on_both(async |server| {
        let project = migrated(server).await;
        project.delete_role("Clerk", "Guest").await;
        project.add("acme", "fay", &roles(&["Guest"])).await;
        assert_eq!(origins_of(project, "acme", "fay").await, "direct: Guest direct");
        assert_eq!(project.member("acme", "fay").await.unwrap().revision, server.token().await);
        // A migrated role that is repeated keeps its origin, beside one that is new.
        let kept = project.set("acme", "bob", &roles(&["Guest", "Member"])).await;
        assert_eq!(shown(&kept), "direct: Member direct, Guest migration");
        assert_eq!(kept.revision, "", "the response has its own revision");
        assert_eq!(project.member("acme", "bob").await.unwrap().revision, server.token().await);
        assert_eq!(origins_of(project, "acme", "bob").await, "direct: Member direct, Guest migration");
        // A second migration.
        project.delete_role("Guest", "Admin").await;
        assert_eq!(origins_of(project, "acme", "bob").await, "migration: Admin migration, Member direct");
        assert_eq!(origins_of(project, "acme", "ann").await, "migration: Owner creator, Admin migration");
        assert_eq!(origins_of(project, "acme", "eve").await, "migration: Admin migration");
    });
}
