//! The consistency protocol (K4): at which revision a call is answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::app::App;
use super::layers::deadline::Deadline;
use super::status;
use crate::engine::{Behind, Published, Token};
use crate::wire::{Consistency, ErrorReason, consistency::Requirement};

/// How long a call without a deadline waits for a revision.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long before the caller's deadline the wait ends, so that the answer arrives in time.
const WAIT_MARGIN: Duration = Duration::from_millis(10);

impl App {
    /// Returns the State that a call asks to be answered from (K4). Waits for its revision if needed.
    pub async fn at(
        &self,
        consistency: Option<&Consistency>,
        deadline: Option<Deadline>,
    ) -> Result<Arc<Published>, Status> {
        let token = match consistency.and_then(|consistency| consistency.requirement.as_ref()) {
            None | Some(Requirement::Any(true)) => return Ok(self.engine.pin()),
            Some(Requirement::Any(false)) => {
                return Err(status::invalid("consistency.any", "must be true if it is set"));
            }
            Some(Requirement::Latest(false)) => {
                return Err(status::invalid("consistency.latest", "must be true if it is set"));
            }
            Some(Requirement::Unknown(_)) => {
                let why = "has a requirement that this server does not know; upgrade the server";
                return Err(status::invalid("consistency", why));
            }
            Some(Requirement::Latest(true)) => {
                let head = self.store.head().await.map_err(|error| status::unavailable(&error))?;
                Token::new(self.engine.store_id(), head)
            }
            Some(Requirement::AtLeast(text)) => Token::decode(text)
                .ok_or_else(|| status::invalid("consistency.at_least", "must be the `revision` of an answer"))?,
        };
        let longest = Instant::now() + WAIT_MAX;
        let give_up = deadline.map_or(longest, |Deadline(at)| longest.min(at.checked_sub(WAIT_MARGIN).unwrap_or(at)));
        if token.store_id == self.engine.store_id() && token.number > self.engine.load().state.revision().number {
            // A token is returned after its commit is in the database. A token that is ahead of the database was lost
            // with it. If the database does not answer, wait for the revision.
            let head = timeout_at(give_up, self.store.head()).await;
            if head.is_ok_and(|head| head.is_ok_and(|head| head.number < token.number)) {
                return Err(status::behind(Behind::AnotherHistory));
            }
        }
        match timeout_at(give_up, self.engine.at_least(&token)).await {
            Ok(Ok(published)) => Ok(published),
            Ok(Err(Behind::TooOld)) => self.at_old_revision(&token).await,
            Ok(Err(Behind::AnotherHistory)) => Err(status::behind(Behind::AnotherHistory)),
            Err(_) => Err(status::plain(
                ErrorReason::RevisionNotReached,
                "this server did not reach the revision in time; retry",
            )),
        }
    }

    /// Checks an old token's tag in the database: the engine knows only the tags of recent revisions.
    async fn at_old_revision(&self, token: &Token) -> Result<Arc<Published>, Status> {
        let then = self.store.revision_at(token.number).await.map_err(|error| status::unavailable(&error))?;
        match then {
            Some(revision) if revision.tag == token.tag => Ok(self.engine.pin()),
            _ => Err(status::behind(Behind::AnotherHistory)),
        }
    }
}
