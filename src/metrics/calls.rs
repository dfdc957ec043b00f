//! How long calls take, by method and status. The names are those of the semantic conventions of OpenTelemetry for RPC.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::histogram::{DURATIONS, Histogram};
use super::text::{Kind, Text};

/// The names of the statuses of gRPC, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const CANCELLED: usize = 1;
const UNKNOWN: usize = 2;

/// The system of calls that are not of gRPC.
const HTTP: &str = "http";
/// The name of all methods that do not exist.
const OTHER: &str = "_OTHER";
/// In a path, the key of any project.
const PROJECT: &str = "{project}";

/// Returns the name of a status.
pub fn code_name(code: i32) -> &'static str {
    usize::try_from(code).ok().and_then(|code| CODES.get(code)).unwrap_or(&CODES[UNKNOWN])
}

/// Returns true if a path is a template with the key of a project in the place of `{project}`.
fn is_of_project(path: &str, template: &str) -> bool {
    let Some((before, after)) = template.split_once(PROJECT) else { return false };
    let key = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    key.is_some_and(|key| !key.is_empty() && !key.contains('/'))
}

/// See the module.
pub struct CallMetrics {
    on: bool,
    methods: Vec<Method>,
    /// The place of the methods that do not exist.
    other: usize,
    /// The places of `methods`, by path.
    by_path: HashMap<String, usize>,
}

struct Method {
    system: &'static str,
    /// `{project}` in it stands for any key: a label must not have what clients send.
    path: String,
    /// Made when a call first ends with the status.
    by_code: [OnceLock<Histogram>; CODES.len()],
}

/// A call that is measured.
pub struct Timed {
    method: usize,
    /// `None` if nothing is measured.
    began: Option<Instant>,
    ended: AtomicBool,
}

impl CallMetrics {
    /// Measures calls of these methods, whose paths are as in `/rolecall.v1.CheckService/Check`. The first two are found fastest.
    /// Measures nothing unless `on`.
    pub fn new(on: bool, paths: impl IntoIterator<Item = String>) -> Self {
        let mut metrics = Self { on, methods: Vec::new(), other: 0, by_path: HashMap::new() };
        metrics.add("grpc", paths);
        metrics.other = metrics.methods.len();
        metrics.add("grpc", [format!("/{OTHER}")]);
        metrics
    }

    /// Measures calls of these paths of HTTP too.
    pub fn with_http(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        self.add(HTTP, paths);
        self
    }

    fn add(&mut self, system: &'static str, paths: impl IntoIterator<Item = String>) {
        for path in paths {
            self.by_path.insert(path.clone(), self.methods.len());
            self.methods.push(Method { system, path, by_code: Default::default() });
        }
    }

    /// Returns the place of a path that is not known as it is: one with the key of a project, or of no method.
    fn other(&self, path: &str) -> usize {
        self.methods.iter().position(|method| is_of_project(path, &method.path)).unwrap_or(self.other)
    }

    /// Returns the template of a path of HTTP. `None` for a path of no method.
    pub fn http_route(&self, path: &str) -> Option<&str> {
        let place = self.by_path.get(path).copied().unwrap_or_else(|| self.other(path));
        Some(&self.methods[place]).filter(|method| method.system == HTTP).map(|method| &*method.path)
    }

    /// Begins to measure a call.
    pub fn begin(&self, path: &str) -> Timed {
        if !self.on {
            return Timed { method: 0, began: None, ended: AtomicBool::new(true) };
        }
        let fast = self.methods.iter().take(2).position(|method| method.path == path);
        let method = fast.or_else(|| self.by_path.get(path).copied()).unwrap_or_else(|| self.other(path));
        Timed { method, began: Some(Instant::now()), ended: AtomicBool::new(false) }
    }

    /// Records the status of a call. Does nothing if it is recorded already.
    pub fn end(&self, call: &Timed, code: i32) {
        if call.ended.swap(true, Relaxed) {
            return;
        }
        let code = usize::try_from(code).ok().filter(|code| *code < CODES.len()).unwrap_or(UNKNOWN);
        let duration = call.began.map(|began| began.elapsed()).unwrap_or(Duration::ZERO);
        let histogram = self.methods[call.method].by_code[code].get_or_init(|| Histogram::new(&DURATIONS));
        histogram.add_duration(duration);
    }

    /// Records that a call ended without a status: its client is gone.
    pub fn end_without_status(&self, call: &Timed) {
        if !call.ended.load(Relaxed) {
            self.end(call, CANCELLED as i32);
        }
    }

    /// Writes what was measured.
    pub fn write(&self, text: &mut Text) {
        let help = "How long calls took until they were answered, streams until they ended.";
        let mut metric = text.metric(Kind::Histogram, "rpc_server_call_duration_seconds", help);
        for method in &self.methods {
            for (code, histogram) in CODES.iter().zip(&method.by_code) {
                let Some(histogram) = histogram.get() else { continue };
                let name = method.path.trim_start_matches('/');
                let labels =
                    [("rpc_system_name", method.system), ("rpc_method", name), ("rpc_response_status_code", *code)];
                metric.histogram(&labels, histogram);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(metrics: &CallMetrics) -> Vec<(String, &'static str, u64)> {
        let of = |method: &Method| {
            let path = method.path.clone();
            let found =
                CODES.iter().zip(&method.by_code).filter_map(|(code, it)| Some((*code, it.get()?.read().count)));
            found.map(|(code, count)| (path.clone(), code, count)).collect::<Vec<_>>()
        };
        metrics.methods.iter().flat_map(of).collect()
    }

    #[test]
    fn a_call_is_recorded_once_with_its_first_status() {
        let metrics = CallMetrics::new(true, ["/a".into(), "/b".into(), "/c".into()]);
        let call = metrics.begin("/c");
        metrics.end(&call, 5);
        metrics.end(&call, 0);
        metrics.end_without_status(&call);
        metrics.end_without_status(&metrics.begin("/a"));
        metrics.end(&metrics.begin("/made up by a client"), 12);
        let expected = [("/a", "CANCELLED", 1), ("/c", "NOT_FOUND", 1), ("/_OTHER", "UNIMPLEMENTED", 1)];
        assert_eq!(counts(&metrics), expected.map(|(path, code, count)| (path.to_string(), code, count)));
    }

    #[test]
    fn a_path_of_http_is_measured_without_the_key_of_its_project() {
        let paths = ["/v1/a", "/projects/{project}/v1/a", "/described/{project}"].map(str::to_owned);
        let metrics = CallMetrics::new(true, ["/a".into()]).with_http(paths);
        for path in ["/v1/a", "/projects/shop/v1/a", "/projects/other/v1/a", "/described/shop"] {
            metrics.end(&metrics.begin(path), 0);
        }
        for path in ["/projects//v1/a", "/projects/a/b/v1/a", "/projects/a/v1/b", "/described/", "/described/a/b"] {
            metrics.end(&metrics.begin(path), 12);
        }
        let expected = [
            ("/_OTHER", "UNIMPLEMENTED", 5),
            ("/v1/a", "OK", 1),
            ("/projects/{project}/v1/a", "OK", 2),
            ("/described/{project}", "OK", 1),
        ];
        assert_eq!(counts(&metrics), expected.map(|(path, code, count)| (path.to_string(), code, count)));
    }

    #[test]
    fn nothing_is_measured_while_it_is_off() {
        let metrics = CallMetrics::new(false, ["/a".into()]);
        metrics.end(&metrics.begin("/a"), 0);
        assert!(counts(&metrics).is_empty());
    }
}
