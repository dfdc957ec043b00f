//! Many calls to a server, some at a time.

use tokio::task::JoinSet;

use super::trouble::{BUG, Trouble};

/// Runs calls, some at a time. Stops at the first error.
pub async fn in_flight<F, E>(calls: usize, numbers: std::ops::Range<u64>, call: impl Fn(u64) -> F) -> Result<(), E>
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: From<Trouble> + Send + 'static,
{
    let mut running = JoinSet::new();
    for number in numbers {
        if running.len() == calls {
            finished::<E>(running.join_next().await)?;
        }
        running.spawn(call(number));
    }
    while !running.is_empty() {
        finished::<E>(running.join_next().await)?;
    }
    Ok(())
}

fn finished<E: From<Trouble>>(done: Option<Result<Result<(), E>, tokio::task::JoinError>>) -> Result<(), E> {
    match done {
        Some(Err(error)) => Err(Trouble::new(format!("a call ended early: {error}"), BUG).into()),
        Some(Ok(done)) => done,
        None => Ok(()),
    }
}
