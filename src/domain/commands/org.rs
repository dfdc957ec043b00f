//! Creates, updates and deletes orgs (S1, S4, S5).

use std::sync::Arc;

use crate::domain::commands::command::{CreateOrg, DeleteOrg, UpdateOrg};
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::role_set;
use crate::domain::model::id::OrgNo;
use crate::domain::model::lifecycle::Lifecycle;
use crate::domain::model::membership::{MembershipRecord, Origin};
use crate::domain::model::name::UserId;
use crate::domain::model::org::{OrgProfile, OrgRecord};
use crate::domain::model::permission::{CAN_DELETE_ORG, CAN_UPDATE_ORG_METADATA};
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::role_set::RoleSet;
use crate::domain::rules::delegation::Acting;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::change::{Change, Edit, MembershipKey, Scoped};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// Creates an org, subscribed to the given mapping or the present default one (S1).
pub fn create(draft: &mut Draft<'_>, command: &CreateOrg) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    if project.org(command.org_id.as_str()).is_some() {
        return Err(Refusal::AlreadyExists(Noun::Org, command.org_id.to_string()));
    }
    if project.was_deleted(command.org_id.as_str()) && !command.reuse_deleted_id {
        return Err(Refusal::Retired(Noun::Org, command.org_id.to_string()));
    }
    let named = command.role_mapping.as_ref().map(|name| project.role_mapping(name)).transpose()?;
    let record = OrgRecord {
        profile: Arc::new(OrgProfile {
            org_id: command.org_id.clone(),
            display_name: command.display_name.as_str().into(),
            metadata: command.metadata.as_str().into(),
            create_time: draft.commit_time(),
        }),
        role_mapping: named.unwrap_or(project.record.default_role_mapping),
        lifecycle: Lifecycle::Existing,
    };
    let key = Scoped { project: project.id, id: project.next_org() };
    draft.edit(Change::Org(Edit { key, before: None, after: Some(record.clone()) }));
    if let Some(creator) = &command.creator {
        if project.is_user_blocked(creator) {
            return Err(Refusal::UserNotAvailable(creator.clone()));
        }
        add_owner(draft, &project, key.id, creator)?;
    }
    Ok(Outcome::Org(project, record))
}

/// Makes the creator of an org its owner (S4).
fn add_owner(draft: &mut Draft<'_>, project: &Project, org: OrgNo, creator: &UserId) -> Result<(), Refusal> {
    let roles = RoleSet::new([project.record.default_owner_role]);
    let role_set = role_set::intern(draft, project.id, roles)?;
    let record = MembershipRecord { role_set, origin: Origin::Creator, temporary: [].into(), origins: [].into() };
    let key = MembershipKey { project: project.id, org, user: creator.clone() };
    draft.edit(Change::Membership(Edit { key, before: None, after: Some(record) }));
    Ok(())
}

pub fn update(draft: &mut Draft<'_>, command: &UpdateOrg) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    check_acting_user(draft, &project, org, CAN_UPDATE_ORG_METADATA)?;
    let before = &org.record;
    let profile = OrgProfile {
        display_name: command.display_name.as_deref().map_or_else(|| before.profile.display_name.clone(), Into::into),
        metadata: command.metadata.as_deref().map_or_else(|| before.profile.metadata.clone(), Into::into),
        ..OrgProfile::clone(&before.profile)
    };
    if profile == *before.profile {
        return Ok(Outcome::Org(project.clone(), before.clone()));
    }
    let after = OrgRecord { profile: Arc::new(profile), ..before.clone() };
    let key = Scoped { project: project.id, id: org.no };
    draft.edit(Change::Org(Edit { key, before: Some(before.clone()), after: Some(after.clone()) }));
    Ok(Outcome::Org(project.clone(), after))
}

/// Refuses an acting user without the ability (G1).
fn check_acting_user(draft: &Draft<'_>, project: &Project, org: &Org, permission: &'static str) -> Result<(), Refusal> {
    Acting::with_ability(project, org, draft.acting_user().as_ref(), permission, draft.now()).map(drop)
}

/// Deletes an org. It is marked as deleted and unreachable; its memberships are purged afterwards (S5).
pub fn delete(draft: &mut Draft<'_>, command: &DeleteOrg) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    check_acting_user(draft, &project, org, CAN_DELETE_ORG)?;
    let before = org.record.clone();
    let after = OrgRecord { lifecycle: Lifecycle::Deleted(draft.commit_time()), ..before.clone() };
    let key = Scoped { project: project.id, id: org.no };
    draft.edit(Change::Org(Edit { key, before: Some(before), after: Some(after) }));
    let visibility = Visibility::of(draft.acting_user().as_ref());
    Ok(Outcome::Deleted(project.members_len(org, visibility)))
}
