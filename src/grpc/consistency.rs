//! The consistency protocol (K4): at which revision a call is answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::app::Checks;
use super::layers::deadline::Deadline;
use super::status;
use crate::engine::{Behind, Published, Token};
use crate::limits::WAIT_MAX;
use crate::store::StoreError;
use crate::wire::{Consistency, ErrorReason, consistency::Requirement};

/// How long before the caller's deadline the wait ends, so that the answer arrives in time.
const WAIT_MARGIN: Duration = Duration::from_millis(10);

impl Checks {
    /// Returns the State that a call asks to be answered from (K4). Waits for its revision if needed.
    pub async fn at(
        &self,
        consistency: Option<&Consistency>,
        deadline: Option<Deadline>,
    ) -> Result<Arc<Published>, Status> {
        self.source.check_fresh()?;
        match consistency.and_then(|consistency| consistency.requirement.as_ref()) {
            None | Some(Requirement::Any(true)) => Ok(self.engine.pin()),
            Some(Requirement::Any(false)) => Err(status::invalid("consistency.any", "must be true if it is set")),
            Some(Requirement::Latest(false)) => Err(status::invalid("consistency.latest", "must be true if it is set")),
            Some(Requirement::Unknown(_)) => {
                let why = "has a requirement that this server does not know; upgrade the server";
                Err(status::invalid("consistency", why))
            }
            // Boxed, because every call would move the kilobytes of these futures.
            Some(Requirement::Latest(true)) => Box::pin(self.at_latest(deadline)).await,
            Some(Requirement::AtLeast(text)) => {
                let token = Token::decode(text)
                    .ok_or_else(|| status::invalid("consistency.at_least", "must be the `revision` of an answer"))?;
                Box::pin(self.at_token(token, deadline)).await
            }
        }
    }

    async fn at_token(&self, token: Token, deadline: Option<Deadline>) -> Result<Arc<Published>, Status> {
        let give_up = give_up(deadline);
        if token.store_id == self.engine.store_id() && token.number > self.engine.load().state.revision().number {
            // A token is returned after its commit is in the database. A token that is ahead of the database was lost
            // with it. If the database does not answer, wait for the revision.
            let head = timeout_at(give_up, self.source.head()).await;
            if head.is_ok_and(|head| head.is_ok_and(|head| head.number < token.number)) {
                return Err(status::behind(Behind::AnotherHistory));
            }
        }
        match timeout_at(give_up, self.engine.at_least(&token)).await {
            Ok(Ok(published)) => Ok(published),
            Ok(Err(Behind::TooOld)) => self.at_old_revision(&token, give_up).await,
            Ok(Err(Behind::AnotherHistory)) => Err(status::behind(Behind::AnotherHistory)),
            Err(_) => Err(not_reached()),
        }
    }

    /// Returns a State as new as the newest revision of the database. UNAVAILABLE if the database has another history than
    /// the State: this server loads it again.
    async fn at_latest(&self, deadline: Option<Deadline>) -> Result<Arc<Published>, Status> {
        let give_up = give_up(deadline);
        let mine = self.engine.load().state.revision().number;
        let head = timeout_at(give_up, self.source.head()).await.map_err(|_| not_reached())??;
        if head.number < mine {
            return Err(status::unread(&StoreError::Behind { head: head.number, state: mine }));
        }
        let token = Token::new(self.engine.store_id(), head);
        match timeout_at(give_up, self.engine.at_least(&token)).await {
            Ok(Ok(published)) => Ok(published),
            Ok(Err(Behind::TooOld)) => self.at_old_revision(&token, give_up).await,
            Ok(Err(Behind::AnotherHistory)) => Err(status::unread(&StoreError::AnotherHistory { state: head.number })),
            Err(_) => Err(not_reached()),
        }
    }

    /// Checks an old token's tag in the database: the engine knows only the tags of recent revisions.
    async fn at_old_revision(&self, token: &Token, give_up: Instant) -> Result<Arc<Published>, Status> {
        let then = timeout_at(give_up, self.source.revision_at(token.number)).await.map_err(|_| not_reached())?;
        let published = self.engine.pin();
        let mine = published.state.revision();
        let own = timeout_at(give_up, self.source.revision_at(mine.number)).await.map_err(|_| not_reached())?;
        // The State itself may be of a history that the store has lost.
        let is_kept = own?.is_some_and(|own| own.tag == mine.tag);
        match then? {
            Some(revision) if revision.tag == token.tag && is_kept => Ok(published),
            _ => Err(status::behind(Behind::AnotherHistory)),
        }
    }
}

/// Returns when a call stops waiting for a revision.
fn give_up(deadline: Option<Deadline>) -> Instant {
    let longest = Instant::now() + WAIT_MAX;
    deadline.map_or(longest, |Deadline(at)| longest.min(at.checked_sub(WAIT_MARGIN).unwrap_or(at)))
}

fn not_reached() -> Status {
    status::plain(ErrorReason::RevisionNotReached, "this server did not reach the revision in time; retry")
}
