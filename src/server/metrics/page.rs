//! The page of metrics. docs/metrics.md lists them.

use std::sync::Arc;

use crate::domain::{Project, State};
use crate::grpc::app::{App, Checks};
use crate::limits::WRITE_QUEUE_MAX;
use crate::metrics::checks::Decisions;
use crate::metrics::store::OPERATIONS;
use crate::metrics::text::Kind::{Counter, Gauge, Histogram};
use crate::metrics::text::Text;
use crate::server::listeners::Served;
use crate::server::process;
use crate::sidecar::Sidecar;
use crate::wire::Decision;

/// What the page is read from.
pub struct Sources {
    pub checks: Arc<Checks>,
    pub served: Served,
    pub part: Part,
}

/// What only a server or only a sidecar has.
pub enum Part {
    Server(Arc<App>),
    Sidecar(Arc<Sidecar>),
}

impl Sources {
    /// Writes the page.
    pub fn page(&self) -> String {
        let mut text = Text::default();
        self.calls(&mut text);
        self.checks(&mut text);
        self.connections(&mut text);
        let published = self.checks.engine.pin();
        self.state(&mut text, &published.state);
        match &self.part {
            Part::Server(app) => {
                purge(&mut text, &published.state);
                writes(&mut text, app);
                store(&mut text, app);
                feeds(&mut text, app, &published.state);
            }
            Part::Sidecar(sidecar) => following(&mut text, sidecar),
        }
        self.process(&mut text);
        text.into_string()
    }

    fn calls(&self, text: &mut Text) {
        self.served.calls.write(text);
        let denials = &self.checks.engine.denials;
        let help = "Calls of known callers that were refused for a missing permission or the scope of a key.";
        text.counter("rolecall_denied_calls_total", help, &denials.denied);
        let help = "Calls without valid credentials.";
        text.metric(Counter, "rolecall_unauthenticated_calls_total", help).value(&[], denials.unauthenticated() as f64);
    }

    fn checks(&self, text: &mut Text) {
        let metrics = &self.checks.metrics;
        let methods: [(&str, &Decisions); 3] = [
            ("rolecall.v1.CheckService/Check", &metrics.check),
            ("rolecall.v1.CheckService/BatchCheck", &metrics.batch_check),
            ("rolecall.v1.CheckService/StreamCheck", &metrics.stream_check),
        ];
        let mut metric = text.metric(Counter, "rolecall_decisions_total", "Checks that were answered, by decision.");
        for (method, decisions) in methods {
            for (number, count) in decisions.read().into_iter().enumerate().skip(1) {
                let Ok(decision) = Decision::try_from(number as i32) else { continue };
                let decision = decision.as_str_name().trim_start_matches("DECISION_");
                metric.value(&[("rpc_method", method), ("decision", decision)], count as f64);
            }
        }
        let help = "Checks of a batch or stream that got an error. An error is not a denial.";
        let mut metric = text.metric(Counter, "rolecall_check_errors_total", help);
        for (method, decisions) in &methods[1..] {
            metric.value(&[("rpc_method", method)], decisions.read()[0] as f64);
        }
        let help = "Checks in each call of BatchCheck, and in each answer of StreamCheck.";
        let mut metric = text.metric(Histogram, "rolecall_batch_checks", help);
        for (method, decisions) in &methods[1..] {
            metric.histogram(&[("rpc_method", method)], &decisions.items);
        }
    }

    fn connections(&self, text: &mut Text) {
        let Served { connections, budget, limits, .. } = &self.served;
        text.gauge("rolecall_connections", "Open connections of clients.", connections.open_now() as f64);
        text.gauge("rolecall_connections_max", "The limit of open connections.", limits.total as f64);
        let help = "Connections that were closed because too many were open.";
        text.counter("rolecall_refused_connections_total", help, &connections.refused);
        let help =
            "Bytes of all calls in flight: requests that are read and decoded, and answers that are not sent yet.";
        text.gauge("rolecall_call_bytes", help, budget.used() as f64);
        text.gauge("rolecall_call_bytes_max", "The limit of the bytes of all calls.", limits.call_bytes as f64);
    }

    fn state(&self, text: &mut Text, state: &State) {
        let revision = state.revision();
        text.gauge("rolecall_revision", "The number of the revision in memory.", revision.number as f64);
        let help = "How long ago it was known that the data in memory was the newest.";
        text.gauge("rolecall_state_age_seconds", help, self.checks.engine.freshness.age().as_secs_f64());
        let sum = |count: fn(&Project) -> usize| state.projects().map(|project| count(project) as f64).sum::<f64>();
        let mut metric = text.metric(Gauge, "rolecall_state_entries", "What is in memory, by kind.");
        for (kind, count) in [
            ("project", state.projects().count() as f64),
            ("org", sum(Project::orgs_len)),
            ("membership", sum(Project::memberships_len)),
            ("role", sum(|project| project.roles.len())),
            ("permission", sum(|project| project.permissions.len())),
            ("role_mapping", sum(|project| project.role_mappings.len())),
            ("role_set", sum(|project| project.role_sets.len())),
        ] {
            metric.value(&[("kind", kind)], count);
        }
    }

    fn process(&self, text: &mut Text) {
        text.metric(Gauge, "rolecall_build_info", "Always 1. The label is the version.")
            .value(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        let start = self.checks.start_time.0 as f64 / 1e6;
        text.gauge("process_start_time_seconds", "When the server started, in seconds since 1970.", start);
        let pid = std::process::id();
        let cpu = process::cpu_seconds(pid).unwrap_or_default();
        text.metric(Counter, "process_cpu_seconds_total", "Processor time of the server.").value(&[], cpu);
        let resident = process::resident_bytes(pid).unwrap_or_default();
        text.gauge("process_resident_memory_bytes", "Resident memory of the server.", resident as f64);
        let help = "Resident memory by kind: anonymous memory holds the data, files are programs and mapped databases.";
        let mut metric = text.metric(Gauge, "rolecall_resident_bytes", help);
        for (kind, bytes) in process::resident_kinds(pid) {
            metric.value(&[("kind", kind)], bytes as f64);
        }
        let open = process::open_files().unwrap_or_default();
        text.gauge("process_open_fds", "Open files, with connections.", open as f64);
        text.gauge("process_max_fds", "The limit of open files.", process::open_files_max() as f64);
    }
}

fn purge(text: &mut Text, state: &State) {
    let (mut projects, mut orgs, mut role_sets) = (0, 0, 0);
    for project in state.all_projects() {
        projects += usize::from(project.is_being_purged());
        orgs += project.orgs_being_purged().len();
        role_sets += project.role_sets_being_purged().len();
    }
    let mut metric = text.metric(Gauge, "rolecall_purge_backlog", "What is deleted and not purged yet, by kind.");
    for (kind, count) in [("project", projects), ("org", orgs), ("role_set", role_sets)] {
        metric.value(&[("kind", kind)], count as f64);
    }
}

fn writes(text: &mut Text, app: &App) {
    let metrics = &app.writer.metrics;
    let mut metric = text.metric(Counter, "rolecall_writes_total", "Commands, by how they ended.");
    for (outcome, count) in [
        ("accepted", &metrics.accepted),
        ("refused", &metrics.refused),
        ("failed", &metrics.failed),
        ("unknown", &metrics.unknown),
        ("overloaded", &metrics.overloaded),
    ] {
        metric.value(&[("outcome", outcome)], count.get() as f64);
    }
    let commits = metrics.commit_changes.read().count;
    text.metric(Counter, "rolecall_commits_total", "Revisions that this server made.").value(&[], commits as f64);
    text.metric(Histogram, "rolecall_commit_changes", "Changes of each commit, as the history counts them.")
        .histogram(&[], &metrics.commit_changes);
    text.metric(Histogram, "rolecall_write_group_commands", "Commands of each group, which is one transaction.")
        .histogram(&[], &metrics.group_commands);
    text.gauge("rolecall_write_queue", "Commands that wait for their group.", app.writer.queued() as f64);
    text.gauge("rolecall_write_queue_max", "The limit of commands that wait.", WRITE_QUEUE_MAX as f64);
}

fn store(text: &mut Text, app: &App) {
    let store = &app.store;
    let metrics = store.metrics();
    let help =
        "How long the database took: load, list and follow read; begin, persist and commit are steps of a write.";
    let mut metric = text.metric(Histogram, "rolecall_database_operation_duration_seconds", help);
    for (operation, name) in OPERATIONS {
        metric.histogram(&[("operation", name)], &metrics.of(operation).durations);
    }
    let help = "Operations that the database did not do. A read that fails after it began is not counted.";
    let mut metric = text.metric(Counter, "rolecall_database_errors_total", help);
    for (operation, name) in OPERATIONS {
        metric.value(&[("operation", name)], metrics.of(operation).errors.get() as f64);
    }
    let up = f64::from(u8::from(store.away_since().is_none()));
    text.gauge("rolecall_database_up", "1 while the database answers and takes writes.", up);
    let help = "How many revisions the database had more than memory when it last answered.";
    let lag = store.lag(app.engine.load().state.revision());
    text.gauge("rolecall_lag_revisions", help, lag as f64);
}

fn feeds(text: &mut Text, app: &App, state: &State) {
    let newest = state.revision().number;
    let streams = [("watch", &app.feeds.watchers), ("follow", &app.feeds.followers)];
    let found = streams.map(|(feed, streams)| (feed, streams.count_and_lag(newest)));
    let mut metric = text.metric(Gauge, "rolecall_feed_streams", "Open streams of watchers and of sidecars.");
    for (feed, (count, _)) in found {
        metric.value(&[("feed", feed)], count as f64);
    }
    let help = "How many revisions the slowest of these streams is behind.";
    let mut metric = text.metric(Gauge, "rolecall_feed_lag_revisions", help);
    for (feed, (_, lag)) in found {
        metric.value(&[("feed", feed)], lag as f64);
    }
    let help = "Reads of the database for streams that are too far behind for memory.";
    text.metric(Counter, "rolecall_feed_database_reads_total", help).value(&[], app.feed.database_reads() as f64);
}

fn following(text: &mut Text, sidecar: &Sidecar) {
    let follows = f64::from(u8::from(sidecar.current().is_some()));
    text.gauge("rolecall_sidecar_following", "1 while the sidecar follows an upstream.", follows);
    let metrics = &sidecar.metrics;
    let help = "How often the sidecar began to follow an upstream. Each after the first is a reconnect.";
    text.counter("rolecall_sidecar_connects_total", help, &metrics.connects);
    let help = "Streams from upstreams that ended, and attempts that failed.";
    text.counter("rolecall_sidecar_failures_total", help, &metrics.failures);
    let help = "Snapshots that replaced the data in memory, because its history was no longer that of the upstream.";
    text.counter("rolecall_sidecar_snapshots_total", help, &metrics.snapshots);
}
