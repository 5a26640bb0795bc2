//! Writing one object into a folder, whole, once and durably.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, RawDir, Stat, fstat};

use super::Directory;
use super::disk::{Disk, lock, open_folder, open_lock};
use super::read::{folders_of, name_of, tag};
use crate::{Error, Kind, Result, Tag, Version, key};

/// Held, shared, by whoever has the archive open for writing: alone, one may clear.
const IN_USE: &str = "in-use";
/// Held by the one who replaces.
const REPLACING: &str = "replacing";
/// How the name of a temporary ends.
const TEMPORARY: &str = ".part";

/// What a store opened for writing has and one opened for reading has not.
pub(super) struct Writer {
    disk: Disk,
    temporaries: OwnedFd,
    _in_use: OwnedFd,
}

impl Writer {
    /// Makes `.tmp/` and clears it.
    pub(super) fn open(disk: Disk, root: &OwnedFd) -> io::Result<Writer> {
        let temporaries = disk.make_folder(root, key::TEMPORARIES)?;
        let in_use = open_lock(&temporaries, IN_USE)?;
        if lock(&in_use, FlockOperation::NonBlockingLockExclusive)? {
            let left = left_over(&temporaries)?;
            if !left.is_empty() {
                // A write died. It may have linked its object and not got to sync the folder; whoever lists the
                // object now will take it for acknowledged, so first it is made to last.
                disk.sync_all(root)?;
            }
            left.iter().try_for_each(|name| disk.remove(&temporaries, name))?;
        }
        // Whoever comes between the two locks clears a folder that nobody writes to: we only begin now.
        lock(&in_use, FlockOperation::LockShared)?;
        Ok(Writer { disk, temporaries, _in_use: in_use })
    }

    /// A new file with all of `body`, on disk and read-only. It is dated later than `older`, see [`tag`].
    fn temporary(&self, body: &[u8], older: Option<&Stat>) -> io::Result<Temporary<'_>> {
        let name = schemas::hex(&runtime::random_bytes::<16>()) + TEMPORARY;
        let mut file = self.disk.create(&self.temporaries, &name)?;
        let temporary = Temporary { writer: self, name };
        let written = self.fill(&mut file, body, older);
        match written {
            Ok(()) => Ok(temporary),
            Err(error) => {
                temporary.discard();
                Err(error)
            }
        }
    }

    fn fill(&self, file: &mut File, body: &[u8], older: Option<&Stat>) -> io::Result<()> {
        self.disk.write(file, body)?;
        self.disk.make_read_only(file)?;
        if let Some(older) = older {
            let own = fstat(&*file)?;
            if (own.st_mtime, own.st_mtime_nsec) <= (older.st_mtime, older.st_mtime_nsec) {
                let nanoseconds = older.st_mtime_nsec as i64 + 1_000;
                let seconds = older.st_mtime + nanoseconds / 1_000_000_000;
                self.disk.date(file, seconds, nanoseconds % 1_000_000_000)?;
            }
        }
        self.disk.sync_file(file)
    }
}

struct Temporary<'a> {
    writer: &'a Writer,
    name: String,
}

impl Temporary<'_> {
    /// Removes it. If that fails the next open does it.
    fn discard(self) {
        let _ = self.writer.disk.remove(&self.writer.temporaries, &self.name);
    }
}

impl Directory {
    /// `put_new`.
    pub(super) fn write_new(&self, key: &str, body: &[u8]) -> Result<Version> {
        key::check(key)?;
        let writer = self.writer(key)?;
        let way = self.make_way(writer, key)?;
        let placed = match self.object_in(last(&way), key)? {
            Some(_) => false,
            None => self.place(writer, &way, key, body)?,
        };
        if placed {
            return Ok(Version::default());
        }
        // Whoever put it may not have got to this yet, and the caller will build on its being there.
        self.make_last(writer, &way, key)?;
        Err(Error::new(Kind::Exists, key, "something is there already"))
    }

    /// `replace_if`.
    pub(super) fn write_over(&self, key: &str, expected: Option<&Tag>, body: &[u8]) -> Result<Version> {
        key::check(key)?;
        let writer = self.writer(key)?;
        // One replaces at a time, in all processes; `put_new` need not wait, for it changes nothing that is there.
        let replacing = open_lock(&writer.temporaries, REPLACING).and_then(|file| {
            lock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        });
        let _replacing = replacing.map_err(|error| self.fault(key, "locking", error))?;

        let current = match self.folder_of(key)? {
            Some(folder) => self.object_in(&folder, key)?,
            None => None,
        };
        let changed = || Error::new(Kind::Changed, key, "it is not what was expected: read it again");
        if current.as_ref().map(tag).as_ref() != expected {
            return Err(changed());
        }
        let way = self.make_way(writer, key)?;
        let Some(current) = current else {
            let placed = self.place(writer, &way, key, body)?;
            return if placed { Ok(Version::default()) } else { Err(changed()) };
        };
        let fault = |error| self.fault(key, "replacing", error);
        // If we die up to the rename, the old object stands and the next open clears the temporary.
        let temporary = writer.temporary(body, Some(&current)).map_err(fault)?;
        let renamed = writer.disk.rename(&writer.temporaries, &temporary.name, last(&way), name_of(key));
        if let Err(error) = renamed {
            temporary.discard();
            return Err(fault(error));
        }
        // If we die here, the new object stands; if the machine dies, either may.
        self.make_last(writer, &way, key)?;
        Ok(Version::default())
    }

    /// Puts a new file under a name that must be free; false if it is not.
    fn place(&self, writer: &Writer, way: &[OwnedFd], key: &str, body: &[u8]) -> Result<bool> {
        let fault = |error| self.fault(key, "writing", error);
        // If we die up to the link, nothing stands under the key and the next open clears the temporary.
        let temporary = writer.temporary(body, None).map_err(fault)?;
        match writer.disk.link(&writer.temporaries, &temporary.name, last(way), name_of(key)) {
            Ok(true) => {}
            Ok(false) => {
                temporary.discard();
                return match self.object_in(last(way), key)? {
                    Some(_) => Ok(false),
                    None => Err(Error::new(Kind::Refused, key, "a folder has this name: use another key")),
                };
            }
            Err(error) => {
                temporary.discard();
                return Err(fault(error));
            }
        }
        // If we die here, the object stands but may be lost with the machine. The temporary is still there, and
        // tells the next open to make it last.
        self.make_last(writer, way, key)?;
        temporary.discard();
        Ok(true)
    }

    fn writer(&self, key: &str) -> Result<&Writer> {
        let what = "the archive was opened to read only: open it for writing";
        self.writer.as_ref().ok_or_else(|| Error::new(Kind::Refused, key, what))
    }

    /// Every folder from the root down to the key's, made where missing.
    fn make_way(&self, writer: &Writer, key: &str) -> Result<Vec<OwnedFd>> {
        let fault = |error| self.fault(key, "making the folder of", error);
        let mut way = vec![open_folder(&self.root, ".").map_err(fault)?];
        for name in folders_of(key) {
            way.push(writer.disk.make_folder(last(&way), name).map_err(fault)?);
        }
        Ok(way)
    }

    /// Syncs the names from the root to the object. All of them: another thread or process may have made any of these
    /// folders a moment ago. A sync of one that did not change costs a flush of the disk, a fraction of the write.
    fn make_last(&self, writer: &Writer, way: &[OwnedFd], key: &str) -> Result<()> {
        let mut upwards = way.iter().rev();
        upwards
            .try_for_each(|folder| writer.disk.sync_folder(folder))
            .map_err(|e| self.fault(key, "syncing", e))
    }
}

/// A way has the root at least.
fn last(way: &[OwnedFd]) -> &OwnedFd {
    &way[way.len() - 1]
}

/// The temporaries that a dead write has left.
fn left_over(temporaries: &OwnedFd) -> io::Result<Vec<String>> {
    let mut buffer = [MaybeUninit::uninit(); 8 * 1024];
    let folder = open_folder(temporaries, ".")?;
    let mut names = RawDir::new(folder, &mut buffer);
    let mut left = Vec::new();
    while let Some(entry) = names.next() {
        let entry = entry?;
        let name = CStr::to_str(entry.file_name()).unwrap_or_default();
        if name.ends_with(TEMPORARY) {
            left.push(name.to_owned());
        }
    }
    Ok(left)
}
