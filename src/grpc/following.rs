//! Streams of commits: what those who watch and those who replicate share.

use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::app::App;
use super::status;
use crate::domain::{Revision, State};
use crate::engine::{Behind, Token};
use crate::limits::WAIT_MAX;
use crate::replication::feed::{FeedError, Page};
use crate::store::{SinceError, StoreError};
use crate::wire::ErrorReason;

/// How often a client hears that there is nothing newer.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// Frames that are ready before their client takes them.
pub const FRAMES_AHEAD: usize = 2;

pub type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
pub type Sender<T> = mpsc::Sender<Result<T, Status>>;

/// Returns the stream of what `send` sends. The status that it returns ends the stream. It is dropped when the client is gone.
pub fn stream<T, S, F>(send: S) -> Frames<T>
where
    T: Send + 'static,
    S: FnOnce(Sender<T>) -> F,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (sender, frames) = mpsc::channel(FRAMES_AHEAD);
    let sending = send(sender.clone());
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = sending => ended,
            () = sender.closed() => return,
        };
        if let Err(status) = ended {
            // The client may be gone.
            let _ = sender.send(Err(status)).await;
        }
    });
    Box::pin(ReceiverStream::new(frames))
}

impl App {
    /// Returns the next commits after `mine`. Waits for them, but at most `patience`. Then returns none.
    pub async fn commits_after(&self, mine: Revision, patience: Duration) -> Result<Page, Status> {
        self.feed.next(mine, patience).await.map_err(|error| self.ended(error))
    }

    /// Returns the State with which the commits of a page after `mine` are sent, if `authorize` lets the client have more. It
    /// may be newer: the commits may come from the database.
    pub async fn state_of(
        &self,
        page: &Page,
        mine: Revision,
        authorize: impl FnOnce(&State) -> Result<(), Status>,
    ) -> Result<State, Status> {
        authorize(&self.engine.load().state)?;
        self.state_at(page.commits.last().map_or(mine, |last| last.revision)).await
    }

    /// Returns a State at least as new as a revision that was read from the database.
    pub async fn state_at(&self, revision: Revision) -> Result<State, Status> {
        let token = Token::new(self.engine.store_id(), revision);
        match tokio::time::timeout(WAIT_MAX, self.engine.at_least(&token)).await {
            Ok(Ok(published)) => Ok(State::clone(&published.state)),
            Ok(Err(Behind::TooOld)) => Ok(State::clone(&self.engine.pin().state)),
            Ok(Err(behind)) => Err(status::behind(behind)),
            Err(_) => Err(status::plain(ErrorReason::RevisionNotReached, "this server is behind")),
        }
    }

    /// Returns why a stream of commits ends.
    fn ended(&self, error: FeedError) -> Status {
        match error {
            FeedError::Behind(behind) => status::behind(behind),
            FeedError::TooOld(oldest) => status::revision_too_old(self.token(oldest)),
            FeedError::Since(SinceError::Store(error)) => status::unread(&error),
            FeedError::Since(error) => status::unread(&StoreError::Unreadable(error.to_string())),
        }
    }
}
