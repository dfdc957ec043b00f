//! Drops replaced States on a thread of its own. Dropping a State frees what it does not share with newer ones. After a bulk
//! write or a reload this takes milliseconds. Without this thread the last reader of the State would wait for it.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::Published;

/// How often to look whether the readers of a State have finished.
const PAUSE: Duration = Duration::from_millis(5);

/// States that may arrive in one pause. If there are more, their last user drops them.
const WAITING_MAX: usize = 64;

/// `None` if the thread cannot be started. Then the last user of a State drops it.
pub(super) struct Replaced(Option<mpsc::SyncSender<Arc<Published>>>);

impl Replaced {
    pub fn new() -> Self {
        let (sender, receiver) = mpsc::sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("drop-states".into()).spawn(move || drop_unused(&receiver));
        Self(thread.ok().map(|_| sender))
    }

    /// Takes a State that no new reader can obtain.
    pub fn add(&self, replaced: Arc<Published>) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(replaced);
        }
    }
}

/// Drops States without other users, until there are no more and the engine is gone.
fn drop_unused(receiver: &mpsc::Receiver<Arc<Published>>) {
    while let Ok(first) = receiver.recv() {
        let mut waiting = vec![first];
        while !waiting.is_empty() {
            std::thread::sleep(PAUSE);
            waiting.extend(receiver.try_iter());
            waiting.retain(|published| Arc::strong_count(published) > 1);
        }
    }
}
