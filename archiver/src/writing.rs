//! The order of writes. `write` reads top to bottom; each line says what a death there leaves behind. Whatever is left
//! behind is written again with the same bytes by whoever comes next, for cuts and bytes follow from the chain.

use runtime::{Backoff, Failure, Stop};
use schemas::event::{EVENT_SCHEMA, event_schema_hash};
use schemas::note::MAX_NOTE_BYTES;
use schemas::{Checkpoint, Hash, Hashing, Layout, Place, SegmentFile, Trees};
use store::{Keep, Kind, Store, Version};
use tracing::{info, warn};

use crate::assembly::Segment;

/// What a write works with: the archive, one chain's paths in it, and when to give up.
pub struct Writing<'a> {
    /// The archive.
    pub store: &'a dyn Store,
    /// The chain's paths.
    pub layout: &'a Layout,
    /// While a store is away the archiver waits and keeps its place, until this is abandoned.
    pub stop: &'a Stop,
}

/// Read back in parts of this size.
const PART_BYTES: u64 = 8 << 20;

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
            self.put_equal(&Place::Schema(event_schema_hash()), EVENT_SCHEMA)?;
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
            self.put_equal(&Place::Trees(checkpoint.size), &trees.to_bytes())?;
            // If we die here, segment and trees stand beyond the newest note.
        }
        self.put_equal(&Place::Checkpoint(checkpoint.size), note.as_bytes())?;
        // From here on the segment is archived: its note is the newest, and a restart goes on behind it.
        Ok(())
    }

    /// Replaces `checkpoint`. It is only a hint: when another was faster, nothing is wrong.
    pub fn hint(&self, note: &str) -> Result<(), Failure> {
        let key = self.layout.key(&Place::Hint);
        self.patiently(|| {
            let current = match self.store.get(&key, None, None, MAX_NOTE_BYTES as u64) {
                Ok(object) => Some(object.tag),
                Err(error) if error.kind() == Kind::Missing => None,
                Err(error) => return Err(error),
            };
            match self.store.replace_if(&key, current.as_ref(), note.as_bytes(), Keep::Hint) {
                Err(error) if error.kind() == Kind::Changed => Ok(()),
                other => other.map(drop),
            }
        })
    }

    /// Whether `checkpoint` is there.
    pub fn has_hint(&self) -> Result<bool, Failure> {
        let key = self.layout.key(&Place::Hint);
        self.patiently(|| match self.store.get(&key, None, Some(0..1), 1) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == Kind::Missing => Ok(false),
            Err(error) => Err(error),
        })
    }

    /// A note that is there.
    pub fn read_note(&self, place: &Place) -> Result<String, Failure> {
        let key = self.layout.key(place);
        let note = self.patiently(|| self.store.get(&key, None, None, MAX_NOTE_BYTES as u64))?;
        String::from_utf8(note.bytes)
            .map_err(|_| Failure::Halt(format!("{key} is no note: run `sealog verify`")))
    }

    /// Puts an object whose bytes can only be these. If something else is there, halts.
    pub fn put_equal(&self, place: &Place, body: &[u8]) -> Result<(), Failure> {
        let key = self.layout.key(place);
        self.patiently(|| match self.store.put_new(&key, body, Keep::Evidence) {
            Err(error) if error.kind() == Kind::Exists => Ok(None),
            other => other.map(Some),
        })?;
        let there = self.patiently(|| self.store.get(&key, None, None, body.len() as u64 + 1))?;
        match there.bytes == body {
            true => Ok(()),
            false => Err(Failure::Halt(format!(
                "{key} holds other bytes than this chain gives. Nothing was laid over it: run `sealog verify`"
            ))),
        }
    }

    /// Puts the segment, or adopts the one that is there if it holds the same links. Answers where it is and the SHA-256
    /// of its bytes as they were read back.
    fn put_segment(&self, segment: &Segment) -> Result<(Place, Hash), Failure> {
        let place = Place::segment(segment.first_sealed_at, segment.first_seq);
        let key = self.layout.key(&place);
        let put = self.patiently(|| match self.store.put_new(&key, &segment.file, Keep::Evidence) {
            Err(error) if error.kind() == Kind::Exists => Ok(None),
            other => other.map(Some),
        })?;
        let sha256 = Hash::of(&[&segment.file]);
        match put {
            Some(version) => {
                let found = self.read_back(&key, &version, segment.file.len() as u64)?;
                if found != sha256 {
                    let what = format!("{key}: written with SHA-256 {sha256}, read back with {found}");
                    return Err(Failure::Halt(format!("{what}. The storage changes what it is given")));
                }
                Ok((place, sha256))
            }
            None => {
                let bound = segment.file.len() as u64 * 2 + (1 << 20);
                let there = self.patiently(|| self.store.get(&key, None, None, bound))?;
                same_links(&there.bytes, segment).map_err(|why| {
                    Failure::Halt(format!(
                        "{key} is there already and does not hold this chain's links: {why}"
                    ))
                })?;
                info!(key, "adopted a segment that was there already");
                Ok((place, Hash::of(&[&there.bytes])))
            }
        }
    }

    fn read_back(&self, key: &str, version: &Version, size_bytes: u64) -> Result<Hash, Failure> {
        let mut hashing = Hashing::default();
        for start in (0..size_bytes).step_by(PART_BYTES as usize) {
            let range = start..(start + PART_BYTES).min(size_bytes);
            let part =
                self.patiently(|| self.store.get(key, Some(version), Some(range.clone()), PART_BYTES))?;
            if part.size_bytes != size_bytes {
                return Err(Failure::Halt(format!(
                    "{key}: {size_bytes} bytes written, {} there",
                    part.size_bytes
                )));
            }
            hashing.update(&part.bytes);
        }
        Ok(hashing.finish())
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

/// Whether a segment's bytes hold exactly the links of `ours`, whatever their deflate spelling.
fn same_links(there: &[u8], ours: &Segment) -> Result<(), String> {
    let (theirs, our_file) = (SegmentFile::parse(there), SegmentFile::parse(&ours.file));
    let (theirs, our_file) = (theirs.map_err(|e| e.to_string())?, our_file.map_err(|e| e.to_string())?);
    if theirs.header != our_file.header {
        return Err("its header is another".to_owned());
    }
    let (mut blocks, mut plain) = (theirs.blocks(), Vec::new());
    let (mut our_blocks, mut our_plain) = (our_file.blocks(), Vec::new());
    loop {
        let block = blocks.next_into(&mut plain).map_err(|e| e.to_string())?;
        let our_block = our_blocks.next_into(&mut our_plain).map_err(|e| e.to_string())?;
        match (block, our_block) {
            (None, None) => return Ok(()),
            (Some(block), Some(our_block)) if block.events == our_block.events && plain == our_plain => {}
            _ => return Err("its records are others".to_owned()),
        }
    }
}
