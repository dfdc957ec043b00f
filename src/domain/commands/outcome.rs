//! The outcomes of accepted commands.

use std::sync::Arc;

use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::model::invitation::InvitationId;
use crate::domain::model::name::{OrgId, RoleMappingName, RoleName, UserId};
use crate::domain::model::org::OrgRecord;
use crate::domain::model::permission::Permission;
use crate::domain::model::refusal::Refusal;
use crate::domain::model::user::Block;
use crate::domain::rules::api_key::ShownApiKey;
use crate::domain::rules::configuration::{Object, Step};
use crate::domain::rules::invitation::Invitation;
use crate::domain::rules::membership::Member;
use crate::domain::rules::org_domain::ShownDomain;
use crate::domain::state::project::Project;

/// The effect of one row of a bulk write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowEffect {
    Added,
    Set,
    Removed,
    Unchanged,
}

#[derive(Clone)]
pub enum Outcome {
    Project(Arc<Project>),
    Permission(Permission),
    PermissionsCreated(usize),
    Role(Arc<Project>, RoleId),
    RolesCreated(usize),
    RoleMapping(Arc<Project>, RoleMappingId),
    Org(Arc<Project>, OrgRecord),
    Subscription {
        org_id: OrgId,
        role_mapping: RoleMappingName,
    },
    Member(Member),
    Removed,
    /// A user, and the block if the user is blocked.
    User(UserId, Option<Block>),
    /// The e-mail domains of an org.
    OrgDomains(Vec<ShownDomain>),
    /// A member by an e-mail domain, and the roles of the domain that are disabled in the org.
    Provisioned(Member, Vec<RoleName>),
    Tally(Tally),
    /// How many dependents of the deleted record were deleted or moved with it.
    Deleted(u64),
    RolesReordered(Arc<Project>),
    OrgsSubscribed {
        moved: usize,
        unchanged: usize,
    },
    Invitation(Invitation),
    /// For each row of a batch its id, or why it is refused.
    Invitations(Vec<Result<InvitationId, Refusal>>),
    ApiKey(ShownApiKey),
    Configuration(Applied),
    /// How many records were purged. 0 if another server purged them first.
    Purged(usize),
}

/// An applied configuration.
#[derive(Clone, Debug)]
pub struct Applied {
    pub steps: Arc<[Step]>,
    /// What exists and the configuration does not name.
    pub unmanaged: Arc<[Object]>,
    /// The etag of the configuration afterwards.
    pub etag: String,
}

/// Counts the effects of the rows of a bulk write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub added: usize,
    pub set: usize,
    pub removed: usize,
    pub unchanged: usize,
}

impl Tally {
    pub(super) fn count(&mut self, effect: RowEffect) {
        match effect {
            RowEffect::Added => self.added += 1,
            RowEffect::Set => self.set += 1,
            RowEffect::Removed => self.removed += 1,
            RowEffect::Unchanged => self.unchanged += 1,
        }
    }
}
