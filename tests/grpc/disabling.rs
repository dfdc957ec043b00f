//! What becomes of those who hold a role that gets disabled: M7.

use rolecall::wire::{self, Decision, DisabledRoleStrategy};

use crate::fixture::{Project, role, roles, soon, suspending, temporary, texts, wait_until};
use crate::refusals::{Refused, refused};
use crate::server::{Server, on_both};

/// A MULTI_ROLE project: in mapping Paid every role is enabled, in Free neither Clerk nor Guest. In acme and globex, both on
/// Paid, two hold Clerk and three Guest, four of them together.
async fn shop(server: &Server) -> Project<'_> {
    let project = server.multi().await;
    project.permission("p").await;
    for name in ["Clerk", "Guest"] {
        project.role(name).await;
    }
    for mapping in ["Paid", "Free"] {
        project.mapping(mapping).await;
        project.grant(mapping, "Clerk", &["p"]).await;
    }
    project.disable("Free", &["Clerk", "Guest"]).await;
    for org in ["acme", "globex", "initech"] {
        project.org(org, "Paid").await;
    }
    project.add("acme", "ann", &roles(&["Clerk"])).await;
    project.add("acme", "bob", &roles(&["Clerk", "Guest"])).await;
    project.add("acme", "cat", &roles(&["Member", "Guest"])).await;
    project.add("globex", "dan", &roles(&["Guest"])).await;
    project.add("initech", "eve", &roles(&["Member"])).await;
    project
}

/// The refusal that counts who holds what.
#[track_caller]
fn counts(refused: &Refused, held: &[(&str, u32)], members: &str, orgs: &str) {
    for (role, members) in held {
        assert!(refused.message.contains(&format!("`{role}` ({members})")), "{}", refused.message);
    }
    let subjects: Vec<String> = held.iter().map(|(role, _)| format!("roles/{role}")).collect();
    assert_eq!(refused.subjects(), subjects);
    assert_eq!((refused.metadata("members"), refused.metadata("orgs")), (members, orgs));
    assert_eq!(refused.metadata("rule"), "M7");
}

#[test]
fn m7_disabling_a_role_that_is_held_is_refused_with_the_counts_by_role() {
    on_both(async |server| {
        let project = shop(server).await;
        let disabling = |names: &[&str], on_disabled| wire::UpdateRoleMappingRequest {
            disable_roles: texts(names),
            on_disabled,
            ..project.updating("Paid")
        };
        let said =
            |strategy: DisabledRoleStrategy| Some(wire::OnDisabled { strategy: strategy.into(), ..Default::default() });
        server
            .storing_nothing(async {
                for on_disabled in [None, said(DisabledRoleStrategy::Unspecified), said(DisabledRoleStrategy::Reject)] {
                    let answer = server.update_role_mapping(disabling(&["Clerk", "Guest"], on_disabled)).await;
                    let refused = refused(answer, "ROLES_WOULD_BE_DISABLED");
                    counts(&refused, &[("Clerk", 2), ("Guest", 3)], "4", "2");
                }
                let one = server.update_role_mapping(disabling(&["Clerk"], None)).await;
                counts(&refused(one, "ROLES_WOULD_BE_DISABLED"), &[("Clerk", 2)], "2", "1");
            })
            .await;
        assert_eq!(project.check("acme", "ann", "p").await, Decision::Allowed);
        // What nobody holds is disabled without a word.
        server.update_role_mapping(disabling(&["Admin"], None)).await.unwrap();
        let suspended = server.update_role_mapping(disabling(&["Clerk"], suspending())).await.unwrap();
        assert_eq!(suspended.role_mapping.unwrap().disabled_roles, ["Admin", "Clerk"]);
        assert_eq!(project.check("acme", "ann", "p").await, Decision::RoleDisabled);
        assert_eq!(project.roles_of("acme", "bob").await, "Clerk suspended, Guest live");
    });
}

#[test]
fn m7_roles_suspended_before_and_roles_that_have_ended_are_not_asked_about() {
    on_both(async |server| {
        let project = shop(server).await;
        let soon = soon();
        project.add("initech", "fay", &[role("Member"), temporary("Guest", soon)]).await;
        project.disable("Paid", &["Clerk"]).await;
        let disabling = |mapping: &str, name: &str| wire::UpdateRoleMappingRequest {
            disable_roles: texts(&[name]),
            ..project.updating(mapping)
        };
        // It is disabled already.
        server.storing_nothing(server.update_role_mapping(disabling("Paid", "Clerk"))).await.unwrap();
        // Clerks stay suspended in the other mapping: only guests lose something.
        let moving = server.subscribe_org(project.moving("acme", "Free")).await;
        counts(&refused(moving, "ROLES_WOULD_BE_DISABLED"), &[("Guest", 2)], "2", "1");
        for user in ["bob", "cat"] {
            project.set("acme", user, &roles(&["Member"])).await;
        }
        server.subscribe_org(project.moving("acme", "Free")).await.unwrap();
        assert_eq!(project.roles_of("acme", "ann").await, "Clerk suspended");
        // Whose end has passed, holds it no more.
        project.remove("globex", "dan").await;
        wait_until(&soon).await;
        server.update_role_mapping(disabling("Paid", "Guest")).await.unwrap();
    });
}

#[test]
fn m7_moving_an_org_is_refused_or_suspends() {
    on_both(async |server| {
        let project = shop(server).await;
        let answer = server.storing_nothing(server.subscribe_org(project.moving("acme", "Free"))).await;
        counts(&refused(answer, "ROLES_WOULD_BE_DISABLED"), &[("Clerk", 2), ("Guest", 2)], "3", "1");
        assert_eq!(project.mapping_of("acme").await, "Paid");
        // An org in which nobody holds any of them goes without a word, and so does one that loses nothing.
        server.subscribe_org(project.moving("initech", "Free")).await.unwrap();
        server.subscribe_org(project.moving("acme", "Default")).await.unwrap();
        server.subscribe_org(project.moving("acme", "Paid")).await.unwrap();
        let suspended = wire::SubscribeOrgRequest { on_disabled: suspending(), ..project.moving("acme", "Free") };
        server.subscribe_org(suspended).await.unwrap();
        assert_eq!(project.check("acme", "ann", "p").await, Decision::RoleDisabled);
        assert_eq!(project.roles_of("acme", "bob").await, "Clerk suspended, Guest suspended");
        assert_eq!(project.roles_of("acme", "cat").await, "Member live, Guest suspended");
        // A suspended role works again as soon as the mapping of the org enables it.
        server.subscribe_org(project.moving("acme", "Paid")).await.unwrap();
        assert_eq!(project.check("acme", "ann", "p").await, Decision::Allowed);
    });
}

#[test]
fn m7_in_bulk_one_refused_org_refuses_all_and_each_is_named_by_its_row() {
    on_both(async |server| {
        let project = shop(server).await;
        let moving = || project.moving_all(&["initech", "acme", "globex"], "Free");
        let answer = server.storing_nothing(server.batch_subscribe_orgs(moving())).await;
        let refused = refused(answer, "ROLES_WOULD_BE_DISABLED");
        assert_eq!(refused.subjects(), ["org_ids[1]", "org_ids[2]"]);
        assert_eq!((refused.metadata("rows"), refused.metadata("rows_total")), ("1,2", "2"));
        let violations = &refused.details.precondition_failure().unwrap().violations;
        assert!(violations[0].description.contains("`Clerk` (2), `Guest` (2)"), "{violations:?}");
        assert!(violations[1].description.contains("`Guest` (1)"), "{violations:?}");
        assert_eq!(project.mapping_of("initech").await, "Paid");
        let suspended = wire::BatchSubscribeOrgsRequest { on_disabled: suspending(), ..moving() };
        assert_eq!(server.batch_subscribe_orgs(suspended).await.unwrap().moved, 3);
        assert_eq!(project.roles_of("globex", "dan").await, "Guest suspended");
    });
}

#[test]
fn m7_deleting_a_mapping_asks_for_all_its_orgs_together() {
    on_both(async |server| {
        let project = shop(server).await;
        let answer = server.storing_nothing(server.delete_role_mapping(project.deleting("Paid", "Free"))).await;
        counts(&refused(answer, "ROLES_WOULD_BE_DISABLED"), &[("Clerk", 2), ("Guest", 3)], "4", "2");
        let suspended =
            wire::DeleteRoleMappingRequest { on_disabled: suspending(), ..project.deleting("Paid", "Free") };
        assert_eq!(server.delete_role_mapping(suspended).await.unwrap().moved_orgs, 3);
        assert_eq!(project.roles_of("acme", "ann").await, "Clerk suspended");
        // The way back loses nobody anything.
        project.mapping("Paid").await;
        server.delete_role_mapping(project.deleting("Free", "Paid")).await.unwrap();
        assert_eq!(project.roles_of("acme", "ann").await, "Clerk live");
    });
}

#[test]
fn m7_a_new_mapping_asks_for_the_orgs_that_it_takes() {
    on_both(async |server| {
        let project = shop(server).await;
        let creating = || wire::CreateRoleMappingRequest {
            project: project.key.into(),
            name: "Lean".into(),
            disable_roles: texts(&["Guest"]),
            subscribe_org_ids: texts(&["initech", "globex", "acme"]),
            ..Default::default()
        };
        let answer = server.storing_nothing(server.create_role_mapping(creating())).await;
        let refused = refused(answer, "ROLES_WOULD_BE_DISABLED");
        assert_eq!(refused.subjects(), ["subscribe_org_ids[1]", "subscribe_org_ids[2]"]);
        let suspended = wire::CreateRoleMappingRequest { on_disabled: suspending(), ..creating() };
        let created = server.create_role_mapping(suspended).await.unwrap().role_mapping.unwrap();
        assert_eq!(created.subscriber_count, 3);
        assert_eq!(project.roles_of("acme", "bob").await, "Clerk live, Guest suspended");
    });
}

#[test]
fn m7_orgs_of_other_mappings_and_deleted_orgs_are_not_asked_for() {
    on_both(async |server| {
        let project = shop(server).await;
        project.org("other", "Default").await;
        project.add("other", "ann", &roles(&["Clerk"])).await;
        let disabling =
            || wire::UpdateRoleMappingRequest { disable_roles: texts(&["Clerk"]), ..project.updating("Paid") };
        let answer = server.update_role_mapping(disabling()).await;
        counts(&refused(answer, "ROLES_WOULD_BE_DISABLED"), &[("Clerk", 2)], "2", "1");
        project.delete_org("acme").await;
        server.update_role_mapping(disabling()).await.unwrap();
        assert_eq!(project.check("other", "ann", "p").await, Decision::MissingPermission);
        assert_eq!(project.roles_of("other", "ann").await, "Clerk live");
    });
}
