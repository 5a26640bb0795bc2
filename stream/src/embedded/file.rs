//! One file of a lane: opening it, finding an offset in it, reading records out of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, DiskFile};
use super::frame::{BadFile, FILE_HEADER_BYTES, Seed, read_file_header};
use super::walk::{Flaw, Place, Walk};
use crate::{Batch, Error, Kind, Lane, Limit, Result};

/// How far apart the places are that the index keeps. A read from anywhere walks over this much at most.
pub(super) const INDEX_BYTES: u64 = 32 << 10;
/// How much is read at a time.
const AHEAD_BYTES: usize = 256 << 10;

/// One file. The records up to `visible_bytes` are durable and never change.
pub(super) struct LogFile {
    path: PathBuf,
    folder: String,
    first_offset: u64,
    visible_bytes: AtomicU64,
    /// Places in rising order. A walk that passes adds to them, so an old file costs nothing until it is read.
    index: Mutex<Vec<Place>>,
    opened: Mutex<Opened>,
}

/// What is known of a file that was opened before.
#[derive(Default)]
struct Opened {
    /// Only while the file is written to. An old one is opened for each read: there may be very many.
    file: Option<Arc<dyn DiskFile>>,
    /// Once its header was checked.
    seed: Option<Seed>,
}

/// The name of the file that starts at an offset.
pub(super) fn name(first_offset: u64) -> String {
    format!("{first_offset:020}.log")
}

/// The first offset that a file's name tells, if it is the name of a log file.
pub(super) fn named(name: &str) -> Option<u64> {
    let digits =
        name.strip_suffix(".log").filter(|d| d.len() == 20 && d.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

impl LogFile {
    /// The file of `dir` that starts at `first_offset`, whole up to `visible_bytes`.
    pub fn new(dir: &Path, first_offset: u64, visible_bytes: u64) -> LogFile {
        LogFile {
            path: dir.join(name(first_offset)),
            folder: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            first_offset,
            visible_bytes: AtomicU64::new(visible_bytes),
            index: Mutex::new(vec![Place::start(first_offset)]),
            opened: Mutex::default(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn folder(&self) -> &str {
        &self.folder
    }

    pub fn first_offset(&self) -> u64 {
        self.first_offset
    }

    pub fn visible_bytes(&self) -> u64 {
        self.visible_bytes.load(Ordering::Acquire)
    }

    /// Keeps the file open: it is being written to.
    pub fn keep_open(&self, file: Arc<dyn DiskFile>, seed: Seed) {
        *lock(&self.opened) = Opened { file: Some(file), seed: Some(seed) };
    }

    /// Lets the handle go: it is written to no more.
    pub fn let_go(&self) {
        lock(&self.opened).file = None;
    }

    /// Shows readers the file up to `visible_bytes`. Places between the old end and the new come along.
    pub fn show(&self, places: impl IntoIterator<Item = Place>, visible_bytes: u64) {
        self.remember(places);
        self.visible_bytes.store(visible_bytes, Ordering::Release);
    }

    /// The file and its seed.
    pub fn open(&self, disk: &dyn Disk) -> Result<(Arc<dyn DiskFile>, Seed)> {
        let mut opened = lock(&self.opened);
        let file = match &opened.file {
            Some(file) => file.clone(),
            None => disk.open(&self.path).map_err(|e| self.disk_error(e))?,
        };
        let seed = match opened.seed {
            Some(seed) => seed,
            None => self.check_header(&*file)?,
        };
        opened.seed = Some(seed);
        Ok((file, seed))
    }

    fn check_header(&self, file: &dyn DiskFile) -> Result<Seed> {
        let mut header = Vec::new();
        file.read_at(&mut header, FILE_HEADER_BYTES as usize, 0).map_err(|e| self.disk_error(e))?;
        read_file_header(&header, &self.folder, self.first_offset).map_err(|bad| self.bad_header(bad))
    }

    /// The error of a header that is not this file's.
    pub fn bad_header(&self, bad: BadFile) -> Error {
        match bad {
            BadFile::Broken => self.damaged(0, "its header is not one"),
            BadFile::Misplaced => self.damaged(0, "its header is that of another lane or offset"),
            BadFile::OtherVersion => {
                let what = format!(
                    "{} was written by another version of the log: use that version",
                    self.path.display()
                );
                Error::new(Kind::Refused, what)
            }
        }
    }

    /// Adds to `into` the records from `from` on, up to `limit`, of what is visible up to the byte `end`.
    /// `next_offset` is the first that the file does not hold.
    pub fn read(
        &self,
        disk: &dyn Disk,
        (from, next_offset, end): (u64, u64, u64),
        (lane, into): (&Lane, &mut Batch),
        limit: Limit,
    ) -> Result<()> {
        let (file, seed) = self.open(disk)?;
        let place = self.find(&*file, seed, (from, end))?;
        self.read_on((&*file, seed), place, (next_offset, end), (lane, into), limit)
    }

    /// Adds to `into` the one record at a place.
    pub fn read_one(&self, disk: &dyn Disk, place: Place, (lane, into): (&Lane, &mut Batch)) -> Result<()> {
        let (file, seed) = self.open(disk)?;
        let only = Limit { records: 1, bytes: 0 };
        self.read_on((&*file, seed), place, (place.offset + 1, place.frame_end), (lane, into), only)
    }

    fn read_on(
        &self,
        (file, seed): (&dyn DiskFile, Seed),
        place: Place,
        (next_offset, end): (u64, u64),
        (lane, into): (&Lane, &mut Batch),
        limit: Limit,
    ) -> Result<()> {
        let id = into.lane(lane);
        let mut arena = into.take_arena();
        let (start, mut whole) = (arena.len(), arena.len());
        let ahead = limit.bytes.clamp(4 << 10, AHEAD_BYTES);
        let mut walk = Walk::new((file, seed, end), place, &mut arena, ahead);
        let mut places = Vec::new();
        let mut count = 0;
        let ended = loop {
            if count == limit.records {
                break Ok(());
            }
            let found = match walk.next() {
                Ok(Some(found)) => found,
                Ok(None) if walk.place().offset == next_offset => break Ok(()),
                Ok(None) => {
                    break Err(self.damaged(
                        end,
                        &format!("it ends before offset {next_offset}, which another file begins"),
                    ));
                }
                Err(flaw) => break Err(self.flawed(flaw)),
            };
            let bytes = found.shape.size_bytes();
            if count > 0 && found.start + bytes - start > limit.bytes {
                break Ok(());
            }
            whole = found.start + bytes;
            into.adopt(id, (found.at.offset, found.at.time_ms), found.start, found.shape);
            places.push(found.at);
            count += 1;
        };
        arena.truncate(whole);
        into.put_arena(arena);
        self.remember(places);
        // What was read before a flaw is sound; the next read begins with the flaw and says it.
        if count > 0 { Ok(()) } else { ended }
    }

    /// The place of the record `offset`, from the nearest one that the index knows.
    fn find(&self, file: &dyn DiskFile, seed: Seed, (offset, end): (u64, u64)) -> Result<Place> {
        let nearest = {
            let index = lock(&self.index);
            let behind = index.partition_point(|p| p.offset <= offset);
            index[behind.saturating_sub(1)]
        };
        let (mut buffer, mut places) = (Vec::new(), Vec::new());
        let mut walk = Walk::new((file, seed, end), nearest, &mut buffer, INDEX_BYTES as usize);
        while walk.place().offset < offset {
            match walk.next() {
                Ok(Some(found)) => places.push(found.at),
                Ok(None) => return Err(self.damaged(end, &format!("it ends before offset {offset}"))),
                Err(flaw) => return Err(self.flawed(flaw)),
            }
            if walk.buffer().len() > 4 * INDEX_BYTES as usize {
                walk.forget();
                self.remember(places.drain(..));
            }
        }
        let place = walk.place();
        self.remember(places);
        Ok(place)
    }

    fn remember(&self, places: impl IntoIterator<Item = Place>) {
        let mut index = lock(&self.index);
        for place in places {
            learn(&mut index, place);
        }
    }

    /// What is wrong, as an error that names the place.
    pub fn flawed(&self, flaw: Flaw) -> Error {
        match flaw {
            Flaw::Disk(e) => self.disk_error(e),
            Flaw::Bytes { position, what } => self.damaged(position, what),
        }
    }

    /// An error that names the file and the place in it.
    pub fn damaged(&self, position: u64, what: &str) -> Error {
        let what = format!("{} is damaged at byte {position}: {what}", self.path.display());
        Error::new(Kind::Damaged, what)
    }

    /// An error of the disk below.
    pub fn disk_error(&self, e: io::Error) -> Error {
        Error::caused(Kind::Away, format!("the disk fails at {}", self.path.display()), e)
    }
}

/// Adds a place to the index where it is far enough behind the last one. Places in between are not worth it: only
/// a walk that goes on from the index's end learns.
pub(super) fn learn(index: &mut Vec<Place>, place: Place) {
    if index.last().is_none_or(|last| place.position >= last.position + INDEX_BYTES) {
        index.push(place);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
