//! What a server counts and measures, and its text for Prometheus.
//!
//! Each part of the server owns a struct of this module and adds to it. The page of metrics reads them all. Adding is one or two
//! atomic operations: no lock, no search for a label.

pub mod calls;
pub mod checks;
pub mod feeds;
pub mod histogram;
pub mod sidecar;
pub mod store;
pub mod text;
pub mod writes;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
