//! One segment of an archive: of its versions the one that gives the signed root.

use anyhow::{Context, Result, bail};
use schemas::avro::Shape;
use schemas::{Hash, Layout, Micros, Place, SegmentFile, Trees};
use store::versions::{fitting, fitting_of};
use store::{Entry, Kind, Object, Store};
use verifier::{Choice, Evidence};

pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// A segment whose size no list says is taken for this large.
const UNKNOWN_SIZE_BYTES: u64 = 16 << 20;
/// What holds a header and a first block.
const BEGINNING_BYTES: u64 = 4 << 20;

/// A segment as it was listed.
pub struct Listed {
    pub key: String,
    /// Newest first. At least one of them is no delete marker.
    versions: Vec<Entry>,
}

impl Listed {
    /// All versions of one key; None if only delete markers are left.
    pub fn of(versions: &[Entry]) -> Option<Listed> {
        let is_there = versions.iter().any(|entry| !entry.delete_marker);
        is_there.then(|| Listed { key: versions[0].key.clone(), versions: versions.to_vec() })
    }

    pub fn size_bytes(&self) -> u64 {
        match self.versions.iter().map(|entry| entry.size_bytes).max() {
            None | Some(0) => UNKNOWN_SIZE_BYTES,
            Some(known) => known,
        }
    }
}

/// The key with its versions.
pub fn listed(store: &dyn Store, key: &str) -> Result<Listed> {
    let versions = store::versions::of_key(store, key)?;
    Listed::of(&versions).with_context(|| format!("{key} is not there: run `sealog verify` on the archive"))
}

/// The bytes of a segment, as many as were set aside for it. None: it is larger, as one can be whose size no list says; then
/// it is to be read by itself.
pub fn read_ahead(
    store: &dyn Store,
    layout: &Layout,
    origin: &str,
    listed: &Listed,
) -> Result<Option<Vec<u8>>> {
    let [only] = listed.versions.as_slice() else {
        return read(store, layout, origin, listed).map(Some);
    };
    let max_bytes = listed.size_bytes().min(MAX_SEGMENT_BYTES);
    match store.get(&listed.key, Some(&only.version), None, max_bytes) {
        Ok(object) => Ok(Some(object.bytes)),
        Err(error) if error.kind() == Kind::TooLarge && only.size_bytes == 0 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The bytes of a segment.
pub fn read(store: &dyn Store, layout: &Layout, origin: &str, listed: &Listed) -> Result<Vec<u8>> {
    let key = &listed.key;
    if let [only] = listed.versions.as_slice() {
        return Ok(store.get(key, Some(&only.version), None, MAX_SEGMENT_BYTES)?.bytes);
    }
    match Evidence::of(store, origin)?.segment(key, &listed.versions)? {
        Choice::Right(object) => return Ok(object.bytes),
        Choice::None => bail!("no version of it gives the root that is signed: {}", damaged(key)),
        Choice::Open => {}
    }
    eprintln!(
        "sealog cat: {key} has several versions, and nothing signed says yet which of them is right: what was written \
         first is shown"
    );
    // A segment and a trees file that name each other may both have been laid over the right ones: those came first.
    let oldest_first: Vec<Entry> = listed.versions.iter().rev().cloned().collect();
    let is_named = |object: &Object| is_named(store, layout, key, &object.bytes).then_some(());
    if let Some((object, ())) = fitting_of(store, &oldest_first, MAX_SEGMENT_BYTES, is_named)? {
        return Ok(object.bytes);
    }
    // The newest segments may have no trees file yet.
    let is_segment = |object: &Object| SegmentFile::parse(&object.bytes).ok().map(drop);
    let found = fitting_of(store, &oldest_first, MAX_SEGMENT_BYTES, is_segment)?;
    Ok(found.with_context(|| damaged(key))?.0.bytes)
}

/// Whether the trees file of its end has the digest of these bytes.
fn is_named(store: &dyn Store, layout: &Layout, key: &str, bytes: &[u8]) -> bool {
    let Ok(segment) = SegmentFile::parse(bytes) else { return false };
    let trees_key = layout.key(&Place::Trees(segment.header.last_seq.0 + 1));
    let digest = Hash::of(&[bytes]);
    let names = |object: &Object| {
        let trees = Trees::parse(&object.bytes).ok()?;
        (trees.segment_sha256 == digest && key.ends_with(&trees.segment_key)).then_some(())
    };
    matches!(fitting(store, &trees_key, MAX_SEGMENT_BYTES, names), Ok(Some(_)))
}

/// When the first event of a segment was sealed.
pub fn first_sealed_at(store: &dyn Store, layout: &Layout, origin: &str, key: &str) -> Result<Micros> {
    let listed = listed(store, key)?;
    if let [only] = listed.versions.as_slice() {
        let beginning = store.get(key, Some(&only.version), Some(0..BEGINNING_BYTES), BEGINNING_BYTES)?;
        if let Ok(first) = first_in(key, &beginning.bytes) {
            return Ok(first);
        }
    }
    first_in(key, &read(store, layout, origin, &listed)?)
}

/// The same, of its bytes, or of enough of them.
fn first_in(key: &str, bytes: &[u8]) -> Result<Micros> {
    let segment = SegmentFile::parse(bytes).with_context(|| damaged(key))?;
    let shape = Shape::parse(&segment.header.event_schema).with_context(|| damaged(key))?;
    let mut first = Micros(0);
    let walked = segment.walk(&shape, |sealed, _| {
        first = sealed.sealed_at;
        false
    });
    walked.map(|_| first).with_context(|| damaged(key))
}

pub fn damaged(key: &str) -> String {
    format!("{key} is damaged: run `sealog verify` on the archive")
}
