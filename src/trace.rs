//! Spans of sampled calls, in the form of OpenTelemetry.
//!
//! A call that is not sampled has no span. While nothing is exported, a call reads one flag.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, Method, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::field::Empty;
use tracing::{Span, error_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of all spans that are exported.
pub const TARGET: &str = "rolecall::trace";
/// The header of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";

/// The statuses that are the fault of a server, by the semantic conventions of OpenTelemetry.
const FAULTS: [&str; 6] = ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

/// The methods of HTTP that the conventions know. The name of another is up to the client, and not in spans.
const METHODS: [Method; 9] = [
    Method::CONNECT,
    Method::DELETE,
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::PATCH,
    Method::POST,
    Method::PUT,
    Method::TRACE,
];

/// The share of calls without a parent that are sampled. Empty while nothing is exported.
static RATIO: OnceLock<f64> = OnceLock::new();

/// Begins to make spans of sampled calls.
pub fn start(ratio: f64) {
    // A process starts once.
    let _ = RATIO.set(ratio);
}

/// Returns the span of a call of gRPC. `None` unless the call is sampled.
#[inline]
pub fn call(path: &str, headers: &HeaderMap) -> Option<Span> {
    let ratio = RATIO.get()?;
    sampled_call(*ratio, path, headers)
}

fn sampled_call(ratio: f64, path: &str, headers: &HeaderMap) -> Option<Span> {
    let span = sampled(ratio, headers)?;
    let method = path.trim_start_matches('/').to_owned();
    let context = span.context();
    context.span().update_name(method.clone());
    context.span().set_attribute(KeyValue::new("rpc.system.name", "grpc"));
    context.span().set_attribute(KeyValue::new("rpc.method", method));
    Some(span)
}

/// A request of HTTP.
pub struct HttpRequest<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub headers: &'a HeaderMap,
    pub tls: bool,
}

/// Returns the span of a call of HTTP. `None` unless the call is sampled. `route` returns the template of its path, or `None`
/// for a path of no method.
pub fn http_call(request: &HttpRequest<'_>, route: impl FnOnce(&str) -> Option<String>) -> Option<Span> {
    let span = sampled(*RATIO.get()?, request.headers)?;
    let context = span.context();
    let known = METHODS.contains(request.method).then(|| request.method.as_str());
    let name = known.unwrap_or("HTTP");
    let route = route(request.path);
    context.span().update_name(route.as_ref().map_or_else(|| name.into(), |route| format!("{name} {route}")));
    context.span().set_attributes([
        KeyValue::new("http.request.method", known.unwrap_or("_OTHER").to_owned()),
        KeyValue::new("url.scheme", if request.tls { "https" } else { "http" }),
        KeyValue::new("url.path", without_project(request.path)),
    ]);
    context.span().set_attributes(route.map(|route| KeyValue::new("http.route", route)));
    Some(span)
}

/// Notes with which status a call of HTTP ended. Those that are not the fault of the caller are errors.
pub fn http_ended(span: &Span, status: StatusCode) {
    let context = span.context();
    context.span().set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if status.is_server_error() {
        context.span().set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
        // The status code says what the error is.
        context.span().set_status(Status::error(""));
    }
}

/// Replaces the key of a project: the conventions demand the path, and traces name no projects.
fn without_project(path: &str) -> String {
    let mut follows_projects = false;
    let shown = path.split('/').map(|segment| {
        let is_key = follows_projects;
        follows_projects = !is_key && segment == "projects";
        if is_key { "REDACTED" } else { segment }
    });
    shown.collect::<Vec<_>>().join("/")
}

/// Returns the span of a call whose name is not set yet. `None` unless the call is sampled: by the caller that its headers
/// name, or else by chance.
fn sampled(ratio: f64, headers: &HeaderMap) -> Option<Span> {
    let parent = headers.contains_key(TRACEPARENT).then(|| TraceContextPropagator::new().extract(&Headers(headers)));
    let parent = parent.filter(|context| context.span().span_context().is_valid());
    let is_sampled = match &parent {
        Some(parent) => parent.span().span_context().is_sampled(),
        None => chance() < ratio,
    };
    if !is_sampled {
        return None;
    }
    // The level makes it part of every log: its lines have the trace id.
    let span = error_span!(target: TARGET, "call", otel.kind = "server", trace_id = Empty);
    if let Some(parent) = parent {
        // It fails only if spans are not exported.
        let _ = span.set_parent(parent);
    }
    let context = span.context();
    span.record("trace_id", context.span().span_context().trace_id().to_string());
    Some(span)
}

/// Notes with which status of gRPC a call ended. Those that are not the fault of the caller are errors.
pub fn ended(span: &Span, code: &'static str) {
    let context = span.context();
    context.span().set_attribute(KeyValue::new("rpc.response.status_code", code));
    if FAULTS.contains(&code) {
        context.span().set_status(Status::error(code));
    }
}

/// Returns the span of a part of the current call. It does nothing unless the call is sampled.
pub fn part(name: &'static str) -> Span {
    part_of(&Span::current(), name)
}

/// Returns the span of a part of a call. It does nothing unless the call is sampled.
pub fn part_of(whole: &Span, name: &'static str) -> Span {
    if whole.metadata().is_none_or(|metadata| metadata.target() != TARGET) {
        return Span::none();
    }
    error_span!(target: TARGET, parent: whole, "part", otel.name = name)
}

/// Returns the headers that make a call to another server a part of the current call.
pub fn headers() -> HashMap<String, String> {
    let mut headers = HashMap::new();
    if RATIO.get().is_some() {
        TraceContextPropagator::new().inject_context(&Span::current().context(), &mut headers);
    }
    headers
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// Returns a number from 0 up to 1. Asking the system for each call would take longer than deciding a check.
fn chance() -> f64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(getrandom::u64().unwrap_or_default());
    }
    // SplitMix64.
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn chance_is_spread_evenly() {
        let below = (0..100_000).filter(|_| chance() < 0.25).count();
        assert!((24_000..26_000).contains(&below), "{below}");
    }

    #[test]
    fn a_call_has_no_span_while_nothing_is_exported_or_its_caller_is_not_sampled() {
        let mut headers = HeaderMap::new();
        assert!(call("/a", &headers).is_none());
        let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        headers.insert(TRACEPARENT, HeaderValue::from_static(unsampled));
        assert!(sampled(1.0, &headers).is_none());
        headers.insert(TRACEPARENT, HeaderValue::from_static("nonsense"));
        assert!(sampled(0.0, &headers).is_none());
    }

    #[test]
    fn a_path_is_shown_without_the_key_of_its_project() {
        for (path, shown) in [
            ("/access/v1/evaluation", "/access/v1/evaluation"),
            ("/projects/shop/access/v1/evaluation", "/projects/REDACTED/access/v1/evaluation"),
            (
                "/.well-known/authzen-configuration/projects/shop",
                "/.well-known/authzen-configuration/projects/REDACTED",
            ),
            ("/projects/projects/no/such/path", "/projects/REDACTED/no/such/path"),
            ("/", "/"),
        ] {
            assert_eq!(without_project(path), shown);
        }
    }
}
