//! REMAP and fallback roles (M7). REJECT and plain SUSPEND are tested in `disabling.rs`.

use rolecall::wire::{
    self, Decision, DisabledRoleStrategy, MemberRoleState, MembershipOrigin, check_request::Question,
};
use tonic::Status;

use crate::fixture::{
    Project, remapping, role, role_changes, roles, soon, suspending, suspending_with_fallback, temporary, texts,
    wait_until,
};
use crate::refusals::{Refused, refused};
use crate::server::{Server, on_both};

/// A MULTI_ROLE project with the roles Owner, Admin, Member, Clerk, Guest, Helper and the internal roles Support and Staff.
/// Paid enables them all. Free disables Clerk, Guest and Support. All members are in acme, which is on Paid.
async fn shop(server: &Server) -> Project<'_> {
    let project = server.multi().await;
    project.permission("help").await;
    for name in ["Clerk", "Guest", "Helper"] {
        project.role(name).await;
    }
    for name in ["Support", "Staff"] {
        project.internal_role(name).await;
    }
    for mapping in ["Paid", "Free"] {
        project.mapping(mapping).await;
        project.grant(mapping, "Helper", &["help"]).await;
    }
    project.disable("Free", &["Clerk", "Guest", "Support"]).await;
    project.org("acme", "Paid").await;
    project.add("acme", "ann", &roles(&["Clerk"])).await;
    project.add("acme", "bob", &roles(&["Clerk", "Guest"])).await;
    project.add("acme", "cat", &roles(&["Member", "Guest"])).await;
    project
}

fn moving(project: Project<'_>, mapping: &str, on_disabled: Option<wire::OnDisabled>) -> wire::SubscribeOrgRequest {
    wire::SubscribeOrgRequest { on_disabled, ..project.moving("acme", mapping) }
}

async fn refused_move(project: Project<'_>, on_disabled: Option<wire::OnDisabled>, reason: &str) -> Refused {
    let server = project.server;
    refused(server.storing_nothing(server.subscribe_org(moving(project, "Free", on_disabled))).await, reason)
}

#[test]
fn m7_remap_replaces_a_role_permanently() {
    on_both(async |server| {
        let project = shop(server).await;
        let on_disabled = remapping(&[("Clerk", "Helper")], "Member");
        let moved = server.subscribe_org(moving(project, "Free", on_disabled)).await.unwrap();
        assert_eq!(role_changes(&moved.impact), "Member +1, Clerk -2, Guest -2, Helper +2");
        assert_eq!(project.roles_of("acme", "ann").await, "Helper live");
        assert_eq!(project.roles_of("acme", "bob").await, "Member live, Helper live");
        // A member who holds the new role already only loses the old one.
        assert_eq!(project.roles_of("acme", "cat").await, "Member live");
        assert_eq!(project.check("acme", "ann", "help").await, Decision::Allowed);
        let ann = project.member("acme", "ann").await.unwrap();
        assert_eq!((ann.origin(), ann.roles[0].origin()), (MembershipOrigin::Migration, MembershipOrigin::Migration));
        assert_eq!(ann.revision, moved.revision);
        assert_eq!(project.holders("acme", "Clerk").await, [""; 0]);
        // Moving back restores nothing.
        project.subscribe("acme", "Paid").await;
        assert_eq!(project.roles_of("acme", "ann").await, "Helper live");
        let restarted = server.restarted().await;
        let project = Project { server: &restarted, ..project };
        assert_eq!(project.check("acme", "bob", "help").await, Decision::Allowed);
        assert_eq!(project.roles_of("acme", "bob").await, "Member live, Helper live");
        restarted.stop().await;
    });
}

#[test]
fn m7_remap_keeps_the_expiry_and_the_later_of_two_applies() {
    on_both(async |server| {
        let project = shop(server).await;
        let (soon, later) = (soon(), crate::fixture::in_an_hour());
        project.add("acme", "dan", &[temporary("Clerk", soon), role("Member")]).await;
        project.add("acme", "eve", &[temporary("Clerk", soon), temporary("Helper", later)]).await;
        project.add("acme", "fay", &[temporary("Clerk", later), temporary("Guest", soon)]).await;
        project.add("acme", "gil", &[temporary("Clerk", soon), role("Helper")]).await;
        let on_disabled = remapping(&[("Clerk", "Helper"), ("Guest", "Helper")], "");
        server.subscribe_org(moving(project, "Free", on_disabled)).await.unwrap();
        let expiries = async |user: &str| {
            let member = project.member("acme", user).await.unwrap();
            member.roles.into_iter().map(|role| (role.role, role.expire_time)).collect::<Vec<_>>()
        };
        assert_eq!(expiries("dan").await, [("Member".into(), None), ("Helper".into(), Some(soon))]);
        assert_eq!(expiries("eve").await, [("Helper".into(), Some(later))]);
        assert_eq!(expiries("fay").await, [("Helper".into(), Some(later))]);
        assert_eq!(expiries("gil").await, [("Helper".into(), None)]);
        wait_until(&soon).await;
        assert_eq!(project.check("acme", "dan", "help").await, Decision::RoleExpired);
        assert_eq!(project.check("acme", "eve", "help").await, Decision::Allowed);
    });
}

#[test]
fn m7_remap_must_cover_every_affected_role() {
    on_both(async |server| {
        let project = shop(server).await;
        let answer = refused_move(project, remapping(&[("Clerk", "Helper")], ""), "ROLES_WOULD_BE_DISABLED").await;
        assert_eq!(answer.subjects(), ["roles/Guest"]);
        assert_eq!((answer.metadata("members"), answer.metadata("orgs")), ("2", "1"));
        assert!(answer.message.contains("`Guest` (2)") && !answer.message.contains("Clerk"), "{}", answer.message);
        refused_move(project, remapping(&[], ""), "ROLES_WOULD_BE_DISABLED").await;
        // A visible role cannot replace an internal one.
        project.add("acme", "sam", &roles(&["Support"])).await;
        let answer = refused_move(project, remapping(&[], "Member"), "ROLES_WOULD_BE_DISABLED").await;
        assert_eq!((answer.subjects(), answer.metadata("members")), (vec!["roles/Support"], "1"));
        let both = remapping(&[("Support", "Staff")], "Member");
        server.subscribe_org(moving(project, "Free", both)).await.unwrap();
        assert_eq!(project.roles_of("acme", "sam").await, "Staff live");
        assert_eq!(project.roles_of("acme", "ann").await, "Member live");
    });
}

#[test]
fn m7_a_replacement_must_exist_be_enabled_and_be_as_visible_as_the_role() {
    on_both(async |server| {
        let project = shop(server).await;
        let answer = refused_move(project, remapping(&[("Clerk", "Guest")], "Helper"), "ROLE_DISABLED").await;
        assert_eq!(answer.subjects(), ["role_mappings/Free/roles/Guest"]);
        // Even if nobody would get it.
        refused_move(project, remapping(&[("Owner", "Guest")], "Helper"), "ROLE_DISABLED").await;
        refused_move(project, remapping(&[], "Guest"), "ROLE_DISABLED").await;
        refused_move(project, remapping(&[("Clerk", "Staff")], "Helper"), "REPLACEMENT_UNSUITABLE").await;
        refused_move(project, remapping(&[("Support", "Helper")], "Helper"), "REPLACEMENT_UNSUITABLE").await;
        for on_disabled in [
            remapping(&[("Clerk", "Nothing")], "Helper"),
            remapping(&[("Nothing", "Helper")], "Helper"),
            remapping(&[], "Nothing"),
            suspending_with_fallback("Nothing"),
        ] {
            let answer = refused_move(project, on_disabled, "ROLE_NOT_FOUND").await;
            assert_eq!(answer.resource(), ("rolecall.v1.Role", "Nothing"));
        }
        let twice = remapping(&[("Clerk", "Helper"), ("Guest", "Member"), ("Clerk", "Member")], "");
        refused_move(project, twice, "CONTRADICTION").await;
        refused_move(project, suspending_with_fallback("Guest"), "ROLE_DISABLED").await;
        refused_move(project, suspending_with_fallback("Staff"), "REPLACEMENT_UNSUITABLE").await;
    });
}

#[test]
fn m7_a_field_of_another_strategy_is_refused_by_its_path() {
    on_both(async |server| {
        let project = shop(server).await;
        let with = |strategy: DisabledRoleStrategy, given: Option<wire::OnDisabled>| {
            given.map(|given| wire::OnDisabled { strategy: strategy.into(), ..given })
        };
        let (map, others, fallback_role) = (
            || remapping(&[("Clerk", "Helper")], ""),
            || remapping(&[], "Helper"),
            || suspending_with_fallback("Helper"),
        );
        for (on_disabled, field) in [
            (with(DisabledRoleStrategy::Unspecified, map()), "on_disabled.replacements"),
            (with(DisabledRoleStrategy::Reject, others()), "on_disabled.default_replacement"),
            (with(DisabledRoleStrategy::Reject, fallback_role()), "on_disabled.fallback_role"),
            (with(DisabledRoleStrategy::Suspend, map()), "on_disabled.replacements"),
            (with(DisabledRoleStrategy::Suspend, others()), "on_disabled.default_replacement"),
            (with(DisabledRoleStrategy::Remap, fallback_role()), "on_disabled.fallback_role"),
        ] {
            assert_eq!(refused_move(project, on_disabled, "INVALID_FIELD").await.fields(), [field]);
        }
        let malformed = remapping(&[("Clerk", "Helper"), ("Guest", "Helper"), ("Owner", " Helper")], "");
        let answer = refused_move(project, malformed, "INVALID_FIELD").await;
        assert_eq!(answer.fields(), ["on_disabled.replacements[2].replacement"]);
        // More entries than a project can have roles.
        let many = remapping(&vec![("Clerk", "Helper"); 10_001], "");
        assert_eq!(refused_move(project, many, "TOO_MANY_ROWS").await.fields(), ["on_disabled.replacements"]);
    });
}

#[test]
fn m7_a_fallback_role_is_held_while_a_role_is_suspended() {
    on_both(async |server| {
        let project = shop(server).await;
        let moved = server.subscribe_org(moving(project, "Free", suspending_with_fallback("Helper"))).await.unwrap();
        assert_eq!(role_changes(&moved.impact), "Clerk suspended 2, Guest suspended 2, Helper +3");
        let shown = async |user: &str| {
            let member = project.member("acme", user).await.unwrap();
            let role = |role: wire::MemberRole| format!("{} {:?} {}", role.role, role.state(), role.fallback_role);
            member.roles.into_iter().map(role).collect::<Vec<_>>()
        };
        assert_eq!(shown("ann").await, ["Clerk Suspended Helper"]);
        assert_eq!(shown("bob").await, ["Clerk Suspended Helper", "Guest Suspended Helper"]);
        assert_eq!(shown("cat").await, ["Member Live ", "Guest Suspended Helper"]);
        let asked = async |user: &str, question| project.ask("acme", user, question).await;
        for user in ["ann", "bob", "cat"] {
            assert_eq!(project.check("acme", user, "help").await, Decision::Allowed);
            assert_eq!(asked(user, Question::Role("Helper".into())).await, Decision::Allowed);
            assert_eq!(asked(user, Question::AtLeastRole("Helper".into())).await, Decision::Allowed);
        }
        assert_eq!(asked("ann", Question::Role("Clerk".into())).await, Decision::RoleDisabled);
        assert_eq!(project.holders("acme", "Helper").await, ["ann", "bob", "cat"]);
        let permitted = wire::ListMembersRequest {
            project: project.key.into(),
            org_id: "acme".into(),
            permission: "help".into(),
            ..Default::default()
        };
        assert_eq!(server.list_members(permitted).await.unwrap().members.len(), 3);
        // It is held after a restart, and removed when the role is enabled again.
        let restarted = server.restarted().await;
        let project = Project { server: &restarted, ..project };
        assert_eq!(project.check("acme", "ann", "help").await, Decision::Allowed);
        let back = restarted.subscribe_org(project.moving("acme", "Paid")).await.unwrap();
        assert_eq!(role_changes(&back.impact), "Clerk reactivated 2, Guest reactivated 2, Helper -3");
        assert_eq!(project.roles_of("acme", "bob").await, "Clerk live, Guest live");
        assert_eq!(project.member("acme", "bob").await.unwrap().roles[0].fallback_role, "");
        assert_eq!(project.check("acme", "ann", "help").await, Decision::MissingPermission);
        assert_eq!(project.holders("acme", "Helper").await, [""; 0]);
        restarted.stop().await;
    });
}

#[test]
fn m7_a_fallback_role_expires_with_its_role_and_new_members_do_not_get_it() {
    on_both(async |server| {
        let project = shop(server).await;
        let soon = soon();
        project.add("acme", "dan", &[temporary("Clerk", soon), role("Member")]).await;
        server.subscribe_org(moving(project, "Free", suspending_with_fallback("Helper"))).await.unwrap();
        assert_eq!(project.check("acme", "dan", "help").await, Decision::Allowed);
        wait_until(&soon).await;
        assert_eq!(project.check("acme", "dan", "help").await, Decision::MissingPermission);
        // A disabled role cannot be given, so no new member gets its fallback role.
        refused(server.add_member(project.adding("acme", "eve", &roles(&["Clerk"]))).await, "ROLE_DISABLED");
        project.add("acme", "eve", &roles(&["Member"])).await;
        assert_eq!(project.check("acme", "eve", "help").await, Decision::MissingPermission);
        // A member who gives up the suspended role loses its fallback role.
        project.set("acme", "cat", &roles(&["Member"])).await;
        assert_eq!(project.check("acme", "cat", "help").await, Decision::MissingPermission);
    });
}

#[test]
fn m7_disabling_a_fallback_role_needs_a_strategy_too() {
    on_both(async |server| {
        let project = shop(server).await;
        server.subscribe_org(moving(project, "Free", suspending_with_fallback("Helper"))).await.unwrap();
        let disabling = |on_disabled| wire::UpdateRoleMappingRequest {
            disable_roles: texts(&["Helper"]),
            on_disabled,
            ..project.updating("Free")
        };
        let answer = server.storing_nothing(server.update_role_mapping(disabling(None))).await;
        assert_eq!(refused(answer, "ROLES_WOULD_BE_DISABLED").metadata("members"), "3");
        let suspended = server.update_role_mapping(disabling(suspending_with_fallback("Admin"))).await.unwrap();
        assert_eq!(role_changes(&suspended.impact), "Admin +3, Helper -3");
        assert_eq!(project.member("acme", "ann").await.unwrap().roles[0].fallback_role, "Admin");
        assert_eq!(project.ask("acme", "ann", Question::Role("Admin".into())).await, Decision::Allowed);
        // The first fallback role counts again once it is enabled.
        project.enable("Free", &["Helper"]).await;
        assert_eq!(project.member("acme", "ann").await.unwrap().roles[0].fallback_role, "Helper");
        let remapped = server.update_role_mapping(disabling(remapping(&[("Helper", "Member")], ""))).await.unwrap();
        assert_eq!(role_changes(&remapped.impact), "Member +2, Helper -3");
        assert_eq!(project.member("acme", "ann").await.unwrap().roles[0].fallback_role, "Member");
    });
}

#[test]
fn m7_an_internal_role_is_suspended_without_a_fallback_role() {
    on_both(async |server| {
        let project = shop(server).await;
        project.add("acme", "sam", &roles(&["Support"])).await;
        server.subscribe_org(moving(project, "Free", suspending_with_fallback("Helper"))).await.unwrap();
        let sam = project.member("acme", "sam").await.unwrap();
        assert_eq!((sam.roles[0].role.as_str(), sam.roles[0].fallback_role.as_str()), ("Support", ""));
        assert_eq!(project.check("acme", "sam", "help").await, Decision::MissingPermission);
    });
}

#[test]
fn m7_in_a_single_role_project_a_fallback_role_takes_the_exact_place_of_its_role() {
    on_both(async |server| {
        let project = server.single();
        project.permission("help").await;
        project.permission("sell").await;
        for name in ["Clerk", "Helper"] {
            project.role(name).await;
        }
        project.mapping("Free").await;
        project.grant("Free", "Helper", &["help"]).await;
        project.grant("Free", "Member", &["sell"]).await;
        project.disable("Free", &["Clerk"]).await;
        project.org("acme", "").await;
        let expiry = soon();
        project.add("acme", "ann", &roles(&["Clerk"])).await;
        project.add("acme", "bob", &[role("Member"), temporary("Clerk", expiry)]).await;
        let moved = server.subscribe_org(moving(project, "Free", suspending_with_fallback("Helper"))).await.unwrap();
        assert_eq!(role_changes(&moved.impact), "Clerk suspended 2, Helper +2");
        assert_eq!(project.check("acme", "ann", "help").await, Decision::Allowed);
        // The fallback role of a temporary role overrides the permanent role.
        assert_eq!(project.roles_of("acme", "bob").await, "Member overridden, Clerk suspended");
        assert_eq!(project.check("acme", "bob", "help").await, Decision::Allowed);
        assert_eq!(project.check("acme", "bob", "sell").await, Decision::MissingPermission);
        let fallback_state =
            async |user| project.member("acme", user).await.unwrap().roles.pop().unwrap().fallback_role_state();
        assert_eq!(fallback_state("bob").await, MemberRoleState::Live);
        assert_eq!(fallback_state("ann").await, MemberRoleState::Live);
        wait_until(&expiry).await;
        assert_eq!(project.roles_of("acme", "bob").await, "Member live, Clerk expired");
        assert_eq!(project.check("acme", "bob", "sell").await, Decision::Allowed);
        assert_eq!(project.check("acme", "bob", "help").await, Decision::MissingPermission);
    });
}

#[test]
fn k2_enabling_a_role_that_a_temporary_role_overrides_would_not_help() {
    on_both(async |server| {
        let project = server.single();
        project.permission("help").await;
        project.permission("sell").await;
        for name in ["Clerk", "Helper"] {
            project.role(name).await;
        }
        project.grant("Default", "Helper", &["help"]).await;
        project.grant("Default", "Clerk", &["sell"]).await;
        project.org("acme", "").await;
        let expiry = soon();
        project.add("acme", "ann", &[role("Clerk"), temporary("Member", expiry)]).await;
        let disabling = wire::UpdateRoleMappingRequest {
            disable_roles: texts(&["Clerk"]),
            on_disabled: suspending_with_fallback("Helper"),
            ..project.updating("Default")
        };
        server.update_role_mapping(disabling).await.unwrap();
        let clerk = async || {
            let roles = project.member("acme", "ann").await.unwrap().roles;
            let clerk = roles.into_iter().find(|role| role.role == "Clerk").unwrap();
            (clerk.state(), clerk.fallback_role.clone(), clerk.fallback_role_state())
        };
        let suspended = |state| (MemberRoleState::Suspended, "Helper".into(), state);
        assert_eq!(clerk().await, suspended(MemberRoleState::Overridden));
        for (permission, decision) in [("help", Decision::MissingPermission), ("sell", Decision::MissingPermission)] {
            assert_eq!(project.check("acme", "ann", permission).await, decision, "{permission}");
        }
        for name in ["Clerk", "Helper"] {
            let is = Question::Role(name.into());
            assert_eq!(project.ask("acme", "ann", is).await, Decision::MissingPermission, "{name}");
        }
        wait_until(&expiry).await;
        assert_eq!(clerk().await, suspended(MemberRoleState::Live));
        assert_eq!(project.check("acme", "ann", "help").await, Decision::Allowed);
        assert_eq!(project.check("acme", "ann", "sell").await, Decision::RoleDisabled);
    });
}

/// A way to disable the role Clerk for the orgs of a mapping.
type Way = fn(Project<'_>, u32, Option<wire::OnDisabled>) -> Asked<'_>;
type Asked<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Option<wire::Impact>, Status>> + 'a>>;

/// All ways. In round N the orgs `acme-N` and `globex-N` are on the mapping `Paid-N`, and `Free-N` disables Clerk.
const WAYS: [Way; 5] = [
    |project, round, on_disabled| {
        Box::pin(async move {
            let disable_roles = texts(&["Clerk"]);
            let request = wire::UpdateRoleMappingRequest {
                disable_roles,
                on_disabled,
                ..project.updating(&format!("Paid-{round}"))
            };
            project.server.update_role_mapping(request).await.map(|answer| answer.impact)
        })
    },
    |project, round, on_disabled| {
        Box::pin(async move {
            let request = wire::BatchSubscribeOrgsRequest {
                on_disabled,
                ..project.moving_all(&[&format!("acme-{round}"), &format!("globex-{round}")], &format!("Free-{round}"))
            };
            project.server.batch_subscribe_orgs(request).await.map(|answer| answer.impact)
        })
    },
    |project, round, on_disabled| {
        Box::pin(async move {
            let request = wire::DeleteRoleMappingRequest {
                on_disabled,
                ..project.deleting(&format!("Paid-{round}"), &format!("Free-{round}"))
            };
            project.server.delete_role_mapping(request).await.map(|answer| answer.impact)
        })
    },
    |project, round, on_disabled| {
        Box::pin(async move {
            let request = wire::CreateRoleMappingRequest {
                project: project.key.into(),
                name: format!("Lean-{round}"),
                duplicate_of: format!("Paid-{round}"),
                disable_roles: texts(&["Clerk"]),
                subscribe_org_ids: vec![format!("acme-{round}"), format!("globex-{round}")],
                on_disabled,
                ..Default::default()
            };
            project.server.create_role_mapping(request).await.map(|answer| answer.impact)
        })
    },
    |project, round, on_disabled| {
        Box::pin(async move {
            let to_free = |org: &str| wire::SubscribeOrgRequest {
                on_disabled: on_disabled.clone(),
                ..project.moving(&format!("{org}-{round}"), &format!("Free-{round}"))
            };
            // Two calls, whose reports are added up.
            let first = project.server.subscribe_org(to_free("acme")).await?.impact.unwrap();
            let second = project.server.subscribe_org(to_free("globex")).await?.impact.unwrap();
            let mut both = first;
            both.orgs += second.orgs;
            both.members += second.members;
            for (one, other) in both.roles.iter_mut().zip(second.roles) {
                assert_eq!(one.role, other.role);
                one.given += other.given;
                one.removed += other.removed;
                one.suspended += other.suspended;
            }
            Ok(Some(both))
        })
    },
];

#[test]
fn m7_every_strategy_works_in_every_way_to_disable_a_role() {
    on_both(async |server| {
        let project = server.multi().await;
        for name in ["Clerk", "Helper"] {
            project.role(name).await;
        }
        for (round, way) in WAYS.iter().enumerate() {
            for (turn, (on_disabled, shown, fallback_role, roles_impact)) in [
                (remapping(&[("Clerk", "Helper")], ""), "Helper live", "", "Clerk -3, Helper +3"),
                (remapping(&[], "Helper"), "Helper live", "", "Clerk -3, Helper +3"),
                (suspending(), "Clerk suspended", "", "Clerk suspended 3"),
                (suspending_with_fallback("Helper"), "Clerk suspended", "Helper", "Clerk suspended 3, Helper +3"),
            ]
            .into_iter()
            .enumerate()
            {
                let round = round as u32 * 10 + turn as u32;
                let (paid, free) = (format!("Paid-{round}"), format!("Free-{round}"));
                let (acme, globex) = (format!("acme-{round}"), format!("globex-{round}"));
                project.mapping(&paid).await;
                project.mapping(&free).await;
                project.disable(&free, &["Clerk"]).await;
                for org in [&acme, &globex] {
                    project.org(org, &paid).await;
                }
                project.add_all(&acme, &["ann", "bob"], &["Clerk"]).await;
                project.add_all(&globex, &["ann"], &["Clerk"]).await;
                project.add_all(&globex, &["eve"], &["Member"]).await;
                let reject = server.storing_nothing(way(project, round, None)).await;
                refused(reject, "ROLES_WOULD_BE_DISABLED");
                let impact = way(project, round, on_disabled).await.unwrap();
                assert_eq!(role_changes(&impact), roles_impact, "{round}");
                let impact = impact.unwrap();
                assert_eq!((impact.orgs, impact.members), (2, 3), "{round}");
                for (org, user) in [(&acme, "ann"), (&acme, "bob"), (&globex, "ann")] {
                    let member = project.member(org, user).await.unwrap();
                    assert_eq!(crate::fixture::shown(&member), shown, "{round}");
                    assert_eq!(member.roles[0].fallback_role, fallback_role, "{round}");
                }
            }
        }
    });
}

#[test]
fn m7_an_org_that_remap_does_not_cover_refuses_the_whole_bulk_move() {
    on_both(async |server| {
        let project = shop(server).await;
        project.org("globex", "Paid").await;
        project.add("globex", "dan", &roles(&["Clerk"])).await;
        let moving = |on_disabled| wire::BatchSubscribeOrgsRequest {
            on_disabled,
            ..project.moving_all(&["globex", "acme"], "Free")
        };
        let answer = server.batch_subscribe_orgs(moving(remapping(&[("Clerk", "Helper")], "")));
        let refused = refused(server.storing_nothing(answer).await, "ROLES_WOULD_BE_DISABLED");
        assert_eq!((refused.subjects(), refused.metadata("rows")), (vec!["org_ids[1]"], "1"));
        let moved = server.batch_subscribe_orgs(moving(remapping(&[("Clerk", "Helper")], "Member"))).await.unwrap();
        assert_eq!(
            (moved.moved, role_changes(&moved.impact).as_str()),
            (2, "Member +1, Clerk -3, Guest -2, Helper +3")
        );
    });
}
