//! A chain as a tiled transparency log (C2SP tlog-tiles), so that stock clients can read it: a Checkpoint, hash tiles,
//! and entry bundles whose entries are the links. All of it is made from the archive when it is asked for, and only
//! what leads to the signed root is given.
//!
//! `path` has the names of its files, `views` all chains of an archive.

mod path;
mod views;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use runtime::Clock;
use schemas::tiles::{TILE_WIDTH, tiles_of};
use schemas::{Checkpoint, LINK_BYTES, Micros};
use store::Store;

use crate::{Chain, Result, Signed};

pub use path::{Part, Resource, resources};
pub use views::{Answer, Views};

/// What is newest is looked for again after this time.
const FRESH_US: i64 = 1_000_000;

/// One chain as a tiled log. Shared by threads.
pub struct View {
    chain: Chain,
    newest: Mutex<Newest>,
    /// Held by the one who looks for what is newest; others go on with what is known. Whether what was read when the
    /// chain was opened has been used.
    looking: Mutex<bool>,
    /// Held while links are read: a segment is large, and many ask for the same one at once.
    reading: Mutex<()>,
}

#[derive(Default)]
struct Newest {
    /// With the time at which it had been looked for.
    signed: Option<(Arc<Signed>, Micros)>,
    /// Whether the last look for another failed.
    is_doubtful: bool,
}

impl View {
    /// The view of that chain.
    pub fn open(store: Arc<dyn Store>, origin: &str) -> Result<View> {
        let chain = Chain::open(store, origin)?;
        let (newest, looking, reading) = Default::default();
        Ok(View { chain, newest, looking, reading })
    }

    /// The newest archived Checkpoint, looked for within the last second, or the one before it while somebody else looks.
    /// `NotThere`: the archive has none yet. Its tiles are there: at least the last ones, which the archiver writes
    /// before it.
    pub fn newest(&self, clock: &dyn Clock) -> Result<Arc<Signed>> {
        if let Some(signed) = self.fresh(clock) {
            return Ok(signed);
        }
        let mut looking = match self.looking.try_lock() {
            Ok(looking) => looking,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let newest = self.known();
                match &newest.signed {
                    Some((signed, _)) if !newest.is_doubtful => return Ok(Arc::clone(signed)),
                    _ => drop(newest),
                }
                self.looking.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        // Who has just looked may have been waited for.
        if let Some(signed) = self.fresh(clock) {
            return Ok(signed);
        }
        let looked = self.look(&mut looking);
        let mut newest = self.known();
        newest.is_doubtful = looked.is_err();
        let signed = looked?;
        // A look may take longer than what it finds is good for.
        newest.signed = Some((Arc::clone(&signed), clock.boot()));
        Ok(signed)
    }

    fn fresh(&self, clock: &dyn Clock) -> Option<Arc<Signed>> {
        let newest = self.known();
        let fresh = newest.signed.as_ref().filter(|(_, at)| clock.boot().0 - at.0 < FRESH_US);
        fresh.map(|(signed, _)| Arc::clone(signed))
    }

    fn known(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, is_old: &mut bool) -> Result<Arc<Signed>> {
        if *is_old {
            self.chain.look_again()?;
        }
        *is_old = true;
        // Its note may lie under a heap of others.
        let known = self.known().signed.clone();
        if let Some((known, _)) = known
            && self.chain.newest().as_ref() == Some(&known.checkpoint)
        {
            return Ok(known);
        }
        let signed = self.chain.newest_signed()?;
        if let Some(last) = signed.checkpoint.size.checked_sub(1) {
            self.chain.tile(&signed.checkpoint, 0, last / TILE_WIDTH as u64)?;
        }
        Ok(Arc::new(signed))
    }

    /// The archived Checkpoint of that size. `NotThere`: no segment ends there.
    pub fn signed(&self, size: u64) -> Result<Signed> {
        self.chain.signed(size)
    }

    /// The file, at the newest Checkpoint. None: the log has no such file, or not yet.
    pub fn file(&self, resource: Resource, clock: &dyn Clock) -> Result<Option<Vec<u8>>> {
        if resource == Resource::Checkpoint {
            return Ok(Some(self.newest(clock)?.note.clone().into_bytes()));
        }
        let known = self.known().signed.clone();
        // A log only grows: what an older Checkpoint covers is the same under the newest.
        let signed = match known.filter(|(signed, _)| has(signed.checkpoint.size, resource)) {
            Some((signed, _)) => signed,
            None => self.newest(clock)?,
        };
        match has(signed.checkpoint.size, resource) {
            true => self.file_at(&signed.checkpoint, resource).map(Some),
            false => Ok(None),
        }
    }

    /// A tile or a bundle of the tree of `checkpoint`, which must have it: see [`resources`].
    pub fn file_at(&self, checkpoint: &Checkpoint, resource: Resource) -> Result<Vec<u8>> {
        match resource {
            Resource::Checkpoint => Ok(self.chain.signed(checkpoint.size)?.note.into_bytes()),
            Resource::Tile { level, part } => {
                let tile = self.chain.tile(checkpoint, level, part.index)?;
                Ok(tile.iter().take(part.width).flat_map(|hash| hash.0).collect())
            }
            Resource::Entries(part) => {
                let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
                let links = self.chain.links(checkpoint, part.index)?;
                let mut bundle = Vec::with_capacity((2 + LINK_BYTES) * part.width);
                for link in links.iter().take(part.width) {
                    bundle.extend_from_slice(&(LINK_BYTES as u16).to_be_bytes());
                    bundle.extend_from_slice(&link.to_bytes());
                }
                Ok(bundle)
            }
        }
    }
}

/// Whether a log of this size has that file: also a part of what has become wider since, for who holds an older
/// Checkpoint.
fn has(size: u64, resource: Resource) -> bool {
    let (level, part) = match resource {
        Resource::Checkpoint => return true,
        Resource::Tile { level, part } => (level, part),
        Resource::Entries(part) => (0, part),
    };
    let (full, width) = tiles_of(size, level);
    part.index < full || (part.index == full && part.width <= width)
}

#[cfg(test)]
mod tests;
