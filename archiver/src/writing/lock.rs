//! Whether an object is held as firmly as it must be.

use std::time::Duration;

use schemas::Micros;
use store::{Lock, Mode, Object, Retention};

/// By so much the clock of whoever wrote an object may differ from the store's. Beyond it, stores refuse a write.
const SKEW_US: i64 = 15 * 60 * 1_000_000;

/// What the object's lock lacks, where `retention` was asked for at the moment `from`. Compared in whole seconds:
/// stores keep no more.
pub(crate) fn shortfall(object: &Object, retention: Option<Retention>, from: Micros) -> Option<String> {
    let Retention { mode, period } = retention?;
    let due = from.0.saturating_add(micros(period));
    match object.lock {
        None => Some("it is not locked".to_owned()),
        Some(Lock { mode: Mode::Governance, .. }) if mode == Mode::Compliance => {
            Some("it is locked in governance mode, and compliance was asked for".to_owned())
        }
        Some(lock) if seconds(lock.until.0) < seconds(due) => {
            let (until, due) = (lock.until.rfc3339(), Micros(due).rfc3339());
            Some(format!("it is locked until {until}, and {due} was asked for"))
        }
        Some(_) if object.modified == Micros::default() => Some("the store does not say when".to_owned()),
        Some(_) => None,
    }
}

/// The same of an object that another process wrote, at some moment that only the store knows.
pub(crate) fn shortfall_of_anothers(object: &Object, retention: Option<Retention>) -> Option<String> {
    shortfall(object, retention, Micros(object.modified.0.saturating_sub(SKEW_US)))
}

fn micros(period: Duration) -> i64 {
    i64::try_from(period.as_micros()).unwrap_or(i64::MAX)
}

fn seconds(us: i64) -> i64 {
    us.div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use store::{Tag, Version};

    use super::*;

    const WEEK: Duration = Duration::from_secs(7 * 86_400);
    const NOW: Micros = Micros(1_795_262_400_700_000);
    const UNTIL: i64 = NOW.0 + 7 * 86_400_000_000;

    fn locked(lock: Option<(Mode, i64)>) -> Object {
        Object {
            bytes: Vec::new(),
            size_bytes: 0,
            version: Version::default(),
            tag: Tag(String::new()),
            modified: NOW,
            lock: lock.map(|(mode, until)| Lock { mode, until: Micros(until) }),
            is_held: false,
            encrypted_otherwise: None,
        }
    }

    #[test]
    fn a_lock_is_as_strong_and_as_long_as_was_asked_for_to_the_second() {
        use Mode::{Compliance, Governance};
        let lacks = |mode, lock| shortfall(&locked(lock), Some(Retention { mode, period: WEEK }), NOW);
        for (mode, until) in [(Compliance, UNTIL), (Compliance, UNTIL - 700_000), (Compliance, UNTIL + 1)] {
            assert_eq!(lacks(Compliance, Some((mode, until))), None);
            assert_eq!(lacks(Governance, Some((mode, until))), None, "more than was asked for");
        }
        let is_lacking =
            |lacks: Option<String>, what| assert!(lacks.as_ref().unwrap().contains(what), "{lacks:?}");
        is_lacking(lacks(Compliance, Some((Governance, UNTIL))), "governance");
        is_lacking(lacks(Compliance, Some((Compliance, UNTIL - 700_001))), "until");
        is_lacking(lacks(Governance, Some((Governance, UNTIL - 1_000_000))), "until");
        is_lacking(lacks(Governance, None), "not locked");
        assert_eq!(
            shortfall(&locked(None), None, NOW),
            None,
            "of a store that locks nothing nothing is asked"
        );
        let undated = Object { modified: Micros(0), ..locked(Some((Compliance, UNTIL))) };
        is_lacking(shortfall(&undated, Some(Retention { mode: Compliance, period: WEEK }), NOW), "when");
    }

    #[test]
    fn of_what_another_wrote_the_period_counts_from_its_writing_on() {
        let retention = Some(Retention { mode: Mode::Compliance, period: WEEK });
        let lacks = |until| shortfall_of_anothers(&locked(Some((Mode::Compliance, until))), retention);
        assert_eq!((lacks(UNTIL), lacks(UNTIL - SKEW_US)), (None, None), "clocks differ");
        assert!(lacks(UNTIL - SKEW_US - 1_000_000).is_some());
    }
}
