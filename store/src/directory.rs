//! An archive in a folder of a local or shared file system: a key is a path under the root, an object a file.
//!
//! Objects are written once under a temporary name in `.tmp/` and linked to their own when all of it is on disk, so
//! that no reader and no crash meets a part of one. Files end read-only (0444); nothing here keeps an owner from
//! removing them, so there is no lock, and no versions: each key has one, the empty one.
//!
//! Symbolic links below the root are never followed, so no key leads out of it. What is in the folder and is no
//! object is shown, not hidden: `list` gives an entry of size 0 for a symbolic link, a socket, a pipe or a device,
//! for a name that is not UTF-8 (with U+FFFD for what cannot be shown) and for a name too long for a key; `get` does
//! not return any of them. Empty folders are not shown.

mod disk;
mod fault;
mod read;
mod walk;
mod write;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::{Error, Keep, Kind, Listing, Object, Page, Result, Retention, Store, Tag, Version};
use disk::Disk;
#[cfg(feature = "http")]
pub(crate) use walk::spell;

/// How to open one for writing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether a root that is missing is made. Not by default: it may be a disk that is not mounted, and an archive
    /// beside it would be a second one.
    pub make_root: bool,
}

/// The store over a folder.
pub struct Directory {
    path: PathBuf,
    root: OwnedFd,
    /// None if it was opened read-only.
    writer: Option<write::Writer>,
}

impl Directory {
    /// Opens the archive at `root` to read and write. What a write that died has left in `.tmp/` is cleared, unless
    /// another process has the archive open for writing too.
    pub fn open(root: impl AsRef<Path>, options: Options) -> Result<Directory> {
        Directory::open_on(Disk::default(), root.as_ref(), options)
    }

    /// Opens the archive at `root` to read. Nothing is ever written, so a file system mounted read-only will do; the
    /// verbs that write answer `Refused`.
    pub fn open_read_only(root: impl AsRef<Path>) -> Result<Directory> {
        let path = root.as_ref().to_path_buf();
        let root = open_root(&path)?;
        Ok(Directory { path, root, writer: None })
    }

    fn open_on(disk: Disk, path: &Path, options: Options) -> Result<Directory> {
        if options.make_root {
            make_root(path).map_err(|error| fault::of(&path.to_string_lossy(), "making", path, error))?;
        }
        let root = open_root(path)?;
        let opened = write::Writer::open(disk, &root);
        let writer =
            opened.map_err(|e| fault::of(crate::key::TEMPORARIES, "opening", &path.join(".tmp"), e))?;
        Ok(Directory { path: path.to_path_buf(), root, writer: Some(writer) })
    }

    /// An error of the file system as one of the seam. `doing` says what failed: "reading".
    fn fault(&self, key: &str, doing: &str, error: impl Into<io::Error>) -> Error {
        fault::of(key, doing, &self.path.join(key), error.into())
    }
}

impl Store for Directory {
    fn put_new(&self, key: &str, body: &[u8], _keep: Keep) -> Result<Version> {
        self.write_new(key, body)
    }

    fn replace_if(&self, key: &str, expected: Option<&Tag>, body: &[u8], _keep: Keep) -> Result<Version> {
        self.write_over(key, expected, body)
    }

    fn get(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        self.read(key, version, range, max_bytes)
    }

    fn retention(&self) -> Option<Retention> {
        None
    }

    /// Each page reads the names of the folders it touches anew, for a cache could be older than an acknowledged
    /// write: ask for large pages of large folders.
    fn list(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page> {
        let (Listing::Newest(limit) | Listing::Versions(limit)) = listing;
        self.walk(prefix, after, limit.max(1))
    }
}

/// The root itself may be reached through symbolic links: whoever names it means it.
fn open_root(path: &Path) -> Result<OwnedFd> {
    let shown = path.to_string_lossy();
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| {
        let error = io::Error::from(errno);
        match error.kind() {
            io::ErrorKind::NotFound => Error::caused(
                Kind::Missing,
                &shown,
                "there is no archive folder: check the path, and that its disk is mounted",
                error,
            ),
            io::ErrorKind::NotADirectory => {
                Error::caused(Kind::Refused, &shown, "is not a folder: name the archive's root", error)
            }
            _ => fault::of(&shown, "opening", path, error),
        }
    })
}

/// Makes the root and what is missing above it, each durable in the folder that holds it.
fn make_root(path: &Path) -> io::Result<()> {
    let absolute = std::path::absolute(path)?;
    let missing: Vec<_> = absolute.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => folder.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())?,
        }
    }
    Ok(())
}
