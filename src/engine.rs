//! Holds the State of this process, and lets callers wait for a revision (K4).

pub mod activity;
pub mod denials;
pub mod freshness;
mod recent;
mod replaced;
pub mod token;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{Notify, watch};

use crate::domain::commands::group::Commit;
use crate::domain::{Revision, State};
use activity::Activity;
use denials::Denials;
use freshness::Freshness;
use recent::Recent;
use replaced::Replaced;
pub use token::Token;

/// Tags kept, of the latest revisions, 4 bytes each. The database knows the tags of older ones.
pub const TAGS_MAX: usize = 1 << 20;

/// A State and the token of its revision, which every answer carries.
pub struct Published {
    pub state: Arc<State>,
    pub token: Arc<str>,
}

/// See the module.
pub struct Engine {
    pub activity: Activity,
    pub denials: Denials,
    pub freshness: Freshness,
    /// Only a sidecar changes it, whose upstream has another store than before.
    store_id: AtomicU32,
    current: ArcSwap<Published>,
    replaced: Replaced,
    /// Counts the histories: how often [`Self::replace`] replaced the State.
    histories: AtomicU64,
    tags: Mutex<Tags>,
    /// Locked after `tags`.
    recent: Mutex<Recent>,
    newest: watch::Sender<u64>,
    /// Wakes the replica: a caller waits for a newer revision.
    wanted: Notify,
}

/// Why a token's revision cannot be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Behind {
    #[error("the revision is of another history of this store, or of another store; read again without it")]
    AnotherHistory,
    /// The token is older than the tags in memory. The database has its tag.
    #[error("the revision is too old for the tags in memory")]
    TooOld,
}

/// The tags of the revisions `first..first + tags.len()`.
struct Tags {
    first: u64,
    tags: VecDeque<u32>,
}

impl Engine {
    /// Creates an engine. `past` holds recent revisions up to the State's: their tags are kept in memory. Set its `freshness`:
    /// only the caller knows when the State was read.
    pub fn new(store_id: u32, state: State, past: &[Revision]) -> Self {
        let revision = state.revision();
        let mut tags = Tags { first: past.first().unwrap_or(&revision).number, tags: VecDeque::new() };
        // The store may have newer revisions than the loaded State.
        let past: Vec<Revision> = past.iter().copied().filter(|past| past.number < revision.number).collect();
        tags.extend(&past);
        tags.extend(&[revision]);
        Self {
            activity: Activity::default(),
            denials: Denials::default(),
            freshness: Freshness::unknown(),
            store_id: AtomicU32::new(store_id),
            tags: Mutex::new(tags),
            recent: Mutex::default(),
            newest: watch::Sender::new(revision.number),
            current: ArcSwap::from_pointee(published(store_id, state)),
            replaced: Replaced::new(),
            histories: AtomicU64::new(0),
            wanted: Notify::new(),
        }
    }

    pub fn store_id(&self) -> u32 {
        self.store_id.load(Ordering::Relaxed)
    }

    /// Returns the newest State for a short use, without a lock or a reference count.
    #[inline]
    pub fn load(&self) -> Guard<Arc<Published>> {
        self.current.load()
    }

    /// Returns the newest State, for any time.
    pub fn pin(&self) -> Arc<Published> {
        self.current.load_full()
    }

    /// Publishes a newer State. `passed` holds the commits since `base`; its own is the last. Changes nothing and returns
    /// false if the published State is as new, or is not in between: the writer and the replica cannot race, and a State
    /// that was replaced does not come back.
    pub fn publish(&self, base: Revision, next: State, passed: Vec<Commit>) -> bool {
        // The lock orders publishers. `load` and `pin` never take it; `at_least` takes it to compare a tag.
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        let number = next.revision().number;
        let current = self.current.load().state.revision();
        let precedes = |revision: &Revision| (revision.number, revision.tag) == (current.number, current.tag);
        if number <= current.number || !(precedes(&base) || passed.iter().map(|commit| &commit.revision).any(precedes))
        {
            return false;
        }
        let revisions: Vec<Revision> = passed.iter().map(|commit| commit.revision).collect();
        tags.extend(&revisions);
        self.recent().extend(passed.into_iter().filter(|commit| commit.revision.number > current.number));
        self.set(next);
        self.newest.send_replace(number);
        true
    }

    /// Replaces a diverged State: the store was restored, or failed over to a lagging copy. `past` holds recent revisions before
    /// the new State's. Does nothing if the published revision is no longer `diverged`: another task has replaced that State.
    pub fn replace(&self, diverged: Revision, store_id: u32, state: State, past: &[Revision]) {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        if self.current.load().state.revision() != diverged {
            return;
        }
        let revision = state.revision();
        self.store_id.store(store_id, Ordering::Relaxed);
        self.histories.fetch_add(1, Ordering::Relaxed);
        *tags = Tags { first: past.first().unwrap_or(&revision).number, tags: VecDeque::new() };
        tags.extend(past);
        tags.extend(&[revision]);
        self.recent().clear();
        self.set(state);
        self.activity.clear();
        self.denials.forget_places();
        self.newest.send_replace(revision.number);
    }

    /// Returns a State at least as new as the token. Waits for it without limit, so give it a deadline.
    pub async fn at_least(&self, token: &Token) -> Result<Arc<Published>, Behind> {
        if token.store_id != self.store_id() {
            return Err(Behind::AnotherHistory);
        }
        let mut newest = self.newest.subscribe();
        loop {
            if self.load().state.revision().number >= token.number {
                return self.of_same_history(token);
            }
            self.wanted.notify_one();
            // The sender is a field of this engine.
            let _ = newest.changed().await;
        }
    }

    /// Resolves when a caller waits for a newer revision.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Returns a number that changes when the State is replaced: what was read before may be of another history.
    pub fn history(&self) -> u64 {
        self.histories.load(Ordering::Relaxed)
    }

    /// Returns the numbers of the newest revision, as they are published.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Returns at most `limit` commits after `mine`. `None` if this process does not keep them, or has none.
    pub fn commits_after(&self, mine: Revision, limit: usize) -> Result<Option<Vec<Arc<Commit>>>, Behind> {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        match tags.get(mine.number) {
            Some(tag) if tag == mine.tag => Ok(self.recent().after(mine, limit)),
            Some(_) => Err(Behind::AnotherHistory),
            None => Ok(None),
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        let before = self.current.swap(Arc::new(published(self.store_id(), state)));
        self.replaced.add(before);
    }

    fn of_same_history(&self, token: &Token) -> Result<Arc<Published>, Behind> {
        // The State is replaced while the tags are locked.
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        match tags.get(token.number) {
            Some(tag) if tag == token.tag => Ok(self.pin()),
            Some(_) => Err(Behind::AnotherHistory),
            None => Err(Behind::TooOld),
        }
    }
}

impl Tags {
    fn extend(&mut self, passed: &[Revision]) {
        for revision in passed {
            let next = self.first + self.tags.len() as u64;
            if revision.number > next {
                // A gap would shift the later tags. Drop the earlier ones.
                *self = Self { first: revision.number, tags: VecDeque::new() };
            }
            if revision.number >= self.first + self.tags.len() as u64 {
                self.tags.push_back(revision.tag);
            }
        }
        while self.tags.len() > TAGS_MAX {
            self.tags.pop_front();
            self.first += 1;
        }
    }

    fn get(&self, number: u64) -> Option<u32> {
        let at = number.checked_sub(self.first)?;
        self.tags.get(usize::try_from(at).ok()?).copied()
    }
}

fn published(store_id: u32, state: State) -> Published {
    let token = Token::new(store_id, state.revision()).encode().into();
    Published { state: Arc::new(state), token }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Time;
    use crate::domain::collections::hash::HashKey;

    fn at(number: u64) -> Revision {
        Revision { number, tag: number as u32 * 7, at: Time(number as i64) }
    }

    fn state(number: u64) -> State {
        let mut state = State::new(HashKey::new([1; 16]));
        state.set_revision(at(number));
        state
    }

    fn passed<const N: usize>(numbers: [u64; N]) -> Vec<Commit> {
        let commit = |number| Commit {
            revision: at(number),
            kind: "AddMember".into(),
            actor: "ann".into(),
            key: None,
            acting_user: None,
            reason: "".into(),
            request: None,
            changes: Vec::new(),
        };
        numbers.map(commit).into()
    }

    fn token(number: u64) -> Token {
        Token::new(9, at(number))
    }

    #[tokio::test]
    async fn an_older_state_never_replaces_a_newer() {
        let engine = Engine::new(9, state(5), &[]);
        assert!(engine.publish(at(5), state(7), passed([6, 7])));
        assert!(!engine.publish(at(5), state(6), passed([6])));
        assert!(!engine.publish(at(6), state(7), passed([7])));
        assert_eq!(engine.pin().state.revision().number, 7);
        // The writer has published a part of what the replica read.
        assert!(engine.publish(at(6), state(8), passed([7, 8])));
    }

    #[test]
    fn the_last_reader_does_not_drop_a_replaced_state() {
        let engine = Engine::new(9, state(5), &[]);
        let read = engine.pin();
        let replaced = Arc::downgrade(&read);
        engine.publish(at(5), state(6), passed([6]));
        assert_eq!(Arc::strong_count(&read), 2);
        drop(read);
        let began = std::time::Instant::now();
        while replaced.strong_count() > 0 {
            assert!(began.elapsed() < std::time::Duration::from_secs(60), "nobody drops it");
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn a_state_of_a_replaced_history_does_not_come_back() {
        let engine = Engine::new(9, state(5), &[]);
        let mut other = state(3);
        other.set_revision(Revision { tag: 1, ..at(3) });
        engine.replace(at(5), 9, other, &[]);
        assert!(!engine.publish(at(5), state(6), passed([6])));
        assert_eq!(engine.pin().state.revision().tag, 1);
    }

    #[tokio::test]
    async fn a_diverged_state_is_replaced_once() {
        let engine = Engine::new(9, state(5), &[]);
        let other = |number| {
            let mut other = state(number);
            other.set_revision(Revision { tag: 1, ..at(number) });
            other
        };
        engine.replace(at(5), 9, other(3), &[]);
        assert_eq!(engine.pin().state.revision().number, 3);
        // Another task has found the same, and read the store earlier.
        engine.replace(at(5), 9, other(2), &[]);
        assert_eq!(engine.pin().state.revision().number, 3);
    }

    #[tokio::test]
    async fn k4_tokens_from_before_the_start_are_known_in_memory() {
        let engine = Engine::new(9, state(5), &[at(3), at(4), at(5)]);
        assert!(engine.at_least(&token(3)).await.is_ok());
        assert_eq!(engine.at_least(&Token { tag: 1, ..token(4) }).await.map(|_| ()), Err(Behind::AnotherHistory));
        assert_eq!(engine.at_least(&token(2)).await.map(|_| ()), Err(Behind::TooOld));
    }

    #[tokio::test]
    async fn k4_at_least_waits_for_the_revision() {
        let engine = Arc::new(Engine::new(9, state(5), &[]));
        let waiting = tokio::spawn({
            let engine = engine.clone();
            async move { engine.at_least(&token(6)).await.map(|published| published.state.revision().number) }
        });
        engine.wanted().await;
        engine.publish(at(5), state(6), passed([6]));
        assert_eq!(waiting.await.unwrap(), Ok(6));
    }

    #[tokio::test]
    async fn k4_a_token_of_another_history_is_refused_at_once() {
        let engine = Engine::new(9, state(5), &[]);
        engine.publish(at(5), state(8), passed([6, 7, 8]));
        let refused = |token: Token| {
            let engine = &engine;
            async move { engine.at_least(&token).await.map(|_| ()) }
        };
        assert_eq!(refused(token(6)).await, Ok(()));
        assert_eq!(refused(Token { store_id: 8, ..token(6) }).await, Err(Behind::AnotherHistory));
        assert_eq!(refused(Token { tag: 1, ..token(6) }).await, Err(Behind::AnotherHistory));
        assert_eq!(refused(token(4)).await, Err(Behind::TooOld));
        // Newer than the State and of another store: do not wait for it.
        assert_eq!(refused(Token { store_id: 8, ..token(99) }).await, Err(Behind::AnotherHistory));
    }
}
