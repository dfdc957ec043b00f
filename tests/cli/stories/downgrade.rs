//! A customer moves to a smaller plan after a preview, and moves back.

use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

#[test]
fn m7_r9_roles_are_suspended_on_a_smaller_plan_and_reactivated_on_sqlite() {
    on_sqlite(roles_are_suspended_on_a_smaller_plan_and_reactivated);
}

#[tokio::test]
async fn m7_r9_roles_are_suspended_on_a_smaller_plan_and_reactivated_on_postgres() {
    on_postgres(roles_are_suspended_on_a_smaller_plan_and_reactivated).await;
}

fn roles_are_suspended_on_a_smaller_plan_and_reactivated(story: Story<'_>) {
    plans(story);
    customers(story);
    let before = members(story, "acme");

    // The preview.

    story
        .step("Acme wants to move to Free, which disables the roles of two of its members.")
        .call("SubscriptionService/SubscribeOrg", json!({"org_id": "acme", "role_mapping": "Free"}))
        .refused_with("ROLES_WOULD_BE_DISABLED", "`Admin` (1), `Billing` (1)");
    let preview = story
        .step("A preview: they keep their roles suspended, and hold Member as fallback role.")
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
        .step("The preview changed nothing.")
        .call("SubscriptionService/GetSubscription", json!({"org_id": "acme"}))
        .answers(json!({"subscription": {"roleMapping": "Paid"}}));

    story
        .step("Meanwhile Amy becomes the second Admin.")
        .call("MembershipService/AddMember", json!({"org_id": "acme", "user_id": "amy", "roles": [{"role": "Admin"}]}))
        .works();
    let digest = &preview["impact"]["digest"];
    story
        .step("The impact is no longer the previewed one, so the write is refused.")
        .call("SubscriptionService/SubscribeOrg", downgrade(json!({"impact_digest": digest})))
        .refused_with("IMPACT_CHANGED", "preview the write again");
    let before = with_amy(story, before);
    let preview = story
        .step("A second preview.")
        .call("SubscriptionService/SubscribeOrg", downgrade(json!({"validate_only": true})))
        .answers(json!({"impact": {
            "members": 5,
            // The two Admins and the member with Billing are no longer at least Billing.
            "membersLosingAtLeast": 3,
            "roles": [
                {"role": "Admin", "suspended": 2},
                {"role": "Billing", "suspended": 1},
                {"role": "Member", "given": 3},
            ],
        }}));
    let adam = sampled(&preview, "adam");
    assert_eq!(adam["rolesSuspended"], json!(["Admin"]), "{adam}");
    assert_eq!(adam["rolesGiven"], json!(["Member"]), "{adam}");
    assert_eq!(adam["permissionsLost"]["total"], 8, "six built-in ones, docs.write and docs.share: {adam}");
    let max = sampled(&preview, "max");
    assert_eq!(max["permissionsLost"], json!({"total": 1, "first": ["docs.write"]}), "{max}");
    assert_eq!(max.get("rolesSuspended"), None, "{max}");

    // The move.

    let digest = &preview["impact"]["digest"];
    let done = story
        .step("The write with the digest of the preview is accepted.")
        .call("SubscriptionService/SubscribeOrg", downgrade(json!({"impact_digest": digest})))
        .answers(json!({"subscription": {"roleMapping": "Free"}}));
    let mut preview = preview["impact"].clone();
    preview.as_object_mut().unwrap().remove("sample");
    assert_eq!(done["impact"], preview, "the real call does what the preview said");
    for (user_id, role) in [("adam", "Admin"), ("amy", "Admin"), ("bill", "Billing")] {
        story
            .step("The role is suspended, and Member is its fallback role.")
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
        .step("The list by role contains members with a fallback role too.")
        .call("MembershipService/ListMembers", json!({"org_id": "acme", "role": "Member"}))
        .answers(json!({"members": [{"userId": "adam"}, {"userId": "amy"}, {"userId": "bill"}, {"userId": "max"}]}));
    story
        .step("The disabled role cannot be given.")
        .call(
            "MembershipService/SetMemberRoles",
            json!({"org_id": "acme", "user_id": "max", "roles": [{"role": "Admin"}]}),
        )
        .refused_with("ROLE_DISABLED", "`Free`");

    // The move back.

    story
        .step("Acme moves back to Paid. All roles are reactivated, and the fallback roles are removed.")
        .call("SubscriptionService/SubscribeOrg", json!({"org_id": "acme", "role_mapping": "Paid"}))
        .answers(json!({"impact": {"roles": [
            {"role": "Admin", "reactivated": 2},
            {"role": "Billing", "reactivated": 1},
            {"role": "Member", "removed": 3},
        ]}}));
    assert_eq!(members(story, "acme"), before, "everybody holds the roles of before");
    story.may("adam", "acme", "docs.share", "ALLOWED");
    story.may("bill", "acme", "billing.manage", "ALLOWED");
    story.check("adam", "acme", "role", "Member", "MISSING_PERMISSION");

    // Another customer replaces the roles permanently.

    story
        .step("Globex moves to Free, and its Admins become Members.")
        .call(
            "SubscriptionService/SubscribeOrg",
            json!({"org_id": "globex", "role_mapping": "Free", "on_disabled": {
                "strategy": "DISABLED_ROLE_STRATEGY_REMAP",
                "replacements": [{"role": "Admin", "replacement": "Member"}],
            }}),
        )
        .answers(json!({"impact": {"roles": [
            {"role": "Admin", "removed": 1},
            {"role": "Member", "given": 1},
        ]}}));
    story
        .step("Moving back to Paid restores nothing.")
        .call("SubscriptionService/SubscribeOrg", json!({"org_id": "globex", "role_mapping": "Paid"}))
        .works();
    story
        .step("The origin of the role of Gus is the migration.")
        .call("MembershipService/GetMember", json!({"org_id": "globex", "user_id": "gus"}))
        .answers(json!({"member": {"roles": [
            {"role": "Member", "state": "MEMBER_ROLE_STATE_LIVE", "origin": "MEMBERSHIP_ORIGIN_MIGRATION"},
        ]}}));
}

fn plans(story: Story<'_>) {
    story
        .step("A product has permissions for documents and billing.")
        .call(
            "PermissionService/BatchCreatePermissions",
            json!({"permissions": [
                {"name": "docs.read"}, {"name": "docs.write"}, {"name": "docs.share"}, {"name": "billing.manage"},
            ]}),
        )
        .answers(json!({"created": 4}));
    story
        .step("Besides Owner, Admin and Member there is a role Billing.")
        .call("RoleService/CreateRole", json!({"name": "Billing", "below": "Admin"}))
        .works();
    story
        .step("Free enables only Owner and Member.")
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
        .step("Paid enables all roles and grants more.")
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
            .step("A customer signs up for Paid.")
            .call("OrgService/CreateOrg", json!({"org_id": org_id, "creator_user_id": creator, "role_mapping": "Paid"}))
            .works();
    }
    let rows =
        [("acme", "adam", "Admin"), ("acme", "bill", "Billing"), ("acme", "max", "Member"), ("globex", "gus", "Admin")];
    let rows = rows.map(
        |(org_id, user_id, role)| json!({"org_id": org_id, "user_id": user_id, "add": {"roles": [{"role": role}]}}),
    );
    story
        .step("The customers get members.")
        .call("MembershipService/BatchWriteMembers", json!({"rows": rows}))
        .answers(json!({"added": 4}));
}

/// Returns the request that moves acme to Free with suspended roles, with more fields.
fn downgrade(more: Value) -> Value {
    let mut body = json!({"org_id": "acme", "role_mapping": "Free", "on_disabled": {
        "strategy": "DISABLED_ROLE_STRATEGY_SUSPEND", "fallback_role": "Member",
    }});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body
}

/// Returns the members of an org with all fields.
fn members(story: Story<'_>, org_id: &str) -> Value {
    let step = story.step("Reading all members.");
    step.call("MembershipService/ListMembers", json!({"org_id": org_id})).works()["members"].clone()
}

/// Returns the members of acme, who must be those of before and Amy.
fn with_amy(story: Story<'_>, before: Value) -> Value {
    let now = members(story, "acme");
    let others: Vec<&Value> = now.as_array().unwrap().iter().filter(|member| member["userId"] != "amy").collect();
    assert_eq!(json!(others), before, "a preview and a refused write change no member");
    now
}

/// Returns the entry of a member in the sample of a preview.
fn sampled<'a>(preview: &'a Value, user_id: &str) -> &'a Value {
    let sample = preview["impact"]["sample"].as_array().unwrap_or_else(|| panic!("no sample: {preview}"));
    sample.iter().find(|member| member["userId"] == user_id).unwrap_or_else(|| panic!("{user_id} is not in {preview}"))
}
