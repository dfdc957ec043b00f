//! Where traces go: the flags of a collector, and the connection to it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Uri};

use super::connect::{Remote, is_local, tls};
use crate::server::Listen;
use crate::server::telemetry::Traces;

/// The variables by which OpenTelemetry names a collector and its CA to all programs. The own ones go before them.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const CA: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
/// The variables with the headers for a collector. The first that is set counts. The exporter reads them itself, and leaves
/// out those that it cannot read.
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
/// How long a connection and an export may take.
const EXPORT_MAX: Duration = Duration::from_secs(10);

#[derive(Args)]
#[group(skip)]
pub struct TraceArgs {
    /// Exports traces to a collector that speaks OTLP over gRPC: `https://HOST:PORT`, or `http://HOST:PORT` without TLS. If not
    /// given, there are none. Headers for it, such as a token, are in OTEL_EXPORTER_OTLP_HEADERS.
    #[arg(long, env = "ROLECALL_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,

    /// A PEM file with the CA of the collector. If not given, its certificate is of a CA of this system.
    #[arg(long, env = "ROLECALL_OTLP_CA", value_name = "FILE")]
    otlp_ca: Option<PathBuf>,

    /// The share of calls with a trace, from 0 to 1. A caller that sends `traceparent` decides for itself.
    #[arg(long, env = "ROLECALL_TRACE_SAMPLE_RATIO", default_value_t = 0.01, value_name = "RATIO", value_parser = ratio)]
    trace_sample_ratio: f64,
}

/// Reads a share.
fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "give a number from 0 to 1".into())
}

impl TraceArgs {
    /// Returns where traces go. `None` if nowhere. Connects when there is something to export.
    pub fn traces(&self) -> Result<Option<Traces>, String> {
        let variable = |name| std::env::var(name).ok();
        let endpoint = self.otlp_endpoint.clone().or_else(|| variable(ENDPOINT));
        let Some(endpoint) = endpoint.map(|endpoint| endpoint.trim().to_owned()).filter(|it| !it.is_empty()) else {
            return Ok(None);
        };
        let headers = HEADERS.into_iter().find_map(|name| Some((name, variable(name)?)));
        let headers = headers.filter(|(_, text)| !text.trim().is_empty());
        if let Some((name, text)) = &headers {
            check_headers(name, text)?;
        }
        let ca = self.otlp_ca.clone().or_else(|| variable(CA).filter(|path| !path.is_empty()).map(PathBuf::from));
        let (address, tls) = parse(&endpoint)?;
        let mut warning = None;
        let channel = if tls {
            let tls = tls::connector_without_certificate(&address, ca.as_deref(), "--otlp-ca");
            let remote = Remote::with_tls(address, tls.map_err(|trouble| trouble.line())?);
            Some(channel(&endpoint, remote)?)
        } else if self.otlp_ca.is_some() {
            return Err(format!("`--otlp-endpoint {endpoint}` has no TLS, which --otlp-ca is for; write `https://`"));
        } else {
            if headers.is_some() && !is_local(&Listen::Tcp(address)) {
                warning = Some(
                    "the headers for the collector of traces are sent without TLS: others can read a token in them",
                );
            }
            None
        };
        Ok(Some(Traces { endpoint, sample_ratio: self.trace_sample_ratio, channel, warning }))
    }
}

/// Returns the address that a URL names, and whether it is reached with TLS.
fn parse(endpoint: &str) -> Result<(String, bool), String> {
    let uri: Option<Uri> = endpoint.parse().ok();
    let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)));
    match parts {
        // It would be ignored, and logged.
        Some((_, authority)) if authority.as_str().contains('@') => {
            Err(format!("the URL of --otlp-endpoint takes no user and password; give a token in {}", HEADERS[1]))
        }
        Some((scheme @ ("http" | "https"), authority)) => {
            let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
            Ok((format!("{}:{port}", authority.host()), scheme == "https"))
        }
        _ => {
            Err(format!("`--otlp-endpoint {endpoint}` must be `https://HOST:PORT`, or `http://HOST:PORT` without TLS"))
        }
    }
}

/// Returns a connection that is made when it is first used.
fn channel(endpoint: &str, remote: Remote) -> Result<Channel, String> {
    let connector = tower::service_fn(move |_: Uri| {
        let remote = remote.clone();
        async move { remote.open().await.map(TokioIo::new) }
    });
    let settings = Endpoint::from_shared(endpoint.to_owned());
    let settings = settings.map_err(|error| format!("`--otlp-endpoint {endpoint}`: {error}"))?;
    Ok(settings.timeout(EXPORT_MAX).connect_timeout(EXPORT_MAX).connect_with_connector_lazy(connector))
}

/// Refuses headers that the exporter would leave out. Does not show them: they hold secrets.
fn check_headers(variable: &str, text: &str) -> Result<(), String> {
    let is_header = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or_default();
        let (name, value) = (name.trim().parse::<http::HeaderName>(), value.trim());
        name.is_ok() && !value.is_empty() && value.parse::<http::HeaderValue>().is_ok()
    };
    if text.split_terminator(',').all(is_header) {
        return Ok(());
    }
    Err(format!("{variable} is not `NAME=VALUE`, or several with commas; write a comma in a value as `%2C`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_collector_names_its_address_and_whether_it_speaks_tls() {
        for (url, address, tls) in [
            ("http://127.0.0.1:4317", "127.0.0.1:4317", false),
            ("https://otlp.example.com:4317", "otlp.example.com:4317", true),
            ("https://otlp.example.com", "otlp.example.com:443", true),
            ("https://[::1]:4317/", "[::1]:4317", true),
        ] {
            assert_eq!(parse(url), Ok((address.into(), tls)), "{url}");
        }
        for (url, why) in [
            ("localhost:4317", "must be `https://HOST:PORT`"),
            ("grpc://localhost:4317", "must be `https://HOST:PORT`"),
            ("/v1/traces", "must be `https://HOST:PORT`"),
            ("https://ann:secret@otlp.example.com", "no user and password"),
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn headers_that_the_exporter_would_leave_out_are_refused_without_showing_them() {
        for text in ["", "api-key=secret", "authorization=Bearer%20secret, x-team = a=b ", "a=1,"] {
            assert_eq!(check_headers("V", text), Ok(()), "{text}");
        }
        for text in ["secret", "a=1,secret", "a=", "=secret", "a b=secret", "a=1,,b=2", "a=sec\nret"] {
            let error = check_headers("V", text).unwrap_err();
            assert!(error.starts_with("V is not `NAME=VALUE`") && !error.contains("secret"), "{error}");
        }
    }
}
