//! How far the streams of watchers and followers are behind.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The open streams of commits.
#[derive(Default)]
pub struct FeedMetrics {
    pub watchers: Streams,
    /// Sidecars.
    pub followers: Streams,
}

/// The revision that each open stream has sent.
#[derive(Default)]
pub struct Streams(Mutex<Vec<Weak<AtomicU64>>>);

/// The place of one stream. Dropping it ends the stream.
pub struct Place(Arc<AtomicU64>);

impl Streams {
    /// Adds a stream that begins after a revision.
    pub fn open(&self, revision: u64) -> Place {
        let place = Arc::new(AtomicU64::new(revision));
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|stream| stream.strong_count() > 0);
        streams.push(Arc::downgrade(&place));
        Place(place)
    }

    /// Returns the number of open streams, and how many revisions the slowest of them is behind the newest.
    pub fn count_and_lag(&self, newest: u64) -> (usize, u64) {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = streams.iter().filter_map(Weak::upgrade).map(|place| place.load(Relaxed));
        sent.fold((0, 0), |(count, lag), sent| (count + 1, lag.max(newest.saturating_sub(sent))))
    }
}

impl Place {
    /// Notes that the stream has sent everything up to a revision.
    pub fn sent(&self, revision: u64) {
        self.0.store(revision, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_that_of_the_slowest_open_stream() {
        let streams = Streams::default();
        assert_eq!(streams.count_and_lag(9), (0, 0));
        let (first, second) = (streams.open(3), streams.open(8));
        assert_eq!(streams.count_and_lag(9), (2, 6));
        first.sent(9);
        assert_eq!(streams.count_and_lag(9), (2, 1));
        drop(second);
        assert_eq!(streams.count_and_lag(9), (1, 0));
    }
}
