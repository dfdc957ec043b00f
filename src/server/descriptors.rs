//! File descriptors: connections of clients leave enough of them for the database.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What everything but the connections of clients needs: the database about 20, the listeners, the runtime and the log.
const RESERVED: usize = 64;

/// Lets the process open as many files as it may, and returns the number of connections that this leaves room for.
pub fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // A shell or systemd often sets 1,024, and lets a process raise that.
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    current.map_or(usize::MAX, |files| connections_of(usize::try_from(files).unwrap_or(usize::MAX)))
}

/// At least half of the files are for clients: a server without any would be of no use.
fn connections_of(files: usize) -> usize {
    files.saturating_sub(RESERVED).max(files / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_database() {
        assert_eq!(connections_of(1_024), 960);
        assert_eq!(connections_of(100), 50);
        assert!(connections_max() > 0);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
