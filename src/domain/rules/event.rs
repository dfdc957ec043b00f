//! What the events of the audit show (A1).

use crate::domain::model::id::{OrgNo, PermissionId, RoleId, RoleMappingId, RoleSetId};
use crate::domain::model::project::ProjectRecord;
use crate::domain::model::role::Role;
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::state::change::Change;

/// What changes name by a number that is unique in its project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    Permission(PermissionId),
    Role(RoleId),
    RoleSet(RoleSetId),
    RoleMapping(RoleMappingId),
    Org(OrgNo),
}

/// Returns the object that is created, changed or deleted. `None` for changes of other nouns.
pub fn object(change: &Change) -> Option<Object> {
    match change {
        Change::Permission(edit) => Some(Object::Permission(edit.key.id)),
        Change::Role(edit) => Some(Object::Role(edit.key.id)),
        Change::RoleSet(edit) => Some(Object::RoleSet(edit.key.id)),
        Change::RoleMapping(edit) => Some(Object::RoleMapping(edit.key.id)),
        Change::Org(edit) => Some(Object::Org(edit.key.id)),
        _ => None,
    }
}

/// Returns false for the service's own bookkeeping: versions, ranks (which are shown as one order), the purge of what was
/// deleted before, and role sets that are created or dropped. A changed role set is shown: it changes the roles of members.
pub fn is_shown(change: &Change) -> bool {
    match change {
        Change::RoleSet(edit) => match (&edit.before, &edit.after) {
            (Some(before), Some(after)) => before.roles != after.roles,
            _ => false,
        },
        Change::Role(edit) => match (&edit.before, &edit.after) {
            (Some(before), Some(after)) => {
                let Role { rank, version, .. } = *after;
                Role { rank, version, ..before.clone() } != *after
            }
            _ => true,
        },
        Change::Org(edit) => [&edit.before, &edit.after].into_iter().flatten().any(|record| record.lifecycle.exists()),
        Change::Project(edit) => match (&edit.before, &edit.after) {
            (Some(before), _) if !before.lifecycle.exists() => false,
            (Some(before), Some(after)) => {
                let ProjectRecord { version, role_order_version, .. } = *after;
                ProjectRecord { version, role_order_version, ..before.clone() } != *after
            }
            _ => true,
        },
        Change::RoleMapping(edit) => match (&edit.before, &edit.after) {
            (Some(before), Some(after)) => RoleMappingRecord { version: after.version, ..before.clone() } != *after,
            _ => true,
        },
        _ => true,
    }
}
