//! Which upstream to try next, and when.

use std::sync::Arc;
use std::time::Duration;

use super::upstream::Connect;

/// The waits between attempts. They double, and each is shortened by up to a half, so that sidecars spread.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Default)]
pub struct Retry {
    at: usize,
    wait: Option<Duration>,
    /// The last failure that was logged.
    logged: Option<String>,
}

impl Retry {
    pub fn next<'a>(&self, upstreams: &'a [Arc<dyn Connect>]) -> &'a Arc<dyn Connect> {
        &upstreams[self.at % upstreams.len()]
    }

    pub fn succeeded(&mut self, upstream: &str) {
        tracing::info!(upstream, "following");
        (self.wait, self.logged) = (None, None);
    }

    pub fn failed(&mut self, upstream: &str, why: &str) {
        let failure = format!("{upstream}: {why}");
        // Each failure once, not twice a second.
        if self.logged.as_ref() != Some(&failure) {
            tracing::warn!(
                upstream,
                why,
                "cannot follow; trying the upstreams in turn, and answering from memory meanwhile"
            );
            self.logged = Some(failure);
        }
        self.at += 1;
    }

    pub async fn wait(&mut self) {
        let wait = self.wait.map_or(RETRY_MIN, |wait| (wait * 2).min(RETRY_MAX));
        self.wait = Some(wait);
        let random = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
        tokio::time::sleep(wait.mul_f64(1.0 - random / 2.0)).await;
    }
}
