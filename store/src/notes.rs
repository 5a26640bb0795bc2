//! What an archive says of a chain before any segment is read: its keys, and the newest Checkpoint. The chainer, the
//! archiver and the trimmer begin with this.

use schemas::note::MAX_NOTE_BYTES;
use schemas::{Checkpoint, KeyNote, Layout, Malformed, Place, Vkey};

use crate::{Error, Kind, Listing, Store};

/// The notes of one chain.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Its keys in the order in which they came into force, each vouched for by the one before.
    pub keys: Vec<KeyNote>,
    /// The Checkpoint of the largest size.
    pub newest: Option<Checkpoint>,
}

/// Why the notes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NotesError {
    /// The store did not give them.
    #[error(transparent)]
    Store(#[from] Error),
    /// A note is not what its place says.
    #[error("{key}: {why}")]
    Malformed {
        /// Its key.
        key: String,
        /// What is wrong.
        why: Malformed,
    },
}

const PAGE: usize = 1_000;

impl Notes {
    /// Lists checkpoints/ from where the hint points, reads the keys, and opens the newest Checkpoint. In this order: a
    /// key note is written before the first Checkpoint that it signs, so whatever is written meanwhile, the keys of
    /// what was listed are there.
    pub fn read(store: &dyn Store, origin: &str) -> Result<Notes, NotesError> {
        let layout = Layout::of(origin);
        let newest = newest_checkpoint(store, &layout)?;
        let mut notes = Notes { keys: read_keys(store, &layout, origin)?, newest: None };
        if let Some(key) = newest {
            let bytes = store.get(&key, None, None, MAX_NOTE_BYTES as u64)?.bytes;
            notes.newest = Some(notes.open(&layout, &key, &bytes)?);
        }
        Ok(notes)
    }

    /// The Checkpoint of `size`, if the archive has one. It may be newer than these notes' newest.
    pub fn checkpoint_at(
        &self,
        store: &dyn Store,
        origin: &str,
        size: u64,
    ) -> Result<Option<Checkpoint>, NotesError> {
        let layout = Layout::of(origin);
        let key = layout.key(&Place::Checkpoint(size));
        match store.get(&key, None, None, MAX_NOTE_BYTES as u64) {
            Ok(object) => self.open(&layout, &key, &object.bytes).map(Some),
            Err(error) if error.kind() == Kind::Missing => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What stands at `key` as a Checkpoint, signed by whoever may sign its size.
    fn open(&self, layout: &Layout, key: &str, bytes: &[u8]) -> Result<Checkpoint, NotesError> {
        let no = |why| malformed(key)(Malformed::new("checkpoint", 0, why));
        let (claimed, _) = Checkpoint::parse(bytes).map_err(malformed(key))?;
        let vkey = self.key_at(claimed.size).ok_or_else(|| no("no key note says who may sign it"))?;
        let checkpoint = Checkpoint::open(bytes, vkey).map_err(malformed(key))?;
        match layout.key(&Place::Checkpoint(checkpoint.size)) == key {
            true => Ok(checkpoint),
            false => Err(no("is of another size than its name says")),
        }
    }

    /// The key that may sign `size`.
    pub fn key_at(&self, size: u64) -> Option<&Vkey> {
        self.keys.iter().rev().find(|note| note.first_size <= size).map(|note| &note.vkey)
    }
}

/// The keys in the order in which they came into force.
fn read_keys(store: &dyn Store, layout: &Layout, origin: &str) -> Result<Vec<KeyNote>, NotesError> {
    let mut keys: Vec<KeyNote> = Vec::new();
    for key in keys_after(store, &layout.keys(), "")? {
        let bytes = store.get(&key, None, None, MAX_NOTE_BYTES as u64)?.bytes;
        let note = KeyNote::open(&bytes, keys.last().map(|k| &k.vkey)).map_err(malformed(&key))?;
        let ascending = keys.last().is_none_or(|k| k.first_size < note.first_size);
        if layout.key(&Place::Key(note.first_size)) != key || note.vkey.name() != origin || !ascending {
            let why = Malformed::new("key note", 0, "stands at another place than its content says");
            return Err(NotesError::Malformed { key, why });
        }
        keys.push(note);
    }
    Ok(keys)
}

/// Where the Checkpoint of the largest size stands. The hint may be wrong in any way: only a note that is there tells
/// where to list on from.
fn newest_checkpoint(store: &dyn Store, layout: &Layout) -> Result<Option<String>, Error> {
    let hinted = hint(store, layout)?.map(|size| layout.key(&Place::Checkpoint(size)));
    match hinted {
        Some(key) if exists(store, &key)? => {
            Ok(keys_after(store, &layout.checkpoints(), &key)?.pop().or(Some(key)))
        }
        _ => Ok(keys_after(store, &layout.checkpoints(), "")?.pop()),
    }
}

/// The size in `checkpoint`, whoever wrote it.
fn hint(store: &dyn Store, layout: &Layout) -> Result<Option<u64>, Error> {
    match store.get(&layout.key(&Place::Hint), None, None, MAX_NOTE_BYTES as u64) {
        Ok(object) => Ok(Checkpoint::parse(&object.bytes).ok().map(|(checkpoint, _)| checkpoint.size)),
        Err(error) if matches!(error.kind(), Kind::Missing | Kind::TooLarge) => Ok(None),
        Err(error) => Err(error),
    }
}

fn exists(store: &dyn Store, key: &str) -> Result<bool, Error> {
    match store.get(key, None, Some(0..1), 1) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == Kind::Missing => Ok(false),
        Err(error) => Err(error),
    }
}

/// All keys under `prefix` that come after `after`.
pub fn keys_after(store: &dyn Store, prefix: &str, after: &str) -> Result<Vec<String>, Error> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let page = store.list(prefix, keys.last().map_or(after, String::as_str), Listing::Newest(PAGE))?;
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
        if !page.more {
            return Ok(keys);
        }
    }
}

fn malformed(key: &str) -> impl Fn(Malformed) -> NotesError + use<> {
    let key = key.to_owned();
    move |why| NotesError::Malformed { key: key.clone(), why }
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
            malformed => runtime::Failure::Halt(format!("{malformed}. Run `sealog verify` on the archive")),
        }
    }
}

#[cfg(test)]
mod tests;
