//! Disabling roles in use with REJECT and SUSPEND: M7. REMAP and fallback roles are in `strategies.rs`.

use rolecall::wire::{self, Decision, DisabledRoleStrategy};

use crate::fixture::{Project, role, roles, soon, suspending, temporary, texts, wait_until};
use crate::refusals::{Refused, refused};
use crate::server::{Server, on_both};

/// Creates a MULTI_ROLE project with three orgs on the mapping Paid. Paid enables every role. Free disables Clerk and Guest. In
/// acme and globex two members hold Clerk and three hold Guest, which are four different members.
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

/// Asserts that a refusal has these counts.
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
fn m7_disabling_a_held_role_is_refused_with_counts_for_each_role() {
    on_both(async |server| {
        let project = shop(server).await;
        let disabling = |names: &[&str], on_disabled| wire::UpdateRoleMappingRequest {
            disable_roles: texts(names),
            on_disabled,
            ..project.updating("Paid")
        };
        let with =
            |strategy: DisabledRoleStrategy| Some(wire::OnDisabled { strategy: strategy.into(), ..Default::default() });
        server
            .storing_nothing(async {
                for on_disabled in [None, with(DisabledRoleStrategy::Unspecified), with(DisabledRoleStrategy::Reject)] {
                    let answer = server.update_role_mapping(disabling(&["Clerk", "Guest"], on_disabled)).await;
                    let refused = refused(answer, "ROLES_WOULD_BE_DISABLED");
                    counts(&refused, &[("Clerk", 2), ("Guest", 3)], "4", "2");
                }
                let one = server.update_role_mapping(disabling(&["Clerk"], None)).await;
                counts(&refused(one, "ROLES_WOULD_BE_DISABLED"), &[("Clerk", 2)], "2", "1");
            })
            .await;
        assert_eq!(project.check("acme", "ann", "p").await, Decision::Allowed);
        // A role that nobody holds needs no strategy.
        server.update_role_mapping(disabling(&["Admin"], None)).await.unwrap();
        let suspended = server.update_role_mapping(disabling(&["Clerk"], suspending())).await.unwrap();
        assert_eq!(suspended.role_mapping.unwrap().disabled_roles, ["Admin", "Clerk"]);
        assert_eq!(project.check("acme", "ann", "p").await, Decision::RoleDisabled);
        assert_eq!(project.roles_of("acme", "bob").await, "Clerk suspended, Guest live");
    });
}

#[test]
fn m7_suspended_and_expired_roles_need_no_strategy() {
    on_both(async |server| {
        let project = shop(server).await;
        let soon = soon();
        project.add("initech", "fay", &[role("Member"), temporary("Guest", soon)]).await;
        project.disable("Paid", &["Clerk"]).await;
        let disabling = |mapping: &str, name: &str| wire::UpdateRoleMappingRequest {
            disable_roles: texts(&[name]),
            ..project.updating(mapping)
        };
        // The role is disabled already.
        server.storing_nothing(server.update_role_mapping(disabling("Paid", "Clerk"))).await.unwrap();
        // Clerk is suspended before and after the move. Only Guest needs a strategy.
        let moving = server.subscribe_org(project.moving("acme", "Free")).await;
        counts(&refused(moving, "ROLES_WOULD_BE_DISABLED"), &[("Guest", 2)], "2", "1");
        for user in ["bob", "cat"] {
            project.set("acme", user, &roles(&["Member"])).await;
        }
        server.subscribe_org(project.moving("acme", "Free")).await.unwrap();
        assert_eq!(project.roles_of("acme", "ann").await, "Clerk suspended");
        // An expired role is no longer held.
        project.remove("globex", "dan").await;
        wait_until(&soon).await;
        server.update_role_mapping(disabling("Paid", "Guest")).await.unwrap();
    });
}

#[test]
fn m7_moving_an_org_rejects_or_suspends() {
    on_both(async |server| {
        let project = shop(server).await;
        let answer = server.storing_nothing(server.subscribe_org(project.moving("acme", "Free"))).await;
        counts(&refused(answer, "ROLES_WOULD_BE_DISABLED"), &[("Clerk", 2), ("Guest", 2)], "3", "1");
        assert_eq!(project.mapping_of("acme").await, "Paid");
        // A move needs no strategy if nobody holds a disabled role, or if the new mapping disables none.
        server.subscribe_org(project.moving("initech", "Free")).await.unwrap();
        server.subscribe_org(project.moving("acme", "Default")).await.unwrap();
        server.subscribe_org(project.moving("acme", "Paid")).await.unwrap();
        let suspended = wire::SubscribeOrgRequest { on_disabled: suspending(), ..project.moving("acme", "Free") };
        server.subscribe_org(suspended).await.unwrap();
        assert_eq!(project.check("acme", "ann", "p").await, Decision::RoleDisabled);
        assert_eq!(project.roles_of("acme", "bob").await, "Clerk suspended, Guest suspended");
        assert_eq!(project.roles_of("acme", "cat").await, "Member live, Guest suspended");
        // A suspended role works again when the org's mapping enables it (M7.d).
        server.subscribe_org(project.moving("acme", "Paid")).await.unwrap();
        assert_eq!(project.check("acme", "ann", "p").await, Decision::Allowed);
    });
}

#[test]
fn m7_one_refused_org_refuses_a_bulk_move_and_each_refused_row_is_named() {
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
fn m7_deleting_a_mapping_counts_all_its_orgs_together() {
    on_both(async |server| {
        let project = shop(server).await;
        let answer = server.storing_nothing(server.delete_role_mapping(project.deleting("Paid", "Free"))).await;
        counts(&refused(answer, "ROLES_WOULD_BE_DISABLED"), &[("Clerk", 2), ("Guest", 3)], "4", "2");
        let suspended =
            wire::DeleteRoleMappingRequest { on_disabled: suspending(), ..project.deleting("Paid", "Free") };
        assert_eq!(server.delete_role_mapping(suspended).await.unwrap().moved_orgs, 3);
        assert_eq!(project.roles_of("acme", "ann").await, "Clerk suspended");
        // The move back needs no strategy.
        project.mapping("Paid").await;
        server.delete_role_mapping(project.deleting("Free", "Paid")).await.unwrap();
        assert_eq!(project.roles_of("acme", "ann").await, "Clerk live");
    });
}

#[test]
fn m7_a_new_mapping_needs_a_strategy_for_the_orgs_it_subscribes() {
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
fn m7_orgs_of_other_mappings_and_deleted_orgs_are_not_counted() {
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
