//! Reduces changes to what checks need, for sidecars.

use std::sync::Arc;

use crate::domain::model::org::{OrgProfile, OrgRecord};
use crate::domain::model::permission::Permission;
use crate::domain::model::project::ProjectRecord;
use crate::domain::model::role::Role;
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::{Change, Edit};

/// Returns a change without the texts for people, or `None` if no check depends on it. Applying the reduced changes of a history
/// makes a State that answers checks as the whole one does.
pub fn reduced(change: Change) -> Option<Change> {
    Some(match change {
        Change::Invitation(_) | Change::OrgDomains(_) | Change::Removal(_) | Change::ApiKey(_) => return None,
        Change::Project(edit) => {
            Change::Project(each(edit, |record| ProjectRecord { display_name: "".into(), ..record }))
        }
        Change::Permission(edit) => {
            Change::Permission(each(edit, |permission| Permission { description: "".into(), ..permission }))
        }
        Change::Role(edit) => Change::Role(each(edit, |role| Role { description: "".into(), ..role })),
        Change::RoleMapping(edit) => {
            Change::RoleMapping(each(edit, |record| RoleMappingRecord { description: "".into(), ..record }))
        }
        Change::Org(edit) => Change::Org(each(edit, |record| {
            let OrgProfile { org_id, create_time, .. } = &*record.profile;
            let (org_id, create_time) = (org_id.clone(), *create_time);
            let profile = OrgProfile { org_id, display_name: "".into(), metadata: "".into(), create_time };
            OrgRecord { profile: Arc::new(profile), ..record }
        })),
        Change::RoleSet(_)
        | Change::Grants(_)
        | Change::Membership(_)
        | Change::Subscription(_)
        | Change::Fallbacks(_)
        | Change::Remap(_)
        | Change::Block(_) => change,
    })
}

fn each<K, V>(edit: Edit<K, V>, reduce: impl Fn(V) -> V) -> Edit<K, V> {
    Edit { key: edit.key, before: edit.before.map(&reduce), after: edit.after.map(&reduce) }
}
