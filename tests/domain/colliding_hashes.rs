//! Users whose hashes share many bits: their slots crowd one leaf, and one place in it.

use rolecall::domain::model::decision::Decision;
use rolecall::domain::{Ask, Item, Question};

use crate::fixture::{seconds, world};
use crate::random_history::hash_key;

/// Returns ids whose slots belong into one leaf, the last part of which they fill, so that searches go on at its start.
fn colliding(count: usize) -> Vec<String> {
    let key = hash_key();
    let collides = |id: &String| {
        let tag = key.text(id).tag;
        tag >> 60 == 0 && tag as u32 >> 28 == 0xf
    };
    (0..).map(|number| format!("u{number}")).filter(collides).take(count).collect()
}

#[test]
fn k3_a_batch_gives_the_same_decisions_as_single_checks_if_hashes_collide() {
    let mut world = world("org acme");
    let users = colliding(1_200);
    let members = |user: usize| user.is_multiple_of(2);
    let lines: Vec<String> = (0..users.len())
        .filter(|&user| members(user))
        .map(|user| format!("add {} to acme: {}", users[user], if user.is_multiple_of(4) { "Admin" } else { "Member" }))
        .collect();
    world.run(&lines.join("\n"));
    let project = world.state.project_keyed("default").unwrap();
    let permission = "rolecall::can_invite";
    let (org_id, name) = (b"acme", permission.as_bytes());
    let items = users.iter().map(|user| Item { org_id, user_id: user.as_bytes(), permission: name });
    let mut decisions = Vec::new();
    project.check_batch(items, seconds(0), &mut decisions, |_| {});
    let mut expected = Vec::new();
    for (number, user_id) in users.iter().enumerate() {
        let ask = Ask { org_id: "acme", user_id, question: Question::Permission(permission) };
        let decision = project.check(&ask, seconds(0));
        assert_eq!(decision == Decision::NotAMember, !members(number), "{user_id}");
        expected.push(decision);
    }
    assert_eq!(decisions, expected);
    assert!(expected.contains(&Decision::Allowed) && expected.contains(&Decision::MissingPermission));
}
