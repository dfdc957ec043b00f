//! The report of R9.

use crate::domain::model::id::{OrgNo, RoleSetId};
use crate::domain::model::name::{OrgId, PermissionName, RoleMappingName, RoleName, UserId};

/// The names are those of `rolecall.v1.Impact`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Impact {
    pub digest: String,
    pub orgs: u64,
    pub members: u64,
    pub invitations: u64,
    pub members_losing_at_least: u64,
    /// In the order of the roles, without unaffected roles.
    pub roles: Vec<RoleImpact>,
    pub grants_gained: Listed<GrantImpact>,
    pub grants_lost: Listed<GrantImpact>,
    /// The role held, and the role asked for.
    pub at_least_lost: Listed<(RoleName, RoleName)>,
    /// The role that manages, and the role that is managed.
    pub manages_lost: Listed<(RoleName, RoleName)>,
    pub orgs_left_ownerless: Listed<OrgId>,
    pub sample: Vec<MemberImpact>,
}

impl Impact {
    /// Returns true if the store must still look up users of the sample.
    pub fn has_unnamed(&self) -> bool {
        self.sample.iter().any(|row| matches!(row.who, Who::SomeOf { .. }))
    }
}

/// A count, and the first items.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    pub total: u64,
    pub first: Vec<T>,
}

impl<T> Listed<T> {
    /// Counts an item, and lists it if fewer than `max` are listed.
    pub(super) fn add(&mut self, max: usize, item: impl FnOnce() -> T) {
        self.total += 1;
        if self.first.len() < max {
            self.first.push(item());
        }
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { total: 0, first: Vec::new() }
    }
}

/// How many members are given a role, lose it, and so on.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleImpact {
    pub role: RoleName,
    pub given: u64,
    pub removed: u64,
    pub suspended: u64,
    pub reactivated: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GrantImpact {
    pub role_mapping: RoleMappingName,
    pub role: RoleName,
    pub permission: PermissionName,
}

/// What one member, or several equal members, gain and lose.
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

/// The members of a row of the sample. Only the database has the ids of users without temporary roles.
#[derive(Clone, Debug, PartialEq)]
pub enum Who {
    Member(UserId),
    /// The first members by user id, at most `at_most`, that had this role set and no temporary role before the write.
    SomeOf {
        role_set: RoleSetId,
        at_most: usize,
    },
}
