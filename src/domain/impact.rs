//! What a write does to those whom it touches: the report that a dry run and the real call both carry (R9). It is made by
//! comparing the project before the write with the project after it, whatever the write was.

mod at_least;
mod digest;
mod effect;
mod members;
mod roles;
mod scope;

use std::cell::OnceCell;

use super::id::{OrgNo, ProjectId, RoleId, RoleSetId};
use super::membership::Visibility;
use super::name::{OrgId, PermissionName, RoleMappingName, RoleName, UserId};
use super::project::Project;
use super::{Change, State, Time};
use at_least::Hierarchy;
use scope::Scope;

/// The report. Its words are those of `rolecall.v1.Impact`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Impact {
    pub digest: String,
    pub orgs: u64,
    pub members: u64,
    pub members_losing_at_least: u64,
    /// In the order of the roles; those of which nothing becomes are left out.
    pub roles: Vec<RoleImpact>,
    pub grants_gained: Listed<GrantImpact>,
    pub grants_lost: Listed<GrantImpact>,
    /// The role that somebody holds, and the one asked for.
    pub at_least_lost: Listed<(RoleName, RoleName)>,
    /// The role that manages, and the one that is managed.
    pub manages_lost: Listed<(RoleName, RoleName)>,
    pub orgs_left_ownerless: Listed<OrgId>,
    pub sample: Vec<MemberImpact>,
}

impl Impact {
    /// Whether some of the sample are yet to be named.
    pub fn has_unnamed(&self) -> bool {
        self.sample.iter().any(|row| matches!(row.who, Who::SomeOf { .. }))
    }
}

/// How many there are, and the first of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    pub total: u64,
    pub first: Vec<T>,
}

impl<T> Listed<T> {
    /// Counts one more, and lists it if it is one of the first.
    fn add(&mut self, max: usize, one: impl FnOnce() -> T) {
        self.total += 1;
        if self.first.len() < max {
            self.first.push(one());
        }
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { total: 0, first: Vec::new() }
    }
}

/// What becomes of one role: of how many members.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleImpact {
    pub role: RoleName,
    pub given: u64,
    pub removed: u64,
    pub suspended: u64,
    pub reactivated: u64,
}

/// That a role grants a permission in a role mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantImpact {
    pub role_mapping: RoleMappingName,
    pub role: RoleName,
    pub permission: PermissionName,
}

/// What one member gains and loses, or some members alike.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberImpact {
    pub org: OrgNo,
    pub org_id: OrgId,
    pub who: Who,
    pub roles_given: Vec<RoleName>,
    pub roles_removed: Vec<RoleName>,
    pub roles_suspended: Vec<RoleName>,
    pub roles_reactivated: Vec<RoleName>,
    pub permissions_gained: Listed<PermissionName>,
    pub permissions_lost: Listed<PermissionName>,
}

/// Whom a row of the sample is about. The ids of users are in the database alone, save where roles end.
#[derive(Clone, Debug, PartialEq)]
pub enum Who {
    Member(UserId),
    /// As many as this of those who had this role set before the write, and no role that ends: the first by user id.
    SomeOf {
        role_set: RoleSetId,
        at_most: usize,
    },
}

/// What is compared, and how it is looked at.
struct Sides<'a> {
    before: Option<&'a Project>,
    after: Option<&'a Project>,
    /// For an acting user nothing internal is there.
    visibility: Visibility,
    now: Time,
    /// Whether roles that were there are in another order now, or the structure is another.
    reordered: bool,
    /// Looked up once, where a member may lose a check.
    hierarchy: OnceCell<Hierarchy>,
}

/// Compares two states, of which the changes led from one to the other.
pub fn impact(before: &State, after: &State, changes: &[Change], visibility: Visibility, now: Time) -> Impact {
    let mut impact = Impact::default();
    let mut marks = digest::Marks::default();
    if visibility == Visibility::VisibleOnly {
        // What an acting user is told says less: it is another report, also where it says the same.
        marks.add(digest::Kind::Visible, &[]);
    }
    if let Some(project) = changes.first().map(Change::project) {
        let (before, after) = (existing(before, project), existing(after, project));
        let scope = Scope::of(changes);
        let mut sides = Sides { before, after, visibility, now, reordered: false, hierarchy: OnceCell::new() };
        sides.reordered = scope.roles && sides.is_reordered();
        members::count(&sides, &scope, &mut impact, &mut marks);
        [impact.grants_gained, impact.grants_lost] = roles::grants(&sides, changes, &mut marks);
        if scope.roles {
            impact.at_least_lost = roles::at_least_lost(&sides, &mut marks);
            impact.manages_lost = roles::manages_lost(&sides, &mut marks);
        }
    }
    impact.digest = digest::digest(&impact, &marks);
    impact
}

fn existing(state: &State, project: ProjectId) -> Option<&Project> {
    state.project_numbered(project).map(AsRef::as_ref).filter(|project| project.record.lifecycle.exists())
}

impl Sides<'_> {
    fn is_reordered(&self) -> bool {
        let (Some(before), Some(after)) = (self.before, self.after) else { return false };
        let there = |project: &Project, role: RoleId| project.roles.get(role).is_some();
        let was = before.role_order.iter().filter(|&&role| there(after, role));
        let is = after.role_order.iter().filter(|&&role| there(before, role));
        before.record.role_structure != after.record.role_structure || !was.eq(is)
    }
}
