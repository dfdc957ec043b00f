//! The commits after a revision, from memory or from the database. Those who read the same part of the history share the reads,
//! so that many cost the database no more than one.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use crate::domain::Revision;
use crate::domain::commands::group::Commit;
use crate::engine::{Behind, Engine};
use crate::store::{SinceError, Store, StoreError};

/// Commits of one page. Pages of the database end at multiples of it, so that readers who began elsewhere share the next ones.
const PAGE: u64 = 1_000;
/// Pages of the database that are kept.
const PAGES_MAX: usize = 8;

/// Some commits of a history, in order.
#[derive(Clone, Default)]
pub struct Page {
    pub commits: Arc<Vec<Arc<Commit>>>,
    /// When nothing newer was published. `None` if there was, or if that is not known.
    pub newest_at: Option<Instant>,
}

/// See the module.
pub struct Feed {
    engine: Arc<Engine>,
    store: Store,
    /// The page after each of these places, newest first. A page without commits is not read yet.
    pages: Mutex<VecDeque<(Place, Arc<OnceCell<Page>>)>>,
    reads: AtomicU64,
}

/// The number and the tag of a revision, and the history that the engine had when the page was asked for.
type Place = (u64, u32, u64);

/// Why a feed ends.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error(transparent)]
    Behind(#[from] Behind),
    /// The changes of that time are deleted. The oldest revision that is kept.
    #[error("the history after that revision is no longer kept")]
    TooOld(Revision),
    #[error(transparent)]
    Since(#[from] SinceError),
}

impl From<StoreError> for FeedError {
    fn from(error: StoreError) -> Self {
        Self::Since(error.into())
    }
}

impl Feed {
    pub fn new(engine: Arc<Engine>, store: Store) -> Self {
        Self { engine, store, pages: Mutex::default(), reads: AtomicU64::new(0) }
    }

    /// Returns how often the database was read.
    pub fn database_reads(&self) -> u64 {
        self.reads.load(Relaxed)
    }

    /// Returns the next commits after `mine`, which must be of this history and not be newer than the published revision. Waits
    /// for them, but at most `patience`. Then returns none.
    pub async fn next(&self, mine: Revision, patience: Duration) -> Result<Page, FeedError> {
        let mut newest = self.engine.newest();
        newest.mark_unchanged();
        let page = self.read(mine).await?;
        if !page.commits.is_empty() {
            return Ok(page);
        }
        // Nobody publishes any more if the sender is dropped.
        let _ = tokio::time::timeout(patience, newest.changed()).await;
        self.read(mine).await
    }

    async fn read(&self, mine: Revision) -> Result<Page, FeedError> {
        let now = Instant::now();
        if let Some(commits) = self.engine.commits_after(mine, PAGE as usize)? {
            let newest_at = (commits.len() < PAGE as usize).then_some(now);
            return Ok(Page { commits: Arc::new(commits), newest_at });
        }
        let published = self.engine.load().state.revision();
        match published.number.cmp(&mine.number) {
            Ordering::Equal if published.tag == mine.tag => Ok(Page { newest_at: Some(now), ..Page::default() }),
            Ordering::Greater => self.read_database(mine).await,
            _ => Err(Behind::AnotherHistory.into()),
        }
    }

    async fn read_database(&self, mine: Revision) -> Result<Page, FeedError> {
        let place = (mine.number, mine.tag, self.engine.history());
        let cell = self.cell(place);
        let page = cell.get_or_try_init(|| async {
            self.reads.fetch_add(1, Relaxed);
            let limit = PAGE - mine.number % PAGE;
            let commits = self.store.commits_since(mine, limit as u32).await;
            let commits = match commits {
                Err(SinceError::Diverged) => return Err(self.why_diverged(mine).await),
                commits => commits?,
            };
            let commits = Arc::new(commits.into_iter().map(Arc::new).collect());
            Ok(Page { commits, newest_at: None })
        });
        let page = page.await.cloned();
        // An empty page will grow, and an error may pass. A short page is kept: each reader goes on from its end.
        if page.as_ref().map_or(true, |page| page.commits.is_empty()) {
            self.forget(place);
        }
        page
    }

    /// The database does not have the revision: it was deleted, or never there.
    async fn why_diverged(&self, mine: Revision) -> FeedError {
        match self.store.oldest_revision().await {
            Ok(Some(oldest)) if mine.number < oldest.number => FeedError::TooOld(oldest),
            Ok(_) => Behind::AnotherHistory.into(),
            Err(error) => error.into(),
        }
    }

    fn cell(&self, place: Place) -> Arc<OnceCell<Page>> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = pages.iter().find(|(after, _)| *after == place) {
            return cell.clone();
        }
        let cell = Arc::<OnceCell<Page>>::default();
        pages.push_front((place, cell.clone()));
        pages.truncate(PAGES_MAX);
        cell
    }

    fn forget(&self, place: Place) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.retain(|(after, _)| *after != place);
    }
}
