//! A segment and its trees: the versions of both that fit each other and the Checkpoint at their end. The Checkpoint is
//! signed and binds every link; the trees hold the SHA-256 of the segment's bytes, which alone nobody signed. So trees
//! are right if the segment that they name is there and holds the very links that the Checkpoint covers.

use schemas::event::{EVENT_SCHEMA, event_schema_hash, event_shape};
use schemas::{Checkpoint, Hash, Hashing, Layout, Place, SegmentFile, Seq, Tiles, Trees};
use store::{
    Entry, Error, Kind, MAX_TREES_BYTES, Notes, Object, Result, Store, Version, trees_fit, versions,
};

/// No segment is read that is larger: what one write to a store takes.
const MAX_SEGMENT_BYTES: u64 = 5 << 30;
/// Hashed in parts of this size.
const PART_BYTES: u64 = 8 << 20;

/// A chain as the notes in its archive speak of it.
pub(crate) struct Signed<'a> {
    pub store: &'a dyn Store,
    pub origin: String,
    pub layout: Layout,
    pub notes: Notes,
    /// Of the names in checkpoints/, rising. Not all of them need be signed.
    pub sizes: Vec<u64>,
}

/// The signed Checkpoint that is nearest to some place.
pub(crate) struct Nearest {
    /// Its size. None: none is known to be signed.
    pub size: Option<u64>,
    /// Sizes that were passed over on the way because nothing is known of their notes, and why. Whoever finds nothing
    /// that fits has to say so: it may be because of them.
    pub unknown: Vec<(u64, Error)>,
}

/// What nobody can read is passed over like what nobody signed: anybody can put it at any name.
const UNREADABLE: &[Kind] = &[Kind::Missing, Kind::Refused, Kind::TooLarge];

impl Signed<'_> {
    /// The first signed Checkpoint that covers this seq.
    pub(crate) fn after(&self, seq: u64) -> Result<Nearest> {
        let after = self.sizes.partition_point(|size| *size <= seq);
        self.first_of(self.sizes[after..].iter(), UNREADABLE)
    }

    /// The last signed Checkpoint before this one: where its segment begins.
    pub(crate) fn before(&self, size: u64) -> Result<Nearest> {
        self.first_of(self.below(size).iter().rev(), UNREADABLE)
    }

    /// The last Checkpoint before this one that is known to be signed, whatever is buried between them.
    pub(crate) fn known_before(&self, size: u64) -> Result<Nearest> {
        let passes = [UNREADABLE, &[Kind::Crowded]].concat();
        self.first_of(self.below(size).iter().rev(), &passes)
    }

    fn below(&self, size: u64) -> &[u64] {
        &self.sizes[..self.sizes.partition_point(|other| *other < size)]
    }

    fn first_of<'a>(&self, sizes: impl Iterator<Item = &'a u64>, passes: &[Kind]) -> Result<Nearest> {
        let mut unknown = Vec::new();
        for size in sizes {
            match self.notes.checkpoint_at(self.store, &self.origin, *size) {
                Ok(Some(_)) => return Ok(Nearest { size: Some(*size), unknown }),
                Ok(None) => {}
                Err(why) if passes.contains(&why.kind()) => unknown.push((*size, why)),
                Err(why) => return Err(why),
            }
        }
        Ok(Nearest { size: None, unknown })
    }
}

/// A version that fits.
pub(crate) struct Right {
    pub version: Version,
    pub sha256: Hash,
    pub size_bytes: u64,
}

impl Right {
    pub(crate) fn of(object: &Object) -> Right {
        let (version, sha256) = (object.version.clone(), Hash::of(&[&object.bytes]));
        Right { version, sha256, size_bytes: object.size_bytes }
    }
}

/// The pair that fits, with all versions of both keys.
pub(crate) struct Cut {
    pub trees: Right,
    pub trees_versions: Vec<Entry>,
    pub segment: Right,
    pub segment_versions: Vec<Entry>,
    /// Sizes between its ends of whose notes nothing is known, and why.
    pub unknown: Vec<(u64, Error)>,
}

impl Cut {
    /// The newest pair that fits at `size`, both of them such as `is_held` wants. None: there is none. `Crowded`: none was
    /// found, and there may be versions that were not looked into. `Refused`: none was found, and there is a note that
    /// may not be read where it may begin.
    pub(crate) fn find(
        signed: &Signed<'_>,
        size: u64,
        is_held: &dyn Fn(&Object) -> bool,
    ) -> Result<Option<Cut>> {
        let store = signed.store;
        let Some(checkpoint) = signed.notes.checkpoint_at(store, &signed.origin, size)? else {
            return Ok(None);
        };
        let Nearest { size: before, unknown } = signed.before(size)?;
        let first_seq = before.unwrap_or(0);
        let trees_versions = versions::of_key(store, &signed.layout.key(&Place::Trees(size)))?;
        let mut all_seen = versions::check_whole(&trees_versions);
        for entry in &trees_versions {
            let of_this_version = std::slice::from_ref(entry);
            let trees = versions::fitting_of(store, of_this_version, MAX_TREES_BYTES, |object| {
                let (_, trees) = trees_fit(&object.bytes, &checkpoint).ok()?;
                // Whoever makes trees up may name anything.
                let names_it = matches!(Place::parse(&trees.segment_key),
                    Some(Place::Segment { first_seq, .. }) if first_seq == trees.first_seq);
                (names_it && trees.first_seq.0 == first_seq && is_held(object)).then_some(trees)
            });
            let Some((object, trees)) = passed_over(trees)? else { continue };
            let segment_versions =
                versions::of_key(store, &format!("{}{}", signed.layout.root(), trees.segment_key))?;
            match fitting_segment(signed, &segment_versions, &trees, &checkpoint, is_held) {
                Ok(None) => {}
                // Trees that somebody laid over the right ones name what he likes: those below may lead somewhere.
                Err(error) if error.kind() == Kind::Crowded => all_seen = all_seen.and(Err(error)),
                found => {
                    return Ok(found?.map(|segment| Cut {
                        trees: Right::of(&object),
                        trees_versions,
                        segment,
                        segment_versions,
                        unknown,
                    }));
                }
            }
        }
        // It may begin at one of those that could not be read.
        all_seen.and(unknown.into_iter().next().map_or(Ok(None), |(_, why)| Err(why)))
    }
}

/// The newest version of the segment that these trees name and that holds what the Checkpoint covers.
fn fitting_segment(
    signed: &Signed<'_>,
    versions: &[Entry],
    trees: &Trees,
    checkpoint: &Checkpoint,
    is_held: &dyn Fn(&Object) -> bool,
) -> Result<Option<Right>> {
    for entry in versions.iter().filter(|entry| !entry.delete_marker) {
        if passed_over(sha256_of(signed.store, entry).map(Some))? != Some(trees.segment_sha256) {
            continue;
        }
        let of_this_version = std::slice::from_ref(entry);
        let whole = versions::fitting_of(signed.store, of_this_version, MAX_SEGMENT_BYTES, |object| {
            leaves_of(&object.bytes, signed, trees, checkpoint).filter(|_| is_held(object))
        });
        let Some((object, leaves)) = passed_over(whole)? else { continue };
        let mut tiles = match trees.first_seq {
            Seq(0) => Tiles::new(),
            Seq(size) => match signed.notes.checkpoint_at(signed.store, &signed.origin, size)? {
                None => continue,
                Some(before) => match tiles_at(signed, &before)? {
                    Some(tiles) => tiles,
                    // Without them nothing says that the links before it are those of the chain.
                    None => continue,
                },
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
    versions::check_whole(versions).map(|()| None)
}

/// The tree at this Checkpoint.
fn tiles_at(signed: &Signed<'_>, checkpoint: &Checkpoint) -> Result<Option<Tiles>> {
    let key = signed.layout.key(&Place::Trees(checkpoint.size));
    let trees = versions::fitting(signed.store, &key, MAX_TREES_BYTES, |object| {
        Some(trees_fit(&object.bytes, checkpoint).ok()?.0)
    });
    Ok(passed_over(trees)?.map(|(_, tiles)| tiles))
}

/// The hashes of the links in a segment that stands where these trees say and is in the one form that a segment has, but
/// for the spelling of its deflate streams.
fn leaves_of(bytes: &[u8], chain: &Signed<'_>, trees: &Trees, checkpoint: &Checkpoint) -> Option<Vec<Hash>> {
    let file = SegmentFile::parse(bytes).ok()?;
    let header = &file.header;
    let signed = chain.notes.open(checkpoint.size, header.checkpoint.as_bytes()).ok()?;
    let is_ours = header.event_schema == EVENT_SCHEMA
        && Layout::of(&header.origin) == chain.layout
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

fn sha256_of(store: &dyn Store, entry: &Entry) -> Result<Hash> {
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
pub(crate) fn passed_over<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(error) if UNREADABLE.contains(&error.kind()) => Ok(None),
        other => other,
    }
}
