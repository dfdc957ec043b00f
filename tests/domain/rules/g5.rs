//! ListManageableRoles (G5).

use rolecall::domain::commands::manageable::{Ask, ManageableRole, manageable};
use rolecall::domain::{OrgId, ProjectKey, Reason, UserId};

use super::g::single;
use crate::fixture::{World, seconds};

fn listed(world: &World, acting: &str, target: Option<&str>) -> (Vec<String>, bool) {
    let ask = Ask {
        project: ProjectKey::stored(world.project.as_str()),
        org_id: OrgId::stored("acme"),
        acting_user: UserId::stored(acting),
        target: target.map(UserId::stored),
        after: None,
        limit: 100,
    };
    let page = manageable(&world.state, &ask, world.now, &world.limits).expect("the list is allowed");
    let text = |it: ManageableRole| {
        let mut text = it.role.to_string();
        for (may, right) in [(it.invite, "invite"), (it.give, "give"), (it.take, "take")] {
            if may {
                text = format!("{text} {right}");
            }
        }
        match it.expire_time_max {
            Some(expire_time) => format!("{text} until {}", expire_time.0 / seconds(1).0),
            None => text,
        }
    };
    (page.roles.into_iter().map(text).collect(), page.remove)
}

#[test]
fn g5_the_list_says_which_roles_can_be_invited_given_and_taken() {
    let mut world = single();
    let all = ["Owner", "Admin", "Guest invite give take", "Member invite give take"];
    assert_eq!(listed(&world, "adm", None), (all.map(String::from).to_vec(), true));
    assert_eq!(listed(&world, "gue", None).0, ["Owner", "Admin", "Guest", "Member invite"]);
    assert_eq!(listed(&world, "mem", None), (["Owner", "Admin", "Guest", "Member"].map(String::from).to_vec(), false));
    assert_eq!(listed(&world, "adm", Some("mem")).0, ["Owner", "Admin", "Guest give", "Member give take"]);
    assert_eq!(
        listed(&world, "adm", Some("own")),
        (["Owner give", "Admin", "Guest", "Member"].map(String::from).to_vec(), false)
    );
    assert_eq!(listed(&world, "adm", Some("new")).0, ["Owner", "Admin", "Guest invite", "Member invite"]);
    // Own roles: step down, or leave.
    assert_eq!(
        listed(&world, "mem", Some("mem")),
        (["Owner", "Admin", "Guest", "Member give take"].map(String::from).to_vec(), true)
    );
    assert_eq!(listed(&world, "adm", Some("adm")).0, ["Owner", "Admin give take", "Guest give", "Member give"]);
    world.run("suspending edit Default: off Guest");
    assert_eq!(listed(&world, "adm", None).0, ["Owner", "Admin", "Guest take", "Member invite give take"]);
}

#[test]
fn g5_the_list_has_the_latest_expiry_and_no_internal_role() {
    let mut world = single();
    world.run("internal role Spy above Guest\n set adm in acme: Admin until 60");
    assert_eq!(
        listed(&world, "adm", None).0[2..],
        ["Guest invite give take until 60", "Member invite give take until 60"]
    );
    assert_eq!(listed(&world, "adm", Some("mem")).0[2..], ["Guest give until 60", "Member give take until 60"]);
    // A user may step down for as long as the higher role lasts.
    world.run("set own in acme: Owner, Admin until 70\n add new to acme: Owner");
    assert_eq!(listed(&world, "own", Some("own")).0[2..], ["Guest give", "Member give"]);
}

#[test]
fn g5_a_user_who_cannot_view_members_cannot_ask_about_them() {
    let mut world = single();
    world.run("edit Default: Member -rolecall::can_view_other_members");
    let ask = |acting: &str, target: &str| Ask {
        project: ProjectKey::stored("default"),
        org_id: OrgId::stored("acme"),
        acting_user: UserId::stored(acting),
        target: Some(UserId::stored(target)),
        after: None,
        limit: 1,
    };
    let refused = |ask: Ask| manageable(&world.state, &ask, world.now, &world.limits).err().map(|it| it.reason());
    assert_eq!(refused(ask("mem", "own")), Some(Reason::ViewerMissingPermission));
    assert_eq!(refused(ask("mem", "nobody")), Some(Reason::ViewerMissingPermission));
    assert_eq!(refused(ask("mem", "mem")), None);
    assert_eq!(refused(ask("nobody", "mem")), Some(Reason::ActingUserNotAMember));
    assert_eq!(refused(Ask { org_id: OrgId::stored("nowhere"), ..ask("mem", "mem") }), Some(Reason::OrgNotFound));
}
