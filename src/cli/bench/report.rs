//! What a benchmark found: tables for people, JSON for programs.

use std::time::Duration;

use comfy_table::{Cell, CellAlignment};
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::drive::Round;
use crate::cli::answer::Answer;
use crate::cli::table::{table, text};

#[derive(Serialize)]
pub struct Report {
    pub version: &'static str,
    pub cores: usize,
    /// `tcp` or `unix`.
    pub transport: &'static str,
    pub connections: usize,
    pub rounds: u32,
    pub seconds: f64,
    pub workloads: Vec<WorkloadReport>,
}

#[derive(Serialize)]
pub struct WorkloadReport {
    pub workload: String,
    pub memberships: u64,
    /// `null` if it was there already.
    pub load_seconds: Option<f64>,
    /// While memberships were written. Orgs take the rest of the time.
    pub load_memberships_per_second: Option<f64>,
    /// The rest of these are `null` for a running server.
    pub start_seconds: Option<f64>,
    pub resident_bytes_after_load: Option<u64>,
    pub resident_bytes_after_start: Option<u64>,
    pub bytes_per_membership: Option<f64>,
    pub calls: Vec<ModeReport>,
}

#[derive(Serialize)]
pub struct ModeReport {
    pub mode: &'static str,
    pub checks_per_call: u64,
    pub in_flight: usize,
    /// Checks whose decision was compared, before and after the rounds.
    pub checks_verified: u64,
    pub rolecall: Side,
    /// `null` unless asked for. A "check" of the echo is a check of the request that it dropped.
    pub echo: Option<Side>,
    /// The median of the ratios of calls per CPU second of the server.
    pub ratio_to_echo: Option<f64>,
    /// Check with as many in flight, for the modes of StreamCheck.
    pub check: Option<Side>,
    /// The median of the ratios of checks per CPU second of the server.
    pub ratio_to_check: Option<f64>,
    /// The median of the ratios of checks per second.
    pub rate_to_check: Option<f64>,
    /// A server that measures nothing.
    pub without_metrics: Option<Side>,
    /// The median of the ratios of calls per CPU second of the server.
    pub ratio_to_without_metrics: Option<f64>,
    pub with_writes: Option<Side>,
    pub writes_per_second: Option<f64>,
    /// The median of the ratios of calls per second.
    pub ratio_with_writes: Option<f64>,
}

/// Medians over the rounds. Latencies are of all rounds, in microseconds.
#[derive(Serialize)]
pub struct Side {
    pub calls_per_second: f64,
    pub checks_per_second: f64,
    pub calls_per_cpu_second: Option<f64>,
    pub checks_per_cpu_second: Option<f64>,
    pub calls_per_client_cpu_second: Option<f64>,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
}

impl Side {
    /// Returns `None` without rounds.
    pub fn of(rounds: &[Round], checks_per_call: u64) -> Option<Self> {
        let calls_per_second = median(rounds.iter().map(per_second))?;
        let calls_per_cpu_second = median(rounds.iter().filter_map(per_cpu_second));
        let client = |round: &Round| Some(round.calls as f64 / round.client_cpu_seconds.filter(|&used| used > 0.0)?);
        let mut latencies: Vec<Duration> = rounds.iter().flat_map(|round| round.latencies.iter().copied()).collect();
        latencies.sort_unstable();
        let quantile = |share: f64| {
            let at = (latencies.len() as f64 * share) as usize;
            latencies.get(at).map_or(0.0, |latency| latency.as_nanos() as f64 / 1_000.0)
        };
        Some(Self {
            calls_per_second,
            checks_per_second: calls_per_second * checks_per_call as f64,
            calls_per_cpu_second,
            checks_per_cpu_second: calls_per_cpu_second.map(|calls| calls * checks_per_call as f64),
            calls_per_client_cpu_second: median(rounds.iter().filter_map(client)),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
        })
    }
}

impl Report {
    /// Returns a line for each mode: what a check costs with the last size, beside the first one.
    fn growth(&self) -> String {
        let [first, .., last] = &self.workloads[..] else { return String::new() };
        let sizes = [first, last].map(|workload| HumanCount(workload.memberships));
        let lines = first.calls.iter().zip(&last.calls).filter_map(|(before, after)| {
            let factor = growth(&before.rolecall, &after.rolecall)?;
            Some(format!(
                "{}: at {} memberships a check costs {factor:.2} times as much as at {}.\n",
                before.mode, sizes[1], sizes[0]
            ))
        });
        lines.collect()
    }
}

/// Returns how many times as much CPU time a check takes on the second side.
fn growth(before: &Side, after: &Side) -> Option<f64> {
    Some(before.checks_per_cpu_second? / after.checks_per_cpu_second?)
}

pub fn per_second(round: &Round) -> f64 {
    round.calls as f64 / round.seconds
}

/// Returns the calls of a CPU second of the server. `None` if its CPU time is unknown, or too short to be seen.
pub fn per_cpu_second(round: &Round) -> Option<f64> {
    Some(round.calls as f64 / round.server_cpu_seconds.filter(|&used| used > 0.0)?)
}

/// Returns the median of the ratios of each round to the other one of the same turn.
pub fn ratio(rounds: &[Round], others: &[Round], figure: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
    median(rounds.iter().zip(others).filter_map(|(round, other)| Some(figure(round)? / figure(other)?)))
}

fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let (low, high) = (figures.len().checked_sub(1)? / 2, figures.len() / 2);
    Some((figures[low] + figures[high]) / 2.0)
}

impl Answer for Report {
    fn text(&self) -> String {
        let mut stores = table(
            ["MEMBERSHIPS", "LOADED IN", "MEMBERSHIPS/S", "MEMORY", "BYTES/MEMBERSHIP", "START"].map(String::from),
        );
        let mut rates = table(
            [
                "MEMBERSHIPS",
                "CALLS",
                "OF",
                "CALLS/S",
                "CHECKS/S",
                "CHECKS/CPU S",
                "NS/CHECK",
                "P50",
                "P99",
                "P99.9",
                "RATIO",
            ]
            .map(String::from),
        );
        for workload in &self.workloads {
            let memberships = HumanCount(workload.memberships).to_string();
            stores.add_row(right([
                memberships.clone(),
                shown(workload.load_seconds, |seconds| format!("{seconds:.1} s")),
                shown(workload.load_memberships_per_second, count),
                shown(workload.resident_bytes_after_start, |bytes| HumanBytes(bytes).to_string()),
                shown(workload.bytes_per_membership, |bytes| format!("{bytes:.0}")),
                shown(workload.start_seconds, |seconds| format!("{seconds:.2} s")),
            ]));
            for calls in &workload.calls {
                let mut add = |of: String, side: &Side, ratio: Option<f64>| {
                    rates.add_row(right([
                        memberships.clone(),
                        calls.mode.into(),
                        of,
                        count(side.calls_per_second),
                        count(side.checks_per_second),
                        shown(side.checks_per_cpu_second, count),
                        shown(side.checks_per_cpu_second, |checks| format!("{:.0}", 1e9 / checks)),
                        latency(side.p50_us),
                        latency(side.p99_us),
                        latency(side.p999_us),
                        shown(ratio, |ratio| format!("{:.1} %", ratio * 100.0)),
                    ]));
                };
                let ratio = calls.ratio_to_echo.or(calls.ratio_to_check).or(calls.ratio_to_without_metrics);
                add("rolecall".into(), &calls.rolecall, ratio);
                if let Some(echo) = &calls.echo {
                    add("echo".into(), echo, None);
                }
                if let Some(side) = &calls.without_metrics {
                    // The ratio of the line above is to the echo if that was asked for too.
                    let ratio = calls.ratio_to_without_metrics.filter(|_| calls.echo.is_some());
                    add("without metrics".into(), side, ratio.map(|ratio| 1.0 / ratio));
                }
                if let Some(check) = &calls.check {
                    add("check".into(), check, None);
                }
                if let (Some(side), Some(writes)) = (&calls.with_writes, calls.writes_per_second) {
                    add(format!("with {} writes/s", count(writes)), side, calls.ratio_with_writes);
                }
            }
        }
        let verified: u64 =
            self.workloads.iter().flat_map(|workload| &workload.calls).map(|calls| calls.checks_verified).sum();
        format!(
            "{}\n{}\n{}{} decisions verified, 0 wrong. {} rounds of {} s over {}, {} connections, {} cores. RATIO of rolecall: to the \
             calls per CPU second of the echo or else of a server without metrics, of streams to those of check; with writes: to the calls per second without.\n",
            text(stores),
            text(rates),
            self.growth(),
            HumanCount(verified),
            self.rounds,
            self.seconds,
            self.transport,
            self.connections,
            self.cores,
        )
    }
}

/// Aligns numbers at the right.
fn right<const N: usize>(cells: [String; N]) -> [Cell; N] {
    cells.map(|cell| Cell::new(cell).set_alignment(CellAlignment::Right))
}

fn shown<T>(figure: Option<T>, show: impl FnOnce(T) -> String) -> String {
    figure.map_or("-".into(), show)
}

fn count(figure: f64) -> String {
    HumanCount(figure as u64).to_string()
}

fn latency(us: f64) -> String {
    if us < 1_000.0 { format!("{us:.0} us") } else { format!("{:.1} ms", us / 1_000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(calls: u64, server_cpu_seconds: Option<f64>) -> Round {
        let latencies = (1..=calls).map(Duration::from_micros).collect();
        Round { calls, seconds: 2.0, server_cpu_seconds, client_cpu_seconds: None, latencies }
    }

    #[test]
    fn figures_are_medians_over_the_rounds() {
        let rounds = [round(1_000, Some(0.5)), round(200, Some(1.0)), round(2_000, None)];
        let side = Side::of(&rounds, 10).unwrap();
        assert_eq!((side.calls_per_second, side.checks_per_second), (500.0, 5_000.0));
        assert_eq!((side.calls_per_cpu_second, side.calls_per_client_cpu_second), (Some(1_100.0), None));
        assert_eq!(side.p999_us, 1_997.0);
        assert!(Side::of(&[], 10).is_none());
        let slower = Side::of(&[round(550, Some(1.0))], 10).unwrap();
        assert_eq!(growth(&side, &slower), Some(2.0));
    }

    #[test]
    fn a_ratio_is_of_the_rounds_of_one_turn() {
        let (ours, echo) = ([round(10, Some(1.0)), round(30, Some(1.0))], [round(20, Some(1.0)), round(30, Some(0.5))]);
        assert_eq!(ratio(&ours, &echo, per_cpu_second), Some(0.5));
        assert_eq!(ratio(&ours, &[round(1, Some(0.0))], per_cpu_second), None);
    }
}
