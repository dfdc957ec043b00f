//! Decisions that a State keeps are not those of a copy with other roles.

use rolecall::domain::model::decision::Decision;
use rolecall::domain::{Ask, Project, Question};

use crate::fixture::{World, seconds, world};

fn decision(project: &Project, user_id: &str) -> Decision {
    project.check(&Ask { org_id: "acme", user_id, question: Question::Permission("bills.view") }, seconds(0))
}

/// Runs a line, and expects other decisions on ann afterwards. A copy from before keeps its own.
#[track_caller]
fn decides(world: &mut World, line: &str, before: Decision, after: Decision) {
    let copy = world.state.clone();
    let of = |world: &World| decision(world.state.project_keyed(&world.project).unwrap(), "ann");
    assert_eq!(of(world), before, "before `{line}`");
    world.run(line);
    assert_eq!(of(world), after, "after `{line}`");
    assert_eq!(decision(copy.project_keyed(&world.project).unwrap(), "ann"), before, "the copy from before `{line}`");
}

#[test]
fn k1_a_change_of_roles_changes_decisions_and_a_copy_keeps_its_own() {
    use Decision::{Allowed, MissingPermission, RoleDisabled, UnknownPermission};
    let mut world = world("role Reader\n org acme\n add ann to acme: Reader");
    decides(&mut world, "permission bills.view", UnknownPermission, MissingPermission);
    decides(&mut world, "edit Default: Reader +bills.view", MissingPermission, Allowed);
    decides(&mut world, "suspending edit Default: off Reader", Allowed, RoleDisabled);
    decides(&mut world, "edit Default: on Reader", RoleDisabled, Allowed);
    decides(&mut world, "edit Default: Reader -bills.view", Allowed, MissingPermission);
    decides(&mut world, "mapping Paid like Default: Reader +bills.view", MissingPermission, MissingPermission);
    decides(&mut world, "subscribe acme to Paid", MissingPermission, Allowed);
    decides(&mut world, "set ann in acme: Admin", Allowed, MissingPermission);
    decides(&mut world, "delete permission bills.view", MissingPermission, UnknownPermission);
}

#[test]
fn k1_two_copies_may_give_one_number_to_different_role_sets() {
    let mut world = world(
        "project shop MULTI\n role Reader\n role Writer\n role Guest\n permission bills.view\n org acme\n \
         edit Default: Reader +bills.view\n add ann to acme: Guest",
    );
    let base = world.state.clone();
    for (role, expected) in [("Writer", Decision::MissingPermission), ("Reader", Decision::Allowed)] {
        world.state = base.clone();
        world.run(&format!("add bob to acme: {role}"));
        assert_eq!(decision(world.state.project_keyed("shop").unwrap(), "bob"), expected, "{role}");
    }
}
