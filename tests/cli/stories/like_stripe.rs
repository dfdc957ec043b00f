//! A product with fourteen roles, as Stripe has them, and an Owner that no acting user can assign.

use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

#[test]
fn g2_i1_no_acting_user_can_assign_the_owner_role_on_sqlite() {
    on_sqlite(no_acting_user_can_assign_the_owner_role);
}

#[tokio::test]
async fn g2_i1_no_acting_user_can_assign_the_owner_role_on_postgres() {
    on_postgres(no_acting_user_can_assign_the_owner_role).await;
}

const SUPER: &str = "Super Administrator";
const ADMINISTRATOR: &str = "Administrator";
const IAM: &str = "IAM Administrator";

/// The roles besides Owner, in their order.
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

fn no_acting_user_can_assign_the_owner_role(story: Story<'_>) {
    story
        .step("A product for payments, whose members hold several roles.")
        .call(
            "ProjectService/CreateProject",
            json!({"key": "pay", "environment": "ENVIRONMENT_TEST", "role_structure": "ROLE_STRUCTURE_MULTI_ROLE"}),
        )
        .works();
    let story = story.of("pay");
    roles(story);
    people(story);

    // Managing members.

    story
        .step("Ian, who only manages access, adds a member for refunds and disputes.")
        .call(ADD, member("rae", &["Refund Analyst", "Dispute Analyst"], "ian"))
        .answers(json!({"member": {"roles": [{"role": "Dispute Analyst"}, {"role": "Refund Analyst"}]}}));
    story.may("rae", "rocket", "payments.refund", "ALLOWED");
    story.may("rae", "rocket", "disputes.answer", "ALLOWED");
    story.may("rae", "rocket", "keys.manage", "MISSING_PERMISSION");
    story.may("ian", "rocket", "payments.view", "MISSING_PERMISSION");
    story
        .step("He cannot assign Administrator.")
        .call(SET, member("rae", &["Refund Analyst", "Dispute Analyst", ADMINISTRATOR], "ian"))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Administrator`");
    story
        .step("Ada can: Administrators manage each other.")
        .call(SET, member("rae", &["Refund Analyst", "Dispute Analyst", ADMINISTRATOR], "ada"))
        .works();
    story.step("Now Rae can add a Developer.").call(ADD, member("dee", &["Developer"], "rae")).works();
    story
        .step("Most roles manage no role and grant no such permission.")
        .call(ADD, member("tim", &["View Only"], "dee"))
        .refused_with("ACTING_USER_MISSING_PERMISSION", "`rolecall::can_invite`");
    story
        .step("Without a named role the new member gets View Only, the default role.")
        .call(ADD, json!({"org_id": "rocket", "user_id": "tim", "acting_user_id": "ian"}))
        .answers(json!({"member": {"roles": [{"role": "View Only"}]}}));

    // The Owner.

    for actor in ["olga", "sam", "ada", "ian"] {
        for (text, method, body) in [
            ("No acting user can make a member an Owner.", SET, member("dee", &["Developer", "Owner"], actor)),
            ("No acting user can add an Owner.", ADD, member("oscar", &["Owner"], actor)),
        ] {
            story.step(text).call(method, body).refused_with("ROLE_OUT_OF_SCOPE", "`Owner`");
        }
        if actor != "olga" {
            story
                .step("No acting user can remove an Owner.")
                .call(REMOVE, json!({"org_id": "rocket", "user_id": "olga", "acting_user_id": actor}))
                .refused_with("ROLE_OUT_OF_SCOPE", "`Owner`");
        }
        // No page offers it.
        let manages = if actor == "ian" { &ROLES[2..] } else { &ROLES[..] };
        let mut may: Vec<String> = manages.iter().map(|role| format!("{role}: invite, give, take")).collect();
        may.push("remove".into());
        assert_eq!(story.manageable("rocket", actor, None), may, "{actor}");
    }
    story
        .step("Olga, the last owner, cannot give it up while the org has other members.")
        .call(SET, member("olga", &[ADMINISTRATOR], "olga"))
        .refused_with("LAST_OWNER", "`rocket`");

    // A new Owner.

    story
        .step("A call without an acting user can assign Owner.")
        .call(SET, json!({"org_id": "rocket", "user_id": "dee", "roles": [{"role": "Developer"}, {"role": "Owner"}]}))
        .answers(json!({"member": {"roles": [{"role": "Owner"}, {"role": "Developer"}]}}));
    story
        .step("Now Olga can give it up, which needs no permission. Administrator, which she takes instead, is in her scope.")
        .call(SET, member("olga", &[ADMINISTRATOR], "olga"))
        .answers(json!({"member": {"roles": [{"role": "Administrator"}]}}));
    story
        .step("She cannot take it back.")
        .call(SET, member("olga", &["Owner"], "olga"))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Owner`");
    story.may("dee", "rocket", "rolecall::can_delete_org", "ALLOWED");
    story.may("olga", "rocket", "rolecall::can_delete_org", "MISSING_PERMISSION");
}

fn roles(story: Story<'_>) {
    let permissions = ["payments.view", "payments.refund", "disputes.answer", "keys.manage", "reports.view"];
    let permissions = permissions.map(|name| json!({"name": name}));
    story
        .step("The product creates its permissions.")
        .call("PermissionService/BatchCreatePermissions", json!({"permissions": permissions}))
        .works();
    for (name, new_name) in [("Admin", ADMINISTRATOR), ("Member", "View Only")] {
        story
            .step("Two roles of the template are renamed. The second is the default role.")
            .call("RoleService/UpdateRole", json!({"name": name, "resource": {"name": new_name}}))
            .works();
    }
    for name in ROLES.iter().filter(|name| ![ADMINISTRATOR, "View Only"].contains(name)) {
        story.step("A role is created.").call("RoleService/CreateRole", json!({"name": name})).works();
    }
    let order: Vec<&str> = [&["Owner"], &ROLES[..]].concat();
    story
        .step("In MULTI_ROLE the order is only for display.")
        .call("RoleService/ReorderRoles", json!({"role_order": order}))
        .works();
    let below = &ROLES[3..];
    let itself_and_below: Vec<&str> = [&[IAM], below].concat();
    for (name, manages) in [("Owner", &ROLES[..]), (SUPER, &ROLES), (ADMINISTRATOR, &ROLES), (IAM, &itself_and_below)] {
        story
            .step("A few roles manage others. No role manages Owner, not even Owner.")
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
        .step("The roles get their permissions.")
        .call("RoleMappingService/UpdateRoleMapping", json!({"name": "Default", "edits": edits}))
        .works();
}

fn people(story: Story<'_>) {
    story
        .step("Olga creates an org and owns it.")
        .call("OrgService/CreateOrg", json!({"org_id": "rocket", "creator_user_id": "olga"}))
        .works();
    for (user_id, role) in [("sam", SUPER), ("ada", ADMINISTRATOR), ("ian", IAM)] {
        story.step("She adds members.").call(ADD, member(user_id, &[role], "olga")).works();
    }
}
