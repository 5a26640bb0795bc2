//! What a stage's loop makes of any error: try again, or halt. (The third answer, quarantine, is not an error of the
//! stage: the record is set aside and the loop goes on.)

use std::fmt;
use std::time::Duration;

/// Why a stage could not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may work later. All state read so far is dropped; the stage begins again with what is stored.
    Retry(String),
    /// What was worked on is another owner's now, who goes on with it. As Retry, if it ever comes back.
    Lost(String),
    /// What is stored does not fit, or must not be touched. A person has to look.
    Halt(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Retry(why) | Failure::Lost(why) => write!(f, "{why}"),
            Failure::Halt(why) => write!(f, "halted: {why}"),
        }
    }
}

impl std::error::Error for Failure {}

/// Runs a part of a stage. A panic in it is a bug; it halts that part, and does not leave the others waiting for it.
pub fn halt_on_panic<T>(part: &str, run: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Failure::Halt(format!(
            "{part}: a bug in Sealog: {said}. Please report it; nothing acknowledged is lost"
        )))
    })
}

/// Waits that double from the first to the longest.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
}

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { next: FIRST }
    }
}

impl Backoff {
    /// How long to wait now.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        wait
    }

    /// It worked: the next failure starts small again.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}
