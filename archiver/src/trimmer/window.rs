//! Where the records begin that are too young to be trimmed.

use runtime::Failure;
use stream::{Lane, Log};

use crate::heads::record_at;

/// The first offset from `from` on that has a record of `since_ms` or later at it or next after it; `until` if all
/// before that are older. There must be a record at `until`. Records are taken to be in the order of their time: where
/// clocks of two owners differ, a few may be let go of by so much earlier.
pub(super) fn first_young(
    log: &dyn Log,
    lane: &Lane,
    (from, until): (u64, u64),
    since_ms: i64,
) -> Result<u64, Failure> {
    // All before `old_before` is old, and from `young_from` on nothing need be looked at.
    let (mut old_before, mut young_from) = (from, until);
    // Most looks find nothing that grew old since the last one.
    let mut probe = from;
    while old_before < young_from {
        match record_at(log, lane, probe)? {
            Err(start) => old_before = start,
            Ok(batch) => match batch.get(0).filter(|record| record.time_ms < since_ms) {
                Some(old) => old_before = old.offset + 1,
                None => young_from = probe,
            },
        }
        probe = old_before + young_from.saturating_sub(old_before) / 2;
    }
    Ok(old_before.min(until))
}
