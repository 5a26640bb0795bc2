//! Notes that are read while the archiver writes the chain's first ones, and under what somebody laid over them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use runtime::SystemClock;
use schemas::{Signing, Tree, Vkey};

use super::*;
use crate::memory::{Between, Memory};
use crate::{Keep, Listing, Object, Page, Result, Version};

const ORIGIN: &str = "acme.example/audit/0";

fn signing() -> Signing {
    Signing::from_seed(&[7; 32])
}

fn vkey() -> Vkey {
    signing().vkey(ORIGIN)
}

/// A chain's first notes: where each stands and what it says.
fn first_notes() -> [(String, String); 3] {
    let layout = Layout::of(ORIGIN);
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 0, root: Tree::new().root() };
    let signed = checkpoint.sign(&signing());
    let key_note = KeyNote { first_size: 0, vkey: vkey() }.sign(&signing(), None);
    [
        (layout.key(&Place::Key(0)), key_note),
        (layout.key(&Place::Checkpoint(0)), signed.clone()),
        (layout.key(&Place::Hint), signed),
    ]
}

/// An archive in which the first notes appear while it is read: the key note before the `key_at`th call of a verb
/// that reads, the others before the `rest_at`th.
struct Beginning {
    store: Memory,
    calls: AtomicUsize,
    key_at: usize,
    rest_at: usize,
}

impl Beginning {
    fn read(&self) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let notes = first_notes();
        let put = |(key, note): &(String, String)| drop(self.store.lay_over(key, note.as_bytes()));
        if call == self.key_at {
            put(&notes[0]);
        }
        if call == self.rest_at {
            notes[1..].iter().for_each(put);
        }
    }
}

impl Between for Beginning {
    fn below(&self) -> &Memory {
        &self.store
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        self.read();
        self.store.get(key, version, range, max_bytes)
    }

    fn list_between(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page> {
        self.read();
        self.store.list(prefix, after, listing)
    }
}

#[test]
fn whoever_reads_beside_the_first_writes_finds_a_key_for_every_checkpoint() {
    const CALLS: usize = 8;
    let mut seen = [0, 0];
    for key_at in 0..CALLS {
        for rest_at in key_at..CALLS {
            let store = Memory::new(Arc::new(SystemClock));
            let store = Beginning { store, calls: AtomicUsize::new(0), key_at, rest_at };
            let notes = Notes::read(&store, ORIGIN)
                .unwrap_or_else(|why| panic!("key before call {key_at}, the rest before {rest_at}: {why}"));
            if let Some(newest) = &notes.newest {
                assert_eq!((newest.size, notes.key_at(0)), (0, Some(&vkey())));
            }
            seen[usize::from(notes.newest.is_some())] += 1;
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "some readers come before the Checkpoint, some after: {seen:?}");
}

/// A chain with Checkpoints of these sizes; the hint is at the first of them.
fn with_checkpoints(sizes: &[u64]) -> Memory {
    let (store, layout) = (Memory::new(Arc::new(SystemClock)), Layout::of(ORIGIN));
    let put = |place, note: &str| drop(store.put_new(&layout.key(&place), note.as_bytes(), Keep::Evidence));
    put(Place::Key(0), &first_notes()[0].1);
    sizes.iter().for_each(|size| put(Place::Checkpoint(*size), &signed(*size, [0; 32])));
    put(Place::Hint, &signed(sizes[0], [0; 32]));
    store
}

fn signed(size: u64, root: [u8; 32]) -> String {
    Checkpoint { origin: ORIGIN.to_owned(), size, root: schemas::Hash(root) }.sign(&signing())
}

fn key(place: &Place) -> String {
    Layout::of(ORIGIN).key(place)
}

fn newest(store: &dyn Store) -> u64 {
    Notes::read(store, ORIGIN).unwrap().newest.unwrap().size
}

/// Somebody else's note for the first key.
fn a_strangers_key() -> String {
    let stranger = Signing::from_seed(&[8; 32]);
    KeyNote { first_size: 0, vkey: stranger.vkey(ORIGIN) }.sign(&stranger, None)
}

#[test]
fn the_checkpoint_of_one_size_is_opened_or_is_not_there() {
    let store = with_checkpoints(&[0, 5]);
    let notes = Notes::read(&store, ORIGIN).unwrap();
    let at = |size| notes.checkpoint_at(&store, ORIGIN, size).unwrap();
    assert_eq!((at(5), at(6)), (notes.newest.clone(), None));
    store.lay_over(&key(&Place::Checkpoint(5)), signed(0, [0; 32]).as_bytes());
    store.hide(&key(&Place::Checkpoint(5)));
    assert_eq!(at(5), notes.newest, "under one of another size and a delete marker");
    store.lay_over(&key(&Place::Checkpoint(6)), signed(0, [0; 32]).as_bytes());
    assert_eq!(at(6), None, "one of another size is none of this");
}

#[test]
fn junk_and_delete_markers_over_notes_neither_mislead_nor_halt() {
    let places = [Place::Key(0), Place::Checkpoint(7), Place::Hint];
    type Lay<'a> = &'a dyn Fn(&Memory, &str);
    let over: [(&str, Lay<'_>); 5] = [
        ("junk", &|store, key| drop(store.lay_over(key, b"junk"))),
        ("much of it", &|store, key| drop(store.lay_over(key, &[b'x'; 1 << 20]))),
        ("a delete marker", &|store, key| drop(store.hide(key))),
        ("an unsigned note", &|store, key| {
            let unsigned = signed(9, [1; 32]).replace("— ", "— x");
            store.lay_over(key, unsigned.as_bytes());
        }),
        ("all of that", &|store, key| {
            store.lay_over(key, b"junk");
            store.hide(key);
            store.lay_over(key, signed(0, [0; 32]).as_bytes());
            store.hide(key);
        }),
    ];
    for (what, lay) in over {
        for place in &places {
            let store = with_checkpoints(&[0, 3, 7]);
            lay(&store, &key(place));
            let notes =
                Notes::read(&store, ORIGIN).unwrap_or_else(|why| panic!("{what} over {place:?}: {why}"));
            assert_eq!(notes.newest.as_ref().map(|newest| newest.size), Some(7), "{what} over {place:?}");
            assert_eq!(notes.key_at(7), Some(&vkey()));
            let hidden = if *place == Place::Hint { vec![] } else { vec![key(place)] };
            assert_eq!(notes.hidden, hidden, "{what} over {place:?}");
        }
        let store = with_checkpoints(&[0, 3, 7]);
        places.iter().for_each(|place| lay(&store, &key(place)));
        assert_eq!(newest(&store), 7, "{what} over all of them");
    }
}

#[test]
fn names_that_nobody_signed_are_passed_over() {
    let store = with_checkpoints(&[0, 3]);
    for size in [1, 4, 1 << 40] {
        store.lay_over(&key(&Place::Checkpoint(size)), b"junk");
    }
    for size in [2, 500] {
        store.lay_over(&key(&Place::Key(size)), a_strangers_key().as_bytes());
    }
    store.lay_over(&format!("{ORIGIN}/checkpoints/zzz"), b"junk");
    store.lay_over(&format!("{ORIGIN}/keys/zzz"), b"junk");
    assert_eq!(newest(&store), 3);
    // The hint leads to one of them.
    store.lay_over(&key(&Place::Hint), signed(1 << 40, [0; 32]).as_bytes());
    assert_eq!(newest(&store), 3);
    store.lay_over(&key(&Place::Hint), signed(1 << 41, [0; 32]).as_bytes());
    assert_eq!(newest(&store), 3);
    assert_eq!(Notes::read(&store, ORIGIN).unwrap().keys.len(), 1);
}

#[test]
fn the_first_key_is_the_one_that_stood_there_first() {
    let store = with_checkpoints(&[0, 3]);
    store.lay_over(&key(&Place::Key(0)), a_strangers_key().as_bytes());
    let notes = Notes::read(&store, ORIGIN).unwrap();
    assert_eq!((notes.keys.len(), notes.key_at(3)), (1, Some(&vkey())));
    assert_eq!(notes.hidden, [key(&Place::Key(0))]);
    assert_eq!(notes.newest.unwrap().size, 3);
}

#[test]
fn what_nobody_signed_is_kept_in_mind_until_it_may_be_signed() {
    let (store, mut unsigned) = (with_checkpoints(&[0, 3]), Unsigned::default());
    let next = Signing::from_seed(&[9; 32]);
    let early = Checkpoint { origin: ORIGIN.to_owned(), size: 9, root: schemas::Hash([0; 32]) }.sign(&next);
    store.lay_over(&key(&Place::Checkpoint(9)), early.as_bytes());
    store.lay_over(&key(&Place::Checkpoint(12)), b"junk");
    let mut newest = || Notes::read_again(&store, ORIGIN, &mut unsigned).unwrap().newest.unwrap().size;
    assert_eq!((newest(), newest()), (3, 3));
    // The right one is laid over junk.
    store.lay_over(&key(&Place::Checkpoint(9)), signed(9, [0; 32]).as_bytes());
    assert_eq!((newest(), newest()), (9, 9));
    store.lay_over(&key(&Place::Checkpoint(12)), signed(12, [0; 32]).as_bytes());
    assert_eq!((newest(), newest()), (12, 12));

    // What was signed by a key that nobody knew.
    let (store, mut unsigned) = (with_checkpoints(&[0, 3]), Unsigned::default());
    store.lay_over(&key(&Place::Checkpoint(9)), early.as_bytes());
    let mut newest = || Notes::read_again(&store, ORIGIN, &mut unsigned).unwrap().newest.unwrap().size;
    assert_eq!((newest(), newest()), (3, 3));
    let note = KeyNote { first_size: 5, vkey: next.vkey(ORIGIN) }.sign(&next, Some(&signing()));
    store.lay_over(&key(&Place::Key(5)), note.as_bytes());
    assert_eq!((newest(), newest()), (9, 9));
}

#[test]
fn two_checkpoints_of_one_size_under_one_key_halt() {
    let store = with_checkpoints(&[0, 3]);
    store.lay_over(&key(&Place::Checkpoint(3)), signed(3, [0; 32]).as_bytes());
    assert_eq!(newest(&store), 3, "the same once more is nothing");
    store.lay_over(&key(&Place::Checkpoint(3)), signed(3, [1; 32]).as_bytes());
    let failure = runtime::Failure::from(Notes::read(&store, ORIGIN).unwrap_err());
    let runtime::Failure::Halt(why) = failure else { panic!("it goes on") };
    assert!(why.contains("both are signed") && why.contains("checkpoints/"), "{why}");
}

#[test]
fn an_archive_without_a_note_that_is_one_is_no_empty_archive() {
    let store = Memory::new(Arc::new(SystemClock));
    let why = || Notes::read(&store, ORIGIN).map(|notes| notes.keys.len()).unwrap_err().to_string();
    store.lay_over(&key(&Place::Checkpoint(3)), signed(3, [0; 32]).as_bytes());
    assert!(why().contains("no key note says who may sign it"), "{}", why());
    store.lay_over(&key(&Place::Key(0)), b"junk");
    assert!(why().contains("keys/"), "{}", why());
    let store = with_checkpoints(&[3]);
    assert!(store.damage(&key(&Place::Checkpoint(3)), |note| note[0] ^= 1));
    let notes = Notes::read(&store, ORIGIN).unwrap();
    assert_eq!((notes.newest, notes.keys.len()), (None, 1), "it has begun");
    assert_eq!(notes.hidden, [key(&Place::Checkpoint(3))]);
}

#[test]
fn what_a_delete_marker_hides_is_listed_all_the_same() {
    let store = with_checkpoints(&[0, 3, 7]);
    store.hide(&key(&Place::Checkpoint(3)));
    store.hide(&key(&Place::Checkpoint(4)));
    let checkpoints = Layout::of(ORIGIN).checkpoints();
    let sizes = [0, 3, 7].map(|size| key(&Place::Checkpoint(size)));
    assert_eq!(keys_after(&store, &checkpoints, "").unwrap(), sizes);
    assert_eq!(keys_after(&store, &checkpoints, &sizes[0]).unwrap(), sizes[1..]);
}

#[test]
fn what_nobody_tampered_with_is_read_in_five_requests() {
    let all: Vec<u64> = (0..100).collect();
    let store = Beginning {
        store: with_checkpoints(&all),
        calls: AtomicUsize::new(0),
        key_at: usize::MAX,
        rest_at: usize::MAX,
    };
    assert_eq!(newest(&store), 99);
    assert_eq!(store.calls.load(Ordering::SeqCst), 5, "the hint, two lists, a key, a Checkpoint");
}

/// A store that does not find what it lists, until it is told to.
struct Forgetful {
    store: Memory,
    forgets: AtomicBool,
}

impl Between for Forgetful {
    fn below(&self) -> &Memory {
        &self.store
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        if self.forgets.load(Ordering::SeqCst) && key.ends_with(&format!("{:020}.note", 20)) {
            return Err(Error::new(Kind::Missing, key, "it is not there now"));
        }
        self.store.get(key, version, range, max_bytes)
    }
}

#[test]
fn a_note_that_was_not_found_once_is_no_unsigned_one() {
    let store = Forgetful { store: with_checkpoints(&[10, 20]), forgets: AtomicBool::new(true) };
    let mut unsigned = Unsigned::default();
    let newest = |notes: Notes| notes.newest.unwrap().size;
    assert_eq!(newest(Notes::read_again(&store, ORIGIN, &mut unsigned).unwrap()), 10);
    store.forgets.store(false, Ordering::SeqCst);
    assert_eq!(newest(Notes::read_again(&store, ORIGIN, &mut unsigned).unwrap()), 20);
}
