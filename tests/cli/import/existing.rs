//! Imports into a project that has orgs and members, and rows that the server refuses.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::wire::{DeleteOrgRequest, ListOrgsRequest};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::import;
use super::rows::members;
use crate::lifecycle::channel;
use crate::operators::{Guarded, worked};
use crate::run::{Server, both, output, rolecall};

/// A server with the project `shop`: Admin is disabled in Default and enabled in Paid.
pub struct Shop {
    folder: TempDir,
    pub server: Server,
}

impl Shop {
    pub fn start(structure: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shop = Self { server: Server::start(folder.path(), args), folder };
        let document = format!(
            "project: shop\nenvironment: TEST\nrole_structure: {structure}\ndefault_role: Member\n\
             default_owner_role: Owner\nroles: [{{name: Owner}}, {{name: Admin}}, {{name: Member}}]\n\
             role_mappings: [{{name: Default, default: true, disabled_roles: [Admin]}}, {{name: Paid}}]\n"
        );
        shop.write("shop.yaml", &document);
        let args = ["apply", "shop.yaml", "--create", "--yes", "--server", &shop.server.address];
        let applied = output(rolecall(shop.folder.path()).args(args));
        assert_eq!(applied.status.code(), Some(0), "{}", both(&applied));
        shop
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Returns what an import prints. It must exit with 0.
    #[track_caller]
    pub fn import(&self, args: &[&str]) -> String {
        let (code, says) = import(self.folder.path(), &self.server, &[args, &["--project", "shop"]].concat());
        assert_eq!(code, Some(0), "{says}");
        says
    }

    /// Imports rows of a CSV file.
    #[track_caller]
    pub fn rows(&self, rows: &str, args: &[&str]) -> String {
        self.write("a.csv", &format!("org_id,user_id,role,expires\n{rows}"));
        self.import(&[&["csv", "a.csv"], args].concat())
    }

    pub fn members(&self, org: &str) -> Vec<String> {
        members(self.folder.path(), &self.server, "shop", org)
    }
}

fn org(id: &str, name: &str, mapping: Option<&str>) -> Value {
    json!({ "org_id": id, "name": name, "custom_role_mapping_name": mapping })
}

#[track_caller]
pub fn has(says: &str, parts: &[&str]) {
    for part in parts {
        assert!(says.contains(part), "`{part}` is not in: {says}");
    }
}

#[test]
fn members_are_judged_by_the_role_mapping_that_their_org_is_on() {
    let shop = Shop::start("SINGLE_ROLE", &[]);
    let orgs = json!({ "orgs": [org("acme", "Acme", Some("Paid")), org("globex", "Globex", None)] });
    shop.write("orgs.json", &orgs.to_string());
    shop.import(&["propelauth", "orgs.json", "--apply"]);
    let says = shop.rows("acme,ann,Admin,\nglobex,bob,Admin,\nglobex,cid,Member,\n", &["--apply"]);
    has(&says, &["disabled in the role mapping of the org: not imported (1): Admin of bob in globex", "and 2 members"]);
    assert!(!says.contains("Admin of ann"), "{says}");
    assert_eq!(shop.members("acme"), ["ann: Admin"]);
    assert_eq!(shop.members("globex"), ["cid: Member"]);

    // The files name another role mapping than the one that the org is on.
    let orgs = json!({ "orgs": [org("globex", "Globex Inc", Some("Paid"))] });
    let info = json!({ "globex": { "user_role": "Admin" } });
    shop.write("orgs.json", &orgs.to_string());
    shop.write("users.json", &json!({ "users": [{ "user_id": "dan", "org_id_to_org_info": info }] }).to_string());
    let says = shop.import(&["propelauth", "orgs.json", "users.json", "--json", "--apply"]);
    let plan: Value = serde_json::from_str(&says).unwrap();
    assert_eq!(plan["members"], json!({ "new": 0, "changed": 0, "present": 0 }), "{says}");
    // The org gets the name of the files.
    assert_eq!(plan["orgs"], json!({ "new": 0, "changed": 1, "present": 0 }), "{says}");
    has(&says, &["globex is on Default, not on Paid", "Admin of dan in globex"]);
    let says = shop.import(&["propelauth", "orgs.json", "users.json"]);
    has(&says, &["Everything but the misfits is imported already"]);
}

#[test]
fn b3_an_import_takes_no_org_its_last_owner() {
    let shop = Shop::start("SINGLE_ROLE", &[]);
    shop.rows("acme,ann,Owner,\nglobex,bob,Owner,\n", &["--apply"]);
    let rows = "acme,ann,Member,\nacme,cid,Member,\nglobex,bob,Member,\nglobex,dan,Member,\n";
    let says = shop.rows(rows, &[]);
    has(&says, &["the files do not name: --apply takes them away (2): Owner of ann in acme, Owner of bob in globex"]);
    let says = shop.rows(rows, &["--apply", "--report", "report"]);
    has(
        &says,
        &[
            "Misfits: refused by the server",
            "the server refuses: not imported (2): ann in acme: 1 org",
            "and 2 members",
        ],
    );
    // They keep the role, and there is no flag for more.
    assert!(!says.contains("taken away") && !says.contains("allow_ownerless"), "{says}");
    assert_eq!(shop.members("acme"), ["ann: Owner", "cid: Member"]);
    assert_eq!(shop.members("globex"), ["bob: Owner", "dan: Member"]);
    let report = fs::read_to_string(shop.folder.path().join("report")).unwrap();
    has(&report, &["not imported\tbob in globex: "]);
    assert!(!report.contains("taken away"), "{report}");
    // With a new owner it is no last owner.
    let says = shop.rows("acme,ann,Member,\nacme,cid,Owner,\n", &["--apply", "--report", "taken"]);
    has(&says, &["the files do not name: taken away (2): Owner of ann in acme, Member of cid in acme"]);
    has(&fs::read_to_string(shop.folder.path().join("taken")).unwrap(), &["taken away\tOwner of ann in acme\n"]);
    assert_eq!(shop.members("acme"), ["ann: Member", "cid: Owner"]);
}

#[test]
fn of_a_role_with_several_expiries_the_last_is_used_and_too_many_roles_are_reported() {
    let shop = Shop::start("MULTI_ROLE", &["--member-roles-max", "1"]);
    let rows = "acme,ann,Member,2998-01-31T12:00:00Z\nacme,ann,Member,2999-01-31T12:00:00Z\n\
                acme,bob,Member,2999-01-31T12:00:00Z\nacme,bob,Member,\nacme,cid,Member,\nacme,cid,Owner,\n";
    let says = shop.rows(rows, &["--apply"]);
    has(
        &says,
        &["roles with several expiries: the last one is used (2): Member of ann in acme, Member of bob in acme"],
    );
    has(&says, &["members with more roles than the server allows: not imported (1): 2 roles of cid in acme"]);
    assert_eq!(shop.members("acme"), ["ann: Member until 2999-01-31T12:00:00Z", "bob: Member"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_the_id_of_a_deleted_org_does_not_stop_an_import() {
    let shop = Shop::start("SINGLE_ROLE", &[]);
    shop.rows("acme,ann,Owner,\n", &["--apply"]);
    let request = DeleteOrgRequest { project: "shop".into(), org_id: "acme".into(), ..Default::default() };
    OrgServiceClient::new(channel(&shop.server).await).delete_org(request).await.unwrap();
    let says = shop.rows("acme,ann,Owner,\nglobex,bob,Owner,\n", &["--apply"]);
    has(&says, &["deleted and cannot be used again: not imported (1): acme", "refuses: not imported (1): ann in acme"]);
    has(&says, &["Imported 1 org and 1 member into"]);
    assert_eq!(shop.members("globex"), ["bob: Owner"]);
    // Without anything else it is an error.
    shop.write("a.csv", "org_id,user_id,role\nacme,ann,Owner\n");
    let (code, says) = import(shop.folder(), &shop.server, &["csv", "a.csv", "--project", "shop", "--apply"]);
    assert_eq!(code, Some(1), "{says}");
    has(&says, &["Imported 0 orgs and 0 members", "error: nothing in the files could be imported"]);
}

#[test]
fn r3_files_may_use_earlier_names_of_roles_and_role_mappings() {
    let shop = Shop::start("SINGLE_ROLE", &[]);
    let orgs = json!({ "orgs": [org("acme", "Acme", Some("Paid"))] });
    shop.write("orgs.json", &orgs.to_string());
    shop.import(&["propelauth", "orgs.json", "--apply"]);
    shop.rows("acme,ann,Admin,\n", &["--apply"]);
    let document = "project: shop\ndefault_role: Member\ndefault_owner_role: Owner\n\
                    roles: [{name: Owner}, {name: Administrator, renamed_from: Admin}, {name: Member}]\n\
                    role_mappings: [{name: Default, default: true, disabled_roles: [Administrator]}, \
                    {name: Gold, renamed_from: Paid}]\n";
    shop.write("shop.yaml", document);
    let args = ["apply", "shop.yaml", "--yes", "--server", &shop.server.address];
    let applied = output(rolecall(shop.folder.path()).args(args));
    assert_eq!(applied.status.code(), Some(0), "{}", both(&applied));

    // The org that exists is on it, and a new one is put on it.
    let orgs = json!({ "orgs": [org("acme", "Acme", Some("Paid")), org("globex", "Globex", Some("Paid"))] });
    shop.write("orgs.json", &orgs.to_string());
    let says = shop.import(&["propelauth", "orgs.json", "--apply"]);
    assert!(says.contains("Imported 1 org and") && !says.contains("Misfits"), "{says}");
    // The role is enabled in Gold only.
    let says = shop.rows("acme,ann,Admin,\nglobex,bob,Admin,\nglobex,bob,Administrator,\n", &["--apply"]);
    assert!(says.contains("and 1 member ") && !says.contains("Misfits"), "{says}");
    assert_eq!(shop.members("globex"), ["bob: Administrator"]);
    let says = shop.rows("acme,ann,Admin,\nglobex,bob,Admin,\nother,cid,Admin,\n", &["--json"]);
    has(&says, &["disabled in the role mapping", "Administrator of cid in other", "\"present\": 2"]);
}

#[test]
fn m3_a_member_keeps_a_role_that_is_disabled() {
    let shop = Shop::start("MULTI_ROLE", &[]);
    let orgs = json!({ "orgs": [org("acme", "Acme", Some("Paid"))] });
    shop.write("orgs.json", &orgs.to_string());
    shop.import(&["propelauth", "orgs.json", "--apply"]);
    shop.rows("acme,ann,Admin,\n", &["--apply"]);
    let args = [
        "subscribe",
        "acme",
        "--to-default",
        "--on-disabled",
        "suspend",
        "--project",
        "shop",
        "--server",
        &shop.server.address,
    ];
    let moved = output(rolecall(shop.folder.path()).args(args));
    assert_eq!(moved.status.code(), Some(0), "{}", both(&moved));
    let says = shop.rows("acme,ann,Admin,\nacme,bob,Admin,\n", &[]);
    has(&says, &["not imported (1): Admin of bob", "Everything but the misfits is imported already"]);
    shop.rows("acme,ann,Admin,\nacme,ann,Member,\n", &["--apply"]);
    assert_eq!(shop.members("acme"), ["ann: Admin, Member"]);
}

#[test]
fn a_plan_for_a_project_that_exists_shows_what_each_change_does_and_to_whom() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[""; 0]);
    let policy = |actions: &[&str]| {
        let permissions = json!([{ "resource_id": "docs", "actions": actions }]);
        let roles = json!([{ "role_id": "stytch_admin" }, { "role_id": "stytch_member", "permissions": permissions }]);
        let resources = json!([{ "resource_id": "docs", "actions": ["read", "write"] }]);
        let policy = json!({ "roles": roles, "resources": resources });
        fs::write(folder.path().join("policy"), policy.to_string()).unwrap();
    };
    let member = json!({ "member_id": "ann", "organization_id": "acme" });
    fs::write(folder.path().join("members"), json!({ "members": [member] }).to_string()).unwrap();
    let run = |more: &[&str]| {
        let args = ["stytch", "policy", "members", "--project", "moved"];
        let (code, says) = import(folder.path(), &server, &[&args, more].concat());
        assert_eq!(code, Some(0), "{says}");
        says
    };
    policy(&["read"]);
    run(&["--apply", "--environment", "test"]);
    policy(&["write"]);
    let says = run(&[]);
    has(
        &says,
        &["~ role mapping Default", "- grants stytch_member: docs::read", "+ grants stytch_member: docs::write"],
    );
    has(&says, &["This would affect 1 member"]);
    let plan: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert_eq!(plan["configuration"]["impact"]["members"], 1, "{plan}");
    let (code, says) =
        import(folder.path(), &server, &["stytch", "policy", "members", "--project", "moved", "--environment", "live"]);
    assert!(code == Some(2) && says.contains("`moved` is TEST, and --environment says LIVE"), "{says}");
    // A wrong file is no empty one.
    fs::write(folder.path().join("members"), r#"{"member": []}"#).unwrap();
    let (code, says) = import(folder.path(), &server, &["stytch", "policy", "members", "--project", "moved"]);
    assert!(code == Some(2) && says.contains("`members` is not what was expected"), "{says}");
}

#[test]
fn a_test_key_imports_into_a_new_project_and_a_refused_write_exits_with_1() {
    let guarded = Guarded::start();
    let token = |args: &[&str]| guarded.says(args).lines().last().unwrap().to_string();
    let test = token(&["keys", "create", "sandbox", "--test", "--expires-in", "1h"]);
    let roles = json!({ "roles": [{ "role_id": "stytch_admin" }, { "role_id": "stytch_member" }] });
    fs::write(guarded.path("policy"), roles.to_string()).unwrap();
    let args = ["import", "stytch", "policy", "--project", "moved"];
    let (planned, apply) =
        (guarded.with_key(&test, &args), [&args[..], &["--apply", "--environment", "test"]].concat());
    assert!(planned.status.code() == Some(0) && both(&planned).contains("to be created"), "{}", both(&planned));
    let applied = guarded.with_key(&test, &apply);
    assert_eq!(applied.status.code(), Some(0), "{}", both(&applied));
    worked(&guarded.with_key(&test, &args));
    // Without roles in the files nothing can be created.
    fs::write(guarded.path("a.csv"), "org_id,user_id,role\nacme,ann,stytch_member\n").unwrap();
    let live = guarded.with_key(&test, &["import", "csv", "a.csv"]);
    assert!(live.status.code() == Some(2) && both(&live).contains("API_KEY_ENVIRONMENT"), "{}", both(&live));

    guarded.says(&["operators", "add", "dev", "--role", "Developer"]);
    let developer = token(&["keys", "create", "dev", "--operator", "dev", "--test", "--expires-in", "1h"]);
    let refused = guarded.with_key(&developer, &["import", "csv", "a.csv", "--project", "moved", "--apply"]);
    assert_eq!(refused.status.code(), Some(1), "{}", both(&refused));
    has(&both(&refused), &["OPERATOR_PERMISSION_MISSING", "run the import again to continue"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_continues_when_it_is_run_again() {
    let shop = Shop::start("SINGLE_ROLE", &[]);
    let mut orgs = OrgServiceClient::new(channel(&shop.server).await);
    let mut count = async || {
        let request = ListOrgsRequest { project: "shop".into(), page_size: 1_000, ..Default::default() };
        orgs.list_orgs(request).await.unwrap().into_inner().orgs.len()
    };
    // The server may be so fast that an import ends before it is killed. Then the next one is larger.
    let mut size = 500;
    let rows = loop {
        let before = count().await;
        let rows: String =
            (0..size).map(|number| format!("{size}-{number},ann,Owner,\n{size}-{number},bob,Member,\n")).collect();
        shop.write("a.csv", &format!("org_id,user_id,role,expires\n{rows}"));
        let args = ["import", "csv", "a.csv", "--apply", "--project", "shop", "--server", &shop.server.address];
        let mut command = rolecall(shop.folder.path());
        command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
        let mut killed = command.spawn().unwrap();
        while count().await == before && killed.try_wait().unwrap().is_none() {}
        killed.kill().unwrap();
        let status = killed.wait().unwrap();
        let after = count().await;
        if status.signal() == Some(9) && after > before && after + 300 < (before + size).min(1_000) {
            break rows;
        }
        assert!(size < 8_000, "{size} orgs were imported at once: {status}");
        size *= 2;
    };
    let says = shop.rows(&rows, &["--json"]);
    let plan: Value = serde_json::from_str(&says).unwrap();
    let (new, present) = (plan["orgs"]["new"].as_u64().unwrap(), plan["orgs"]["present"].as_u64().unwrap());
    assert!(new > 0 && present > 0, "{says}");
    assert_eq!(plan["members"], json!({ "new": 2 * size, "changed": 0, "present": 0 }), "{says}");
    has(&shop.rows(&rows, &["--apply"]), &["Imported "]);
    has(&shop.rows(&rows, &["--apply"]), &["Everything is imported already"]);
    assert_eq!(shop.members(&format!("{size}-7")), ["ann: Owner", "bob: Member"]);
}
