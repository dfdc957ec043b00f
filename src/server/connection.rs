//! Serves one connection until its client or the server ends it.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep};

use super::config::ConnectionLimits;
use crate::grpc::layers::bounded::{AnswerBody, Bounded, BoundedCall};
use crate::grpc::layers::calls::{Budget, Calls};
use crate::grpc::methods::{AnswerFuture, Methods};

/// Bytes of the text with which a client begins HTTP/2.
const PREFACE_BYTES: usize = 24;
/// How often a connection that is being closed is asked whether its calls are answered.
const CLOSE_PULSE: Duration = Duration::from_millis(200);
/// How long other calls of a connection have to finish that is closed because of an answer that is not read.
const STUCK_GRACE: Duration = Duration::from_secs(5);

/// What all connections of a server share.
#[derive(Clone)]
pub struct Shared {
    methods: Methods,
    budget: Arc<Budget>,
    pub limits: ConnectionLimits,
    pub stop: watch::Receiver<bool>,
}

impl Shared {
    pub fn new(methods: Methods, limits: ConnectionLimits, stop: watch::Receiver<bool>) -> Self {
        Self { methods, budget: Budget::new(limits.call_bytes), limits, stop }
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

/// Serves a connection. Ends at once when the server stops and no call is in flight.
pub async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Shared) {
    let Shared { methods, budget, limits, mut stop } = shared;
    let calls = Calls::new(budget);
    let service =
        Connection(Bounded { inner: methods, calls: calls.clone(), body_timeout: limits.body, stop: stop.clone() });
    let stream = tokio::select! {
        begun = tokio::time::timeout(limits.handshake, Begun::read(stream)) => match begun {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) | Err(_) => return,
        },
        _ = stop.wait_for(|stop| *stop) => return,
    };
    let mut connection = pin!(http2().serve_connection(TokioIo::new(stream), service));

    let every = |period| interval_at(Instant::now() + period, period);
    let (mut answers, mut idle) = (every(limits.answer), every(limits.idle));
    let mut calls_when_idle = None;
    let close_at = loop {
        tokio::select! {
            // An error is the client's, and it knows.
            _ = &mut connection => return,
            _ = stop.wait_for(|stop| *stop) => break None,
            _ = answers.tick() => if calls.answer_is_stuck() {
                tracing::debug!("a client does not read its answers; its connection is closed");
                break Some(Instant::now() + STUCK_GRACE);
            },
            _ = idle.tick() => {
                let before = std::mem::replace(&mut calls_when_idle, calls.idle_after());
                if before.is_some() && before == calls_when_idle {
                    break None;
                }
            }
        }
    };
    // Tells the client to send no more calls. A client that does not answer is not waited for.
    connection.as_mut().graceful_shutdown();
    loop {
        tokio::select! {
            _ = &mut connection => return,
            () = sleep(CLOSE_PULSE) => {
                if !calls.any_in_flight() || close_at.is_some_and(|at| Instant::now() >= at) {
                    return;
                }
            }
        }
    }
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

/// A stream whose first bytes have been read already.
struct Begun<S> {
    preface: [u8; PREFACE_BYTES],
    given: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> Begun<S> {
    /// Waits for the bytes that begin HTTP/2.
    async fn read(mut stream: S) -> io::Result<Self> {
        let mut preface = [0; PREFACE_BYTES];
        stream.read_exact(&mut preface).await?;
        Ok(Self { preface, given: 0, stream })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.given < PREFACE_BYTES {
            let end = PREFACE_BYTES.min(self.given + buf.remaining());
            buf.put_slice(&self.preface[self.given..end]);
            self.given = end;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
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
