//! What an archive says of a chain before any segment is read: its keys, and the newest Checkpoint. The chainer, the
//! archiver and the trimmer begin with this.
//!
//! Notes are known by their signatures, not by where they lie: junk that is laid over one, a delete marker that hides
//! it, and notes that nobody signed are passed over.

mod opened;
mod unsigned;

use schemas::note::MAX_NOTE_BYTES;
use schemas::{Checkpoint, KeyNote, Layout, Malformed, Place, Vkey};

use crate::versions::{by_key, check_whole, fitting, of_key};
use crate::{Entry, Error, Kind, Store};

use opened::Opened;
pub use unsigned::Unsigned;

/// The notes of one chain.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Its keys in the order in which they came into force, each vouched for by the one before.
    pub keys: Vec<KeyNote>,
    /// The Checkpoint of the largest size.
    pub newest: Option<Checkpoint>,
    /// Where a note was found under something else, or none was. What was read is right all the same; for whoever
    /// reads the newest version only, `sealog archive repair` puts it right.
    pub hidden: Vec<String>,
}

/// Why the notes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NotesError {
    /// The store did not give them.
    #[error(transparent)]
    Store(#[from] Error),
    /// There is a note that nothing can be read without, and no version of it is what its place says.
    #[error("{key}: {why}")]
    Malformed {
        /// Its key.
        key: String,
        /// What is wrong.
        why: Malformed,
    },
    /// The key in force has signed different things for one place.
    #[error(
        "{key}: two versions of it differ, and both are signed by the chain's key: one of them is not this chain's"
    )]
    Two {
        /// Where they lie.
        key: String,
    },
}

const NO_KEY: &str = "no key note says who may sign it";
const MAX_BYTES: u64 = MAX_NOTE_BYTES as u64;

impl Notes {
    /// Lists checkpoints/ from where the hint points, reads the keys, and opens the newest Checkpoint. In this order: a
    /// key note is written before the first Checkpoint that it signs, so whatever is written meanwhile, the keys of
    /// what was listed are there. The hint may be wrong in any way: only a signed note is believed.
    pub fn read(store: &dyn Store, origin: &str) -> Result<Notes, NotesError> {
        Notes::read_again(store, origin, &mut Unsigned::default())
    }

    /// As [`Notes::read`], for who reads the same chain time and again: what was found to be `unsigned` is not read a
    /// second time, and `hidden` does not name it again.
    pub fn read_again(store: &dyn Store, origin: &str, unsigned: &mut Unsigned) -> Result<Notes, NotesError> {
        unsigned.begin();
        let layout = Layout::of(origin);
        if let Some(hinted) = hint(store, &layout)? {
            let before = hinted.checked_sub(1).map(|size| layout.key(&Place::Checkpoint(size)));
            let after = before.as_deref().unwrap_or_default();
            let (mut notes, listed) = Notes::read_keys_of(store, &layout, origin, after, unsigned)?;
            notes.find_newest(store, &layout, listed, unsigned)?;
            if notes.newest.is_some() {
                return Ok(notes);
            }
        }
        let (mut notes, listed) = Notes::read_keys_of(store, &layout, origin, "", unsigned)?;
        match listed.sizes.last().filter(|_| notes.keys.is_empty()) {
            None => notes.find_newest(store, &layout, listed, unsigned)?,
            Some(size) => {
                let why = Malformed::new("checkpoint", 0, NO_KEY);
                return Err(NotesError::Malformed { key: layout.key(&Place::Checkpoint(*size)), why });
            }
        }
        Ok(notes)
    }

    /// The Checkpoint of `size`, if the archive has one. It may be newer than these notes' newest.
    pub fn checkpoint_at(
        &self,
        store: &dyn Store,
        origin: &str,
        size: u64,
    ) -> Result<Option<Checkpoint>, Error> {
        let key = Layout::of(origin).key(&Place::Checkpoint(size));
        let found = fitting(store, &key, MAX_BYTES, |object| self.open(size, &object.bytes).ok())?;
        Ok(found.map(|(_, checkpoint)| checkpoint))
    }

    /// A Checkpoint of that size, signed by whoever may sign it.
    pub fn open(&self, size: u64, note: &[u8]) -> Result<Checkpoint, Malformed> {
        let no = |why| Malformed::new("checkpoint", 0, why);
        let vkey = self.key_at(size).ok_or_else(|| no(NO_KEY))?;
        let checkpoint = Checkpoint::open(note, vkey)?;
        match checkpoint.size == size {
            true => Ok(checkpoint),
            false => Err(no("is of another size than its name says")),
        }
    }

    /// The key that may sign `size`.
    pub fn key_at(&self, size: u64) -> Option<&Vkey> {
        self.keys.iter().rev().find(|note| note.first_size <= size).map(|note| &note.vkey)
    }

    /// What is listed behind `after`, and then the keys.
    fn read_keys_of(
        store: &dyn Store,
        layout: &Layout,
        origin: &str,
        after: &str,
        unsigned: &mut Unsigned,
    ) -> Result<(Notes, Listed), NotesError> {
        loop {
            let listed = Listed::after(store, layout, after, unsigned)?;
            let notes = Notes::read_keys(store, layout, origin)?;
            // What was left out of the list may be signed by a key that is new.
            if !unsigned.keep_under(&notes.keys) {
                return Ok((notes, listed));
            }
        }
    }

    /// The keys in the order in which they came into force.
    fn read_keys(store: &dyn Store, layout: &Layout, origin: &str) -> Result<Notes, NotesError> {
        let mut notes = Notes::default();
        by_key(store, &layout.keys(), "", |key, versions| {
            let Some(Place::Key(first_size)) = place_of(layout, key) else { return Ok(()) };
            let predecessor = notes.keys.last().map(|note| note.vkey.clone());
            let opened = Opened::of(store, &versions, |bytes| {
                let note = KeyNote::open(bytes, predecessor.as_ref())?;
                match note.first_size == first_size && note.vkey.name() == origin {
                    true => Ok(note),
                    false => {
                        Err(Malformed::new("key note", 0, "stands at another place than its content says"))
                    }
                }
            })?;
            let note = match first_size {
                // The first key signs for itself, so anybody can make one. What stood there first began the chain.
                0 => opened.notes.last().map(|(_, note)| note.clone()),
                _ => opened.only(key)?,
            };
            match (note, opened.why) {
                (Some(note), _) => {
                    if opened.notes.first().is_none_or(|(entry, newest)| !entry.newest || *newest != note) {
                        notes.hidden.push(key.to_owned());
                    }
                    notes.keys.push(note);
                }
                // Without it nothing can be read. Of any other it cannot be said that it ever was one.
                (None, Some(why)) if first_size == 0 => return Err(why.at(key)),
                (None, Some(_)) => notes.hidden.push(key.to_owned()),
                (None, None) => {}
            }
            Ok(())
        })?;
        Ok(notes)
    }

    /// Takes the newest Checkpoint of those listed, if any of them is signed.
    fn find_newest(
        &mut self,
        store: &dyn Store,
        layout: &Layout,
        listed: Listed,
        unsigned: &mut Unsigned,
    ) -> Result<(), NotesError> {
        let mut largest = Some(listed.largest);
        for size in listed.sizes.into_iter().rev() {
            let key = layout.key(&Place::Checkpoint(size));
            let versions = largest.take().map_or_else(|| of_key(store, &key), Ok)?;
            let unread: Vec<Entry> =
                versions.iter().filter(|entry| !unsigned.holds(entry)).cloned().collect();
            let opened = Opened::of(store, &unread, |bytes| self.open(size, bytes))?;
            opened.malformed.iter().for_each(|entry| unsigned.add(entry));
            if opened.notes.is_empty() {
                check_whole(&versions)?;
            }
            self.newest = opened.only(&key)?;
            if opened.notes.first().is_none_or(|(entry, _)| !entry.newest) {
                self.hidden.push(key);
            }
            if self.newest.is_some() {
                break;
            }
        }
        Ok(())
    }
}

/// The notes that stand in checkpoints/, signed or not.
#[derive(Default)]
struct Listed {
    /// By name, rising. Of millions of them the sizes alone are kept.
    sizes: Vec<u64>,
    /// All versions of the largest.
    largest: Vec<Entry>,
}

impl Listed {
    /// Those whose versions are all known to be `unsigned` are left out.
    fn after(
        store: &dyn Store,
        layout: &Layout,
        after: &str,
        unsigned: &Unsigned,
    ) -> Result<Listed, NotesError> {
        let mut listed = Listed::default();
        by_key(store, &layout.checkpoints(), after, |key, versions| {
            // Of a crowded one it is not known what its other versions are.
            let may_be_signed = || {
                let mut objects = versions.iter().filter(|entry| !entry.delete_marker);
                objects.any(|entry| !unsigned.holds(entry)) || check_whole(&versions).is_err()
            };
            if let Some(Place::Checkpoint(size)) = place_of(layout, key)
                && may_be_signed()
            {
                listed.sizes.push(size);
                listed.largest = versions;
            }
            Ok::<_, Error>(())
        })?;
        Ok(listed)
    }
}

/// The size in `checkpoint`, whoever wrote it and whatever lies over it.
fn hint(store: &dyn Store, layout: &Layout) -> Result<Option<u64>, Error> {
    match store.get(&layout.key(&Place::Hint), None, None, MAX_BYTES) {
        Ok(object) => Ok(Checkpoint::parse(&object.bytes).ok().map(|(checkpoint, _)| checkpoint.size)),
        Err(error) if error.kind() == Kind::Away => Err(error),
        Err(_) => Ok(None),
    }
}

fn place_of(layout: &Layout, key: &str) -> Option<Place> {
    Place::parse(key.strip_prefix(layout.root())?)
}

/// All keys under `prefix` that come after `after`, also those that a delete marker hides.
pub fn keys_after(store: &dyn Store, prefix: &str, after: &str) -> Result<Vec<String>, Error> {
    let mut keys: Vec<String> = Vec::new();
    by_key(store, prefix, after, |key, versions| {
        if versions.iter().any(|entry| !entry.delete_marker) {
            keys.push(key.to_owned());
        }
        Ok::<_, Error>(())
    })?;
    Ok(keys)
}

impl From<Error> for runtime::Failure {
    fn from(error: Error) -> runtime::Failure {
        match error.kind() {
            Kind::Away => runtime::Failure::Retry(error.to_string()),
            _ => runtime::Failure::Halt(error.to_string()),
        }
    }
}

impl From<NotesError> for runtime::Failure {
    fn from(error: NotesError) -> runtime::Failure {
        match error {
            NotesError::Store(error) => error.into(),
            why => runtime::Failure::Halt(format!("{why}. Run `sealog verify` on the archive")),
        }
    }
}

#[cfg(test)]
mod tests;
