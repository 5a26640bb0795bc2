//! The folder of an export: files that appear whole, under names that a web server can serve.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use schemas::checkpoint::MAX_CHECKPOINT_BYTES;

/// Where files are before they are whole. No origin begins with a dot.
const TEMPORARIES: &str = ".tmp";

/// A folder that nobody else exports into.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    temporary: PathBuf,
    /// Its lock ends with us, however we end.
    lock: File,
}

impl Folder {
    /// Makes it if it is not there.
    pub fn open(root: &Path) -> Result<Folder> {
        let named = || root.display().to_string();
        let temporaries = root.join(TEMPORARIES);
        fs::create_dir_all(&temporaries).with_context(named)?;
        let lock = File::create(temporaries.join("lock")).with_context(named)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{}: another export is at work in it", named()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(named),
        }
        Ok(Folder { root: root.to_owned(), temporary: temporaries.join("new"), lock })
    }

    /// A checkpoint that is there.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let file = match File::open(self.root.join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.with_context(|| self.named(path))?,
        };
        // One byte more than any has, so that a longer one is seen to be longer.
        file.take(MAX_CHECKPOINT_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .with_context(|| self.named(path))?;
        Ok(Some(bytes))
    }

    /// Whether a file of that length is there.
    pub fn holds(&self, path: &str, length: u64) -> Result<bool> {
        match fs::metadata(self.root.join(path)) {
            Ok(found) => Ok(found.is_file() && found.len() == length),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| self.named(path)),
        }
    }

    /// Writes a file, which appears with all of its bytes, in place of any that is there. Durable after [`Folder::sync`].
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let to = self.root.join(path);
        let write = || {
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            File::create(&self.temporary)?.write_all(bytes)?;
            fs::rename(&self.temporary, &to)
        };
        write().with_context(|| self.named(path))
    }

    /// All that was written is durable: thousands of files at once, where each by itself would wait for the disk.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(&self.lock).map_err(io::Error::from).with_context(|| self.named(""))
    }

    fn named(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }
}
