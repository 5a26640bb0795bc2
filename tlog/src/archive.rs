//! A chain as its archive holds it: its keys, and its Checkpoints, each with the note that was signed.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use schemas::note::MAX_NOTE_BYTES;
use schemas::{Checkpoint, KeyNote, Layout, Malformed, Place, Vkey};
use store::{Notes, Store, Unsigned};

use crate::hashes::Tiles;
use crate::laid::{Unfit, fitting};
use crate::links::Runs;
use crate::listing::Names;
use crate::named::Sizes;
use crate::{Error, Result};

/// One chain, to be asked for hashes and events. Shared by threads. What it has read it keeps, within bounds.
pub struct Chain {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) layout: Layout,
    origin: String,
    notes: RwLock<Arc<Notes>>,
    /// Held by whoever reads the notes: one at a time.
    unsigned: Mutex<Unsigned>,
    pub(crate) names: Names,
    pub(crate) sizes: Sizes,
    pub(crate) tiles: Tiles,
    pub(crate) kept: Runs,
}

/// A Checkpoint whose signature holds under the chain's key of its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Origin, size and root.
    pub checkpoint: Checkpoint,
    /// The note, as it was signed.
    pub note: String,
}

impl Chain {
    /// Reads the keys of `origin`, and which Checkpoint is the newest.
    pub fn open(store: Arc<dyn Store>, origin: &str) -> Result<Chain> {
        let mut unsigned = Unsigned::default();
        let notes = Notes::read_again(store.as_ref(), origin, &mut unsigned)?;
        let (notes, unsigned) = (RwLock::new(Arc::new(notes)), Mutex::new(unsigned));
        let (layout, origin) = (Layout::of(origin), origin.to_owned());
        let (names, sizes, tiles, kept) = Default::default();
        Ok(Chain { store, layout, origin, notes, unsigned, names, sizes, tiles, kept })
    }

    /// Its name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its keys in the order in which they came into force, as they were when it was looked at last.
    pub fn keys(&self) -> Vec<KeyNote> {
        self.notes().keys.clone()
    }

    /// Looks at the archive anew, which may have grown: keys, and the newest Checkpoint.
    pub fn look_again(&self) -> Result<()> {
        let mut unsigned = self.unsigned.lock().unwrap_or_else(PoisonError::into_inner);
        let notes = Arc::new(Notes::read_again(self.store.as_ref(), &self.origin, &mut unsigned)?);
        *self.notes.write().unwrap_or_else(PoisonError::into_inner) = notes;
        Ok(())
    }

    /// The newest Checkpoint when it was looked at last. None: the archive has none of this chain.
    pub fn newest(&self) -> Option<Checkpoint> {
        self.notes().newest.clone()
    }

    /// The newest Checkpoint when it was looked at last, with its note.
    pub fn newest_signed(&self) -> Result<Signed> {
        let newest = self.newest().ok_or_else(|| {
            Error::NotThere(format!("{}: nothing of this chain has been archived yet", self.origin))
        })?;
        self.signed(newest.size)
    }

    /// The Checkpoint of exactly that size.
    pub fn signed(&self, size: u64) -> Result<Signed> {
        let (notes, key) = (self.notes(), self.layout.key(&Place::Checkpoint(size)));
        let read = fitting(self.store.as_ref(), &key, None, MAX_NOTE_BYTES as u64, |parts| {
            let checkpoint = notes.open(size, &parts.beginning)?;
            let note = String::from_utf8(parts.beginning.clone());
            let note = note.map_err(|_| Unfit::Misfit("it is not UTF-8".to_owned()))?;
            Ok(Signed { checkpoint, note })
        });
        read.map_err(|error| match error {
            Error::Misfit { what, .. } if what == crate::laid::ABSENT => Error::NotThere(format!(
                "{}: there is no Checkpoint of size {size}: each segment ends with one",
                self.origin
            )),
            other => other,
        })
    }

    /// A Checkpoint that somebody kept. Err: the chain's key of its size has not signed it.
    pub fn open_note(&self, note: &[u8]) -> Result<Signed, Malformed> {
        let (claimed, _) = Checkpoint::parse(note)?;
        let checkpoint = self.notes().open(claimed.size, note)?;
        // It was read as text.
        Ok(Signed { checkpoint, note: String::from_utf8_lossy(note).into_owned() })
    }

    /// The key that may sign a tree of that size.
    pub fn key_at(&self, size: u64) -> Option<Vkey> {
        self.notes().key_at(size).cloned()
    }

    /// The first Checkpoint that covers `seq`: the one at the end of its segment.
    pub fn first_covering(&self, seq: u64) -> Result<Signed> {
        let newest = self.newest().filter(|newest| seq < newest.size).ok_or_else(|| self.not_covered(seq))?;
        self.in_first_signed(&newest, seq + 1, |named| self.signed(named.size))
    }

    pub(crate) fn not_covered(&self, seq: u64) -> Error {
        let size = self.newest().map_or(0, |newest| newest.size);
        Error::NotThere(format!(
            "{}: there is no seq {seq}: {size} events of it are archived, from seq 0 on",
            self.origin
        ))
    }

    fn notes(&self) -> Arc<Notes> {
        Arc::clone(&self.notes.read().unwrap_or_else(PoisonError::into_inner))
    }
}
