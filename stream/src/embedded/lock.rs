//! One process at a time: a lock on a file of the log's folder, which ends with the process that holds it.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::{Error, Kind, Result};

/// Takes the lock, or says who must let go of it. Two opens within one process exclude each other too.
pub(super) fn take(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let refused = |e| Error::caused(Kind::Refused, format!("cannot lock {}", path.display()), e);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(refused)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => {
            let what = format!(
                "{} is in use: end the process that has it open, or give another folder",
                dir.display()
            );
            Err(Error::new(Kind::Refused, what))
        }
        Err(e) => Err(refused(e.into())),
    }
}
