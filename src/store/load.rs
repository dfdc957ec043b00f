//! Loads the whole State in one snapshot. Every row is applied as the change that would have created it.

mod catalogue;
mod memberships;

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::head::newest_revisions;
use super::ids::{environment, id, unreadable};
use super::read::snapshot::Snapshot;
use super::rows::each;
use super::{Database, Store, StoreError};
use crate::domain::collections::hash::HashKey;
use crate::domain::model::api_key::{ApiKey, ApiKeyId, ApiKeyScope};
use crate::domain::model::email::{EmailAddress, EmailDomain};
use crate::domain::model::fallback::Fallback;
use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::model::invitation::{InvitationId, InvitationRecord, Stage};
use crate::domain::model::org::{OrgProfile, OrgRecord};
use crate::domain::model::org_domain::OrgDomain;
use crate::domain::model::user::Block;
use crate::domain::state::Counters;
use crate::domain::state::change::{InvitationKey, MembershipKey, UserKey};
use crate::domain::{Change, Edit, OrgId, Revision, Scoped, State, Time, UserId};
use catalogue::{Aliases, grants, permissions, projects, role_mappings, role_sets, roles};

impl Store {
    /// Returns the State at the newest revision. Its hashes use `hash_key`.
    pub async fn load(&self, hash_key: HashKey) -> Result<State, StoreError> {
        let snapshot = self.whole_snapshot().await?;
        let (mut state, counters) = read_checked(&snapshot.tx, State::new(hash_key)).await?;
        invitations(&snapshot.tx, &mut state).await?;
        api_keys(&snapshot.tx, &mut state).await?;
        org_domains(&snapshot.tx, &mut state).await?;
        removals(&snapshot.tx, &mut state).await?;
        for (project, counters) in counters {
            state.restore_counters(project, &counters);
        }
        state.set_revision(snapshot.revision);
        snapshot.end().await;
        Ok(state)
    }

    /// Gives `sink` the changes that make what checks need. Returns it, with the revision of all changes and at most `past`
    /// revisions before it, oldest first.
    pub async fn export<S: Sink>(&self, sink: S, past: u32) -> Result<(S, Revision, Vec<Revision>), StoreError> {
        let snapshot = self.whole_snapshot().await?;
        let (sink, _) = read_checked(&snapshot.tx, sink).await?;
        let mut revisions = newest_revisions(&snapshot.tx, past.saturating_add(1)).await?;
        let revision = snapshot.revision;
        revisions.retain(|past| past.number < revision.number);
        snapshot.end().await;
        Ok((sink, revision, revisions))
    }

    /// Begins to read whole tables.
    pub(in crate::store) async fn whole_snapshot(&self) -> Result<Snapshot, StoreError> {
        let snapshot = self.snapshot().await?;
        if self.database() == Database::Postgres {
            // A large table takes longer than a statement of a list may. And a backup may wait for a slow disk.
            let settings = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
                SET LOCAL tcp_user_timeout = 0";
            snapshot.tx.execute_unprepared(settings).await?;
        }
        Ok(snapshot)
    }
}

/// Takes the changes that would have created all rows.
pub trait Sink: Send + 'static {
    fn take(&mut self, change: Change) -> Result<(), StoreError>;

    /// Called after all rows of role mappings.
    fn after_grants(&mut self) {}
}

impl Sink for State {
    fn take(&mut self, change: Change) -> Result<(), StoreError> {
        self.apply(&change);
        Ok(())
    }

    fn after_grants(&mut self) {
        self.share_rows();
    }
}

/// Reads what checks need.
async fn read_checked<S: Sink>(
    tx: &DatabaseTransaction,
    mut sink: S,
) -> Result<(S, Vec<(ProjectId, Counters)>), StoreError> {
    let counters = projects(tx, &mut sink).await?;
    let mut aliases = Aliases::read(tx).await?;
    permissions(tx, &mut sink, &mut aliases).await?;
    roles(tx, &mut sink, &mut aliases).await?;
    role_sets(tx, &mut sink).await?;
    role_mappings(tx, &mut sink, &mut aliases).await?;
    grants(tx, &mut sink).await?;
    sink.after_grants();
    orgs(tx, &mut sink).await?;
    fallbacks(tx, &mut sink).await?;
    blocks(tx, &mut sink).await?;
    Ok((memberships::load(tx, sink).await?, counters))
}

fn created<K, V>(key: K, value: V) -> Edit<K, V> {
    Edit { key, before: None, after: Some(value) }
}

/// Also loads deleted orgs: their ids are retired, and some still have members to purge.
async fn orgs(tx: &DatabaseTransaction, sink: &mut impl Sink) -> Result<(), StoreError> {
    let sql = r#"SELECT project, "no", org_id, display_name, metadata, create_time, role_mapping, deleted_at, purged FROM orgs
        ORDER BY project, "no""#;
    each(tx, sql, |mut row| {
        let key = row.scoped()?;
        let profile = OrgProfile {
            org_id: OrgId::stored(row.text()?),
            display_name: row.text()?.into(),
            metadata: row.text()?.into(),
            create_time: row.time()?,
        };
        let record = OrgRecord { profile: Arc::new(profile), role_mapping: row.id()?, lifecycle: row.lifecycle()? };
        sink.take(Change::Org(created(key, record)))
    })
    .await
}

async fn api_keys(tx: &DatabaseTransaction, sink: &mut impl Sink) -> Result<(), StoreError> {
    let sql = "SELECT project, id, hash, display_name, operator, environment, checks_only, sidecar_only, acting_user_required,
            no_activity, scope_project, scope_org, creator, create_time, expire_time, archive_time
        FROM api_keys ORDER BY project, id";
    each(tx, sql, |mut row| {
        let project = row.id()?;
        let id = ApiKeyId(row.next::<i64>()?.cast_unsigned());
        let hash: Vec<u8> = row.next()?;
        let key = ApiKey {
            hash: hash.try_into().map_err(|_| unreadable("an API key without a hash"))?,
            display_name: row.text()?.into(),
            operator: UserId::stored(row.text()?),
            environment: environment(row.next()?)?,
            scope: ApiKeyScope {
                checks_only: row.next()?,
                sidecar_only: row.next()?,
                acting_user_required: row.next()?,
                no_activity: row.next()?,
                project: row.next::<Option<i64>>()?.map(super::ids::id).transpose()?,
                org: row.next::<Option<i64>>()?.map(super::ids::id).transpose()?,
            },
            creator: row.text()?.into(),
            create_time: row.time()?,
            expire_time: row.next::<Option<i64>>()?.map(Time),
            archive_time: row.next::<Option<i64>>()?.map(Time),
        };
        sink.take(Change::ApiKey(created(Scoped { project, id }, Arc::new(key))))
    })
    .await
}

/// The rows of one org follow each other and are one change.
async fn fallbacks(tx: &DatabaseTransaction, sink: &mut impl Sink) -> Result<(), StoreError> {
    let mut current: Option<(Scoped<OrgNo>, Vec<Fallback>)> = None;
    let mut apply = |row: Option<(Scoped<OrgNo>, Vec<Fallback>)>| match row {
        Some((key, fallbacks)) => sink.take(Change::Fallbacks(created(key, fallbacks.into()))),
        None => Ok(()),
    };
    each(tx, "SELECT project, org, role, fallback_role FROM fallback_roles ORDER BY project, org, role", |mut row| {
        let key = row.scoped()?;
        let fallback = Fallback { role: row.id()?, fallback_role: row.id()? };
        match &mut current {
            Some((last, fallbacks)) if *last == key => fallbacks.push(fallback),
            _ => return apply(current.replace((key, vec![fallback]))),
        }
        Ok(())
    })
    .await?;
    apply(current)
}

/// Loads pending invitations only. The database keeps the others.
async fn invitations(tx: &DatabaseTransaction, sink: &mut impl Sink) -> Result<(), StoreError> {
    let sql = "SELECT project, org, id, email, inviter, create_time, expire_time, role_set FROM invitations
        WHERE role_set IS NOT NULL ORDER BY project, org, id";
    each(tx, sql, |mut row| {
        let (project, org, id) = (row.id()?, row.id()?, row.text()?);
        let id = InvitationId::parse(&id).ok_or_else(|| unreadable("an invitation with a malformed id"))?;
        let record = InvitationRecord {
            email: EmailAddress::stored(row.text()?),
            inviter: row.next::<Option<String>>()?.map(UserId::stored),
            create_time: row.time()?,
            expire_time: row.time()?,
            stage: Stage::Pending { role_set: row.id()? },
        };
        sink.take(Change::Invitation(created(InvitationKey { project, org, id }, record)))
    })
    .await
}

async fn blocks(tx: &DatabaseTransaction, sink: &mut impl Sink) -> Result<(), StoreError> {
    each(tx, "SELECT project, user_id, block_time FROM blocked_users ORDER BY project, user_id", |mut row| {
        let key = UserKey { project: row.id()?, user: UserId::stored(row.text()?) };
        sink.take(Change::Block(created(key, Block { block_time: row.time()? })))
    })
    .await
}

/// The rows of one org follow each other and are one change.
async fn org_domains(tx: &DatabaseTransaction, sink: &mut impl Sink) -> Result<(), StoreError> {
    let mut current: Option<(Scoped<OrgNo>, Vec<OrgDomain>)> = None;
    let mut apply = |row: Option<(Scoped<OrgNo>, Vec<OrgDomain>)>| match row {
        Some((key, domains)) => sink.take(Change::OrgDomains(created(key, domains.into()))),
        None => Ok(()),
    };
    let sql = "SELECT project, org, domain, role_set, verified, apply_to_existing FROM org_domains
        ORDER BY project, org, domain";
    each(tx, sql, |mut row| {
        let key = row.scoped()?;
        let domain = EmailDomain::stored(row.text()?);
        let role_set: Option<i64> = row.next()?;
        let role_set = role_set.map(id).transpose()?;
        let rule = OrgDomain { domain, role_set, verified: row.next()?, apply_to_existing: row.next()? };
        match &mut current {
            Some((last, domains)) if *last == key => domains.push(rule),
            _ => return apply(current.replace((key, vec![rule]))),
        }
        Ok(())
    })
    .await?;
    apply(current)
}

async fn removals(tx: &DatabaseTransaction, sink: &mut impl Sink) -> Result<(), StoreError> {
    each(tx, "SELECT project, org, user_id FROM removed_members ORDER BY project, org, user_id", |mut row| {
        let key = MembershipKey { project: row.id()?, org: row.id()?, user: UserId::stored(row.text()?) };
        sink.take(Change::Removal(created(key, ())))
    })
    .await
}
