//! Internal staff joins an org, hidden from its members.

use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

#[test]
fn i1_i2_i4_internal_staff_stays_hidden_on_sqlite() {
    on_sqlite(internal_staff_stays_hidden);
}

#[tokio::test]
async fn i1_i2_i4_internal_staff_stays_hidden_on_postgres() {
    on_postgres(internal_staff_stays_hidden).await;
}

const ADD: &str = "MembershipService/AddMember";
const GET: &str = "MembershipService/GetMember";
const LIST: &str = "MembershipService/ListMembers";

fn internal_staff_stays_hidden(story: Story<'_>) {
    story
        .step("The product has a permission for its staff.")
        .call("PermissionService/CreatePermission", json!({"name": "account.inspect"}))
        .works();
    with_support(story);
    story.may("bo", "acme", "account.inspect", "ALLOWED");
    story.check("bo", "acme", "role", "Support", "ALLOWED");

    what_callers_see(story);
    what_viewers_see(story);
    errors_do_not_reveal_names(story);

    story
        .step("Ann invites Bo. In SINGLE_ROLE an internal member is not available.")
        .call(ADD, json!({"org_id": "acme", "user_id": "bo", "acting_user_id": "ann"}))
        .refused_with("USER_NOT_AVAILABLE", "`bo`");
    story
        .step("To Ann, deleting the org removes two members.")
        .call("OrgService/DeleteOrg", json!({"org_id": "acme", "acting_user_id": "ann", "validate_only": true}))
        .answers(json!({"removedMemberships": 2, "impact": {"members": 2}}));
    story
        .step("To a caller without an acting user it removes three.")
        .call("OrgService/DeleteOrg", json!({"org_id": "acme", "validate_only": true}))
        .answers(json!({"removedMemberships": 3, "impact": {"members": 3}}));

    in_a_multi_role_project(story);
}

/// Creates an internal role, which Bo holds in acme, and two other members.
fn with_support(story: Story<'_>) {
    story
        .step("There is an internal role for staff.")
        .call("RoleService/CreateRole", json!({"name": "Support", "internal": true}))
        .answers(json!({"role": {"internal": true, "position": 4}}));
    story
        .step("It grants the permission.")
        .call(
            "RoleMappingService/UpdateRoleMapping",
            json!({"name": "Default", "edits": [{"role": "Support", "add": ["account.inspect"]}]}),
        )
        .works();
    story
        .step("Acme has an Owner and a Member.")
        .call("OrgService/CreateOrg", json!({"org_id": "acme", "creator_user_id": "ann"}))
        .works();
    story.step("Carl is the Member.").call(ADD, json!({"org_id": "acme", "user_id": "carl"})).works();
    story
        .step("Bo joins acme with the internal role.")
        .call(ADD, json!({"org_id": "acme", "user_id": "bo", "roles": [{"role": "Support"}]}))
        .answers(json!({"member": {"roles": [{"role": "Support"}]}}));
}

fn what_callers_see(story: Story<'_>) {
    story
        .step("A call without a viewer returns everybody.")
        .call(LIST, json!({"org_id": "acme"}))
        .answers(json!({"members": [{"userId": "ann"}, {"userId": "bo"}, {"userId": "carl"}]}));
    story
        .step("It can filter by the internal role.")
        .call(LIST, json!({"org_id": "acme", "role": "Support"}))
        .answers(json!({"members": [{"userId": "bo"}]}));
    story
        .step("It gets suggestions of internal names.")
        .call(LIST, json!({"org_id": "acme", "role": "Suport"}))
        .refused_with("ROLE_NOT_FOUND", "`Support`");
}

fn what_viewers_see(story: Story<'_>) {
    for viewer in ["ann", "carl"] {
        story
            .step("Viewers see the visible members.")
            .call(LIST, json!({"org_id": "acme", "viewer_user_id": viewer}))
            .answers(json!({"members": [
                {"userId": "ann", "roles": [{"role": "Owner"}]},
                {"userId": "carl", "roles": [{"role": "Member"}]},
            ]}));
        let first = story
            .step("With pages of one member, no member comes between Ann and Carl.")
            .call(LIST, json!({"org_id": "acme", "viewer_user_id": viewer, "page_size": 1}))
            .answers(json!({"members": [{"userId": "ann"}]}));
        let token = &first["nextPageToken"];
        let second = story
            .step("No member comes after Carl.")
            .call(LIST, json!({"org_id": "acme", "viewer_user_id": viewer, "page_size": 1, "page_token": token}))
            .answers(json!({"members": [{"userId": "carl"}]}));
        assert_eq!(second.get("nextPageToken"), None, "{second}");
        let roles = story
            .step("Viewers see three roles.")
            .call("RoleService/ListRoles", json!({"org_id": "acme", "viewer_user_id": viewer}))
            .answers(json!({"roles": [
                {"name": "Owner", "position": 1}, {"name": "Admin", "position": 2}, {"name": "Member", "position": 3},
            ]}));
        assert!(!roles.to_string().contains("etag"), "etags would reveal changes of internal roles: {roles}");
        story
            .step("Viewers see the org.")
            .call("OrgService/GetOrg", json!({"org_id": "acme", "viewer_user_id": viewer}))
            .answers(json!({"org": {"orgId": "acme"}}));
    }
    story
        .step("A user who is not a member sees nothing.")
        .call(LIST, json!({"org_id": "acme", "viewer_user_id": "zoe"}))
        .refused_with("VIEWER_NOT_A_MEMBER", "");
    story
        .step("The page of Ann offers no internal role.")
        .call("MembershipService/ListManageableRoles", json!({"org_id": "acme", "acting_user_id": "ann"}))
        .answers(json!({"roles": [{"role": "Owner"}, {"role": "Admin"}, {"role": "Member"}]}));
}

/// Errors about hidden users and roles are the same as errors about those that do not exist.
fn errors_do_not_reveal_names(story: Story<'_>) {
    let as_viewer = |user_id: &str| json!({"org_id": "acme", "user_id": user_id, "viewer_user_id": "carl"});
    let by_ann = |user_id: &str| json!({"org_id": "acme", "user_id": user_id, "acting_user_id": "ann"});
    let with_role =
        |role: &str| json!({"org_id": "acme", "user_id": "new", "roles": [{"role": role}], "acting_user_id": "ann"});
    let filtered = |role: &str| json!({"org_id": "acme", "role": role, "viewer_user_id": "carl"});
    let refused = |method: &str, body: Value, name: &str| {
        let error = story.step("The name is hidden or does not exist.").call(method, body).refused();
        error.replace(name, "NAME").split_whitespace().collect::<String>()
    };
    for (method, hidden, absent) in
        [(GET, as_viewer("bo"), as_viewer("xy")), ("MembershipService/RemoveMember", by_ann("bo"), by_ann("xy"))]
    {
        assert_eq!(refused(method, hidden, "bo"), refused(method, absent, "xy"), "{method}");
    }
    for (method, body) in [(ADD, &with_role as &dyn Fn(&str) -> Value), (LIST, &filtered)] {
        let absent = refused(method, body("Zupport"), "Zupport");
        assert_eq!(refused(method, body("Support"), "Support"), absent, "{method}");
        assert!(absent.contains("ROLE_NOT_FOUND"), "{absent}");
        assert!(!absent.contains("upport"), "the error suggests no name: {absent}");
    }
}

fn in_a_multi_role_project(story: Story<'_>) {
    story
        .step("In another project members hold several roles.")
        .call(
            "ProjectService/CreateProject",
            json!({"key": "several", "environment": "ENVIRONMENT_TEST", "role_structure": "ROLE_STRUCTURE_MULTI_ROLE"}),
        )
        .works();
    let story = story.of("several");
    story
        .step("It has the same permission.")
        .call("PermissionService/CreatePermission", json!({"name": "account.inspect"}))
        .works();
    with_support(story);
    story
        .step("There Ann can invite Bo. To her he is a new member.")
        .call(ADD, json!({"org_id": "acme", "user_id": "bo", "acting_user_id": "ann"}))
        .answers(json!({"member": {"userId": "bo", "roles": [{"role": "Member"}]}, "impact": {"members": 1}}));
    story
        .step("Viewers see his visible role only.")
        .call(GET, json!({"org_id": "acme", "user_id": "bo", "viewer_user_id": "carl"}))
        .answers(json!({"member": {"roles": [{"role": "Member", "state": "MEMBER_ROLE_STATE_LIVE"}]}}));
    story
        .step("A call without a viewer returns both roles.")
        .call(GET, json!({"org_id": "acme", "user_id": "bo"}))
        .answers(json!({"member": {"roles": [{"role": "Member"}, {"role": "Support"}]}}));
    story
        .step("Ann removes him.")
        .call("MembershipService/RemoveMember", json!({"org_id": "acme", "user_id": "bo", "acting_user_id": "ann"}))
        .works();
    story
        .step("To her he is not a member.")
        .call(GET, json!({"org_id": "acme", "user_id": "bo", "viewer_user_id": "ann"}))
        .refused_with("MEMBER_NOT_FOUND", "`bo`");
    story.may("bo", "acme", "account.inspect", "ALLOWED");
}
