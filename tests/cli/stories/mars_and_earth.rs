//! Roles that manage the roles they are told to manage: Mars has an Admin, and Earth is not its business.

use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

#[test]
fn g2_g3_mars_is_managed_from_mars_on_sqlite() {
    on_sqlite(mars_is_managed_from_mars);
}

#[tokio::test]
async fn g2_g3_mars_is_managed_from_mars_on_postgres() {
    on_postgres(mars_is_managed_from_mars).await;
}

const ADD: &str = "MembershipService/AddMember";
const SET: &str = "MembershipService/SetMemberRoles";
const REMOVE: &str = "MembershipService/RemoveMember";

const ABILITIES: [&str; 4] = [
    "rolecall::can_view_other_members",
    "rolecall::can_invite",
    "rolecall::can_change_roles",
    "rolecall::can_remove_users",
];

fn by(acting_user_id: &str, user_id: &str, roles: &[&str]) -> Value {
    let roles: Vec<Value> = roles.iter().map(|role| json!({"role": role})).collect();
    json!({"org_id": "space", "user_id": user_id, "roles": roles, "acting_user_id": acting_user_id})
}

fn removal(acting_user_id: &str, user_id: &str) -> Value {
    json!({"org_id": "space", "user_id": user_id, "acting_user_id": acting_user_id})
}

fn mars_is_managed_from_mars(story: Story<'_>) {
    story
        .tell("People may be on several planets.")
        .call(
            "ProjectService/CreateProject",
            json!({"key": "planets", "environment": "ENVIRONMENT_TEST", "role_structure": "ROLE_STRUCTURE_MULTI_ROLE"}),
        )
        .works();
    let story = story.of("planets");
    roles(story);

    // Marvin is the Admin of Mars.

    // His page shows what Mars Admin manages: itself and Mars Member.
    let manages = ["Mars Admin: invite, give, take", "Mars Member: invite, give, take", "remove"];
    assert_eq!(story.manageable("space", "marvin", None), manages);
    story.tell("He brings people to Mars,").call(ADD, by("marvin", "mia", &["Mars Member"])).works();
    story.tell("also to help him there.").call(ADD, by("marvin", "mara", &["Mars Admin"])).works();
    story
        .tell("Nobody comes to Earth by him,")
        .call(ADD, by("marvin", "eric", &["Earth Member"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Member`");
    story
        .tell("also not on the way to Mars,")
        .call(ADD, by("marvin", "eric", &["Mars Member", "Earth Member"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Member`");
    story
        .tell("nor above him.")
        .call(ADD, by("marvin", "eric", &["Owner"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Owner`");

    // Terra is on both planets.

    story
        .tell("Terra lives on Earth, and goes to Mars.")
        .call(SET, by("marvin", "terra", &["Earth Member", "Mars Member"]))
        .answers(json!({"member": {"roles": [{"role": "Mars Member"}, {"role": "Earth Member"}]}}));
    story.may("terra", "space", "Mars::CanDrive", "ALLOWED");
    story.may("terra", "space", "Earth::CanSwim", "ALLOWED");
    story
        .tell("What she is on Earth is none of Marvin's business,")
        .call(SET, by("marvin", "terra", &["Mars Member"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Member`");
    story
        .tell("so he cannot make her leave altogether.")
        .call(REMOVE, removal("marvin", "terra"))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Member`");
    // His page says so: of what she has he may take one, and to that he may add what is his to give.
    let may = ["Mars Admin: give", "Mars Member: give, take", "Earth Member: give"];
    assert_eq!(story.manageable("space", "marvin", Some("terra")), may);
    story
        .tell("Which he does.")
        .call(SET, by("marvin", "terra", &["Earth Member"]))
        .answers(json!({"member": {"roles": [{"role": "Earth Member"}]}}));
    story.may("terra", "space", "Mars::CanDrive", "MISSING_PERMISSION");
    story
        .tell("Existing on Earth makes nobody its Admin.")
        .call(ADD, by("terra", "eric", &["Earth Member"]))
        .refused_with("ACTING_USER_MISSING_PERMISSION", "`rolecall::can_invite`");

    // Two roles of one person.

    story
        .tell("Earth gets an Admin of its own.")
        .call("RoleService/CreateRole", json!({"name": "Earth Admin", "manages": ["Earth Member"]}))
        .answers(json!({"role": {"manages": ["Earth Member"]}}));
    story
        .tell("It may not invite yet.")
        .call(
            "MembershipService/AddMember",
            json!({"org_id": "space", "user_id": "una", "roles": [
            {"role": "Mars Admin"}, {"role": "Earth Admin"}]}),
        )
        .works();
    story
        .tell("One role that may invite, and another that manages Earth, do not make one that does both.")
        .call(ADD, by("una", "eric", &["Earth Member"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Member`");
    story
        .tell("Now it may.")
        .call(
            "RoleMappingService/UpdateRoleMapping",
            json!({"name": "Default", "edits": [{"role": "Earth Admin", "add": ABILITIES}]}),
        )
        .works();
    story
        .tell("Una's two roles cover the two planets in one go.")
        .call(ADD, by("una", "eric", &["Mars Member", "Earth Member"]))
        .works();
    story
        .tell("Earth Admin was not told to manage itself.")
        .call(SET, by("una", "eric", &["Earth Member", "Earth Admin"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Admin`");
}

fn roles(story: Story<'_>) {
    story
        .tell("What people do there.")
        .call(
            "PermissionService/BatchCreatePermissions",
            json!({"permissions": [{"name": "Mars::CanDrive"}, {"name": "Earth::CanSwim"}]}),
        )
        .works();
    for (name, manages) in
        [("Mars Member", json!([])), ("Mars Admin", json!(["Mars Admin", "Mars Member"])), ("Earth Member", json!([]))]
    {
        let place = if name == "Mars Admin" { json!({"above": "Mars Member"}) } else { json!({}) };
        let mut body = json!({"name": name, "manages": manages});
        body.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        story.tell("A role of a planet.").call("RoleService/CreateRole", body).works();
    }
    story
        .tell("Whoever is somewhere may use what is there; the Admin of Mars may do what admins do.")
        .call(
            "RoleMappingService/UpdateRoleMapping",
            json!({"name": "Default", "edits": [
                {"role": "Mars Admin", "add": ABILITIES},
                {"role": "Mars Member", "add": ["Mars::CanDrive"]},
                {"role": "Earth Member", "add": ["Earth::CanSwim"]},
            ]}),
        )
        .works();
    story
        .tell("Olga owns the space agency.")
        .call("OrgService/CreateOrg", json!({"org_id": "space", "creator_user_id": "olga"}))
        .works();
    for (user_id, role) in [("marvin", "Mars Admin"), ("terra", "Earth Member")] {
        story
            .tell("Its first people.")
            .call(ADD, json!({"org_id": "space", "user_id": user_id, "roles": [{"role": role}]}))
            .works();
    }
}
