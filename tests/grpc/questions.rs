//! Checks of roles and of lists of permissions: K6, with the order of decisions of K2.

use rolecall::wire::{self, Decision, check_request::Question};

use crate::fixture::{Project, in_an_hour, role, roles, soon, temporary, texts, wait_until};
use crate::refusals::refused;
use crate::server::{Server, on_both};

fn is(role: &str) -> Question {
    Question::Role(role.into())
}

fn at_least(role: &str) -> Question {
    Question::AtLeastRole(role.into())
}

fn all_of(names: &[&str]) -> Question {
    Question::AllOf(wire::PermissionList { permissions: texts(names) })
}

fn any_of(names: &[&str]) -> Question {
    Question::AnyOf(wire::PermissionList { permissions: texts(names) })
}

/// Asks each question and compares.
async fn decides(project: Project<'_>, cases: &[(&str, &str, Question, Decision)]) {
    for (org, user, question, decision) in cases {
        let decided = project.ask(org, user, question.clone()).await;
        assert_eq!(decided, *decision, "{question:?} of {user} in {org}");
    }
}

#[test]
fn k6_a_live_role_is_allowed_and_any_other_is_denied_with_the_reason() {
    on_both(async |server| {
        let project = server.multi().await;
        for name in ["Clerk", "Guest"] {
            project.role(name).await;
        }
        project.org("acme", "").await;
        let soon = soon();
        project.add("acme", "ann", &roles(&["Owner", "Clerk"])).await;
        project.add("acme", "bob", &[role("Member"), temporary("Guest", soon)]).await;
        project.add("acme", "cat", &[temporary("Guest", soon)]).await;
        project.disable("Default", &["Clerk"]).await;
        assert_eq!(project.ask("acme", "bob", is("Guest")).await, Decision::Allowed);
        wait_until(&soon).await;
        decides(
            project,
            &[
                ("nowhere", "nobody", is("Ghost"), Decision::OrgNotFound),
                ("acme", "nobody", is("Ghost"), Decision::UnknownRole),
                ("acme", "ann", is("owner"), Decision::UnknownRole),
                ("acme", "nobody", is("Owner"), Decision::NotAMember),
                ("acme", "ann", is("Owner"), Decision::Allowed),
                ("acme", "ann", is("Clerk"), Decision::RoleDisabled),
                ("acme", "ann", is("Member"), Decision::MissingPermission),
                ("acme", "bob", is("Guest"), Decision::RoleExpired),
                ("acme", "cat", is("Guest"), Decision::RoleExpired),
                ("acme", "cat", is("Member"), Decision::MissingPermission),
                // In MULTI_ROLE there is no hierarchy: "at least" means the role itself.
                ("acme", "ann", at_least("Owner"), Decision::Allowed),
                ("acme", "ann", at_least("Admin"), Decision::MissingPermission),
                ("acme", "ann", at_least("Clerk"), Decision::RoleDisabled),
                ("acme", "bob", at_least("Member"), Decision::Allowed),
                ("acme", "nobody", at_least("Ghost"), Decision::UnknownRole),
            ],
        )
        .await;
    });
}

#[test]
fn k6_at_least_a_role_allows_that_role_and_higher_ones() {
    on_both(async |server| {
        let project = server.single();
        project.role("Guest").await;
        project.org("acme", "").await;
        for (user, role) in [("ann", "Owner"), ("bob", "Admin"), ("cat", "Member"), ("dan", "Guest")] {
            project.add("acme", user, &roles(&[role])).await;
        }
        let (allowed, missing) = (Decision::Allowed, Decision::MissingPermission);
        for (asked, expected) in [
            ("Owner", [allowed, missing, missing, missing]),
            ("Admin", [allowed, allowed, missing, missing]),
            ("Member", [allowed, allowed, allowed, missing]),
            ("Guest", [allowed, allowed, allowed, allowed]),
        ] {
            for (user, expected) in ["ann", "bob", "cat", "dan"].into_iter().zip(expected) {
                assert_eq!(project.ask("acme", user, at_least(asked)).await, expected, "{user} at least {asked}");
            }
            // A check of a role means exactly that role.
            let held = ["ann", "bob", "cat", "dan"].into_iter().zip(["Owner", "Admin", "Member", "Guest"]);
            for (user, role) in held {
                let expected = if role == asked { allowed } else { missing };
                assert_eq!(project.ask("acme", user, is(asked)).await, expected, "{user} is {asked}");
            }
        }
        decides(
            project,
            &[
                ("nowhere", "nobody", at_least("Ghost"), Decision::OrgNotFound),
                ("acme", "nobody", at_least("Ghost"), Decision::UnknownRole),
                ("acme", "nobody", at_least("Guest"), Decision::NotAMember),
            ],
        )
        .await;
        project.disable("Default", &["Admin"]).await;
        assert_eq!(project.ask("acme", "bob", at_least("Member")).await, Decision::RoleDisabled);
        assert_eq!(project.ask("acme", "bob", at_least("Owner")).await, missing);
    });
}

#[test]
fn k6_only_the_temporary_role_counts_while_it_is_live() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let soon = soon();
        project.add("acme", "ann", &[role("Owner"), temporary("Member", soon)]).await;
        project.add("acme", "bob", &[role("Member"), temporary("Admin", in_an_hour())]).await;
        decides(
            project,
            &[
                ("acme", "ann", is("Member"), Decision::Allowed),
                ("acme", "ann", is("Owner"), Decision::MissingPermission),
                ("acme", "ann", at_least("Admin"), Decision::MissingPermission),
                ("acme", "bob", at_least("Admin"), Decision::Allowed),
                ("acme", "bob", is("Member"), Decision::MissingPermission),
                ("acme", "bob", at_least("Member"), Decision::Allowed),
            ],
        )
        .await;
        wait_until(&soon).await;
        decides(
            project,
            &[
                ("acme", "ann", is("Member"), Decision::RoleExpired),
                ("acme", "ann", at_least("Admin"), Decision::Allowed),
                ("acme", "ann", at_least("Member"), Decision::Allowed),
            ],
        )
        .await;
    });
}

#[test]
fn k6_at_least_follows_a_new_role_order() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "bob", &roles(&["Admin"])).await;
        assert_eq!(project.ask("acme", "bob", at_least("Member")).await, Decision::Allowed);
        let reordering =
            wire::ReorderRolesRequest { role_order: texts(&["Owner", "Member", "Admin"]), ..Default::default() };
        server.reorder_roles(reordering).await.unwrap();
        assert_eq!(project.ask("acme", "bob", at_least("Member")).await, Decision::MissingPermission);
        assert_eq!(project.ask("acme", "bob", at_least("Admin")).await, Decision::Allowed);
    });
}

/// In acme, in a MULTI_ROLE project: `live` is granted by a live role of ann, `off` by a disabled role, `gone` by an expired
/// role, `none` by no role.
async fn granted(server: &Server) -> Project<'_> {
    let project = server.multi().await;
    for name in ["live", "also", "off", "gone", "none"] {
        project.permission(name).await;
    }
    for (role, permissions) in [("Live", &["live", "also"][..]), ("Off", &["off"]), ("Gone", &["gone", "live"])] {
        project.role(role).await;
        project.grant("Default", role, permissions).await;
    }
    project.org("acme", "").await;
    let soon = soon();
    project.add("acme", "ann", &[role("Live"), role("Off"), temporary("Gone", soon)]).await;
    project.add("acme", "bob", &roles(&["Member"])).await;
    project.disable("Default", &["Off"]).await;
    wait_until(&soon).await;
    project
}

#[test]
fn k6_all_of_returns_unknown_or_else_the_first_failure() {
    on_both(async |server| {
        let project = granted(server).await;
        decides(
            project,
            &[
                ("acme", "ann", all_of(&["live"]), Decision::Allowed),
                ("acme", "ann", all_of(&["live", "also", "live"]), Decision::Allowed),
                ("acme", "ann", all_of(&["live", "off", "gone", "none"]), Decision::RoleDisabled),
                ("acme", "ann", all_of(&["gone", "off"]), Decision::RoleExpired),
                ("acme", "ann", all_of(&["none", "off"]), Decision::MissingPermission),
                ("acme", "ann", all_of(&["none", "off", "ghost"]), Decision::UnknownPermission),
                ("acme", "ann", all_of(&["ghost", "live"]), Decision::UnknownPermission),
                ("acme", "bob", all_of(&["live", "off"]), Decision::MissingPermission),
                ("acme", "nobody", all_of(&["live", "ghost"]), Decision::UnknownPermission),
                ("acme", "nobody", all_of(&["live", "off"]), Decision::NotAMember),
                ("nowhere", "ann", all_of(&["live", "ghost"]), Decision::OrgNotFound),
            ],
        )
        .await;
    });
}

#[test]
fn k6_any_of_returns_unknown_only_if_none_is_granted() {
    on_both(async |server| {
        let project = granted(server).await;
        decides(
            project,
            &[
                ("acme", "ann", any_of(&["none", "live"]), Decision::Allowed),
                ("acme", "ann", any_of(&["ghost", "live"]), Decision::Allowed),
                ("acme", "ann", any_of(&["live", "ghost"]), Decision::Allowed),
                ("acme", "ann", any_of(&["none", "ghost", "off"]), Decision::UnknownPermission),
                ("acme", "ann", any_of(&["none", "gone", "off"]), Decision::RoleDisabled),
                ("acme", "ann", any_of(&["none", "gone"]), Decision::RoleExpired),
                ("acme", "ann", any_of(&["none"]), Decision::MissingPermission),
                ("acme", "bob", any_of(&["live", "off", "gone"]), Decision::MissingPermission),
                ("acme", "nobody", any_of(&["live", "off"]), Decision::NotAMember),
                ("acme", "nobody", any_of(&["live", "ghost"]), Decision::UnknownPermission),
                ("nowhere", "ann", any_of(&["live", "ghost"]), Decision::OrgNotFound),
            ],
        )
        .await;
    });
}

#[test]
fn k6_a_list_of_one_permission_is_answered_like_that_permission() {
    on_both(async |server| {
        let project = granted(server).await;
        for user in ["ann", "bob", "nobody"] {
            for org in ["acme", "nowhere"] {
                for name in ["live", "off", "gone", "none", "ghost"] {
                    let alone = project.check(org, user, name).await;
                    assert_eq!(project.ask(org, user, all_of(&[name])).await, alone, "{user} {name}");
                    assert_eq!(project.ask(org, user, any_of(&[name])).await, alone, "{user} {name}");
                }
            }
        }
    });
}

#[test]
fn k6_old_names_are_accepted_in_every_question() {
    on_both(async |server| {
        let project = server.single();
        project.permission("view").await;
        project.role("Clerk").await;
        project.grant("Default", "Clerk", &["view"]).await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Clerk"])).await;
        let permission = wire::Permission { name: "see".into(), ..Default::default() };
        let request =
            wire::UpdatePermissionRequest { name: "view".into(), resource: Some(permission), ..Default::default() };
        server.update_permission(request).await.unwrap();
        let role = wire::Role { name: "Bookkeeper".into(), ..Default::default() };
        let request = wire::UpdateRoleRequest { name: "Clerk".into(), resource: Some(role), ..Default::default() };
        server.update_role(request).await.unwrap();
        let asked = async |server: &Server| {
            let project = server.single();
            for name in ["view", "see"] {
                assert_eq!(project.check("acme", "ann", name).await, Decision::Allowed);
                assert_eq!(project.ask("acme", "ann", all_of(&[name, "view"])).await, Decision::Allowed);
                assert_eq!(project.ask("acme", "ann", any_of(&["ghost", name])).await, Decision::Allowed);
            }
            for name in ["Clerk", "Bookkeeper"] {
                assert_eq!(project.ask("acme", "ann", is(name)).await, Decision::Allowed);
                assert_eq!(project.ask("acme", "ann", at_least(name)).await, Decision::Allowed);
            }
        };
        asked(server).await;
        asked(&server.restarted().await).await;
    });
}

#[test]
fn k6_a_malformed_question_is_an_error_that_names_its_field() {
    on_both(async |server| {
        let project = server.single();
        for (question, field) in [
            (is(""), "role"),
            (is(" Owner"), "role"),
            (is(&"x".repeat(129)), "role"),
            (at_least(""), "at_least_role"),
            (all_of(&[]), "all_of.permissions"),
            (any_of(&[]), "any_of.permissions"),
            (all_of(&["p", ""]), "all_of.permissions[1]"),
            (any_of(&["p", "q", "Cafe\u{301}"]), "any_of.permissions[2]"),
        ] {
            let request = wire::CheckRequest { question: Some(question), ..project.asking("nowhere", "ann", "") };
            assert_eq!(refused(server.check(request).await, "INVALID_FIELD").fields(), [field]);
        }
        // A permission may be longer than a role.
        let longest = "x".repeat(256);
        assert_eq!(project.ask("nowhere", "ann", any_of(&[&longest])).await, Decision::OrgNotFound);
    });
}
