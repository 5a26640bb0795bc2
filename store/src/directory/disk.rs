//! The calls that change the disk, each named as a step, so that a test sees their order and lets any of them fail;
//! and the ways into a folder, which follow no symbolic link.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, flock, fsync,
    futimens, linkat, mkdirat, openat, renameat, statat, syncfs, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

/// One change, or one promise that a change will last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    MakeFolder,
    Create,
    Write,
    MakeReadOnly,
    SyncFile,
    Link,
    Rename,
    SyncFolder,
    SyncAll,
    Remove,
}

/// The real disk. In tests something can stand before each step.
#[derive(Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) before: Option<Box<dyn Fn(Step) -> io::Result<()> + Send + Sync>>,
}

impl Disk {
    #[cfg(not(test))]
    fn at(&self, _step: Step) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn at(&self, step: Step) -> io::Result<()> {
        self.before.as_ref().map_or(Ok(()), |before| before(step))
    }

    /// Opens a folder, and makes it first if it is missing.
    pub(super) fn make_folder(&self, parent: impl AsFd, name: &str) -> io::Result<OwnedFd> {
        match open_folder(&parent, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.at(Step::MakeFolder)?;
                match mkdirat(&parent, name, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
                    // Somebody else was faster.
                    Ok(()) | Err(Errno::EXIST) => open_folder(&parent, name),
                    Err(errno) => Err(errno.into()),
                }
            }
            opened => opened,
        }
    }

    pub(super) fn create(&self, folder: impl AsFd, name: &str) -> io::Result<File> {
        self.at(Step::Create)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    pub(super) fn write(&self, file: &mut File, body: &[u8]) -> io::Result<()> {
        self.at(Step::Write)?;
        file.write_all(body)
    }

    pub(super) fn make_read_only(&self, file: &File) -> io::Result<()> {
        self.at(Step::MakeReadOnly)?;
        Ok(fchmod(file, Mode::RUSR | Mode::RGRP | Mode::ROTH)?)
    }

    /// Sets when the file was written.
    pub(super) fn date(&self, file: &File, seconds: i64, nanoseconds: i64) -> io::Result<()> {
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let last_modification = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        Ok(futimens(file, &Timestamps { last_access, last_modification })?)
    }

    pub(super) fn sync_file(&self, file: &File) -> io::Result<()> {
        self.at(Step::SyncFile)?;
        file.sync_all()
    }

    /// Gives the file a second name; whether that name was free.
    pub(super) fn link(
        &self,
        from: impl AsFd,
        name: &str,
        to: impl AsFd,
        new_name: &str,
    ) -> io::Result<bool> {
        self.at(Step::Link)?;
        match linkat(from, name, to, new_name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives the file another name, over what has it now.
    pub(super) fn rename(
        &self,
        from: impl AsFd,
        name: &str,
        to: impl AsFd,
        new_name: &str,
    ) -> io::Result<()> {
        self.at(Step::Rename)?;
        Ok(renameat(from, name, to, new_name)?)
    }

    pub(super) fn sync_folder(&self, folder: impl AsFd) -> io::Result<()> {
        self.at(Step::SyncFolder)?;
        Ok(fsync(folder)?)
    }

    /// Everything on the file system that holds `folder`.
    pub(super) fn sync_all(&self, folder: impl AsFd) -> io::Result<()> {
        self.at(Step::SyncAll)?;
        Ok(syncfs(folder)?)
    }

    pub(super) fn remove(&self, folder: impl AsFd, name: &str) -> io::Result<()> {
        self.at(Step::Remove)?;
        Ok(unlinkat(folder, name, AtFlags::empty())?)
    }
}

/// Opens a folder in another, `.` for itself. A symbolic link is `LOOP`, anything else `NOTDIR`.
pub(super) fn open_folder(parent: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(&parent, name, flags, Mode::empty()) {
        // The system says the same of a link and of a file.
        Err(Errno::NOTDIR) => match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => Err(Errno::LOOP.into()),
            _ => Err(Errno::NOTDIR.into()),
        },
        opened => Ok(opened?),
    }
}

/// Opens a lock file, made where missing. Each call is another holder, in this process too.
pub(super) fn open_lock(folder: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?)
}

/// Takes a lock; whether it was to be had. It is given up when `file` is closed, as it is when a process dies.
pub(super) fn lock(file: &OwnedFd, how: FlockOperation) -> io::Result<bool> {
    match retry_on_intr(|| flock(file, how)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
