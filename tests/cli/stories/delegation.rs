//! Members give roles to each other. An Admin is refused everything above its scope, and the error names what is missing.

use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

#[test]
fn g1_g2_an_admin_cannot_manage_higher_roles_on_sqlite() {
    on_sqlite(an_admin_cannot_manage_higher_roles);
}

#[tokio::test]
async fn g1_g2_an_admin_cannot_manage_higher_roles_on_postgres() {
    on_postgres(an_admin_cannot_manage_higher_roles).await;
}

const ADD: &str = "MembershipService/AddMember";
const SET: &str = "MembershipService/SetMemberRoles";
const REMOVE: &str = "MembershipService/RemoveMember";

/// Returns a request about a member of acme on behalf of an acting user. Without `roles` it names none.
fn by(acting_user_id: &str, user_id: &str, roles: &[Value]) -> Value {
    let mut body = json!({"org_id": "acme", "user_id": user_id, "acting_user_id": acting_user_id});
    if !roles.is_empty() {
        body["roles"] = json!(roles);
    }
    body
}

fn role(role: &str) -> Value {
    json!({"role": role})
}

fn expire_time(role: &str, expire_time: &str) -> Value {
    json!({"role": role, "expire_time": expire_time})
}

fn an_admin_cannot_manage_higher_roles(story: Story<'_>) {
    story
        .step("Ann creates acme and owns it.")
        .call("OrgService/CreateOrg", json!({"org_id": "acme", "creator_user_id": "ann"}))
        .works();
    for (user_id, as_role) in [("adam", "Admin"), ("amy", "Admin"), ("max", "Member"), ("mia", "Member")] {
        story
            .step("Ann, who manages everybody, adds members.")
            .call(ADD, by("ann", user_id, &[role(as_role)]))
            .answers(json!({"member": {"userId": user_id, "roles": [{"role": as_role}]}}));
    }

    // What Adam may do.

    // His page shows buttons for Members only.
    assert_eq!(story.manageable("acme", "adam", None), ["Member: invite, give, take", "remove"]);
    story
        .step("He invites a Member.")
        .call(ADD, by("adam", "moe", &[role("Member")]))
        .answers(json!({"member": {"roles": [{"role": "Member"}]}}));
    story.step("He removes the Member again.").call(REMOVE, by("adam", "moe", &[])).works();
    story
        .step("He changes the display name of the org.")
        .call(
            "OrgService/UpdateOrg",
            json!({"org_id": "acme", "resource": {"display_name": "Acme!"}, "acting_user_id": "adam"}),
        )
        .answers(json!({"org": {"displayName": "Acme!"}}));

    // What is above him.

    let invite = "`rolecall::can_invite` manages role";
    let change = "`rolecall::can_change_roles` manages role";
    let remove = "`rolecall::can_remove_users` manages role";
    for (text, method, body, missing) in [
        ("He cannot invite an Owner.", ADD, by("adam", "moe", &[role("Owner")]), format!("{invite} `Owner`")),
        ("He cannot invite an Admin.", ADD, by("adam", "moe", &[role("Admin")]), format!("{invite} `Admin`")),
        ("He cannot make a Member an Admin.", SET, by("adam", "max", &[role("Admin")]), format!("{change} `Admin`")),
        ("He cannot make himself an Owner.", SET, by("adam", "adam", &[role("Owner")]), format!("{change} `Owner`")),
        (
            "He cannot make another Admin a Member.",
            SET,
            by("adam", "amy", &[role("Member")]),
            format!("{change} `Admin`"),
        ),
        ("He cannot make the Owner a Member.", SET, by("adam", "ann", &[role("Member")]), format!("{change} `Owner`")),
        ("He cannot remove an Admin.", REMOVE, by("adam", "amy", &[]), format!("{remove} `Admin`")),
        ("He cannot remove the Owner.", REMOVE, by("adam", "ann", &[]), format!("{remove} `Owner`")),
    ] {
        story.step(text).call(method, body).refused_with("ROLE_OUT_OF_SCOPE", &missing);
    }
    // His page agrees: Ann can only be given the role that she has.
    assert_eq!(story.manageable("acme", "adam", Some("ann")), ["Owner: give"]);
    story
        .step("He cannot delete the org.")
        .call("OrgService/DeleteOrg", json!({"org_id": "acme", "acting_user_id": "adam"}))
        .refused_with("ACTING_USER_MISSING_PERMISSION", "`rolecall::can_delete_org`");

    // Users without any ability.

    story
        .step("A Member cannot invite anybody.")
        .call(ADD, by("max", "moe", &[role("Member")]))
        .refused_with("ACTING_USER_MISSING_PERMISSION", "`rolecall::can_invite`");
    story
        .step("A user who is not a member cannot do anything.")
        .call(REMOVE, by("zoe", "max", &[]))
        .refused_with("ACTING_USER_NOT_A_MEMBER", "`zoe`");
    story
        .step("An acting user cannot leave an org without an owner. Only an operator can set `allow_ownerless`.")
        .call(REMOVE, json!({"org_id": "acme", "user_id": "max", "acting_user_id": "ann", "allow_ownerless": true}))
        .refused_with("INVALID_FIELD", "allow_ownerless");

    // A temporary role.

    story
        .step("Mia becomes a temporary Admin until the end of the century.")
        .call(SET, by("ann", "mia", &[role("Member"), expire_time("Admin", "2099-12-31T00:00:00Z")]))
        .works();
    story
        .step("A role that she gives must not outlast hers.")
        .call(ADD, by("mia", "tom", &[role("Member")]))
        .refused_with("OUTLASTS_GRANTER", "`Member`");
    story
        .step("Her page shows the latest expiry with which she can give it.")
        .call("MembershipService/ListManageableRoles", json!({"org_id": "acme", "acting_user_id": "mia"}))
        .answers(json!({"roles": [{"role": "Owner"}, {"role": "Admin"},
            {"role": "Member", "invite": true, "expireTimeMax": "2099-12-31T00:00:00Z"}]}));
    story
        .step("With that expiry it works.")
        .call(ADD, by("mia", "tom", &[expire_time("Member", "2099-12-31T00:00:00Z")]))
        .works();

    // Leaving.

    story
        .step("Adam steps down to Member. That needs no permission.")
        .call(SET, by("adam", "adam", &[role("Member")]))
        .works();
    story
        .step("He cannot make himself an Admin again.")
        .call(SET, by("adam", "adam", &[role("Admin")]))
        .refused_with("ACTING_USER_MISSING_PERMISSION", "`rolecall::can_change_roles`");
    story.step("Max leaves.").call(REMOVE, by("max", "max", &[])).works();
    story
        .step("Ann cannot leave: acme would have no owner.")
        .call(REMOVE, by("ann", "ann", &[]))
        .refused_with("LAST_OWNER", "`acme`");
    story
        .step("She makes Amy an Owner, as an Owner may.")
        .call(SET, by("ann", "amy", &[role("Owner")]))
        .answers(json!({"member": {"roles": [{"role": "Owner"}]}}));
    story.step("Now she can leave.").call(REMOVE, by("ann", "ann", &[])).works();
    story.may("amy", "acme", "rolecall::can_delete_org", "ALLOWED");
    story.may("ann", "acme", "rolecall::can_view_other_members", "NOT_A_MEMBER");
}
