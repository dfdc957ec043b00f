//! Strategies for roles that become disabled for their holders (M7): REMAP, SUSPEND with a fallback role, and enabling
//! again.

use rolecall::domain::Decision::*;
use rolecall::domain::model::membership::Origin;
use rolecall::domain::{Question, Reason, Refusal};

use super::plans;
use crate::fixture::{World, world};

/// MULTI_ROLE. Disabled are: Admin on Free, Admin and Guest on Bare, Guest on Other, Spy on Dark.
fn multi() -> World {
    let mut world =
        world("project shop MULTI\n permission read, write, pay\n role Guest\n internal role Spy\n internal role Bug");
    world.run("edit Default: Admin +pay; Guest +write; Member +read");
    world.run("mapping Free like Default: off Admin\n mapping Bare like Default: off Admin; off Guest");
    world.run("mapping Other like Default: off Guest\n mapping Dark like Default: off Spy\n org acme");
    world
}

/// SINGLE_ROLE. Disabled are: Admin on Free, Admin and Guest on Bare.
fn single() -> World {
    let mut world = world("permission read, write\n role Guest\n mapping Free like Default: off Admin");
    world.run("mapping Bare like Default: off Admin; off Guest\n org acme");
    world
}

#[track_caller]
fn would_disable(world: &mut World, line: &str, expected: (&[(&str, u64)], u64, u64)) {
    let refusal = match world.refused(line, Reason::RolesWouldBeDisabled) {
        Refusal::Rows { mut rows, .. } => rows.remove(0).1,
        other => other,
    };
    let Refusal::RolesWouldBeDisabled { held, members, orgs, .. } = refusal else { panic!("{refusal}") };
    let held: Vec<_> = held.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!((held.as_slice(), members, orgs), expected);
}

#[test]
fn m7_disabling_a_held_role_needs_a_strategy() {
    let mut world = world("project shop MULTI\n mapping Free\n role Guest\n org a\n org b\n org c on Free");
    world.run(
        "add ann to a: Admin, Guest\n add bob to a: Guest\n add ann to b: Guest until 60, Member\n add ann to c: Admin",
    );
    would_disable(&mut world, "edit Default: off Admin; off Guest", (&[("Admin", 1), ("Guest", 3)], 3, 2));
    would_disable(&mut world, "edit Default: off Admin", (&[("Admin", 1)], 1, 1));
    world.at(60);
    would_disable(&mut world, "edit Default: off Guest", (&[("Guest", 2)], 2, 1));
    world.run("suspending edit Default: off Guest");
    world.ask("bob", "a", Question::Role("Guest"), RoleDisabled);
    // A role that was already disabled needs no strategy.
    world.run("edit Default: off Guest; Owner -rolecall::can_invite\n edit Default: on Guest");
    world.ask("bob", "a", Question::Role("Guest"), Allowed);
}

#[test]
fn m7_moving_an_org_needs_no_strategy_if_no_held_role_becomes_disabled() {
    let mut world = plans();
    // Nobody in acme holds Billing Manager.
    world.run("subscribe acme to Paid\n subscribe acme to Free");
    // The role is disabled before and after.
    world.run("suspending subscribe globex to Free\n mapping Trial like Free\n subscribe globex to Trial");
    world.run("subscribe globex to Paid");
    world.check("bob", "globex", "billing.view", Allowed);
}

#[test]
fn m7_a_fallback_role_is_held_until_the_org_moves_back() {
    let mut world = multi();
    world.run("add ann to acme: Admin\n suspending:Guest subscribe acme to Free");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Guest)");
    world.check("ann", "acme", "write", Allowed);
    world.check("ann", "acme", "pay", RoleDisabled);
    world.ask("ann", "acme", Question::Role("Guest"), Allowed);
    world.ask("ann", "acme", Question::AtLeastRole("Guest"), Allowed);
    world.ask("ann", "acme", Question::Role("Member"), MissingPermission);
    world.run("subscribe acme to Default");
    assert_eq!(world.role_states("acme", "ann"), "Admin live");
    world.check("ann", "acme", "pay", Allowed);
    world.check("ann", "acme", "write", MissingPermission);
    world.run("suspending subscribe acme to Free");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended", "the previous fallback role is not kept");
}

#[test]
fn m7_a_fallback_role_is_removed_when_the_mapping_enables_the_role() {
    let mut world = multi();
    world.run("add ann to acme: Admin, Member\n suspending:Guest edit Default: off Admin");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Guest), Member live");
    world.run("edit Default: on Admin");
    assert_eq!(world.role_states("acme", "ann"), "Admin live, Member live");
}

#[test]
fn m7_moving_between_mappings_that_both_disable_the_role_keeps_the_fallback_role() {
    let mut world = multi();
    world.run("add ann to acme: Admin\n suspending:Guest subscribe acme to Free\n mapping Free 2 like Free");
    world.run("subscribe acme to Free 2");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Guest)");
}

#[test]
fn m7_disabling_a_fallback_role_needs_a_strategy() {
    let mut world = multi();
    world.run("add ann to acme: Admin\n suspending:Guest subscribe acme to Free");
    would_disable(&mut world, "subscribe acme to Bare", (&[("Guest", 1)], 1, 1));
    world.run("suspending:Member subscribe acme to Bare");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Member)");
    // In a chain of fallback roles the first enabled one counts.
    world.run("subscribe acme to Free");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Guest)");
    world.run("suspending:Member subscribe acme to Bare\n subscribe acme to Default");
    assert_eq!(world.role_states("acme", "ann"), "Admin live");
}

#[test]
fn m7_a_suspended_fallback_role_grants_nothing_until_it_is_enabled() {
    let mut world = multi();
    world.run("add ann to acme: Admin\n suspending:Guest subscribe acme to Free\n suspending subscribe acme to Bare");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended");
    world.check("ann", "acme", "write", MissingPermission);
    world.run("edit Bare: on Guest");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Guest)");
}

#[test]
fn m7_a_move_that_enables_the_role_and_disables_its_fallback_role_needs_no_strategy() {
    let mut world = multi();
    world.run("add ann to acme: Admin\n suspending:Guest subscribe acme to Free\n subscribe acme to Other");
    assert_eq!(world.role_states("acme", "ann"), "Admin live");
}

#[test]
fn m7_remap_replaces_a_fallback_role() {
    let mut world = multi();
    world.run("add ann to acme: Admin\n suspending:Guest subscribe acme to Free\n remapping:Guest=Member subscribe acme to Bare");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Member)");
    assert_eq!(world.roles_and_origins("acme", "ann").unwrap()[0].2, Origin::Direct, "its own role is unchanged");
    world.run("subscribe acme to Default");
    assert_eq!(world.role_states("acme", "ann"), "Admin live");
}

#[test]
fn m7_a_role_can_be_held_and_be_a_fallback_role_at_once() {
    let mut world = multi();
    world.run("add ann to acme: Admin, Guest until 60\n suspending:Guest subscribe acme to Free");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Guest), Guest live until 60");
    world.at(60);
    world.check("ann", "acme", "write", Allowed);
    world.run("remapping:*=Member subscribe acme to Bare");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Member), Guest expired until 60");
}

#[test]
fn m7_a_fallback_role_has_the_expiry_of_the_suspended_role() {
    let mut world = multi();
    world.run("add ann to acme: Admin until 60, Member\n suspending:Guest subscribe acme to Free");
    world.check("ann", "acme", "write", Allowed);
    world.at(60).check("ann", "acme", "write", MissingPermission);
    assert_eq!(world.role_states("acme", "ann"), "Admin expired until 60, Member live");
}

#[test]
fn m7_in_single_role_a_fallback_role_overrides_and_is_overridden_like_the_suspended_role() {
    let mut world = single();
    world.run("add ann to acme: Admin, Owner until 60\n add bob to acme: Member, Admin until 60");
    world.run("suspending:Guest subscribe acme to Free");
    // Overridden by a temporary role, or overriding the permanent role.
    assert_eq!(world.role_states("acme", "ann"), "Owner live until 60, Admin suspended (Guest overridden)");
    world.ask("ann", "acme", Question::Role("Guest"), MissingPermission);
    assert_eq!(world.role_states("acme", "bob"), "Admin suspended (Guest) until 60, Member overridden");
    world.ask("bob", "acme", Question::Role("Member"), MissingPermission);
    world.at(60).ask("ann", "acme", Question::Role("Guest"), Allowed);
    world.ask("bob", "acme", Question::Role("Member"), Allowed);
}

#[test]
fn m7_expired_roles_need_no_strategy_and_do_not_change() {
    let mut world = multi();
    world.run("add ann to acme: Member, Admin until 60");
    world.at(60).run("subscribe acme to Free\n subscribe acme to Default\n remapping:*=Guest subscribe acme to Free");
    assert_eq!(world.role_states("acme", "ann"), "Admin expired until 60, Member live");
    world.run("subscribe acme to Default\n suspending:Guest subscribe acme to Free");
    assert_eq!(world.role_states("acme", "ann"), "Admin expired until 60, Member live");
}

#[test]
fn m7_a_role_suspended_before_gets_no_fallback_role() {
    let mut world = multi();
    world.run(
        "add ann to acme: Admin, Guest\n suspending subscribe acme to Free\n suspending:Member subscribe acme to Bare",
    );
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended, Guest suspended (Member)");
}

#[test]
fn m7_remap_keeps_the_expiry_and_the_later_of_two_applies() {
    for (line, expected) in [
        ("Admin", "Member live"),
        ("Admin until 60", "Member live until 60"),
        ("Admin until 60, Member", "Member live"),
        ("Admin, Member until 60", "Member live"),
        ("Admin until 60, Member until 70", "Member live until 70"),
        ("Admin until 80, Member until 70", "Member live until 80"),
        ("Admin until 60, Guest until 70", "Member live until 70"),
        ("Admin, Guest until 70", "Member live"),
        ("Admin, Guest, Owner", "Owner live, Member live"),
    ] {
        let mut world = multi();
        world.run(&format!("add ann to acme: {line}\n remapping:Admin=Member,Guest=Member subscribe acme to Bare"));
        assert_eq!(world.role_states("acme", "ann"), expected, "{line}");
        // REMAP is permanent: nothing is restored.
        world.run("subscribe acme to Default");
        assert_eq!(world.role_states("acme", "ann"), expected, "{line}");
    }
}

#[test]
fn m7_remap_replaces_all_roles_at_once_with_origin_migration() {
    let mut world = multi();
    world.run("add ann to acme: Admin, Member\n add bob to acme: Guest until 60\n add cid to acme: Member");
    world.run("remapping:Admin=Owner,*=Member subscribe acme to Bare");
    assert_eq!(world.role_states("acme", "ann"), "Owner live, Member live");
    let given = world.roles_and_origins("acme", "ann").unwrap();
    assert_eq!(given.iter().map(|it| it.2).collect::<Vec<_>>(), [Origin::Direct, Origin::Migration]);
    assert_eq!(world.project_model().orgs["acme"].members["ann"].origin, Origin::Migration);
    assert_eq!(world.role_states("acme", "bob"), "Member live until 60");
    assert_eq!(
        world.project_model().orgs["acme"].members["cid"].origin,
        Origin::Direct,
        "a member who lost nothing is unchanged"
    );
}

#[test]
fn m7_in_single_role_remap_may_merge_the_permanent_and_the_temporary_role() {
    let mut world = single();
    world.run("add ann to acme: Member, Admin until 60\n add bob to acme: Guest, Admin until 60");
    world.run("remapping:*=Member subscribe acme to Bare");
    assert_eq!(
        (world.role_states("acme", "ann"), world.role_states("acme", "bob")),
        ("Member live".into(), "Member live".into())
    );
}

#[test]
fn m7_roles_that_remap_does_not_cover_are_refused_and_counted() {
    let mut world = multi();
    world.run("add ann to acme: Admin, Guest\n add bob to acme: Guest\n add cid to acme: Admin");
    would_disable(&mut world, "remapping:Admin=Member subscribe acme to Bare", (&[("Guest", 2)], 2, 1));
    world.refused("remapping: subscribe acme to Free", Reason::RolesWouldBeDisabled);
    world.run("remapping:Admin=Member,Guest=Owner subscribe acme to Bare");
}

#[test]
fn m7_only_an_internal_role_replaces_an_internal_one() {
    let mut world = multi();
    world.run("add ann to acme: Spy, Member");
    world.refused("remapping:*=Member subscribe acme to Dark", Reason::RolesWouldBeDisabled);
    world.refused("remapping:Spy=Member subscribe acme to Dark", Reason::ReplacementUnsuitable);
    world.refused("remapping:Member=Bug subscribe acme to Dark", Reason::ReplacementUnsuitable);
    world.run("remapping:*=Bug subscribe acme to Dark");
    assert_eq!(
        world.member("acme", "ann").unwrap().iter().map(|it| it.0.as_str()).collect::<Vec<_>>(),
        ["Bug", "Member"]
    );
    world.run("add bob to acme: Admin");
    world.refused("remapping:*=Bug subscribe acme to Free", Reason::RolesWouldBeDisabled);
}

#[test]
fn m7_an_internal_role_has_and_is_no_fallback_role() {
    let mut world = multi();
    world.run("add ann to acme: Spy, Member\n suspending:Guest subscribe acme to Dark");
    assert_eq!(world.role_states("acme", "ann"), "Member live, Spy suspended");
    world.refused("suspending:Spy subscribe acme to Free", Reason::ReplacementUnsuitable);
    world.refused("suspending:Ghost subscribe acme to Free", Reason::RoleNotFound);
}

#[test]
fn m7_the_roles_of_a_strategy_must_be_enabled_in_the_resulting_mapping() {
    let mut world = multi();
    world.run("add ann to acme: Admin");
    world.refused("suspending:Guest subscribe acme to Bare", Reason::RoleDisabled);
    world.refused("remapping:Admin=Guest subscribe acme to Bare", Reason::RoleDisabled);
    world.refused("remapping:Admin=Member,*=Guest subscribe acme to Bare", Reason::RoleDisabled);
    // Also for roles that nobody loses.
    world.refused("remapping:Admin=Member,Member=Guest subscribe acme to Bare", Reason::RoleDisabled);
    world.refused("suspending:Admin edit Default: off Admin", Reason::RoleDisabled);
    // A role that the same edit enables is suitable.
    world.run("subscribe acme to Other\n suspending:Guest edit Other: off Admin; on Guest");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Guest)");
}

#[test]
fn m7_a_role_has_one_replacement_and_not_itself() {
    let mut world = multi();
    world.run("update role Guest: name Visitor");
    world.refused("remapping:Admin=Member,Admin=Owner edit Default: off Admin", Reason::Contradiction);
    world.refused("remapping:Guest=Member,Visitor=Owner edit Default: off Admin", Reason::Contradiction);
    world.refused("remapping:Owner=Owner edit Default: off Admin", Reason::Contradiction);
    world.refused("remapping:Ghost=Owner edit Default: off Admin", Reason::RoleNotFound);
    world.refused("remapping:Admin=Ghost edit Default: off Admin", Reason::RoleNotFound);
    world.refused("remapping:*=Ghost edit Default: off Admin", Reason::RoleNotFound);
}

#[test]
fn m7_every_call_that_disables_a_held_role_needs_a_strategy() {
    for line in [
        "edit Default: off Admin",
        "subscribe acme to Free",
        "subscribe acme, globex to Free",
        "delete mapping Extra to Free",
        "mapping New like Free for acme",
        "mapping New for acme: off Admin",
    ] {
        for (strategy, expected) in [
            ("suspending", "Admin suspended"),
            ("suspending:Member", "Admin suspended (Member)"),
            ("remapping:*=Member", "Member live"),
        ] {
            let mut world = multi();
            world.run("org globex on Free");
            if line.contains("Extra") {
                world.run("mapping Extra like Default\n subscribe acme to Extra");
            }
            world.run("add ann to acme: Admin");
            would_disable(&mut world, line, (&[("Admin", 1)], 1, 1));
            world.run(&format!("{strategy} {line}"));
            assert_eq!(world.role_states("acme", "ann"), expected, "{strategy} {line}");
        }
    }
}

#[test]
fn m7_in_bulk_one_refused_org_refuses_all_and_is_named() {
    let mut world = multi();
    world.run("org globex\n org third\n add ann to globex: Guest\n add ann to acme: Admin\n add ann to third: Guest");
    let line = "remapping:Admin=Member subscribe acme, globex, third to Bare";
    let Refusal::Rows { rows, total } = world.refused(line, Reason::RolesWouldBeDisabled) else { panic!("no rows") };
    assert_eq!((rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(), total), (vec![1, 2], 2));
    assert_eq!(world.role_states("acme", "ann"), "Admin live");
    world.run("remapping:Admin=Member,Guest=Owner subscribe acme, globex, third to Bare");
    assert_eq!(world.role_states("globex", "ann"), "Owner live");
}

#[test]
fn m7_orgs_of_one_mapping_have_separate_fallback_roles() {
    let mut world = multi();
    world.run("org globex\n add ann to acme: Admin\n add ann to globex: Admin");
    world.run("suspending:Guest subscribe acme to Free\n suspending:Member subscribe globex to Free");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Guest)");
    assert_eq!(world.role_states("globex", "ann"), "Admin suspended (Member)");
}

#[test]
fn m7_a_fallback_role_makes_no_owner_and_does_not_count_as_a_role() {
    let mut world = single();
    world.run("add ann to acme: Admin\n add bob to acme: Owner\n suspending:Owner subscribe acme to Free");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Owner)");
    world.refused("remove bob from acme", Reason::LastOwner);
    world.run("set ann in acme: Admin, Member until 60");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Owner overridden), Member live until 60");
    world.refused("set ann in acme: Admin, Owner, Member until 60", Reason::TooManyRoles);
}

#[test]
fn m7_removing_a_suspended_role_removes_its_fallback_role() {
    let mut world = multi();
    world.run("add ann to acme: Admin, Member\n suspending:Guest subscribe acme to Free\n set ann in acme: Member");
    assert_eq!(world.role_states("acme", "ann"), "Member live");
    world.check("ann", "acme", "write", MissingPermission);
    world.run("subscribe acme to Default\n set ann in acme: Admin\n suspending subscribe acme to Free");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended");
}

#[test]
fn m7_a_fallback_role_is_in_use() {
    let mut world = multi();
    world.run("add ann to acme: Admin\n suspending:Guest subscribe acme to Free");
    world.refused("update role Guest: internal", Reason::RoleInUse);
    // Also while the fallback role is itself suspended: otherwise an internal role would return as a fallback role.
    world.run("suspending:Member subscribe acme to Bare");
    world.refused("update role Guest: internal", Reason::RoleInUse);
    world.refused("update role Admin: internal", Reason::RoleInUse);
}

#[test]
fn r4_the_replacement_replaces_a_deleted_fallback_role() {
    let mut world = multi();
    world.run(
        "role Other\n add ann to acme: Admin\n suspending:Guest subscribe acme to Free\n delete role Guest for Member",
    );
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Member)");
    world.run("edit Free: off Other");
    // The replacement must be enabled there.
    world.run("role Last\n subscribe acme to Default\n suspending:Last subscribe acme to Free");
    world.refused("delete role Last for Other", Reason::ReplacementDisabled);
    world.refused("delete role Last for Admin", Reason::ReplacementDisabled);
    world.run("delete role Last");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Member)");
}

#[test]
fn r4_the_holder_of_a_deleted_suspended_role_gets_the_replacement() {
    let mut world = multi();
    world.run("add ann to acme: Admin\n suspending:Guest subscribe acme to Free\n delete role Admin for Owner");
    assert_eq!(world.role_states("acme", "ann"), "Owner live");
}

#[test]
fn r4_a_deleted_fallback_role_in_a_chain_is_replaced() {
    let mut world = multi();
    world.run("role Last\n edit Bare: off Last\n add ann to acme: Admin\n suspending:Guest subscribe acme to Free");
    world.run("suspending:Member subscribe acme to Bare");
    world.refused("delete role Guest for Last", Reason::ReplacementDisabled);
    world.run("delete role Guest for Owner");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Owner)");
}
