//! How a sidecar follows its upstreams.

use super::Counter;

/// See the module.
#[derive(Default)]
pub struct SidecarMetrics {
    /// How often it began to follow an upstream. Each after the first is a reconnect.
    pub connects: Counter,
    /// Attempts to follow an upstream that failed, and streams that ended.
    pub failures: Counter,
    /// Snapshots that replaced the State.
    pub snapshots: Counter,
}
