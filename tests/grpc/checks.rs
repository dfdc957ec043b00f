//! Checks: K1 to K3.

use rolecall::wire::{self, Decision};

use crate::fixture::{Project, micros, role, roles, soon, temporary, wait_until};
use crate::refusals::refused;
use crate::server::{Server, on_both};

fn item(org_id: &str, user_id: &str, permission: &str) -> wire::CheckItem {
    wire::CheckItem { org_id: org_id.into(), user_id: user_id.into(), permission: permission.into() }
}

fn batch(project: Project<'_>, items: Vec<wire::CheckItem>) -> wire::BatchCheckRequest {
    wire::BatchCheckRequest { project: project.key.into(), items, ..Default::default() }
}

/// Creates a MULTI_ROLE project with org `acme`. Roles P, D and E grant `p`, role Q grants `q`.
async fn shop(server: &Server) -> Project<'_> {
    let project = server.multi().await;
    for (name, permission) in [("P", "p"), ("Q", "q"), ("D", "p"), ("E", "p")] {
        if permission == name.to_lowercase() {
            project.permission(permission).await;
        }
        project.role(name).await;
        project.grant("Default", name, &[permission]).await;
    }
    project.org("acme", "").await;
    project
}

#[test]
fn k1_a_check_is_allowed_if_and_only_if_a_live_role_grants_it_in_that_org() {
    on_both(async |server| {
        let project = shop(server).await;
        project.org("globex", "").await;
        project.add("acme", "ann", &roles(&["P"])).await;
        assert_eq!(project.check("acme", "ann", "p").await, Decision::Allowed);
        assert_eq!(project.check("acme", "ann", "q").await, Decision::MissingPermission);
        assert_eq!(project.check("globex", "ann", "p").await, Decision::NotAMember);
        assert_eq!(project.check("acme", "Ann", "p").await, Decision::NotAMember);
        project.take("Default", "P", &["p"]).await;
        assert_eq!(project.check("acme", "ann", "p").await, Decision::MissingPermission);
    });
}

#[test]
fn k2_every_decision_and_their_precedence() {
    on_both(async |server| {
        let project = shop(server).await;
        let soon = soon();
        project.add("acme", "expired", &[role("Member"), temporary("E", soon)]).await;
        project.add("acme", "expired-alone", &[temporary("E", soon)]).await;
        project.add("acme", "suspended", &roles(&["D", "Q"])).await;
        project.add("acme", "live-and-suspended", &roles(&["P", "D"])).await;
        project.add("acme", "suspended-and-expired", &[role("D"), temporary("E", soon)]).await;
        project.add("acme", "live-and-expired", &[role("P"), temporary("E", soon)]).await;
        project.add("acme", "disabled-since-expired", &[role("Member"), temporary("D", soon)]).await;
        project.disable("Default", &["D"]).await;
        wait_until(&soon).await;
        let cases = [
            ("nowhere", "stranger", "nothing", Decision::OrgNotFound),
            ("nowhere", "suspended", "p", Decision::OrgNotFound),
            ("acme", "stranger", "nothing", Decision::UnknownPermission),
            ("acme", "suspended", "P", Decision::UnknownPermission),
            ("acme", "stranger", "p", Decision::NotAMember),
            ("acme", "live-and-suspended", "p", Decision::Allowed),
            ("acme", "live-and-expired", "p", Decision::Allowed),
            ("acme", "suspended", "p", Decision::RoleDisabled),
            ("acme", "suspended-and-expired", "p", Decision::RoleDisabled),
            ("acme", "expired", "p", Decision::RoleExpired),
            ("acme", "expired-alone", "p", Decision::RoleExpired),
            ("acme", "disabled-since-expired", "p", Decision::RoleExpired),
            ("acme", "suspended", "q", Decision::Allowed),
            ("acme", "expired", "q", Decision::MissingPermission),
            ("acme", "live-and-suspended", "q", Decision::MissingPermission),
        ];
        for (org, user, permission, decision) in cases {
            assert_eq!(project.check(org, user, permission).await, decision, "{user} {permission} in {org}");
        }
        let items = cases.iter().map(|(org, user, permission, _)| item(org, user, permission)).collect();
        let answer = server.batch_check(batch(project, items)).await.unwrap();
        assert_eq!(answer.decisions().collect::<Vec<_>>(), cases.map(|(.., decision)| decision));
        assert!(answer.errors.is_empty());
    });
}

#[test]
fn k2_an_error_is_never_a_denial() {
    on_both(async |server| {
        let nowhere = Project { server, key: "nowhere" };
        let answer = server.check(nowhere.asking("acme", "ann", "p")).await;
        let unknown = refused(answer, "PROJECT_NOT_FOUND");
        assert_eq!((unknown.resource(), unknown.metadata("rule")), (("rolecall.v1.Project", "nowhere"), "P1"));
        let answer = server.batch_check(batch(nowhere, vec![item("acme", "ann", "p")])).await;
        refused(answer, "PROJECT_NOT_FOUND");
        refused(server.batch_check(batch(nowhere, vec![])).await, "PROJECT_NOT_FOUND");
        // A malformed field is refused before the org is looked up.
        for (org, user, permission, field) in
            [("", "ann", "p", "org_id"), ("nowhere", "", "p", "user_id"), ("nowhere", "ann", " p", "permission")]
        {
            let answer = server.check(server.single().asking(org, user, permission)).await;
            assert_eq!(refused(answer, "INVALID_FIELD").fields(), [field]);
        }
    });
}

#[test]
fn k3_decisions_have_the_order_of_the_items() {
    on_both(async |server| {
        let project = shop(server).await;
        project.org("globex", "").await;
        for number in 0..50 {
            if number % 3 == 0 {
                project.add("acme", &format!("u{number}"), &roles(&["P"])).await;
            }
        }
        let mut items = Vec::new();
        let mut expected = Vec::new();
        for number in (0..50).rev() {
            for (org, permission) in [("globex", "p"), ("acme", "p"), ("acme", "q"), ("acme", "zz"), ("nowhere", "p")] {
                items.push(item(org, &format!("u{number}"), permission));
                expected.push(match (org, permission) {
                    ("nowhere", _) => Decision::OrgNotFound,
                    (_, "zz") => Decision::UnknownPermission,
                    ("acme", _) if number % 3 != 0 => Decision::NotAMember,
                    ("acme", "p") => Decision::Allowed,
                    ("acme", _) => Decision::MissingPermission,
                    _ => Decision::NotAMember,
                });
            }
        }
        let answer = server.batch_check(batch(project, items)).await.unwrap();
        assert_eq!(answer.decisions().collect::<Vec<_>>(), expected);
    });
}

#[test]
fn k3_a_malformed_item_is_an_item_error_and_never_a_denial() {
    on_both(async |server| {
        let project = shop(server).await;
        project.add("acme", "ann", &roles(&["P"])).await;
        let items = vec![
            item("acme", "ann", "p"),
            item("", "ann", "p"),
            item("acme", "a b", "p"),
            item("acme", "ann", "p"),
            item("acme", "ann", ""),
            item("acme", "ann", "Cafe\u{301}"),
            item("acme", &"x".repeat(129), "p"),
            item("nowhere", "ann", "p"),
        ];
        let answer = server.batch_check(batch(project, items)).await.unwrap();
        let (allowed, none) = (Decision::Allowed, Decision::Unspecified);
        let expected = [allowed, none, none, allowed, none, none, none, Decision::OrgNotFound];
        assert_eq!(answer.decisions().collect::<Vec<_>>(), expected);
        let errors: Vec<_> = answer.errors.iter().map(|error| (error.index, error.field.as_str())).collect();
        assert_eq!(answer.errors_total, 5);
        assert_eq!(errors, [(1, "org_id"), (2, "user_id"), (4, "permission"), (5, "permission"), (6, "user_id")]);
        assert!(answer.errors.iter().all(|error| error.reason == "INVALID_FIELD" && !error.description.is_empty()));
    });
}

#[test]
fn k3_an_empty_field_of_an_item_has_the_value_of_the_defaults() {
    on_both(async |server| {
        let project = shop(server).await;
        project.add("acme", "ann", &roles(&["P"])).await;
        project.add("acme", "bob", &roles(&["Q"])).await;
        let request = wire::BatchCheckRequest {
            defaults: Some(item("acme", "ann", "p")),
            ..batch(project, vec![item("", "", ""), item("", "bob", ""), item("", "bob", "q"), item("nowhere", "", "")])
        };
        let answer = server.batch_check(request).await.unwrap();
        let expected = [Decision::Allowed, Decision::MissingPermission, Decision::Allowed, Decision::OrgNotFound];
        assert_eq!(answer.decisions().collect::<Vec<_>>(), expected);
        // A malformed default affects only the items that use it.
        let request = wire::BatchCheckRequest {
            defaults: Some(item("acme", "a b", "p")),
            ..batch(project, vec![item("", "", ""), item("", "ann", "")])
        };
        let answer = server.batch_check(request).await.unwrap();
        assert_eq!(answer.decisions().collect::<Vec<_>>(), [Decision::Unspecified, Decision::Allowed]);
        assert_eq!((answer.errors.len(), answer.errors[0].index), (1, 0));
        assert_eq!(server.batch_check(batch(project, vec![])).await.unwrap().decisions.len(), 0);
    });
}

#[test]
fn k3_a_batch_is_answered_from_one_revision_despite_concurrent_writes() {
    on_both(async |server| {
        let project = shop(server).await;
        project.add("acme", "ann", &roles(&["P"])).await;
        // Each write moves permission `p` from one role to the other. At any revision exactly one of the two users has it.
        project.add("acme", "bob", &roles(&["Q"])).await;
        let writer = async {
            for round in 0..15 {
                let (more, less) = if round % 2 == 0 { ("Q", "P") } else { ("P", "Q") };
                let request = wire::UpdateRoleMappingRequest {
                    project: project.key.into(),
                    name: "Default".into(),
                    edits: vec![
                        wire::GrantEdit { role: more.into(), add: vec!["p".into()], remove: vec![] },
                        wire::GrantEdit { role: less.into(), add: vec![], remove: vec!["p".into()] },
                    ],
                    ..Default::default()
                };
                server.update_role_mapping(request).await.unwrap();
            }
        };
        let asker = async {
            for _ in 0..40 {
                let items = [item("acme", "ann", "p"), item("acme", "bob", "p")];
                let items = items.into_iter().cycle().take(6_000).collect();
                let answer = server.batch_check(batch(project, items)).await.unwrap();
                let allowed = |decision: &i32| *decision == Decision::Allowed as i32;
                let [first, second] = [allowed(&answer.decisions[0]), allowed(&answer.decisions[1])];
                assert!(first != second, "exactly one of the two is allowed at any revision");
                assert!(
                    answer.decisions.chunks(2).all(|pair| allowed(&pair[0]) == first && allowed(&pair[1]) == second)
                );
            }
        };
        tokio::join!(writer, asker);
    });
}

#[test]
fn k3_a_batch_is_answered_at_one_instant() {
    on_both(async |server| {
        let project = shop(server).await;
        let expiry = soon();
        project.add("acme", "ann", &[temporary("P", expiry)]).await;
        let (mut before, mut since) = (false, false);
        while !since {
            let items = vec![item("acme", "ann", "p"); 20_000];
            let answer = server.batch_check(batch(project, items)).await.unwrap();
            let expired = micros(answer.evaluated_at.as_ref().unwrap()) >= micros(&expiry);
            let expected = if expired { Decision::RoleExpired } else { Decision::Allowed };
            assert!(answer.decisions().all(|decision| decision == expected));
            (before, since) = (before || !expired, since || expired);
        }
        assert!(before, "the role had expired before the first check");
    });
}
