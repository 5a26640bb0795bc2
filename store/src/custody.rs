//! How an object is kept: a judgement over all versions of one key, by what a store says of them and nothing else.
//! Which of them is the evidence, only its content says: whoever has read it picks what was found of that version.

use std::time::Duration;

use schemas::Micros;

use crate::{Entry, Keep, Lock, Mode, Object, Retention, Version};

/// One version of a key, and what holds it in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which one.
    pub version: Version,
    /// When the store says it was written.
    pub modified: Micros,
    /// Whether it is a mark that hides what is below it, not an object.
    pub delete_marker: bool,
    /// Its lock, if it has one.
    pub lock: Option<Lock>,
    /// Whether somebody has put a legal hold on it.
    pub is_held: bool,
}

impl Kept {
    /// A line of a list of versions. `read` is what a read of that very version says, of nothing but its lock if need
    /// be (an empty range). None for a delete marker, which cannot be read.
    pub fn of(entry: &Entry, read: Option<&Object>) -> Kept {
        Kept {
            version: entry.version.clone(),
            modified: entry.modified,
            delete_marker: entry.delete_marker,
            lock: read.and_then(|object| object.lock),
            is_held: read.is_some_and(|object| object.is_held),
        }
    }
}

/// What is wrong with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A delete marker is the newest: who asks for the key is told that nothing is there.
    Hides,
    /// A delete marker that something was written over.
    Marker,
    /// It lies over an older version: evidence is written once.
    LaidOver,
    /// No lock.
    Unlocked,
    /// Its lock has ended, and nobody promised when.
    Ended,
    /// In governance mode, where compliance was promised: whoever may bypass can delete it.
    Liftable,
    /// Its lock ends before this, which was promised.
    Short(Micros),
}

impl Flaw {
    /// What it is called, the same for ever, and the same as the verifier's check.
    pub fn name(self) -> &'static str {
        match self {
            Flaw::Hides | Flaw::Marker => "hidden",
            Flaw::LaidOver => "laid-over",
            Flaw::Unlocked | Flaw::Ended => "lock-missing",
            Flaw::Liftable => "lock-mode",
            Flaw::Short(_) => "lock-short",
        }
    }
}

/// Who writes and the server date a write by clocks of their own. No server takes a request that is further off.
pub const CLOCKS_DIFFER: Duration = Duration::from_secs(15 * 60);

/// What is wrong with the versions of one key, the newest first: the version's index, and what. `promise` is what each
/// piece of evidence was to be locked with from the moment of writing; None: with anything that has not ended. A hint is
/// replaced again and again and may be let go of, so of its versions only markers count. A legal hold is no lock: it
/// says nothing of how long.
pub fn judge(versions: &[Kept], keep: Keep, promise: Option<Retention>, now: Micros) -> Vec<(usize, Flaw)> {
    let mut found = Vec::new();
    let oldest = versions.iter().rposition(|kept| !kept.delete_marker);
    for (nth, kept) in versions.iter().enumerate() {
        if kept.delete_marker {
            found.push((nth, if nth == 0 { Flaw::Hides } else { Flaw::Marker }));
            continue;
        }
        if keep == Keep::Hint {
            continue;
        }
        if Some(nth) != oldest {
            found.push((nth, Flaw::LaidOver));
        }
        found.extend(lock_flaws(kept, promise, now).map(|flaw| (nth, flaw)));
    }
    found
}

/// What is wrong with the lock of one version of evidence.
fn lock_flaws(kept: &Kept, promise: Option<Retention>, now: Micros) -> impl Iterator<Item = Flaw> {
    let flaws = match (kept.lock, promise) {
        (None, _) => [Some(Flaw::Unlocked), None],
        (Some(lock), None) => [(lock.until <= now).then_some(Flaw::Ended), None],
        (Some(lock), Some(promise)) => {
            let due = due(kept.modified, promise.period);
            let is_liftable = promise.mode == Mode::Compliance && lock.mode == Mode::Governance;
            [is_liftable.then_some(Flaw::Liftable), (lock.until < due).then_some(Flaw::Short(due))]
        }
    };
    flaws.into_iter().flatten()
}

/// Until when at least what was written then must be locked.
fn due(written: Micros, period: Duration) -> Micros {
    let micros = |period: Duration| i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
    Micros(written.0.saturating_add(micros(period.saturating_sub(CLOCKS_DIFFER))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;
    const DAY: Retention = Retention { mode: Mode::Compliance, period: Duration::from_secs(24 * 3_600) };

    fn object(written_h: i64, lock: Option<(Mode, i64)>) -> Kept {
        Kept {
            version: Version(written_h.to_string()),
            modified: Micros(written_h * HOUR_US),
            delete_marker: false,
            lock: lock.map(|(mode, until_h)| Lock { mode, until: Micros(until_h * HOUR_US) }),
            is_held: false,
        }
    }

    fn marker(written_h: i64) -> Kept {
        Kept { delete_marker: true, ..object(written_h, None) }
    }

    fn evidence(versions: &[Kept], promise: Option<Retention>) -> Vec<(usize, &'static str)> {
        let found = judge(versions, Keep::Evidence, promise, Micros(30 * HOUR_US));
        found.into_iter().map(|(nth, flaw)| (nth, flaw.name())).collect()
    }

    #[test]
    fn a_version_must_be_locked_as_was_promised() {
        let locked = |mode, until_h| evidence(&[object(10, Some((mode, until_h)))], Some(DAY));
        assert_eq!(locked(Mode::Compliance, 34), []);
        assert_eq!(locked(Mode::Compliance, 33), [(0, "lock-short")]);
        assert_eq!(locked(Mode::Governance, 34), [(0, "lock-mode")]);
        assert_eq!(locked(Mode::Governance, 33), [(0, "lock-mode"), (0, "lock-short")]);
        assert_eq!(evidence(&[object(10, None)], Some(DAY)), [(0, "lock-missing")]);
        // It was kept for as long as was promised, and may go.
        assert_eq!(evidence(&[object(0, Some((Mode::Compliance, 24)))], Some(DAY)), []);
        let liftable = Retention { mode: Mode::Governance, ..DAY };
        assert_eq!(evidence(&[object(10, Some((Mode::Compliance, 34)))], Some(liftable)), []);
    }

    #[test]
    fn clocks_may_differ_by_as_much_as_a_server_takes() {
        let quarter = 15 * 60 * 1_000_000;
        for (until_us, flaws) in [(34 * HOUR_US - quarter, 0), (34 * HOUR_US - quarter - 1, 1)] {
            let lock = Some(Lock { mode: Mode::Compliance, until: Micros(until_us) });
            let kept = Kept { lock, ..object(10, None) };
            assert_eq!(judge(&[kept], Keep::Evidence, Some(DAY), Micros(0)).len(), flaws, "{until_us}");
        }
    }

    #[test]
    fn without_a_promise_any_lock_will_do_that_has_not_ended() {
        assert_eq!(evidence(&[object(10, Some((Mode::Governance, 31)))], None), []);
        assert_eq!(evidence(&[object(10, Some((Mode::Compliance, 30)))], None), [(0, "lock-missing")]);
        let held = Kept { is_held: true, ..object(10, None) };
        assert_eq!(evidence(&[held], None), [(0, "lock-missing")]);
    }

    #[test]
    fn what_lies_over_evidence_is_found() {
        let good = |written_h| object(written_h, Some((Mode::Compliance, written_h + 24)));
        assert_eq!(evidence(&[good(12), good(10)], Some(DAY)), [(0, "laid-over")]);
        assert_eq!(evidence(&[marker(12), good(10)], Some(DAY)), [(0, "hidden")]);
        assert_eq!(evidence(&[good(13), marker(12), good(10)], Some(DAY)), [(0, "laid-over"), (1, "hidden")]);
        assert_eq!(evidence(&[good(13), marker(12)], Some(DAY)), [(1, "hidden")]);
        assert_eq!(evidence(&[marker(1)], Some(DAY)), [(0, "hidden")]);
    }

    #[test]
    fn a_hint_may_be_replaced_and_let_go_of() {
        let versions = [object(12, None), object(11, Some((Mode::Governance, 12)))];
        assert_eq!(judge(&versions, Keep::Hint, Some(DAY), Micros(0)), []);
        let hidden = [marker(13), object(12, None)];
        assert_eq!(judge(&hidden, Keep::Hint, Some(DAY), Micros(0)), [(0, Flaw::Hides)]);
    }
}
