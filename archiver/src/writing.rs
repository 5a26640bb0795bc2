//! The order of writes. `write` reads top to bottom; each line says what a death there leaves behind. Whatever is left
//! behind is written again with the same bytes by whoever comes next, for cuts and bytes follow from the chain.

mod evidence;
mod links;
mod lock;

use std::cell::Cell;

use runtime::{Backoff, Clock, Failure, Stop};
use schemas::event::{EVENT_SCHEMA, event_schema_hash};
use schemas::note::MAX_NOTE_BYTES;
use schemas::{Checkpoint, Hash, Layout, Place, Trees, Vkey};
use store::{Keep, Kind, Store, versions};
use tracing::warn;

use self::evidence::Evidence;
use crate::assembly::Segment;

pub(crate) use self::evidence::{crowded, left_open};
pub(crate) use self::lock::{shortfall, shortfall_of_anothers};

/// What a write works with: the archive, one chain's paths in it, and when to give up.
pub struct Writing<'a> {
    /// The archive.
    pub store: &'a dyn Store,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The chain's paths.
    pub layout: &'a Layout,
    /// The key in force. None before the genesis.
    pub vkey: Option<&'a Vkey>,
    /// While a store is away the archiver waits and keeps its place, until this is abandoned.
    pub stop: &'a Stop,
    /// Whether junk that stands where something is due is laid over.
    pub lay_over: bool,
    /// Whether the schema has been seen to be there.
    pub has_schema: &'a Cell<bool>,
}

impl Writing<'_> {
    /// Puts a segment and its Checkpoint into the archive.
    pub fn write(
        &self,
        segment: Option<&Segment>,
        checkpoint: &Checkpoint,
        note: &str,
    ) -> Result<(), Failure> {
        if let Some(segment) = segment {
            // If we die here, nothing of this segment is there.
            if !self.has_schema.get() {
                self.put(&Place::Schema(event_schema_hash()), EVENT_SCHEMA)?;
                self.has_schema.set(true);
            }
            // If we die here, a schema is there that nothing uses yet.
            let (place, sha256) = self.put_segment(segment)?;
            // If we die here, a segment stands beyond the newest note: whoever comes next adopts it.
            let trees = Trees {
                first_seq: segment.first_seq,
                size: checkpoint.size,
                segment_key: place.path(),
                segment_sha256: sha256,
                completed: segment.completed.clone(),
                partial: segment.partial.clone(),
            };
            self.put(&Place::Trees(checkpoint.size), &trees.to_bytes())?;
            // If we die here, segment and trees stand beyond the newest note.
        }
        self.put(&Place::Checkpoint(checkpoint.size), note.as_bytes())?;
        // From here on the segment is archived: its note is the newest, and a restart goes on behind it.
        Ok(())
    }

    /// Puts a piece of evidence whose bytes can only be these. Done when it is there and held as long as it must be.
    pub fn put(&self, place: &Place, body: &[u8]) -> Result<(), Failure> {
        let evidence = Evidence { key: self.layout.key(place), body, same: &|_| false };
        self.put_evidence(&evidence, place).map(drop)
    }

    /// Puts the segment, or adopts the one that is there if it holds the same links. Answers where it is and the SHA-256
    /// of its bytes as they are there.
    fn put_segment(&self, segment: &Segment) -> Result<(Place, Hash), Failure> {
        let place = Place::segment(segment.first_sealed_at, segment.first_seq);
        let same = |there: &[u8]| links::same(there, &segment.file).is_ok();
        let evidence = Evidence { key: self.layout.key(&place), body: &segment.file, same: &same };
        let sha256 = self.put_evidence(&evidence, &place)?;
        Ok((place, sha256))
    }

    /// Replaces `checkpoint`, whatever is there. It is only a hint: when another was faster, nothing is wrong.
    pub fn hint(&self, note: &str) -> Result<(), Failure> {
        let key = self.layout.key(&Place::Hint);
        self.patiently(|| {
            // Without a byte of it: junk need not be readable to be replaced.
            let current = match self.store.get(&key, None, Some(0..0), 0) {
                Ok(object) => Some(object.tag),
                // Where somebody has put what nobody can even look at, it stays: readers do without a hint.
                Err(error) if matches!(error.kind(), Kind::Missing | Kind::Refused) => None,
                Err(error) => return Err(error),
            };
            match self.store.replace_if(&key, current.as_ref(), note.as_bytes(), Keep::Hint) {
                Err(error) if error.kind() == Kind::Changed => Ok(()),
                other => other.map(drop),
            }
        })
    }

    /// Whether `checkpoint` is there, as an archiver of this chain wrote it.
    pub fn has_hint(&self) -> Result<bool, Failure> {
        let key = self.layout.key(&Place::Hint);
        self.patiently(|| match self.store.get(&key, None, None, MAX_NOTE_BYTES as u64) {
            Ok(object) => Ok(self.is_checkpoint(&object.bytes)),
            Err(error) if error.kind() == Kind::Away => Err(error),
            Err(_) => Ok(false),
        })
    }

    /// The signed Checkpoint of size 0, whatever lies over it.
    pub fn read_checkpoint_0(&self) -> Result<String, Failure> {
        let key = self.layout.key(&Place::Checkpoint(0));
        let note = self.patiently(|| {
            versions::fitting(self.store, &key, MAX_NOTE_BYTES as u64, |object| {
                let size = self.vkey.and_then(|vkey| Checkpoint::open(&object.bytes, vkey).ok())?.size;
                String::from_utf8(object.bytes.clone()).ok().filter(|_| size == 0)
            })
        })?;
        let missing = || Failure::Halt(format!("{key}: no version of it is signed: run `sealog verify`"));
        note.map(|(_, note)| note).ok_or_else(missing)
    }

    fn is_checkpoint(&self, note: &[u8]) -> bool {
        self.vkey.is_some_and(|vkey| Checkpoint::open(note, vkey).is_ok())
    }

    /// Asks again while the store is away.
    fn patiently<T>(&self, mut ask: impl FnMut() -> store::Result<T>) -> Result<T, Failure> {
        let mut backoff = Backoff::default();
        loop {
            match ask() {
                Err(error) if error.kind() == Kind::Away => {
                    warn!("the archive is away, waiting: {error}");
                    if self.stop.wait_patiently(backoff.next_wait()) {
                        return Err(Failure::Retry(format!("the archive could not be reached: {error}")));
                    }
                }
                other => return Ok(other?),
            }
        }
    }
}
