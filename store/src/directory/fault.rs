//! What an error of the file system means at the seam, and what a person does about it.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::{Error, Kind};

/// `doing` says what failed, "reading", and `path` where.
pub(super) fn of(key: &str, doing: &str, path: &Path, error: io::Error) -> Error {
    let (kind, advice) = meaning(&error);
    Error::caused(kind, key, format!("{doing} {} failed, {advice}", path.display()), error)
}

/// Anything unknown is `Away`: a caller that tries again in vain says so, one that gives up loses a write.
fn meaning(error: &io::Error) -> (Kind, &'static str) {
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => (Kind::Away, "there is no room: free some or enlarge the disk"),
        Some(Errno::NOENT) => (Kind::Away, "the archive's folder is gone: is its disk mounted?"),
        Some(Errno::IO) => (Kind::Away, "the disk has an error: look at the system's log"),
        Some(Errno::ACCESS | Errno::PERM) => {
            (Kind::Refused, "a right is missing: give this process's user access to the folder and its files")
        }
        Some(Errno::ROFS) => (Kind::Refused, "the file system is read-only: mount it for writing"),
        Some(Errno::LOOP) => (
            Kind::Refused,
            "a part of it is a symbolic link, and none is followed: take it out of the archive",
        ),
        Some(Errno::NOTDIR) => (Kind::Refused, "a part of it is an object, not a folder: use another key"),
        Some(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
            (Kind::Refused, "the file system cannot link, lock or sync: put the archive on another one")
        }
        Some(Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ) => {
            (Kind::Refused, "the file system does not take this name: put the archive on another one")
        }
        _ => (Kind::Away, "try again"),
    }
}
