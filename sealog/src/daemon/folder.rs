//! The data folder: who uses it, what it is called, and the key.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use runtime::random_bytes;
use rustix::fs::{FlockOperation, flock};
use schemas::Signing;

/// The folder, held by this process alone.
pub struct Folder {
    path: PathBuf,
    /// Holds the lock as long as it is open.
    lock: File,
}

impl Folder {
    /// Makes the folder where it is missing and takes it. A second process is refused, and told who the first is.
    pub fn take(path: &Path) -> Result<Folder> {
        let open = || -> std::io::Result<File> {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path.join("lock"))
        };
        let mut lock = open().with_context(|| {
            format!("{}: the data folder cannot be used: give another with --data", path.display())
        })?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut first = String::new();
            let _ = lock.read_to_string(&mut first);
            bail!(
                "{} is in use by {}: stop that one, or give another folder with --data",
                path.display(),
                if first.trim().is_empty() { "another process" } else { first.trim() }
            );
        }
        Ok(Folder { path: path.to_owned(), lock })
    }

    /// Leaves word for whoever comes second.
    pub fn say_who(&mut self, listening: &str) -> Result<()> {
        self.lock.set_len(0)?;
        self.lock.seek(SeekFrom::Start(0))?;
        writeln!(self.lock, "`sealog up`, process {}, {listening}", std::process::id())?;
        Ok(())
    }

    /// A folder in it, made where it is missing.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// The origin: as configured, else the one that was made up here once. A configured one is kept too, for a folder's
    /// chains cannot change their name.
    pub fn origin(&self, configured: Option<&str>) -> Result<String> {
        let path = self.path.join("origin");
        match (read(&path)?, configured) {
            (Some(kept), Some(configured)) if kept != configured => bail!(
                "origin is {configured}, but the chains in {} are {kept}: a chain keeps its name for ever. Give that \
                 origin, or another data folder",
                self.path.display()
            ),
            (Some(kept), _) => {
                schemas::note::check_name(&kept).with_context(|| path.display().to_string())?;
                Ok(kept)
            }
            (None, configured) => {
                let made_up = || format!("local/{}", schemas::hex(&random_bytes::<8>()));
                let origin = configured.map_or_else(made_up, str::to_owned);
                write_new(&path, format!("{origin}\n").as_bytes(), 0o644)?;
                Ok(origin)
            }
        }
    }

    /// Keeps how many chains there are. Another number is refused: fewer would leave events unsealed, more would send a
    /// producer's events to another chain than before.
    pub fn keep_chains(&self, configured: u32) -> Result<()> {
        let path = self.path.join("chains");
        match read(&path)? {
            Some(kept) if kept == configured.to_string() => Ok(()),
            Some(kept) => bail!(
                "chains is {configured}, but {} began with {kept}, and that number is kept: give chains = {kept}, or \
                 another data folder",
                self.path.display()
            ),
            None => write_new(&path, format!("{configured}\n").as_bytes(), 0o644),
        }
    }

    /// The chainer's key: the configured file, or the one of this folder. `may_make`: nothing is sealed yet, so a key may
    /// be made. Says whether it was.
    pub fn key(&self, configured: Option<&Path>, may_make: bool) -> Result<(Signing, PathBuf, bool)> {
        let path = configured.map_or_else(|| self.path.join("chainer.key"), Path::to_owned);
        if path.exists() {
            return Ok((read_key(&path)?, path, false));
        }
        if !may_make || configured.is_some() {
            bail!(
                "{}: the chainer's key is missing. Put it back from your copy; if there is none, make one with \
                 `sealog keygen` and begin in another data folder",
                path.display()
            );
        }
        let signing = make_key(&path)?;
        Ok((signing, path, true))
    }
}

/// The base origin: as configured, or as the data folder keeps it, which is not taken for that. None: it has none yet.
#[cfg(feature = "s3")]
pub fn kept_origin(config: &crate::config::Config) -> Result<Option<String>> {
    match &config.origin {
        Some(origin) => Ok(Some(origin.clone())),
        None => read(&config.data_dir.join("origin")),
    }
}

/// Makes a key in a new file that only its owner can read.
pub fn make_key(path: &Path) -> Result<Signing> {
    let signing = Signing::from_seed(&random_bytes::<32>());
    write_new(path, signing.to_file().as_bytes(), 0o600)?;
    Ok(signing)
}

/// Reads a key file, which nobody but its owner may be able to read.
pub fn read_key(path: &Path) -> Result<Signing> {
    let mode = fs::metadata(path).with_context(|| path.display().to_string())?.mode();
    if mode & 0o077 != 0 {
        bail!("{}: others can read the key (mode {:o}): run `chmod 600` on it", path.display(), mode & 0o777);
    }
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Signing::parse(&text).map_err(|why| anyhow::anyhow!("{}: {}", path.display(), why.what))
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Writes a file that must not exist, whole or not at all: a crash leaves at most a `.new` beside it.
fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let new = path.with_extension("new");
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::hard_link(&new, path)?;
        fs::remove_file(&new)?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    };
    write().with_context(|| format!("{} could not be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_user_and_one_name() {
        let temp = tempfile::tempdir().unwrap();
        let mut first = Folder::take(temp.path()).unwrap();
        first.say_who("http://127.0.0.1:7740").unwrap();
        let refused = Folder::take(temp.path()).err().unwrap().to_string();
        assert!(refused.contains("7740") && refused.contains("--data"), "{refused}");
        let origin = first.origin(None).unwrap();
        assert!(origin.starts_with("local/"));
        assert_eq!(first.origin(None).unwrap(), origin);
        assert!(first.origin(Some("acme.example/audit")).is_err());
        first.keep_chains(2).unwrap();
        first.keep_chains(2).unwrap();
        assert!(first.keep_chains(1).unwrap_err().to_string().contains("chains = 2"));
    }

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::take(temp.path()).unwrap();
        assert!(folder.key(None, false).is_err(), "a chain that is there has a key already");
        let (made, path, new) = folder.key(None, true).unwrap();
        assert!(new && fs::metadata(&path).unwrap().mode() & 0o777 == 0o600);
        let (again, _, new) = folder.key(None, false).unwrap();
        assert!(!new && again.vkey("a") == made.vkey("a"));
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(folder.key(None, false).is_err());
    }
}
