//! What is deleted with all that hangs on it: marked dead at once, erased in chunks afterwards (S5, P6).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::{GrantsKey, MembershipKey};
use super::command::Erase;
use super::decide::{Draft, Outcome};
use super::id::{OrgNo, RoleSetId};
use super::org::{Org, OrgProfile, OrgRecord};
use super::permission::Permission;
use super::permission_set::PermissionSet;
use super::project::{Project, ProjectRecord};
use super::refusal::Refusal;
use super::role::Role;
use super::role_set::RoleSet;
use super::{Change, Edit, Scoped, Time, stand_in};
use crate::limits::ERASE_ROWS_MAX;

/// Whether a project or an org is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    #[default]
    Living,
    /// Deleted at that instant: nothing in it can be reached, and it is being erased.
    Dead(Time),
    /// Deleted at that instant, and nothing is left of it but its id, which stays taken.
    Erased(Time),
}

impl Life {
    pub fn is_living(self) -> bool {
        self == Self::Living
    }

    /// When it was deleted.
    pub fn dead_at(self) -> Option<Time> {
        match self {
            Self::Living => None,
            Self::Dead(at) | Self::Erased(at) => Some(at),
        }
    }

    /// Whether it is deleted and something of it is left.
    pub fn is_dying(self) -> bool {
        matches!(self, Self::Dead(_))
    }

    pub fn is_erased(self) -> bool {
        matches!(self, Self::Erased(_))
    }

    /// Takes over what is stored.
    pub fn stored(dead_at: Option<Time>, erased: bool) -> Self {
        match dead_at {
            None => Self::Living,
            Some(at) if erased => Self::Erased(at),
            Some(at) => Self::Dead(at),
        }
    }
}

impl Project {
    /// Whether the project itself is dead and not erased.
    pub fn is_dying(&self) -> bool {
        self.record.life.is_dying()
    }

    /// The dead orgs that are not erased.
    pub fn dying_orgs(&self) -> &BTreeSet<OrgNo> {
        &self.dying_orgs
    }

    /// The role sets without roles, whose members are to be erased.
    pub fn dying_sets(&self) -> &BTreeSet<RoleSetId> {
        &self.dying_sets
    }

    /// Whether anything in it is to be erased.
    pub fn has_dying(&self) -> bool {
        self.is_dying() || !self.dying_orgs.is_empty() || !self.dying_sets.is_empty()
    }

    /// Whether a membership is of something dead.
    fn is_dead(&self, org: &Org, set: RoleSetId) -> bool {
        !self.record.life.is_living() || !org.record.life.is_living() || self.dying_sets.contains(&set)
    }
}

/// Erases memberships of what is dead, and once there are none, what they hung on. What is not dead stays, whatever the
/// command names.
pub fn erase(draft: &mut Draft<'_>, command: &Erase) -> Result<Outcome, Refusal> {
    let Some(project) = draft.state().project_numbered(command.project).cloned() else { return Ok(Outcome::Erased(0)) };
    // Each once, however often it is named.
    for (no, user) in command.members.iter().collect::<BTreeSet<_>>() {
        let Some(org) = project.org_numbered(*no) else { continue };
        let record = project.membership(org, user);
        if let Some(before) = record.filter(|record| project.is_dead(org, record.role_set)) {
            let key = MembershipKey { project: project.id, org: *no, user: user.clone() };
            draft.edit(Change::Membership(Edit { key, before: Some(before), after: None }));
        }
    }
    if command.last {
        let project = draft.again(&project)?;
        erase_orgs(draft, &project);
        erase_sets(draft, &project);
        if project.is_dying() && project.dying_orgs.is_empty() {
            erase_project(draft, &project);
        }
    }
    Ok(Outcome::Erased(draft.changes_len()))
}

/// Of an org the number and the id stay.
fn erase_orgs(draft: &mut Draft<'_>, project: &Project) {
    for &no in project.dying_orgs.iter().take(ERASE_ROWS_MAX) {
        let Some(org) = project.org_numbered(no).filter(|org| org.memberships_len() == 0) else { continue };
        stand_in::set(draft, project, org, Vec::new());
        let before = org.record.clone();
        let profile = OrgProfile { display_name: "".into(), metadata: "".into(), ..OrgProfile::clone(&before.profile) };
        let dead_at = before.life.dead_at().unwrap_or(draft.now());
        let after = OrgRecord { profile: Arc::new(profile), life: Life::Erased(dead_at), ..before.clone() };
        let key = Scoped { project: project.id, id: no };
        draft.edit(Change::Org(Edit { key, before: Some(before), after: Some(after) }));
    }
}

fn erase_sets(draft: &mut Draft<'_>, project: &Project) {
    if project.dying_sets.is_empty() {
        return;
    }
    for &id in project.dying_sets.difference(&project.used_role_sets()) {
        let before = project.role_sets.get(id).map(|set| RoleSet::clone(set));
        draft.edit(Change::RoleSet(Edit { key: Scoped { project: project.id, id }, before, after: None }));
    }
}

/// Erases a part of a dead project, in the order in which things hang on each other; of the project itself the key stays.
fn erase_project(draft: &mut Draft<'_>, project: &Project) {
    // Whatever the caller believes: memberships hang on all the rest.
    if project.memberships_len() > 0 {
        return;
    }
    let mut rows = 0;
    for (change, weight) in remains(project) {
        if rows >= ERASE_ROWS_MAX {
            return;
        }
        rows += weight.max(1);
        draft.edit(change);
    }
    let before = ProjectRecord::clone(&project.record);
    let dead_at = before.life.dead_at().unwrap_or(draft.now());
    let after = ProjectRecord { display_name: "".into(), life: Life::Erased(dead_at), ..before.clone() };
    draft.edit(Change::Project(Edit { key: project.id, before: Some(before), after: Some(after) }));
}

/// What takes away all that is left in a project, and how many rows each change costs.
fn remains(project: &Project) -> impl Iterator<Item = (Change, usize)> {
    let in_project = project.id;
    let mut orgs = Vec::new();
    project.for_each_org(|org| orgs.push(org));
    project.for_each_dead_org(|org| orgs.push(org));
    let orgs = orgs.into_iter().flat_map(move |org| {
        let key = Scoped { project: in_project, id: org.no };
        let stand_ins = org.stand_ins.clone();
        let weight = stand_ins.as_deref().map_or(0, <[_]>::len);
        let stand_ins =
            stand_ins.map(|before| (Change::StandIns(Edit { key, before: Some(before), after: None }), weight));
        stand_ins.into_iter().chain([(Change::Org(Edit { key, before: Some(org.record.clone()), after: None }), 1)])
    });
    let sets = project.role_sets.entries().map(move |(id, set)| {
        let key = Scoped { project: in_project, id };
        (Change::RoleSet(Edit { key, before: Some(RoleSet::clone(set)), after: None }), set.roles.len())
    });
    let mappings = project.role_mappings.entries().flat_map(move |(role_mapping, mapping)| {
        let rows = mapping.rows.entries().map(move |(role, row)| {
            let key = GrantsKey { project: in_project, role_mapping, role };
            (Change::Grants(Edit { key, before: Some(PermissionSet::clone(row)), after: None }), row.len())
        });
        let key = Scoped { project: in_project, id: role_mapping };
        let before = Some(mapping.record.clone());
        rows.chain(std::iter::once_with(move || (Change::RoleMapping(Edit { key, before, after: None }), 1)))
    });
    let roles = project.roles.entries().map(move |(id, role)| {
        let key = Scoped { project: in_project, id };
        (Change::Role(Edit { key, before: Some(Role::clone(role)), after: None }), 1)
    });
    let permissions = project.permissions.entries().map(move |(id, permission)| {
        let key = Scoped { project: in_project, id };
        (Change::Permission(Edit { key, before: Some(Permission::clone(permission)), after: None }), 1)
    });
    orgs.chain(sets).chain(mappings).chain(roles).chain(permissions)
}
