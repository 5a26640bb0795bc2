//! What the suites share: a rig of stages in memory, and the command as a process.

pub mod archive;
#[cfg(feature = "kafka")]
pub mod broker;
#[cfg(feature = "kafka")]
pub mod deployment;
pub mod process;
pub mod rig;
#[cfg(feature = "s3")]
#[allow(dead_code, reason = "other crates use it too, and other parts of it")]
pub mod s3;

use std::time::Duration;

use runtime::{Clock, Deadline, SystemClock};
use store::Store;

/// The archive is whole, as the verifier sees it.
pub fn verified(store: &dyn Store, what: &str) {
    let options = verifier::Options { now: SystemClock.wall(), ..verifier::Options::default() };
    let report = verifier::verify(store, &options);
    assert_eq!(report.verdict, verifier::Verdict::Unanchored, "{what}: {report:?}");
}

/// Whether the long forms are asked for, as `tests/run --long` does.
pub fn is_long() -> bool {
    std::env::var("SEALOG_TEST_LONG").is_ok_and(|long| !long.is_empty())
}

/// Waits until `done` gives something, and fails with `what` if that takes too long.
pub fn wait_for<T>(what: &str, seconds: u64, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(Duration::from_secs(seconds));
    let pause = runtime::Stop::new();
    loop {
        if let Some(result) = done() {
            return result;
        }
        assert!(!deadline.passed(), "{what}: not within {seconds} s");
        pause.wait(Duration::from_millis(20));
    }
}
