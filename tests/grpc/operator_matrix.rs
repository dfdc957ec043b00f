//! Every operator role calls every RPC, in the workspace and outside of it.

use std::collections::BTreeMap;

use prost::Message;
use prost::bytes::Bytes;
use rolecall::domain::model::template::{PROPELAUTH, STYTCH, Template};
use rolecall::grpc::authz::{RULES, Rule};
use rolecall::wire;
use tonic::Status;

use crate::contract::{Contract, requests, shop};
use crate::operators::{Caller, on_both_with};
use crate::refusals::Details;

#[test]
fn w2_w5_w8_propelauth_roles_call_what_their_table_says() {
    roles_call_what_their_table_says(&PROPELAUTH);
}

#[test]
fn w2_w5_w8_stytch_roles_call_what_their_table_says() {
    roles_call_what_their_table_says(&STYTCH);
}

/// The published table is the expectation: `dashboard_roles.tsv` says what each role holds.
fn roles_call_what_their_table_says(template: &'static Template) {
    let table = Table::of(template.name);
    on_both_with(template, async |server| {
        shop(server).await;
        let requests = requests(server).await;
        let contract = Contract::read();
        let rules: BTreeMap<&str, &Rule> = RULES.iter().map(|rule| (rule.method, *rule)).collect();
        let mut answered = BTreeMap::new();
        for role in &table.roles {
            let caller = Caller::operator(server, &format!("a-{}", role.replace(' ', "-")), role).await;
            for (method, request) in &requests {
                let rule = rules[method];
                let fields = contract.fields(&contract.method(method).request).unwrap();
                let field = |name: &str| fields.iter().find(|field| field.name() == name).map(|field| field.number());
                // A preview needs the same permissions (R9.a), and changes nothing.
                let mut preview = request.clone();
                if let Some(number) = field("validate_only") {
                    prost::encoding::bool::encode(number as u32, &true, &mut preview);
                }
                let outside = caller.send(method, &preview).await;
                if method.ends_with("/StreamCheck") {
                    assert_eq!(check_is_let_in(outside.unwrap()), table.grants(role, rule.requires), "{role}");
                    continue;
                }
                *answered.entry((role.clone(), "outside")).or_insert(0) +=
                    usize::from(judge(&table, role, rule, &[rule.requires], outside.map(|_| ())));
                if let Some(number) = field("project") {
                    // The last value of a field counts.
                    prost::encoding::string::encode(number as u32, &"workspace".to_string(), &mut preview);
                    let inside = caller.send(method, &preview).await;
                    *answered.entry((role.clone(), "inside")).or_insert(0) +=
                        usize::from(judge(&table, role, rule, rule.requires_in_workspace, inside.map(|_| ())));
                }
            }
        }
        // Both answers occur for roles in the middle.
        println!("{answered:?}");
        assert!(answered.values().any(|&count| count > requests.len() / 2));
    });
}

/// Returns true if the only check of a stream was let in. It has an error of its own, and the stream has none.
fn check_is_let_in(answer: Bytes) -> bool {
    let answer = wire::StreamCheckResponse::decode(answer).unwrap().answers.remove(0);
    let reason = answer.error.map(|error| error.reason);
    assert!(reason.as_ref().is_none_or(|reason| reason == "OPERATOR_PERMISSION_MISSING"), "{reason:?}");
    reason.is_none()
}

/// Asserts that a call was denied exactly if the role lacks a permission. Returns true if it was let in.
fn judge(table: &Table, role: &str, rule: &Rule, needs: &[&str], answer: Result<(), Status>) -> bool {
    let method = rule.method;
    let lacks = |permission: &str| !table.grants(role, permission);
    let denied = answer.err().filter(|status| status.reason() == "OPERATOR_PERMISSION_MISSING");
    let Some(denied) = denied else {
        if !rule.any_caller {
            let keys = rule.requires_in_test;
            let enough = needs.iter().all(|permission| !lacks(permission)) || !keys.is_empty() && !lacks(keys);
            assert!(enough, "{role} may call {method}");
        }
        return true;
    };
    let permission = denied.detail("permission");
    assert!(!rule.any_caller && lacks(&permission), "{role} may not call {method}: {permission}");
    // Effects of the request need more.
    let effect = rule.effects.iter().any(|effect| effect.requires == permission || permission == "team.manage");
    assert!(needs.contains(&&*permission) || effect, "{method} needs {permission}");
    false
}

/// A published table of roles.
struct Table {
    roles: Vec<String>,
    granted: BTreeMap<String, Vec<String>>,
}

impl Table {
    fn of(preset: &str) -> Self {
        let text = include_str!("../../src/domain/model/dashboard_roles.tsv");
        let lines: Vec<Vec<&str>> =
            text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect()).collect();
        let mine = lines.iter().position(|line| line[0] == preset).unwrap();
        let roles: Vec<String> = lines[mine - 1][3..].iter().map(ToString::to_string).collect();
        let mut granted = BTreeMap::<String, Vec<String>>::new();
        for line in lines.iter().filter(|line| line[0] == preset) {
            for (role, cell) in roles.iter().zip(&line[3..]) {
                if cell.starts_with('y') {
                    granted.entry(role.clone()).or_default().extend(line[2].split(' ').map(String::from));
                }
            }
        }
        Self { roles, granted }
    }

    fn grants(&self, role: &str, permission: &str) -> bool {
        self.granted.get(role).is_some_and(|granted| granted.iter().any(|it| it == permission))
    }
}

/// The permission of every RPC, as the contract was agreed on. It is written by hand: changing one is a decision.
const REQUIRED: &str = "
projects.list: GetProject ListProjects ListTemplates
projects.create: CreateProject
config.roles_permissions: UpdateProject ConvertRoleStructure CreatePermission BatchCreatePermissions UpdatePermission \
    DeletePermission CreateRole BatchCreateRoles UpdateRole ReorderRoles DeleteRole CreateRoleMapping UpdateRoleMapping \
    PromoteRoleMapping DeleteRoleMapping ApplyConfiguration
projects.delete: DeleteProject
roles.view: GetPermission ListPermissions GetRole ListRoles GetRoleMapping ListRoleMappings ListRoleMappingRoles DiffRoleMappings \
    GetConfiguration
orgs.view: GetOrg ListOrgs GetSubscription ListSubscriptions GetMember ListMembers ListUserMemberships ListManageableRoles \
    GetInvitation ListInvitations GetInsights
orgs.write: CreateOrg UpdateOrg
orgs.delete: DeleteOrg
orgs.members: SetOrgDomains VerifyOrgDomain ListJoinableOrgs AddMember SetMemberRoles RemoveMember BatchWriteMembers \
    ProvisionMember CreateInvitation BatchCreateInvitations RevokeInvitation AcceptInvitation
orgs.role_mapping: SubscribeOrg BatchSubscribeOrgs
users.view: GetUser
users.block: BlockUser UnblockUser
users.delete: DeleteUser
checks.run: Check BatchCheck StreamCheck
checks.inspect: Explain GetAccess ListMembersWithPermission ListOrgsWithPermission
api_keys.live.manage: CreateApiKey ListApiKeys ArchiveApiKey
audit.view: ListEvents ExplainChange Watch
replication.read: ReadSnapshot Follow ReadRevision ReportActivity
: GetServerInfo WhoAmI";

#[test]
fn w2_every_rpc_needs_the_permission_that_was_agreed_on() {
    let mut expected = BTreeMap::new();
    for line in REQUIRED.lines().filter(|line| !line.is_empty()) {
        let (permission, names) = line.split_once(':').unwrap();
        expected.extend(names.split_whitespace().map(|name| (name, permission)));
    }
    let name = |rule: &Rule| rule.method.rsplit('/').next().unwrap();
    let declared: BTreeMap<&str, &str> = RULES.iter().map(|rule| (name(rule), rule.requires)).collect();
    assert_eq!(declared, expected);
    let in_test = RULES.iter().map(|rule| (name(rule), rule.requires_in_test, rule.suffices_in_test));
    let mut in_test: Vec<_> =
        in_test.filter(|(_, instead, enough)| !instead.is_empty() || !enough.is_empty()).collect();
    in_test.sort_unstable();
    assert_eq!(
        in_test,
        [
            ("ArchiveApiKey", "api_keys.test.manage", ""),
            ("CreateApiKey", "api_keys.test.manage", ""),
            ("CreateProject", "", "environments.test.create"),
            ("DeleteProject", "", "environments.test.delete"),
            ("ListApiKeys", "api_keys.test.manage", ""),
        ]
    );
    // In the workspace: reads need team.view, writes of members team.manage, of roles and settings team.settings (W8).
    for rule in RULES
        .iter()
        .filter(|rule| rule.names_project && !["ListEvents", "ExplainChange", "Watch"].contains(&name(rule)))
    {
        let expected: &[&str] = match rule.requires {
            "orgs.members" if name(rule).ends_with("Domains") || name(rule) == "VerifyOrgDomain" => {
                &["team.manage", "team.settings"]
            }
            "orgs.members" | "users.block" | "users.delete" => &["team.manage"],
            "config.roles_permissions" | "projects.delete" | "orgs.write" | "orgs.delete" | "orgs.role_mapping" => {
                &["team.settings"]
            }
            _ => &["team.view"],
        };
        assert_eq!(rule.requires_in_workspace, expected, "{}", rule.method);
    }
}
