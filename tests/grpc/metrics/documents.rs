//! docs/metrics.md, the dashboard and the alerts name the metrics that exist.
//!
//! `UPDATE_DOCS=1 cargo test --test grpc metrics` rewrites the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{on_both, page};
use crate::contract::shop;
use crate::operators::may_ann_see_invoices;
use crate::sidecar::Sidecar;

const DOCUMENT: &str = "docs/metrics.md";
const BEGIN: &str = "<!-- metrics -->\n";
const END: &str = "<!-- end of metrics -->\n";
const DASHBOARD: &str = "deploy/grafana/rolecall.json";
const ALERTS: &str = "deploy/prometheus/alerts.yaml";
const ALERT_TESTS: &str = "deploy/prometheus/alerts_test.yaml";
const RUNBOOK: &str = "docs/runbook.md";
/// The names of all metrics of a server begin with one of these.
const PREFIXES: [&str; 3] = ["rolecall_", "rpc_server_", "process_"];

/// What a page says about a metric.
#[derive(Clone, Debug, Default, PartialEq)]
struct Metric {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

type Metrics = BTreeMap<String, Metric>;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn metrics(page: &str) -> Metrics {
    let mut metrics = Metrics::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            current = name.into();
            let twice = metrics.insert(name.into(), Metric { help: help.into(), ..Metric::default() });
            assert_eq!(twice, None, "{name} is on the page twice");
            continue;
        }
        let metric = metrics.get_mut(&current).unwrap();
        if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            metric.kind = kind.into();
        } else if let Some((_, labels)) = line.split_once('{') {
            let names = labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name);
            metric.labels.extend(names.filter(|name| *name != "le").map(String::from));
        }
    }
    metrics
}

fn table(server: &Metrics, sidecar: &Metrics) -> String {
    let mut table = String::from("| metric | type | labels | of | meaning |\n|---|---|---|---|---|\n");
    let names: BTreeSet<&String> = server.keys().chain(sidecar.keys()).collect();
    for name in names {
        let of = match (server.get(name), sidecar.get(name)) {
            (Some(_), Some(_)) => "both",
            (Some(_), None) => "server",
            _ => "sidecar",
        };
        let Metric { kind, help, labels } = server.get(name).or(sidecar.get(name)).unwrap();
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        table += &format!("| `{name}` | {kind} | {} | {of} | {help} |\n", labels.join(", "));
    }
    table
}

/// Returns the metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix))).map(String::from).collect()
}

/// Returns the texts of the fields with a name, at any depth.
fn texts(value: &serde_json::Value, name: &str) -> Vec<String> {
    match value {
        serde_json::Value::Array(values) => values.iter().flat_map(|value| texts(value, name)).collect(),
        serde_json::Value::Object(fields) => {
            let own = fields.get(name).and_then(serde_json::Value::as_str).map(String::from);
            own.into_iter().chain(fields.values().flat_map(|value| texts(value, name))).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the expressions of the dashboard as recording rules, with a value for each variable of Grafana.
fn rules(dashboard: &serde_json::Value) -> String {
    let mut rules = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (number, expression) in texts(dashboard, "expr").into_iter().enumerate() {
        let plain = expression.replace("$__rate_interval", "1m").replace("$instance", ".*");
        // `label_replace` has `$1`. promtool accepts a forgotten variable inside a string.
        let variable = plain.split('$').skip(1).find(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
        assert_eq!(variable, None, "{DASHBOARD}: `{expression}` has a variable without a value here");
        let text = serde_json::Value::from(plain);
        rules += &format!("  - record: expression_{number}\n    expr: {text}\n");
    }
    rules
}

fn check_names(path: &str, text: &str, metrics: &Metrics) {
    let found = named(text);
    assert!(!found.is_empty(), "{path} names no metric");
    for name in found {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let is_histogram = |base: &str| metrics.get(base).is_some_and(|metric| metric.kind == "histogram");
        let exists =
            metrics.get(&name).is_some_and(|metric| metric.kind != "histogram") || base.is_some_and(is_histogram);
        assert!(exists, "{path} names `{name}`, which no server exposes");
    }
}

/// Returns the anchors of the headings of a document, as links name them.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter_map(|line| line.strip_prefix("## "));
    headings.map(|heading| heading.to_lowercase().replace(' ', "-")).collect()
}

/// Runs promtool on a text. Its lints know the conventions of names and units.
fn promtool(arguments: &[&str], text: &str) {
    let command = Command::new("promtool").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = command else {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "promtool not found, and CI=true");
        eprintln!("skipped: promtool not found");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "promtool {arguments:?}: {}", String::from_utf8_lossy(&done.stdout));
}

#[test]
fn the_document_the_dashboard_and_the_alerts_name_the_metrics_that_exist() {
    on_both(async |server| {
        shop(server).await;
        let sidecar = Sidecar::with_metrics(server).await;
        sidecar.check(may_ann_see_invoices("acme")).await.unwrap();
        let of_server = page(&server.metrics()).await;
        let of_sidecar = page(&sidecar.running.metrics.as_ref().unwrap().address).await;
        sidecar.running.stop().await;
        promtool(&["check", "metrics"], &of_server);
        promtool(&["check", "metrics"], &of_sidecar);
        let (of_server, of_sidecar) = (metrics(&of_server), metrics(&of_sidecar));
        let expected = table(&of_server, &of_sidecar);
        let document = read(DOCUMENT);
        let (before, rest) = document.split_once(BEGIN).unwrap();
        let (found, after) = rest.split_once(END).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(file(DOCUMENT), format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        } else {
            assert_eq!(found, expected, "run `UPDATE_DOCS=1 cargo test --test grpc metrics`");
        }
        let all = of_server.into_iter().chain(of_sidecar).collect();
        let dashboard: serde_json::Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
        check_names(DASHBOARD, &[texts(&dashboard, "expr"), texts(&dashboard, "query")].concat().join("\n"), &all);
        check_names(ALERTS, &read(ALERTS), &all);
    });
}

#[test]
fn every_alert_fires_when_it_should_and_has_its_section_in_the_runbook() {
    let (alerts, tests, sections) = (read(ALERTS), read(ALERT_TESTS), anchors(&read(RUNBOOK)));
    let value = |line: &str, name: &str| line.trim_start_matches([' ', '-']).strip_prefix(name).map(String::from);
    let names: Vec<String> = alerts.lines().filter_map(|line| value(line, "alert: ")).collect();
    let links: Vec<String> = alerts.lines().filter_map(|line| value(line, "runbook: ")).collect();
    assert!(!names.is_empty());
    let expected: Vec<String> = names.iter().map(|name| format!("{RUNBOOK}#{}", name.to_lowercase())).collect();
    assert_eq!(links, expected);
    for name in names {
        assert!(sections.contains(&name.to_lowercase()), "{RUNBOOK} has no section `{name}`");
        assert!(
            tests.contains(&format!("alertname: {name}\n        exp_alerts:")),
            "{ALERT_TESTS} has no `{name}` that fires"
        );
    }
    promtool(&["check", "rules", file(ALERTS).to_str().unwrap()], "");
    promtool(&["test", "rules", file(ALERT_TESTS).to_str().unwrap()], "");
}

#[test]
fn the_runbook_names_panels_of_the_dashboard() {
    let dashboard: serde_json::Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let (runbook, titles) = (read(RUNBOOK), texts(&dashboard, "title"));
    // They are in italics, and nothing else is.
    let named = runbook.split('*').skip(1).step_by(2).map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "));
    let unknown: Vec<String> = named.filter(|name| !titles.contains(name)).collect();
    assert_eq!(unknown, Vec::<String>::new(), "{RUNBOOK} names panels that {DASHBOARD} does not have");
}

#[test]
fn every_expression_of_the_dashboard_is_valid() {
    let dashboard = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    fs::write(&path, rules(&dashboard)).unwrap();
    promtool(&["check", "rules", path.to_str().unwrap()], "");
}
