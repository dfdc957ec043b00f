//! Decides a command: what it changes, what is answered, or why it is not done. Pure.

use std::sync::Arc;

use super::command::{Call, Command};
use super::id::{RoleId, RoleMappingId};
use super::impact::{Impact, impact};
use super::membership::{self, Done, Member, Visibility};
use super::name::{OrgId, ProjectKey, RoleMappingName, UserId};
use super::org::{self, OrgRecord};
use super::permission::{self, Permission};
use super::project::{self, Project};
use super::refusal::{Noun, Refusal};
use super::{Change, State, Time, purge, role, role_mapping, role_set, subscription};
use crate::limits::Limits;

/// What a command is decided under.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub call: &'a Call,
    /// The instant of the commit, if it comes to one.
    pub now: Time,
    pub limits: &'a Limits,
}

/// An accepted command.
pub struct Decided {
    /// The state with the changes; its revision is still that of the state decided on.
    pub next: State,
    /// Empty where the command changes nothing: then it takes no revision.
    pub changes: Vec<Change>,
    pub outcome: Outcome,
    /// What it does to those whom it touches (R9).
    pub impact: Arc<Impact>,
}

/// What an accepted command is answered with.
#[derive(Clone)]
pub enum Outcome {
    Project(Arc<Project>),
    Permission(Permission),
    PermissionsCreated(usize),
    Role(Arc<Project>, RoleId),
    RoleMapping(Arc<Project>, RoleMappingId),
    Org(Arc<Project>, OrgRecord),
    Subscription {
        org_id: OrgId,
        role_mapping: RoleMappingName,
    },
    Member(Member),
    Removed,
    Tally(Tally),
    /// How many of what hung on a deleted thing went with it or went elsewhere.
    Deleted(u64),
    RolesReordered(Arc<Project>),
    OrgsSubscribed {
        moved: usize,
        unchanged: usize,
    },
    /// How many things were purged: none, where somebody else was quicker.
    Purged(usize),
}

/// What became of the rows of a bulk write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub added: usize,
    pub set: usize,
    pub removed: usize,
    pub unchanged: usize,
}

impl Tally {
    pub(super) fn count(&mut self, done: Done) {
        match done {
            Done::Added => self.added += 1,
            Done::Set => self.set += 1,
            Done::Removed => self.removed += 1,
            Done::Unchanged => self.unchanged += 1,
        }
    }
}

/// The state a command is being decided on, and what it has changed so far.
pub struct Draft<'a> {
    state: State,
    changes: Vec<Change>,
    terms: &'a Terms<'a>,
}

/// Decides one command. A refused one leaves nothing behind.
pub fn decide(state: &State, command: &Command, terms: &Terms<'_>) -> Result<Decided, Refusal> {
    let (Draft { state: next, changes, .. }, outcome) = draft(state, command, terms)?;
    let impact = match command {
        // What is dead touches nobody.
        Command::Purge(_) => Impact::default(),
        _ => {
            let visibility = if terms.call.acting_user.is_some() { Visibility::VisibleOnly } else { Visibility::All };
            impact(state, &next, &changes, visibility, terms.now)
        }
    };
    if terms.call.impact_digest.as_deref().is_some_and(|named| *named != *impact.digest) {
        return Err(Refusal::ImpactChanged { now: impact.digest });
    }
    Ok(Decided { next, changes, outcome, impact: Arc::new(impact) })
}

/// Whether a command would be accepted.
pub fn accepts(state: &State, command: &Command, terms: &Terms<'_>) -> bool {
    draft(state, command, terms).is_ok()
}

fn draft<'a>(state: &State, command: &Command, terms: &'a Terms<'a>) -> Result<(Draft<'a>, Outcome), Refusal> {
    // No other write takes an acting user (G1). The contract has no field for one; if somebody adds it, nothing is allowed.
    if terms.call.acting_user.is_some() && !command.takes_acting_user() {
        return Err(Refusal::Panicked);
    }
    let mut draft = Draft { state: state.clone(), changes: Vec::new(), terms };
    let outcome = match command {
        Command::CreateProject(command) => project::create(&mut draft, command),
        Command::UpdateProject(command) => project::update(&mut draft, command),
        Command::ConvertRoleStructure(command) => project::convert(&mut draft, command),
        Command::DeleteProject(command) => project::delete(&mut draft, command),
        Command::CreatePermissions(command) => permission::create(&mut draft, command),
        Command::UpdatePermission(command) => permission::update(&mut draft, command),
        Command::DeletePermission(command) => permission::delete(&mut draft, command),
        Command::CreateRole(command) => role::create(&mut draft, command),
        Command::UpdateRole(command) => role::update(&mut draft, command),
        Command::ReorderRoles(command) => role::reorder(&mut draft, command),
        Command::DeleteRole(command) => role::delete(&mut draft, command),
        Command::CreateRoleMapping(command) => role_mapping::create(&mut draft, command),
        Command::UpdateRoleMapping(command) => role_mapping::update(&mut draft, command),
        Command::PromoteRoleMapping(command) => role_mapping::promote(&mut draft, command),
        Command::DeleteRoleMapping(command) => role_mapping::delete(&mut draft, command),
        Command::CreateOrg(command) => org::create(&mut draft, command),
        Command::UpdateOrg(command) => org::update(&mut draft, command),
        Command::DeleteOrg(command) => org::delete(&mut draft, command),
        Command::SubscribeOrg(command) => subscription::subscribe_org(&mut draft, command),
        Command::BatchSubscribeOrgs(command) => subscription::subscribe_orgs(&mut draft, command),
        Command::WriteMember(command) => membership::write_one(&mut draft, command),
        Command::BatchWriteMembers(command) => membership::write_batch(&mut draft, command),
        Command::Purge(command) => purge::purge(&mut draft, command),
    }?;
    role_set::collect(&mut draft);
    Ok((draft, outcome))
}

impl Draft<'_> {
    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn now(&self) -> Time {
        self.terms.now
    }

    /// The end user on whose behalf it is written, if it is (G1).
    pub fn acting_user(&self) -> Option<UserId> {
        self.terms.call.acting_user.clone()
    }

    pub fn limits(&self) -> &Limits {
        self.terms.limits
    }

    /// The project as the draft has it now.
    pub fn project(&self, key: &ProjectKey) -> Result<Arc<Project>, Refusal> {
        let project = self.state.project(key).cloned();
        project.ok_or_else(|| Refusal::NotFound(Noun::Project, key.to_string()))
    }

    /// The project as the draft has it now, given as it was.
    pub fn again(&self, project: &Project) -> Result<Arc<Project>, Refusal> {
        let now = self.state.project_numbered(project.id).cloned();
        now.ok_or_else(|| Refusal::NotFound(Noun::Project, project.record.key.to_string()))
    }

    /// Refuses what would be more than a limit of P7.
    pub fn within(&self, limit: &'static str, max: u64, asked: usize) -> Result<(), Refusal> {
        let asked = asked as u64;
        if asked > max { Err(Refusal::LimitExceeded { limit, max, asked }) } else { Ok(()) }
    }

    /// What was changed so far.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// How many changes were made so far.
    pub fn changes_len(&self) -> usize {
        self.changes.len()
    }

    /// Makes a change, here and in what is returned.
    pub fn edit(&mut self, change: Change) {
        self.state.apply(&change);
        self.changes.push(change);
    }
}
