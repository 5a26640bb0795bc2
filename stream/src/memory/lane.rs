//! One lane in memory: what was written, in pieces as it was written.

use std::collections::VecDeque;

use crate::{Batch, Error, Lane, Limit, Result};

/// The records of one lane.
#[derive(Default)]
pub(super) struct MemoryLane {
    /// Each write, its records with their offsets.
    writes: VecDeque<Batch>,
    /// The first offset that has not been let go.
    start: u64,
    /// The offset of the next record.
    end: u64,
}

impl MemoryLane {
    /// Takes over the records of `records` that go to `lane`. A marker behind them leaves a hole in the offsets.
    pub fn write(&mut self, records: &Batch, lane: &Lane, time_ms: i64, marker: bool) {
        let mut written = Batch::new();
        for record in records.iter().filter(|r| r.lane == lane) {
            let id = written.lane(lane);
            written.push_taken(id, (self.end, time_ms), record.key, record.headers.iter(), record.value);
            self.end += 1;
        }
        if !written.is_empty() {
            self.writes.push_back(written);
            self.end += u64::from(marker);
        }
    }

    /// Adds to `into` what stands from `from` on, up to `limit`.
    pub fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit) -> Result<()> {
        if from < self.start || from > self.end {
            return Err(Error::out_of_range(lane, from, (self.start, self.end)));
        }
        let (records, bytes) = (into.len(), into.size_bytes());
        let whole = |b: &&Batch| b.last().is_some_and(|r| r.offset >= from);
        for write in self.writes.iter().filter(whole) {
            for (index, record) in write.iter().enumerate().filter(|(_, r)| r.offset >= from) {
                let size = write.packed(index).map_or(0, |p| p.body.len());
                let fits = into.size_bytes() - bytes + size <= limit.bytes || into.len() == records;
                if into.len() - records >= limit.records || !fits {
                    return Ok(());
                }
                copy(record, into);
            }
        }
        Ok(())
    }

    /// The last record, alone.
    pub fn last(&self, lane: &Lane) -> Result<Batch> {
        let mut last = Batch::new();
        let record = self.writes.back().and_then(Batch::last).filter(|r| r.offset >= self.start);
        if let Some(record) = record {
            debug_assert_eq!(record.lane, lane);
            copy(record, &mut last);
        }
        Ok(last)
    }

    /// Lets go of exactly the records below `before`.
    pub fn trim(&mut self, before: u64) {
        self.start = self.start.max(before.min(self.end));
        while self.writes.front().and_then(Batch::last).is_some_and(|r| r.offset < self.start) {
            self.writes.pop_front();
        }
    }
}

fn copy(record: crate::Record<'_>, into: &mut Batch) {
    let id = into.lane(record.lane);
    let place = (record.offset, record.time_ms);
    into.push_taken(id, place, record.key, record.headers.iter(), record.value);
}
