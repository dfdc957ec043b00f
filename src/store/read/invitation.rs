//! Reads accepted and revoked invitations, as they were at the revision of a State. Pending ones are in the State.

use sea_orm::QueryResult;

use super::past::Past;
use crate::domain::model::email::EmailAddress;
use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::model::invitation::{InvitationId, InvitationRecord, Settled, Stage};
use crate::domain::{Revision, Time, UserId};
use crate::store::connect::LONG_MAX;
use crate::store::ids::{number, revision_number, roles, unreadable};
use crate::store::sql::Sql;
use crate::store::{Store, StoreError};

/// Which accepted and revoked invitations of an org to read.
#[derive(Clone, Copy, Debug)]
pub struct SettledInvitations {
    /// The revision of the State that the project and the org are from.
    pub at: Revision,
    pub project: ProjectId,
    pub org: OrgNo,
}

impl Store {
    /// Returns an accepted or revoked invitation.
    pub async fn settled_invitation(
        &self,
        ask: SettledInvitations,
        id: InvitationId,
    ) -> Result<Option<InvitationRecord>, StoreError> {
        let found = self.settled_invitations(ask, id, "=", 1).await?;
        Ok(found.into_iter().next().map(|(_, record)| record))
    }

    /// Returns accepted and revoked invitations after this one, by ascending id.
    pub async fn settled_invitations_after(
        &self,
        ask: SettledInvitations,
        after: Option<InvitationId>,
        limit: u32,
    ) -> Result<Vec<(InvitationId, InvitationRecord)>, StoreError> {
        self.settled_invitations(ask, after.unwrap_or(InvitationId(0)), ">", limit).await
    }

    async fn settled_invitations(
        &self,
        ask: SettledInvitations,
        id: InvitationId,
        compared: &str,
        limit: u32,
    ) -> Result<Vec<(InvitationId, InvitationRecord)>, StoreError> {
        let read = async {
            let past = Past::at(self, ask.at).await?;
            let mut sql = Sql::default();
            let (project, org) = (sql.bind(number(ask.project)), sql.bind(number(ask.org)));
            let (id, at) = (sql.bind(id.to_string()), sql.bind(revision_number(ask.at.number)));
            // One that was accepted or revoked later is pending in the State.
            sql.push(&format!(
                "SELECT id, email, inviter, create_time, expire_time, settled_at, accepted_by, roles FROM invitations
                 WHERE project = {project} AND org = {org} AND id {compared} {id}
                 AND settled_at IS NOT NULL AND revision <= {at} ORDER BY project, org, id LIMIT {limit}"
            ));
            let rows = past.rows(sql).await?;
            past.end().await;
            rows.iter().map(settled).collect()
        };
        self.answered(LONG_MAX, read).await
    }
}

fn settled(row: &QueryResult) -> Result<(InvitationId, InvitationRecord), StoreError> {
    let id: String = row.try_get_by_index(0)?;
    let id = InvitationId::parse(&id).ok_or_else(|| unreadable("an invitation with a malformed id"))?;
    let record = InvitationRecord {
        email: EmailAddress::stored(row.try_get_by_index::<String>(1)?),
        inviter: row.try_get_by_index::<Option<String>>(2)?.map(UserId::stored),
        create_time: Time(row.try_get_by_index(3)?),
        expire_time: Time(row.try_get_by_index(4)?),
        stage: Stage::Settled(Settled {
            at: Time(row.try_get_by_index(5)?),
            user: row.try_get_by_index::<Option<String>>(6)?.map(UserId::stored),
            roles: roles(&row.try_get_by_index::<String>(7)?)?.into(),
        }),
    };
    Ok((id, record))
}
