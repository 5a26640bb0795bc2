//! The archives that are read: one chain of 70,000 events in segments of many sizes, as it stood at each of its sizes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use schemas::{Checkpoint, Place, Vkey};
use store::directory::{Directory, Options};
use verifier::testing::{ChainBuilder, Objects, events, store_objects};

pub const ORIGIN: &str = "acme.example/audit/0";
/// Around every edge of a tile: of leaves, and of tiles of leaves.
pub const SIZES: [u64; 7] = [0, 1, 255, 256, 257, 65_536, 70_000];
/// Where its segments end.
const CUTS: [u64; 10] = [1, 100, 255, 256, 257, 20_000, 40_001, 65_536, 66_000, 70_000];

/// All of it.
pub fn whole() -> &'static ChainBuilder {
    static WHOLE: OnceLock<ChainBuilder> = OnceLock::new();
    WHOLE.get_or_init(|| chain(&CUTS))
}

/// A chain of three segments, 700 events.
pub fn small() -> ChainBuilder {
    chain(&[10, 300, 700])
}

fn chain(cuts: &[u64]) -> ChainBuilder {
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    cuts.iter().fold(0, |first, size| {
        chain.seal(events(first..*size));
        *size
    });
    chain
}

/// The archive when the chain had that size.
pub fn archive_of(size: u64) -> Objects {
    let root = format!("{ORIGIN}/");
    let was_there = |key: &str| match Place::parse(key.strip_prefix(&root).unwrap()).unwrap() {
        Place::Segment { first_seq, .. } => first_seq.0 < size,
        Place::Trees(end) | Place::Checkpoint(end) => end <= size,
        _ => true,
    };
    let objects = whole().objects.iter().filter(|(key, _)| was_there(key));
    let mut objects: Objects = objects.map(|(key, bytes)| (key.clone(), bytes.clone())).collect();
    objects.insert(whole().key(&Place::Hint), whole().note(size));
    objects
}

/// Writes it into a new folder.
pub fn stored(folder: &Path, objects: &Objects) -> PathBuf {
    let store = Directory::open(folder, Options { make_root: true }).unwrap();
    store_objects(objects, &store).unwrap();
    folder.to_owned()
}

/// The file of one line that stock tools take a key from.
pub fn vkey_file(path: &Path, vkey: &Vkey) -> PathBuf {
    fs::write(path, vkey.to_string()).unwrap();
    path.to_owned()
}

/// Size and root, as the checker says them.
pub fn in_words(checkpoint: &Checkpoint) -> String {
    checkpoint.text().lines().skip(1).collect::<Vec<_>>().join(" ")
}
