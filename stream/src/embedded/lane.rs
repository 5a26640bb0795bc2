//! One lane of the log: what readers see of it, what is written behind, what is trimmed off its front.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime::Clock;

use super::disk::Disk;
use super::file::LogFile;
use super::recover::recover;
use super::walk::Place;
use super::writer::{Bounds, Writer, Written, record_bytes};
use crate::{Batch, Error, Lane, LaneId, Limit, Result};

/// A lane that is open.
pub(super) struct OpenLane {
    name: Lane,
    disk: Arc<dyn Disk>,
    writer: Writer,
    seen: Mutex<Seen>,
}

/// What is durable, and so may be read.
struct Seen {
    /// Rising, without gaps; empty until the first record.
    files: Vec<Arc<LogFile>>,
    /// The offset of the next record.
    end: u64,
    last: Option<(Arc<LogFile>, Place)>,
}

impl Seen {
    fn start(&self) -> u64 {
        self.files.first().map_or(self.end, |file| file.first_offset())
    }
}

impl OpenLane {
    /// Opens the lane's folder, which is made if it is not there.
    pub fn open(
        name: Lane,
        (disk, dir, clock): (Arc<dyn Disk>, PathBuf, Arc<dyn Clock>),
        bounds: Bounds,
    ) -> Result<OpenLane> {
        let found = recover(&*disk, &dir)?;
        let writer = Writer::new((disk.clone(), dir, clock), bounds, &found.files, found.end)?;
        let seen = Mutex::new(Seen { files: found.files, end: found.end, last: found.last });
        Ok(OpenLane { name, disk, writer, seen })
    }

    /// Whether the lane is sound and has room for what the batch has for it.
    pub fn check(&self, records: &Batch, id: LaneId) -> Result<()> {
        let bytes = records.packed_on(id).map(|r| record_bytes(&r)).sum();
        self.writer.check(bytes)
    }

    /// Makes durable what the batch has for this lane, all of it or nothing. True if that is anything.
    pub fn write(&self, records: &Batch, id: LaneId) -> Result<bool> {
        let mut of_lane = records.packed_on(id).peekable();
        if of_lane.peek().is_none() {
            return Ok(false);
        }
        self.writer.write(of_lane, |written| self.show(written)).map(|()| true)
    }

    fn show(&self, written: Written) {
        let mut seen = self.seen();
        if seen.files.last().is_none_or(|file| file.first_offset() != written.file.first_offset()) {
            seen.files.push(written.file.clone());
        }
        seen.end = written.end;
        seen.last = Some((written.file, written.last));
    }

    /// Adds to `into` what stands from `from` on, up to `limit`; at the end nothing.
    pub fn read(&self, from: u64, into: &mut Batch, limit: Limit) -> Result<()> {
        let (file, next_offset, end) = {
            let seen = self.seen();
            let behind = seen.files.partition_point(|file| file.first_offset() <= from);
            if from < seen.start() || from > seen.end {
                return Err(self.out_of_range(&seen, from));
            }
            let Some(file) = behind.checked_sub(1).and_then(|n| seen.files.get(n)) else { return Ok(()) };
            if from == seen.end || limit.records == 0 {
                return Ok(());
            }
            let next_offset = seen.files.get(behind).map_or(seen.end, |file| file.first_offset());
            (file.clone(), next_offset, file.visible_bytes())
        };
        file.read(&*self.disk, (from, next_offset, end), (&self.name, into), limit).map_err(|e| {
            // It may have been trimmed while it was about to be read.
            let seen = self.seen();
            if from < seen.start() { self.out_of_range(&seen, from) } else { e }
        })
    }

    /// The last record, alone.
    pub fn last(&self) -> Result<Batch> {
        let (mut batch, last) = (Batch::new(), self.seen().last.clone());
        if let Some((file, place)) = last {
            file.read_one(&*self.disk, place, (&self.name, &mut batch))?;
        }
        Ok(batch)
    }

    /// Removes the files that hold nothing from `before` on, oldest first, but never the one with the last record.
    pub fn trim(&self, before: u64) -> Result<()> {
        loop {
            let oldest = {
                let mut seen = self.seen();
                let kept = seen.last.as_ref().map_or(0, |(file, _)| file.first_offset());
                let gone = |files: &[Arc<LogFile>]| {
                    files[1].first_offset() <= before && files[0].first_offset() < kept
                };
                if seen.files.len() < 2 || !gone(&seen.files) {
                    return Ok(());
                }
                seen.files.remove(0)
            };
            // The name goes for good before the next one does: a crash leaves no gap.
            let dir = oldest.path().parent().unwrap_or(oldest.path());
            let removed = self.disk.remove(oldest.path());
            removed.or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) }).map_err(
                |e| {
                    self.seen().files.insert(0, oldest.clone());
                    oldest.disk_error(e)
                },
            )?;
            self.writer.removed(oldest.visible_bytes());
            self.disk.sync_dir(dir).map_err(|e| oldest.disk_error(e))?;
        }
    }

    /// How many records wait for the frame that is being synced.
    #[cfg(test)]
    pub fn waiting_records(&self) -> usize {
        self.writer.waiting_records()
    }

    fn out_of_range(&self, seen: &Seen, from: u64) -> Error {
        Error::out_of_range(&self.name, from, (seen.start(), seen.end))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
