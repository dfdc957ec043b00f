//! Checks (K1 to K6).

use rolecall::domain::Decision::*;
use rolecall::domain::{Decision, Item, Question, Time};

use super::plans;
use crate::fixture::{seconds, world};

#[test]
fn k1_allowed_means_a_live_role_grants_the_permission_in_that_org() {
    let mut world = world(
        "permission billing.view
        org acme
        org globex
        add ann to acme: Admin",
    );
    world.check("ann", "acme", "billing.view", MissingPermission);
    world.run("edit Default: Admin +billing.view");
    world.check("ann", "acme", "billing.view", Allowed);
    world.check("ann", "globex", "billing.view", NotAMember);
    world.check("Ann", "acme", "billing.view", NotAMember);
    world.run("edit Default: Admin -billing.view");
    world.check("ann", "acme", "billing.view", MissingPermission);
    world.run("remove ann from acme");
    world.check("ann", "acme", "billing.view", NotAMember);
}

/// In a MULTI_ROLE project ann has roles in every state. Each row: the roles that grant the permission, and the
/// decision.
#[test]
fn k2_the_first_matching_decision_is_the_answer() {
    let table = [
        ("", MissingPermission),
        ("Live", Allowed),
        ("Suspended", RoleDisabled),
        ("Expired", RoleExpired),
        ("Both", RoleExpired), // expired and disabled: not held
        ("Other", MissingPermission),
        ("Live Suspended", Allowed),
        ("Live Expired", Allowed),
        ("Live Other", Allowed),
        ("Suspended Expired", RoleDisabled),
        ("Suspended Both", RoleDisabled),
        ("Suspended Other", RoleDisabled),
        ("Expired Other", RoleExpired),
        ("Live Suspended Expired Both Other", Allowed),
    ];
    for (granting, decision) in table {
        let mut world = world("project shop MULTI\n permission p\n org acme");
        for role in ["Live", "Suspended", "Expired", "Both", "Other"] {
            world.run(&format!("role {role}"));
        }
        world.run("add ann to acme: Live, Suspended, Expired until 60, Both until 60");
        world.run("suspending edit Default: off Suspended; off Both");
        for role in granting.split_whitespace() {
            world.run(&format!("edit Default: {role} +p"));
        }
        world.at(60).check("ann", "acme", "p", decision);
        // These decisions come before, in this order.
        world.check("bob", "acme", "p", NotAMember);
        world.check("ann", "acme", "q", UnknownPermission);
        world.check("bob", "acme", "q", UnknownPermission);
        world.check("ann", "globex", "p", OrgNotFound);
        world.check("bob", "globex", "q", OrgNotFound);
    }
}

/// In a SINGLE_ROLE project ann has the permanent role Permanent and the temporary role Temporary. Each row: the
/// disabled roles, the roles that grant the permission, and the decisions before and after the expiry.
#[test]
fn k2_in_single_role_a_temporary_role_overrides_the_permanent_one() {
    let table = [
        ("", "Permanent", MissingPermission, Allowed),
        ("", "Temporary", Allowed, RoleExpired),
        ("", "Permanent Temporary", Allowed, Allowed),
        ("", "", MissingPermission, MissingPermission),
        // Enabling the permanent role would not help while the temporary one overrides it.
        ("Permanent", "Permanent", MissingPermission, RoleDisabled),
        ("Permanent", "Temporary", Allowed, RoleExpired),
        ("Permanent", "Permanent Temporary", Allowed, RoleDisabled),
        ("Temporary", "Permanent", Allowed, Allowed),
        ("Temporary", "Temporary", RoleDisabled, RoleExpired),
        ("Temporary", "Permanent Temporary", Allowed, Allowed),
        ("Permanent Temporary", "Permanent", RoleDisabled, RoleDisabled),
        ("Permanent Temporary", "Temporary", RoleDisabled, RoleExpired),
        ("Permanent Temporary", "Permanent Temporary", RoleDisabled, RoleDisabled),
    ];
    for (disabled, granting, before, after) in table {
        let mut world = world(
            "permission p\n org acme\n role Permanent\n role Temporary\n add ann to acme: Permanent, Temporary until 60",
        );
        disabled.split_whitespace().for_each(|role| world.run(&format!("suspending edit Default: off {role}")));
        granting.split_whitespace().for_each(|role| world.run(&format!("edit Default: {role} +p")));
        world.now = Time(seconds(60).0 - 1);
        world.check("ann", "acme", "p", before);
        world.at(60).check("ann", "acme", "p", after);
    }
}

#[test]
fn k3_a_batch_is_answered_in_the_order_asked_at_one_instant() {
    let mut world = plans();
    world.run("add cid to globex: Member, Billing Manager until 60");
    let rows = [
        ("acme", "ann", "billing.view", Allowed),
        ("acme", "ann", "billing.pay", MissingPermission),
        ("globex", "bob", "billing.pay", Allowed),
        ("globex", "cid", "billing.pay", RoleExpired),
        ("nowhere", "bob", "billing.pay", OrgNotFound),
        ("globex", "bob", "billing.pay", Allowed),
        ("globex", "bob", "", UnknownPermission),
        ("", "bob", "billing.pay", OrgNotFound),
        ("acme", "", "billing.view", NotAMember),
        ("acme", "ann", "billing.view", Allowed),
        ("acme", "ann", "billing.sell", UnknownPermission),
    ];
    let item = |&(org_id, user_id, permission, _): &(&'static str, &'static str, &'static str, Decision)| Item {
        org_id: org_id.as_bytes(),
        user_id: user_id.as_bytes(),
        permission: permission.as_bytes(),
    };
    let project = world.state.project_keyed("default").unwrap();
    // Decisions are appended to `out`.
    let mut decisions = vec![UserBlocked];
    project.check_batch(rows.iter().map(item), seconds(60), &mut decisions, |_| {});
    assert_eq!(decisions[1..], rows.map(|(.., decision)| decision));
    assert_eq!(decisions[0], UserBlocked);
    decisions.clear();
    project.check_batch(rows.iter().rev().map(item), seconds(60), &mut decisions, |_| {});
    assert!(decisions.iter().eq(rows.iter().rev().map(|(.., decision)| decision)));
}

/// SINGLE_ROLE with the order Owner, Admin, Member, Guest. Each row: the roles of ann, the role asked about, and the
/// decisions for "has it" and "at least". Admin is disabled, and the time is 60.
#[test]
fn k6_in_single_role_at_least_means_the_role_or_a_higher_one() {
    let table = [
        ("Member", "Member", Allowed, Allowed),
        ("Member", "Guest", MissingPermission, Allowed),
        ("Member", "Admin", MissingPermission, MissingPermission),
        ("Member", "Owner", MissingPermission, MissingPermission),
        ("Owner", "Owner", Allowed, Allowed),
        ("Owner", "Guest", MissingPermission, Allowed),
        ("Admin", "Admin", RoleDisabled, RoleDisabled),
        ("Admin", "Guest", MissingPermission, RoleDisabled),
        ("Admin", "Owner", MissingPermission, MissingPermission),
        ("Member until 60", "Member", RoleExpired, RoleExpired),
        ("Member until 60", "Guest", MissingPermission, RoleExpired),
        ("Guest, Member until 60", "Guest", Allowed, Allowed),
        ("Guest, Member until 60", "Member", RoleExpired, RoleExpired),
        ("Admin, Member until 60", "Guest", MissingPermission, RoleDisabled),
        // A temporary role overrides the permanent role, even a higher one.
        ("Member, Guest until 90", "Guest", Allowed, Allowed),
        ("Member, Guest until 90", "Member", MissingPermission, MissingPermission),
        ("Guest, Owner until 90", "Member", MissingPermission, Allowed),
        ("Guest, Admin until 90", "Guest", Allowed, Allowed),
        ("Guest, Admin until 90", "Member", MissingPermission, RoleDisabled),
    ];
    for (held, asked, has, at_least) in table {
        let mut world = world("role Guest\n org acme");
        world.run(&format!("add ann to acme: {held}\n suspending edit Default: off Admin"));
        world.at(60).ask("ann", "acme", Question::Role(asked), has);
        world.ask("ann", "acme", Question::AtLeastRole(asked), at_least);
        for question in [Question::Role("Nobody"), Question::AtLeastRole("Nobody")] {
            world.ask("ann", "acme", question, UnknownRole);
            world.ask("bob", "acme", question, UnknownRole);
            world.ask("bob", "globex", question, OrgNotFound);
        }
        world.ask("bob", "acme", Question::AtLeastRole(asked), NotAMember);
        world.ask("bob", "acme", Question::Role(asked), NotAMember);
    }
}

#[test]
fn k6_in_multi_role_at_least_means_the_role_itself() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Owner, Admin until 60");
    world.ask("ann", "acme", Question::AtLeastRole("Owner"), Allowed);
    world.ask("ann", "acme", Question::AtLeastRole("Admin"), Allowed);
    world.ask("ann", "acme", Question::AtLeastRole("Member"), MissingPermission);
    world.at(60).ask("ann", "acme", Question::AtLeastRole("Admin"), RoleExpired);
}

/// In a MULTI_ROLE project ann has roles in every state. Each grants the permission named after its state. Each row:
/// the permissions asked about, and the decisions for "all of" and "any of".
#[test]
fn k6_all_of_and_any_of_a_list_of_permissions() {
    let table = [
        ("live", Allowed, Allowed),
        ("live other", Allowed, Allowed),
        ("live missing", MissingPermission, Allowed),
        ("missing live", MissingPermission, Allowed),
        ("live suspended expired missing", RoleDisabled, Allowed),
        // "All of" returns the first failure in the order asked, unless one is unknown.
        ("expired suspended", RoleExpired, RoleDisabled),
        ("suspended expired", RoleDisabled, RoleDisabled),
        ("missing expired", MissingPermission, RoleExpired),
        ("missing suspended", MissingPermission, RoleDisabled),
        ("missing", MissingPermission, MissingPermission),
        ("unknown", UnknownPermission, UnknownPermission),
        ("missing unknown", UnknownPermission, UnknownPermission),
        ("live unknown", UnknownPermission, Allowed),
        ("unknown live", UnknownPermission, Allowed),
        ("suspended expired unknown", UnknownPermission, UnknownPermission),
        // An alias works like a name.
        ("old_live live", Allowed, Allowed),
    ];
    let mut world = world("project shop MULTI\n permission old_live, other, suspended, expired, missing\n org acme");
    world.run("role Live\n role Suspended\n role Expired\n update permission old_live: name live");
    world.run("edit Default: Live +live +other; Suspended +suspended; Expired +expired");
    world.run("add ann to acme: Live, Suspended, Expired until 60\n suspending edit Default: off Suspended");
    world.at(60);
    for (names, all, any) in table {
        let names: Vec<String> = names.split(' ').map(str::to_string).collect();
        let unknown = names.iter().any(|name| name == "unknown");
        world.ask("ann", "acme", Question::AllOf(&names), all);
        world.ask("ann", "acme", Question::AnyOf(&names), any);
        for question in [Question::AllOf(&names), Question::AnyOf(&names)] {
            world.ask("bob", "acme", question, if unknown { UnknownPermission } else { NotAMember });
            world.ask("bob", "globex", question, OrgNotFound);
        }
    }
}
