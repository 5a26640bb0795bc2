//! The end of a chain is found under whatever lies over it.

use std::sync::Arc;

use runtime::SystemClock;
use schemas::{KeyNote, Seq, Signing};

use super::*;
use crate::Keep;
use crate::memory::Memory;

const ORIGIN: &str = "acme.example/audit/0";

/// The trees of one segment from `first` to `size`, and the Checkpoint there.
fn trees(first: u64, size: u64) -> (Trees, Checkpoint) {
    let mut tiles = Tiles::new();
    for n in 0..size {
        if n == first {
            tiles.take_completed();
        }
        tiles.push(Hash::of(&[&n.to_be_bytes()]));
    }
    let completed = tiles.take_completed();
    let mut partial = tiles.partial().to_vec();
    while partial.last().is_some_and(Vec::is_empty) {
        partial.pop();
    }
    let segment_key = "segments/date=2026-11-21/00000000000000000000.avro".to_owned();
    let segment_sha256 = Hash([1; 32]);
    let trees = Trees { first_seq: Seq(first), size, segment_key, segment_sha256, completed, partial };
    (trees, Checkpoint { origin: ORIGIN.to_owned(), size, root: tiles.tree().root() })
}

/// An archive that ends with them.
fn archive(first: u64, size: u64) -> (Memory, Trees) {
    let (store, signing, layout) =
        (Memory::new(Arc::new(SystemClock)), Signing::from_seed(&[7; 32]), Layout::of(ORIGIN));
    let (trees, checkpoint) = trees(first, size);
    let put = |place, bytes: &[u8]| drop(store.put_new(&layout.key(&place), bytes, Keep::Evidence).unwrap());
    let key = KeyNote { first_size: 0, vkey: signing.vkey(ORIGIN) };
    put(Place::Key(0), key.sign(&signing, None).as_bytes());
    put(Place::Trees(size), &trees.to_bytes());
    put(Place::Checkpoint(size), checkpoint.sign(&signing).as_bytes());
    (store, trees)
}

fn trees_key(size: u64) -> String {
    Layout::of(ORIGIN).key(&Place::Trees(size))
}

#[test]
fn trees_fit_by_their_root_whatever_lies_over_them() {
    for (first, size) in [(0, 1), (0, 256), (255, 512), (300, 70_000), (65_536, 65_792)] {
        let (store, trees) = archive(first, size);
        let is_found = |over: &str| {
            let tail = Tail::read(&store, ORIGIN).unwrap().unwrap();
            assert_eq!(tail.tiles.size(), size, "{over}");
            assert_eq!(tail.last_hash, Hash::of(&[&(size - 1).to_be_bytes()]), "{over}");
            assert_eq!(tail.trees.as_ref(), Some(&trees), "{over}");
        };
        is_found("nothing");
        store.lay_over(&trees_key(size), b"junk");
        is_found("junk");
        let mut other = trees.clone();
        match other.completed.first_mut() {
            // The partial tiles are the right ones, and so is the root over them.
            Some(tile) => tile.hashes[9] = Hash([9; 32]),
            None => other.partial[0][0] = Hash([9; 32]),
        }
        store.lay_over(&trees_key(size), &other.to_bytes());
        is_found("another leaf");
        store.hide(&trees_key(size));
        is_found("a delete marker");
    }
}

#[test]
fn where_no_trees_fit_it_says_why() {
    let (store, _) = archive(0, 300);
    assert!(store.remove(&trees_key(300)));
    let why = || Tail::read(&store, ORIGIN).unwrap_err().to_string();
    assert!(why().contains("no such object"), "{}", why());
    store.lay_over(&trees_key(300), &trees(0, 299).0.to_bytes());
    assert!(why().contains("another size"), "{}", why());
    store.lay_over(&trees_key(300), b"SLT1");
    assert!(why().contains("trees/") && why().contains("sealog verify"), "{}", why());
}
