//! Many calls to a server, some at a time.

use tokio::task::JoinSet;

use super::trouble::{BUG, Trouble};

/// Runs calls, some at a time. Stops at the first error.
pub async fn in_flight<F>(calls: usize, numbers: std::ops::Range<u64>, call: impl Fn(u64) -> F) -> Result<(), Trouble>
where
    F: Future<Output = Result<(), Trouble>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for number in numbers {
        if running.len() == calls {
            finished(running.join_next().await)?;
        }
        running.spawn(call(number));
    }
    while !running.is_empty() {
        finished(running.join_next().await)?;
    }
    Ok(())
}

fn finished(done: Option<Result<Result<(), Trouble>, tokio::task::JoinError>>) -> Result<(), Trouble> {
    match done {
        Some(Err(error)) => Err(Trouble::new(format!("a call ended early: {error}"), BUG)),
        Some(Ok(done)) => done,
        None => Ok(()),
    }
}
