//! Stores a group of commits: the commits themselves, their changes, the answers to repeat, and the rows as they are now.
//!
//! A group may change a thing several times. Only its last form is written, so that each row is touched once, in large
//! statements. What goes, and what gives up a name, is deleted before anything of its noun is written, so that a name given
//! up can be taken in the same group: two roles may even change names.

mod catalogue;
mod collapse;
mod history;
mod members;
mod tables;

use sea_orm::DatabaseTransaction;

use crate::domain::commands::group::Commit;
use crate::domain::{Revision, Time};
use crate::store::StoreError;
use collapse::Final;

pub async fn persist(
    tx: &DatabaseTransaction,
    head: Revision,
    commits: &[Commit],
    now: Time,
) -> Result<(), StoreError> {
    let Some(last) = commits.last() else { return Ok(()) };
    for (at, commit) in commits.iter().enumerate() {
        if commit.revision.number != head.number + 1 + at as u64 {
            return Err(StoreError::OutOfOrder { head: head.number, found: commit.revision.number });
        }
    }
    history::write(tx, commits).await?;
    history::forget(tx, head, last.revision, now).await?;
    tables::write(tx, &Final::of(commits)).await?;
    history::advance(tx, last.revision).await
}
