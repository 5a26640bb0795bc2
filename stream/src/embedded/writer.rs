//! Writing a lane: one frame at a time, synced before anyone hears of it.
//!
//! Writers that come while a frame is being synced put their records into the next one together: all of them are
//! durable with one sync, and still none is acknowledged before it.
//!
//! What a failure leaves: a write or a sync that finds no room is taken back, the lane goes on, the answer is `Full`.
//! A write that fails otherwise is taken back, the answer is `Away`. After a failed sync nobody can say what the disk
//! holds, for the system forgets which pages were not written: the frame is cut off as well as it goes, the answer is
//! `Away`, and the lane takes nothing more (`Damaged`) until it is opened again, which walks over what is there.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use runtime::Clock;

use super::disk::{Disk, DiskFile};
use super::file::{self, LogFile};
use super::frame::{self, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, RECORD_HEADER_BYTES, Seed};
use super::walk::Place;
use crate::batch::Packed;
use crate::{Error, Kind, Result};

/// A group takes no more writers when it is as large as this.
const GROUP_BYTES: usize = 64 << 20;

/// What the writers of a lane share.
pub(super) struct Writer {
    folder: String,
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    bounds: Bounds,
    /// All files of the lane.
    lane_bytes: AtomicU64,
    /// Why the lane takes nothing more.
    broken: OnceLock<String>,
    queue: Mutex<Queue>,
    /// Told when a group's outcome is known.
    done: Condvar,
}

/// The records that go into the next frame, and whether the one before it is being written.
struct Queue {
    next: Group,
    /// None while a writer has it.
    tip: Option<Tip>,
}

/// The records that go into one frame.
#[derive(Default)]
struct Group {
    /// The frame, room for its header first.
    bytes: Vec<u8>,
    outcome: Outcome,
}

/// Set once its frame has been written, or has failed.
type Outcome = Arc<OnceLock<Result<(), (Kind, String)>>>;

/// Where the next frame goes.
struct Tip {
    file: Option<(Arc<LogFile>, Arc<dyn DiskFile>, Seed)>,
    /// How long that file is.
    size_bytes: u64,
    /// The offset of the next record.
    offset: u64,
    /// The memory of the last frame, for the next group.
    spare: Vec<u8>,
}

/// What has become durable.
pub(super) struct Written {
    /// The file that it stands in, which may be a new one.
    pub file: Arc<LogFile>,
    /// The offset of the next record.
    pub end: u64,
    /// The last record.
    pub last: Place,
}

/// What bounds a lane.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub file_bytes: u64,
    pub max_lane_bytes: u64,
}

impl Writer {
    /// A writer that goes on where the lane ends.
    pub fn new(
        (disk, dir, clock): (Arc<dyn Disk>, PathBuf, Arc<dyn Clock>),
        bounds: Bounds,
        files: &[Arc<LogFile>],
        offset: u64,
    ) -> Result<Writer> {
        let file = match files.last() {
            Some(youngest) => {
                let (handle, seed) = youngest.open(&*disk)?;
                Some((youngest.clone(), handle, seed))
            }
            None => None,
        };
        let size_bytes = files.last().map_or(0, |f| f.visible_bytes());
        let lane_bytes = files.iter().map(|f| f.visible_bytes()).sum();
        let tip = Some(Tip { file, size_bytes, offset, spare: Vec::new() });
        Ok(Writer {
            folder: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            dir,
            disk,
            clock,
            bounds,
            lane_bytes: AtomicU64::new(lane_bytes),
            broken: OnceLock::new(),
            queue: Mutex::new(Queue { next: Group::default(), tip }),
            done: Condvar::new(),
        })
    }

    /// Whether records of so many bytes would find the lane sound and with room.
    pub fn check(&self, bytes: u64) -> Result<()> {
        if let Some(why) = self.broken.get() {
            let what = format!("{} takes nothing until it is opened again: {why}", self.folder);
            return Err(Error::new(Kind::Damaged, what));
        }
        let (has, most) = (self.lane_bytes.load(Ordering::SeqCst), self.bounds.max_lane_bytes);
        if has + bytes > most {
            let what = format!("{} has {has} bytes on the disk and may have {most}", self.folder);
            return Err(Error::new(Kind::Full, what));
        }
        Ok(())
    }

    /// Writes the records of one batch together and returns when they are durable. `show` hears of each frame, in
    /// order, before its writers do.
    pub fn write<'b>(&self, records: impl Iterator<Item = Packed<'b>>, show: impl Fn(Written)) -> Result<()> {
        let mut queue = lock(&self.queue);
        while queue.next.bytes.len() > GROUP_BYTES {
            queue = self.go_on(queue, &show);
        }
        if queue.next.bytes.is_empty() {
            queue.next.bytes.resize(FRAME_HEADER_BYTES as usize, 0);
        }
        for record in records {
            frame::put_record(&mut queue.next.bytes, &record);
        }
        let outcome = queue.next.outcome.clone();
        loop {
            if let Some(known) = outcome.get() {
                return known.clone().map_err(|(kind, what)| Error::new(kind, what));
            }
            queue = self.go_on(queue, &show);
        }
    }

    /// How many records wait for the frame that is being synced.
    #[cfg(test)]
    pub fn waiting_records(&self) -> usize {
        let (bytes, mut at, mut count) = (&lock(&self.queue).next.bytes, FRAME_HEADER_BYTES as usize, 0);
        while let Some(head) = bytes.get(at..).and_then(frame::RecordHead::read) {
            (at, count) = (at + head.size_bytes, count + 1);
        }
        count
    }

    /// Lets go of a file's bytes when it has been removed.
    pub fn removed(&self, bytes: u64) {
        self.lane_bytes.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Waits for the frame that another writer is at, or writes the next one for everybody who is in it.
    fn go_on<'q>(
        &'q self,
        mut queue: MutexGuard<'q, Queue>,
        show: &impl Fn(Written),
    ) -> MutexGuard<'q, Queue> {
        let Some(mut tip) = queue.tip.take() else {
            return self.done.wait(queue).unwrap_or_else(PoisonError::into_inner);
        };
        let empty = Group { bytes: std::mem::take(&mut tip.spare), outcome: Arc::default() };
        let mut group = std::mem::replace(&mut queue.next, empty);
        drop(queue);
        let written = self.write_frame(&mut tip, &mut group.bytes).map(show);
        // Set here only, for a group is taken once.
        let _ = group.outcome.set(written.map_err(|e| (e.kind(), e.to_string())));
        group.bytes.clear();
        group.bytes.shrink_to(GROUP_BYTES);
        tip.spare = group.bytes;
        let mut queue = lock(&self.queue);
        queue.tip = Some(tip);
        self.done.notify_all();
        queue
    }

    fn write_frame(&self, tip: &mut Tip, bytes: &mut [u8]) -> Result<Written> {
        let size = bytes.len() as u64;
        self.check(size)?;
        let (log_file, handle, seed) = match &tip.file {
            Some(file)
                if tip.size_bytes == FILE_HEADER_BYTES || tip.size_bytes + size <= self.bounds.file_bytes =>
            {
                file.clone()
            }
            _ => self.begin_file(tip)?,
        };
        let (first, time_ms) = (tip.offset, self.clock.wall().0 / 1_000);
        let (position, frame_end) = (tip.size_bytes, tip.size_bytes + size);
        let (mut begins, mut count, mut last_begin) = (Vec::new(), 0, 0);
        let frame = frame::seal(bytes, seed, (first, time_ms), |begin| {
            if begins.last().is_none_or(|(_, b)| (begin - b) as u64 >= file::INDEX_BYTES) {
                begins.push((count, begin));
            }
            (count, last_begin) = (count + 1, begin);
        });
        let place = |(nth, begin): (u32, usize)| Place {
            offset: first + u64::from(nth),
            position: position + begin as u64,
            left: frame.records - nth,
            frame_end,
            time_ms,
        };
        let last = place((frame.records - 1, last_begin));
        let end = first + u64::from(frame.records);

        if let Err(e) = handle.write_at(bytes, position) {
            return Err(self.take_back(tip, &*handle, e, false));
        }
        if let Err(e) = handle.sync() {
            return Err(self.take_back(tip, &*handle, e, true));
        }
        (tip.offset, tip.size_bytes) = (end, frame_end);
        self.lane_bytes.fetch_add(size, Ordering::SeqCst);
        log_file.show(begins.into_iter().map(place), frame_end);
        Ok(Written { file: log_file, end, last })
    }

    /// Begins the file of the next offset: header, sync, name, and only then frames.
    fn begin_file(&self, tip: &mut Tip) -> Result<(Arc<LogFile>, Arc<dyn DiskFile>, Seed)> {
        // The file before is done with, even if this fails: a name that came to stay must be the next offset's.
        if let Some((old, _, _)) = tip.file.take() {
            old.let_go();
        }
        let log_file = Arc::new(LogFile::new(&self.dir, tip.offset, FILE_HEADER_BYTES));
        let (header, seed) = frame::file_header(&self.folder, tip.offset, runtime::random_bytes());
        let begun = self.disk.create(log_file.path()).and_then(|handle| {
            handle.write_at(&header, 0)?;
            handle.sync()?;
            self.disk.sync_dir(&self.dir)?;
            Ok(handle)
        });
        let handle = begun.map_err(|e| {
            let what = format!("{} could not be begun", log_file.path().display());
            Error::caused(if is_full(&e) { Kind::Full } else { Kind::Away }, what, e)
        })?;
        log_file.keep_open(handle.clone(), seed);
        tip.file = Some((log_file.clone(), handle.clone(), seed));
        tip.size_bytes = FILE_HEADER_BYTES;
        self.lane_bytes.fetch_add(FILE_HEADER_BYTES, Ordering::SeqCst);
        Ok((log_file, handle, seed))
    }

    /// Cuts off what a failed frame has left, and says what became of the frame and the lane.
    fn take_back(&self, tip: &Tip, handle: &dyn DiskFile, failed: io::Error, in_sync: bool) -> Error {
        let verb = if in_sync { "synced" } else { "written" };
        let cut = handle.cut(tip.size_bytes).and_then(|()| handle.sync());
        let full = is_full(&failed);
        let why = match &cut {
            Err(e) => Some(format!("a frame could not be {verb} ({failed}) nor taken back ({e})")),
            Ok(()) if in_sync && !full => Some(format!("a frame could not be synced ({failed})")),
            Ok(()) => None,
        };
        if let Some(why) = why {
            // The first reason stays.
            let _ = self.broken.set(why);
        }
        let kind = if full && cut.is_ok() { Kind::Full } else { Kind::Away };
        Error::caused(kind, format!("a frame of {} could not be {verb}", self.folder), failed)
    }
}

/// What a record takes in a frame.
pub(super) fn record_bytes(record: &Packed<'_>) -> u64 {
    (RECORD_HEADER_BYTES + record.body.len()) as u64
}

fn is_full(e: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(e.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
