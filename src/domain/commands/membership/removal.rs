//! Records whom somebody else removed from an org, so that a domain does not bring them back (J3).

use crate::domain::commands::draft::Draft;
use crate::domain::model::name::UserId;
use crate::domain::state::change::{Change, Edit, MembershipKey};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

pub fn record(draft: &mut Draft<'_>, project: &Project, org: &Org, user: &UserId) {
    if !project.was_removed(org, user) {
        let key = MembershipKey { project: project.id, org: org.no, user: user.clone() };
        draft.edit(Change::Removal(Edit { key, before: None, after: Some(()) }));
    }
}

/// Forgets a removal: the user was added or invited again.
pub fn forget(draft: &mut Draft<'_>, project: &Project, org: &Org, user: &UserId) {
    if project.was_removed(org, user) {
        let key = MembershipKey { project: project.id, org: org.no, user: user.clone() };
        draft.edit(Change::Removal(Edit { key, before: Some(()), after: None }));
    }
}
