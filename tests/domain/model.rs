//! A second, slow and simple implementation of `docs/rules.md`. It uses names instead of ids and ordered maps instead
//! of tables.
//!
//! It shares only types with `src/domain`: commands, reasons, decisions, role states, origins and limits. Etags are the
//! words `fresh` and `stale`, and the role `*` in an order means all other roles (`placeholders.rs`).

mod checks;
mod configuration;
mod conversion;
mod delegation;
mod domains;
mod fallbacks;
mod impact;
mod invitations;
mod mappings;
mod members;
mod orgs;
mod roles;
mod users;

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::commands::command::{CreateProject, DeleteProject, UpdateProject};
use rolecall::domain::model::membership::Origin;
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{Command, Reason, Time};
use rolecall::limits::Limits;

use crate::placeholders::STALE;
pub use delegation::lasts_as_long;
pub use domains::DomainModel;
pub use impact::{AffectedMember, Report, project_of};
pub use invitations::InvitationModel;

/// Replaces every description that the template sets.
pub const TEMPLATE_TEXT: &str = "(of the template)";

/// Everything that reads of a store can show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub projects: BTreeMap<String, ProjectModel>,
    pub retired: BTreeSet<String>,
}

/// Everything that reads of a project can show.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectModel {
    pub display_name: String,
    pub environment: Environment,
    pub structure: RoleStructure,
    pub created: Time,
    pub default_role: String,
    pub default_owner_role: String,
    pub default_mapping: String,
    pub permissions: BTreeMap<String, Details>,
    /// Highest first.
    pub roles: Vec<(String, Details)>,
    /// The managed roles of each role in a MULTI_ROLE project (G2), without empty lists.
    pub manages: BTreeMap<String, BTreeSet<String>>,
    pub mappings: BTreeMap<String, Mapping>,
    pub orgs: BTreeMap<String, OrgModel>,
    pub retired: BTreeSet<String>,
    /// Since when users are blocked.
    pub blocked: BTreeMap<String, Time>,
    /// Every different role set that a member had since the unused ones were dropped. `None` once a role was deleted: how many are kept then is not
    /// specified.
    pub role_sets: Option<BTreeSet<BTreeSet<String>>>,
}

/// The attributes that permissions, roles and mappings have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    pub description: String,
    /// Built in (permission) or internal (role).
    pub built_in_or_internal: bool,
    pub created: Time,
    /// Oldest first.
    pub aliases: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    pub details: Details,
    pub disabled: BTreeSet<String>,
    /// The permissions of each role, without empty rows.
    pub grants: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OrgModel {
    pub display_name: String,
    pub metadata: String,
    pub created: Time,
    pub mapping: String,
    pub members: BTreeMap<String, Member>,
    pub domains: BTreeMap<String, DomainModel>,
    /// Pending invitations by address, including those that have expired.
    pub invitations: BTreeMap<String, InvitationModel>,
    /// Users whom somebody else removed (J3).
    pub removed: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub roles: Roles,
    /// The origin of the latest change.
    pub origin: Origin,
    /// The fallback role of each suspended role (M7). A suspended fallback role can have a fallback role too.
    pub fallbacks: BTreeMap<String, String>,
}

impl Default for Member {
    fn default() -> Self {
        Self { roles: Roles::new(), origin: Origin::Direct, fallbacks: BTreeMap::new() }
    }
}

pub type Roles = BTreeMap<String, RoleRecord>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoleRecord {
    pub expire_time: Option<Time>,
    pub origin: Origin,
}

/// Role, expiry, state, origin, and fallback role with its state.
pub type ShownRole = (String, Option<Time>, RoleState, Origin, Option<(String, RoleState)>);

/// The options of a call, except its time.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions<'a> {
    pub acting_user: Option<&'a str>,
    /// True if the call names a digest that matches no impact (R9).
    pub stale_digest: bool,
    /// The time of the commit, if it is not the clock's.
    pub commit_time: Option<Time>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ModelOutcome {
    /// True if the command takes a revision.
    pub changed: bool,
    pub answer: Answer,
}

/// The response to an accepted command.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Project(String),
    Permission(String),
    PermissionsCreated(usize),
    Role(String),
    RolesCreated(usize),
    RolesReordered,
    RoleMapping(String),
    Org {
        org: String,
        display_name: String,
        metadata: String,
        mapping: String,
    },
    Subscription {
        org: String,
        mapping: String,
    },
    OrgsSubscribed {
        moved: usize,
        unchanged: usize,
    },
    Member {
        org: String,
        user: String,
        roles: Vec<ShownRole>,
        origin: Option<Origin>,
    },
    Removed,
    User {
        user: String,
        blocked: Option<Time>,
    },
    Domains(BTreeMap<String, DomainModel>),
    Invitation {
        email: String,
        invitation: InvitationModel,
    },
    Invitations(Vec<Result<(), Reason>>),
    Provisioned {
        user: String,
        roles: Vec<ShownRole>,
        origin: Option<Origin>,
        skipped: BTreeSet<String>,
    },
    Tally {
        added: usize,
        set: usize,
        removed: usize,
        unchanged: usize,
    },
    Deleted(u64),
    Purged,
    /// What is created and deleted, and what the configuration does not name.
    Configuration {
        steps: BTreeSet<String>,
        unmanaged: BTreeSet<String>,
    },
}

impl Model {
    /// Applies the command at `now`. A refused command changes nothing.
    pub fn run(
        &mut self,
        command: &Command,
        called: CallOptions<'_>,
        now: Time,
        limits: &Limits,
    ) -> Result<ModelOutcome, Reason> {
        let (outcome, next) = self.after(command, called, now, limits)?;
        *self = next;
        Ok(outcome)
    }

    /// Like `run`, but returns the next model and leaves this one unchanged.
    pub fn after(
        &self,
        command: &Command,
        called: CallOptions<'_>,
        now: Time,
        limits: &Limits,
    ) -> Result<(ModelOutcome, Self), Reason> {
        let created = called.commit_time.unwrap_or(now);
        let execute = |mut next: Self| {
            let answer = match called.acting_user {
                Some(acting) => next.execute_for(acting, command, (now, created), limits)?,
                None => next.execute(command, now, created, limits)?,
            };
            Ok((answer, next))
        };
        // P7: role sets that nobody holds are dropped before a limit refuses a command.
        let (answer, mut next) = match execute(self.clone()) {
            Err(Reason::LimitExceeded) => execute(self.without_unused_role_sets(command))?,
            result => result?,
        };
        next.projects.values_mut().for_each(ProjectModel::drop_fallbacks_of_enabled_roles);
        if called.stale_digest {
            return Err(Reason::ImpactChanged);
        }
        let changed = next != *self;
        Ok((ModelOutcome { changed, answer }, next))
    }

    fn without_unused_role_sets(&self, command: &Command) -> Self {
        let mut model = self.clone();
        let Some(project) = command.project().and_then(|key| model.projects.get_mut(key.as_str())) else {
            return model;
        };
        let members = project.orgs.values().flat_map(|org_model| org_model.members.values());
        let used: BTreeSet<BTreeSet<String>> = members.map(|member| member.roles.keys().cloned().collect()).collect();
        let named = project.orgs.values().flat_map(|org_model| org_model.domains.values());
        let named = named.map(|rule| rule.roles.clone()).filter(|roles| !roles.is_empty());
        let invitations = project.orgs.values().flat_map(|org_model| org_model.invitations.values());
        let invited = invitations.map(|invitation| invitation.roles.clone());
        let used = used.into_iter().chain(named).chain(invited).collect();
        project.role_sets = project.role_sets.is_some().then_some(used);
        model
    }

    fn execute(&mut self, command: &Command, now: Time, created: Time, limits: &Limits) -> Result<Answer, Reason> {
        use Command::*;
        match command {
            CreateProject(command) => self.create_project(command, created),
            UpdateProject(command) => self.update_project(command, now),
            ConvertRoleStructure(command) => self.project(command.project.as_str())?.convert(command, now, limits),
            DeleteProject(command) => self.delete_project(command),
            CreatePermissions(command) => {
                self.project(command.project.as_str())?.create_permissions(command, created, limits)
            }
            UpdatePermission(command) => self.project(command.project.as_str())?.update_permission(command),
            DeletePermission(command) => self.project(command.project.as_str())?.delete_permission(command),
            CreateRole(command) => self.project(command.project.as_str())?.create_role(command, created, limits),
            BatchCreateRoles(command) => self.project(command.project.as_str())?.create_roles(command, created, limits),
            UpdateRole(command) => self.project(command.project.as_str())?.update_role(command, now, limits),
            ReorderRoles(command) => self.project(command.project.as_str())?.reorder(command),
            DeleteRole(command) => self.project(command.project.as_str())?.delete_role(command, now),
            CreateRoleMapping(command) => {
                self.project(command.project.as_str())?.create_mapping(command, now, created, limits)
            }
            UpdateRoleMapping(command) => self.project(command.project.as_str())?.update_mapping(command, now, limits),
            PromoteRoleMapping(command) => self.project(command.project.as_str())?.promote(command),
            DeleteRoleMapping(command) => self.project(command.project.as_str())?.delete_mapping(command, now),
            CreateOrg(command) => self.project(command.project.as_str())?.create_org(command, created, limits),
            UpdateOrg(command) => self.project(command.project.as_str())?.update_org(command),
            DeleteOrg(command) => self.project(command.project.as_str())?.delete_org(command),
            SubscribeOrg(command) => self.project(command.project.as_str())?.subscribe_one(command, now),
            BatchSubscribeOrgs(command) => self.project(command.project.as_str())?.subscribe_many(command, now),
            WriteMember(command) => self.project(command.project.as_str())?.write_one(command, now, limits),
            BatchWriteMembers(command) => self.project(command.project.as_str())?.write_many(command, now, limits),
            CreateInvitations(command) => {
                self.project(command.project.as_str())?.invite(None, command, (now, created), limits)
            }
            RevokeInvitation(command) => self.project(command.project.as_str())?.revoke(None, command, now),
            AcceptInvitation(command) => self.project(command.project.as_str())?.accept(command, now, limits),
            BlockUser(command) => self.project(command.project.as_str())?.block(command, created),
            UnblockUser(command) => self.project(command.project.as_str())?.unblock(command),
            DeleteUser(command) => self.project(command.project.as_str())?.delete_user(command),
            RemoveExpired(command) => {
                self.project(command.project.as_str())?.remove_expired(now);
                Ok(Answer::Purged)
            }
            SetOrgDomains(command) => self.project(command.project.as_str())?.set_domains(None, command, now, limits),
            VerifyOrgDomain(command) => self.project(command.project.as_str())?.verify_domain(command),
            ProvisionMember(command) => self.project(command.project.as_str())?.provision(command, now, limits),
            // tests/domain/workspace.rs has keys.
            CreateApiKey(_) | ArchiveApiKey(_) => panic!("random histories have no keys"),
            ApplyConfiguration(command) => {
                self.project(command.project.as_str())?.configure(command, now, created, limits)
            }
            // Reads show neither deleted data nor that it is purged.
            Purge(_) => Ok(Answer::Purged),
        }
    }

    /// Applies a command of an acting user (G1).
    fn execute_for(
        &mut self,
        acting: &str,
        command: &Command,
        (now, created): (Time, Time),
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        let key = command.project().expect("commands of acting users have a project").to_string();
        let project = self.project(&key)?;
        match command {
            Command::WriteMember(command) => project.write_one_for(acting, command, now, limits),
            Command::SetOrgDomains(command) => project.set_domains(Some(acting), command, now, limits),
            Command::CreateInvitations(command) => project.invite(Some(acting), command, (now, created), limits),
            Command::RevokeInvitation(command) => project.revoke(Some(acting), command, now),
            Command::UpdateOrg(command) => {
                project.require_roles_granting(
                    acting,
                    command.org_id.as_str(),
                    "rolecall::can_update_org_metadata",
                    now,
                )?;
                project.update_org(command)
            }
            Command::DeleteOrg(command) => {
                let org = command.org_id.as_str();
                project.require_roles_granting(acting, org, "rolecall::can_delete_org", now)?;
                // I4: internal members are not counted.
                let visible_members = project.without_internal_roles(&project.orgs[org]).members.len() as u64;
                project.delete_org(command)?;
                Ok(Answer::Deleted(visible_members))
            }
            other => panic!("{other:?} takes no acting user"),
        }
    }

    /// Removes the fallback roles of roles that nobody holds. Reads do not show them.
    pub fn without_unused_fallbacks(&self, now: Time) -> Self {
        let mut model = self.clone();
        for project in model.projects.values_mut() {
            let disabled = project.mappings.iter().map(|(name, mapping)| (name.clone(), mapping.disabled.clone()));
            let disabled: BTreeMap<String, BTreeSet<String>> = disabled.collect();
            for org_model in project.orgs.values_mut() {
                let disabled = &disabled[&org_model.mapping];
                org_model.members.values_mut().for_each(|member| member.drop_unused_fallbacks(disabled, now));
            }
        }
        model
    }

    fn project(&mut self, key: &str) -> Result<&mut ProjectModel, Reason> {
        self.projects.get_mut(key).ok_or(Reason::ProjectNotFound)
    }

    /// P3, P4.
    fn create_project(&mut self, command: &CreateProject, created: Time) -> Result<Answer, Reason> {
        let key = command.key.to_string();
        if key == "workspace" {
            return Err(Reason::ReservedName);
        }
        if self.projects.contains_key(&key) {
            return Err(Reason::ProjectAlreadyExists);
        }
        if self.retired.contains(&key) && !command.reuse_deleted_key {
            return Err(Reason::ProjectKeyRetired);
        }
        let built_in = |text: &str| (format!("rolecall::{text}"), Details::new(TEMPLATE_TEXT, true, created));
        let permissions = [
            "can_view_other_members",
            "can_invite",
            "can_change_roles",
            "can_remove_users",
            "can_manage_api_keys",
            "can_setup_sso",
            "can_delete_org",
            "can_edit_org_access",
            "can_update_org_metadata",
        ];
        let permissions: BTreeMap<String, Details> = permissions.into_iter().map(built_in).collect();
        let all: BTreeSet<String> = permissions.keys().cloned().collect();
        let mut most = all.clone();
        most.remove("rolecall::can_delete_org");
        most.remove("rolecall::can_edit_org_access");
        let empty = command.template.name == "empty";
        let owner = command.owner_role.as_ref().map_or("Owner".to_string(), ToString::to_string);
        let mut grants = vec![(owner.clone(), all)];
        if !empty {
            let view = BTreeSet::from(["rolecall::can_view_other_members".to_string()]);
            grants.extend([("Admin".to_string(), most), ("Member".to_string(), view)]);
        }
        let roles: Vec<String> = grants.iter().map(|(name, _)| name.clone()).collect();
        let mapping = Mapping {
            details: Details::new(TEMPLATE_TEXT, false, created),
            disabled: BTreeSet::new(),
            grants: BTreeMap::from_iter(grants),
        };
        let role = |name: String| (name, Details::new(TEMPLATE_TEXT, false, created));
        let mut project = ProjectModel {
            display_name: command.display_name.clone(),
            environment: command.environment,
            structure: command.role_structure,
            created,
            default_role: if empty { owner.clone() } else { "Member".into() },
            default_owner_role: owner,
            default_mapping: "Default".into(),
            permissions,
            roles: roles.into_iter().map(role).collect(),
            manages: BTreeMap::new(),
            mappings: BTreeMap::from([("Default".into(), mapping)]),
            orgs: BTreeMap::new(),
            retired: BTreeSet::new(),
            blocked: BTreeMap::new(),
            role_sets: Some(BTreeSet::new()),
        };
        if command.role_structure == RoleStructure::MultiRole {
            project.manages = project.managed_by_order();
        }
        self.projects.insert(key.clone(), project);
        Ok(Answer::Project(key))
    }

    /// R5, B3.
    fn update_project(&mut self, command: &UpdateProject, now: Time) -> Result<Answer, Reason> {
        let key = command.project.to_string();
        let project = self.project(&key)?;
        fresh(&command.etag)?;
        let before = project.clone();
        if let Some(text) = &command.display_name {
            project.display_name = text.clone();
        }
        if let Some(name) = &command.default_role {
            project.default_role = before.suitable(name.as_str())?;
        }
        if let Some(name) = &command.default_owner_role {
            project.default_owner_role = before.suitable(name.as_str())?;
        }
        if !command.allow_ownerless {
            project.require_owners(&before, now)?;
        }
        Ok(Answer::Project(key))
    }

    /// P6.
    fn delete_project(&mut self, command: &DeleteProject) -> Result<Answer, Reason> {
        let key = command.project.to_string();
        let orgs = self.project(&key)?.orgs.len();
        if key == "default" {
            return Err(Reason::ProjectPermanent);
        }
        if command.confirm != key {
            return Err(Reason::NotConfirmed);
        }
        fresh(&command.etag)?;
        if orgs > 0 && !command.force {
            return Err(Reason::ProjectHasOrgs);
        }
        self.projects.remove(&key);
        self.retired.insert(key);
        Ok(Answer::Deleted(orgs as u64))
    }
}

impl Details {
    pub fn new(description: &str, built_in_or_internal: bool, created: Time) -> Self {
        Self { description: description.into(), built_in_or_internal, created, aliases: Vec::new() }
    }

    /// Returns the name and the aliases after an update of the object called `name` (R3).
    fn names(
        &self,
        name: &str,
        new_name: Option<&str>,
        kept: Option<Vec<String>>,
    ) -> Result<(String, Vec<String>), Reason> {
        let mut aliases = self.aliases.clone();
        if let Some(kept) = kept {
            if kept.iter().any(|alias| !aliases.contains(alias)) {
                return Err(Reason::UnknownAlias);
            }
            aliases.retain(|alias| kept.contains(alias));
        }
        let new_name = new_name.unwrap_or(name);
        if new_name != name {
            aliases.retain(|alias| alias != new_name);
            aliases.push(name.to_string());
        }
        at_most(50, aliases.len())?;
        Ok((new_name.to_string(), aliases))
    }

    /// Returns true if `wanted` is the name or an alias.
    fn matches(&self, name: &str, wanted: &str) -> bool {
        name == wanted || self.aliases.iter().any(|alias| alias == wanted)
    }

    /// Like `matches`, but ignores case (R1).
    fn matches_ignoring_case(&self, name: &str, wanted: &str) -> bool {
        equal_ignoring_case(name, wanted) || self.aliases.iter().any(|alias| equal_ignoring_case(alias, wanted))
    }
}

/// M9.
fn fresh(etag: &Option<String>) -> Result<(), Reason> {
    if etag.as_deref() == Some(STALE) { Err(Reason::EtagMismatch) } else { Ok(()) }
}

/// P7.
fn at_most(limit: u64, asked: usize) -> Result<(), Reason> {
    if asked as u64 > limit { Err(Reason::LimitExceeded) } else { Ok(()) }
}

/// Returns true if two names are equal or differ only in case (R1).
fn equal_ignoring_case(one: &str, other: &str) -> bool {
    one.to_uppercase() == other.to_uppercase()
}

fn texts<N: ToString>(names: &Option<Vec<N>>) -> Option<Vec<String>> {
    names.as_ref().map(|names| names.iter().map(N::to_string).collect())
}
