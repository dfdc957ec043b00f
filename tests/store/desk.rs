//! Writes to a store as the writer does: decides a group, persists it, commits it.

use std::sync::Arc;

use rolecall::domain::Refusal;
use rolecall::domain::collections::hash::HashKey;
use rolecall::domain::commands::command::{
    BatchWriteMembers, BlockUser, ConvertRoleStructure, CreateOrg, CreatePermissions, CreateProject, CreateRole,
    CreateRoleMapping, DeleteOrg, DeletePermission, DeleteProject, DeleteRole, DeleteRoleMapping, DeleteUser,
    GrantEdit, MemberWrite, NewOrgDomain, NewPermission, OnDisabled, Place, PromoteRoleMapping, ProvisionMember, Purge,
    ReorderRoles, RoleAssignment, RoleMappingEdits, SetOrgDomains, SubscribeOrg, SubscribeTo, UnblockUser,
    UpdatePermission, UpdateProject, UpdateRole, UpdateRoleMapping, Write, WriteMember,
};
use rolecall::domain::commands::group::{Commit, Known, Verdict, Work, decide_group};
use rolecall::domain::model::email::{EmailAddress, EmailDomain};
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::model::template::B2B;
use rolecall::domain::rules::member_list::MemberFilter;
use rolecall::domain::{
    Call, Command, OrgId, PermissionName, ProjectKey, RequestKey, Revision, RoleMappingName, RoleName, State, Time,
    UserId,
};
use rolecall::limits::Limits;
use rolecall::store::{Committed, ListMembers, MemberRow, Store};

use crate::lists::whole;
use crate::support::TestDatabase;

/// The time at which the tests begin.
pub const START: Time = Time(1_700_000_000_000_000);

pub struct Desk {
    pub store: Store,
    pub state: State,
    pub now: Time,
    pub acting_user: Option<UserId>,
    /// The id of the API key of the calls.
    pub key: Option<Arc<str>>,
    /// Dropped with the desk.
    pub database: TestDatabase,
}

pub fn hash_key() -> HashKey {
    HashKey::new(*b"a key for tests!")
}

impl Desk {
    pub async fn new(database: TestDatabase) -> Self {
        let store = open(&database).await;
        let state = store.load(hash_key()).await.unwrap();
        Self { store, state, now: START, acting_user: None, key: None, database }
    }

    /// Writes these commands as one group. All must be accepted.
    pub async fn write(&mut self, commands: Vec<Command>) -> Vec<Commit> {
        let commits = self.decide(commands, None);
        self.persist(&commits).await;
        commits
    }

    /// Writes these commands as one group. Some may be refused.
    pub async fn try_write(&mut self, commands: Vec<Command>) -> Vec<Commit> {
        let (commits, _) = self.decide_all(commands, None);
        self.persist(&commits).await;
        commits
    }

    /// Purges all deleted data as the purger does, at most `limit` memberships at a time.
    pub async fn purge(&mut self, limit: u32) -> Vec<Commit> {
        let mut all = Vec::new();
        for _ in 0..10_000 {
            let Some(project) = self.state.all_projects().find(|project| project.has_data_to_purge()).cloned() else {
                return all;
            };
            let members = if project.is_being_purged() {
                self.store.purgeable_of_project(project.id, limit).await.unwrap()
            } else {
                let orgs: Vec<_> = project.orgs_being_purged().iter().copied().collect();
                let sets: Vec<_> = project.role_sets_being_purged().iter().copied().collect();
                self.store.purgeable(project.id, &orgs, &sets, None, limit).await.unwrap()
            };
            let last = members.len() < limit as usize;
            all.extend(self.write(vec![Command::Purge(Purge { project: project.id, members, last })]).await);
        }
        panic!("purging does not come to an end");
    }

    /// Decides without storing. The state moves on.
    pub fn decide(&mut self, commands: Vec<Command>, request: Option<RequestKey>) -> Vec<Commit> {
        let (commits, refused) = self.decide_all(commands, request);
        assert_eq!(refused, [""; 0]);
        commits
    }

    /// Also returns why commands were refused.
    fn decide_all(&mut self, commands: Vec<Command>, request: Option<RequestKey>) -> (Vec<Commit>, Vec<String>) {
        self.now = self.now.plus_seconds(1);
        let base = self.state.revision().number as u32;
        let work = |(at, command): (usize, Command)| Work {
            command,
            call: Call {
                actor: Arc::from("ann"),
                key: self.key.clone(),
                request: request.clone(),
                fingerprint: 7 << 100,
                reason: Arc::from("because"),
                acting_user: self.acting_user.clone(),
                impact_digest: None,
            },
            tag: 1_000 + base + at as u32,
        };
        let work: Vec<Work> = commands.into_iter().enumerate().map(work).collect();
        let group = decide_group(self.state.clone(), &work, &Known::new(), self.now, &Limits::default());
        let refused = group.verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Refused(Refusal::Bug) => panic!("a panic in deciding"),
            Verdict::Refused(refusal) => Some(refusal.to_string()),
            _ => None,
        });
        let refused = refused.collect();
        self.state = group.next;
        (group.commits, refused)
    }

    pub async fn persist(&self, commits: &[Commit]) {
        let tx = self.store.begin_write().await.unwrap();
        let ready = tx.persist(commits, self.now).await.unwrap();
        assert!(matches!(ready.commit().await, Committed::Yes));
    }

    /// Returns a member from the State with the revision from the store.
    pub async fn member(&self, project: &str, org_id: &str, user_id: &str) -> Option<MemberRow> {
        let project = self.state.project(&key(project))?;
        let org = project.org(org_id)?;
        let member = project.selected_member(org, &user(user_id), MemberFilter::ALL, self.now)?;
        let revision = self.store.membership_revision(self.revision(), project, org, &member.user_id).await;
        Some(MemberRow { member, revision: Some(revision.unwrap()) })
    }

    /// Returns all pages of the members of an org, at the revision of a State.
    pub async fn listed(&self, at: &State, of: (&str, &str), filter: MemberFilter, limit: u32) -> Vec<MemberRow> {
        let project = at.project(&key(of.0)).unwrap();
        let org = project.org(of.1).unwrap();
        let (at, now) = (at.revision(), self.now);
        let ask = |after| ListMembers { at, project: project.clone(), org: org.clone(), filter, after, limit, now };
        let page = async |after| self.store.list_members(&ask(after)).await;
        whole(limit, |row: &MemberRow| row.member.user_id.clone(), page).await
    }

    pub fn revision(&self) -> Revision {
        self.state.revision()
    }
}

pub async fn open(database: &TestDatabase) -> Store {
    let store = Store::open(&database.url).await.unwrap();
    store.migrate().await.unwrap();
    store.initialize().await.unwrap();
    store
}

pub fn key(text: &str) -> ProjectKey {
    ProjectKey::parse(text).unwrap()
}

pub fn role(text: &str) -> RoleName {
    RoleName::parse(text).unwrap()
}

pub fn mapping(text: &str) -> RoleMappingName {
    RoleMappingName::parse(text).unwrap()
}

pub fn permission(text: &str) -> PermissionName {
    PermissionName::parse(text).unwrap()
}

pub fn org(text: &str) -> OrgId {
    OrgId::parse(text).unwrap()
}

pub fn user(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

pub fn create_project(project: &str, role_structure: RoleStructure) -> Command {
    Command::CreateProject(CreateProject {
        key: key(project),
        display_name: format!("Project {project}"),
        environment: Environment::Test,
        role_structure,
        reuse_deleted_key: true,
        template: &B2B,
        owner_role: None,
    })
}

pub fn create_permissions(project: &str, names: &[&str]) -> Command {
    let new = |name: &&str| NewPermission { name: permission(name), description: format!("what {name} allows") };
    Command::CreatePermissions(CreatePermissions {
        project: key(project),
        permissions: names.iter().map(new).collect(),
        batch: true,
    })
}

pub fn create_role(project: &str, name: &str, place: Place, disabled_in: &[&str]) -> Command {
    Command::CreateRole(CreateRole {
        project: key(project),
        name: role(name),
        description: String::new(),
        internal: name.starts_with("Staff"),
        place,
        disabled_in: disabled_in.iter().map(|name| mapping(name)).collect(),
        manages: Vec::new(),
    })
}

pub fn create_mapping(project: &str, name: &str, duplicate_of: Option<&str>, edits: RoleMappingEdits) -> Command {
    Command::CreateRoleMapping(CreateRoleMapping {
        project: key(project),
        name: mapping(name),
        description: format!("the plan {name}"),
        duplicate_of: duplicate_of.map(mapping),
        edits,
        subscribe: Vec::new(),
        on_disabled: suspend(None),
    })
}

pub fn update_mapping(project: &str, name: &str, edits: RoleMappingEdits) -> Command {
    Command::UpdateRoleMapping(UpdateRoleMapping {
        project: key(project),
        name: mapping(name),
        etag: None,
        new_name: None,
        description: None,
        aliases: None,
        edits,
        on_disabled: suspend(None),
    })
}

pub fn promote(project: &str, name: &str) -> Command {
    Command::PromoteRoleMapping(PromoteRoleMapping { project: key(project), name: mapping(name) })
}

pub fn grant(name: &str, add: &[&str], remove: &[&str]) -> GrantEdit {
    let names = |names: &[&str]| names.iter().map(|name| permission(name)).collect();
    GrantEdit { role: role(name), add: names(add), remove: names(remove) }
}

pub fn create_org(project: &str, org_id: &str, name: Option<&str>) -> Command {
    Command::CreateOrg(CreateOrg {
        project: key(project),
        org_id: org(org_id),
        display_name: format!("The org {org_id}"),
        metadata: r#"{"seats": 3}"#.into(),
        role_mapping: name.map(mapping),
        creator: org_id.starts_with("made-by").then(|| user("creator")),
        reuse_deleted_id: true,
    })
}

pub fn subscribe(project: &str, org_id: &str, name: &str) -> Command {
    let to = SubscribeTo::RoleMapping(mapping(name));
    Command::SubscribeOrg(SubscribeOrg { project: key(project), org_id: org(org_id), to, on_disabled: suspend(None) })
}

/// Holders keep the role, with a fallback role if one is named.
pub fn suspend(fallback_role: Option<&str>) -> OnDisabled {
    OnDisabled::Suspend { fallback_role: fallback_role.map(role) }
}

/// Holders get another role.
pub fn remap(replacements: &[(&str, &str)], default_replacement: Option<&str>) -> OnDisabled {
    let replacements = replacements.iter().map(|(from, to)| (role(from), role(to))).collect();
    OnDisabled::Remap { replacements, default_replacement: default_replacement.map(role) }
}

/// Returns the command with another `on_disabled`.
pub fn answering(command: Command, on_disabled: OnDisabled) -> Command {
    match command {
        Command::SubscribeOrg(it) => Command::SubscribeOrg(SubscribeOrg { on_disabled, ..it }),
        Command::CreateRoleMapping(it) => Command::CreateRoleMapping(CreateRoleMapping { on_disabled, ..it }),
        Command::UpdateRoleMapping(it) => Command::UpdateRoleMapping(UpdateRoleMapping { on_disabled, ..it }),
        Command::DeleteRoleMapping(it) => Command::DeleteRoleMapping(DeleteRoleMapping { on_disabled, ..it }),
        other => other,
    }
}

pub fn convert(project: &str, to: RoleStructure, order: &[&str]) -> Command {
    Command::ConvertRoleStructure(ConvertRoleStructure {
        project: key(project),
        etag: None,
        to,
        order: order.iter().map(|name| role(name)).collect(),
        allow_ownerless: true,
    })
}

/// Reads roles such as `Name`, or `Name for 60` (seconds from `now`).
pub fn given(roles: &[&str], now: Time) -> Vec<RoleAssignment> {
    let one = |text: &&str| match text.split_once(" for ") {
        None => RoleAssignment { role: role(text), expire_time: None, permanent: true },
        Some((name, seconds)) => {
            let expire_time = now.plus_seconds(seconds.parse().unwrap());
            RoleAssignment { role: role(name), expire_time: Some(expire_time), permanent: false }
        }
    };
    roles.iter().map(one).collect()
}

pub fn member(org_id: &str, user_id: &str, write: Write) -> MemberWrite {
    MemberWrite { org_id: org(org_id), user_id: user(user_id), write }
}

pub fn write_member(project: &str, org_id: &str, user_id: &str, write: Write) -> Command {
    Command::WriteMember(WriteMember {
        project: key(project),
        row: member(org_id, user_id, write),
        allow_ownerless: true,
        keep_invitations: false,
    })
}

pub fn write_members(project: &str, rows: Vec<MemberWrite>) -> Command {
    Command::BatchWriteMembers(BatchWriteMembers {
        project: key(project),
        rows,
        allow_ownerless: true,
        keep_invitations: false,
    })
}

/// `None` keeps a value. `Some(&[])` drops the old names.
pub fn rename_role(project: &str, name: &str, new_name: Option<&str>, kept: Option<&[&str]>) -> Command {
    Command::UpdateRole(UpdateRole {
        project: key(project),
        name: role(name),
        etag: None,
        new_name: new_name.map(role),
        description: None,
        internal: None,
        aliases: kept.map(|kept| kept.iter().map(|name| role(name)).collect()),
        manages: None,
    })
}

/// Replaces the roles that a role manages.
pub fn manage(project: &str, name: &str, managed: &[&str]) -> Command {
    let Command::UpdateRole(update) = rename_role(project, name, None, None) else { unreachable!() };
    Command::UpdateRole(UpdateRole { manages: Some(managed.iter().map(|name| role(name)).collect()), ..update })
}

pub fn rename_permission(project: &str, name: &str, new_name: Option<&str>, kept: Option<&[&str]>) -> Command {
    Command::UpdatePermission(UpdatePermission {
        project: key(project),
        name: permission(name),
        new_name: new_name.map(permission),
        description: None,
        aliases: kept.map(|kept| kept.iter().map(|name| permission(name)).collect()),
    })
}

pub fn rename_mapping(project: &str, name: &str, new_name: Option<&str>, kept: Option<&[&str]>) -> Command {
    let Command::UpdateRoleMapping(update) = update_mapping(project, name, RoleMappingEdits::default()) else {
        unreachable!()
    };
    let aliases = kept.map(|kept| kept.iter().map(|name| mapping(name)).collect());
    Command::UpdateRoleMapping(UpdateRoleMapping { new_name: new_name.map(mapping), aliases, ..update })
}

pub fn delete_role(project: &str, name: &str, replacement: Option<&str>) -> Command {
    let replacement = replacement.map(role);
    Command::DeleteRole(DeleteRole { project: key(project), name: role(name), etag: None, replacement })
}

pub fn delete_permission(project: &str, name: &str) -> Command {
    Command::DeletePermission(DeletePermission { project: key(project), name: permission(name) })
}

pub fn delete_mapping(project: &str, name: &str, move_subscribers_to: Option<&str>) -> Command {
    Command::DeleteRoleMapping(DeleteRoleMapping {
        project: key(project),
        name: mapping(name),
        etag: None,
        move_subscribers_to: move_subscribers_to.map(mapping),
        on_disabled: suspend(None),
    })
}

pub fn reorder_roles(project: &str, names: &[&str]) -> Command {
    let roles = names.iter().map(|name| role(name)).collect();
    Command::ReorderRoles(ReorderRoles { project: key(project), roles, etag: None })
}

pub fn update_project(project: &str, display_name: &str, default_role: Option<&str>) -> Command {
    Command::UpdateProject(UpdateProject {
        project: key(project),
        etag: None,
        display_name: Some(display_name.into()),
        default_role: default_role.map(role),
        default_owner_role: None,
        allow_ownerless: true,
    })
}

pub fn delete_project(project: &str) -> Command {
    Command::DeleteProject(DeleteProject { project: key(project), etag: None, confirm: project.into(), force: true })
}

pub fn delete_org(project: &str, org_id: &str) -> Command {
    Command::DeleteOrg(DeleteOrg { project: key(project), org_id: org(org_id) })
}

pub fn block_user(project: &str, user_id: &str) -> Command {
    Command::BlockUser(BlockUser { project: key(project), user_id: user(user_id) })
}

pub fn unblock_user(project: &str, user_id: &str) -> Command {
    Command::UnblockUser(UnblockUser { project: key(project), user_id: user(user_id) })
}

pub fn delete_user(project: &str, user_id: &str) -> Command {
    Command::DeleteUser(DeleteUser { keep_invitations: false, project: key(project), user_id: user(user_id) })
}

/// Domains with the names of their roles. Each applies to existing members.
pub fn set_domains(project: &str, org_id: &str, domains: &[(&str, &[&str])]) -> Command {
    let new = |(domain, roles): &(&str, &[&str])| NewOrgDomain {
        domain: EmailDomain::stored(*domain),
        roles: roles.iter().map(|name| role(name)).collect(),
        apply_to_existing: true,
    };
    Command::SetOrgDomains(SetOrgDomains {
        project: key(project),
        org_id: org(org_id),
        domains: domains.iter().map(new).collect(),
    })
}

pub fn provision(project: &str, org_id: &str, user_id: &str, domain: &str) -> Command {
    Command::ProvisionMember(ProvisionMember {
        project: key(project),
        org_id: org(org_id),
        user_id: user(user_id),
        email: EmailAddress::stored(format!("x@{domain}")),
        email_verified: true,
        allow_provisioning: user_id.len().is_multiple_of(2),
    })
}
