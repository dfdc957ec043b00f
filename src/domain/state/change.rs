//! Changes: an accepted command becomes a list of changes, and nothing else alters a [`super::State`].

use std::sync::Arc;

use crate::domain::model::api_key::{ApiKey, ApiKeyId};
use crate::domain::model::fallback::Fallbacks;
use crate::domain::model::id::{OrgNo, PermissionId, ProjectId, RoleId, RoleMappingId, RoleSetId};
use crate::domain::model::invitation::{InvitationId, InvitationRecord};
use crate::domain::model::membership::MembershipRecord;
use crate::domain::model::name::UserId;
use crate::domain::model::org::OrgRecord;
use crate::domain::model::org_domain::OrgDomains;
use crate::domain::model::permission::{Permission, PermissionSet};
use crate::domain::model::project::ProjectRecord;
use crate::domain::model::role::Role;
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::user::Block;

/// A value before and after. `None` before creates it, `None` after deletes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit<K, V> {
    pub key: K,
    pub before: Option<V>,
    pub after: Option<V>,
}

/// An id and its project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scoped<I> {
    pub project: ProjectId,
    pub id: I,
}

/// The row of a role in a role mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantsKey {
    pub project: ProjectId,
    pub role_mapping: RoleMappingId,
    pub role: RoleId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MembershipKey {
    pub project: ProjectId,
    pub org: OrgNo,
    pub user: UserId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InvitationKey {
    pub project: ProjectId,
    pub org: OrgNo,
    pub id: InvitationId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey {
    pub project: ProjectId,
    pub user: UserId,
}

/// One change. It is complete: undoing it needs no other data.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Project(Edit<ProjectId, ProjectRecord>),
    Permission(Edit<Scoped<PermissionId>, Permission>),
    Role(Edit<Scoped<RoleId>, Role>),
    RoleSet(Edit<Scoped<RoleSetId>, RoleSet>),
    RoleMapping(Edit<Scoped<RoleMappingId>, RoleMappingRecord>),
    /// `before` has only what the row loses, `after` only what it gains: a row may have 50,000 permissions and change
    /// by one.
    Grants(Edit<GrantsKey, PermissionSet>),
    Org(Edit<Scoped<OrgNo>, OrgRecord>),
    Membership(Edit<MembershipKey, MembershipRecord>),
    /// Moves an org to another role mapping. It is small, since deleting a mapping may move a million orgs.
    Subscription(Edit<Scoped<OrgNo>, RoleMappingId>),
    /// Replaces the fallback roles of an org (M7). `None` means that it has none.
    Fallbacks(Edit<Scoped<OrgNo>, Fallbacks>),
    /// Replaces role sets of the members and pending invitations of an org: each set of `before` by the set at the same
    /// place in `after`.
    /// Members with temporary roles keep theirs. Only the commit that creates a set of `after` gives it to members, so
    /// that the change can be undone.
    Remap(Edit<Scoped<OrgNo>, Arc<[RoleSetId]>>),
    /// An accepted or revoked invitation does not change, and only the database has it.
    Invitation(Edit<InvitationKey, InvitationRecord>),
    /// Blocks or unblocks a user (U1).
    Block(Edit<UserKey, Block>),
    /// Creates or archives an API key (W6).
    ApiKey(Edit<Scoped<ApiKeyId>, Arc<ApiKey>>),
    /// Replaces the e-mail domains of an org (J1). `None` means that it has none.
    OrgDomains(Edit<Scoped<OrgNo>, OrgDomains>),
    /// Records that somebody else removed a user from an org, or forgets it (J3).
    Removal(Edit<MembershipKey, ()>),
}

impl<K, V> Edit<K, V> {
    fn undone(self) -> Self {
        Self { key: self.key, before: self.after, after: self.before }
    }
}

impl Change {
    /// Returns the inverse change.
    pub fn undone(self) -> Self {
        match self {
            Self::Project(edit) => Self::Project(edit.undone()),
            Self::Permission(edit) => Self::Permission(edit.undone()),
            Self::Role(edit) => Self::Role(edit.undone()),
            Self::RoleSet(edit) => Self::RoleSet(edit.undone()),
            Self::RoleMapping(edit) => Self::RoleMapping(edit.undone()),
            Self::Grants(edit) => Self::Grants(edit.undone()),
            Self::Org(edit) => Self::Org(edit.undone()),
            Self::Membership(edit) => Self::Membership(edit.undone()),
            Self::Subscription(edit) => Self::Subscription(edit.undone()),
            Self::Fallbacks(edit) => Self::Fallbacks(edit.undone()),
            Self::Remap(edit) => Self::Remap(edit.undone()),
            Self::Invitation(edit) => Self::Invitation(edit.undone()),
            Self::Block(edit) => Self::Block(edit.undone()),
            Self::ApiKey(edit) => Self::ApiKey(edit.undone()),
            Self::OrgDomains(edit) => Self::OrgDomains(edit.undone()),
            Self::Removal(edit) => Self::Removal(edit.undone()),
        }
    }

    pub fn project(&self) -> ProjectId {
        match self {
            Self::Project(edit) => edit.key,
            Self::Permission(edit) => edit.key.project,
            Self::Role(edit) => edit.key.project,
            Self::RoleSet(edit) => edit.key.project,
            Self::RoleMapping(edit) => edit.key.project,
            Self::Grants(edit) => edit.key.project,
            Self::Org(edit) => edit.key.project,
            Self::Membership(edit) => edit.key.project,
            Self::Subscription(edit) => edit.key.project,
            Self::Fallbacks(edit) => edit.key.project,
            Self::Remap(edit) => edit.key.project,
            Self::Invitation(edit) => edit.key.project,
            Self::Block(edit) => edit.key.project,
            Self::ApiKey(edit) => edit.key.project,
            Self::OrgDomains(edit) => edit.key.project,
            Self::Removal(edit) => edit.key.project,
        }
    }

    pub fn org(&self) -> Option<OrgNo> {
        match self {
            Self::Org(edit) => Some(edit.key.id),
            Self::Membership(edit) => Some(edit.key.org),
            Self::Subscription(edit) => Some(edit.key.id),
            Self::Fallbacks(edit) => Some(edit.key.id),
            Self::Remap(edit) => Some(edit.key.id),
            Self::Invitation(edit) => Some(edit.key.org),
            Self::OrgDomains(edit) => Some(edit.key.id),
            Self::Removal(edit) => Some(edit.key.org),
            _ => None,
        }
    }

    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Membership(edit) => Some(&edit.key.user),
            Self::Removal(edit) => Some(&edit.key.user),
            Self::Block(edit) => Some(&edit.key.user),
            _ => None,
        }
    }
}
