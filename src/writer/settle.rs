//! Asks the store whether an unacknowledged commit is stored, until it answers.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::store::StoreError;

/// How long callers wait for the outcome.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Asks until the answer is known, and returns true if the commit is stored. `ask` returns `None` if the database does not
/// answer. Calls `give_up` once, after `patience`, also while asking.
pub(super) async fn settle<A>(ask: impl Fn() -> A, patience: Duration, mut give_up: impl FnMut()) -> bool
where
    A: Future<Output = Option<Result<bool, StoreError>>>,
{
    let start = Instant::now();
    let mut pause = Duration::from_millis(50);
    let mut waiting = true;
    loop {
        let mut asked = std::pin::pin!(ask());
        let answer = loop {
            tokio::select! {
                answer = &mut asked => break answer,
                () = tokio::time::sleep_until(start + patience), if waiting => {
                    give_up();
                    waiting = false;
                }
            }
        };
        match answer {
            Some(Ok(stored)) => return stored,
            Some(Err(error)) => tracing::warn!(%error, "cannot settle yet"),
            None => tracing::warn!("cannot settle yet: the database does not answer"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn callers_get_an_unknown_outcome_once_and_the_outcome_is_still_found() {
        let (asked, given_up) = (Cell::new(0), Cell::new(0));
        let ask = || {
            asked.set(asked.get() + 1);
            let turn = asked.get();
            async move {
                match turn {
                    1 => Some(Err(StoreError::Empty)),
                    2 => {
                        sleep(Duration::from_millis(200)).await;
                        None
                    }
                    _ => Some(Ok(true)),
                }
            }
        };
        assert!(settle(ask, Duration::from_millis(60), || given_up.set(given_up.get() + 1)).await);
        assert_eq!((asked.get(), given_up.get()), (3, 1));
    }

    #[tokio::test]
    async fn a_quick_answer_keeps_the_callers_waiting() {
        let given_up = Cell::new(0);
        assert!(!settle(|| async { Some(Ok(false)) }, PATIENCE, || given_up.set(given_up.get() + 1)).await);
        assert_eq!(given_up.get(), 0);
    }
}
