//! Accounts for the memory of all calls, and for the calls of each connection that are in flight.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tonic::Status;

use crate::grpc::caller::{Access, Caller};
use crate::grpc::status;
use crate::limits::{CALL_BYTES, FEED_REQUEST_BYTES_MAX, PROBE_BYTES_MAX, SMALL_CALL_BYTES};
use crate::metrics::calls::{CallMetrics, Timed};

tokio::task_local! {
    /// The call whose request is being decoded: a codec does not see the request's extensions.
    static CURRENT: Arc<Call>;
}

/// The bytes that all calls of a server take: requests that are read, decoded and answered, and answers not yet sent.
pub struct Budget {
    used: AtomicUsize,
    max: usize,
}

impl Budget {
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max })
    }

    /// Returns the bytes that are taken now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes bytes for a call that has `held` bytes with them. Only small calls may use the last quarter of the budget.
    fn take(&self, bytes: usize, held: usize) -> Result<(), Status> {
        let max = if held > SMALL_CALL_BYTES { self.max / 4 * 3 } else { self.max };
        if self.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= max {
            return Ok(());
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        Err(status::out_of_memory("all calls in flight", max))
    }
}

/// Unsent answers are counted for each of this many periods.
const PERIODS: usize = 4;

/// The calls of one connection.
pub struct Calls {
    budget: Arc<Budget>,
    metrics: Arc<CallMetrics>,
    /// The bytes of the budget that this connection holds.
    held: AtomicUsize,
    /// Calls whose answer is not sent yet, without streams that last as long as the connection.
    in_flight: AtomicUsize,
    streams: AtomicUsize,
    started: AtomicU64,
    period: AtomicUsize,
    /// Answers that wait to be sent, by the period in which they were made.
    unsent: [AtomicUsize; PERIODS],
}

impl Calls {
    pub fn new(budget: Arc<Budget>, metrics: Arc<CallMetrics>) -> Arc<Self> {
        Arc::new(Self {
            budget,
            metrics,
            held: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            started: AtomicU64::new(0),
            period: AtomicUsize::new(0),
            unsent: Default::default(),
        })
    }

    /// Begins a call. Refuses it if the memory of calls is used up. Health checks are always answered.
    pub(super) fn begin(self: &Arc<Self>, kind: Kind, path: &str) -> Result<Arc<Call>, Status> {
        let timed = self.metrics.begin(path);
        let charged = if kind == Kind::Health { 0 } else { CALL_BYTES };
        self.take(charged, charged).inspect_err(|status| self.metrics.end(&timed, status.code().into()))?;
        self.counter(kind).fetch_add(1, Ordering::Relaxed);
        self.started.fetch_add(1, Ordering::Relaxed);
        let calls = self.clone();
        Ok(Arc::new(Call {
            calls,
            kind,
            timed,
            charged: AtomicUsize::new(charged),
            last_frame: AtomicUsize::new(0),
            answered_in: AtomicUsize::new(0),
            access: OnceLock::new(),
        }))
    }

    /// Takes bytes for a call that has `held` bytes with them. Refuses them if the other calls of the connection hold more
    /// than a quarter of the budget. So a connection with one call may still send the largest request.
    fn take(&self, bytes: usize, held: usize) -> Result<(), Status> {
        if bytes == 0 {
            return Ok(());
        }
        let others = (self.held.fetch_add(bytes, Ordering::Relaxed) + bytes).saturating_sub(held);
        let others_max = self.budget.max / 4;
        let taken = if others > others_max {
            Err(status::out_of_memory("the other calls of this connection", others_max))
        } else {
            self.budget.take(bytes, held)
        };
        if taken.is_err() {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
        }
        taken
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn counter(&self, kind: Kind) -> &AtomicUsize {
        if kind.lasts() { &self.streams } else { &self.in_flight }
    }

    /// Returns true if a stop must wait for a call.
    pub fn any_in_flight(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Returns the number of calls so far, or `None` if one is in flight or a stream is open.
    pub fn idle_after(&self) -> Option<u64> {
        let idle = !self.any_in_flight() && self.streams.load(Ordering::Relaxed) == 0;
        idle.then(|| self.started.load(Ordering::Relaxed))
    }

    /// Begins a period. Returns true if an answer was made two periods ago or earlier and is not sent yet.
    pub fn answer_is_stuck(&self) -> bool {
        let period = self.period.fetch_add(1, Ordering::Relaxed) + 1;
        period >= 2 && self.unsent[(period - 2) % PERIODS].load(Ordering::Relaxed) > 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Health,
    /// Health watches and reflection. They last until the client ends them.
    Stream,
    /// Streams of this API. They last as long, and have larger requests.
    Feed,
    /// A stream of checks. It lasts as well, and takes bytes like a plain call until they are answered.
    Checks,
}

impl Kind {
    /// Returns true if the call lasts until the client or the connection ends it.
    pub(super) fn lasts(self) -> bool {
        matches!(self, Self::Stream | Self::Feed | Self::Checks)
    }
}

/// A call in flight. Its request, its answer and the unsent bytes of its answer hold it. It gives its bytes back when the
/// last of them is dropped.
pub struct Call {
    calls: Arc<Calls>,
    kind: Kind,
    timed: Timed,
    charged: AtomicUsize,
    /// The bytes of the last frame of a stream of checks. The decoder may hold them after the message before is answered.
    last_frame: AtomicUsize,
    /// The period in which the call was answered, plus 1. 0 means that it is not answered yet.
    answered_in: AtomicUsize,
    /// Who calls. Empty until it is known.
    access: OnceLock<Access>,
}

impl Call {
    /// Takes bytes, or refuses the call. The bytes of health checks and streams are not taken but bounded: their decoders
    /// keep one message and one frame at most.
    pub(super) fn take(&self, bytes: usize) -> Result<(), Status> {
        if matches!(self.kind, Kind::Health | Kind::Stream | Kind::Feed) {
            let max = if self.kind == Kind::Feed { FEED_REQUEST_BYTES_MAX } else { PROBE_BYTES_MAX };
            if bytes > max {
                let why = format!("a frame of the request has {bytes} bytes; {max} are allowed");
                return Err(status::too_large(&why));
            }
            return Ok(());
        }
        let held = self.charged.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let taken = self.calls.take(bytes, held);
        if taken.is_err() {
            self.charged.fetch_sub(bytes, Ordering::Relaxed);
        }
        taken
    }

    /// Takes the bytes of a frame of the request.
    pub(super) fn take_frame(&self, bytes: usize) -> Result<(), Status> {
        if self.kind == Kind::Checks {
            self.last_frame.store(bytes, Ordering::Relaxed);
        }
        self.take(bytes)
    }

    /// Takes the bytes of an answer of a stream of checks until they are sent.
    pub(super) fn take_answer(&self, bytes: usize) -> Result<Option<UnsentAnswer>, Status> {
        if self.kind != Kind::Checks {
            return Ok(None);
        }
        self.calls.take(bytes, self.charged.load(Ordering::Relaxed) + bytes)?;
        let period = self.calls.period.load(Ordering::Relaxed);
        self.calls.unsent[period % PERIODS].fetch_add(1, Ordering::Relaxed);
        Ok(Some(UnsentAnswer { held: Held { calls: self.calls.clone(), bytes }, period }))
    }

    /// Records with which status the call ends.
    pub(super) fn ends(&self, code: i32) {
        self.calls.metrics.end(&self.timed, code);
    }

    /// Gives back what the request took: it has been answered and dropped.
    pub(super) fn answered(&self) {
        if self.kind.lasts() {
            return;
        }
        let held = self.charged.load(Ordering::Relaxed);
        let kept = held.min(CALL_BYTES);
        self.charged.store(kept, Ordering::Relaxed);
        self.calls.give_back(held - kept);
        let period = self.calls.period.load(Ordering::Relaxed);
        self.calls.unsent[period % PERIODS].fetch_add(1, Ordering::Relaxed);
        self.answered_in.store(period + 1, Ordering::Relaxed);
    }

    /// Runs a part of the call, so that decoding finds the call.
    pub(super) fn run<T>(self: &Arc<Self>, part: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), part)
    }
}

/// Takes bytes for the request that is being decoded, or refuses the call.
pub fn take_for_decoding(bytes: usize) -> Result<(), Status> {
    // Only tests decode outside of a call.
    CURRENT.try_with(|call| call.take(bytes)).unwrap_or(Ok(()))
}

/// Returns the bytes that messages of the current stream have taken.
pub fn taken_for_messages() -> usize {
    let taken = |call: &Arc<Call>| call.charged.load(Ordering::Relaxed).saturating_sub(CALL_BYTES);
    CURRENT.try_with(taken).unwrap_or_default()
}

/// Gives back what messages of the current stream took: they are answered and dropped.
pub fn give_back_messages() {
    // Only tests read a stream outside of a call.
    let _ = CURRENT.try_with(|call| {
        let held = call.charged.load(Ordering::Relaxed);
        let kept = held.min(CALL_BYTES + call.last_frame.load(Ordering::Relaxed));
        call.charged.store(kept, Ordering::Relaxed);
        call.calls.give_back(held - kept);
    });
}

/// Sets who makes the current call.
pub fn set_access(access: Access) {
    // A call is authenticated once.
    let _ = CURRENT.try_with(|call| call.access.set(access));
}

/// Calls `work` with who makes the current call. `None` if that is not known.
pub fn with_access<T>(work: impl FnOnce(&Access) -> T) -> Option<T> {
    CURRENT.try_with(|call| call.access.get().map(work)).ok().flatten()
}

/// Returns the caller of the current call. `None` if that is not known.
pub fn caller() -> Option<Caller> {
    with_access(|access| access.caller.clone())
}

/// The memory of a request that is used when its call is answered or gone. It is given back when this is dropped.
pub struct Held {
    calls: Arc<Calls>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.calls.give_back(self.bytes);
    }
}

/// An answer of a stream that waits to be sent.
pub(super) struct UnsentAnswer {
    held: Held,
    period: usize,
}

impl Drop for UnsentAnswer {
    fn drop(&mut self) {
        self.held.calls.unsent[self.period % PERIODS].fetch_sub(1, Ordering::Relaxed);
    }
}

/// Moves the memory that the current call has taken for its request out of the call. `None` if there is no call, as in tests.
pub fn hold_memory() -> Option<Held> {
    let hold = |call: &Arc<Call>| {
        let bytes = call.charged.load(Ordering::Relaxed).saturating_sub(CALL_BYTES);
        call.charged.fetch_sub(bytes, Ordering::Relaxed);
        Held { calls: call.calls.clone(), bytes }
    };
    CURRENT.try_with(hold).ok()
}

/// Runs a part of a test as a call without credentials.
#[cfg(test)]
pub async fn as_local<T>(part: impl Future<Output = T>) -> T {
    use crate::domain::State;
    use crate::domain::collections::hash::HashKey;
    use crate::engine::Engine;
    let engine = Arc::new(Engine::new(0, State::new(HashKey::new([0; 16])), &[]));
    let metrics = Arc::new(CallMetrics::new(false, []));
    let call = Calls::new(Budget::new(usize::MAX), metrics).begin(Kind::Plain, "").expect("the budget is empty");
    let _ = call.access.set(Access { caller: Caller::Local, engine, peer: Arc::default(), in_flight: None });
    CURRENT.scope(call, part).await
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.metrics.end_without_status(&self.timed);
        self.calls.give_back(self.charged.load(Ordering::Relaxed));
        if let Some(period) = self.answered_in.load(Ordering::Relaxed).checked_sub(1) {
            self.calls.unsent[period % PERIODS].fetch_sub(1, Ordering::Relaxed);
        }
        self.calls.counter(self.kind).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
