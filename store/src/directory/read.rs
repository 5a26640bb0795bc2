//! Reading one object of a folder.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use schemas::Micros;

use super::Directory;
use super::disk::open_folder;
use crate::{Error, Kind, Object, Result, Tag, Version, key};

impl Directory {
    pub(super) fn read(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        key::check(key)?;
        if version.is_some_and(|version| !version.0.is_empty()) {
            return Err(Error::new(Kind::Missing, key, "a folder keeps no versions: ask without one"));
        }
        let missing = || Error::new(Kind::Missing, key, "there is no such object");
        let folder = self.folder_of(key)?.ok_or_else(missing)?;
        self.object_in(&folder, key)?.ok_or_else(missing)?;
        // Not blocking: should a pipe have come here since, nobody waits for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = openat(&folder, name_of(key), flags, Mode::empty());
        let file = File::from(opened.map_err(|errno| self.fault(key, "opening", errno))?);
        let stat = fstat(&file).map_err(|errno| self.fault(key, "reading", errno))?;

        let size_bytes = size_of(&stat);
        let range = range.unwrap_or(0..size_bytes);
        let start = range.start.min(size_bytes);
        let wanted_bytes = range.end.min(size_bytes).saturating_sub(start);
        let length =
            usize::try_from(wanted_bytes).ok().filter(|_| wanted_bytes <= max_bytes).ok_or_else(|| {
                let what = format!(
                    "it is too large: {wanted_bytes} bytes would come, {max_bytes} are taken at most"
                );
                Error::new(Kind::TooLarge, key, what)
            })?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, start).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::new(Kind::Away, key, "somebody cut it while it was read"),
            _ => self.fault(key, "reading", error),
        })?;
        let modified = modified(&stat);
        Ok(Object {
            bytes,
            size_bytes,
            version: Version::default(),
            tag: tag(&stat),
            modified,
            lock: None,
            is_held: false,
            encrypted_otherwise: None,
        })
    }

    /// The folder that a key lies in, if there is one.
    pub(super) fn folder_of(&self, key: &str) -> Result<Option<OwnedFd>> {
        let mut folder = open_folder(&self.root, ".").map_err(|error| self.fault(key, "opening", error))?;
        for name in folders_of(key) {
            folder = match open_folder(&folder, name) {
                Ok(next) => next,
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
                    _ => return Err(self.fault(key, "opening", error)),
                },
            };
        }
        Ok(Some(folder))
    }

    /// What stands under the key's name. A folder is no object; `Refused` if it is neither file nor folder.
    pub(super) fn object_in(&self, folder: &OwnedFd, key: &str) -> Result<Option<Stat>> {
        let stat = match statat(folder, name_of(key), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.fault(key, "reading", errno)),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Some(stat)),
            FileType::Directory => Ok(None),
            FileType::Symlink => Err(self.fault(key, "reading", Errno::LOOP)),
            _ => Err(Error::new(Kind::Refused, key, "it is not a file: take it out of the archive")),
        }
    }
}

/// The parts of a key above its name, or of a prefix above what is cut at its end.
pub(super) fn folders_of(key: &str) -> impl Iterator<Item = &str> {
    key.rsplit_once('/').into_iter().flat_map(|(folders, _)| folders.split('/'))
}

pub(super) fn name_of(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(_, name)| name)
}

/// Enough to tell any two writes of a key apart: a replace comes with a new file, and dates it later than the one it
/// replaces. So should the inode be used again, size and time cannot both come back.
pub(super) fn tag(stat: &Stat) -> Tag {
    Tag(format!("{:x}-{:x}.{:09}-{:x}", stat.st_ino, stat.st_mtime, stat.st_mtime_nsec, stat.st_size))
}

pub(super) fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

pub(super) fn modified(stat: &Stat) -> Micros {
    Micros(stat.st_mtime.saturating_mul(1_000_000).saturating_add(stat.st_mtime_nsec as i64 / 1_000))
}
