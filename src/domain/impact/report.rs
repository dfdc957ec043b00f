//! TODO doc

use crate::domain::model::id::{OrgNo, RoleSetId};
use crate::domain::model::name::{OrgId, PermissionName, RoleMappingName, RoleName, UserId};

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
    pub(super) fn add(&mut self, max: usize, one: impl FnOnce() -> T) {
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
