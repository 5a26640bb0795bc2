//! The file operations that the log needs, and no others, so that a test can put a disk under it that loses power.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Folders and the files in them.
pub(super) trait Disk: Send + Sync {
    /// Makes a folder, durably, if it is not there.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// The names in a folder.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// A new file, or the one of that name emptied. Durable after `sync_dir`.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// A file that is there.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Removes a file. Durable after `sync_dir`.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// One open file.
pub(super) trait DiskFile: Send + Sync {
    /// Its length.
    fn size_bytes(&self) -> io::Result<u64>;
    /// Writes all of `bytes`. When it fails, part of them may have been written.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Adds up to `most` bytes to `into` and says how many: fewer only at the end of the file.
    fn read_at(&self, into: &mut Vec<u8>, most: usize, position: u64) -> io::Result<usize>;
    /// Makes what was written durable, with the length.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file off. Durable after `sync`.
    fn cut(&self, size_bytes: u64) -> io::Result<()>;
}

/// The disks of the machine.
pub(super) struct SystemDisk;

impl Disk for SystemDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            self.make_dir(parent)?;
            fs::create_dir(dir)?;
            return self.sync_dir(parent);
        }
        fs::create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        fs::read_dir(dir)?.map(name).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

impl DiskFile for File {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_all_at(bytes, position)
    }

    fn read_at(&self, into: &mut Vec<u8>, most: usize, position: u64) -> io::Result<usize> {
        let start = into.len();
        into.resize(start + most, 0);
        let mut got = 0;
        let ended = loop {
            match FileExt::read_at(self, &mut into[start + got..], position + got as u64) {
                Ok(0) => break Ok(got),
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
        };
        into.truncate(start + got);
        ended
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&self, size_bytes: u64) -> io::Result<()> {
        self.set_len(size_bytes)
    }
}
