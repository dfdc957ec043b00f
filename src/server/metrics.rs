//! Serves the page of metrics: HTTP without TLS, on a socket of its own.

mod page;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::{Bound, Listen, StartError, Stream};
use crate::metrics::text;
pub use page::{Part, Sources};

/// Where metrics are served unless configured.
const DEFAULT_ADDRESS: &str = "127.0.0.1:9464";
/// Scrapes at a time.
const CONNECTIONS_MAX: usize = 16;
/// How long one scrape may take, from its connection to its last byte.
const SCRAPE_MAX: Duration = Duration::from_secs(30);
/// How long a client may take to send the head of its request.
const HEAD_MAX: Duration = Duration::from_secs(3);
/// How long to wait after an error of accepting.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Where metrics are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MetricsListen {
    /// Nowhere. Calls are not measured then.
    #[default]
    Off,
    /// At the default address. If that is in use, nowhere.
    Default,
    At(Listen),
}

impl FromStr for MetricsListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" | "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|why: String| format!("{why}, or `off`")),
        }
    }
}

impl MetricsListen {
    /// Binds the socket. `None` if metrics are not served.
    pub(super) async fn bind(&self) -> Result<Option<Bound>, StartError> {
        self.bind_or(DEFAULT_ADDRESS).await
    }

    async fn bind_or(&self, default: &str) -> Result<Option<Bound>, StartError> {
        let address = match self {
            Self::Off => return Ok(None),
            Self::Default => Listen::Tcp(default.into()),
            Self::At(address) => address.clone(),
        };
        match (address.bind().await, self) {
            (Ok(bound), _) => {
                if !bound.is_local() {
                    tracing::warn!(
                        address = %bound.address(),
                        "other machines can read the metrics; they have counts, and no names of projects, orgs or users"
                    );
                }
                Ok(Some(bound))
            }
            (Err(error), Self::Default) => {
                tracing::warn!(%address, %error, "metrics are off: the address is not free; choose one with --metrics-listen");
                Ok(None)
            }
            (Err(error), _) => Err(StartError::Metrics(address, error)),
        }
    }
}

/// The running listener of metrics.
pub struct Serving {
    /// With the actual port in the place of 0.
    pub address: Listen,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Serving {
    /// Starts to answer scrapes.
    pub fn start(bound: Bound, sources: Sources) -> Self {
        let (address, stop) = (bound.address(), watch::Sender::new(false));
        tracing::info!(%address, "serving metrics");
        let accepting = tokio::spawn(accept(bound, Arc::new(Mutex::new(sources)), stop.subscribe()));
        Self { address, stop, accepting }
    }

    /// Ends all scrapes. Nothing of the server is in use afterwards.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // It panics only if a bug does.
        let _ = self.accepting.await;
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metrics at {}", self.address)
    }
}

async fn accept(bound: Bound, sources: Arc<Mutex<Sources>>, mut stop: watch::Receiver<bool>) {
    let router = Router::new().route("/metrics", get(metrics)).fallback(not_found).with_state(sources.clone());
    let (free, mut scrapes) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), JoinSet::new());
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = scrapes.join_next() => continue,
            accepted = next(&bound) => accepted,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "a scrape of the metrics is not accepted");
                tokio::time::sleep(RETRY_DELAY).await;
                continue;
            }
        };
        // A connection beyond the limit is closed.
        let Ok(permit) = free.clone().try_acquire_owned() else { continue };
        let service = TowerToHyperService::new(router.clone());
        scrapes.spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).keep_alive(false);
            // An error is the client's, and it knows.
            let _ = tokio::time::timeout(SCRAPE_MAX, http.serve_connection(TokioIo::new(stream), service)).await;
            drop(permit);
        });
    }
    scrapes.shutdown().await;
    // A page that is being written uses the store.
    drop(sources.lock().await);
}

async fn next(bound: &Bound) -> std::io::Result<Box<dyn Stream>> {
    Ok(match bound {
        Bound::Tcp(listener, _) => Box::new(listener.accept().await?.0),
        Bound::Unix(_, listener) => Box::new(listener.accept().await?.0),
    })
}

/// One page at a time, on a thread that answers no checks: it visits all orgs.
async fn metrics(sources: axum::extract::State<Arc<Mutex<Sources>>>) -> impl IntoResponse {
    let sources = sources.0.lock_owned().await;
    match tokio::task::spawn_blocking(move || sources.page()).await {
        Ok(page) => ([(CONTENT_TYPE, text::CONTENT_TYPE)], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "metrics are at /metrics\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_served_at_an_address_or_not_at_all() {
        assert_eq!("".parse(), Ok(MetricsListen::Off));
        assert_eq!(" off\n".parse(), Ok(MetricsListen::Off));
        assert_eq!("127.0.0.1:0".parse(), Ok(MetricsListen::At(Listen::Tcp("127.0.0.1:0".into()))));
        assert_eq!("unix:/run/m.sock".parse(), Ok(MetricsListen::At(Listen::Unix("/run/m.sock".into()))));
        assert!("on".parse::<MetricsListen>().unwrap_err().ends_with("or `off`"));
    }

    #[tokio::test]
    async fn an_address_that_was_named_must_be_free_and_the_default_one_need_not() {
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = MetricsListen::At(Listen::Tcp(address.clone())).bind().await.map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("--metrics-listen"), "{error}");
        assert!(MetricsListen::Default.bind_or(&address).await.unwrap().is_none());
        assert!(MetricsListen::Default.bind_or("127.0.0.1:0").await.unwrap().is_some());
        assert!(MetricsListen::Off.bind().await.unwrap().is_none());
    }
}
