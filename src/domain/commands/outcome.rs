//! TODO doc

use std::sync::Arc;

use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::model::name::{OrgId, RoleMappingName};
use crate::domain::model::org::OrgRecord;
use crate::domain::model::permission::Permission;
use crate::domain::rules::membership::Member;
use crate::domain::state::project::Project;

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Added,
    Set,
    Removed,
    Unchanged,
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
