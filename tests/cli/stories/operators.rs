//! Operators with the published dashboard roles: who defines roles and plans, who manages customers, who only looks.

use serde_json::{Value, json};

use super::{Story, run_with_keys};
use crate::support::postgres;

const SQLITE: &str = "sqlite://rolecall.db";

#[test]
fn w5_developers_configure_and_customer_managers_manage_customers_on_sqlite() {
    run_with_keys(SQLITE, "propelauth", propelauth);
}

#[tokio::test]
async fn w5_developers_configure_and_customer_managers_manage_customers_on_postgres() {
    let Some(database) = postgres::database().await else { return };
    run_with_keys(&database, "propelauth", propelauth);
}

#[test]
fn w5_support_agents_look_and_support_managers_manage_customers_on_sqlite() {
    run_with_keys(SQLITE, "stytch", stytch);
}

#[tokio::test]
async fn w5_support_agents_look_and_support_managers_manage_customers_on_postgres() {
    let Some(database) = postgres::database().await else { return };
    run_with_keys(&database, "stytch", stytch);
}

const ADD: &str = "MembershipService/AddMember";
const SUBSCRIBE: &str = "SubscriptionService/SubscribeOrg";

fn operator(id: &str, role: &str) -> Value {
    json!({"project": "workspace", "org_id": "team", "user_id": id, "roles": [{"role": role}]})
}

fn of_the_team(id: &str) -> Value {
    json!({"project": "workspace", "org_id": "team", "user_id": id})
}

impl Story<'_> {
    /// Adds an operator and creates a key for it. Returns the token.
    #[track_caller]
    fn operator(self, id: &str, role: &str) -> String {
        self.step(&format!("{id} becomes an operator with the role {role}.")).call(ADD, operator(id, role)).works();
        self.key(json!({"display_name": format!("laptop of {id}"), "operator": id, "environment": "ENVIRONMENT_LIVE"}))
    }

    /// Creates a key. Returns the token.
    #[track_caller]
    fn key(self, request: Value) -> String {
        let created = self.step("A key is created.").call("ApiKeyService/CreateApiKey", request).works();
        created["token"].as_str().unwrap().into()
    }

    /// Makes a call that must be refused because the operator lacks a permission.
    #[track_caller]
    fn lacks(self, permission: &str, method: &str, body: Value) {
        self.step(&format!("{method} needs {permission}.")).call(method, body).lacks(permission);
    }
}

fn propelauth(story: Story<'_>) {
    let first = story
        .step("The first key belongs to `bootstrap`, which is an Owner for a day.")
        .call("ServerService/WhoAmI", json!({}))
        .answers(json!({"operator": "bootstrap", "credential": "api_key", "roles": ["Owner"]}));
    let olivia = story.operator("olivia", "Owner");
    let (bootstrap, story) = (story, story.by(&olivia));
    story
        .step("Olivia has a key that lasts. So she archives the first one.")
        .call("ApiKeyService/ArchiveApiKey", json!({"api_key_id": first["apiKey"]["apiKeyId"]}))
        .answers(json!({"apiKey": {"operator": "bootstrap"}}));
    bootstrap
        .step("The first key has stopped working.")
        .call("ServerService/WhoAmI", json!({}))
        .refused_with("API_KEY_ARCHIVED", "use another one");
    let customers = "The Owner prepares two plans and a customer.";
    for (method, body) in [
        ("PermissionService/CreatePermission", json!({"name": "reports.view"})),
        ("RoleMappingService/CreateRoleMapping", json!({"name": "Paid", "duplicate_of": "Default"})),
        ("OrgService/CreateOrg", json!({"org_id": "acme", "creator_user_id": "ann"})),
        (ADD, json!({"org_id": "acme", "user_id": "bea"})),
    ] {
        story.step(customers).call(method, body).works();
    }
    let (dev, carla) = (story.operator("dev", "Developer"), story.operator("carla", "Customer Management"));
    let (adam, rosa) = (story.operator("adam", "Admin"), story.operator("rosa", "ReadOnly"));

    a_developer_configures(story.by(&dev));
    a_customer_manager_manages_customers(story.by(&carla));
    an_admin_makes_no_admins(story.by(&adam));
    read_only_reads(story.by(&rosa));
    an_operator_without_access(story, &rosa);
    // The last call that is recorded as refused.
    story.is_logged("log --actor rosa --kind ListOrgs");
    story.is_documented(
        "story of operators",
        &["log --project workspace --actor olivia", "log --actor dev", "log --actor carla"],
    );
}

fn a_developer_configures(story: Story<'_>) {
    for (method, body) in [
        ("RoleService/CreateRole", json!({"name": "Auditor"})),
        ("PermissionService/CreatePermission", json!({"name": "reports.export"})),
        ("RoleMappingService/CreateRoleMapping", json!({"name": "Enterprise", "duplicate_of": "Paid"})),
        (
            "RoleMappingService/UpdateRoleMapping",
            json!({"name": "Enterprise", "edits": [{"role": "Auditor", "add": ["reports.export"]}]}),
        ),
        ("MembershipService/ListMembers", json!({"org_id": "acme"})),
    ] {
        story.step("A Developer defines roles and plans, and sees customers.").call(method, body).works();
    }
    customers_are_closed(story);
    story.lacks(
        "orgs.role_mapping",
        "RoleMappingService/CreateRoleMapping",
        json!({"name": "Gold", "subscribe_org_ids": ["acme"]}),
    );
    story.lacks("orgs.members", "RoleService/DeleteRole", json!({"name": "Auditor", "replacement": "Member"}));
    the_team_is_closed(story);
}

/// Asserts that every write about customers is refused.
fn customers_are_closed(story: Story<'_>) {
    for (permission, method, body) in [
        ("orgs.members", ADD, json!({"org_id": "acme", "user_id": "cem"})),
        (
            "orgs.members",
            "MembershipService/SetMemberRoles",
            json!({"org_id": "acme", "user_id": "bea", "roles": [{"role": "Admin"}]}),
        ),
        ("orgs.members", "MembershipService/RemoveMember", json!({"org_id": "acme", "user_id": "bea"})),
        ("orgs.members", "InvitationService/CreateInvitation", json!({"org_id": "acme", "email": "dora@acme.example"})),
        (
            "orgs.members",
            "OrgService/SetOrgDomains",
            json!({"org_id": "acme", "domains": [{"domain": "acme.example"}]}),
        ),
        ("orgs.role_mapping", SUBSCRIBE, json!({"org_id": "acme", "role_mapping": "Paid"})),
        ("orgs.write", "OrgService/CreateOrg", json!({"org_id": "globex"})),
        ("orgs.delete", "OrgService/DeleteOrg", json!({"org_id": "acme"})),
        ("users.block", "UserService/BlockUser", json!({"user_id": "bea"})),
        ("users.delete", "UserService/DeleteUser", json!({"user_id": "bea"})),
        // The answer is the same whether the org exists or not.
        ("orgs.members", ADD, json!({"org_id": "ghost", "user_id": "cem"})),
    ] {
        story.lacks(permission, method, body);
    }
}

/// Asserts that every write of roles, permissions, plans and projects is refused.
fn configuration_is_closed(story: Story<'_>) {
    for (method, body) in [
        ("PermissionService/CreatePermission", json!({"name": "reports.delete"})),
        ("RoleService/CreateRole", json!({"name": "Translator"})),
        ("RoleService/DeleteRole", json!({"name": "Admin"})),
        ("RoleMappingService/CreateRoleMapping", json!({"name": "Free"})),
        ("RoleMappingService/UpdateRoleMapping", json!({"name": "Paid", "disable_roles": ["Admin"]})),
        ("RoleMappingService/PromoteRoleMapping", json!({"name": "Paid"})),
        ("RoleMappingService/DeleteRoleMapping", json!({"name": "Paid"})),
        ("ProjectService/UpdateProject", json!({"project": "default", "resource": {"display_name": "Shop"}})),
    ] {
        story.lacks("config.roles_permissions", method, body);
    }
    story.lacks("projects.delete", "ProjectService/DeleteProject", json!({"project": "default", "confirm": "default"}));
}

/// Asserts that the operator sees the other operators and cannot change them.
fn the_team_is_closed(story: Story<'_>) {
    story
        .step("Every operator sees the team.")
        .call("MembershipService/ListMembers", json!({"project": "workspace", "org_id": "team"}))
        .works();
    story.lacks("team.manage", ADD, operator("friend", "ReadOnly"));
    story.lacks("team.manage", "MembershipService/RemoveMember", of_the_team("bootstrap"));
    let grant =
        json!({"project": "workspace", "name": "Default", "edits": [{"role": "ReadOnly", "add": ["users.write"]}]});
    story.lacks("team.settings", "RoleMappingService/UpdateRoleMapping", grant);
}

fn a_customer_manager_manages_customers(story: Story<'_>) {
    for (method, body) in [
        (SUBSCRIBE, json!({"org_id": "acme", "role_mapping": "Paid"})),
        (ADD, json!({"org_id": "acme", "user_id": "cem"})),
        ("MembershipService/SetMemberRoles", json!({"org_id": "acme", "user_id": "cem", "roles": [{"role": "Admin"}]})),
        ("InvitationService/CreateInvitation", json!({"org_id": "acme", "email": "dora@acme.example"})),
        ("UserService/BlockUser", json!({"user_id": "bea", "reason": "stolen laptop"})),
        ("UserService/UnblockUser", json!({"user_id": "bea"})),
        ("OrgService/CreateOrg", json!({"org_id": "globex", "role_mapping": "Paid", "creator_user_id": "gil"})),
        ("CheckService/Explain", json!({"org_id": "acme", "user_id": "bea", "permission": "reports.view"})),
    ] {
        story.step("A customer manager moves orgs to plans and manages their members.").call(method, body).works();
    }
    configuration_is_closed(story);
    the_team_is_closed(story);
    let key = json!({"display_name": "mine", "environment": "ENVIRONMENT_LIVE"});
    story.lacks("api_keys.live.manage", "ApiKeyService/CreateApiKey", key);
}

fn an_admin_makes_no_admins(story: Story<'_>) {
    story.step("An Admin adds operators with lower roles.").call(ADD, operator("dan", "Developer")).works();
    for role in ["Admin", "Owner"] {
        story
            .step("But no Admins and no Owners.")
            .call(ADD, operator("eve", role))
            .refused_with("ROLE_OUT_OF_SCOPE", &format!("`{role}`"));
    }
    story
        .step("A key for the Owner would be one more way to be an Owner.")
        .call(
            "ApiKeyService/CreateApiKey",
            json!({"display_name": "x", "operator": "olivia", "environment": "ENVIRONMENT_LIVE"}),
        )
        .refused_with("ROLE_OUT_OF_SCOPE", "`Owner`");
    story
        .step("Nor does an Admin remove the Owner.")
        .call("MembershipService/RemoveMember", of_the_team("olivia"))
        .refused_with("ROLE_OUT_OF_SCOPE", "`Owner`");
    let grant = json!({"project": "workspace", "name": "Default", "edits": [{"role": "Admin", "add": ["billing"]}]});
    story.lacks("team.settings", "RoleMappingService/UpdateRoleMapping", grant);
}

fn read_only_reads(story: Story<'_>) {
    for (method, body) in [
        ("OrgService/ListOrgs", json!({})),
        ("MembershipService/ListMembers", json!({"org_id": "acme"})),
        ("RoleMappingService/ListRoleMappings", json!({})),
        ("UserService/GetUser", json!({"user_id": "bea"})),
        ("CheckService/Explain", json!({"org_id": "acme", "user_id": "bea", "permission": "reports.view"})),
    ] {
        story.step("ReadOnly sees everything.").call(method, body).works();
    }
    customers_are_closed(story);
    configuration_is_closed(story);
    the_team_is_closed(story);
    story.lacks(
        "projects.create",
        "ProjectService/CreateProject",
        json!({"key": "mine", "environment": "ENVIRONMENT_TEST"}),
    );
}

/// Blocking or removing an operator stops its keys.
fn an_operator_without_access(story: Story<'_>, key: &str) {
    let rosa = json!({"project": "workspace", "user_id": "rosa"});
    story.step("The Owner blocks Rosa.").call("UserService/BlockUser", rosa.clone()).works();
    let list = |reason: &str, says: &str| {
        let step = story.by(key).step("Her key does nothing.");
        step.call("OrgService/ListOrgs", json!({})).refused_with(reason, says);
    };
    list("OPERATOR_PERMISSION_MISSING", "UnblockUser");
    story.step("The Owner unblocks her.").call("UserService/UnblockUser", rosa).works();
    story.step("And removes her.").call("MembershipService/RemoveMember", of_the_team("rosa")).works();
    list("API_KEY_ARCHIVED", "use another one");
}

fn stytch(story: Story<'_>) {
    let (alice, with_bootstrap) = (story.operator("alice", "Admin"), story);
    let story = story.by(&alice);
    with_bootstrap
        .step("In Stytch's set the highest role is Admin.")
        .call("ServerService/WhoAmI", json!({}))
        .answers(json!({"operator": "bootstrap", "roles": ["Admin"]}));
    for (method, body) in [
        ("PermissionService/CreatePermission", json!({"name": "reports.view"})),
        ("RoleMappingService/CreateRoleMapping", json!({"name": "Paid", "duplicate_of": "Default"})),
        ("OrgService/CreateOrg", json!({"org_id": "acme", "creator_user_id": "ann"})),
        (ADD, json!({"org_id": "acme", "user_id": "bea"})),
    ] {
        story.step("The Admin prepares two plans and a customer.").call(method, body).works();
    }
    let agent = story.operator("agent", "Support Agent");
    let (manager, nobody) = (story.operator("manager", "Support Manager"), story.operator("nobody", "No Access"));
    a_support_agent_looks(story.by(&agent));
    no_access_sees_names_of_projects(story.by(&nobody));
    a_support_manager_manages_customers(story.by(&manager));
    a_developer_has_test_keys(story);
}

fn a_support_agent_looks(story: Story<'_>) {
    for (method, body) in [
        ("ProjectService/ListProjects", json!({})),
        ("OrgService/ListOrgs", json!({})),
        ("MembershipService/ListMembers", json!({"org_id": "acme"})),
        ("UserService/GetUser", json!({"user_id": "bea"})),
        ("RoleMappingService/ListRoleMappings", json!({})),
        ("CheckService/Explain", json!({"org_id": "acme", "user_id": "bea", "permission": "reports.view"})),
    ] {
        story.step("A Support Agent sees customers and explains decisions.").call(method, body).works();
    }
    story.may("bea", "acme", "reports.view", "MISSING_PERMISSION");
    customers_are_closed(story);
    configuration_is_closed(story);
    the_team_is_closed(story);
}

fn no_access_sees_names_of_projects(story: Story<'_>) {
    story
        .step("No Access sees the names of projects.")
        .call("ProjectService/ListProjects", json!({}))
        .answers(json!({"projects": [{"key": "default"}, {"key": "workspace"}]}));
    for (permission, method, body) in [
        ("orgs.view", "OrgService/ListOrgs", json!({})),
        ("orgs.view", "MembershipService/ListMembers", json!({"org_id": "acme"})),
        ("orgs.view", "InsightsService/GetInsights", json!({})),
        ("users.view", "UserService/GetUser", json!({"user_id": "bea"})),
        ("roles.view", "RoleService/ListRoles", json!({})),
        ("roles.view", "RoleMappingService/ListRoleMappings", json!({})),
        ("checks.run", "CheckService/Check", json!({"org_id": "acme", "user_id": "bea", "permission": "reports.view"})),
        ("checks.inspect", "CheckService/GetAccess", json!({"org_id": "acme", "user_id": "bea"})),
    ] {
        story.lacks(permission, method, body);
    }
    customers_are_closed(story);
    configuration_is_closed(story);
    the_team_is_closed(story);
}

fn a_support_manager_manages_customers(story: Story<'_>) {
    for (method, body) in [
        (SUBSCRIBE, json!({"org_id": "acme", "role_mapping": "Paid"})),
        (ADD, json!({"org_id": "acme", "user_id": "cem"})),
        ("MembershipService/SetMemberRoles", json!({"org_id": "acme", "user_id": "cem", "roles": [{"role": "Admin"}]})),
        ("MembershipService/RemoveMember", json!({"org_id": "acme", "user_id": "cem"})),
        ("UserService/BlockUser", json!({"user_id": "bea"})),
    ] {
        story.step("A Support Manager moves orgs to plans and manages their members.").call(method, body).works();
    }
    configuration_is_closed(story);
    the_team_is_closed(story);
}

fn a_developer_has_test_keys(story: Story<'_>) {
    story.step("dev becomes a Developer.").call(ADD, operator("dev", "Developer")).works();
    let test_key =
        |operator: &str| json!({"display_name": "tests", "operator": operator, "environment": "ENVIRONMENT_TEST"});
    let token = story.key(test_key("dev"));
    assert!(token.starts_with("rk_test_"), "{token}");
    let dev = story.by(&token);
    dev.step("With a TEST key the Developer creates a TEST project.")
        .call("ProjectService/CreateProject", json!({"key": "sandbox", "environment": "ENVIRONMENT_TEST"}))
        .works();
    dev.step("The key sees no other projects.")
        .call("ProjectService/ListProjects", json!({}))
        .answers(json!({"projects": [{"key": "sandbox"}]}));
    dev.of("sandbox").step("It does everything there.").call("OrgService/CreateOrg", json!({"org_id": "try"})).works();
    dev.step("It does nothing in LIVE projects.")
        .call("OrgService/ListOrgs", json!({}))
        .refused_with("API_KEY_ENVIRONMENT", "a LIVE key");
    dev.step("It creates no LIVE project.")
        .call("ProjectService/CreateProject", json!({"key": "shop", "environment": "ENVIRONMENT_LIVE"}))
        .refused_with("API_KEY_ENVIRONMENT", "a LIVE key");
    dev.key(test_key(""));
    let live = json!({"display_name": "live", "environment": "ENVIRONMENT_LIVE"});
    dev.lacks("api_keys.live.manage", "ApiKeyService/CreateApiKey", live);
    dev.lacks("projects.delete", "ProjectService/DeleteProject", json!({"project": "sandbox", "confirm": "sandbox"}));
}
