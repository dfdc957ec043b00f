//! A product from nothing to its first customers.

use serde_json::json;

use super::{Story, on_postgres, on_sqlite};

#[test]
fn a_product_from_nothing_to_its_first_customers_on_sqlite() {
    on_sqlite(a_product_from_nothing_to_its_first_customers);
}

#[tokio::test]
async fn a_product_from_nothing_to_its_first_customers_on_postgres() {
    on_postgres(a_product_from_nothing_to_its_first_customers).await;
}

fn a_product_from_nothing_to_its_first_customers(story: Story<'_>) {
    // The product.

    story
        .tell("The product is called Papertrail: people write documents together.")
        .call("ProjectService/UpdateProject", json!({"resource": {"display_name": "Papertrail"}}))
        .answers(json!({"project": {"key": "default", "displayName": "Papertrail", "defaultRole": "Member"}}));
    story
        .tell("Its code asks about six permissions.")
        .call(
            "PermissionService/BatchCreatePermissions",
            json!({"permissions": [
                {"name": "docs.read"}, {"name": "docs.write"}, {"name": "docs.share"},
                {"name": "billing.manage"}, {"name": "sso.configure"}, {"name": "audit.export"},
            ]}),
        )
        .answers(json!({"created": 6}));
    story
        .tell("Besides Owner, Admin and Member there are Editors, who rank below Admin.")
        .call("RoleService/CreateRole", json!({"name": "Editor", "below": "Admin"}))
        .answers(json!({"role": {"position": 3}}));
    story
        .tell("And Auditors, who are disabled wherever nobody says otherwise.")
        .call("RoleService/CreateRole", json!({"name": "Auditor", "below": "Editor", "disabled_in": ["Default"]}))
        .answers(json!({"role": {"position": 4}}));

    // The plans.

    story
        .tell("Free has no Editors and no Auditors. What an Editor would be granted is said all the same: so a check can tell \
             that an upgrade would help.")
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
        .tell("Paid is Free with Editors and with sharing.")
        .call(
            "RoleMappingService/CreateRoleMapping",
            json!({"name": "Paid", "duplicate_of": "Free", "enable_roles": ["Editor"], "edits": [
                {"role": "Owner", "add": ["docs.share"]},
                {"role": "Admin", "add": ["docs.share"]},
            ]}),
        )
        .answers(json!({"roleMapping": {"disabledRoles": ["Auditor"]}}));
    story
        .tell("Enterprise is Paid with Auditors and single sign-on.")
        .call(
            "RoleMappingService/CreateRoleMapping",
            json!({"name": "Enterprise", "duplicate_of": "Paid", "enable_roles": ["Auditor"], "edits": [
                {"role": "Owner", "add": ["sso.configure"]},
                {"role": "Auditor", "add": ["docs.read", "audit.export"]},
            ]}),
        )
        .answers(json!({"roleMapping": {"name": "Enterprise"}}));
    story
        .tell("The price list asks what Enterprise has that Paid has not.")
        .call(
            "RoleMappingService/DiffRoleMappings",
            json!({"left": "Paid", "right": "Enterprise", "only_different": true}),
        )
        .answers(json!({"roles": [
            {"role": "Owner", "enabledLeft": true, "enabledRight": true, "onlyRight": ["sso.configure"]},
            {"role": "Auditor", "enabledRight": true, "onlyRight": ["audit.export", "docs.read"]},
        ]}));
    story
        .tell("The default plan cannot be deleted.")
        .call("RoleMappingService/DeleteRoleMapping", json!({"name": "Default"}))
        .refused_with("DEFAULT_ROLE_MAPPING", "promote another first");
    story
        .tell("New customers are to start on Free.")
        .call("RoleMappingService/PromoteRoleMapping", json!({"name": "Free"}))
        .answers(json!({"roleMapping": {"name": "Free", "isDefault": true}}));
    story
        .tell("So the mapping that was there at first can go; nobody is on it.")
        .call("RoleMappingService/DeleteRoleMapping", json!({"name": "Default"}))
        .works();

    // The first customers.

    for (org_id, creator) in [("acme", "ann"), ("globex", "gil")] {
        story
            .tell("A customer signs up: on Free, owned by whoever signed up.")
            .call("OrgService/CreateOrg", json!({"org_id": org_id, "creator_user_id": creator}))
            .answers(json!({"org": {"orgId": org_id, "roleMapping": "Free"}}));
    }
    story
        .tell("Ann is the Owner of acme since she created it.")
        .call("MembershipService/GetMember", json!({"org_id": "acme", "user_id": "ann"}))
        .answers(json!({"member": {"roles": [{"role": "Owner", "state": "MEMBER_ROLE_STATE_LIVE"}],
            "origin": "MEMBERSHIP_ORIGIN_CREATOR"}}));
    story
        .tell("Bob joins acme; nobody says as what, so he is a Member.")
        .call("MembershipService/AddMember", json!({"org_id": "acme", "user_id": "bob"}))
        .answers(json!({"member": {"roles": [{"role": "Member"}]}}));
    story
        .tell("Eve cannot be an Editor: Free has none.")
        .call("MembershipService/AddMember", json!({"org_id": "acme", "user_id": "eve", "roles": [{"role": "Editor"}]}))
        .refused_with("ROLE_DISABLED", "role `Editor` is disabled in role mapping `Free`");
    story.may("ann", "acme", "docs.write", "ALLOWED");
    story.may("bob", "acme", "docs.read", "ALLOWED");
    story.may("bob", "acme", "docs.write", "MISSING_PERMISSION");
    story.may("ann", "acme", "docs.share", "MISSING_PERMISSION");
    story.may("gil", "acme", "docs.read", "NOT_A_MEMBER");

    // Acme pays.

    let paid = story
        .tell("Acme upgrades to Paid.")
        .call(
            "SubscriptionService/SubscribeOrg",
            json!({"org_id": "acme", "role_mapping": "Paid", "reason": "order 1001"}),
        )
        .answers(json!({"subscription": {"orgId": "acme", "roleMapping": "Paid"}}));
    story
        .tell("Whoever has the revision of the upgrade sees it, whichever server is asked.")
        .call(
            "CheckService/Check",
            json!({"org_id": "acme", "user_id": "ann", "permission": "docs.share",
                "consistency": {"at_least": paid["revision"]}}),
        )
        .answers(json!({"decision": "DECISION_ALLOWED"}));
    story
        .tell("Eve can be an Editor now.")
        .call("MembershipService/AddMember", json!({"org_id": "acme", "user_id": "eve", "roles": [{"role": "Editor"}]}))
        .answers(json!({"member": {"roles": [{"role": "Editor"}]}}));
    story.may("eve", "acme", "docs.share", "ALLOWED");

    // Acme stops paying.

    story
        .tell("Acme cannot just go back: Eve would lose her role, and somebody has to say what becomes of her.")
        .call("SubscriptionService/SubscribeOrg", json!({"org_id": "acme", "role_mapping": "Free"}))
        .refused_with("ROLES_WOULD_BE_DISABLED", "this would disable roles held by 1 member of 1 org: `Editor` (1)");
    story.may("eve", "acme", "docs.share", "ALLOWED");
    story
        .tell("It goes back, and Eve keeps the role for better days.")
        .call(
            "SubscriptionService/SubscribeOrg",
            json!({"org_id": "acme", "role_mapping": "Free",
                "on_disabled": {"strategy": "DISABLED_ROLE_STRATEGY_SUSPEND"}}),
        )
        .answers(json!({"subscription": {"roleMapping": "Free"}}));
    story.may("eve", "acme", "docs.share", "ROLE_DISABLED");
    story
        .tell("Her role is there, suspended.")
        .call("MembershipService/GetMember", json!({"org_id": "acme", "user_id": "eve"}))
        .answers(json!({"member": {"roles": [{"role": "Editor", "state": "MEMBER_ROLE_STATE_SUSPENDED"}]}}));

    // A campaign.

    story
        .tell("A campaign puts all of the first customers on Paid, in one commit.")
        .call(
            "SubscriptionService/BatchSubscribeOrgs",
            json!({"org_ids": ["acme", "globex"], "role_mapping": "Paid", "reason": "campaign"}),
        )
        .answers(json!({"moved": 2}));
    story.may("eve", "acme", "docs.share", "ALLOWED");
    story
        .tell("One wrong id, and nobody moves; the refusal says which.")
        .call(
            "SubscriptionService/BatchSubscribeOrgs",
            json!({"org_ids": ["acme", "glbex"], "role_mapping": "Enterprise"}),
        )
        .refused_with("ORG_NOT_FOUND", "`glbex`");
    story
        .tell("Acme is where it was.")
        .call("SubscriptionService/GetSubscription", json!({"org_id": "acme"}))
        .answers(json!({"subscription": {"roleMapping": "Paid"}}));

    // Better names.

    story
        .tell("Editors are to be called Writers.")
        .call("RoleService/UpdateRole", json!({"name": "Editor", "resource": {"name": "Writer"}}))
        .answers(json!({"role": {"name": "Writer", "aliases": ["Editor"]}}));
    for name in ["Writer", "Editor"] {
        story
            .tell("New code asks by the new name, and old code goes on asking by the old one.")
            .call("CheckService/Check", json!({"org_id": "acme", "user_id": "eve", "role": name}))
            .answers(json!({"decision": "DECISION_ALLOWED"}));
    }
    story
        .tell("The old name is not free while code asks by it.")
        .call("RoleService/CreateRole", json!({"name": "Editor"}))
        .refused_with("ROLE_ALREADY_EXISTS", "`Writer`");

    // Fewer roles.

    story
        .tell("The role that new members get cannot be deleted.")
        .call("RoleService/DeleteRole", json!({"name": "Member"}))
        .refused_with("DEFAULT_ROLE_UNSUITABLE", "`Member`");
    story
        .tell("Writers turn out to be Admins: whoever is a Writer becomes one.")
        .call("RoleService/DeleteRole", json!({"name": "Writer", "replacement": "Admin"}))
        .answers(json!({"migratedMembers": 1}));
    story
        .tell("Eve is an Admin, and it is on the record how she came to be one.")
        .call("MembershipService/GetMember", json!({"org_id": "acme", "user_id": "eve"}))
        .answers(json!({"member": {"roles": [{"role": "Admin", "origin": "MEMBERSHIP_ORIGIN_MIGRATION"}]}}));
    story
        .tell("The role is gone with all its names.")
        .call("CheckService/Check", json!({"org_id": "acme", "user_id": "eve", "role": "Editor"}))
        .answers(json!({"decision": "DECISION_UNKNOWN_ROLE"}));

    // Fewer plans.

    story
        .tell("Paid is to be retired; but customers are on it.")
        .call("RoleMappingService/DeleteRoleMapping", json!({"name": "Paid"}))
        .refused_with("ROLE_MAPPING_IN_USE", "2 orgs");
    story
        .tell("They all get Enterprise.")
        .call("RoleMappingService/DeleteRoleMapping", json!({"name": "Paid", "move_subscribers_to": "Enterprise"}))
        .answers(json!({"movedOrgs": 2}));
    story.may("ann", "acme", "sso.configure", "ALLOWED");
    story
        .tell("Two plans are left, and everybody is on one of them.")
        .call("RoleMappingService/ListRoleMappings", json!({}))
        .answers(json!({"roleMappings": [
            {"name": "Free", "isDefault": true},
            {"name": "Enterprise", "subscriberCount": 2},
        ]}));

    // A customer leaves.

    story
        .tell("Ann cannot leave acme to people without an owner.")
        .call("MembershipService/RemoveMember", json!({"org_id": "acme", "user_id": "ann"}))
        .refused_with("LAST_OWNER", "`acme`");
    story
        .tell("Globex goes out of business.")
        .call("OrgService/DeleteOrg", json!({"org_id": "globex"}))
        .answers(json!({"removedMemberships": 1}));
    story.may("gil", "globex", "docs.read", "ORG_NOT_FOUND");
    story
        .tell("Nobody takes its id by mistake.")
        .call("OrgService/CreateOrg", json!({"org_id": "globex", "creator_user_id": "zoe"}))
        .refused_with("ORG_ID_RETIRED", "`reuse_deleted_id`");
    story
        .tell("Who means it can; Gil has nothing to do with this one.")
        .call("OrgService/CreateOrg", json!({"org_id": "globex", "creator_user_id": "zoe", "reuse_deleted_id": true}))
        .answers(json!({"org": {"orgId": "globex", "roleMapping": "Free"}}));
    story.may("zoe", "globex", "docs.write", "ALLOWED");
    story.may("gil", "globex", "docs.read", "NOT_A_MEMBER");
}
