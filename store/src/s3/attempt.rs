//! Asking until there is an answer, within bounds.

use std::future::Future;
use std::time::Duration;

use runtime::{Backoff, Deadline, random_bytes};

use super::S3;
use super::fault::{Fault, Meaning};

/// What moves this many bytes gets a second more.
const BYTES_PER_SECOND: u64 = 1 << 20;

impl S3 {
    /// Asks with `attempt` until it answers something that asking again cannot change. `moved_bytes` go up with each
    /// attempt, which is told how long it may take.
    pub(super) fn ask<T, F>(&self, moved_bytes: u64, attempt: impl Fn(Duration) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let timeouts = &self.options.timeouts;
        let deadline = Deadline::after(timeouts.whole + allowance(moved_bytes));
        self.runtime.block_on(async {
            let mut backoff = Backoff::default();
            let mut tries = 1;
            loop {
                let time = timeouts.attempt + allowance(moved_bytes);
                let fault = match attempt(time).await {
                    Err(fault) if fault.meaning == Meaning::Again => fault.after(tries),
                    answer => return answer,
                };
                let wait = jittered(backoff.next_wait());
                if wait >= deadline.left() {
                    return Err(fault);
                }
                tokio::time::sleep(wait).await;
                tries += 1;
            }
        })
    }
}

/// Ends `work` when its time is over.
pub(super) async fn within<T, E: Into<Fault>>(
    time: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(time, work).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Fault::again(format!("no answer within {} s", time.as_secs_f32()))),
    }
}

/// The time for so many bytes to come or go.
pub(super) fn allowance(bytes: u64) -> Duration {
    Duration::from_secs(bytes / BYTES_PER_SECOND)
}

/// Between half of it and all of it, so that those who were refused together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let [part] = random_bytes();
    wait / 2 + wait * u32::from(part) / 512
}
