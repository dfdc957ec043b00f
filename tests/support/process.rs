//! What Linux says about a process.

// Helpers of tests may panic, as tests may (`clippy.toml`).
#![allow(clippy::unwrap_used)]

/// Returns the seconds of processor time that a process has used.
pub fn processor_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // In hundredths, which every Linux reports.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}
