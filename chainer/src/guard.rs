//! The guard: size and root of the last Checkpoint signed, on disk before the signature exists. A stream that comes back
//! shorter than this, or with another root, has lost what was committed, and the chainer halts.
//!
//! The file is a checkpoint's text without signature.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use runtime::{Failure, random_bytes};
use schemas::{Checkpoint, hex};

/// Where one chain's guard is kept.
#[derive(Clone, Debug)]
pub struct Guard {
    path: PathBuf,
}

impl Guard {
    /// The guard of chain `n` in `folder`, which must exist.
    pub fn of(folder: &Path, chain: u32) -> Guard {
        Guard { path: folder.join(format!("chain-{chain}.guard")) }
    }

    /// The last Checkpoint that was about to be signed.
    pub fn load(&self) -> Result<Option<Checkpoint>, Failure> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Checkpoint::parse_text(&text).map(Some).map_err(|why| {
                Failure::Halt(format!(
                    "{}: {why}. It was written by other hands: find out whose",
                    self.path.display()
                ))
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::Halt(format!("{}: {error}", self.path.display()))),
        }
    }

    /// Replaces it, durably. Never by less: whoever would do that is not the owner any more.
    pub fn store(&self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        if let Some(known) = self.load()?.filter(|known| known.size > checkpoint.size) {
            return Err(Failure::Retry(format!(
                "{}: size {} was signed already, so size {} is not: another owner goes on",
                self.path.display(),
                known.size,
                checkpoint.size
            )));
        }
        let write = || {
            // A name of our own: the folder may be shared.
            let new = self.path.with_extension(format!("{}.new", hex(&random_bytes::<4>())));
            let mut file = File::create_new(&new)?;
            file.write_all(checkpoint.text().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|error: std::io::Error| {
            Failure::Retry(format!(
                "{}: the guard cannot be written, so nothing is signed: {error}",
                self.path.display()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_read_back_and_a_strange_one_halts() {
        let folder = tempfile::tempdir().unwrap();
        let guard = Guard::of(folder.path(), 0);
        assert_eq!(guard.load(), Ok(None));
        let checkpoint = Checkpoint { origin: "a/0".into(), size: 7, root: schemas::Hash([1; 32]) };
        guard.store(&checkpoint).unwrap();
        guard.store(&checkpoint).unwrap();
        let smaller = Checkpoint { size: 6, ..checkpoint.clone() };
        assert!(matches!(guard.store(&smaller), Err(Failure::Retry(_))), "it never goes back");
        assert_eq!(guard.load(), Ok(Some(checkpoint)));
        fs::write(folder.path().join("chain-0.guard"), "7").unwrap();
        assert!(matches!(guard.load(), Err(Failure::Halt(_))));
    }
}
