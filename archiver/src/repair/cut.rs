//! A segment and its trees: the versions of both that fit each other and the Checkpoint at their end. The Checkpoint is
//! signed and binds every link; the trees hold the SHA-256 of the segment's bytes, which alone nobody signed. So trees
//! are right if the segment that they name is there and holds the very links that the Checkpoint covers.

use runtime::Failure;
use schemas::event::{EVENT_SCHEMA, event_schema_hash, event_shape};
use schemas::{Checkpoint, Hash, Hashing, Layout, Place, SegmentFile, Seq, Tiles, Trees};
use store::{Entry, Kind, MAX_TREES_BYTES, Store, read_trees, trees_fit, versions};

use super::find::{Finding, Right};

/// No segment is read that is larger: what one write to a store takes.
const MAX_SEGMENT_BYTES: u64 = 5 << 30;
/// Hashed in parts of this size.
const PART_BYTES: u64 = 8 << 20;

/// The pair that fits, with all versions of both keys.
pub(super) struct Cut {
    pub trees: Right,
    pub trees_versions: Vec<Entry>,
    pub segment: Right,
    pub segment_versions: Vec<Entry>,
}

impl Cut {
    /// The newest pair that fits at `size`. None: there is none.
    pub(super) fn find(finding: &Finding<'_>, size: u64) -> Result<Option<Cut>, Failure> {
        let (store, chain) = (finding.store, finding.chain());
        let Some(checkpoint) = finding.notes.checkpoint_at(store, chain, size)? else { return Ok(None) };
        let first_seq = finding.signed_before(size)?.unwrap_or(0);
        let trees_versions = versions::of_key(store, &finding.layout.key(&Place::Trees(size)))?;
        for entry in &trees_versions {
            let of_this_version = std::slice::from_ref(entry);
            let trees = versions::fitting_of(store, of_this_version, MAX_TREES_BYTES, |object| {
                let (_, trees) = trees_fit(&object.bytes, &checkpoint).ok()?;
                (trees.first_seq.0 == first_seq).then_some(trees)
            });
            let Some((object, trees)) = passed_over(trees)? else { continue };
            let segment_versions =
                versions::of_key(store, &format!("{}{}", finding.layout.root(), trees.segment_key))?;
            if let Some(segment) = fitting_segment(finding, &segment_versions, &trees, &checkpoint)? {
                return Ok(Some(Cut {
                    trees: Right::of(&object),
                    trees_versions,
                    segment,
                    segment_versions,
                }));
            }
        }
        Ok(None)
    }
}

/// The newest version of the segment that these trees name and that holds what the Checkpoint covers.
fn fitting_segment(
    finding: &Finding<'_>,
    versions: &[Entry],
    trees: &Trees,
    checkpoint: &Checkpoint,
) -> Result<Option<Right>, Failure> {
    for entry in versions.iter().filter(|entry| !entry.delete_marker) {
        if passed_over(sha256_of(finding.store, entry).map(Some))? != Some(trees.segment_sha256) {
            continue;
        }
        let of_this_version = std::slice::from_ref(entry);
        let whole = versions::fitting_of(finding.store, of_this_version, MAX_SEGMENT_BYTES, |object| {
            leaves_of(&object.bytes, finding, trees, checkpoint)
        });
        let Some((object, leaves)) = passed_over(whole)? else { continue };
        let mut tiles = match trees.first_seq {
            Seq(0) => Tiles::new(),
            Seq(size) => match finding.notes.checkpoint_at(finding.store, finding.chain(), size)? {
                Some(before) => read_trees(finding.store, &before)?.0,
                None => continue,
            },
        };
        leaves.into_iter().for_each(|leaf| tiles.push(leaf));
        if tiles.size() == checkpoint.size
            && tiles.tree().root() == checkpoint.root
            && tiles.take_completed() == trees.completed
        {
            return Ok(Some(Right::of(&object)));
        }
    }
    Ok(None)
}

/// The hashes of the links in a segment that stands where these trees say and is in the one form that a segment has, but
/// for the spelling of its deflate streams.
fn leaves_of(
    bytes: &[u8],
    finding: &Finding<'_>,
    trees: &Trees,
    checkpoint: &Checkpoint,
) -> Option<Vec<Hash>> {
    let file = SegmentFile::parse(bytes).ok()?;
    let header = &file.header;
    let signed = finding.notes.open(checkpoint.size, header.checkpoint.as_bytes()).ok()?;
    let is_ours = header.event_schema == EVENT_SCHEMA
        && Layout::of(&header.origin) == finding.layout
        && header.first_seq == trees.first_seq
        && signed == *checkpoint;
    let (mut leaves, mut place, mut fits, schema) = (Vec::new(), None, is_ours, event_schema_hash());
    file.walk(event_shape(), |sealed, _| {
        let hash = sealed.link(&schema).hash();
        fits &= sealed.hash == hash;
        if place.is_none() {
            fits &= sealed.prev == header.first_prev;
            place = Some(Place::segment(sealed.sealed_at, sealed.seq));
        }
        leaves.push(hash);
        fits
    })
    .ok()?;
    let stands_there = place.is_some_and(|place| place.path() == trees.segment_key);
    (fits && stands_there && leaves.last() == Some(&header.last_hash)).then_some(leaves)
}

fn sha256_of(store: &dyn Store, entry: &Entry) -> store::Result<Hash> {
    let (mut hashing, mut start) = (Hashing::default(), 0);
    while start < entry.size_bytes {
        let end = (start + PART_BYTES).min(entry.size_bytes);
        let part = store.get(&entry.key, Some(&entry.version), Some(start..end), PART_BYTES)?;
        hashing.update(&part.bytes);
        start = end;
    }
    Ok(hashing.finish())
}

/// A version that is gone or may not be read does not fit.
fn passed_over<T>(read: store::Result<Option<T>>) -> Result<Option<T>, Failure> {
    match read {
        Err(error) if matches!(error.kind(), Kind::Missing | Kind::Refused | Kind::TooLarge) => Ok(None),
        other => Ok(other?),
    }
}
