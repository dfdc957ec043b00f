//! A customer goes to a smaller plan, looks before it does, and comes back.

use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

#[test]
fn m7_r9_nobody_s_role_is_lost_on_a_smaller_plan_on_sqlite() {
    on_sqlite(nobody_s_role_is_lost_on_a_smaller_plan);
}

#[tokio::test]
async fn m7_r9_nobody_s_role_is_lost_on_a_smaller_plan_on_postgres() {
    on_postgres(nobody_s_role_is_lost_on_a_smaller_plan).await;
}

fn nobody_s_role_is_lost_on_a_smaller_plan(story: Story<'_>) {
    plans(story);
    customers(story);
    let before = members(story, "acme");

    // Looking first.

    story
        .tell("Acme wants to save money. But it has an Admin and somebody who pays, and Free knows neither.")
        .call("SubscriptionService/SubscribeOrg", json!({"org_id": "acme", "role_mapping": "Free"}))
        .refused_with("ROLES_WOULD_BE_DISABLED", "`Admin` (1), `Billing` (1)");
    let dry = story
        .tell("They could keep their roles for better days and be Members meanwhile. What would that do?")
        .call("SubscriptionService/SubscribeOrg", downgrade(json!({"validate_only": true})))
        .answers(json!({
            "subscription": {"orgId": "acme", "roleMapping": "Free"},
            "impact": {
                "orgs": 1,
                "members": 4,
                "roles": [
                    {"role": "Admin", "suspended": 1},
                    {"role": "Billing", "suspended": 1},
                    {"role": "Member", "given": 2},
                ],
            },
        }));
    story
        .tell("Nothing was done by asking.")
        .call("SubscriptionService/GetSubscription", json!({"org_id": "acme"}))
        .answers(json!({"subscription": {"roleMapping": "Paid"}}));

    story
        .tell("While they talk about it, Amy becomes the second Admin.")
        .call("MembershipService/AddMember", json!({"org_id": "acme", "user_id": "amy", "roles": [{"role": "Admin"}]}))
        .works();
    let digest = &dry["impact"]["digest"];
    story
        .tell("So what was agreed to is not what would happen any more, and it does not happen.")
        .call("SubscriptionService/SubscribeOrg", downgrade(json!({"impact_digest": digest})))
        .refused_with("IMPACT_CHANGED", "preview the write again");
    let before = with_amy(story, before);
    let dry = story
        .tell("They look again.")
        .call("SubscriptionService/SubscribeOrg", downgrade(json!({"validate_only": true})))
        .answers(json!({"impact": {
            "members": 5,
            // The Admins are not at least Billing any more, nor is who pays.
            "membersLosingAtLeast": 3,
            "roles": [
                {"role": "Admin", "suspended": 2},
                {"role": "Billing", "suspended": 1},
                {"role": "Member", "given": 3},
            ],
        }}));
    let adam = sampled(&dry, "adam");
    assert_eq!(adam["rolesSuspended"], json!(["Admin"]), "{adam}");
    assert_eq!(adam["rolesGiven"], json!(["Member"]), "{adam}");
    assert_eq!(adam["permissionsLost"]["total"], 8, "six built-in ones, docs.write and docs.share: {adam}");
    let max = sampled(&dry, "max");
    assert_eq!(max["permissionsLost"], json!({"total": 1, "first": ["docs.write"]}), "{max}");
    assert_eq!(max.get("rolesSuspended"), None, "{max}");

    // The move.

    let digest = &dry["impact"]["digest"];
    let done = story
        .tell("That they agree to, and that is what happens.")
        .call("SubscriptionService/SubscribeOrg", downgrade(json!({"impact_digest": digest})))
        .answers(json!({"subscription": {"roleMapping": "Free"}}));
    let mut preview = dry["impact"].clone();
    preview.as_object_mut().unwrap().remove("sample");
    assert_eq!(done["impact"], preview, "the real call does what the preview said");
    for (user_id, role) in [("adam", "Admin"), ("amy", "Admin"), ("bill", "Billing")] {
        story
            .tell("The role is there, suspended, and Member stands in for it.")
            .call("MembershipService/GetMember", json!({"org_id": "acme", "user_id": user_id}))
            .answers(json!({"member": {"roles": [
                {"role": role, "state": "MEMBER_ROLE_STATE_SUSPENDED", "fallbackRole": "Member"},
            ]}}));
        story.may(user_id, "acme", "docs.read", "ALLOWED");
        story.check(user_id, "acme", "role", role, "ROLE_DISABLED");
        story.check(user_id, "acme", "role", "Member", "ALLOWED");
        story.check(user_id, "acme", "at_least_role", "Member", "ALLOWED");
    }
    story.may("adam", "acme", "docs.write", "ROLE_DISABLED");
    story.may("bill", "acme", "billing.manage", "ROLE_DISABLED");
    story.may("bill", "acme", "docs.write", "MISSING_PERMISSION");
    story.may("ann", "acme", "docs.write", "ALLOWED");
    story
        .tell("Whoever holds Member now, by themselves or in the place of another role, is found.")
        .call("MembershipService/ListMembers", json!({"org_id": "acme", "role": "Member"}))
        .answers(json!({"members": [{"userId": "adam"}, {"userId": "amy"}, {"userId": "bill"}, {"userId": "max"}]}));
    story
        .tell("Nobody else becomes an Admin meanwhile.")
        .call(
            "MembershipService/SetMemberRoles",
            json!({"org_id": "acme", "user_id": "max", "roles": [{"role": "Admin"}]}),
        )
        .refused_with("ROLE_DISABLED", "`Free`");

    // And back.

    story
        .tell("Acme pays again. All roles work again, and nobody needs a fallback role.")
        .call("SubscriptionService/SubscribeOrg", json!({"org_id": "acme", "role_mapping": "Paid"}))
        .answers(json!({"impact": {"roles": [
            {"role": "Admin", "reactivated": 2},
            {"role": "Billing", "reactivated": 1},
            {"role": "Member", "removed": 3},
        ]}}));
    assert_eq!(members(story, "acme"), before, "everybody has what they had, as if nothing had been");
    story.may("adam", "acme", "docs.share", "ALLOWED");
    story.may("bill", "acme", "billing.manage", "ALLOWED");
    story.check("adam", "acme", "role", "Member", "MISSING_PERMISSION");

    // Somebody else means it for good.

    story
        .tell("Globex makes its Admins Members for good.")
        .call(
            "SubscriptionService/SubscribeOrg",
            json!({"org_id": "globex", "role_mapping": "Free", "on_disabled": {
                "strategy": "DISABLED_ROLE_STRATEGY_REMAP",
                "replacements": [{"role": "Admin", "to": "Member"}],
            }}),
        )
        .answers(json!({"impact": {"roles": [
            {"role": "Admin", "removed": 1},
            {"role": "Member", "given": 1},
        ]}}));
    story
        .tell("So nothing comes back when it pays.")
        .call("SubscriptionService/SubscribeOrg", json!({"org_id": "globex", "role_mapping": "Paid"}))
        .works();
    story
        .tell("And it is on the record how Gus came to be a Member.")
        .call("MembershipService/GetMember", json!({"org_id": "globex", "user_id": "gus"}))
        .answers(json!({"member": {"roles": [
            {"role": "Member", "state": "MEMBER_ROLE_STATE_LIVE", "origin": "MEMBERSHIP_ORIGIN_MIGRATION"},
        ]}}));
}

fn plans(story: Story<'_>) {
    story
        .tell("A product with documents and bills.")
        .call(
            "PermissionService/BatchCreatePermissions",
            json!({"permissions": [
                {"name": "docs.read"}, {"name": "docs.write"}, {"name": "docs.share"}, {"name": "billing.manage"},
            ]}),
        )
        .answers(json!({"created": 4}));
    story
        .tell("Besides Owner, Admin and Member there is somebody who pays.")
        .call("RoleService/CreateRole", json!({"name": "Billing", "below": "Admin"}))
        .works();
    story
        .tell("On Free there are only Owners and Members.")
        .call(
            "RoleMappingService/CreateRoleMapping",
            json!({"name": "Free", "duplicate_of": "Default", "disable_roles": ["Admin", "Billing"], "edits": [
                {"role": "Owner", "add": ["docs.read", "docs.write", "billing.manage"]},
                {"role": "Admin", "add": ["docs.read", "docs.write"]},
                {"role": "Billing", "add": ["docs.read", "billing.manage"]},
                {"role": "Member", "add": ["docs.read"]},
            ]}),
        )
        .answers(json!({"roleMapping": {"disabledRoles": ["Admin", "Billing"]}}));
    story
        .tell("Paid has them all, and more of everything.")
        .call(
            "RoleMappingService/CreateRoleMapping",
            json!({"name": "Paid", "duplicate_of": "Free", "enable_roles": ["Admin", "Billing"], "edits": [
                {"role": "Owner", "add": ["docs.share"]},
                {"role": "Admin", "add": ["docs.share"]},
                {"role": "Member", "add": ["docs.write"]},
            ]}),
        )
        .works();
}

fn customers(story: Story<'_>) {
    for (org_id, creator) in [("acme", "ann"), ("globex", "gil")] {
        story
            .tell("A customer on Paid.")
            .call("OrgService/CreateOrg", json!({"org_id": org_id, "creator_user_id": creator, "role_mapping": "Paid"}))
            .works();
    }
    let rows =
        [("acme", "adam", "Admin"), ("acme", "bill", "Billing"), ("acme", "max", "Member"), ("globex", "gus", "Admin")];
    let rows = rows.map(
        |(org_id, user_id, role)| json!({"org_id": org_id, "user_id": user_id, "add": {"roles": [{"role": role}]}}),
    );
    story
        .tell("Their people.")
        .call("MembershipService/BatchWriteMembers", json!({"rows": rows}))
        .answers(json!({"added": 4}));
}

/// The move of acme to Free by which nobody's role is lost, with something more said.
fn downgrade(more: Value) -> Value {
    let mut body = json!({"org_id": "acme", "role_mapping": "Free", "on_disabled": {
        "strategy": "DISABLED_ROLE_STRATEGY_SUSPEND", "fallback_role": "Member",
    }});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body
}

/// All that is known of the members of an org.
fn members(story: Story<'_>, org_id: &str) -> Value {
    let step = story.tell("Who is there, with all that is known of them?");
    step.call("MembershipService/ListMembers", json!({"org_id": org_id})).works()["members"].clone()
}

/// What was known of acme's members before, and Amy.
fn with_amy(story: Story<'_>, before: Value) -> Value {
    let now = members(story, "acme");
    let others: Vec<&Value> = now.as_array().unwrap().iter().filter(|member| member["userId"] != "amy").collect();
    assert_eq!(json!(others), before, "to look at a move, and to be refused it, changes nobody");
    now
}

/// What a dry run says of one member.
fn sampled<'a>(dry: &'a Value, user_id: &str) -> &'a Value {
    let sample = dry["impact"]["sample"].as_array().unwrap_or_else(|| panic!("no sample: {dry}"));
    sample.iter().find(|member| member["userId"] == user_id).unwrap_or_else(|| panic!("{user_id} is not in {dry}"))
}
