//! A product from nothing to its first customers, by calls that anybody can make with grpcurl. Reads from top to bottom.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::run::{Server, grpcurl, output};
use crate::support::postgres;

#[test]
fn a_product_from_nothing_to_its_first_customers_on_sqlite() {
    if let Some(story) = Story::begin("sqlite://rolecall.db") {
        a_product_from_nothing_to_its_first_customers(&story);
    }
}

#[tokio::test]
async fn a_product_from_nothing_to_its_first_customers_on_postgres() {
    let Some(database) = postgres::database().await else { return };
    if let Some(story) = Story::begin(&database) {
        a_product_from_nothing_to_its_first_customers(&story);
    }
}

fn a_product_from_nothing_to_its_first_customers(story: &Story) {
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
        .refused_with("ROLES_WOULD_BE_DISABLED", "held by 1 member of 1 org would be disabled for them: `Editor` (1)");
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
        .call("RoleService/UpdateRole", json!({"name": "Editor", "role": {"name": "Writer"}}))
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
        .answers(json!({"migratedMembers": "1"}));
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
        .answers(json!({"movedOrgs": "2"}));
    story.may("ann", "acme", "sso.configure", "ALLOWED");
    story
        .tell("Two plans are left, and everybody is on one of them.")
        .call("RoleMappingService/ListRoleMappings", json!({}))
        .answers(json!({"roleMappings": [
            {"name": "Free", "isDefault": true},
            {"name": "Enterprise", "subscriberCount": "2"},
        ]}));

    // A customer leaves.

    story
        .tell("Ann cannot leave acme to people without an owner.")
        .call("MembershipService/RemoveMember", json!({"org_id": "acme", "user_id": "ann"}))
        .refused_with("LAST_OWNER", "`acme`");
    story
        .tell("Globex goes out of business.")
        .call("OrgService/DeleteOrg", json!({"org_id": "globex"}))
        .answers(json!({"removedMemberships": "1"}));
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

/// A server with a fresh store, and grpcurl to call it.
struct Story {
    server: Server,
    grpcurl: PathBuf,
    _folder: TempDir,
}

/// What is about to be done, for whoever reads why it failed.
struct Step<'a> {
    story: &'a Story,
    says: String,
}

/// What was called and answered.
struct Called {
    /// Says, call and answer, for whoever reads why it failed.
    told: String,
    answer: Result<Value, String>,
}

impl Story {
    /// None where grpcurl is missing.
    fn begin(database: &str) -> Option<Self> {
        let grpcurl = grpcurl()?;
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path(), &["--database", database]);
        Some(Self { server, grpcurl, _folder: folder })
    }

    fn tell(&self, says: &str) -> Step<'_> {
        Step { story: self, says: says.into() }
    }

    /// A check, and the decision that it must be answered with.
    #[track_caller]
    fn may(&self, user_id: &str, org_id: &str, permission: &str, decision: &str) {
        self.tell(&format!("May {user_id} in {org_id} do {permission}? {decision}."))
            .call("CheckService/Check", json!({"org_id": org_id, "user_id": user_id, "permission": permission}))
            .answers(json!({"decision": format!("DECISION_{decision}")}));
    }
}

impl Step<'_> {
    fn call(self, method: &str, body: Value) -> Called {
        let method = format!("rolecall.v1.{method}");
        let body = body.to_string();
        let args = ["-plaintext", "-d", &body, &self.story.server.address, &method];
        let ended = output(Command::new(&self.story.grpcurl).args(args));
        let (stdout, stderr) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        let told = format!("{}\n{method} {body}\n{stdout}{stderr}", self.says);
        let answer = match ended.status.success() {
            true => Ok(serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{told}\nno JSON: {error}"))),
            false => Err(stderr.into()),
        };
        Called { told, answer }
    }
}

impl Called {
    #[track_caller]
    fn works(self) -> Value {
        let Self { told, answer } = self;
        answer.unwrap_or_else(|_| panic!("this should have worked:\n{told}"))
    }

    /// It works, and the answer holds all of this; lists are complete.
    #[track_caller]
    fn answers(self, expected: Value) -> Value {
        let told = self.told.clone();
        let answer = self.works();
        assert!(holds(&answer, &expected), "the answer should hold {expected}:\n{told}");
        answer
    }

    /// It does not work: the error has this reason, and its message says this.
    #[track_caller]
    fn refused_with(self, reason: &str, says: &str) {
        let Self { told, answer } = self;
        let Err(error) = answer else { panic!("this should have been refused with {reason}:\n{told}") };
        let reasons = error.replace("\"reason\": ", "\"reason\":");
        assert!(reasons.contains(&format!("\"reason\":\"{reason}\"")), "the reason should be {reason}:\n{told}");
        let message = error.lines().find(|line| line.trim_start().starts_with("Message:")).unwrap_or_default();
        assert!(message.contains(says), "the message should say `{says}`:\n{told}");
    }
}

fn holds(answer: &Value, expected: &Value) -> bool {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| answer.get(key).is_some_and(|answer| holds(answer, value)))
        }
        (Value::Array(answer), Value::Array(expected)) => {
            answer.len() == expected.len() && answer.iter().zip(expected).all(|(answer, value)| holds(answer, value))
        }
        (answer, expected) => answer == expected,
    }
}
