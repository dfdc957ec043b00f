//! The CPU time, the memory and the open files of a process, from the kernel. `None` where there is no `/proc`.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// Returns the seconds of CPU that all threads of a process have used.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    cpu_ticks(&stat).map(|ticks| ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Returns the resident memory of a process.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    bytes(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:")
}

/// Returns the resident memory of a process by kind.
pub fn resident_kinds(pid: u32) -> Vec<(&'static str, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kinds = [("anonymous", "RssAnon:"), ("file", "RssFile:"), ("shared", "RssShmem:")];
    kinds.into_iter().filter_map(|(kind, field)| Some((kind, bytes(&status, field)?))).collect()
}

/// Returns how many files this process has open.
pub fn open_files() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}

/// Returns how many files this process may have open.
pub fn open_files_max() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Returns the value of a field of `/proc/PID/status` in bytes.
fn bytes(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// Adds user and system time. The name of the program may contain blanks, so fields are counted after its parenthesis.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    Some(times.next()?? + times.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_does_not_move_the_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 31 11 0 0 20";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(cpu_ticks("7"), None);
    }
}
