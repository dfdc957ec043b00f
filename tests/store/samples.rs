//! The ids of some members with a role set.

use rolecall::domain::commands::command::Write;
use rolecall::domain::model::project::RoleStructure;
use rolecall::store::MembersWith;

use crate::desk::{Desk, create_org, create_project, given, key, member, user, write_members};
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    r9_members_with_a_role_set_are_returned_in_order
}

async fn r9_members_with_a_role_set_are_returned_in_order(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    let add = |id: &str, user: &str, roles: &[&str]| member(id, user, Write::Add(given(roles, now)));
    desk.write(vec![
        create_project("shop", RoleStructure::MultiRole),
        create_org("shop", "acme", None),
        create_org("shop", "globex", None),
        write_members(
            "shop",
            vec![
                add("acme", "b", &["Admin"]),
                add("acme", "B", &["Admin"]),
                add("acme", "ä", &["Admin"]),
                add("acme", "a", &["Admin for 60"]),
                add("acme", "c", &["Owner"]),
                add("acme", "d", &["Admin", "Owner"]),
                add("globex", "e", &["Admin"]),
            ],
        ),
    ])
    .await;
    let project = desk.state.project(&key("shop")).unwrap();
    let acme = project.org("acme").unwrap();
    let role_set = project.membership(acme, &user("b")).unwrap().role_set;
    let (project, org) = (project.id, acme.no);
    let all = ["B", "b", "ä"].map(user);
    for (after, at_most, expected) in [
        (None, 1, &all[..1]),
        (None, 2, &all[..2]),
        (None, 20, &all),
        (Some(0), 1, &all[1..2]),
        (Some(1), 20, &all[2..]),
    ] {
        let after = after.map(|at: usize| &all[at]);
        let members = MembersWith { project, org, role_set };
        assert_eq!(desk.store.members_with(members, after, at_most).await.unwrap(), expected);
    }
}
