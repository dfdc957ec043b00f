//! Internal roles and members: I1 to I4. That nothing reveals them is proved in `internal_hidden.rs`.

use rolecall::wire::{self, Decision, MembershipOrigin};
use tonic::Status;

use crate::fixture::{Project, add, in_an_hour, role, role_changes, roles, row, shown, temporary, texts};
use crate::refusals::refused;
use crate::server::{Server, on_both};

/// Creates org acme and the internal role Support between Admin and Member, in a SINGLE_ROLE project. Sam holds only Support, lee
/// a temporary Support over Member, ian a temporary Member over Support.
async fn shop(server: &Server) -> Project<'_> {
    let project = server.single();
    project.internal_role("Support").await;
    server.reorder_roles(project.reordering(&["Owner", "Admin", "Support", "Member"])).await.unwrap();
    project.permission("debug").await;
    project.grant("Default", "Support", &["debug", "rolecall::can_view_other_members"]).await;
    project.org_with_owner("acme", "olga").await;
    project.add_all("acme", &["mia"], &["Member"]).await;
    project.add_all("acme", &["sam"], &["Support"]).await;
    project.add("acme", "lee", &[role("Member"), temporary("Support", in_an_hour())]).await;
    project.add("acme", "ian", &[role("Support"), temporary("Member", in_an_hour())]).await;
    project
}

/// Creates org acme and the internal role Support in a MULTI_ROLE project. Sam holds only Support, lee also Clerk. Owner manages
/// every role.
async fn agency(server: &Server) -> Project<'_> {
    let project = server.multi().await;
    project.internal_role("Support").await;
    project.role("Clerk").await;
    project.manage("Owner", &["Owner", "Admin", "Member", "Clerk", "Support"]).await;
    project.org_with_owner("acme", "olga").await;
    project.add_all("acme", &["sam"], &["Support"]).await;
    project.add_all("acme", &["lee"], &["Support", "Clerk"]).await;
    project
}

/// Returns the code and message of an error with `name` replaced, so that two errors can be compared.
fn error_without_name<T: std::fmt::Debug>(answer: Result<T, Status>, name: &str) -> (tonic::Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status.message().replace(name, "NAME"))
}

#[test]
fn i1_only_calls_without_an_acting_user_assign_internal_roles() {
    on_both(async |server| {
        for project in [shop(server).await, agency(server).await] {
            server
                .storing_nothing(async {
                    let support = roles(&["Support"]);
                    refused(project.add_by("olga", "acme", "eve", &support).await, "ROLE_NOT_FOUND");
                    refused(project.set_by("olga", "acme", "lee", &support).await, "ROLE_NOT_FOUND");
                    // Sam cannot give it either, although sam holds it.
                    refused(project.set_by("sam", "acme", "sam", &support).await, "ROLE_NOT_FOUND");
                })
                .await;
            project.add("acme", "eve", &roles(&["Support"])).await;
            assert_eq!(project.roles_of("acme", "eve").await, "Support live");
        }
    });
}

#[test]
fn i2_a_viewer_sees_no_internal_role_and_no_internal_member() {
    on_both(async |server| {
        let project = shop(server).await;
        let expected = ["ian: Member live", "lee: Member live", "mia: Member live", "olga: Owner live"];
        for viewer in ["mia", "olga", "lee", "sam"] {
            assert_eq!(project.seen_by(viewer, "acme").await, expected, "{viewer}");
            let hidden = error_without_name(project.member_for(viewer, "acme", "sam").await, "sam");
            assert_eq!(hidden, error_without_name(project.member_for(viewer, "acme", "nobody").await, "nobody"));
            let lee = project.member_for(viewer, "acme", "lee").await.unwrap();
            assert_eq!(
                (shown(&lee).as_str(), lee.origin(), lee.revision.as_str()),
                ("Member live", MembershipOrigin::Unspecified, "")
            );
        }
        assert_eq!(
            project.roles_of("acme", "lee").await,
            "Support live, Member overridden",
            "without a viewer all roles are visible"
        );
        assert!(!project.member("acme", "lee").await.unwrap().revision.is_empty());
        // Filters by role and permission do not find internal members either.
        let filtered = async |role: &str, permission: &str| {
            let request = wire::ListMembersRequest {
                role: role.into(),
                permission: permission.into(),
                ..project.viewing("mia", "acme")
            };
            let answer = server.list_members(request).await;
            answer.map(|answer| answer.members.into_iter().map(|member| member.user_id).collect::<Vec<_>>())
        };
        assert_eq!(filtered("Member", "").await.unwrap(), ["ian", "lee", "mia"]);
        assert_eq!(filtered("", "debug").await.unwrap(), [""; 0]);
        assert_eq!(filtered("", "rolecall::can_view_other_members").await.unwrap(), ["ian", "lee", "mia", "olga"]);
        assert_eq!(
            error_without_name(filtered("Support", "").await, "Support"),
            error_without_name(filtered("Sapport", "").await, "Sapport")
        );
        refused(filtered("Support", "").await, "ROLE_NOT_FOUND");
        let near = refused(filtered("Suport", "").await, "ROLE_NOT_FOUND");
        assert_eq!(near.metadata("suggestion"), "");
        assert_eq!(refused(filtered("Membr", "").await, "ROLE_NOT_FOUND").metadata("suggestion"), "Member");
    });
}

#[test]
fn i2_role_lists_for_a_viewer_contain_no_internal_roles() {
    on_both(async |server| {
        for project in [shop(server).await, agency(server).await] {
            let asking = |page_size, page_token: &str| wire::ListRolesRequest {
                project: project.key.into(),
                viewer_user_id: "olga".into(),
                org_id: "acme".into(),
                page_size,
                page_token: page_token.into(),
                ..Default::default()
            };
            let all = server.list_roles(asking(0, "")).await.unwrap();
            let names: Vec<&str> = all.roles.iter().map(|role| role.name.as_str()).collect();
            let multi = project.key == "multi";
            assert_eq!(
                names,
                if multi { &["Owner", "Admin", "Member", "Clerk"][..] } else { &["Owner", "Admin", "Member"] }
            );
            assert!(
                all.roles.iter().zip(1..).all(|(role, position)| role.position == position && role.etag.is_empty())
            );
            assert_eq!(all.etag, "");
            assert_eq!(
                all.roles[0].manages,
                if multi { texts(&["Owner", "Admin", "Member", "Clerk"]) } else { vec![] }
            );
            let (mut paged, mut token) = (Vec::new(), String::new());
            loop {
                let page = server.list_roles(asking(1, &token)).await.unwrap();
                paged.extend(page.roles);
                token = page.next_page_token;
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(paged, all.roles);
            // A token belongs to its viewer.
            let token = server.list_roles(asking(1, "")).await.unwrap().next_page_token;
            let another = wire::ListRolesRequest { viewer_user_id: "lee".into(), ..asking(1, &token) };
            refused(server.list_roles(another).await, "PAGE_TOKEN_INVALID");
            let nobody =
                wire::ListRolesRequest { viewer_user_id: String::new(), org_id: String::new(), ..asking(1, &token) };
            refused(server.list_roles(nobody).await, "PAGE_TOKEN_INVALID");
            // The list continues after the last role of the page is renamed.
            server.update_role(project.renaming_role("Owner", "Chief")).await.unwrap();
            assert_eq!(server.list_roles(asking(1, &token)).await.unwrap().roles[0].name, "Admin");
        }
        let project = server.single();
        let alone = wire::ListRolesRequest { viewer_user_id: "olga".into(), ..Default::default() };
        assert_eq!(refused(server.list_roles(alone).await, "INVALID_FIELD").fields(), ["org_id"]);
        let alone = wire::ListRolesRequest { org_id: "acme".into(), ..Default::default() };
        assert_eq!(refused(server.list_roles(alone).await, "INVALID_FIELD").fields(), ["org_id"]);
        assert_eq!(project.role_order().await, ["Chief", "Admin", "Support", "Member"]);
    });
}

#[test]
fn i2_a_viewer_must_be_a_member_and_without_the_permission_sees_only_themselves() {
    on_both(async |server| {
        let project = shop(server).await;
        project.org_with_owner("globex", "zoe").await;
        for viewer in ["nobody", "zoe"] {
            let org =
                wire::GetOrgRequest { org_id: "acme".into(), viewer_user_id: viewer.into(), ..Default::default() };
            let list_roles =
                wire::ListRolesRequest { org_id: "acme".into(), viewer_user_id: viewer.into(), ..Default::default() };
            // The viewer is checked before the role.
            let ghost = wire::ListMembersRequest { role: "Ghost".into(), ..project.viewing(viewer, "acme") };
            for answer in [
                server.get_org(org).await.map(|it| it.revision),
                server.list_roles(list_roles).await.map(|it| it.revision),
                server.list_members(project.viewing(viewer, "acme")).await.map(|it| it.revision),
                server.list_members(ghost).await.map(|it| it.revision),
                project.member_for(viewer, "acme", "olga").await.map(|it| it.user_id),
            ] {
                let refused = refused(answer, "VIEWER_NOT_A_MEMBER");
                assert_eq!((refused.metadata("user_id"), refused.metadata("rule")), (viewer, "I2"));
            }
        }
        for viewer in ["mia", "sam"] {
            let org =
                wire::GetOrgRequest { org_id: "acme".into(), viewer_user_id: viewer.into(), ..Default::default() };
            assert_eq!(server.get_org(org).await.unwrap().org.unwrap().org_id, "acme");
        }
        project.take("Default", "Member", &["rolecall::can_view_other_members"]).await;
        assert_eq!(project.seen_by("mia", "acme").await, ["mia: Member live"]);
        assert_eq!(project.member_for("mia", "acme", "mia").await.unwrap().user_id, "mia");
        refused(project.member_for("mia", "acme", "olga").await, "MEMBER_NOT_FOUND");
        project.take("Default", "Support", &["rolecall::can_view_other_members"]).await;
        assert_eq!(project.seen_by("sam", "acme").await, [""; 0], "sam is internal too");
        refused(project.member_for("sam", "acme", "sam").await, "MEMBER_NOT_FOUND");
    });
}

#[test]
fn i2_page_tokens_grant_nothing_and_belong_to_one_viewer() {
    on_both(async |server| {
        let project = shop(server).await;
        let asking = |viewer: &str, page_token: &str| wire::ListMembersRequest {
            page_size: 1,
            page_token: page_token.into(),
            ..project.viewing(viewer, "acme")
        };
        let token = server.list_members(asking("mia", "")).await.unwrap().next_page_token;
        refused(server.list_members(asking("olga", &token)).await, "PAGE_TOKEN_INVALID");
        let all = wire::ListMembersRequest { viewer_user_id: String::new(), ..asking("mia", &token) };
        refused(server.list_members(all).await, "PAGE_TOKEN_INVALID");
        assert_eq!(server.list_members(asking("mia", &token)).await.unwrap().members[0].user_id, "lee");
        // Each page is authorized again (B4.b).
        project.remove("acme", "mia").await;
        refused(server.list_members(asking("mia", &token)).await, "VIEWER_NOT_A_MEMBER");
    });
}

#[test]
fn i3_checks_work_for_internal_members() {
    on_both(async |server| {
        let project = shop(server).await;
        for user in ["sam", "lee"] {
            assert_eq!(project.check("acme", user, "debug").await, Decision::Allowed);
        }
        let at_least = wire::check_request::Question::AtLeastRole("Member".into());
        assert_eq!(project.ask("acme", "sam", at_least).await, Decision::Allowed);
        assert_eq!(
            project.check("acme", "ian", "debug").await,
            Decision::MissingPermission,
            "the temporary role Member overrides Support"
        );
        project.disable("Default", &["Support"]).await;
        assert_eq!(project.check("acme", "sam", "debug").await, Decision::RoleDisabled);
    });
}

#[test]
fn i4_writes_of_an_acting_user_do_not_change_internal_roles() {
    on_both(async |server| {
        let project = agency(server).await;
        let set = project.set_by("olga", "acme", "lee", &roles(&["Member"])).await.unwrap();
        let member = set.member.unwrap();
        assert_eq!((shown(&member).as_str(), member.origin()), ("Member live", MembershipOrigin::Unspecified));
        assert_eq!(role_changes(&set.impact), "Member +1, Clerk -1");
        assert_eq!(project.roles_of("acme", "lee").await, "Member live, Support live");
        let removed = project.remove_by("olga", "acme", "lee").await.unwrap();
        assert_eq!(role_changes(&removed.impact), "Member -1");
        assert_eq!(project.roles_of("acme", "lee").await, "Support live");
        // Members without visible roles are unknown to acting users.
        for answer in [
            project.remove_by("olga", "acme", "lee").await.map(|it| it.revision),
            project.set_by("olga", "acme", "sam", &roles(&["Clerk"])).await.map(|it| it.revision),
        ] {
            refused(answer, "MEMBER_NOT_FOUND");
        }
        // Adding an internal member adds the role (I4.b).
        let added = project.add_by("olga", "acme", "sam", &roles(&["Clerk"])).await.unwrap();
        assert_eq!(shown(&added.member.unwrap()), "Clerk live");
        assert_eq!(project.roles_of("acme", "sam").await, "Support live, Clerk live");
        refused(project.add_by("olga", "acme", "sam", &roles(&["Clerk"])).await, "MEMBER_ALREADY_EXISTS");
        // Without an acting user all roles are removed.
        project.remove("acme", "sam").await;
        refused(project.member("acme", "sam").await, "MEMBER_NOT_FOUND");
    });
}

#[test]
fn i4_in_single_role_an_internal_member_is_not_available() {
    on_both(async |server| {
        let project = shop(server).await;
        let answer = server.storing_nothing(project.add_by("olga", "acme", "sam", &roles(&["Member"]))).await;
        let unavailable = refused(answer, "USER_NOT_AVAILABLE");
        assert_eq!((unavailable.metadata("rule"), unavailable.subjects()), ("I4", vec!["users/sam"]));
        assert!(!unavailable.message.contains("internal") && !unavailable.message.contains("Support"));
        // Only the visible role is removed.
        project.remove_by("olga", "acme", "lee").await.unwrap();
        assert_eq!(project.roles_of("acme", "lee").await, "Support live");
        let deleted =
            wire::DeleteOrgRequest { org_id: "acme".into(), acting_user_id: "olga".into(), ..Default::default() };
        let deleted = server.delete_org(deleted).await.unwrap();
        assert_eq!(deleted.removed_memberships, 3, "olga, mia and ian");
        assert_eq!(deleted.impact.unwrap().members, 3);
    });
}

#[test]
fn i2_a_report_without_an_acting_user_includes_internal_roles() {
    on_both(async |server| {
        let project = agency(server).await;
        let rows = vec![row("acme", "eve", add(&["Support"]))];
        let written = server.batch_write_members(project.writing(rows)).await.unwrap();
        assert_eq!(role_changes(&written.impact), "Support +1");
    });
}
