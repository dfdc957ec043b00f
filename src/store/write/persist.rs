//! Stores a group of commits: the commits, their changes, the remembered outcomes, and the final rows.
//!
//! A group may change an object several times. Only its last form is written, so that each row is written once, in large
//! statements. Rows that are deleted or give up a name are deleted before other rows of the same noun are written. So a name
//! that is given up can be taken in the same group, and two roles can even swap names.

mod api_key;
mod catalogue;
mod collapse;
mod history;
mod invitations;
mod members;
mod org_domain;
mod tables;
mod user;

use sea_orm::DatabaseTransaction;

use crate::domain::commands::group::Commit;
use crate::domain::{Revision, Time};
use crate::store::StoreError;
use crate::store::write::batch::Batch;
use collapse::Final;

pub async fn persist(
    tx: &DatabaseTransaction,
    head: Revision,
    commits: &[Commit],
    now: Time,
    announces: Option<u32>,
) -> Result<(), StoreError> {
    let Some(last) = commits.last() else { return Ok(()) };
    for (at, commit) in commits.iter().enumerate() {
        if commit.revision.number != head.number + 1 + at as u64 {
            return Err(StoreError::OutOfOrder { head: head.number, found: commit.revision.number });
        }
    }
    let mut batch = Batch::new(tx);
    history::write(&mut batch, commits, now).await?;
    history::forget(&mut batch, head, last.revision, now).await?;
    tables::write(&mut batch, &Final::of(commits)).await?;
    history::advance(&mut batch, last.revision, announces).await?;
    Ok(batch.send().await?)
}
