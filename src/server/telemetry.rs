//! Log lines on stderr, and traces.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tonic::transport::Channel;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::trace;

/// These crates log routine work at `info`. A filter can name them to see it. The pool logs each attempt to reach a server that
/// is refused; the store logs the outcome.
const QUIET: &str = "sea_orm_migration=warn,sqlx=warn,sqlx_core::pool=off";

/// How long the last spans have when the server stops.
const FLUSH_MAX: Duration = Duration::from_secs(2);
/// How often it is logged that spans cannot be exported.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// Where spans go, and of which calls.
pub struct Traces {
    /// The URL of a collector that speaks OTLP over gRPC.
    pub endpoint: String,
    /// The connection to the collector. `None` makes one without TLS.
    pub channel: Option<Channel>,
    /// What to tell the operator.
    pub warning: Option<&'static str>,
    /// The share of calls that are sampled if their caller does not say.
    pub sample_ratio: f64,
}

/// What has been started. Stop it last.
#[derive(Default)]
pub struct Telemetry(Option<SdkTracerProvider>);

/// Starts logging, and traces if configured. `filter` has the syntax of `RUST_LOG`.
pub fn start(filter: &str, json: bool, traces: Option<Traces>) -> Result<Telemetry, String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|error| format!("`--log {filter}` is no filter: {error}"))?;
    let provider = traces.as_ref().map(provider).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("rolecall"));
        let layer = layer.with_location(false).with_threads(false).with_target(false).with_level(false);
        layer.with_filter(Targets::new().with_target(trace::TARGET, tracing::Level::ERROR))
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match json {
        true => lines.json().with_filter(filter).boxed(),
        false => {
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines.with_ansi(ansi).with_target(false).with_filter(filter).boxed()
        }
    };
    let started = tracing_subscriber::registry().with(lines).with(spans).try_init();
    started.map_err(|error| format!("logging cannot start: {error}"))?;
    if let Some(traces) = traces {
        trace::start(traces.sample_ratio);
        if let Some(warning) = traces.warning {
            tracing::warn!("{warning}");
        }
        tracing::info!(endpoint = traces.endpoint, sample_ratio = traces.sample_ratio, "exporting traces");
    }
    Ok(Telemetry(provider))
}

impl Telemetry {
    /// Exports the last spans, for a short time.
    pub async fn stop(self) {
        let Some(provider) = self.0 else { return };
        // It blocks until a thread has exported them.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_MAX)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!(deadline = ?FLUSH_MAX, "the latest spans are lost: the collector did not take them");
        }
    }
}

fn provider(traces: &Traces) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(&traces.endpoint);
    let exporter = match traces.channel.clone() {
        Some(channel) => exporter.with_channel(channel).build(),
        None => exporter.build(),
    };
    let exporter = exporter.map_err(|error| format!("`--otlp-endpoint {}`: {error}", traces.endpoint))?;
    let resource = Resource::builder()
        .with_service_name("rolecall")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let exporter = Logged { exporter, logged: Mutex::default() };
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

/// Logs once in a while that spans cannot be exported.
struct Logged {
    exporter: SpanExporter,
    logged: Mutex<Option<Instant>>,
}

impl fmt::Debug for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exporter.fmt(f)
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Logged {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.exporter.export(batch).await;
        if let Err(error) = &exported {
            let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
            if logged.is_none_or(|at| at.elapsed() >= LOG_PAUSE) {
                *logged = Some(Instant::now());
                tracing::warn!(%error, spans, "traces cannot be exported; their spans are lost");
            }
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
