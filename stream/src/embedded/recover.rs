//! Opening a lane's folder: which files there are, where the last one ends, and what may be cut off its tail.
//!
//! One frame at a time is written and synced, each behind the last. So a crash leaves at most one torn frame, at the
//! end of the last file, and nothing behind it. That is what may be cut; anything else is damage and stays as it is.

use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::file::{self, LogFile};
use super::frame::{BadFile, FILE_HEADER_BYTES, Frame, Seed, find_magic, read_file_header};
use super::walk::{Flaw, Place, Walk};
use crate::{Error, Kind, Result};

/// How much is read at a time.
const AHEAD_BYTES: usize = 1 << 20;

/// A lane as its folder tells it.
pub(super) struct Recovered {
    /// Every file, in order. The last one takes the next frame.
    pub files: Vec<Arc<LogFile>>,
    /// The offset of the next record.
    pub end: u64,
    /// The last record: its file and its place in it.
    pub last: Option<(Arc<LogFile>, Place)>,
}

/// Reads the folder, cuts a torn tail off, and makes sure that what is left is durable.
pub(super) fn recover(disk: &dyn Disk, dir: &Path) -> Result<Recovered> {
    let away = |e| Error::caused(Kind::Away, format!("the disk fails at {}", dir.display()), e);
    disk.make_dir(dir).map_err(away)?;
    let mut firsts: Vec<u64> =
        disk.list(dir).map_err(away)?.iter().filter_map(|name| file::named(name)).collect();
    firsts.sort_unstable();
    let mut files = Vec::new();
    for first in &firsts {
        files.push(LogFile::new(dir, *first, 0));
    }
    if let Some(youngest) = files.last()
        && is_torn_header(disk, youngest)?
    {
        tracing::warn!(file = %youngest.path().display(), "the log file was never begun: it is removed");
        disk.remove(youngest.path()).map_err(|e| youngest.disk_error(e))?;
        files.pop();
    }
    let (mut end, mut last) = (0, None);
    let count = files.len();
    for (n, file) in files.iter().enumerate() {
        // Older files were whole before the next one was begun. They are walked when they are read, but for the
        // one behind which only an empty file stands: it has the last record.
        let (handle, seed) = file.open(disk)?;
        let size = handle.size_bytes().map_err(|e| file.disk_error(e))?;
        if n + 1 < count {
            file.show([], size);
            continue;
        }
        let tail = walk_all(&*handle, seed, (file.first_offset(), size)).map_err(|e| file.flawed(e))?;
        if tail.flaw.is_some() {
            cut_tail(&*handle, file, seed, (tail.good, size), tail.flaw)?;
        }
        // What a process wrote that died before its sync is only in the machine's memory until now.
        handle.sync().map_err(|e| file.disk_error(e))?;
        file.show(tail.places, tail.good.position);
        file.keep_open(handle.clone(), seed);
        (end, last) = (tail.good.offset, tail.last);
    }
    disk.sync_dir(dir).map_err(away)?;
    let files: Vec<_> = files.into_iter().map(Arc::new).collect();
    let last = match (last, files.as_slice()) {
        (Some(place), [.., youngest]) => Some((youngest.clone(), place)),
        (None, [.., before, youngest]) => {
            Some((before.clone(), last_of(disk, before, youngest.first_offset())?))
        }
        _ => None,
    };
    Ok(Recovered { files, end, last })
}

/// Whether a crash came while the youngest file was begun: it has nothing but a part of its header. No frame is
/// written before the header is durable.
fn is_torn_header(disk: &dyn Disk, file: &LogFile) -> Result<bool> {
    let handle = disk.open(file.path()).map_err(|e| file.disk_error(e))?;
    let mut header = Vec::new();
    let read = handle.read_at(&mut header, FILE_HEADER_BYTES as usize, 0);
    read.map_err(|e| file.disk_error(e))?;
    let size = handle.size_bytes().map_err(|e| file.disk_error(e))?;
    let bad = read_file_header(&header, file.folder(), file.first_offset()).err();
    Ok(size <= FILE_HEADER_BYTES && bad == Some(BadFile::Broken))
}

/// What a walk over a whole file has seen.
struct Tail {
    /// Behind the last whole frame.
    good: Place,
    /// The last record before it.
    last: Option<Place>,
    places: Vec<Place>,
    /// Why the walk ended there, if not at the file's end.
    flaw: Option<&'static str>,
}

/// Walks over all whole frames. Only a disk that does not answer is an error.
fn walk_all(file: &dyn DiskFile, seed: Seed, (first_offset, size): (u64, u64)) -> Result<Tail, Flaw> {
    let start = Place::start(first_offset);
    let mut tail = Tail { good: start, last: None, places: vec![start], flaw: None };
    let mut buffer = Vec::new();
    let mut walk = Walk::new((file, seed, size), start, &mut buffer, AHEAD_BYTES);
    loop {
        match walk.next() {
            Ok(Some(found)) => {
                file::learn(&mut tail.places, found.at);
                if walk.place().left == 0 {
                    (tail.good, tail.last) = (walk.place(), Some(found.at));
                }
            }
            Ok(None) => break,
            Err(Flaw::Bytes { what, .. }) => {
                tail.flaw = Some(what);
                break;
            }
            Err(disk) => return Err(disk),
        }
        if walk.buffer().len() > 4 * AHEAD_BYTES {
            walk.forget();
        }
    }
    tail.places.retain(|place| place.position < tail.good.position);
    Ok(tail)
}

/// Cuts off what stands behind the last whole frame, unless something there says that it was followed by a frame:
/// then it had been acknowledged.
fn cut_tail(
    handle: &dyn DiskFile,
    file: &LogFile,
    seed: Seed,
    (good, size): (Place, u64),
    flaw: Option<&'static str>,
) -> Result<()> {
    let mut rest = Vec::new();
    let most = (size - good.position) as usize;
    handle.read_at(&mut rest, most, good.position).map_err(|e| file.disk_error(e))?;
    // A header that holds tells how far its frame goes: what is within is that frame's own.
    let mut from = match Frame::read(&rest, seed) {
        Some(frame) if frame.first_offset != good.offset => {
            return Err(file.damaged(good.position, "the frame belongs elsewhere"));
        }
        Some(frame) => frame.size_bytes().min(rest.len() as u64) as usize,
        None => 1,
    };
    while let Some(next) = rest.get(from..).and_then(find_magic) {
        from += next;
        if Frame::read(&rest[from..], seed).is_some_and(|frame| frame.first_offset > good.offset) {
            let what = format!(
                "{}, and another frame follows at byte {}",
                flaw.unwrap_or_default(),
                good.position + from as u64
            );
            return Err(file.damaged(good.position, &what));
        }
        from += 1;
    }
    tracing::warn!(
        file = %file.path().display(),
        from_byte = good.position,
        cut_bytes = most,
        "the log's last frame was not finished and never acknowledged: it is cut off"
    );
    handle.cut(good.position).map_err(|e| file.disk_error(e))
}

/// The last record of a file that another one follows: it must be whole and end where the other begins.
fn last_of(disk: &dyn Disk, file: &LogFile, next_offset: u64) -> Result<Place> {
    let (handle, seed) = file.open(disk)?;
    let size = file.visible_bytes();
    let tail = walk_all(&*handle, seed, (file.first_offset(), size)).map_err(|e| file.flawed(e))?;
    if let Some(what) = tail.flaw {
        return Err(file.damaged(tail.good.position, what));
    }
    let gap =
        || file.damaged(size, &format!("it ends before offset {next_offset}, which another file begins"));
    tail.last.filter(|_| tail.good.offset == next_offset).ok_or_else(gap)
}
