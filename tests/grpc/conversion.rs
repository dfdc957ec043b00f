//! Converting the role structure: P5.

use rolecall::wire::{self, Decision, RoleStructure, check_request::Question};

use crate::fixture::{Project, in_an_hour, role, role_changes, roles, temporary, texts, without_sample};
use crate::refusals::refused;
use crate::server::on_both;

/// Returns pairs of roles, as `Owner Admin`.
fn pairs(pairs: &Option<wire::RolePairs>) -> Vec<String> {
    let Some(pairs) = pairs else { return vec![] };
    assert_eq!(pairs.total, pairs.first.len() as i32);
    assert_ne!(pairs.total, 0, "absent if there are none");
    pairs.first.iter().map(|pair| format!("{} {}", pair.role, pair.other)).collect()
}

#[test]
fn p5_to_multi_role_members_keep_their_roles_and_roles_manage_the_same_roles() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        for (user, name) in [("ann", "Owner"), ("bob", "Admin"), ("cat", "Member")] {
            project.add("acme", user, &roles(&[name])).await;
        }
        project.add("acme", "dan", &[role("Member"), temporary("Admin", in_an_hour())]).await;
        let request = project.converting_to_multi();
        let dry = wire::ConvertRoleStructureRequest { validate_only: true, ..request.clone() };
        let dry = server.storing_nothing(server.convert_role_structure(dry)).await.unwrap();
        let done = server.convert_role_structure(request.clone()).await.unwrap();
        assert_eq!(done.impact, without_sample(&dry.impact));
        assert_eq!(done.project.unwrap().role_structure(), RoleStructure::MultiRole);
        let impact = done.impact.unwrap();
        // Dan is not counted: both of his roles are live now, so each check passes by one of them.
        assert_eq!(impact.members_losing_at_least, 2);
        assert_eq!(pairs(&impact.at_least_lost), ["Owner Admin", "Owner Member", "Admin Member"]);
        assert_eq!(pairs(&impact.manages_lost), [""; 0]);
        assert_eq!(role_changes(&Some(impact)), "");
        assert_eq!(project.get_project().await.role_structure(), RoleStructure::MultiRole);
        assert_eq!(project.roles_of("acme", "ann").await, "Owner live");
        assert_eq!(project.roles_of("acme", "dan").await, "Admin live, Member live");
        assert_eq!(project.manages("Owner").await, ["Owner", "Admin", "Member"]);
        assert_eq!(project.manages("Admin").await, ["Member"]);
        assert_eq!(project.manages("Member").await, [""; 0]);
        for (user, decision) in
            [("ann", Decision::MissingPermission), ("bob", Decision::MissingPermission), ("cat", Decision::Allowed)]
        {
            assert_eq!(project.ask("acme", user, Question::AtLeastRole("Member".into())).await, decision, "{user}");
        }
        // Roles manage the same roles as before: an Admin may invite members but no Admin.
        project.add_by("bob", "acme", "eve", &roles(&["Member"])).await.unwrap();
        refused(project.add_by("bob", "acme", "fay", &roles(&["Admin"])).await, "ROLE_OUT_OF_SCOPE");
        project.add("acme", "gil", &roles(&["Admin", "Member"])).await;
        let refused = refused(server.convert_role_structure(request).await, "WRONG_ROLE_STRUCTURE");
        assert_eq!((refused.subjects(), refused.metadata("rule")), (vec!["projects/default"], "P5"));
    });
}

#[test]
fn p5_converting_to_multi_role_and_back_loses_nothing() {
    on_both(async |server| {
        let project = server.single();
        project.org_with_owner("acme", "ann").await;
        project.add("acme", "bob", &[role("Member"), temporary("Admin", in_an_hour())]).await;
        server.convert_role_structure(project.converting_to_multi()).await.unwrap();
        let order = project.role_order().await;
        let back = server.convert_role_structure(project.converting_to_single(order)).await.unwrap();
        assert_eq!(role_changes(&back.impact), "");
        assert_eq!(pairs(&back.impact.unwrap().manages_lost), [""; 0]);
        assert_eq!(project.get_project().await.role_structure(), RoleStructure::SingleRole);
        assert_eq!(project.roles_of("acme", "ann").await, "Owner live");
        assert_eq!(project.roles_of("acme", "bob").await, "Admin live, Member overridden");
        for name in ["Owner", "Admin", "Member"] {
            assert_eq!(project.manages(name).await, [""; 0]);
        }
        assert_eq!(project.ask("acme", "ann", Question::AtLeastRole("Member".into())).await, Decision::Allowed);
    });
}

#[test]
fn p5_of_several_roles_the_highest_enabled_visible_one_is_kept() {
    on_both(async |server| {
        let project = server.multi().await;
        for name in ["Clerk", "Guest"] {
            project.role(name).await;
        }
        project.internal_role("Support").await;
        project.mapping("Free").await;
        project.disable("Free", &["Clerk", "Admin"]).await;
        project.org("acme", "Default").await;
        project.org("globex", "Default").await;
        let later = in_an_hour();
        for org in ["acme", "globex"] {
            project.add(org, "ann", &roles(&["Clerk", "Guest"])).await;
            project.add(org, "bob", &roles(&["Clerk", "Admin"])).await;
            project.add(org, "sam", &roles(&["Support", "Member"])).await;
            project.add(org, "tim", &roles(&["Support"])).await;
            // The temporary role is kept only if P5.c prefers it to the permanent one (P5.d).
            project.add(org, "cat", &[role("Member"), temporary("Guest", later)]).await;
            project.add(org, "dan", &[role("Guest"), temporary("Member", later)]).await;
        }
        project.subscribe("globex", "Free").await;
        let order = texts(&["Support", "Owner", "Clerk", "Admin", "Guest", "Member"]);
        let request = project.converting_to_single(order.clone());
        let dry = wire::ConvertRoleStructureRequest { validate_only: true, ..request.clone() };
        let dry = server.storing_nothing(server.convert_role_structure(dry)).await.unwrap();
        let done = server.convert_role_structure(request).await.unwrap();
        assert_eq!(done.impact, without_sample(&dry.impact));
        assert_eq!(role_changes(&done.impact), "Support -2, Clerk -1, Admin -2, Guest -1, Member -2");
        assert_eq!(project.role_order().await, order);
        let shown = async |org: &'static str, user: &'static str| project.roles_of(org, user).await;
        for org in ["acme", "globex"] {
            assert_eq!(shown(org, "sam").await, "Member live");
            assert_eq!(shown(org, "tim").await, "Support live");
            assert_eq!(shown(org, "cat").await, "Guest live, Member overridden");
            assert_eq!(shown(org, "dan").await, "Guest live");
        }
        assert_eq!(shown("acme", "ann").await, "Clerk live");
        assert_eq!(shown("globex", "ann").await, "Guest live");
        assert_eq!(shown("acme", "bob").await, "Clerk live");
        // Both are disabled, so the highest visible one is kept.
        assert_eq!(shown("globex", "bob").await, "Clerk suspended");
        let restarted = server.restarted().await;
        let project = Project { server: &restarted, ..project };
        assert_eq!(project.roles_of("globex", "ann").await, "Guest live");
        assert_eq!(project.ask("globex", "ann", Question::Role("Guest".into())).await, Decision::Allowed);
        restarted.stop().await;
    });
}

#[test]
fn p5_only_single_role_takes_an_order_and_it_must_name_every_role_once() {
    on_both(async |server| {
        let project = server.multi().await;
        let single = |names: &[&str]| project.converting_to_single(texts(names));
        let tried = async |request| server.storing_nothing(server.convert_role_structure(request)).await;
        let missing = refused(tried(single(&["Owner", "Member"])).await, "INCOMPLETE_ORDER");
        assert_eq!(missing.fields(), ["role_order"]);
        assert!(missing.message.contains("`Admin`"), "{}", missing.message);
        let twice = refused(tried(single(&["Owner", "Admin", "Owner", "Member"])).await, "REPEATED_ROLE");
        assert_eq!(twice.fields(), ["role_order[2]"]);
        refused(tried(single(&["Owner", "Admin", "Member", "Ghost"])).await, "ROLE_NOT_FOUND");
        let none = refused(tried(single(&[])).await, "INVALID_FIELD");
        assert_eq!(none.fields(), ["role_order"]);
        let ordered = wire::ConvertRoleStructureRequest {
            role_order: texts(&["Owner", "Admin", "Member"]),
            ..server.single().converting_to_multi()
        };
        assert_eq!(refused(tried(ordered).await, "INVALID_FIELD").fields(), ["role_order"]);
        let stale = wire::ConvertRoleStructureRequest { etag: "stale".into(), ..single(&["Owner", "Admin", "Member"]) };
        let stale = refused(tried(stale).await, "ETAG_MISMATCH");
        assert_eq!(stale.metadata("etag"), project.get_project().await.etag);
        let fitting = wire::ConvertRoleStructureRequest {
            etag: stale.metadata("etag").into(),
            ..single(&["Owner", "Admin", "Member"])
        };
        server.convert_role_structure(fitting).await.unwrap();
        assert_ne!(project.get_project().await.etag, stale.metadata("etag"));
    });
}

#[test]
fn p5_a_conversion_that_removes_the_last_owner_needs_allow_ownerless() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner", "Admin"])).await;
        project.add("acme", "bob", &roles(&["Member"])).await;
        let request = project.converting_to_single(texts(&["Admin", "Owner", "Member"]));
        let answer = server.storing_nothing(server.convert_role_structure(request.clone())).await;
        assert_eq!(refused(answer, "LAST_OWNER").subjects(), ["orgs/acme"]);
        let allowed = wire::ConvertRoleStructureRequest { allow_ownerless: true, ..request };
        let impact = server.convert_role_structure(allowed).await.unwrap().impact.unwrap();
        let ownerless = impact.orgs_left_ownerless.unwrap();
        assert_eq!((ownerless.total, ownerless.first), (1, texts(&["acme"])));
        assert_eq!(project.roles_of("acme", "ann").await, "Admin live");
    });
}
