//! Role mappings (M1 to M9).

use rolecall::domain::Decision::*;
use rolecall::domain::model::membership::Origin;
use rolecall::domain::rules::role::role_order_etag;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{Reason, Refusal};

use super::plans;
use crate::fixture::{World, world};
use crate::model::Answer;
use crate::placeholders::{mapping_etag, project_etag, role_etag};

#[test]
fn m1_promoting_a_mapping_changes_only_which_one_is_the_default() {
    let mut world = plans();
    world.run("org before\n promote Free\n org after");
    let model = world.model();
    let project = &model.projects["default"];
    assert_eq!(project.default_mapping, "Free");
    assert_eq!((project.orgs["before"].mapping.as_str(), project.orgs["after"].mapping.as_str()), ("Default", "Free"));
    world.unchanged("promote Free");
    world.refused("promote Nowhere", Reason::RoleMappingNotFound);
}

#[test]
fn m2_a_mapping_is_created_as_a_duplicate_with_edits_and_orgs_in_one_commit() {
    let mut world = plans();
    let before = world.state.revision().number;
    world.run("suspending mapping Trial like Paid for acme, globex: off Billing Manager; Billing Manager -billing.pay; Member +billing.view");
    assert_eq!(world.state.revision().number, before + 1);
    let model = world.model();
    let project = &model.projects["default"];
    let (trial, paid) = (&project.mappings["Trial"], &project.mappings["Paid"]);
    assert_eq!(trial.disabled.iter().collect::<Vec<_>>(), ["Billing Manager"]);
    assert!(paid.disabled.is_empty(), "the original is unchanged");
    assert_eq!(trial.grants["Owner"], paid.grants["Owner"]);
    assert_eq!(trial.grants["Billing Manager"].iter().collect::<Vec<_>>(), ["billing.view"]);
    assert_eq!(paid.grants["Billing Manager"].len(), 2);
    assert!(project.orgs.values().all(|org| org.mapping == "Trial"));
    world.check("bob", "globex", "billing.view", RoleDisabled);
    world.check("bob", "globex", "billing.pay", MissingPermission);
    // A later edit of the original does not change the duplicate.
    world.run("edit Paid: Owner -billing.view");
    world.check("ann", "acme", "billing.view", Allowed);
}

#[test]
fn m2_a_duplicate_copies_the_disabled_roles() {
    let mut world = plans();
    world.run("suspending mapping Free 2 like Free for globex");
    world.check("bob", "globex", "billing.view", RoleDisabled);
    world.refused("mapping Copy like Nowhere", Reason::RoleMappingNotFound);
    world.refused("mapping Copy for acme, nowhere", Reason::OrgNotFound);
}

#[test]
fn m2_contradictory_or_unknown_edits_are_refused() {
    let mut world = plans();
    world.refused("edit Free: on Admin; off Admin", Reason::Contradiction);
    world.refused("edit Free: Owner +billing.pay -billing.pay", Reason::Contradiction);
    world.refused("edit Free: Owner +billing.sell", Reason::PermissionNotFound);
    world.refused("edit Free: Seller +billing.pay", Reason::RoleNotFound);
    world.refused("edit Nowhere: on Admin", Reason::RoleMappingNotFound);
    // Edits of one role apply in their order.
    world.unchanged("edit Free: Admin +billing.pay; Admin -billing.pay");
    world.unchanged("edit Free: off Billing Manager; on Admin; Owner +billing.view -billing.pay");
}

#[test]
fn m3_a_disabled_role_cannot_be_given_grants_nothing_and_keeps_its_permission_row() {
    let mut world = plans();
    world.refused("add cid to acme: Billing Manager", Reason::RoleDisabled);
    world.refused("set ann in acme: Billing Manager", Reason::RoleDisabled);
    world.refused("add cid to acme: Member, Billing Manager until 60", Reason::RoleDisabled);
    world.check("bob", "globex", "billing.view", Allowed);
    world.run("suspending edit Paid: off Billing Manager");
    world.check("bob", "globex", "billing.view", RoleDisabled);
    world.run("edit Paid: on Billing Manager");
    world.check("bob", "globex", "billing.view", Allowed);
    world.check("bob", "globex", "billing.pay", Allowed);
}

#[test]
fn m3_a_member_who_holds_a_disabled_role_may_have_it_repeated() {
    let mut world =
        world("project shop MULTI\n org acme\n add ann to acme: Admin\n suspending edit Default: off Admin");
    let answer = world.answer("set ann in acme: Admin, Member");
    let (by, live) = (Origin::Direct, RoleState::Live);
    let roles = vec![("Admin".into(), None, RoleState::Suspended, by, None), ("Member".into(), None, live, by, None)];
    assert_eq!(answer, Answer::Member { org: "acme".into(), user: "ann".into(), roles, origin: Some(by) });
    world.refused("add bob to acme: Admin", Reason::RoleDisabled);
    world.run("set ann in acme: Member");
    world.refused("set ann in acme: Admin, Member", Reason::RoleDisabled);
}

#[test]
fn m3_an_expired_role_counts_as_newly_given() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Member, Admin until 60");
    world.at(60).run("edit Default: off Admin");
    world.refused("set ann in acme: Member, Admin", Reason::EndInThePast);
    world.refused("set ann in acme: Member, Admin permanent", Reason::RoleDisabled);
}

#[test]
fn m4_a_default_role_cannot_be_disabled_in_any_mapping() {
    let mut world = plans();
    for line in ["edit Free: off Owner", "edit Free: off Member", "mapping Trial: off Admin; off Owner"] {
        world.refused(line, Reason::DefaultRoleDisabled);
    }
}

#[test]
fn m5_the_default_mapping_cannot_be_deleted() {
    let mut world = world("mapping Free\n org acme");
    world.refused("delete mapping Default to Free", Reason::DefaultRoleMapping);
    world.run("promote Free");
    world.refused("delete mapping Free", Reason::DefaultRoleMapping);
    assert_eq!(world.answer("delete mapping Default to Free"), Answer::Deleted(1));
    assert_eq!(world.project_model().orgs["acme"].mapping, "Free");
    world.refused("delete mapping Default", Reason::RoleMappingNotFound);
}

#[test]
fn m6_deleting_a_mapping_with_subscribers_needs_a_mapping_to_move_them_to() {
    let mut world = plans();
    match world.refused("delete mapping Paid", Reason::RoleMappingInUse) {
        Refusal::RoleMappingInUse { orgs, .. } => assert_eq!(orgs, 1),
        other => panic!("{other}"),
    }
    world.refused("delete mapping Paid to Nowhere", Reason::RoleMappingNotFound);
    world.refused("delete mapping Paid to Paid", Reason::Contradiction);
    world.run("update mapping Paid: name Gold");
    world.refused("delete mapping Gold to Paid", Reason::Contradiction);
    world.refused("etag:stale delete mapping Gold", Reason::EtagMismatch);
    let before = world.project().grants;
    assert_eq!(world.answer("etag:fresh delete mapping Gold to Default"), Answer::Deleted(1));
    assert_eq!(world.project().grants, before - 3);
    let project = world.project_model();
    assert_eq!((project.orgs["globex"].mapping.as_str(), project.mappings.len()), ("Default", 2));
    // Its names can be used again.
    world.run("mapping Paid\n mapping Gold");
}

#[test]
fn m6_a_mapping_without_subscribers_is_deleted_without_a_target() {
    let mut world = plans();
    world.run("subscribe globex to Default\n delete org acme");
    assert_eq!(world.answer("delete mapping Paid"), Answer::Deleted(0));
    assert_eq!(world.answer("delete mapping Free"), Answer::Deleted(0));
}

#[test]
fn m9_an_update_with_a_stale_etag_is_aborted() {
    let mut world = world("mapping Free\n role Guest\n project shop SINGLE\n mapping Free\n role Guest");
    let lines = [
        "update project: name Shop",
        "update role Guest: text Comes and goes.",
        "order Guest, *",
        "update mapping Free: text The cheap one.",
        "edit Free: off Guest",
    ];
    for line in lines {
        match world.refused(&format!("etag:stale {line}"), Reason::EtagMismatch) {
            Refusal::EtagMismatch { now } => assert_ne!(now, ""),
            other => panic!("{other}"),
        }
        world.refused(&format!("etag:nonsense {line}"), Reason::EtagMismatch);
        world.run(&format!("etag:fresh {line}"));
    }
}

/// Each row: a change, and the etags it changes: of the project, the order, the role Guest, the mapping Free.
#[test]
fn m9_a_change_changes_only_the_etags_of_what_it_changed() {
    let table = [
        ("update project: name Shop", "project"),
        ("update project: default Admin", "project"),
        ("promote Paid", "project"),
        ("update role Guest: text Comes and goes.", "role"),
        ("update role Guest: name Visitor", "role"),
        ("update role Guest: internal", "role"),
        ("update role Admin: name Boss", ""),
        ("order Guest, *", "order"),
        ("order Owner, *", ""),
        ("role Lead", "order"),
        ("role Lead above Guest, off in Free", "order mapping"),
        ("delete role Extra", "order mapping"),
        ("delete role Other", "order"),
        ("update mapping Free: name Basic", "mapping"),
        ("update mapping Free: text The cheap one.", "mapping"),
        ("edit Free: off Guest", "mapping"),
        ("edit Free: on Extra", "mapping"),
        ("edit Free: Guest +write", "mapping"),
        ("edit Free: Guest +read", ""),
        ("edit Free: Guest +write; Guest -write", ""),
        ("edit Paid: Guest +write", ""),
        ("delete permission read", "mapping"),
        ("delete permission write", ""),
        ("update permission read: name see", ""),
        ("org acme on Free by ann", ""),
        ("delete mapping Paid", ""),
    ];
    for (line, expected) in table {
        let mut world = world("permission read, write\n mapping Paid\n role Guest\n role Extra\n role Other");
        world.run("mapping Free: off Extra; Guest +read");
        let etags = |world: &World| {
            let project = world.project();
            let role = project.role_named("Guest").and_then(|_| role_etag(project, "Guest"));
            [project_etag(project), role_order_etag(project), role.unwrap_or_default(), {
                mapping_etag(project, "Free").unwrap_or_default()
            }]
        };
        let before = etags(&world);
        world.run(line);
        let names = ["project", "order", "role", "mapping"].into_iter();
        let changed = names.zip(before.into_iter().zip(etags(&world))).filter(|(_, (before, after))| before != after);
        assert_eq!(changed.map(|(name, _)| name).collect::<Vec<_>>().join(" "), expected, "{line}");
    }
}
