//! Shows on a terminal how far a command is.

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

const DELAY: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// A line on stderr if that is a terminal. It disappears when dropped.
pub struct Progress {
    bar: ProgressBar,
    reveal: JoinHandle<()>,
    nouns: &'static str,
}

impl Progress {
    pub fn new(nouns: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        // The template is fixed, so this does not fail.
        if let Ok(style) = ProgressStyle::with_template("{spinner} reading {msg}, {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(nouns);
        let shown = bar.clone();
        let reveal = tokio::spawn(async move {
            tokio::time::sleep(DELAY).await;
            shown.set_draw_target(ProgressDrawTarget::stderr());
            shown.enable_steady_tick(TICK);
        });
        Self { bar, reveal, nouns }
    }

    pub fn has_read(&self, count: usize) {
        self.bar.set_message(format!("{}: {}", self.nouns, HumanCount(count as u64)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.reveal.abort();
        self.bar.finish_and_clear();
    }
}

/// Returns a bar on stderr if that is a terminal.
pub fn bar(nouns: &'static str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(nouns);
    // The template is fixed, so this does not fail.
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar
}
