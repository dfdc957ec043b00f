//! A client that costs next to nothing: ready-made requests over HTTP/2 connections, on one thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{JoinSet, LocalSet, spawn_local};

use super::requests::{Calls, Requests};
use crate::cli::connect::Remote;
use crate::cli::table::plain;
use crate::cli::trouble::{BUG, Trouble};
use crate::server::Listen;
use crate::server::process;

/// Windows and frames that hold a batch of 100,000 answers, as those of the echo server hold its requests.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
const FRAME_BYTES_MAX: u32 = 1 << 20;
/// How long a round waits for its first call, again and again.
const WAIT: Duration = Duration::from_millis(5);
/// The share of a round that passes before it is measured.
const WARM_UP: f64 = 0.15;
/// How many wrong answers are kept.
const MISMATCHES_MAX: usize = 5;

/// What to call, and with how many calls at a time.
#[derive(Clone)]
pub struct Target {
    pub remote: Remote,
    /// The process whose CPU time counts. `None` if only calls are counted.
    pub pid: Option<u32>,
    pub connections: usize,
    pub in_flight: usize,
}

/// What one round measured.
pub struct Round {
    pub calls: u64,
    pub seconds: f64,
    /// Of the server. `None` without its process.
    pub server_cpu_seconds: Option<f64>,
    pub client_cpu_seconds: Option<f64>,
    pub latencies: Vec<Duration>,
}

/// What the comparison of every answer found.
#[derive(Default)]
pub struct Compared {
    pub checks: u64,
    pub wrong: u64,
    /// The first wrong answers, for people.
    pub mismatches: Vec<String>,
    /// The bytes of all answers, with their frames.
    pub answer_bytes: usize,
}

/// Calls every request once, and compares each decision with the expected one.
pub async fn compare(target: &Target, requests: &Arc<Requests>) -> Result<Compared, Trouble> {
    let asked = requests.clone();
    call_each(target, &requests.calls, Compared::default(), move |compared, at, answer| {
        compared.answer_bytes += answer.len();
        compared.add(asked.compare(at, answer)?);
        Ok(())
    })
    .await
}

/// Calls every request once. Gives `take` the answer to each, with the index of the request.
pub async fn call_each<T: Send + 'static>(
    target: &Target,
    calls: &Arc<Calls>,
    found: T,
    take: impl Fn(&mut T, usize, &[u8]) -> Result<(), String> + Send + 'static,
) -> Result<T, Trouble> {
    let (target, calls) = (target.clone(), calls.clone());
    on_thread(async move || {
        let session = Session::open(&target, calls).await?;
        let (found, take) = (Rc::new(RefCell::new(found)), Rc::new(take));
        session
            .work(target.in_flight, |session, client| {
                let (found, take) = (found.clone(), take.clone());
                async move {
                    while session.next.get() < session.calls.frames.len() {
                        let at = session.next.replace(session.next.get() + 1);
                        let answer = session.call(&client, at, true).await?;
                        let taken = take(&mut found.borrow_mut(), at, &answer);
                        taken.map_err(|error| failed(&session.address, &error))?;
                    }
                    Ok(())
                }
            })
            .await?;
        // The workers that shared it have ended.
        Rc::into_inner(found).map(RefCell::into_inner).ok_or_else(|| Trouble::new("a worker did not end", BUG))
    })
    .await
}

impl Compared {
    pub fn add(&mut self, one: Compared) {
        self.checks += one.checks;
        self.wrong += one.wrong;
        self.mismatches.extend(one.mismatches);
        self.mismatches.truncate(MISMATCHES_MAX);
    }
}

/// Calls the requests again and again, and counts.
pub async fn measure(target: &Target, calls: &Arc<Calls>, length: Duration) -> Result<Round, Trouble> {
    let (target, calls) = (target.clone(), calls.clone());
    on_thread(async move || {
        let session = Session::open(&target, calls).await?;
        let tally = Rc::new(Tally::default());
        let working = session.work(target.in_flight, |session, client| {
            let tally = tally.clone();
            async move {
                while !tally.stops.get() {
                    let at = session.next();
                    let start = Instant::now();
                    session.call(&client, at, false).await?;
                    tally.add(start);
                }
                Ok(())
            }
        });
        tally.round(&target, length, working).await
    })
    .await
}

/// What the workers of a round have measured.
#[derive(Default)]
pub struct Tally {
    latencies: RefCell<Vec<Duration>>,
    counts: Cell<bool>,
    /// True once the workers must end.
    pub stops: Cell<bool>,
}

impl Tally {
    /// Counts a call that began at `start` and is answered.
    pub fn add(&self, start: Instant) {
        if self.counts.get() {
            self.latencies.borrow_mut().push(start.elapsed());
        }
    }

    /// Measures workers, which end when `stops` is true.
    pub async fn round(
        &self,
        target: &Target,
        length: Duration,
        working: impl Future<Output = Result<(), Trouble>>,
    ) -> Result<Round, Trouble> {
        let ended = Cell::new(false);
        let timing = async {
            tokio::time::sleep(length.mul_f64(WARM_UP)).await;
            let cpu = || (target.pid.and_then(process::cpu_seconds), process::cpu_seconds(std::process::id()));
            self.counts.set(true);
            let (begin, (server, client)) = (Instant::now(), cpu());
            tokio::time::sleep(length).await;
            // At least one call ends in a round, however slow the machine is. Workers end before only if a call failed.
            while self.latencies.borrow().is_empty() && !ended.get() {
                tokio::time::sleep(WAIT).await;
            }
            self.counts.set(false);
            let (seconds, (server_after, client_after)) = (begin.elapsed().as_secs_f64(), cpu());
            self.stops.set(true);
            let used =
                |before: Option<f64>, after: Option<f64>| before.zip(after).map(|(before, after)| after - before);
            (seconds, used(server, server_after), used(client, client_after))
        };
        let working = async {
            let worked = working.await;
            ended.set(true);
            worked
        };
        let (worked, (seconds, server_cpu_seconds, client_cpu_seconds)) = tokio::join!(working, timing);
        worked?;
        let latencies = self.latencies.take();
        Ok(Round { calls: latencies.len() as u64, seconds, server_cpu_seconds, client_cpu_seconds, latencies })
    }
}

/// The connections of a client, and what its workers share.
pub struct Session {
    clients: Vec<SendRequest<Bytes>>,
    pub template: http::request::Parts,
    pub calls: Arc<Calls>,
    pub address: Listen,
    next: Cell<usize>,
}

impl Session {
    pub async fn open(target: &Target, calls: Arc<Calls>) -> Result<Rc<Self>, Trouble> {
        let remote = &target.remote;
        let trouble = |error: &dyn std::fmt::Display| failed(&remote.address, error);
        let mut clients = Vec::new();
        for _ in 0..target.connections {
            let stream = remote.open().await.map_err(|error| remote.trouble(&error))?;
            clients.push(handshake(stream).await.map_err(|error| trouble(&error))?);
        }
        let template = Request::post(format!("{}{}", remote.uri(), calls.path))
            .header("te", "trailers")
            .header("content-type", "application/grpc");
        let template = match remote.key.header() {
            Some(value) => template.header("authorization", value),
            None => template,
        };
        let template = template.body(()).map_err(|error| trouble(&error))?;
        let (template, ()) = template.into_parts();
        let next = Cell::new(0);
        Ok(Rc::new(Self { clients, template, calls, address: remote.address.clone(), next }))
    }

    /// Returns the index of the next request, again and again.
    pub fn next(&self) -> usize {
        self.next.replace(self.next.get() + 1) % self.calls.frames.len()
    }

    /// Runs workers until all have ended. Stops at the first error.
    pub async fn work<F>(
        self: &Rc<Self>,
        workers: usize,
        worker: impl Fn(Rc<Self>, SendRequest<Bytes>) -> F,
    ) -> Result<(), Trouble>
    where
        F: Future<Output = Result<(), Trouble>> + 'static,
    {
        let mut working = JoinSet::new();
        for client in self.clients.iter().cycle().take(workers) {
            working.spawn_local(worker(self.clone(), client.clone()));
        }
        while let Some(done) = working.join_next().await {
            done.map_err(|error| failed(&self.address, &error))??;
        }
        Ok(())
    }

    /// Sends a request and waits for the whole answer. Returns its bytes, or nothing if they are not to be kept.
    async fn call(&self, client: &SendRequest<Bytes>, at: usize, keep: bool) -> Result<BytesMut, Trouble> {
        let answered = call(client, &self.template, self.calls.frames[at].clone(), keep).await;
        answered.map_err(|error| failed(&self.address, &error))
    }
}

async fn call(
    client: &SendRequest<Bytes>,
    template: &http::request::Parts,
    frame: Bytes,
    keep: bool,
) -> Result<BytesMut, String> {
    let text = |error: h2::Error| error.to_string();
    let mut client = client.clone().ready().await.map_err(text)?;
    let (answer, mut body) = client.send_request(Request::from_parts(template.clone(), ()), false).map_err(text)?;
    body.send_data(frame, true).map_err(text)?;
    let (head, mut stream) = answer.await.map_err(text)?.into_parts();
    let mut kept = BytesMut::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk.map_err(text)?;
        stream.flow_control().release_capacity(chunk.len()).map_err(text)?;
        if keep {
            kept.extend_from_slice(&chunk);
        }
    }
    let trailers = stream.trailers().await.map_err(text)?;
    let last = trailers.as_ref().unwrap_or(&head.headers);
    match header(last, "grpc-status") {
        Some("0") => Ok(kept),
        status => Err(format!(
            "gRPC status {}: {}",
            status.unwrap_or("missing"),
            plain(header(last, "grpc-message").unwrap_or_default())
        )),
    }
}

pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

async fn handshake(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Result<SendRequest<Bytes>, h2::Error> {
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .handshake::<_, Bytes>(stream)
        .await?;
    // Its error reaches the calls.
    spawn_local(async move { drop(connection.await) });
    Ok(client)
}

/// Runs a client on a thread with a runtime of its own: the other threads of this process do not disturb it.
pub async fn on_thread<T: Send + 'static>(
    work: impl AsyncFnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let (send, receive) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let done = match runtime {
            Ok(runtime) => LocalSet::new().block_on(&runtime, work()),
            Err(error) => Err(Trouble::new(format!("the client cannot start: {error}"), "close other programs")),
        };
        // The receiver is gone if the command was interrupted.
        drop(send.send(done));
    });
    receive.await.unwrap_or_else(|_| Err(Trouble::new("the client ended early", BUG)))
}

pub fn failed(address: &Listen, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::new(format!("a call to {address} failed: {error}"), "look at the log of the server")
}
