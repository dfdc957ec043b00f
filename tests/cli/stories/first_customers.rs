//! A new product, its plans and its first customers.

use serde_json::json;

use super::{Story, on_postgres, on_sqlite};

#[test]
fn a_new_product_and_its_first_customers_on_sqlite() {
    on_sqlite(a_new_product_and_its_first_customers);
}

#[tokio::test]
async fn a_new_product_and_its_first_customers_on_postgres() {
    on_postgres(a_new_product_and_its_first_customers).await;
}

fn a_new_product_and_its_first_customers(story: Story<'_>) {
    // The product.

    story
        .step("The product is called Papertrail. Its users write documents.")
        .call("ProjectService/UpdateProject", json!({"resource": {"display_name": "Papertrail"}}))
        .answers(json!({"project": {"key": "default", "displayName": "Papertrail", "defaultRole": "Member"}}));
    story
        .step("Its code asks about six permissions.")
        .call(
            "PermissionService/BatchCreatePermissions",
            json!({"permissions": [
                {"name": "docs.read"}, {"name": "docs.write"}, {"name": "docs.share"},
                {"name": "billing.manage"}, {"name": "sso.configure"}, {"name": "audit.export"},
            ]}),
        )
        .answers(json!({"created": 6}));
    story
        .step("Besides Owner, Admin and Member there are Editors, below Admin.")
        .call("RoleService/CreateRole", json!({"name": "Editor", "below": "Admin"}))
        .answers(json!({"role": {"position": 3}}));
    story
        .step("And Auditors, who are disabled in the default mapping.")
        .call("RoleService/CreateRole", json!({"name": "Auditor", "below": "Editor", "disabled_in": ["Default"]}))
        .answers(json!({"role": {"position": 4}}));

    // The plans.

    story
        .step("Free disables Editor and Auditor. It has permissions for Editor all the same, so that a check answers ROLE_DISABLED.")
        .call(
            "RoleMappingService/CreateRoleMapping",
            json!({"name": "Free", "duplicate_of": "Default", "disable_roles": ["Editor"], "edits": [
                {"role": "Owner", "add": ["docs.read", "docs.write", "billing.manage"]},
                {"role": "Admin", "add": ["docs.read", "docs.write"]},
                {"role": "Editor", "add": ["docs.read", "docs.write", "docs.share"]},
                {"role": "Member", "add": ["docs.read"]},
            ]}),
        )
        .answers(json!({"roleMapping": {"disabledRoles": ["Editor", "Auditor"]}}));
    story
        .step("Paid is a duplicate of Free that enables Editor and grants sharing.")
        .call(
            "RoleMappingService/CreateRoleMapping",
            json!({"name": "Paid", "duplicate_of": "Free", "enable_roles": ["Editor"], "edits": [
                {"role": "Owner", "add": ["docs.share"]},
                {"role": "Admin", "add": ["docs.share"]},
            ]}),
        )
        .answers(json!({"roleMapping": {"disabledRoles": ["Auditor"]}}));
    story
        .step("Enterprise is a duplicate of Paid that enables Auditor and grants single sign-on.")
        .call(
            "RoleMappingService/CreateRoleMapping",
            json!({"name": "Enterprise", "duplicate_of": "Paid", "enable_roles": ["Auditor"], "edits": [
                {"role": "Owner", "add": ["sso.configure"]},
                {"role": "Auditor", "add": ["docs.read", "audit.export"]},
            ]}),
        )
        .answers(json!({"roleMapping": {"name": "Enterprise"}}));
    story
        .step("The price list shows what Enterprise has and Paid does not.")
        .call(
            "RoleMappingService/DiffRoleMappings",
            json!({"left": "Paid", "right": "Enterprise", "only_different": true}),
        )
        .answers(json!({"roles": [
            {"role": "Owner", "enabledLeft": true, "enabledRight": true, "onlyRight": ["sso.configure"]},
            {"role": "Auditor", "enabledRight": true, "onlyRight": ["audit.export", "docs.read"]},
        ]}));
    story
        .step("The default plan cannot be deleted.")
        .call("RoleMappingService/DeleteRoleMapping", json!({"name": "Default"}))
        .refused_with("DEFAULT_ROLE_MAPPING", "promote another first");
    story
        .step("New customers start on Free.")
        .call("RoleMappingService/PromoteRoleMapping", json!({"name": "Free"}))
        .answers(json!({"roleMapping": {"name": "Free", "isDefault": true}}));
    story
        .step("The first mapping can be deleted now: no org is subscribed to it.")
        .call("RoleMappingService/DeleteRoleMapping", json!({"name": "Default"}))
        .works();

    // The first customers.

    for (org_id, creator) in [("acme", "ann"), ("globex", "gil")] {
        story
            .step("A customer signs up. The org is on Free, and its creator is the owner.")
            .call("OrgService/CreateOrg", json!({"org_id": org_id, "creator_user_id": creator}))
            .answers(json!({"org": {"orgId": org_id, "roleMapping": "Free"}}));
    }
    story
        .step("Ann is the Owner of acme because she created it.")
        .call("MembershipService/GetMember", json!({"org_id": "acme", "user_id": "ann"}))
        .answers(json!({"member": {"roles": [{"role": "Owner", "state": "MEMBER_ROLE_STATE_LIVE"}],
            "origin": "MEMBERSHIP_ORIGIN_CREATOR"}}));
    story
        .step("Bob joins acme. No role is named, so he is a Member.")
        .call("MembershipService/AddMember", json!({"org_id": "acme", "user_id": "bob"}))
        .answers(json!({"member": {"roles": [{"role": "Member"}]}}));
    story
        .step("Eve cannot become an Editor: Free disables the role.")
        .call("MembershipService/AddMember", json!({"org_id": "acme", "user_id": "eve", "roles": [{"role": "Editor"}]}))
        .refused_with("ROLE_DISABLED", "role `Editor` is disabled in role mapping `Free`");
    story.may("ann", "acme", "docs.write", "ALLOWED");
    story.may("bob", "acme", "docs.read", "ALLOWED");
    story.may("bob", "acme", "docs.write", "MISSING_PERMISSION");
    story.may("ann", "acme", "docs.share", "MISSING_PERMISSION");
    story.may("gil", "acme", "docs.read", "NOT_A_MEMBER");

    // An upgrade.

    let paid = story
        .step("Acme upgrades to Paid.")
        .call(
            "SubscriptionService/SubscribeOrg",
            json!({"org_id": "acme", "role_mapping": "Paid", "reason": "order 1001"}),
        )
        .answers(json!({"subscription": {"orgId": "acme", "roleMapping": "Paid"}}));
    story
        .step("A check with the revision of the upgrade sees it on every server.")
        .call(
            "CheckService/Check",
            json!({"org_id": "acme", "user_id": "ann", "permission": "docs.share",
                "consistency": {"at_least": paid["revision"]}}),
        )
        .answers(json!({"decision": "DECISION_ALLOWED"}));
    story
        .step("Eve can become an Editor now.")
        .call("MembershipService/AddMember", json!({"org_id": "acme", "user_id": "eve", "roles": [{"role": "Editor"}]}))
        .answers(json!({"member": {"roles": [{"role": "Editor"}]}}));
    story.may("eve", "acme", "docs.share", "ALLOWED");

    // A downgrade.

    story
        .step("Acme cannot move back without a strategy: the role of Eve would be disabled.")
        .call("SubscriptionService/SubscribeOrg", json!({"org_id": "acme", "role_mapping": "Free"}))
        .refused_with("ROLES_WOULD_BE_DISABLED", "this would disable roles of 1 member in 1 org: `Editor` (1)");
    story.may("eve", "acme", "docs.share", "ALLOWED");
    story
        .step("With SUSPEND it moves back, and Eve keeps her role.")
        .call(
            "SubscriptionService/SubscribeOrg",
            json!({"org_id": "acme", "role_mapping": "Free",
                "on_disabled": {"strategy": "DISABLED_ROLE_STRATEGY_SUSPEND"}}),
        )
        .answers(json!({"subscription": {"roleMapping": "Free"}}));
    story.may("eve", "acme", "docs.share", "ROLE_DISABLED");
    story
        .step("Her role is suspended.")
        .call("MembershipService/GetMember", json!({"org_id": "acme", "user_id": "eve"}))
        .answers(json!({"member": {"roles": [{"role": "Editor", "state": "MEMBER_ROLE_STATE_SUSPENDED"}]}}));

    // A campaign.

    story
        .step("A campaign moves both customers to Paid in one commit.")
        .call(
            "SubscriptionService/BatchSubscribeOrgs",
            json!({"org_ids": ["acme", "globex"], "role_mapping": "Paid", "reason": "campaign"}),
        )
        .answers(json!({"moved": 2}));
    story.may("eve", "acme", "docs.share", "ALLOWED");
    story
        .step("With one wrong id no org moves, and the refusal names the id.")
        .call(
            "SubscriptionService/BatchSubscribeOrgs",
            json!({"org_ids": ["acme", "glbex"], "role_mapping": "Enterprise"}),
        )
        .refused_with("ORG_NOT_FOUND", "`glbex`");
    story
        .step("Acme is still on Paid.")
        .call("SubscriptionService/GetSubscription", json!({"org_id": "acme"}))
        .answers(json!({"subscription": {"roleMapping": "Paid"}}));

    // Renaming.

    story
        .step("Editor is renamed to Writer.")
        .call("RoleService/UpdateRole", json!({"name": "Editor", "resource": {"name": "Writer"}}))
        .answers(json!({"role": {"name": "Writer", "aliases": ["Editor"]}}));
    for name in ["Writer", "Editor"] {
        story
            .step("Checks accept the new name and the old one.")
            .call("CheckService/Check", json!({"org_id": "acme", "user_id": "eve", "role": name}))
            .answers(json!({"decision": "DECISION_ALLOWED"}));
    }
    story
        .step("The old name cannot be given to another role.")
        .call("RoleService/CreateRole", json!({"name": "Editor"}))
        .refused_with("ROLE_ALREADY_EXISTS", "`Writer`");

    // Fewer roles.

    story
        .step("The role that new members get cannot be deleted.")
        .call("RoleService/DeleteRole", json!({"name": "Member"}))
        .refused_with("DEFAULT_ROLE_UNSUITABLE", "`Member`");
    story
        .step("Writer is deleted, and its members become Admins.")
        .call("RoleService/DeleteRole", json!({"name": "Writer", "replacement": "Admin"}))
        .answers(json!({"migratedMembers": 1}));
    story
        .step("Eve is an Admin, with the origin migration.")
        .call("MembershipService/GetMember", json!({"org_id": "acme", "user_id": "eve"}))
        .answers(json!({"member": {"roles": [{"role": "Admin", "origin": "MEMBERSHIP_ORIGIN_MIGRATION"}]}}));
    story
        .step("The role and its aliases are unknown.")
        .call("CheckService/Check", json!({"org_id": "acme", "user_id": "eve", "role": "Editor"}))
        .answers(json!({"decision": "DECISION_UNKNOWN_ROLE"}));

    // Fewer plans.

    story
        .step("Paid cannot be deleted while orgs are subscribed to it.")
        .call("RoleMappingService/DeleteRoleMapping", json!({"name": "Paid"}))
        .refused_with("ROLE_MAPPING_IN_USE", "2 orgs");
    story
        .step("It can if they move to Enterprise.")
        .call("RoleMappingService/DeleteRoleMapping", json!({"name": "Paid", "move_subscribers_to": "Enterprise"}))
        .answers(json!({"movedOrgs": 2}));
    story.may("ann", "acme", "sso.configure", "ALLOWED");
    story.step("Two plans are left.").call("RoleMappingService/ListRoleMappings", json!({})).answers(
        json!({"roleMappings": [
            {"name": "Free", "isDefault": true},
            {"name": "Enterprise", "subscriberCount": 2},
        ]}),
    );

    // A customer leaves.

    story
        .step("Ann cannot leave: acme would have no owner.")
        .call("MembershipService/RemoveMember", json!({"org_id": "acme", "user_id": "ann"}))
        .refused_with("LAST_OWNER", "`acme`");
    story
        .step("The org globex is deleted.")
        .call("OrgService/DeleteOrg", json!({"org_id": "globex"}))
        .answers(json!({"removedMemberships": 1}));
    story.may("gil", "globex", "docs.read", "ORG_NOT_FOUND");
    story
        .step("Its id is retired.")
        .call("OrgService/CreateOrg", json!({"org_id": "globex", "creator_user_id": "zoe"}))
        .refused_with("ORG_ID_RETIRED", "`reuse_deleted_id`");
    story
        .step("`reuse_deleted_id` allows it. Gil is not a member of the new org.")
        .call("OrgService/CreateOrg", json!({"org_id": "globex", "creator_user_id": "zoe", "reuse_deleted_id": true}))
        .answers(json!({"org": {"orgId": "globex", "roleMapping": "Free"}}));
    story.may("zoe", "globex", "docs.write", "ALLOWED");
    story.may("gil", "globex", "docs.read", "NOT_A_MEMBER");
}
