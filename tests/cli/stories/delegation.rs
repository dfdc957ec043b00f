//! People hand roles to each other: an Admin is refused what is above it, and told what is missing.

use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

#[test]
fn g1_g2_an_admin_is_refused_what_is_above_it_on_sqlite() {
    on_sqlite(an_admin_is_refused_what_is_above_it);
}

#[tokio::test]
async fn g1_g2_an_admin_is_refused_what_is_above_it_on_postgres() {
    on_postgres(an_admin_is_refused_what_is_above_it).await;
}

const ADD: &str = "MembershipService/AddMember";
const SET: &str = "MembershipService/SetMemberRoles";
const REMOVE: &str = "MembershipService/RemoveMember";

/// A write of a member of acme on behalf of another, with these roles; none means none are said.
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

fn an_admin_is_refused_what_is_above_it(story: Story<'_>) {
    story
        .tell("Ann creates acme and owns it.")
        .call("OrgService/CreateOrg", json!({"org_id": "acme", "creator_user_id": "ann"}))
        .works();
    for (user_id, as_role) in [("adam", "Admin"), ("amy", "Admin"), ("max", "Member"), ("mia", "Member")] {
        story
            .tell("Ann, who manages everybody, brings in her people.")
            .call(ADD, by("ann", user_id, &[role(as_role)]))
            .answers(json!({"member": {"userId": user_id, "roles": [{"role": as_role}]}}));
    }

    // What Adam may do.

    // His page shows buttons for Members and for nobody else.
    assert_eq!(story.manageable("acme", "adam", None), ["Member: invite, give, take", "remove"]);
    story
        .tell("He invites a Member.")
        .call(ADD, by("adam", "moe", &[role("Member")]))
        .answers(json!({"member": {"roles": [{"role": "Member"}]}}));
    story.tell("And shows one out again.").call(REMOVE, by("adam", "moe", &[])).works();
    story
        .tell("He gives the company a better name.")
        .call(
            "OrgService/UpdateOrg",
            json!({"org_id": "acme", "resource": {"display_name": "Acme!"}, "acting_user_id": "adam"}),
        )
        .answers(json!({"org": {"displayName": "Acme!"}}));

    // What is above him.

    let invite = "`rolecall::can_invite` manages role";
    let change = "`rolecall::can_change_roles` manages role";
    let remove = "`rolecall::can_remove_users` manages role";
    for (says, method, body, missing) in [
        ("He makes nobody an Owner,", ADD, by("adam", "moe", &[role("Owner")]), format!("{invite} `Owner`")),
        ("nor an Admin like himself;", ADD, by("adam", "moe", &[role("Admin")]), format!("{invite} `Admin`")),
        ("also not by raising a Member;", SET, by("adam", "max", &[role("Admin")]), format!("{change} `Admin`")),
        ("also not himself.", SET, by("adam", "adam", &[role("Owner")]), format!("{change} `Owner`")),
        ("He does not lower another Admin,", SET, by("adam", "amy", &[role("Member")]), format!("{change} `Admin`")),
        ("nor the Owner.", SET, by("adam", "ann", &[role("Member")]), format!("{change} `Owner`")),
        ("He removes no Admin", REMOVE, by("adam", "amy", &[]), format!("{remove} `Admin`")),
        ("and no Owner.", REMOVE, by("adam", "ann", &[]), format!("{remove} `Owner`")),
    ] {
        story.tell(says).call(method, body).refused_with("ROLE_OUT_OF_SCOPE", &missing);
    }
    // His page says the same of Ann: she can only be given what she has.
    assert_eq!(story.manageable("acme", "adam", Some("ann")), ["Owner: give"]);
    story
        .tell("He does not close the company.")
        .call("OrgService/DeleteOrg", json!({"org_id": "acme", "acting_user_id": "adam"}))
        .refused_with("ACTING_USER_MISSING_PERMISSION", "`rolecall::can_delete_org`");

    // Who may not even try.

    story
        .tell("A Member invites nobody.")
        .call(ADD, by("max", "moe", &[role("Member")]))
        .refused_with("ACTING_USER_MISSING_PERMISSION", "`rolecall::can_invite`");
    story
        .tell("And who is no member does nothing at all.")
        .call(REMOVE, by("zoe", "max", &[]))
        .refused_with("ACTING_USER_NOT_A_MEMBER", "`zoe`");
    story
        .tell("What people do for each other never leaves an org to nobody: that only an operator can mean.")
        .call(REMOVE, json!({"org_id": "acme", "user_id": "max", "acting_user_id": "ann", "allow_ownerless": true}))
        .refused_with("INVALID_FIELD", "allow_ownerless");

    // For a while.

    story
        .tell("Mia stands in for Adam until the end of the century.")
        .call(SET, by("ann", "mia", &[role("Member"), expire_time("Admin", "2099-12-31T00:00:00Z")]))
        .works();
    story
        .tell("What she gives does not outlast that.")
        .call(ADD, by("mia", "tom", &[role("Member")]))
        .refused_with("OUTLASTS_GRANTER", "`Member`");
    story
        .tell("Her page says until when she can give it.")
        .call("MembershipService/ListManageableRoles", json!({"org_id": "acme", "acting_user_id": "mia"}))
        .answers(json!({"roles": [{"role": "Owner"}, {"role": "Admin"},
            {"role": "Member", "invite": true, "expireTimeMax": "2099-12-31T00:00:00Z"}]}));
    story
        .tell("Until then it works.")
        .call(ADD, by("mia", "tom", &[expire_time("Member", "2099-12-31T00:00:00Z")]))
        .works();

    // Leaving.

    story
        .tell("Adam has had enough and becomes a Member: that needs nobody's permission.")
        .call(SET, by("adam", "adam", &[role("Member")]))
        .works();
    story
        .tell("There is no way back up by himself.")
        .call(SET, by("adam", "adam", &[role("Admin")]))
        .refused_with("ACTING_USER_MISSING_PERMISSION", "`rolecall::can_change_roles`");
    story.tell("Max just leaves.").call(REMOVE, by("max", "max", &[])).works();
    story
        .tell("Ann cannot: acme would have no Owner.")
        .call(REMOVE, by("ann", "ann", &[]))
        .refused_with("LAST_OWNER", "`acme`");
    story
        .tell("So she makes Amy one, as an Owner may.")
        .call(SET, by("ann", "amy", &[role("Owner")]))
        .answers(json!({"member": {"roles": [{"role": "Owner"}]}}));
    story.tell("And goes.").call(REMOVE, by("ann", "ann", &[])).works();
    story.may("amy", "acme", "rolecall::can_delete_org", "ALLOWED");
    story.may("ann", "acme", "rolecall::can_view_other_members", "NOT_A_MEMBER");
}
