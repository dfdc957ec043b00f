//! The rules of `docs/rules.md` once more, as slowly and plainly as they can be said: names for ids, ordered maps for tables.
//!
//! It shares no code with `src/domain`, only its vocabulary: commands, reasons, decisions, role_states, origins and limits.
//! Etags are the words `fresh` and `stale` here, and the role `*` of an order stands for all roles it leaves out; see
//! `symbols.rs`.

mod checks;
mod conversion;
mod delegation;
mod fallbacks;
mod impact;
mod mappings;
mod members;
mod orgs;
mod roles;

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::commands::command::{CreateProject, DeleteProject, UpdateProject};
use rolecall::domain::model::membership::Origin;
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{Command, Reason, Time};
use rolecall::limits::Limits;

use crate::placeholders::STALE;
pub use delegation::lasts_as_long;
pub use impact::{AffectedMember, Report, project_of};

/// Stands for every text of the template.
pub const TEMPLATE_TEXT: &str = "(of the template)";

/// All that can be seen of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub projects: BTreeMap<String, ProjectModel>,
    /// The keys of deleted projects.
    pub retired: BTreeSet<String>,
}

/// All that can be seen of a project.
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
    /// From the highest to the lowest.
    pub roles: Vec<(String, Details)>,
    /// Which roles each manages in a MULTI_ROLE project (G2); only lists that are not empty.
    pub manages: BTreeMap<String, BTreeSet<String>>,
    pub mappings: BTreeMap<String, Mapping>,
    pub orgs: BTreeMap<String, OrgModel>,
    /// The ids of deleted orgs.
    pub retired: BTreeSet<String>,
    /// Every different set of roles that a member ever had. How many are left once a role was deleted is nobody's promise:
    /// then none.
    pub role_sets: Option<BTreeSet<BTreeSet<String>>>,
}

/// What a permission, a role or a mapping says of itself beside its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    pub description: String,
    /// Of a permission: built in. Of a role: internal.
    pub built_in_or_internal: bool,
    pub created: Time,
    /// Old names, oldest first.
    pub aliases: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    pub details: Details,
    pub disabled: BTreeSet<String>,
    /// Role to permissions; only rows that are not empty.
    pub grants: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OrgModel {
    pub display_name: String,
    pub metadata: String,
    pub created: Time,
    pub mapping: String,
    pub members: BTreeMap<String, Member>,
}

/// What is recorded of a user in an org.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub roles: Roles,
    /// By what it was changed the last time.
    pub origin: Origin,
    /// What stands in for which of the member's suspended roles (M7): perhaps for one that stands in itself.
    pub fallbacks: BTreeMap<String, String>,
}

impl Default for Member {
    fn default() -> Self {
        Self { roles: Roles::new(), origin: Origin::Direct, fallbacks: BTreeMap::new() }
    }
}

pub type Roles = BTreeMap<String, RoleRecord>;

/// Until when a role was given, and by what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoleRecord {
    pub expire_time: Option<Time>,
    pub origin: Origin,
}

/// A role as it is shown, and what stands in for it.
pub type Shown = (String, Option<Time>, RoleState, Origin, Option<String>);

/// How a command is called, beside the instant.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions<'a> {
    pub acting_user: Option<&'a str>,
    /// Whether it names a digest that no impact has (R9).
    pub stale_digest: bool,
}

/// An accepted command.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOutcome {
    /// Whether it takes a revision.
    pub changed: bool,
    pub answer: Answer,
}

/// What an accepted command is answered with, as far as it is more than the contents themselves.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Project(String),
    Permission(String),
    PermissionsCreated(usize),
    Role(String),
    RolesReordered,
    RoleMapping(String),
    Org { org: String, display_name: String, metadata: String, mapping: String },
    Subscription { org: String, mapping: String },
    OrgsSubscribed { moved: usize, unchanged: usize },
    Member { org: String, user: String, roles: Vec<Shown>, origin: Option<Origin> },
    Removed,
    Tally { added: usize, set: usize, removed: usize, unchanged: usize },
    Deleted(u64),
    Purged,
}

impl Model {
    /// Does what the command asks, at `now`, or says why it is not done; then nothing is.
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

    /// The same, beside this one.
    pub fn after(
        &self,
        command: &Command,
        called: CallOptions<'_>,
        now: Time,
        limits: &Limits,
    ) -> Result<(ModelOutcome, Self), Reason> {
        let mut next = self.clone();
        let answer = match called.acting_user {
            Some(acting) => next.execute_for(acting, command, now, limits)?,
            None => next.execute(command, now, limits)?,
        };
        next.drop_fallbacks_of_enabled_roles();
        if called.stale_digest {
            return Err(Reason::ImpactChanged);
        }
        let changed = next != *self;
        Ok((ModelOutcome { changed, answer }, next))
    }

    fn execute(&mut self, command: &Command, now: Time, limits: &Limits) -> Result<Answer, Reason> {
        use Command::*;
        match command {
            CreateProject(command) => self.create_project(command, now),
            UpdateProject(command) => self.update_project(command, now),
            ConvertRoleStructure(command) => self.project(command.project.as_str())?.convert(command, now, limits),
            DeleteProject(command) => self.delete_project(command),
            CreatePermissions(command) => {
                self.project(command.project.as_str())?.create_permissions(command, now, limits)
            }
            UpdatePermission(command) => self.project(command.project.as_str())?.update_permission(command),
            DeletePermission(command) => self.project(command.project.as_str())?.delete_permission(command),
            CreateRole(command) => self.project(command.project.as_str())?.create_role(command, now, limits),
            UpdateRole(command) => self.project(command.project.as_str())?.update_role(command, now, limits),
            ReorderRoles(command) => self.project(command.project.as_str())?.reorder(command),
            DeleteRole(command) => self.project(command.project.as_str())?.delete_role(command, now),
            CreateRoleMapping(command) => self.project(command.project.as_str())?.create_mapping(command, now, limits),
            UpdateRoleMapping(command) => self.project(command.project.as_str())?.update_mapping(command, now, limits),
            PromoteRoleMapping(command) => self.project(command.project.as_str())?.promote(command),
            DeleteRoleMapping(command) => self.project(command.project.as_str())?.delete_mapping(command, now),
            CreateOrg(command) => self.project(command.project.as_str())?.create_org(command, now, limits),
            UpdateOrg(command) => self.project(command.project.as_str())?.update_org(command),
            DeleteOrg(command) => self.project(command.project.as_str())?.delete_org(command),
            SubscribeOrg(command) => self.project(command.project.as_str())?.subscribe_one(command, now),
            BatchSubscribeOrgs(command) => self.project(command.project.as_str())?.subscribe_many(command, now),
            WriteMember(command) => self.project(command.project.as_str())?.write_one(command, now, limits),
            BatchWriteMembers(command) => self.project(command.project.as_str())?.write_many(command, now, limits),
            // What is deleted cannot be seen; that it is purged cannot either.
            Purge(_) => Ok(Answer::Purged),
        }
    }

    /// What an acting user may write at all (G1).
    fn execute_for(&mut self, acting: &str, command: &Command, now: Time, limits: &Limits) -> Result<Answer, Reason> {
        let key = command.project().expect("such commands have a project").to_string();
        let project = self.project(&key)?;
        match command {
            Command::WriteMember(command) => project.write_one_for(acting, command, now, limits),
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
                // I4: an internal member does not count.
                let seen = project.without_internal_roles(&project.orgs[org]).members.len() as u64;
                project.delete_org(command)?;
                Ok(Answer::Deleted(seen))
            }
            other => panic!("{other:?} takes no acting user"),
        }
    }

    /// M7: a role that is enabled again works, and nothing stands in for it any more.
    fn drop_fallbacks_of_enabled_roles(&mut self) {
        for project in self.projects.values_mut() {
            for org_model in project.orgs.values_mut() {
                let disabled = &project.mappings[&org_model.mapping].disabled;
                for member in org_model.members.values_mut() {
                    member.fallbacks.retain(|role, _| disabled.contains(role));
                }
            }
        }
    }

    /// Without the fallback roles of roles that nobody holds: what is recorded for them cannot be seen.
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
    fn create_project(&mut self, command: &CreateProject, now: Time) -> Result<Answer, Reason> {
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
        let built_in = |text: &str| (format!("rolecall::{text}"), Details::new(TEMPLATE_TEXT, true, now));
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
        let grants = [
            ("Owner".to_string(), all),
            ("Admin".to_string(), most),
            ("Member".to_string(), BTreeSet::from(["rolecall::can_view_other_members".to_string()])),
        ];
        let mapping = Mapping {
            details: Details::new(TEMPLATE_TEXT, false, now),
            disabled: BTreeSet::new(),
            grants: BTreeMap::from(grants),
        };
        let role = |name: &str| (name.to_string(), Details::new(TEMPLATE_TEXT, false, now));
        let mut project = ProjectModel {
            display_name: command.display_name.clone(),
            environment: command.environment,
            structure: command.role_structure,
            created: now,
            default_role: "Member".into(),
            default_owner_role: "Owner".into(),
            default_mapping: "Default".into(),
            permissions,
            roles: vec![role("Owner"), role("Admin"), role("Member")],
            manages: BTreeMap::new(),
            mappings: BTreeMap::from([("Default".into(), mapping)]),
            orgs: BTreeMap::new(),
            retired: BTreeSet::new(),
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

    /// The name and the old ones once a thing called `name` is updated (R3).
    fn names(
        &self,
        name: &str,
        new_name: Option<&str>,
        kept: Option<Vec<String>>,
    ) -> Result<(String, Vec<String>), Reason> {
        let mut aliases = self.aliases.clone();
        if let Some(kept) = kept {
            if kept.iter().any(|one| !aliases.contains(one)) {
                return Err(Reason::UnknownAlias);
            }
            aliases.retain(|one| kept.contains(one));
        }
        let new_name = new_name.unwrap_or(name);
        if new_name != name {
            aliases.retain(|one| one != new_name);
            aliases.push(name.to_string());
        }
        at_most(50, aliases.len())?;
        Ok((new_name.to_string(), aliases))
    }

    /// Whether requests find by `wanted` what is called `name`.
    fn answers_to(&self, name: &str, wanted: &str) -> bool {
        name == wanted || self.aliases.iter().any(|alias| alias == wanted)
    }

    /// The same in whatever case (R1).
    fn nearly_answers_to(&self, name: &str, wanted: &str) -> bool {
        alike(name, wanted) || self.aliases.iter().any(|alias| alike(alias, wanted))
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

/// Whether two names differ in case alone (R1).
fn alike(one: &str, other: &str) -> bool {
    one.to_uppercase() == other.to_uppercase()
}

fn texts<N: ToString>(names: &Option<Vec<N>>) -> Option<Vec<String>> {
    names.as_ref().map(|names| names.iter().map(N::to_string).collect())
}
