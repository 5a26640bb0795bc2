//! Notes that are read while the archiver writes the chain's first ones.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime::SystemClock;
use schemas::{Signing, Tree, Vkey};

use super::*;
use crate::memory::Memory;
use crate::{Keep, Object, Page, Result, Retention, Tag, Version};

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

impl Store for Beginning {
    fn put_new(&self, key: &str, body: &[u8], keep: Keep) -> Result<Version> {
        self.store.put_new(key, body, keep)
    }

    fn replace_if(&self, key: &str, expected: Option<&Tag>, body: &[u8], keep: Keep) -> Result<Version> {
        self.store.replace_if(key, expected, body, keep)
    }

    fn get(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        self.read();
        self.store.get(key, version, range, max_bytes)
    }

    fn retention(&self) -> Option<Retention> {
        self.store.retention()
    }

    fn list(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page> {
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

#[test]
fn the_checkpoint_of_one_size_is_opened_or_missing_or_refused() {
    let store = Memory::new(Arc::new(SystemClock));
    first_notes().iter().for_each(|(key, note)| drop(store.lay_over(key, note.as_bytes())));
    let notes = Notes::read(&store, ORIGIN).unwrap();
    let at = |size| notes.checkpoint_at(&store, ORIGIN, size);
    assert_eq!(at(0).unwrap(), notes.newest);
    assert_eq!(at(5).unwrap(), None);
    store.lay_over(&Layout::of(ORIGIN).key(&Place::Checkpoint(5)), first_notes()[1].1.as_bytes());
    assert!(at(5).unwrap_err().to_string().contains("another size"));
}
