//! Orgs, users and permissions whose hashes share many bits: their slots crowd one leaf, and one place in it.

use rolecall::domain::model::decision::Decision;
use rolecall::domain::{Ask, Columns, Item, Question};

use crate::fixture::{seconds, world};
use crate::random_history::hash_key;

/// Returns ids whose slots belong into one leaf, the last part of which they fill, so that searches go on at its start.
fn colliding(prefix: &str, count: usize) -> Vec<String> {
    let key = hash_key();
    let collides = |id: &String| {
        let tag = key.text(id).tag;
        tag >> 60 == 0 && tag as u32 >> 28 == 0xf
    };
    (0..).map(|number| format!("{prefix}{number}")).filter(collides).take(count).collect()
}

#[test]
fn k3_a_batch_gives_the_same_decisions_as_single_checks_if_hashes_collide() {
    let mut world = world("org acme");
    let users = colliding("u", 1_200);
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

#[test]
fn k3_random_items_and_columns_give_the_decisions_of_single_checks_if_all_hashes_collide() {
    let mut world = world("role Reader");
    let (orgs, users) = (colliding("o", 150), colliding("u", 150));
    let permissions = colliding("p", 80);
    let known = |number: usize| !number.is_multiple_of(3);
    for (number, name) in permissions.iter().enumerate().filter(|&(number, _)| known(number)) {
        world.run(&format!("permission {name}"));
        if number.is_multiple_of(2) {
            world.run(&format!("edit Default: Reader +{name}"));
        }
    }
    for (number, org) in orgs.iter().enumerate().filter(|&(number, _)| known(number)) {
        world.run(&format!("org {org}"));
        for user in 0..6 {
            world.run(&format!("add {} to {org}: Reader", users[(number * 7 + user * 25) % users.len()]));
        }
    }
    let project = world.state.project_keyed("default").unwrap();
    // Numbers of a linear congruential generator: every run asks the same.
    let mut random = 1_u64;
    let mut below = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % bound
    };
    let member = |org: usize, user: usize| (org * 7 + user * 25) % users.len();
    let rows: Vec<[usize; 3]> = (0..5_000)
        .map(|row| {
            let (org, permission) = (below(orgs.len()), below(permissions.len()));
            [org, if row % 2 == 0 { below(users.len()) } else { member(org, below(6)) }, permission]
        })
        .collect();
    let expected: Vec<Decision> = rows
        .iter()
        .map(|&[org, user, permission]| {
            let question = Question::Permission(&permissions[permission]);
            project.check(&Ask { org_id: &orgs[org], user_id: &users[user], question }, seconds(0))
        })
        .collect();
    let items = rows.iter().map(|&[org, user, permission]| Item {
        org_id: orgs[org].as_bytes(),
        user_id: users[user].as_bytes(),
        permission: permissions[permission].as_bytes(),
    });
    let mut decisions = Vec::new();
    project.check_batch(items, seconds(0), &mut decisions, |_| {});
    assert_eq!(decisions, expected);
    let mut columns = Columns::default();
    columns.add_orgs(project, &orgs.iter().map(String::as_str).collect::<Vec<_>>());
    columns.add_users(project, &users.iter().map(String::as_str).collect::<Vec<_>>());
    columns.add_permissions(project, &permissions.iter().map(String::as_str).collect::<Vec<_>>());
    decisions.clear();
    let rows = rows.iter().map(|row| row.map(|at| at as u32));
    project.check_columns(&columns, rows, seconds(0), &mut decisions, |_| {});
    assert_eq!(decisions, expected);
    for found in [
        Decision::Allowed,
        Decision::MissingPermission,
        Decision::NotAMember,
        Decision::OrgNotFound,
        Decision::UnknownPermission,
    ] {
        assert!(expected.contains(&found), "{found:?}");
    }
}
