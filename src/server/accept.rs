//! Accepts connections up to their limits, and waits while the process has no file descriptors.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::{self, Shared};
use super::listen::Bound;
use crate::metrics::Counter;

/// The waits after an error of accepting. They double.
const RETRY_MIN: Duration = Duration::from_millis(10);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// How often an overload is logged.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// The open connections of all sockets.
#[derive(Default)]
pub struct Connections {
    open: Mutex<Open>,
    /// Connections over a limit.
    pub refused: Counter,
}

#[derive(Default)]
struct Open {
    total: usize,
    per_peer: HashMap<IpAddr, usize>,
    /// When a refused connection was logged.
    logged: Option<Instant>,
}

/// One open connection. Dropping it takes the connection off the counts.
struct Slot {
    connections: Arc<Connections>,
    peer: Option<IpAddr>,
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it holds the lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many are open.
    pub fn open_now(&self) -> usize {
        self.open().total
    }

    /// Counts a connection. `None` if a limit is reached. A peer of a unix socket has no address.
    fn add(self: &Arc<Self>, peer: Option<IpAddr>, total_max: usize, per_peer_max: usize) -> Option<Slot> {
        let mut open = self.open();
        let of_peer = peer.and_then(|peer| open.per_peer.get(&peer).copied()).unwrap_or(0);
        if open.total >= total_max || of_peer >= per_peer_max {
            self.refused.add(1);
            if open.logged.is_none_or(|at| at.elapsed() >= LOG_PAUSE) {
                open.logged = Some(Instant::now());
                let total = open.total;
                tracing::warn!(?peer, of_peer, total, "a connection is refused; too many are open");
            }
            return None;
        }
        open.total += 1;
        if let Some(peer) = peer {
            open.per_peer.insert(peer, of_peer + 1);
        }
        Some(Slot { connections: self.clone(), peer })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.total -= 1;
        if let Some(peer) = self.peer {
            match open.per_peer.get_mut(&peer) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(open.per_peer.remove(&peer)),
            }
        }
    }
}

/// Serves one socket until the server stops, then waits for its connections.
pub async fn accept(mut bound: Bound, connections: Arc<Connections>, shared: Shared) {
    let mut serving = JoinSet::new();
    let mut stop = shared.stop.clone();
    let mut failures = Failures::default();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = serving.join_next() => {}
            accepted = one(&mut bound, &mut failures) => {
                let limits = &shared.limits;
                if let Some(slot) = connections.add(accepted.peer(), limits.total, limits.per_peer) {
                    let shared = shared.clone();
                    serving.spawn(async move {
                        connection::serve(accepted, shared).await;
                        drop(slot);
                    });
                }
            }
        }
    }
    drop(bound);
    while serving.join_next().await.is_some() {}
}

/// A connection on which nothing is sent yet.
pub enum Accepted {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

impl Accepted {
    fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, peer) => Some(peer.to_canonical()),
            Self::Unix(_) => None,
        }
    }
}

/// Waits for a connection, through all errors.
async fn one(bound: &mut Bound, failures: &mut Failures) -> Accepted {
    loop {
        let accepted = match bound {
            // Small answers must not wait for the acknowledgement of earlier ones.
            Bound::Tcp(listener, _) => listener.accept().await.and_then(|(stream, peer)| {
                stream.set_nodelay(true)?;
                Ok(Accepted::Tcp(stream, peer.ip()))
            }),
            Bound::Unix(_, listener) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
        };
        match accepted {
            Ok(accepted) => {
                failures.over();
                return accepted;
            }
            Err(error) => {
                if let Some(wait) = failures.wait(&error) {
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }
}

/// A series of errors of accepting. It is over when connections have been accepted for a while.
#[derive(Default)]
struct Failures {
    wait: Option<Duration>,
    last: Option<Instant>,
}

impl Failures {
    /// Returns how long to wait after an error. `None` if it concerns one client. Logs the first error of a series.
    fn wait(&mut self, error: &io::Error) -> Option<Duration> {
        let of_client = [
            ErrorKind::ConnectionAborted,
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionReset,
            ErrorKind::Interrupted,
            ErrorKind::InvalidInput,
            ErrorKind::NotConnected,
        ];
        if of_client.contains(&error.kind()) {
            return None;
        }
        if self.last.is_none() {
            tracing::error!(%error, "no connection can be accepted; waiting, for example for file descriptors");
        }
        self.last = Some(Instant::now());
        let wait = self.wait.map_or(RETRY_MIN, |wait| (wait * 2).min(RETRY_MAX));
        self.wait = Some(wait);
        Some(wait)
    }

    /// Notes an accepted connection. Ends the series if its last error was a while ago.
    fn over(&mut self) {
        self.wait = None;
        if self.last.is_some_and(|last| last.elapsed() >= RETRY_MAX * 2) {
            self.last = None;
            tracing::info!("connections are accepted again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_in_all_and_for_each_peer() {
        let connections = Arc::new(Connections::default());
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = connections.add(Some(one), 4, 2).unwrap();
        let _second = connections.add(Some(one), 4, 2).unwrap();
        assert!(connections.add(Some(one), 4, 2).is_none());
        let _third = connections.add(Some(other), 4, 2).unwrap();
        let unix = connections.add(None, 4, 2).unwrap();
        assert!(connections.add(None, 4, 2).is_none());
        drop(unix);
        drop(first);
        let again = connections.add(Some(one), 4, 2).unwrap();
        drop((again, _second, _third));
        assert_eq!(connections.open().total, 0);
        assert!(connections.open().per_peer.is_empty());
    }

    #[test]
    fn accepting_backs_off_and_not_for_the_errors_of_one_client() {
        let mut failures = Failures::default();
        assert_eq!(failures.wait(&ErrorKind::ConnectionAborted.into()), None);
        // EMFILE
        let none_left = io::Error::from_raw_os_error(24);
        assert_eq!(failures.wait(&none_left), Some(RETRY_MIN));
        assert_eq!(failures.wait(&none_left), Some(RETRY_MIN * 2));
        for _ in 0..10 {
            failures.wait(&none_left);
        }
        assert_eq!(failures.wait(&none_left), Some(RETRY_MAX));
        failures.over();
        assert_eq!(failures.wait(&none_left), Some(RETRY_MIN));
    }
}
