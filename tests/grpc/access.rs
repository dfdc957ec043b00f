//! Why and who: explanations (K7), effective access and the lists by permission (K8, U3).

use std::cell::Cell;
use std::collections::BTreeSet;

use rolecall::wire::{self, Decision, MemberRoleState, MembershipView, explain_request::Question};

use crate::fixture::{
    Project, add, remove, role, roles, row, soon, suspending_with_fallback, temporary, texts, wait_until,
};
use crate::refusals::refused;
use crate::server::{Server, on_both};

const INVITE: &str = "rolecall::can_invite";

fn explaining(org: &str, user: &str, question: Question) -> wire::ExplainRequest {
    wire::ExplainRequest { org_id: org.into(), user_id: user.into(), question: Some(question), ..Default::default() }
}

fn permission(name: &str) -> Question {
    Question::Permission(name.into())
}

/// Returns each role with its state, and whether it and its fallback role grant what was asked.
fn shown(answer: &wire::ExplainResponse) -> Vec<(String, MemberRoleState, bool, bool)> {
    let shown = |explained: &wire::ExplainedRole| {
        let role = explained.role.as_ref().unwrap();
        (role.role.clone(), role.state(), explained.grants, explained.fallback_role_grants)
    };
    answer.roles.iter().map(shown).collect()
}

#[test]
fn k7_an_explanation_names_each_role_and_the_mappings_that_would_allow_it() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Free").await;
        project.mapping("Paid").await;
        for mapping in ["Free", "Paid"] {
            project.grant(mapping, "Admin", &[INVITE]).await;
        }
        project.disable("Free", &["Admin"]).await;
        project.org("acme", "Paid").await;
        let soon = soon();
        project.add("acme", "ann", &[role("Admin")]).await;
        project.add("acme", "cid", &[temporary("Admin", soon), role("Member")]).await;
        let moving = wire::SubscribeOrgRequest {
            on_disabled: suspending_with_fallback("Member"),
            ..project.moving("acme", "Free")
        };
        server.subscribe_org(moving).await.unwrap();

        let answer = server.explain(explaining("acme", "ann", permission(INVITE))).await.unwrap();
        assert_eq!((answer.allowed, answer.decision()), (false, Decision::RoleDisabled));
        assert_eq!(shown(&answer), [("Admin".into(), MemberRoleState::Suspended, true, false)]);
        assert_eq!(answer.roles[0].role.as_ref().unwrap().fallback_role, "Member");
        assert_eq!(answer.role_mapping, "Free");
        assert_eq!(answer.role_mapping_etag, project.get_mapping("Free").await.etag);
        assert_eq!((answer.allowed_on, answer.allowed_on_total), (texts(&["Default", "Paid"]), 2));

        // The fallback role answers.
        let role_of = |name: &str| Question::Role(name.into());
        let answer = server.explain(explaining("acme", "ann", role_of("Member"))).await.unwrap();
        assert!(answer.allowed && answer.allowed_on.is_empty());
        assert_eq!(shown(&answer), [("Admin".into(), MemberRoleState::Suspended, false, true)]);

        wait_until(&soon).await;
        let answer = server.explain(explaining("acme", "cid", permission(INVITE))).await.unwrap();
        assert_eq!(answer.decision(), Decision::RoleExpired);
        assert!(answer.allowed_on.is_empty(), "an expired role grants nothing on any mapping");
        let states = [("Admin", MemberRoleState::Expired, true), ("Member", MemberRoleState::Live, false)];
        assert_eq!(shown(&answer), states.map(|(role, state, grants)| (role.into(), state, grants, false)));

        let list = wire::PermissionList { permissions: texts(&["rolecall::can_view_other_members", INVITE]) };
        let answer = server.explain(explaining("acme", "cid", Question::AllOf(list))).await.unwrap();
        let each: Vec<_> = answer.permissions.iter().map(|it| (it.permission.as_str(), it.decision())).collect();
        assert_eq!(
            each,
            [("rolecall::can_view_other_members", Decision::MissingPermission), (INVITE, Decision::RoleExpired)]
        );

        let answer = server.explain(explaining("acme", "nobody", permission(INVITE))).await.unwrap();
        assert_eq!((answer.decision(), answer.roles.len()), (Decision::NotAMember, 0));
        let answer = server.explain(explaining("nowhere", "ann", permission(INVITE))).await.unwrap();
        assert_eq!((answer.decision(), answer.role_mapping.as_str()), (Decision::OrgNotFound, ""));
        let elsewhere =
            wire::ExplainRequest { project: "nowhere".into(), ..explaining("acme", "ann", permission("x")) };
        refused(server.explain(elsewhere).await, "PROJECT_NOT_FOUND");
        let nothing = wire::ExplainRequest { question: None, ..explaining("acme", "ann", permission("x")) };
        refused(server.explain(nothing).await, "INVALID_FIELD");
    });
}

#[test]
fn k8_access_is_what_checks_allow_and_hides_internal_roles_from_viewers() {
    on_both(async |server| {
        let project = server.multi().await;
        let staff = wire::CreateRoleRequest {
            project: project.key.into(),
            name: "Staff".into(),
            internal: true,
            ..Default::default()
        };
        server.create_role(staff).await.unwrap();
        project.permission("tickets.read").await;
        project.grant("Default", "Staff", &["tickets.read"]).await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Admin", "Staff"])).await;
        project.add("acme", "bob", &roles(&["Member"])).await;
        project.add("acme", "sue", &roles(&["Staff"])).await;
        let asking = |user: &str, viewer: &str| wire::GetAccessRequest {
            project: project.key.into(),
            org_id: "acme".into(),
            user_id: user.into(),
            viewer_user_id: viewer.into(),
            ..Default::default()
        };
        let access = server.get_access(asking("ann", "")).await.unwrap();
        let names: Vec<_> = access.roles.iter().map(|role| role.role.as_str()).collect();
        assert_eq!(names, ["Admin", "Staff"]);
        let access = access.access.unwrap();
        assert_eq!((access.role_mapping, access.at_least_roles), ("Default".into(), texts(&["Admin", "Staff"])));
        assert!(access.permissions.contains(&"tickets.read".into()) && access.permissions.contains(&INVITE.into()));
        assert!(access.permissions.is_sorted());

        let access = server.get_access(asking("ann", "bob")).await.unwrap().access.unwrap();
        assert_eq!(access.at_least_roles, ["Admin"]);
        assert!(!access.permissions.contains(&"tickets.read".into()));
        refused(server.get_access(asking("sue", "bob")).await, "MEMBER_NOT_FOUND");
        refused(server.get_access(asking("ann", "nobody")).await, "VIEWER_NOT_A_MEMBER");
        refused(server.get_access(asking("nobody", "")).await, "MEMBER_NOT_FOUND");
        project.take("Default", "Member", &["rolecall::can_view_other_members"]).await;
        refused(server.get_access(asking("ann", "bob")).await, "MEMBER_NOT_FOUND");
        server.get_access(asking("bob", "bob")).await.unwrap();
    });
}

#[test]
fn u3_a_full_list_of_memberships_has_what_a_session_needs() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        project.org("acme", "").await;
        project.org("globex", "Paid").await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        project.add("globex", "ann", &roles(&["Member"])).await;
        let ask = |view: MembershipView| wire::ListUserMembershipsRequest {
            user_id: "ann".into(),
            view: view.into(),
            page_size: 1,
            ..Default::default()
        };
        let first = server.list_user_memberships(ask(MembershipView::Full)).await.unwrap();
        let next =
            wire::ListUserMembershipsRequest { page_token: first.next_page_token.clone(), ..ask(MembershipView::Full) };
        let second = server.list_user_memberships(next).await.unwrap();
        let access = first.memberships[0].access.clone().unwrap();
        assert_eq!((access.role_mapping.as_str(), access.at_least_roles), ("Default", texts(&["Admin", "Member"])));
        assert!(access.permissions.contains(&INVITE.into()));
        let access = second.memberships[0].access.clone().unwrap();
        assert_eq!((access.role_mapping.as_str(), access.at_least_roles), ("Paid", texts(&["Member"])));
        for view in [MembershipView::Unspecified, MembershipView::Basic] {
            let page = server.list_user_memberships(ask(view)).await.unwrap();
            assert_eq!(page.memberships[0].access, None);
        }
        // A token is valid for its view only.
        let other =
            wire::ListUserMembershipsRequest { page_token: first.next_page_token, ..ask(MembershipView::Basic) };
        refused(server.list_user_memberships(other).await, "PAGE_TOKEN_INVALID");
        let unknown = wire::ListUserMembershipsRequest { view: 9, ..ask(MembershipView::Full) };
        refused(server.list_user_memberships(unknown).await, "INVALID_FIELD");
    });
}

async fn members_with(server: &Server, page_size: i32, between: impl AsyncFn()) -> Vec<String> {
    let mut request = wire::ListMembersWithPermissionRequest {
        org_id: "acme".into(),
        permission: INVITE.into(),
        page_size,
        ..Default::default()
    };
    let mut users = Vec::new();
    loop {
        let page = server.list_members_with_permission(request.clone()).await.unwrap();
        users.extend(page.members.into_iter().map(|member| member.user_id));
        if page.next_page_token.is_empty() {
            return users;
        }
        request.page_token = page.next_page_token;
        between().await;
    }
}

async fn orgs_with(server: &Server, page_size: i32, between: impl AsyncFn()) -> Vec<String> {
    let mut request = wire::ListOrgsWithPermissionRequest {
        user_id: "ann".into(),
        permission: INVITE.into(),
        page_size,
        ..Default::default()
    };
    let mut orgs = Vec::new();
    loop {
        let page = server.list_orgs_with_permission(request.clone()).await.unwrap();
        orgs.extend(page.memberships.into_iter().map(|member| member.org_id));
        if page.next_page_token.is_empty() {
            return orgs;
        }
        request.page_token = page.next_page_token;
        between().await;
    }
}

async fn write(project: Project<'_>, rows: Vec<wire::MemberWrite>) {
    project.server.batch_write_members(project.writing(rows)).await.unwrap();
}

#[test]
fn k8_lists_by_permission_agree_with_checks_and_are_complete_beside_a_writer() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let names: Vec<String> = (0..30).map(|number| format!("user-{number:02}")).collect();
        let role = |at: usize| if at.is_multiple_of(3) { "Admin" } else { "Member" };
        write(project, names.iter().enumerate().map(|(at, user)| row("acme", user, add(&[role(at)]))).collect()).await;
        let admins: Vec<String> = names.iter().step_by(3).cloned().collect();
        for page_size in [0, 1, 3, 7] {
            assert_eq!(members_with(server, page_size, async || {}).await, admins, "pages of {page_size}");
        }
        // Users before, between and after come and go.
        let round = Cell::new(0);
        let listed = members_with(server, 2, async || {
            round.set(round.get() + 1);
            let user = format!("user-{:02}-{}", round.get() * 5, round.get());
            write(project, vec![row("acme", &user, add(&["Admin"]))]).await;
            write(project, vec![row("acme", &names[round.get()], remove()), row("acme", "aaa", add(&["Admin"]))]).await;
            write(project, vec![row("acme", "aaa", remove())]).await;
            write(project, vec![row("acme", &names[round.get()], add(&[role(round.get())]))]).await;
        })
        .await;
        let once: BTreeSet<&String> = listed.iter().collect();
        assert_eq!(once.len(), listed.len(), "nobody appears twice");
        let untouched = admins.iter().filter(|user| !names[1..=round.get()].contains(user));
        assert!(untouched.into_iter().all(|user| once.contains(user)), "{listed:?}");

        let orgs: Vec<String> = (0..12).map(|number| format!("org-{number:02}")).collect();
        for (at, org) in orgs.iter().enumerate() {
            project.org(org, "").await;
            project.add(org, "ann", &roles(&[role(at)])).await;
        }
        let allowed: Vec<String> = orgs.iter().step_by(3).cloned().collect();
        for page_size in [0, 1, 3] {
            assert_eq!(orgs_with(server, page_size, async || {}).await, allowed, "pages of {page_size}");
        }
        let round = Cell::new(0);
        let listed = orgs_with(server, 1, async || {
            round.set(round.get() + 1);
            let org = format!("org-{:02}-{}", round.get() * 2, round.get());
            project.org(&org, "").await;
            project.add(&org, "ann", &roles(&["Admin"])).await;
        })
        .await;
        let once: BTreeSet<&String> = listed.iter().collect();
        assert!(once.len() == listed.len() && allowed.iter().all(|org| once.contains(org)), "{listed:?}");

        let block = wire::BlockUserRequest { user_id: "ann".into(), ..Default::default() };
        server.block_user(block).await.unwrap();
        assert_eq!(orgs_with(server, 0, async || {}).await, [""; 0], "a blocked user has no permission");

        let unknown = wire::ListMembersWithPermissionRequest {
            org_id: "acme".into(),
            permission: "nothing".into(),
            ..Default::default()
        };
        refused(server.list_members_with_permission(unknown).await, "PERMISSION_NOT_FOUND");
        let unknown = wire::ListOrgsWithPermissionRequest {
            user_id: "ann".into(),
            permission: "nothing".into(),
            ..Default::default()
        };
        refused(server.list_orgs_with_permission(unknown).await, "PERMISSION_NOT_FOUND");
    });
}
