//! MULTI_ROLE scopes: the Admin of Mars manages the roles of Mars and not those of Earth.

use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

#[test]
fn g2_g3_an_admin_of_mars_manages_only_roles_of_mars_on_sqlite() {
    on_sqlite(an_admin_of_mars_manages_only_roles_of_mars);
}

#[tokio::test]
async fn g2_g3_an_admin_of_mars_manages_only_roles_of_mars_on_postgres() {
    on_postgres(an_admin_of_mars_manages_only_roles_of_mars).await;
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

fn an_admin_of_mars_manages_only_roles_of_mars(story: Story<'_>) {
    story
        .step("Members may hold roles of several planets.")
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
    story.step("He adds a Mars Member.").call(ADD, by("marvin", "mia", &["Mars Member"])).works();
    story.step("He adds a Mars Admin.").call(ADD, by("marvin", "mara", &["Mars Admin"])).works();
    story
        .step("He cannot add an Earth Member.")
        .call(ADD, by("marvin", "eric", &["Earth Member"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Member`");
    story
        .step("He cannot add one who is a Mars Member too.")
        .call(ADD, by("marvin", "eric", &["Mars Member", "Earth Member"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Member`");
    story
        .step("He cannot add an Owner.")
        .call(ADD, by("marvin", "eric", &["Owner"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Owner`");

    // Terra holds roles of both planets.

    story
        .step("Terra, an Earth Member, becomes a Mars Member too.")
        .call(SET, by("marvin", "terra", &["Earth Member", "Mars Member"]))
        .answers(json!({"member": {"roles": [{"role": "Mars Member"}, {"role": "Earth Member"}]}}));
    story.may("terra", "space", "Mars::CanDrive", "ALLOWED");
    story.may("terra", "space", "Earth::CanSwim", "ALLOWED");
    story
        .step("Marvin cannot take her role of Earth.")
        .call(SET, by("marvin", "terra", &["Mars Member"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Member`");
    story
        .step("So he cannot remove her.")
        .call(REMOVE, removal("marvin", "terra"))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Member`");
    // His page agrees: he may take one of her roles, and give the roles that he manages.
    let may = ["Mars Admin: give", "Mars Member: give, take", "Earth Member: give"];
    assert_eq!(story.manageable("space", "marvin", Some("terra")), may);
    story
        .step("He takes her role of Mars.")
        .call(SET, by("marvin", "terra", &["Earth Member"]))
        .answers(json!({"member": {"roles": [{"role": "Earth Member"}]}}));
    story.may("terra", "space", "Mars::CanDrive", "MISSING_PERMISSION");
    story
        .step("An Earth Member cannot invite.")
        .call(ADD, by("terra", "eric", &["Earth Member"]))
        .refused_with("ACTING_USER_MISSING_PERMISSION", "`rolecall::can_invite`");

    // Two roles of one member.

    story
        .step("A role Earth Admin is created.")
        .call("RoleService/CreateRole", json!({"name": "Earth Admin", "manages": ["Earth Member"]}))
        .answers(json!({"role": {"manages": ["Earth Member"]}}));
    story
        .step("It grants no permission yet. Una holds it together with Mars Admin.")
        .call(
            "MembershipService/AddMember",
            json!({"org_id": "space", "user_id": "una", "roles": [
            {"role": "Mars Admin"}, {"role": "Earth Admin"}]}),
        )
        .works();
    story
        .step("One role with the ability and another with the scope are not enough.")
        .call(ADD, by("una", "eric", &["Earth Member"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Member`");
    story
        .step("Earth Admin gets the ability.")
        .call(
            "RoleMappingService/UpdateRoleMapping",
            json!({"name": "Default", "edits": [{"role": "Earth Admin", "add": ABILITIES}]}),
        )
        .works();
    story
        .step("Now the two roles of Una cover both planets in one call.")
        .call(ADD, by("una", "eric", &["Mars Member", "Earth Member"]))
        .works();
    story
        .step("Earth Admin does not manage itself.")
        .call(SET, by("una", "eric", &["Earth Member", "Earth Admin"]))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Earth Admin`");
}

fn roles(story: Story<'_>) {
    story
        .step("The product creates its permissions.")
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
        story.step("A role of a planet is created.").call("RoleService/CreateRole", body).works();
    }
    story
        .step("The members of a planet get its permission, and Mars Admin gets the abilities.")
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
        .step("Olga owns the space agency.")
        .call("OrgService/CreateOrg", json!({"org_id": "space", "creator_user_id": "olga"}))
        .works();
    for (user_id, role) in [("marvin", "Mars Admin"), ("terra", "Earth Member")] {
        story
            .step("It gets its first members.")
            .call(ADD, json!({"org_id": "space", "user_id": user_id, "roles": [{"role": role}]}))
            .works();
    }
}
