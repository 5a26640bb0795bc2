//! Where a lane ends when a stage is asked to: up to there it has something to finish.

use std::time::Duration;

use crate::{Kind, Lane, Log, Result};

/// How long one look whether anything is hidden may take.
const SETTLE: Duration = Duration::from_secs(1);

/// One past the last record of the lane, with everything counted that was acknowledged before this was asked. None: what
/// a dead process left open may hide some of it, and so may the mark that ends the last commit and is still on its way;
/// ask again.
pub fn end_of(log: &(impl Log + ?Sized), lane: &Lane) -> Result<Option<u64>> {
    match log.settle(lane, SETTLE) {
        Err(hidden) if hidden.kind() == Kind::Away => return Ok(None),
        settled => settled?,
    }
    Ok(Some(log.last(lane)?.last().map_or(0, |record| record.offset + 1)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use runtime::SystemClock;

    use super::*;
    use crate::memory::Memory;
    use crate::{Batch, Error, Limit};

    /// Its first looks at what is hidden fail, each in its way.
    struct Hidden {
        memory: Memory,
        answers: &'static [Kind],
        looks: AtomicUsize,
    }

    impl Hidden {
        fn with(answers: &'static [Kind]) -> Hidden {
            let memory = Memory::new(&[("in", 1)], Arc::new(SystemClock));
            Hidden { memory, answers, looks: AtomicUsize::new(0) }
        }
    }

    impl Log for Hidden {
        fn append(&self, records: &Batch) -> Result<()> {
            self.memory.append(records)
        }

        fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()> {
            self.memory.read(lane, from, into, limit, wait)
        }

        fn last(&self, lane: &Lane) -> Result<Batch> {
            let looks = self.looks.load(Ordering::SeqCst);
            assert!(looks > self.answers.len(), "the end is asked for once nothing is hidden");
            self.memory.last(lane)
        }

        fn settle(&self, _: &Lane, _: Duration) -> Result<()> {
            match self.answers.get(self.looks.fetch_add(1, Ordering::SeqCst)) {
                Some(kind) => Err(Error::new(*kind, "the test hides it")),
                None => Ok(()),
            }
        }

        fn trim(&self, lane: &Lane, before: u64) -> Result<()> {
            self.memory.trim(lane, before)
        }
    }

    #[test]
    fn a_lane_ends_behind_its_last_record_once_nothing_before_it_is_hidden() {
        let (log, lane) = (Hidden::with(&[Kind::Away, Kind::Away]), Lane::new("in", 0));
        let mut records = Batch::new();
        let id = records.lane(&lane);
        records.push(id, None, &[], b"a");
        records.push(id, None, &[], b"b");
        log.append(&records).unwrap();
        let ends: Vec<_> = (0..3).map(|_| end_of(&log, &lane).unwrap()).collect();
        assert_eq!(ends, [None, None, Some(2)]);
        log.trim(&lane, 2).unwrap();
        assert_eq!(end_of(&Hidden::with(&[]), &lane).unwrap(), Some(0), "nothing was ever there");
    }

    #[test]
    fn a_lane_that_cannot_be_looked_at_has_no_end_to_ask_for_again() {
        let log = Hidden::with(&[Kind::Refused]);
        assert_eq!(end_of(&log, &Lane::new("in", 0)).unwrap_err().kind(), Kind::Refused);
    }
}
