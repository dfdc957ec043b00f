//! Writes commits, changes, remembered outcomes and the head.

use crate::domain::commands::group::Commit;
use crate::domain::rules::event::{is_shown, object};
use crate::domain::{Revision, Time};
use crate::limits::REQUEST_ID_SECONDS;
use crate::store::StoreError;
use crate::store::head::HEAD;
use crate::store::ids::{changes_digest, number, revision_number};
use crate::store::notices;
use crate::store::schema::{change, commit, request};
use crate::store::sql::Sql;
use crate::store::write::{batch::Batch, rows};
use crate::wire;

/// Every so many revisions, outcomes that are no longer repeated are deleted, at most so many at once.
const FORGET_EVERY: u64 = 256;
const FORGET_MAX: i64 = 10_000;

pub async fn write(batch: &mut Batch<'_>, commits: &[Commit], now: Time) -> Result<(), StoreError> {
    let mut all = Vec::with_capacity(commits.len());
    let mut changes = Vec::new();
    for commit in commits {
        let first = changes.len();
        changes.extend(change_rows(commit));
        let payloads = changes[first..].iter().map(|change: &change::Model| &*change.payload);
        all.push(commit_row(commit, changes_digest(payloads)));
    }
    rows::insert::<commit::Entity>(batch, &all).await?;
    rows::insert::<change::Entity>(batch, &changes).await?;
    let requests: Vec<request::Model> = commits.iter().filter_map(|commit| request_row(commit, now)).collect();
    // A request id that was used more than 24 hours ago can be used again.
    rows::upsert::<request::Entity>(batch, &requests, &[]).await?;
    Ok(())
}

/// Deletes outcomes that are no longer repeated (A4), once in `FORGET_EVERY` revisions.
pub async fn forget(batch: &mut Batch<'_>, head: Revision, last: Revision, now: Time) -> Result<(), StoreError> {
    if head.number / FORGET_EVERY == last.number / FORGET_EVERY {
        return Ok(());
    }
    let mut sql = Sql::default();
    let old = sql.bind(now.plus_seconds(-REQUEST_ID_SECONDS).0);
    let max = sql.bind(FORGET_MAX);
    sql.push(&format!(
        r#"DELETE FROM requests WHERE (caller, project, request_id) IN
             (SELECT caller, project, request_id FROM requests WHERE used_at <= {old} ORDER BY used_at LIMIT {max})"#
    ));
    batch.execute(sql).await?;
    Ok(())
}

/// Moves the head, which the transaction has locked. `announces` is the id of the store if other servers get a notice.
pub async fn advance(batch: &mut Batch<'_>, last: Revision, announces: Option<u32>) -> Result<(), StoreError> {
    let update = |batch: &mut Batch<'_>| {
        let (revision, tag) = (batch.bind(revision_number(last.number)), batch.bind(i64::from(last.tag)));
        let (at, id) = (batch.bind(last.at.0), batch.bind(HEAD));
        let announcing = announces.map(|store_id| notices::announcing(store_id, last.number)).unwrap_or_default();
        Ok(format!(r#"UPDATE head SET revision = {revision}, tag = {tag}, "at" = {at} WHERE id = {id}{announcing}"#))
    };
    Ok(batch.add("head", 4, update).await?)
}

fn commit_row(commit: &Commit, digest: i64) -> commit::Model {
    commit::Model {
        revision: revision_number(commit.revision.number),
        tag: commit.revision.tag.into(),
        at: commit.revision.at.0,
        kind: commit.kind.to_string(),
        actor: commit.actor.to_string(),
        key_id: commit.key.as_ref().map(ToString::to_string),
        reason: commit.reason.to_string(),
        request_id: commit.request.as_ref().map(|request| request.key.request_id.to_string()),
        acting_user: commit.acting_user.as_ref().map(ToString::to_string),
        digest,
        project: commit.changes.first().map_or(0, |change| number(change.project())),
        shown_changes: commit.changes.iter().filter(|change| is_shown(change)).count() as i64,
    }
}

fn change_rows(commit: &Commit) -> impl Iterator<Item = change::Model> {
    commit.changes.iter().enumerate().map(|(seq, change)| change::Model {
        revision: revision_number(commit.revision.number),
        seq: seq as i64,
        project: number(change.project()),
        org: change.org().map(number),
        user_id: change.user().map(ToString::to_string),
        noun: wire::change::noun(change),
        object: object(change).map(|object| wire::change::numbers_of(object).1.into()),
        payload: wire::change::encode(change),
    })
}

fn request_row(commit: &Commit, now: Time) -> Option<request::Model> {
    let request = commit.request.as_ref()?;
    Some(request::Model {
        caller: request.key.caller.to_string(),
        project: request.key.project.to_string(),
        request_id: request.key.request_id.to_string(),
        fingerprint: request.fingerprint.to_be_bytes().into(),
        revision: revision_number(commit.revision.number),
        tag: commit.revision.tag.into(),
        at: commit.revision.at.0,
        used_at: now.0,
        outcome: wire::outcome::encode(&request.outcome, &request.impact),
    })
}
