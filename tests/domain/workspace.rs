//! No sequence of calls raises an operator above the callers, or makes a key stronger than its maker (W7).

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use rolecall::domain::commands::command::{
    AcceptInvitation, ArchiveApiKey, BatchWriteMembers, BlockUser, CreateApiKey, CreateInvitations, CreateOrg,
    CreatePermissions, CreateProject, CreateRole, DeletePermission, DeleteRole, DeleteUser, GrantEdit, MemberWrite,
    NewInvitation, NewOrgDomain, NewPermission, OnDisabled, Place, ProvisionMember, ReorderRoles, RoleAssignment,
    RoleMappingEdits, SetOrgDomains, UnblockUser, UpdatePermission, UpdateProject, UpdateRoleMapping, VerifyOrgDomain,
    Write, WriteMember,
};
use rolecall::domain::commands::decide::decide;
use rolecall::domain::commands::draft::Terms;
use rolecall::domain::model::api_key::ApiKeyId;
use rolecall::domain::model::email::{EmailAddress, EmailDomain};
use rolecall::domain::model::invitation::InvitationId;
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::model::template::PROPELAUTH;
use rolecall::domain::{
    Call, Command, OrgId, PermissionName, Project, ProjectKey, RoleMappingName, RoleName, State, Time, UserId,
};
use rolecall::grpc::authz::RULES;
use rolecall::limits::Limits;

use crate::case_counts::{CaseCounts, check_cases};
use crate::random_history::empty_state;

const ROLES: [&str; 8] =
    ["Owner", "Admin", "Settings", "Developer", "Customer Management", "Member", "ReadOnly", "Extra"];
const USERS: [&str; 8] = ["owner", "admin", "settings", "dev", "cm", "member", "reader", "friend"];
/// Callers without `team.manage`, by their position in `USERS`.
const CALLERS: [&str; 5] = ["settings", "dev", "cm", "member", "reader"];
const PERMISSIONS: [&str; 8] = [
    "team.view",
    "team.manage",
    "team.settings",
    "billing",
    "orgs.view",
    "roles.view",
    "api_keys.live.manage",
    "new.one",
];

fn key() -> ProjectKey {
    ProjectKey::stored("workspace")
}

fn team() -> OrgId {
    OrgId::stored("team")
}

/// The installation of a test, and what everybody holds.
struct World {
    state: State,
    now: Time,
    hashes: u8,
}

impl World {
    fn new() -> Self {
        let mut world = Self { state: empty_state(), now: Time(1_000_000_000), hashes: 0 };
        let create = CreateProject {
            key: key(),
            display_name: "Workspace".into(),
            environment: Environment::Live,
            role_structure: RoleStructure::SingleRole,
            reuse_deleted_key: false,
            template: &PROPELAUTH,
            owner_role: None,
        };
        world.system(Command::CreateProject(create));
        world.system(Command::CreateOrg(CreateOrg {
            project: key(),
            org_id: team(),
            display_name: String::new(),
            metadata: String::new(),
            role_mapping: None,
            creator: None,
            reuse_deleted_id: false,
        }));
        world.system(Command::CreateRole(CreateRole {
            project: key(),
            name: RoleName::stored("Settings"),
            description: String::new(),
            internal: false,
            place: Place::Below(RoleName::stored("Admin")),
            disabled_in: vec![],
            manages: vec![],
        }));
        let grants = ["team.view", "team.settings", "orgs.view", "api_keys.live.manage"];
        world.system(grant("Settings", &grants, &[]));
        for (user, role) in USERS.into_iter().zip(ROLES).take(7) {
            world.system(write(user, Write::Add(vec![permanent(role)])));
        }
        world
    }

    fn workspace(&self) -> &Project {
        self.state.project(&key()).unwrap()
    }

    fn system(&mut self, command: Command) {
        let call = Call::plain("system", "");
        self.state = decide(&self.state, &command, &Terms::new(&call, self.now, &Limits::default())).unwrap().next;
    }

    /// Makes a call as the API does: first the permission of the RPC, then the decision. Returns true if it is accepted.
    fn call(&mut self, caller: &str, command: &Command) -> bool {
        let rule = RULES.iter().find(|rule| rule.method.ends_with(&format!("/{}", command.kind()))).unwrap();
        let required =
            if rule.requires_in_workspace.is_empty() { &[rule.requires] } else { rule.requires_in_workspace };
        let user = UserId::stored(caller);
        // Effects on operators need `team.manage`.
        let gives_roles = matches!(command, Command::DeleteRole(_))
            || matches!(command, Command::UpdateRoleMapping(update) if update.on_disabled != OnDisabled::Reject);
        let effects = gives_roles.then_some(&"team.manage");
        if !required.iter().chain(effects).all(|permission| self.state.operator_may(&user, permission, self.now)) {
            return false;
        }
        let call = Call { acting_user: Some(user), ..Call::plain(caller, "") };
        match decide(&self.state, command, &Terms::new(&call, self.now, &Limits::default())) {
            Ok(decided) => {
                self.state = decided.next;
                self.now = Time(self.now.0 + 1);
                true
            }
            Err(_) => false,
        }
    }

    /// Returns what an operator may do, by the names that calls ask about.
    fn holds(&self, user: &str) -> BTreeSet<&'static str> {
        let user = UserId::stored(user);
        PERMISSIONS.into_iter().filter(|permission| self.state.operator_may(&user, permission, self.now)).collect()
    }

    fn role_of(&self, user: &str) -> Option<String> {
        let workspace = self.workspace();
        let (roles, _) = workspace.operator_access(workspace.org("team").unwrap(), &UserId::stored(user), self.now);
        roles.first().map(ToString::to_string)
    }
}

fn permanent(role: &str) -> RoleAssignment {
    RoleAssignment { role: RoleName::stored(role), expire_time: None, permanent: false }
}

fn write(user: &str, write: Write) -> Command {
    let row = MemberWrite { org_id: team(), user_id: UserId::stored(user), write };
    Command::WriteMember(WriteMember { project: key(), row, allow_ownerless: false, keep_invitations: false })
}

fn grant(role: &str, add: &[&str], enable: &[&str]) -> Command {
    let add = add.iter().map(|name| PermissionName::stored(*name)).collect();
    let grants = vec![GrantEdit { role: RoleName::stored(role), add, remove: vec![] }];
    let enable = enable.iter().map(|name| RoleName::stored(*name)).collect();
    Command::UpdateRoleMapping(UpdateRoleMapping {
        project: key(),
        name: RoleMappingName::stored("Default"),
        etag: None,
        new_name: None,
        description: None,
        aliases: None,
        edits: RoleMappingEdits { grants, enable, disable: vec![] },
        on_disabled: OnDisabled::Reject,
    })
}

#[derive(Clone, Debug)]
enum Step {
    Add(usize, usize),
    Set(usize, usize),
    Batch(usize, usize),
    Remove(usize),
    Block(usize),
    Unblock(usize),
    DeleteUser(usize),
    Grant(usize, usize),
    Disable(usize, usize),
    Rename(usize, usize),
    DropPermission(usize),
    NewPermission(usize),
    NewRole,
    DeleteRole(usize, usize),
    Reorder(Index),
    Defaults(usize, usize),
    Invite(usize),
    Accept(usize),
    Domain(usize),
    Verify,
    Provision(usize),
    Key(usize),
    Archive(Index),
}

fn steps() -> impl Strategy<Value = Step> {
    let (user, role, permission) = (0..USERS.len(), 0..ROLES.len(), 0..PERMISSIONS.len());
    prop_oneof![
        3 => (user.clone(), role.clone()).prop_map(|(user, role)| Step::Add(user, role)),
        1 => (user.clone(), role.clone()).prop_map(|(user, role)| Step::Set(user, role)),
        1 => (user.clone(), role.clone()).prop_map(|(user, role)| Step::Batch(user, role)),
        1 => user.clone().prop_map(Step::Remove),
        1 => user.clone().prop_map(Step::Block),
        1 => user.clone().prop_map(Step::Unblock),
        1 => user.clone().prop_map(Step::DeleteUser),
        3 => (role.clone(), permission.clone()).prop_map(|(role, permission)| Step::Grant(role, permission)),
        1 => (role.clone(), role.clone()).prop_map(|(role, fallback)| Step::Disable(role, fallback)),
        3 => (permission.clone(), permission.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => permission.clone().prop_map(Step::DropPermission),
        2 => permission.prop_map(Step::NewPermission),
        1 => Just(Step::NewRole),
        2 => (role.clone(), role.clone()).prop_map(|(role, replacement)| Step::DeleteRole(role, replacement)),
        1 => any::<Index>().prop_map(Step::Reorder),
        2 => (role.clone(), role.clone()).prop_map(|(member, owner)| Step::Defaults(member, owner)),
        1 => role.clone().prop_map(Step::Invite),
        1 => user.clone().prop_map(Step::Accept),
        1 => role.prop_map(Step::Domain),
        1 => Just(Step::Verify),
        1 => user.clone().prop_map(Step::Provision),
        4 => user.prop_map(Step::Key),
        1 => any::<Index>().prop_map(Step::Archive),
    ]
}

impl Step {
    fn command(&self, world: &mut World) -> Option<Command> {
        let role = |at: usize| RoleName::stored(ROLES[at]);
        let permission = |at: usize| PermissionName::stored(PERMISSIONS[at]);
        let user = |at: usize| UserId::stored(USERS[at]);
        let email = || EmailAddress::parse("friend@acme.example").unwrap();
        let id = InvitationId(7);
        Some(match *self {
            Self::Add(at, role) => write(USERS[at], Write::Add(vec![permanent(ROLES[role])])),
            Self::Set(at, role) => write(USERS[at], Write::Set(vec![permanent(ROLES[role])])),
            Self::Batch(at, role) => {
                let writes = Write::Set(vec![permanent(ROLES[role])]);
                let rows = vec![MemberWrite { org_id: team(), user_id: user(at), write: writes }];
                let (allow_ownerless, keep_invitations) = (false, false);
                Command::BatchWriteMembers(BatchWriteMembers {
                    project: key(),
                    rows,
                    allow_ownerless,
                    keep_invitations,
                })
            }
            Self::Remove(at) => write(USERS[at], Write::Remove),
            Self::Block(at) => Command::BlockUser(BlockUser { project: key(), user_id: user(at) }),
            Self::Unblock(at) => Command::UnblockUser(UnblockUser { project: key(), user_id: user(at) }),
            Self::DeleteUser(at) => {
                Command::DeleteUser(DeleteUser { project: key(), user_id: user(at), keep_invitations: false })
            }
            Self::Grant(at, permission) => grant(ROLES[at], &[PERMISSIONS[permission]], &[]),
            Self::Disable(at, fallback) => {
                let Command::UpdateRoleMapping(mut update) = grant("ReadOnly", &[], &[]) else { return None };
                update.edits = RoleMappingEdits { disable: vec![role(at)], ..Default::default() };
                update.on_disabled = OnDisabled::Suspend { fallback_role: Some(role(fallback)) };
                Command::UpdateRoleMapping(update)
            }
            Self::Rename(from, to) => Command::UpdatePermission(UpdatePermission {
                project: key(),
                name: permission(from),
                new_name: Some(permission(to)),
                description: None,
                aliases: Some(vec![]),
            }),
            Self::DropPermission(at) => {
                Command::DeletePermission(DeletePermission { project: key(), name: permission(at) })
            }
            Self::NewPermission(at) => Command::CreatePermissions(CreatePermissions {
                project: key(),
                permissions: vec![NewPermission { name: permission(at), description: String::new() }],
                batch: false,
            }),
            Self::NewRole => Command::CreateRole(CreateRole {
                project: key(),
                name: RoleName::stored("Extra"),
                description: String::new(),
                internal: false,
                place: Place::Above(RoleName::stored("Owner")),
                disabled_in: vec![],
                manages: vec![],
            }),
            Self::DeleteRole(at, replacement) => Command::DeleteRole(DeleteRole {
                project: key(),
                name: role(at),
                etag: None,
                replacement: Some(role(replacement)),
            }),
            Self::Reorder(by) => {
                let workspace = world.workspace();
                let mut roles: Vec<RoleName> = workspace.role_order.iter().map(|&it| workspace.role_name(it)).collect();
                let by = by.index(roles.len());
                roles.rotate_left(by);
                Command::ReorderRoles(ReorderRoles { project: key(), roles, etag: None })
            }
            Self::Defaults(member, owner) => Command::UpdateProject(UpdateProject {
                project: key(),
                etag: None,
                display_name: None,
                default_role: Some(role(member)),
                default_owner_role: Some(role(owner)),
                allow_ownerless: false,
            }),
            Self::Invite(at) => Command::CreateInvitations(CreateInvitations {
                project: key(),
                org_id: team(),
                rows: vec![NewInvitation {
                    id,
                    email: email(),
                    roles: vec![permanent(ROLES[at])],
                    expire_time: None,
                    replace: true,
                }],
                batch: false,
            }),
            Self::Accept(at) => Command::AcceptInvitation(AcceptInvitation {
                project: key(),
                org_id: team(),
                id,
                user_id: user(at),
                email: email(),
                email_verified: true,
            }),
            Self::Domain(at) => Command::SetOrgDomains(SetOrgDomains {
                project: key(),
                org_id: team(),
                domains: vec![NewOrgDomain {
                    domain: EmailDomain::parse("acme.example").unwrap(),
                    roles: vec![role(at)],
                    apply_to_existing: true,
                }],
            }),
            Self::Verify => Command::VerifyOrgDomain(VerifyOrgDomain {
                project: key(),
                org_id: team(),
                domain: EmailDomain::parse("acme.example").unwrap(),
            }),
            Self::Provision(at) => Command::ProvisionMember(ProvisionMember {
                project: key(),
                org_id: team(),
                user_id: user(at),
                email: email(),
                email_verified: true,
                allow_provisioning: true,
            }),
            Self::Key(at) => {
                world.hashes += 1;
                Command::CreateApiKey(CreateApiKey {
                    project: key(),
                    hash: [world.hashes; 32],
                    display_name: "key".into(),
                    operator: Some(user(at)),
                    environment: Environment::Live,
                    checks_only: false,
                    acting_user_required: false,
                    no_activity: false,
                    scope_project: None,
                    scope_org: None,
                    expire_time: None,
                    expire_time_max: None,
                })
            }
            Self::Archive(by) => {
                let mut ids: Vec<ApiKeyId> = Vec::new();
                world.workspace().api_keys.for_each(|id, _| ids.push(id));
                let id = *ids.get(by.index(ids.len().max(1)))?;
                Command::ArchiveApiKey(ArchiveApiKey { project: key(), id })
            }
        })
    }
}

/// Runs calls, and checks after each that nobody holds more than before, unless the caller held it.
fn run(callers: &[&'static str], calls: Vec<(Index, Step)>, counts: &CaseCounts) -> Result<(), TestCaseError> {
    let mut world = World::new();
    for (caller, step) in calls {
        let caller = callers[caller.index(callers.len())];
        let before: BTreeMap<_, _> = USERS.into_iter().map(|user| (user, world.holds(user))).collect();
        let roles: BTreeMap<_, _> = USERS.into_iter().map(|user| (user, world.role_of(user))).collect();
        let manages = before[caller].contains("team.manage");
        let is_owner = world.role_of(caller).as_deref() == Some("Owner");
        let Some(command) = step.command(&mut world) else { continue };
        let accepted = world.call(caller, &command);
        counts.count(format!("{} {}", command.kind(), if accepted { "accepted" } else { "refused" }));
        if !accepted {
            continue;
        }
        for user in USERS {
            let raised: Vec<_> = world.holds(user).difference(&before[user]).copied().collect();
            let covered = is_owner || raised.iter().all(|permission| before[caller].contains(permission));
            prop_assert!(covered, "{caller} raised {user} by {raised:?} with {step:?}");
            if !manages && world.role_of(user).is_some() {
                prop_assert_eq!(&world.role_of(user), &roles[user], "{} gave {} a role with {:?}", caller, user, &step);
            }
        }
        if let Command::CreateApiKey(created) = &command {
            let operator = created.operator.as_ref().unwrap().as_str();
            let more: Vec<_> = before[operator].difference(&before[caller]).collect();
            prop_assert!(more.is_empty(), "{caller} made a key of {operator}, who also holds {more:?}");
        }
    }
    Ok(())
}

fn calls() -> impl Strategy<Value = Vec<(Index, Step)>> {
    proptest::collection::vec((any::<Index>(), steps()), 1..40)
}

#[test]
fn w7_no_sequence_of_calls_without_team_manage_raises_anybody() {
    let wanted = [
        ("CreateApiKey accepted", 50),
        ("UpdateRoleMapping accepted", 50),
        ("UpdatePermission accepted", 20),
        ("DeletePermission accepted", 50),
    ];
    check_cases(&calls(), &wanted, |calls, counts| run(&CALLERS, calls, counts));
}

#[test]
fn w7_no_sequence_of_calls_raises_anybody_above_the_callers() {
    // The Owner takes no part: an Owner may give everything.
    let callers = [&["admin"; 5][..], &CALLERS].concat();
    let wanted = [("AddMember accepted", 20), ("SetMemberRoles accepted", 20), ("AcceptInvitation accepted", 5)];
    check_cases(&calls(), &wanted, |calls, counts| run(&callers, calls, counts));
}
