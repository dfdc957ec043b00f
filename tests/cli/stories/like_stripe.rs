//! A product with fourteen roles to choose from, as Stripe has them, and an Owner that nobody can make.

use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

#[test]
fn g2_i1_nobody_assigns_the_owner_on_sqlite() {
    on_sqlite(nobody_assigns_the_owner);
}

#[tokio::test]
async fn g2_i1_nobody_assigns_the_owner_on_postgres() {
    on_postgres(nobody_assigns_the_owner).await;
}

const SUPER: &str = "Super Administrator";
const ADMINISTRATOR: &str = "Administrator";
const IAM: &str = "IAM Administrator";

/// The roles that people can choose from, in the order in which they see them.
const ROLES: [&str; 14] = [
    SUPER,
    ADMINISTRATOR,
    IAM,
    "Developer",
    "Analyst",
    "Dispute Analyst",
    "Refund Analyst",
    "Tax Analyst",
    "Transfer Analyst",
    "Identity Analyst",
    "Connect Onboarding Analyst",
    "Top-up Specialist",
    "Support Specialist",
    "View Only",
];

const GRANTS: [(&str, &[&str]); 6] = [
    ("Owner", &["payments.view", "payments.refund", "disputes.answer", "keys.manage", "reports.view"]),
    (ADMINISTRATOR, &["payments.view", "payments.refund", "disputes.answer", "keys.manage", "reports.view"]),
    ("Developer", &["payments.view", "keys.manage"]),
    ("Refund Analyst", &["payments.view", "payments.refund"]),
    ("Dispute Analyst", &["payments.view", "disputes.answer"]),
    ("View Only", &["payments.view"]),
];

const ADD: &str = "MembershipService/AddMember";
const SET: &str = "MembershipService/SetMemberRoles";
const REMOVE: &str = "MembershipService/RemoveMember";

fn member(user_id: &str, roles: &[&str], acting_user_id: &str) -> Value {
    let roles: Vec<Value> = roles.iter().map(|role| json!({"role": role})).collect();
    json!({"org_id": "rocket", "user_id": user_id, "roles": roles, "acting_user_id": acting_user_id})
}

fn nobody_assigns_the_owner(story: Story<'_>) {
    story
        .tell("A product for payments, whose people have several roles.")
        .call(
            "ProjectService/CreateProject",
            json!({"key": "pay", "environment": "ENVIRONMENT_TEST", "role_structure": "ROLE_STRUCTURE_MULTI_ROLE"}),
        )
        .works();
    let story = story.of("pay");
    roles(story);
    people(story);

    // What people do all day.

    story
        .tell("Ian, who only manages access, brings in somebody for refunds and disputes.")
        .call(ADD, member("rae", &["Refund Analyst", "Dispute Analyst"], "ian"))
        .answers(json!({"member": {"roles": [{"role": "Dispute Analyst"}, {"role": "Refund Analyst"}]}}));
    story.may("rae", "rocket", "payments.refund", "ALLOWED");
    story.may("rae", "rocket", "disputes.answer", "ALLOWED");
    story.may("rae", "rocket", "keys.manage", "MISSING_PERMISSION");
    story.may("ian", "rocket", "payments.view", "MISSING_PERMISSION");
    story
        .tell("He makes no Administrators.")
        .call(SET, member("rae", &["Refund Analyst", "Dispute Analyst", ADMINISTRATOR], "ian"))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Administrator`");
    story
        .tell("Ada does: Administrators manage each other.")
        .call(SET, member("rae", &["Refund Analyst", "Dispute Analyst", ADMINISTRATOR], "ada"))
        .works();
    story.tell("With that, Rae brings in a Developer.").call(ADD, member("dee", &["Developer"], "rae")).works();
    story
        .tell("Most roles manage nobody, and grant nothing of the kind either.")
        .call(ADD, member("tim", &["View Only"], "dee"))
        .refused_with("ACTING_USER_MISSING_PERMISSION", "`rolecall::can_invite`");
    story
        .tell("Who says nothing gets View Only, like everybody who joins.")
        .call(ADD, json!({"org_id": "rocket", "user_id": "tim", "acting_user_id": "ian"}))
        .answers(json!({"member": {"roles": [{"role": "View Only"}]}}));

    // The Owner.

    for actor in ["olga", "sam", "ada", "ian"] {
        for (says, method, body) in [
            ("Nobody makes an Owner,", SET, member("dee", &["Developer", "Owner"], actor)),
            ("nor brings one in,", ADD, member("oscar", &["Owner"], actor)),
        ] {
            story.tell(says).call(method, body).refused_with("ROLE_OUT_OF_SCOPE", "`Owner`");
        }
        if actor != "olga" {
            story
                .tell("nor removes one.")
                .call(REMOVE, json!({"org_id": "rocket", "user_id": "olga", "acting_user_id": actor}))
                .refused_with("ROLE_OUT_OF_SCOPE", "`Owner`");
        }
        // Nobody's page says that they could, either.
        let manages = if actor == "ian" { &ROLES[2..] } else { &ROLES[..] };
        let mut may: Vec<String> = manages.iter().map(|role| format!("{role}: invite, give, take")).collect();
        may.push("remove".into());
        assert_eq!(story.manageable("rocket", actor, None), may, "{actor}");
    }
    story
        .tell("Olga keeps it, as long as there are others.")
        .call(SET, member("olga", &[ADMINISTRATOR], "olga"))
        .refused_with("LAST_OWNER", "`rocket`");

    // A new one.

    story
        .tell("A new Owner is a matter for whoever runs the product.")
        .call(SET, json!({"org_id": "rocket", "user_id": "dee", "roles": [{"role": "Developer"}, {"role": "Owner"}]}))
        .answers(json!({"member": {"roles": [{"role": "Owner"}, {"role": "Developer"}]}}));
    story
        .tell("Then Olga can step back: giving up what is one's own needs no permission. What she takes instead is hers to give.")
        .call(SET, member("olga", &[ADMINISTRATOR], "olga"))
        .answers(json!({"member": {"roles": [{"role": "Administrator"}]}}));
    story
        .tell("It does not come back.")
        .call(SET, member("olga", &["Owner"], "olga"))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Owner`");
    story.may("dee", "rocket", "rolecall::can_delete_org", "ALLOWED");
    story.may("olga", "rocket", "rolecall::can_delete_org", "MISSING_PERMISSION");
}

fn roles(story: Story<'_>) {
    let permissions = ["payments.view", "payments.refund", "disputes.answer", "keys.manage", "reports.view"];
    let permissions = permissions.map(|name| json!({"name": name}));
    story
        .tell("What code asks about.")
        .call("PermissionService/BatchCreatePermissions", json!({"permissions": permissions}))
        .works();
    for (name, new_name) in [("Admin", ADMINISTRATOR), ("Member", "View Only")] {
        story
            .tell("Two of its roles are there under other names; the second is what everybody gets who joins.")
            .call("RoleService/UpdateRole", json!({"name": name, "resource": {"name": new_name}}))
            .works();
    }
    for name in ROLES.iter().filter(|name| ![ADMINISTRATOR, "View Only"].contains(name)) {
        story.tell("A role.").call("RoleService/CreateRole", json!({"name": name})).works();
    }
    let order: Vec<&str> = [&["Owner"], &ROLES[..]].concat();
    story.tell("The order is only for the eye.").call("RoleService/ReorderRoles", json!({"role_order": order})).works();
    let below = &ROLES[3..];
    let itself_and_below: Vec<&str> = [&[IAM], below].concat();
    for (name, manages) in [("Owner", &ROLES[..]), (SUPER, &ROLES), (ADMINISTRATOR, &ROLES), (IAM, &itself_and_below)] {
        story
            .tell("A few manage others. None manages Owner, not even Owner.")
            .call("RoleService/UpdateRole", json!({"name": name, "resource": {"manages": manages}}))
            .answers(json!({"role": {"manages": manages}}));
    }
    let mut edits: Vec<Value> = GRANTS.iter().map(|(role, add)| json!({"role": role, "add": add})).collect();
    let abilities = [
        "rolecall::can_view_other_members",
        "rolecall::can_invite",
        "rolecall::can_change_roles",
        "rolecall::can_remove_users",
    ];
    edits.extend([SUPER, IAM].map(|role| json!({"role": role, "add": abilities})));
    story
        .tell("What each may do.")
        .call("RoleMappingService/UpdateRoleMapping", json!({"name": "Default", "edits": edits}))
        .works();
}

fn people(story: Story<'_>) {
    story
        .tell("Olga opens an account, and owns it.")
        .call("OrgService/CreateOrg", json!({"org_id": "rocket", "creator_user_id": "olga"}))
        .works();
    for (user_id, role) in [("sam", SUPER), ("ada", ADMINISTRATOR), ("ian", IAM)] {
        story.tell("She brings in who helps her.").call(ADD, member(user_id, &[role], "olga")).works();
    }
}
