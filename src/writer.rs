//! Queues writes, and commits them in groups: decide, store in one transaction, publish.

mod commit;
mod job;
mod queue;
mod sample;
mod settle;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot, watch};
use tracing::Span;

use crate::domain::commands::group::{Known, Work};
use crate::domain::model::id::ProjectId;
use crate::domain::{Call, Command, Refusal, State};
use crate::engine::Engine;
use crate::limits::{Limits, WRITE_QUEUE_MAX};
use crate::metrics::writes::WriteMetrics;
use crate::store::Store;
use crate::trace;
pub use job::{Answer, Failure, Written};
use job::{Caller, Job, Waiting};

/// Queues writes for the task that commits them.
pub struct Writer {
    queue: mpsc::Sender<Job>,
    engine: Arc<Engine>,
    store: Store,
    limits: Limits,
    stop: watch::Sender<bool>,
    failing: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
    pub metrics: Arc<WriteMetrics>,
}

/// A write that was decided, but not stored.
pub struct Preview {
    written: Written,
    /// What it was decided on.
    before: State,
    /// `None` if it changes nothing.
    project: Option<ProjectId>,
}

impl Preview {
    /// Returns true if [`Writer::name_members`] reads the database.
    pub fn has_unnamed_members(&self) -> bool {
        matches!(&self.written.answer, Answer::Decided { impact, .. } if impact.has_unnamed())
    }
}

impl Writer {
    /// Starts the writing task. After [`Writer::stop`] it answers everything queued and ends.
    pub fn start(store: Store, engine: Arc<Engine>, limits: Limits) -> (Arc<Self>, tokio::task::JoinHandle<()>) {
        let (queue, jobs) = mpsc::channel(WRITE_QUEUE_MAX);
        let (stop, stopped) = watch::channel(false);
        let failing = Arc::<AtomicBool>::default();
        let closed = Arc::<AtomicBool>::default();
        let metrics = Arc::<WriteMetrics>::default();
        let committer = commit::Committer {
            store: store.clone(),
            engine: engine.clone(),
            limits,
            failing: failing.clone(),
            closed: None,
            closed_for_good: closed.clone(),
            stuck: false,
            metrics: metrics.clone(),
            span: Span::none(),
        };
        let task = tokio::spawn(queue::run(jobs, stopped, committer));
        (Arc::new(Self { queue, engine, store, limits, stop, failing, closed, metrics }), task)
    }

    /// Refuses new writes. Queued writes are still committed.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Queues a command and waits for its commit. Dropping the future drops the command only if it has not started.
    pub async fn submit(&self, command: Command, call: Call) -> Result<Written, Failure> {
        self.submit_holding(command, call, ()).await
    }

    /// Does the same, and keeps `held` as long as the command.
    pub async fn submit_holding(
        &self,
        command: Command,
        call: Call,
        held: impl Send + 'static,
    ) -> Result<Written, Failure> {
        let tag = random_tag()?;
        let (answer, answered) = oneshot::channel();
        let weight = command.weight();
        let waiting = Waiting::new(Work { command, call, tag }, held);
        let _caller = Caller(waiting.clone());
        let job = Job { waiting, weight, answer, spans: (Span::current(), trace::part("queue")) };
        self.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.metrics.overloaded.add(1);
                Failure::Overloaded
            }
            mpsc::error::TrySendError::Closed(_) => Failure::Stopping,
        })?;
        // The task answers every job, unless it panics.
        answered.await.unwrap_or(Err(Failure::OutcomeUnknown))
    }

    /// Decides a command on the newest State and stores nothing (`validate_only`). Keeps `held` until the command is decided,
    /// also if the caller is gone.
    pub async fn preview(&self, command: Command, call: Call, held: impl Send + 'static) -> Result<Preview, Failure> {
        let before = State::clone(&self.engine.pin().state);
        let state = before.clone();
        let work = vec![Work { command, call: Call { request: None, ..call }, tag: 0 }];
        let limits = self.limits;
        let decided = tokio::spawn(async move {
            let _held = held;
            commit::decided(state, work, Known::default(), crate::clock::now(), limits).await.1
        });
        let mut group = decided.await.ok().flatten().ok_or(Refusal::Bug)?;
        let written = commit::written(group.verdicts.pop().ok_or(Refusal::Bug)?)?;
        let project = group.commits.first().and_then(|commit| commit.changes.first()).map(|change| change.project());
        // The decided State is dropped. The revision is that of the State that it was decided on.
        Ok(Preview { written: Written { revision: before.revision(), ..written }, before, project })
    }

    /// Names the members in the sample of a preview (R9.d).
    pub async fn name_members(&self, preview: Preview) -> Result<Written, Failure> {
        let Preview { mut written, before, project } = preview;
        if let (Answer::Decided { impact, .. }, Some(project)) = (&mut written.answer, project) {
            sample::fill_user_ids(&self.store, &before, project, impact).await.map_err(|error| {
                tracing::warn!(%error, "a preview failed");
                Failure::from(&error)
            })?;
        }
        Ok(written)
    }

    /// Returns the number of writes that wait for their group.
    pub fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Returns true if the database did not take the last write. The writing task finds out when it takes writes again.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Returns true if nothing can be written until a restart.
    pub fn is_closed_for_good(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

fn random_tag() -> Result<u32, Failure> {
    getrandom::u32().map_err(|error| {
        tracing::error!(%error, "no randomness");
        Failure::Unavailable
    })
}
