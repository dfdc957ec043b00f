//! Reads members: of an org, by role and by permission, and of a user's orgs (B4).
//!
//! Whoever reads for a viewer sees of an org what that member of it may see (I2): every read lets the viewer in anew.

mod sample;
mod select;
mod shown;
mod viewer;

use super::{At, Page, ReadError, Store};
use crate::domain::model::refusal::Noun;
use crate::domain::rules::membership::Member;
use crate::domain::{OrgId, PermissionName, ProjectKey, Revision, RoleName, Time, UserId};
pub use sample::{MemberIds, MembersWith};
use select::Select;
use shown::members;

/// A member, and the commit by which it is as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberRow {
    pub member: Member,
    /// Not said to a viewer: it may be that of an internal role.
    pub revision: Option<Revision>,
}

/// Which members of an org to list.
#[derive(Clone, Debug)]
pub struct ListMembers {
    pub project: ProjectKey,
    pub org_id: OrgId,
    /// Those who hold it, suspended or not or in the place of a suspended one, and whose end has not passed.
    pub role: Option<RoleName>,
    /// Those of whom a live role grants it.
    pub permission: Option<PermissionName>,
    pub after: Option<UserId>,
    pub limit: u32,
    pub now: Time,
    /// The member of the org for whom it is listed; none: all is seen.
    pub viewer: Option<UserId>,
}

impl Store {
    /// A member, as a viewer sees it where one is named.
    pub async fn get_member(
        &self,
        project: &ProjectKey,
        org_id: &OrgId,
        user_id: &UserId,
        now: Time,
        viewer: Option<&UserId>,
    ) -> Result<At<MemberRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let org = snapshot.org(project.id, org_id).await?;
        let mut select = Select::of_org(self.database(), &project, &org, now);
        if let Some(viewer) = viewer {
            snapshot.view(&mut select, &project, &org, viewer).await?;
        }
        select.user(user_id);
        let row = members(&snapshot, &project, select).await?.pop();
        let row = row.ok_or_else(|| ReadError::NotFound(Noun::Member, user_id.to_string()))?;
        Ok(snapshot.at(row).await)
    }

    /// By user id, ascending.
    pub async fn list_members(&self, ask: ListMembers) -> Result<Page<MemberRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(&ask.project).await?;
        let org = snapshot.org(project.id, &ask.org_id).await?;
        let mut select = Select::of_org(self.database(), &project, &org, ask.now);
        if let Some(viewer) = &ask.viewer {
            snapshot.view(&mut select, &project, &org, viewer).await?;
        }
        let places = match (&ask.role, &ask.permission) {
            (None, None) => None,
            _ => Some(snapshot.places(&org, select.visible_only()).await?),
        };
        if let Some((name, places)) = ask.role.as_ref().zip(places.as_ref()) {
            let role = snapshot.role(project.id, name).await?;
            if role.internal && select.visible_only() {
                return Err(ReadError::NotFound(Noun::Role, name.to_string()));
            }
            select.holding(role.id, places);
        }
        if let Some((name, places)) = ask.permission.as_ref().zip(places.as_ref()) {
            let permission = snapshot.permission(project.id, name).await?;
            let granting = snapshot.granting(&org, places, permission.id).await?;
            select.permitted(&project, &org, permission.id, places, &granting);
        }
        if let Some(after) = &ask.after {
            select.after("m.user_id", after.as_str());
        }
        select.page("m.user_id", ask.limit);
        let rows = members(&snapshot, &project, select).await?;
        Ok(snapshot.page(rows, ask.limit).await)
    }

    /// By org id, ascending.
    pub async fn list_user_memberships(
        &self,
        project: &ProjectKey,
        user_id: &UserId,
        after: Option<OrgId>,
        limit: u32,
        now: Time,
    ) -> Result<Page<MemberRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let mut select = Select::of_user(self.database(), &project, user_id, now);
        if let Some(after) = after {
            select.after("o.org_id", after.as_str());
        }
        select.page("o.org_id", limit);
        let rows = members(&snapshot, &project, select).await?;
        Ok(snapshot.page(rows, limit).await)
    }
}
