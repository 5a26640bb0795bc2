//! What is locked for less than is wanted now, and with what it is to be locked instead. Never for less than it is.

use std::time::Duration;

use schemas::Micros;
use store::custody::{CLOCKS_DIFFER, Kept};
use store::{Lock, Mode, Version};

/// Locks a version, and answers what it is locked with then.
pub type LockWith<'a> = &'a (dyn Fn(&str, &Version, Lock) -> store::Result<Lock> + Sync);

/// For how long evidence is to be locked from now on.
pub struct Longer<'a> {
    /// At least.
    pub least: Least,
    /// What has no lock is locked in this mode; what has one keeps its own.
    pub mode: Mode,
    /// None: nothing is locked, it is only said what would be.
    pub lock_with: Option<LockWith<'a>>,
}

/// For how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Least {
    /// Each version, from when it was written.
    Period(Duration),
    /// All of them, until then.
    Until(Micros),
}

impl Longer<'_> {
    /// The lock that a version is to have instead of its own; None: its own is long enough, or the time for which it
    /// was to be locked is over.
    pub fn wanted(&self, kept: &Kept, now: Micros) -> Option<Lock> {
        let (until, slack) = match self.least {
            Least::Until(until) => (until, 0),
            // Who wrote it may have had another clock than who dated it: that is not worth a request.
            Least::Period(period) => (later(kept.modified, period), CLOCKS_DIFFER.as_micros() as i64),
        };
        let is_long_enough = kept.lock.is_some_and(|lock| lock.until.0 >= until.0 - slack);
        let mode = kept.lock.map_or(self.mode, |lock| lock.mode);
        (!is_long_enough && until > now).then_some(Lock { mode, until })
    }
}

fn later(from: Micros, period: Duration) -> Micros {
    Micros(from.0.saturating_add(i64::try_from(period.as_micros()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn kept(lock: Option<(Mode, i64)>) -> Kept {
        let lock = lock.map(|(mode, until_h)| Lock { mode, until: Micros(until_h * HOUR_US) });
        let modified = Micros(10 * HOUR_US);
        Kept { version: Version("v".to_owned()), modified, delete_marker: false, lock, is_held: false }
    }

    fn wanted(least: Least, lock: Option<(Mode, i64)>) -> Option<(Mode, i64)> {
        let longer = Longer { least, mode: Mode::Compliance, lock_with: None };
        let lock = longer.wanted(&kept(lock), Micros(12 * HOUR_US))?;
        Some((lock.mode, lock.until.0 / HOUR_US))
    }

    #[test]
    fn only_what_is_shorter_is_locked_for_longer_and_keeps_its_mode() {
        let day = Least::Period(Duration::from_secs(24 * 3_600));
        assert_eq!(wanted(day, Some((Mode::Compliance, 33))), Some((Mode::Compliance, 34)));
        assert_eq!(wanted(day, Some((Mode::Governance, 33))), Some((Mode::Governance, 34)));
        assert_eq!(wanted(day, Some((Mode::Governance, 34))), None);
        assert_eq!(wanted(day, Some((Mode::Compliance, 99))), None);
        assert_eq!(wanted(day, None), Some((Mode::Compliance, 34)));
        // It was to be locked until an hour ago.
        assert_eq!(wanted(Least::Period(Duration::from_secs(3_600)), None), None);
        let until = Least::Until(Micros(50 * HOUR_US));
        assert_eq!(wanted(until, Some((Mode::Compliance, 49))), Some((Mode::Compliance, 50)));
        assert_eq!(wanted(until, Some((Mode::Compliance, 50))), None);
    }
}
