//! How far a check has come, as a bar on a terminal. Nothing where nobody looks.

use std::fmt;
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use verifier::Watch;

/// The bar.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    /// Events to be walked, of the chains that were come to.
    planned: AtomicU64,
}

/// How often it is drawn, whether anything has come or not: who waits sees that it lives.
const TICK: Duration = Duration::from_millis(200);

impl Progress {
    /// On stderr, if that is a terminal.
    pub(super) fn begin() -> Option<Arc<Progress>> {
        if !stderr().is_terminal() {
            return None;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style(LISTING));
        bar.enable_steady_tick(TICK);
        Some(Arc::new(Progress { bar, planned: AtomicU64::new(0) }))
    }

    /// Takes the bar off, for the report.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Progress {
    fn listed(&self, objects: u64) {
        self.bar.set_message(format!("{objects} objects listed"));
    }

    fn planned(&self, events: u64) {
        self.bar.set_style(style(WALKING));
        let before = self.planned.fetch_add(events, Ordering::Relaxed);
        self.bar.set_length(before + events);
    }

    fn walked(&self, events: u64) {
        self.bar.inc(events);
    }
}

const LISTING: &str = "{spinner} {msg}";
const WALKING: &str = "{bar:30} {percent:>3} %  {human_pos} of {human_len} events, {rate}, {eta} left";

/// The templates are this file's own; of one with a mistake the plain bar is shown.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    // Its own rate has four digits behind the point.
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A bar that cannot be written to shows nothing, which is no news.
        let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
    };
    style.with_key("rate", rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_counts_what_is_walked_and_shows_rate_and_time_left() {
        let bar = ProgressBar::hidden();
        let progress = Progress { bar: bar.clone(), planned: AtomicU64::new(0) };
        assert!(
            ProgressStyle::with_template(LISTING).is_ok() && ProgressStyle::with_template(WALKING).is_ok()
        );
        progress.listed(7);
        assert_eq!(bar.message(), "7 objects listed");
        progress.planned(100);
        progress.planned(50);
        progress.walked(30);
        assert_eq!((bar.position(), bar.length()), (30, Some(150)));
        assert!(WALKING.contains("{rate}") && WALKING.contains("{eta}"));
        progress.end();
        assert!(bar.is_finished());
    }

    #[test]
    fn without_a_terminal_there_is_none() {
        // Tests are run with their output caught or not; only the one case can be told.
        if !stderr().is_terminal() {
            assert!(Progress::begin().is_none());
        }
    }
}
