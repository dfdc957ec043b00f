//! The product's own staff joins a customer, and no customer ever learns of it.

use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

#[test]
fn i1_i2_i4_staff_joins_unseen_on_sqlite() {
    on_sqlite(staff_joins_unseen);
}

#[tokio::test]
async fn i1_i2_i4_staff_joins_unseen_on_postgres() {
    on_postgres(staff_joins_unseen).await;
}

const ADD: &str = "MembershipService/AddMember";
const GET: &str = "MembershipService/GetMember";
const LIST: &str = "MembershipService/ListMembers";

fn staff_joins_unseen(story: Story<'_>) {
    story
        .tell("Code asks whether somebody may look into an account.")
        .call("PermissionService/CreatePermission", json!({"name": "account.inspect"}))
        .works();
    with_support(story);
    story.may("bo", "acme", "account.inspect", "ALLOWED");
    story.check("bo", "acme", "role", "Support", "ALLOWED");

    what_the_caller_sees(story);
    what_customers_see(story);
    what_customers_are_told_of_names(story);

    story
        .tell("Ann knows Bo from a call, and invites him. In acme everybody has one role, so that cannot be now.")
        .call(ADD, json!({"org_id": "acme", "user_id": "bo", "acting_user_id": "ann"}))
        .refused_with("USER_NOT_AVAILABLE", "`bo`");
    story
        .tell("Closing the company would remove two people, as far as Ann can see.")
        .call("OrgService/DeleteOrg", json!({"org_id": "acme", "acting_user_id": "ann", "validate_only": true}))
        .answers(json!({"removedMemberships": 2, "impact": {"members": 2}}));
    story
        .tell("It would remove three.")
        .call("OrgService/DeleteOrg", json!({"org_id": "acme", "validate_only": true}))
        .answers(json!({"removedMemberships": 3, "impact": {"members": 3}}));

    where_people_have_several_roles(story);
}

/// An internal role, and Bo, who holds it in acme beside two customers.
fn with_support(story: Story<'_>) {
    story
        .tell("There is a role for the product's own staff.")
        .call("RoleService/CreateRole", json!({"name": "Support", "internal": true}))
        .answers(json!({"role": {"internal": true, "position": 4}}));
    story
        .tell("It may look into accounts.")
        .call(
            "RoleMappingService/UpdateRoleMapping",
            json!({"name": "Default", "edits": [{"role": "Support", "add": ["account.inspect"]}]}),
        )
        .works();
    story
        .tell("Acme has an Owner and a Member.")
        .call("OrgService/CreateOrg", json!({"org_id": "acme", "creator_user_id": "ann"}))
        .works();
    story.tell("That is Carl.").call(ADD, json!({"org_id": "acme", "user_id": "carl"})).works();
    story
        .tell("They asked for help. Bo joins them.")
        .call(ADD, json!({"org_id": "acme", "user_id": "bo", "roles": [{"role": "Support"}]}))
        .answers(json!({"member": {"roles": [{"role": "Support"}]}}));
}

fn what_the_caller_sees(story: Story<'_>) {
    story
        .tell("Whoever runs the product sees everybody.")
        .call(LIST, json!({"org_id": "acme"}))
        .answers(json!({"members": [{"userId": "ann"}, {"userId": "bo"}, {"userId": "carl"}]}));
    story
        .tell("And finds staff by its role.")
        .call(LIST, json!({"org_id": "acme", "role": "Support"}))
        .answers(json!({"members": [{"userId": "bo"}]}));
    story
        .tell("A slip of the keyboard is forgiven.")
        .call(LIST, json!({"org_id": "acme", "role": "Suport"}))
        .refused_with("ROLE_NOT_FOUND", "`Support`");
}

fn what_customers_see(story: Story<'_>) {
    for viewer in ["ann", "carl"] {
        story
            .tell("Customers see each other.")
            .call(LIST, json!({"org_id": "acme", "viewer_user_id": viewer}))
            .answers(json!({"members": [
                {"userId": "ann", "roles": [{"role": "Owner"}]},
                {"userId": "carl", "roles": [{"role": "Member"}]},
            ]}));
        let first = story
            .tell("Also page by page: nobody stands between Ann and Carl,")
            .call(LIST, json!({"org_id": "acme", "viewer_user_id": viewer, "page_size": 1}))
            .answers(json!({"members": [{"userId": "ann"}]}));
        let token = &first["nextPageToken"];
        let second = story
            .tell("and nobody comes after Carl.")
            .call(LIST, json!({"org_id": "acme", "viewer_user_id": viewer, "page_size": 1, "page_token": token}))
            .answers(json!({"members": [{"userId": "carl"}]}));
        assert_eq!(second.get("nextPageToken"), None, "{second}");
        let roles = story
            .tell("They know three roles,")
            .call("RoleService/ListRoles", json!({"org_id": "acme", "viewer_user_id": viewer}))
            .answers(json!({"roles": [
                {"name": "Owner", "position": 1}, {"name": "Admin", "position": 2}, {"name": "Member", "position": 3},
            ]}));
        assert!(!roles.to_string().contains("etag"), "etags would count changes of what is hidden: {roles}");
        story
            .tell("and the company.")
            .call("OrgService/GetOrg", json!({"org_id": "acme", "viewer_user_id": viewer}))
            .answers(json!({"org": {"orgId": "acme"}}));
    }
    story
        .tell("Strangers see nothing.")
        .call(LIST, json!({"org_id": "acme", "viewer_user_id": "zoe"}))
        .refused_with("VIEWER_NOT_A_MEMBER", "");
    story
        .tell("Ann's page offers no role that is not hers to know.")
        .call("MembershipService/ListManageableRoles", json!({"org_id": "acme", "acting_user_id": "ann"}))
        .answers(json!({"roles": [{"role": "Owner"}, {"role": "Admin"}, {"role": "Member"}]}));
}

/// Who is hidden is told apart from who is not there by nothing, and so are roles.
fn what_customers_are_told_of_names(story: Story<'_>) {
    let as_viewer = |user_id: &str| json!({"org_id": "acme", "user_id": user_id, "viewer_user_id": "carl"});
    let by_ann = |user_id: &str| json!({"org_id": "acme", "user_id": user_id, "acting_user_id": "ann"});
    let with_role =
        |role: &str| json!({"org_id": "acme", "user_id": "new", "roles": [{"role": role}], "acting_user_id": "ann"});
    let filtered = |role: &str| json!({"org_id": "acme", "role": role, "viewer_user_id": "carl"});
    let refused = |method: &str, body: Value, name: &str| {
        let error = story.tell("Hidden, or not there?").call(method, body).refused();
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
        assert!(!absent.contains("upport"), "nobody suggests it: {absent}");
    }
}

fn where_people_have_several_roles(story: Story<'_>) {
    story
        .tell("Another product lets people have several roles.")
        .call(
            "ProjectService/CreateProject",
            json!({"key": "several", "environment": "ENVIRONMENT_TEST", "role_structure": "ROLE_STRUCTURE_MULTI_ROLE"}),
        )
        .works();
    let story = story.of("several");
    story
        .tell("Its code asks the same.")
        .call("PermissionService/CreatePermission", json!({"name": "account.inspect"}))
        .works();
    with_support(story);
    story
        .tell("There Ann can invite Bo: as far as she sees, he is new.")
        .call(ADD, json!({"org_id": "acme", "user_id": "bo", "acting_user_id": "ann"}))
        .answers(json!({"member": {"userId": "bo", "roles": [{"role": "Member"}]}, "impact": {"members": 1}}));
    story
        .tell("He is one of them now, and nothing more.")
        .call(GET, json!({"org_id": "acme", "user_id": "bo", "viewer_user_id": "carl"}))
        .answers(json!({"member": {"roles": [{"role": "Member", "state": "MEMBER_ROLE_STATE_LIVE"}]}}));
    story
        .tell("And he is what he was.")
        .call(GET, json!({"org_id": "acme", "user_id": "bo"}))
        .answers(json!({"member": {"roles": [{"role": "Member"}, {"role": "Support"}]}}));
    story
        .tell("Ann shows him out.")
        .call("MembershipService/RemoveMember", json!({"org_id": "acme", "user_id": "bo", "acting_user_id": "ann"}))
        .works();
    story
        .tell("To her he is gone,")
        .call(GET, json!({"org_id": "acme", "user_id": "bo", "viewer_user_id": "ann"}))
        .refused_with("MEMBER_NOT_FOUND", "`bo`");
    story.may("bo", "acme", "account.inspect", "ALLOWED");
}
