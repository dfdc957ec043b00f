//! Projects, and the limits of everything in them (P1 to P7).

use rolecall::domain::Command;
use rolecall::domain::Decision::*;
use rolecall::domain::commands::command::Purge;
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::model::refusal::Noun;
use rolecall::domain::{Reason, Refusal};

use super::{limits, over};
use crate::fixture::world;
use crate::model::Answer;

#[test]
fn p1_a_project_has_an_environment_a_structure_and_a_unique_key() {
    let mut world = world("");
    world.run("project shop MULTI");
    let model = world.model();
    let project = &model.projects["shop"];
    assert_eq!((project.environment, project.structure), (Environment::Live, RoleStructure::MultiRole));
    assert_eq!(model.projects["default"].structure, RoleStructure::SingleRole);
    world.refused("project shop SINGLE", Reason::ProjectAlreadyExists);
}

#[test]
fn p1_projects_are_isolated() {
    let mut world = world("permission read\n role Guest\n mapping Free\n org acme\n add ann to acme: Owner");
    world.run("project shop MULTI\n org acme");
    world.check("ann", "acme", "read", UnknownPermission);
    world.check("ann", "acme", "rolecall::can_invite", NotAMember);
    world.refused("role Lead above Guest", Reason::RoleNotFound);
    world.refused("subscribe acme to Free", Reason::RoleMappingNotFound);
    world.run("role Guest\n mapping Free\n permission read");
}

#[test]
fn p2_an_unknown_project_is_not_found_by_any_command() {
    let mut world = world("");
    let commands = [
        "permission read",
        "role Guest",
        "mapping Free",
        "edit Default: on Admin",
        "promote Default",
        "org acme",
        "subscribe acme to default",
        "add ann to acme",
        "write: add ann to acme",
    ];
    world.project = "nowhere".into();
    for line in commands {
        let refusal = world.refused(line, Reason::ProjectNotFound);
        assert_eq!(refusal, Refusal::NotFound(Noun::Project, "nowhere".into()), "{line}");
    }
    // A batch without rows has no other reason to be refused.
    let Command::BatchWriteMembers(mut empty) = world.command("write: add ann to acme") else { unreachable!() };
    empty.rows.clear();
    let refusal = world.decide(&Command::BatchWriteMembers(empty)).err().expect("refused");
    assert_eq!(refusal.reason(), Reason::ProjectNotFound);
}

#[test]
fn p3_the_template_creates_three_roles_one_mapping_and_the_built_in_permissions() {
    let mut world = world("org acme\n add ann to acme: Owner\n add bob to acme: Admin\n add cid to acme");
    assert_eq!(world.roles(), ["Owner", "Admin", "Member"]);
    // Decisions for Owner, Admin, Member.
    let table = [
        ("can_view_other_members", [Allowed, Allowed, Allowed]),
        ("can_invite", [Allowed, Allowed, MissingPermission]),
        ("can_change_roles", [Allowed, Allowed, MissingPermission]),
        ("can_remove_users", [Allowed, Allowed, MissingPermission]),
        ("can_manage_api_keys", [Allowed, Allowed, MissingPermission]),
        ("can_setup_sso", [Allowed, Allowed, MissingPermission]),
        ("can_delete_org", [Allowed, MissingPermission, MissingPermission]),
        ("can_edit_org_access", [Allowed, MissingPermission, MissingPermission]),
        ("can_update_org_metadata", [Allowed, Allowed, MissingPermission]),
    ];
    for (permission, decisions) in table {
        for (user, decision) in ["ann", "bob", "cid"].into_iter().zip(decisions) {
            world.check(user, "acme", &format!("rolecall::{permission}"), decision);
        }
    }
    let model = world.model();
    let project = &model.projects["default"];
    assert_eq!(project.permissions.len(), 9);
    assert!(project.permissions.values().all(|details| details.built_in_or_internal), "built in");
    assert!(project.roles.iter().all(|(_, details)| !details.built_in_or_internal), "visible");
    assert_eq!(project.mappings.keys().collect::<Vec<_>>(), ["Default"]);
    assert!(project.mappings["Default"].disabled.is_empty());
    let defaults = [&project.default_role, &project.default_owner_role, &project.default_mapping];
    assert_eq!(defaults, ["Member", "Owner", "Default"]);
    // Everything that the template creates can be edited.
    world.run("suspending edit Default: off Admin; Member +rolecall::can_invite -rolecall::can_view_other_members");
    world.check("bob", "acme", "rolecall::can_invite", RoleDisabled);
    world.check("cid", "acme", "rolecall::can_invite", Allowed);
    world.check("cid", "acme", "rolecall::can_view_other_members", MissingPermission);
}

#[test]
fn p4_no_permission_is_created_with_or_renamed_into_the_reserved_prefix() {
    let mut world = world("");
    world.refused("permission rolecall::can_fly", Reason::ReservedName);
    world.refused("permission rolecall::can_invite", Reason::ReservedName);
    world.run("permission Rolecall::can_fly, rolecall:can_fly, my.rolecall::can_fly, read");
    world.refused("update permission read: name rolecall::can_fly", Reason::ReservedName);
    world.refused("update permission read: name rolecall::can_invite", Reason::ReservedName);
}

#[test]
fn p7_limits_the_roles_of_a_project() {
    let mut world = world("");
    world.limits = limits(|limits| limits.roles = 4);
    world.run("role Guest");
    over(&mut world, "role Auditor", ("roles", 4, 5));
    world.run("project shop SINGLE\n role Auditor");
}

#[test]
fn p7_limits_the_permissions_of_a_project() {
    let mut world = world("");
    world.limits = limits(|limits| limits.permissions = 11);
    over(&mut world, "permission a, b, c", ("permissions", 11, 12));
    world.run("permission a, b");
    over(&mut world, "permission c", ("permissions", 11, 12));
}

#[test]
fn p7_limits_the_role_mappings_of_a_project() {
    let mut world = world("");
    world.limits = limits(|limits| limits.role_mappings = 2);
    world.run("mapping Free");
    over(&mut world, "mapping Paid", ("role_mappings", 2, 3));
}

#[test]
fn p7_limits_the_grants_of_a_project() {
    // The template grants 9 + 7 + 1.
    let mut world = world("permission a, b");
    world.limits = limits(|limits| limits.grants = 18);
    world.run("edit Default: Member +a");
    over(&mut world, "edit Default: Member +b", ("grants", 18, 19));
    over(&mut world, "mapping Copy like Default", ("grants", 18, 36));
    // A write that does not raise the number of grants is accepted, even above a limit that was lowered.
    world.run("edit Default: Member -a +b");
    world.limits = limits(|limits| limits.grants = 10);
    world.run("edit Default: Admin -rolecall::can_invite");
    world.run("edit Default: Admin -rolecall::can_setup_sso +rolecall::can_invite");
    over(&mut world, "edit Default: Admin +rolecall::can_setup_sso", ("grants", 10, 18));
}

#[test]
fn p7_limits_the_managed_roles_of_a_project() {
    let mut world = world("");
    world.limits = limits(|limits| limits.managed_roles = 3);
    over(&mut world, "convert MULTI", ("managed_roles", 3, 4));
    world.limits.managed_roles = 4;
    world.run("convert MULTI");
    world.refused("role Lead; manages Owner", Reason::LimitExceeded);
    world.run("update role Owner: manages Owner, Admin\n role Lead; manages Lead");
    world.refused("update role Lead: manages Lead, Owner", Reason::LimitExceeded);
}

#[test]
fn p7_limits_the_role_sets_of_a_project() {
    let mut world = world("org acme");
    world.limits = limits(|limits| limits.role_sets = 2);
    world.run("add ann to acme: Owner\n add bob to acme: Admin\n add cid to acme: Owner");
    over(&mut world, "add dan to acme: Member", ("role_sets", 2, 3));
    over(&mut world, "write: add dan to acme: Admin | add eve to acme: Owner, Admin until 9", ("role_sets", 2, 3));
    world.run("add dan to acme: Admin until 100");
}

#[test]
fn p7_role_sets_that_nobody_holds_do_not_count() {
    let mut world = world("project shop MULTI\n role Guest\n org acme by ann\n add bob to acme");
    world.run("update role Owner: manages Admin, Member, Guest");
    world.limits = limits(|limits| limits.role_sets = 3);
    for roles in ["Guest", "Member, Guest", "Admin", "Admin, Guest", "Admin, Member", "Admin, Member, Guest", "Member"]
    {
        world.run(&format!("as:ann set bob in acme: {roles}"));
    }
    // A role that is created, held and deleted strands no set, whether its holders leave or stay.
    for _ in 0..5 {
        world.run("role Trial\n set bob in acme: Trial\n delete role Trial\n set bob in acme: Guest");
    }
    world.run("org globex\n write: add cid to globex: Admin | add dan to globex: Admin");
    over(&mut world, "add eve to globex: Admin, Guest", ("role_sets", 3, 4));
    over(&mut world, "write: add eve to globex: Admin | add fay to globex: Admin, Guest", ("role_sets", 3, 4));
    world.run("remove bob from acme\n add eve to globex: Admin, Guest");
}

#[test]
fn p7_deleting_a_role_leaves_no_unused_role_set() {
    let mut world = world("org acme\n add own to acme: Owner\n add ann to acme: Member");
    world.limits = limits(|limits| limits.role_sets = 3);
    // Members with a temporary role get new role sets. The previous sets are deleted with the role.
    for _ in 0..5 {
        world.run("role Trial\n set ann in acme: Member, Trial until 900\n delete role Trial");
    }
    assert_eq!(world.project().role_sets.len(), 2);
}

#[test]
fn p7_deleting_a_role_that_adds_no_role_set_is_within_the_limit() {
    let mut world = world("role Clerk\n org acme\n add own to acme: Owner\n add ann to acme: Clerk until 900");
    world.limits = limits(|limits| limits.role_sets = 2);
    world.run("delete role Clerk for Admin");
    assert_eq!(world.project().role_sets.len(), 2);
}

#[test]
fn p7_limits_the_roles_of_a_member() {
    let mut world = world("project shop MULTI\n org acme");
    world.limits = limits(|limits| limits.member_roles = 2);
    world.run("add ann to acme: Owner, Admin");
    over(&mut world, "set ann in acme: Owner, Admin, Member", ("member_roles", 2, 3));
    over(&mut world, "write: add bob to acme: Owner, Admin, Member until 9", ("member_roles", 2, 3));
}

#[test]
fn p7_by_default_a_member_holds_at_most_fifty_roles() {
    let mut world = world("project shop MULTI\n org acme");
    let names: Vec<String> = (0..51).map(|number| format!("R{number}")).collect();
    names.iter().for_each(|name| world.run(&format!("role {name}")));
    world.run(&format!("add ann to acme: {}", names[..50].join(", ")));
    over(&mut world, &format!("set ann in acme: {}", names.join(", ")), ("member_roles", 50, 51));
}

#[test]
fn p1_the_key_workspace_is_reserved() {
    let mut world = world("");
    world.refused("project workspace SINGLE", Reason::ReservedName);
    world.refused("reuse project workspace SINGLE", Reason::ReservedName);
}

#[test]
fn p4_a_built_in_permission_can_only_get_another_description() {
    let mut world = world("");
    world.refused("update permission rolecall::can_invite: name invite", Reason::BuiltIn);
    world.refused("delete permission rolecall::can_invite", Reason::BuiltIn);
    world.unchanged("update permission rolecall::can_invite: name rolecall::can_invite");
    world.run("update permission rolecall::can_invite: text Brings people in.");
    assert_eq!(world.project_model().permissions["rolecall::can_invite"].description, "Brings people in.");
}

#[test]
fn p6_deleting_a_project_needs_its_key_as_confirmation() {
    let mut world = world("project shop MULTI");
    world.refused("delete project shop as Shop", Reason::NotConfirmed);
    world.refused("forced delete project shop as default", Reason::NotConfirmed);
    world.refused("etag:stale delete project shop", Reason::EtagMismatch);
    assert_eq!(world.answer("etag:fresh delete project shop"), Answer::Deleted(0));
    assert!(world.state.project_keyed("shop").is_none());
    world.refused("delete project shop", Reason::ProjectNotFound);
}

#[test]
fn p6_only_a_project_with_existing_orgs_needs_force() {
    let mut world = world("project shop MULTI\n org acme\n org globex\n delete org globex");
    match world.refused("delete project shop", Reason::ProjectHasOrgs) {
        Refusal::ProjectHasOrgs { orgs } => assert_eq!(orgs, 1),
        other => panic!("{other}"),
    }
    assert_eq!(world.answer("forced delete project shop"), Answer::Deleted(1));
    assert!(world.state.project_keyed("shop").is_none());
    world.run("project other MULTI\n org acme\n add ann to acme\n delete org acme");
    assert_eq!(world.answer("delete project other"), Answer::Deleted(0));
}

#[test]
fn p6_the_project_default_cannot_be_deleted() {
    let mut world = world("");
    world.refused("forced delete project default", Reason::ProjectPermanent);
    world.refused("forced delete project default as shop", Reason::ProjectPermanent);
}

#[test]
fn p6_a_deleted_project_is_purged_and_its_key_stays_retired() {
    let mut world = world("project shop MULTI\n permission read\n role Guest\n mapping Free like Default");
    world.run("org acme on Free by ann\n add bob to acme: Guest until 60, Member\n org globex by ann");
    world.run("delete org globex\n forced delete project shop");
    let id = world.state.all_projects().find(|it| it.record.key.as_str() == "shop").expect("the deleted project").id;
    world.purge_all(1);
    let left = world.state.project_numbered(id).expect("a deleted project keeps its number");
    assert!(left.record.lifecycle.is_purged() && !left.has_data_to_purge());
    assert!(left.permissions.is_empty() && left.roles.is_empty() && left.role_mappings.is_empty());
    assert!(left.role_sets.is_empty() && left.orgs_len() == 0 && left.role_order.is_empty());
    assert_eq!((left.grants, left.record.display_name.as_ref()), (0, ""));
    world.refused("project shop SINGLE", Reason::ProjectKeyRetired);
    world.run("reuse project shop SINGLE");
    assert_ne!(world.project().id, id, "numbers are never reused");
}

#[test]
fn p6_a_large_deleted_project_is_purged_in_parts() {
    let mut world = world("project shop MULTI\n mapping Free");
    let names: Vec<String> = (0..rolecall::limits::PURGE_ROWS_MAX).map(|number| format!("p{number}")).collect();
    world.run(&format!("permission {}", names.join(", ")));
    world.run("delete project shop");
    let parts = world.purge_all(10);
    assert!((2..5).contains(&parts), "{parts}");
    assert!(world.state.all_projects().all(|project| !project.has_data_to_purge()));
}

#[test]
fn p6_members_are_purged_before_what_they_refer_to() {
    let mut world = world("project shop MULTI\n org acme by ann\n forced delete project shop");
    let project = world.state.all_projects().last().expect("the deleted project").clone();
    // The purger reports no more members, but there is one.
    let command = Command::Purge(Purge { project: project.id, members: vec![], last: true });
    world.decide(&command).unwrap();
    let after = world.state.project_numbered(project.id).expect("the project is being purged");
    assert!(after.has_data_to_purge());
    assert_eq!(after.role_sets.len(), 1, "a member has it");
    world.purge_all(1);
    assert!(world.state.all_projects().all(|project| !project.has_data_to_purge()));
}

#[test]
fn p7_limits_the_aliases_of_a_name() {
    let mut world = world("permission p0\n role R0\n mapping M0");
    for number in 0..50 {
        let (from, to) = (number, number + 1);
        world.run(&format!("update permission p{from}: name p{to}\n update role R{from}: name R{to}"));
        world.run(&format!("update mapping M{from}: name M{to}"));
    }
    over(&mut world, "update permission p50: name q", ("aliases", 50, 51));
    over(&mut world, "update role R50: name Q", ("aliases", 50, 51));
    over(&mut world, "update mapping M50: name Q", ("aliases", 50, 51));
    // Taking back an alias does not raise their number.
    world.run(
        "update role R50: name R0\n update role R0: text Still there.\n update permission p50: name q; aliases p3",
    );
    assert_eq!(world.project_model().permissions["q"].aliases, ["p3", "p50"]);
}

#[test]
fn p7_deleted_objects_do_not_count() {
    let mut world = world("role Guest\n permission read\n mapping Free like Default");
    world.limits = limits(|limits| {
        (limits.roles, limits.permissions, limits.role_mappings, limits.grants) = (4, 10, 2, 34);
    });
    world.refused("role Auditor", Reason::LimitExceeded);
    world.run("delete role Guest\n role Auditor");
    world.refused("permission write", Reason::LimitExceeded);
    world.run("delete permission read\n permission write");
    world.refused("mapping Paid", Reason::LimitExceeded);
    world.refused("edit Free: Member +write", Reason::LimitExceeded);
    world.run("delete mapping Free\n mapping Paid like Default");
}
