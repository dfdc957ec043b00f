//! PropelAuth: answers equal those of `UserClass` and `OrgMemberInfo` of @propelauth/node.

use std::collections::{BTreeSet, HashSet};
use std::fs;

use rolecall::wire::PermissionList;
use rolecall::wire::check_request::Question;
use serde_json::{Map, Value, json};

use super::{Asked, Dice, compare, import, members, sdk};
use crate::run::Server;

/// Highest first.
const ROLES: [&str; 5] = ["Owner", "Admin", "Support", "Member", "Viewer"];
const MAPPINGS: [&str; 3] = ["Free", "Pro", "Enterprise"];
const ABILITIES: [&str; 9] = [
    "can_view_other_members",
    "can_invite",
    "can_change_roles",
    "can_manage_api_keys",
    "can_remove_users",
    "can_setup_saml",
    "can_delete_org",
    "can_edit_org_access",
    "can_update_org_metadata",
];
const PERMISSIONS: usize = 20;
/// Is disabled in the second mapping.
const DISABLED: &str = "Viewer";

/// A generated project: its Terraform resources, and what each role grants in each mapping.
struct Project {
    terraform: Value,
    granted: Vec<Vec<BTreeSet<String>>>,
}

fn permission(number: usize) -> String {
    format!("thing{number}::write")
}

fn generate(dice: &mut Dice, multiple: bool) -> Project {
    let (mut base, mut overrides) = (Map::new(), Vec::new());
    let mut granted: Vec<Vec<BTreeSet<String>>> = vec![Vec::new(); MAPPINGS.len()];
    let mut overridden: Vec<Map<String, Value>> = vec![Map::new(); MAPPINGS.len() - 1];
    for role in ROLES {
        let some =
            |dice: &mut Dice| -> Vec<String> { (0..PERMISSIONS).filter(|_| dice.once_in(3)).map(permission).collect() };
        let own = some(dice);
        let mut definition = json!({ "permissions": own, "is_internal": role == "Support" });
        if multiple {
            definition["roles_can_manage"] = json!([ROLES[3], ROLES[4]]);
        }
        let mut names: Vec<bool> = Vec::new();
        for (at, ability) in ABILITIES.iter().enumerate() {
            // One in three is left to its default.
            let set = (!dice.once_in(3)).then(|| dice.once_in(2));
            if let Some(set) = set {
                definition[ability] = set.into();
            }
            names.push(set.unwrap_or(at == 0));
        }
        base.insert(role.into(), definition);
        let grants = |permissions: &[String], abilities: &[bool]| {
            // For the role of owners these two are always true, says the provider.
            let always = |name: &str| role == "Owner" && ["can_setup_saml", "can_delete_org"].contains(&name);
            let has = ABILITIES.iter().zip(abilities).filter(|(name, has)| **has || always(name));
            let built_in = has.map(|(name, _)| format!("propelauth::{name}"));
            permissions.iter().cloned().chain(built_in).collect::<BTreeSet<String>>()
        };
        granted[0].push(grants(&own, &names));
        for (mapping, overridden) in overridden.iter_mut().enumerate() {
            let (mut own, mut names, mut definition) = (own.clone(), names.clone(), Map::new());
            // An override names a role or not, and changes some of it.
            let disabled = mapping == 0 && role == DISABLED;
            if disabled || !dice.once_in(4) {
                definition.insert("disabled".into(), disabled.into());
                if dice.once_in(4) {
                    definition.insert("permissions".into(), json!(["propelauth::null_permission"]));
                } else {
                    own = some(dice);
                    definition.insert("permissions".into(), json!(own));
                }
                for (ability, name) in ABILITIES.iter().zip(&mut names).filter(|_| dice.once_in(4)) {
                    *name = !*name;
                    definition.insert((*ability).into(), (*name).into());
                }
                overridden.insert(role.into(), definition.into());
            }
            granted[mapping + 1].push(grants(&own, &names));
        }
    }
    for (name, roles) in MAPPINGS[1..].iter().zip(overridden) {
        let values = json!({ "name": name, "mapping_id": "m", "roles": roles });
        overrides.push(json!({ "type": "propelauth_role_permissions_override", "values": values }));
    }
    let permissions: Vec<Value> = (0..PERMISSIONS)
        .map(|number| json!({ "name": permission(number), "display_name": format!("Thing {number}") }))
        .collect();
    let values = json!({
        "permissions": permissions,
        "roles": base,
        "role_hierarchy": if multiple { Value::Null } else { json!(ROLES) },
        "default_role": "Member",
        "default_owner_role": "Owner",
        "default_mapping_name": "Free",
        "multiple_roles_per_user": multiple,
    });
    let other = json!({ "type": "aws_instance", "values": { "roles": 7 } });
    let first = json!({ "type": "propelauth_roles_and_permissions", "values": values });
    let module = json!({ "resources": overrides });
    let terraform = json!({ "values": { "root_module": { "resources": [other, first], "child_modules": [module] } } });
    Project { terraform, granted }
}

/// What the SDK knows about a user in an org, as its API writes it.
struct OrgMemberInfo {
    multi_role: bool,
    user_role: String,
    additional_roles: Vec<String>,
    inherited_user_roles_plus_current_role: Vec<String>,
    user_permissions: Vec<String>,
}

/// The functions of the SDK. `sdk.cjs` calls the originals.
impl OrgMemberInfo {
    fn is_role(&self, role: &str) -> bool {
        self.user_role == role || self.multi_role && self.additional_roles.iter().any(|it| it == role)
    }

    fn is_at_least_role(&self, role: &str) -> bool {
        match self.multi_role {
            true => self.is_role(role),
            false => self.inherited_user_roles_plus_current_role.iter().any(|it| it == role),
        }
    }

    fn has_permission(&self, permission: &str) -> bool {
        self.user_permissions.iter().any(|it| it == permission)
    }

    fn has_all_permissions(&self, permissions: &[String]) -> bool {
        permissions.iter().all(|permission| self.has_permission(permission))
    }

    fn json(&self, org_id: &str) -> Value {
        json!({
            "org_id": org_id,
            "org_name": format!("The org {org_id}"),
            "user_role": self.user_role,
            "inherited_user_roles_plus_current_role": self.inherited_user_roles_plus_current_role,
            "org_role_structure": if self.multi_role { "multi_role" } else { "single_role_in_hierarchy" },
            "additional_roles": self.additional_roles,
            "user_permissions": self.user_permissions,
        })
    }
}

struct Dump {
    project: Project,
    /// Pages of orgs, and of users, one JSON value after the other.
    orgs: String,
    users: String,
    members: Vec<(String, String, OrgMemberInfo)>,
    /// The orgs and users of other members: their role is disabled in the mapping of their org.
    with_disabled: HashSet<(String, String)>,
}

fn dump(dice: &mut Dice, multiple: bool) -> Dump {
    let project = generate(dice, multiple);
    let members_wanted = members();
    let org_count = (members_wanted / 20).max(10);
    let (mut orgs, mut mapping_of) = (Vec::new(), Vec::new());
    for number in 0..org_count {
        let mapping = dice.below(MAPPINGS.len());
        mapping_of.push(mapping);
        let mut org =
            json!({ "org_id": format!("org-{number}"), "name": format!("Org {number}"), "metadata": { "n": number } });
        if mapping > 0 || dice.once_in(2) {
            org["custom_role_mapping_name"] = MAPPINGS[mapping].into();
        }
        orgs.push(org);
    }
    let (mut users, mut members) = (Vec::new(), Vec::new());
    let (mut number, mut with_disabled) = (0, HashSet::new());
    while members.len() < members_wanted {
        number += 1;
        let user_id = format!("user-{number}");
        let mut infos = Map::new();
        for _ in 0..dice.below(4) {
            let org = dice.below(org_count);
            let org_id = format!("org-{org}");
            if infos.contains_key(&org_id) {
                continue;
            }
            let first = dice.below(ROLES.len());
            let others: BTreeSet<usize> =
                (0..if multiple { dice.below(3) } else { 0 }).map(|_| dice.below(ROLES.len())).collect();
            let others: Vec<usize> = others.into_iter().filter(|&other| other != first).collect();
            let granted = &project.granted[mapping_of[org]];
            let permissions: BTreeSet<&String> =
                others.iter().chain([&first]).flat_map(|&role| &granted[role]).collect();
            let inherited = if multiple { &ROLES[first..=first] } else { &ROLES[first..] };
            let info = OrgMemberInfo {
                multi_role: multiple,
                user_role: ROLES[first].into(),
                additional_roles: others.iter().map(|&role| ROLES[role].into()).collect(),
                inherited_user_roles_plus_current_role: inherited.iter().map(|&role| role.into()).collect(),
                user_permissions: permissions.into_iter().cloned().collect(),
            };
            infos.insert(org_id.clone(), info.json(&org_id));
            match mapping_of[org] == 1 && info.is_role(DISABLED) {
                true => _ = with_disabled.insert((org_id, user_id.clone())),
                false => members.push((org_id, user_id.clone(), info)),
            }
        }
        users.push(json!({ "user_id": user_id, "email": "a@a.example", "enabled": number % 50 != 0, "locked": false, "org_id_to_org_info": infos }));
    }
    let pages = |key: &str, all: &[Value]| -> String {
        let page = |page: &[Value]| json!({ key: page, "has_more_results": true }).to_string() + "\n";
        all.chunks(100).map(page).collect()
    };
    Dump { orgs: pages("orgs", &orgs), users: pages("users", &users), project, members, with_disabled }
}

fn questions(dice: &mut Dice, Dump { members, with_disabled, .. }: &Dump) -> Vec<Asked> {
    let any = |dice: &mut Dice| match dice.once_in(4) {
        true => format!("propelauth::{}", dice.of(&ABILITIES)),
        false => permission(dice.below(PERMISSIONS)),
    };
    let mut joined = with_disabled.clone();
    joined.extend(members.iter().map(|(org, user, _)| (org.clone(), user.clone())));
    let ask = |_| {
        let (org_id, user_id, info) = dice.of(members);
        let role = dice.of(&ROLES).to_string();
        let (question, expected) = match dice.below(4) {
            0 => (Question::Role(role.clone()), info.is_role(&role)),
            1 => (Question::AtLeastRole(role.clone()), info.is_at_least_role(&role)),
            2 => {
                let permission = any(dice);
                (Question::Permission(permission.clone()), info.has_permission(&permission))
            }
            _ => {
                let permissions: Vec<String> = (0..dice.below(2) + 1).map(|_| any(dice)).collect();
                let expected = info.has_all_permissions(&permissions);
                (Question::AllOf(PermissionList { permissions }), expected)
            }
        };
        // A member with a disabled role is not imported. Of that org nothing is asked.
        // `UserClass.isRole` and the others are false in an org that the user does not belong to.
        let elsewhere = dice.once_in(20).then(|| dice.of(members).0.clone());
        match elsewhere.filter(|org| !joined.contains(&(org.clone(), user_id.clone()))) {
            Some(org_id) => Asked { org_id, user_id: user_id.clone(), question, expected: false },
            None => Asked { org_id: org_id.clone(), user_id: user_id.clone(), question, expected },
        }
    };
    (0..super::members()).map(ask).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_import_of_propelauth_answers_equal_those_of_its_sdk() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[""; 0]);
    for (project, multiple) in [("single", false), ("multi", true)] {
        let mut dice = Dice(11);
        let dump = dump(&mut dice, multiple);
        for (name, text) in [("orgs", &dump.orgs), ("users", &dump.users), ("tf", &dump.project.terraform.to_string())]
        {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let args = ["propelauth", "orgs", "users", "tf", "--project", project];
        let run = |more: &[&str]| import(folder.path(), &server, &[&args[..], more].concat());
        let count = dump.members.len();

        // A plan changes nothing.
        let (code, says) = run(&["--json"]);
        assert_eq!(code, Some(0), "{says}");
        let plan: Value = serde_json::from_str(&says).unwrap();
        assert_eq!((&plan["applied"], &plan["create_project"]), (&false.into(), &true.into()));
        assert_eq!((&plan["members"]["new"], &plan["members"]["changed"]), (&count.into(), &0.into()));
        let kinds: Vec<&str> =
            plan["misfits"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
        let expected = [
            "disabled or locked users: imported as members; block them with BlockUser",
            "members with roles that are disabled in the role mapping of the org: not imported",
            "users without an org: not imported",
        ];
        assert_eq!(kinds, expected);
        assert_eq!(plan["misfits"][1]["count"], dump.with_disabled.len(), "{says}");
        let (code, says) = run(&["--apply"]);
        assert!(code == Some(2) && says.contains("--environment"), "{says}");

        let (code, says) = run(&["--apply", "--environment", "test", "--report", &format!("report-{project}")]);
        assert_eq!(code, Some(0), "{says}");
        assert!(says.contains("Imported "), "{says}");
        let report = fs::read_to_string(folder.path().join(format!("report-{project}"))).unwrap();
        assert!(
            report.lines().count() > 10 && report.contains("users without an org: not imported\tuser-"),
            "{report}"
        );
        let asked = questions(&mut dice, &dump);
        sdk::compare(folder.path(), &["propelauth", "users"], &asked);
        compare(&server, project, asked).await;

        // Run again: everything is there.
        let (code, says) = run(&["--apply"]);
        assert_eq!(code, Some(0), "{says}");
        assert!(says.contains("Everything but the misfits is imported already"), "{says}");
    }
}

#[test]
fn what_a_dump_of_propelauth_contradicts_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[""; 0]);
    let role = json!({ "permissions": ["read"] });
    let resource = json!({
        "permissions": [{ "name": "read" }],
        "roles": { "Owner": role, "Member": role, "Old": { "disabled": true } },
        "role_hierarchy": ["Owner", "Member", "Old"],
        "default_role": "Member",
        "default_owner_role": "Owner",
    });
    let tf = json!({ "resource": { "propelauth_roles_and_permissions": { "x": resource } } });
    let info = |role: &str, permissions: &[&str]| json!({ "userAssignedRole": role, "userPermissions": permissions });
    let user = |id: &str, org: &str, info: Value| json!({ "userId": id, "orgIdToOrgInfo": { org: info } });
    let seen = "propelauth::can_view_other_members";
    let users = json!({ "users": [
        user("ann", "acme", info("Member", &["read", seen])),
        user("bob", "acme", info("Member", &["write", seen])),
        user("cid", "acme", info("Nobody", &[])),
        user("dan", "acme", info("Old", &[])),
        user("eve", "a b", info("Member", &[])),
    ] });
    let orgs = json!({ "orgs": [{ "orgId": "acme", "name": "Acme", "customRoleMappingName": "Gone" }] });
    for (name, value) in [("tf.json", tf), ("users", users), ("orgs", orgs)] {
        fs::write(folder.path().join(name), value.to_string()).unwrap();
    }
    let (code, says) = import(folder.path(), &server, &["propelauth", "tf.json", "users", "orgs", "--project", "shop"]);
    assert_eq!(code, Some(0), "{says}");
    for line in [
        "ids of orgs that are not allowed: not imported (1): \"a b\"",
        "members with roles that are disabled in the role mapping of the org: not imported (1): Old of dan in acme",
        "members with roles that do not exist: not imported (1): Nobody of cid in acme",
        "role mappings of orgs that do not exist: the default one is used (1): Gone of acme",
    ] {
        assert!(says.contains(line), "{line}\n{says}");
    }
    assert!(says.contains("Member on Default: gains [read], loses [write]"), "{says}");
    let (code, says) = import(folder.path(), &server, &["propelauth", "users", "no-such-file", "--project", "shop"]);
    assert!(code == Some(2) && says.contains("`no-such-file` cannot be read"), "{says}");
    let bad = fs::read_to_string(folder.path().join("tf.json")).unwrap().replace("\"Old\"", "\"Old \"");
    fs::write(folder.path().join("bad.json"), bad).unwrap();
    let (code, says) = import(folder.path(), &server, &["propelauth", "bad.json", "--project", "shop"]);
    assert!(code == Some(0) && says.contains("\"Old \" must not begin or end with white space"), "{says}");
    // A page without anything that is known, and the resources of one project in two files.
    fs::write(folder.path().join("wrong"), r#"{"Orgs": []}"#).unwrap();
    let (code, says) = import(folder.path(), &server, &["propelauth", "tf.json", "wrong", "--project", "shop"]);
    assert!(code == Some(2) && says.contains("`wrong` is not what was expected: it has none"), "{says}");
    let twice = json!({ "name": "Pro", "roles": {} });
    let of_state = json!({ "type": "propelauth_role_permissions_override", "values": twice });
    let state = json!({ "values": { "root_module": { "resources": [of_state] } } });
    for name in ["one", "two"] {
        fs::write(folder.path().join(name), state.to_string()).unwrap();
    }
    let args = ["propelauth", "tf.json", "one", "--project", "shop"];
    let (code, says) = import(folder.path(), &server, &args);
    assert!(code == Some(0) && says.contains("create role mapping Pro"), "{says}");
    let (code, says) = import(folder.path(), &server, &[&args[..], &["two"]].concat());
    assert!(code == Some(2) && says.contains("several overrides with the name `Pro`"), "{says}");
    let (code, says) = import(folder.path(), &server, &[&args[..], &["tf.json"]].concat());
    assert!(code == Some(2) && says.contains("several resources"), "{says}");
    fs::write(folder.path().join("broken"), r#"{"users": [{"user": 1}]}"#).unwrap();
    let (code, says) = import(folder.path(), &server, &["propelauth", "broken", "--project", "shop"]);
    assert!(code == Some(2) && says.contains("user_id") && says.contains("docs/import.md"), "{says}");
}
