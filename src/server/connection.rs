//! Serves one connection until its client or the server ends it.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep};
use tracing::Instrument;

use super::accept::Accepted;
use super::config::ConnectionLimits;
use super::tls::Tls;
use crate::authzen::answer::Asked;
use crate::grpc::layers::bounded::{AnswerBody, Bounded, BoundedCall};
use crate::grpc::layers::calls::{Budget, Calls};
use crate::grpc::methods::{AnswerFuture, Methods};
use crate::grpc::peer::Peer;
use crate::limits::HTTP_HEAD_BYTES_MAX;
use crate::metrics::calls::CallMetrics;
use crate::trace::{self, HttpRequest};

/// Bytes of the text with which a client begins HTTP/2.
const PREFACE_BYTES: usize = 24;
/// How often a connection that is being closed is asked whether its calls are answered.
const CLOSE_PULSE: Duration = Duration::from_millis(200);
/// How long an old connection waits for a client that does not say that it sends no more calls.
const GOODBYE: Duration = Duration::from_secs(10);
/// How long the calls of an old connection have to finish.
const OLD_GRACE: Duration = Duration::from_secs(300);
/// How long other calls of a connection have to finish that is closed because of an answer that is not read.
const STUCK_GRACE: Duration = Duration::from_secs(5);

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// JSON over HTTP/1.1.
    Http,
}

/// What all connections of a server share.
#[derive(Clone)]
pub struct Shared {
    protocol: Protocol,
    methods: Methods,
    pub budget: Arc<Budget>,
    pub calls: Arc<CallMetrics>,
    /// TLS of TCP connections. `None` serves them without.
    tls: Option<Arc<Tls>>,
    pub limits: ConnectionLimits,
    pub stop: watch::Receiver<bool>,
}

impl Shared {
    pub fn new(
        methods: Methods,
        calls: CallMetrics,
        tls: Option<Arc<Tls>>,
        limits: ConnectionLimits,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let budget = Budget::new(limits.call_bytes);
        Self { protocol: Protocol::Grpc, methods, budget, calls: Arc::new(calls), tls, limits, stop }
    }

    /// Returns what connections of HTTP sockets share with all others.
    pub fn http(&self, methods: Methods) -> Self {
        Self { protocol: Protocol::Http, methods, ..self.clone() }
    }
}

/// The calls of one connection.
struct Connection(Bounded<Methods>);

impl Service<http::Request<Incoming>> for Connection {
    type Response = http::Response<AnswerBody>;
    type Error = Infallible;
    type Future = BoundedCall<AnswerFuture>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        self.0.call(request)
    }
}

/// The calls of one connection of an HTTP socket. Errors are answered as HTTP does.
struct HttpConnection {
    inner: Connection,
    metrics: Arc<CallMetrics>,
    tls: bool,
}

impl Service<http::Request<Incoming>> for HttpConnection {
    type Response = http::Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let asked = Asked::of(&request);
        let span = trace::http_call(
            &HttpRequest {
                method: request.method(),
                path: request.uri().path(),
                headers: request.headers(),
                tls: self.tls,
            },
            |path| self.metrics.http_route(path).map(str::to_owned),
        );
        let answer = self.inner.call(request);
        let Some(span) = span else { return Box::pin(async move { Ok(asked.answer(answer.await?)) }) };
        Box::pin(async move {
            let answer = asked.answer(answer.instrument(span.clone()).await?);
            trace::http_ended(&span, answer.status());
            Ok(answer)
        })
    }
}

/// A connection of hyper, of either protocol.
trait Serving: Future<Output = hyper::Result<()>> + Send {
    /// Takes no more calls. Ends once those in flight are answered.
    fn end(self: Pin<&mut Self>);
}

impl Serving for http2::Connection<TokioIo<Begun>, Connection, TokioExecutor> {
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl Serving for http1::Connection<TokioIo<Begun>, HttpConnection> {
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// A connection after the TLS handshake, if it needs one.
pub struct Open {
    pub stream: Box<dyn Stream>,
    pub peer: Peer,
    /// How long the certificate of the client is still valid. `None` if it has none.
    pub valid_for: Option<Duration>,
}

/// One type for all kinds of sockets, so that HTTP/2 is compiled once. Its calls are few next to the system's.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Open {
    /// Makes the handshakes, and finds out who the client is.
    async fn begin(
        accepted: Accepted,
        tls: Option<Arc<Tls>>,
        protocol: Protocol,
    ) -> io::Result<(Begun, Peer, Option<Duration>)> {
        let plain = |stream, peer| Self { stream, peer, valid_for: None };
        let open = match (accepted, tls) {
            (Accepted::Tcp(stream, _), Some(tls)) => tls.accept(stream, protocol).await?,
            (Accepted::Tcp(stream, _), None) => plain(Box::new(stream), Peer::default()),
            (Accepted::Unix(stream), _) => {
                let uid = Some(stream.peer_cred()?.uid());
                plain(Box::new(stream), Peer { uid, ..Peer::default() })
            }
        };
        Ok((Begun::read(open.stream, protocol).await?, open.peer, open.valid_for))
    }
}

/// Serves a connection. Ends at once when the server stops and no call is in flight.
pub async fn serve(accepted: Accepted, shared: Shared) {
    let Shared { protocol, methods, budget, calls: metrics, tls, limits, mut stop } = shared;
    let with_tls = tls.is_some() && matches!(accepted, Accepted::Tcp(..));
    let (stream, peer, valid_for) = tokio::select! {
        begun = tokio::time::timeout(limits.handshake, Open::begin(accepted, tls, protocol)) => match begun {
            Ok(Ok(begun)) => begun,
            Ok(Err(_)) | Err(_) => return,
        },
        _ = stop.wait_for(|stop| *stop) => return,
    };
    let calls = Calls::new(budget, metrics.clone());
    let (end_streams, closing) = watch::channel(false);
    let inner =
        Connection(Bounded { inner: methods.of(peer), calls: calls.clone(), body_timeout: limits.body, stop: closing });
    let mut connection: Pin<Box<dyn Serving>> = match protocol {
        Protocol::Grpc => Box::pin(http2().serve_connection(TokioIo::new(stream), inner)),
        Protocol::Http => {
            let service = HttpConnection { inner, metrics, tls: with_tls };
            Box::pin(http1(limits.idle).serve_connection(TokioIo::new(stream), service))
        }
    };

    let every = |period| interval_at(Instant::now() + period, period);
    let (mut answers, mut idle) = (every(limits.answer), every(limits.idle));
    let mut calls_when_idle = None;
    // The connection of a client does not outlast its certificate.
    let age = limits.age.map(jittered).into_iter().chain(valid_for).min();
    let mut old = pin!(sleep(age.unwrap_or_default()));
    let mut stopping = false;
    // The connection is closed after `close_from` once no call is in flight, and at `close_at` in any case.
    let (mut close_from, mut close_at) = (None, None);
    loop {
        tokio::select! {
            // An error is the client's, and it knows.
            _ = &mut connection => return,
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                close_from = Some(Instant::now());
            }
            _ = answers.tick() => if calls.answer_is_stuck() {
                tracing::debug!("a client does not read its answers; its connection is closed");
                close_from = Some(Instant::now());
                close_at = close_at.into_iter().chain([Instant::now() + STUCK_GRACE]).min();
            },
            _ = idle.tick(), if close_from.is_none() => {
                let before = std::mem::replace(&mut calls_when_idle, calls.idle_after());
                if before.is_some() && before == calls_when_idle {
                    close_from = Some(Instant::now());
                }
            }
            () = &mut old, if age.is_some() && close_from.is_none() => {
                close_from = Some(Instant::now() + GOODBYE);
                close_at = Some(Instant::now() + OLD_GRACE);
            }
            () = sleep(CLOSE_PULSE), if close_from.is_some() => {
                let passed = |at: Option<Instant>| at.is_some_and(|at| Instant::now() >= at);
                if passed(close_at) || passed(close_from) && !calls.any_in_flight() {
                    return;
                }
            }
        }
        if close_from.is_some() {
            end_streams.send_replace(true);
            // Tells the client to send no more calls. HTTP/2 ends once it has answered that, and its calls are answered.
            connection.as_mut().end();
        }
    }
}

/// Changes an age by up to a tenth: connections that were opened together must not come back together.
fn jittered(age: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    age.mul_f64(0.9 + 0.2 * f64::from(random) / f64::from(u32::MAX))
}

/// Returns the settings of HTTP/2. Sets every option.
///
/// Measured with batch checks of 100 kB, in processor time for each check: frames of 16 KiB cost 16 % more, windows of 64 KiB
/// 32 % more. Windows of 8 and 64 MiB, and other numbers of threads, made no difference.
fn http2() -> http2::Builder<TokioExecutor> {
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_concurrent_streams(1_024)
        .max_frame_size(1 << 20)
        .max_header_list_size(16 << 10)
        .header_table_size(4_096)
        .max_send_buf_size(400 << 10)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(1_024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .auto_date_header(true);
    http2
}

/// Returns the settings of HTTP/1.1. Sets every option. `idle` is also the time of a request's head: hyper starts it when it
/// begins to wait for the next request.
fn http1(idle: Duration) -> http1::Builder {
    let mut http1 = http1::Builder::new();
    http1
        .timer(TokioTimer::new())
        .half_close(false)
        .keep_alive(true)
        .title_case_headers(false)
        .preserve_header_case(false)
        .ignore_invalid_headers(false)
        .max_headers(100)
        .header_read_timeout(idle)
        .max_buf_size(HTTP_HEAD_BYTES_MAX)
        .pipeline_flush(false)
        .auto_date_header(true);
    http1
}

/// A stream whose first bytes have been read already.
struct Begun {
    first: [u8; PREFACE_BYTES],
    /// How many bytes of `first` were read.
    read: usize,
    given: usize,
    stream: Box<dyn Stream>,
}

impl Begun {
    /// Waits for the bytes that begin HTTP/2, or for the first byte of HTTP/1.1.
    async fn read(mut stream: Box<dyn Stream>, protocol: Protocol) -> io::Result<Self> {
        let mut first = [0; PREFACE_BYTES];
        let read = if protocol == Protocol::Grpc { PREFACE_BYTES } else { 1 };
        stream.read_exact(&mut first[..read]).await?;
        Ok(Self { first, read, given: 0, stream })
    }
}

impl AsyncRead for Begun {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.given < self.read {
            let end = self.read.min(self.given + buf.remaining());
            buf.put_slice(&self.first[self.given..end]);
            self.given = end;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Begun {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
