//! The view against what was sealed, and against archives that somebody has written to.

mod looks;

use std::sync::atomic::{AtomicI64, Ordering};

use runtime::SystemClock;
use schemas::{Hash, Place};
use store::memory::Memory;
use verifier::testing::{ChainBuilder, event, events, store_objects};

use super::*;
use crate::Error;

const ORIGIN: &str = "acme.example/audit/0";

fn memory(chain: &ChainBuilder) -> Arc<Memory> {
    let memory = Memory::new(Arc::new(SystemClock));
    store_objects(&chain.objects, &memory).unwrap();
    Arc::new(memory)
}

/// A time that stands still.
#[derive(Clone, Copy)]
struct At(i64);

impl Clock for At {
    fn wall(&self) -> Micros {
        self.boot()
    }

    fn boot(&self) -> Micros {
        Micros(self.0)
    }
}

/// Later than any look before.
fn later() -> At {
    static NOW: AtomicI64 = AtomicI64::new(0);
    At(NOW.fetch_add(2 * FRESH_US, Ordering::SeqCst))
}

/// A chain of segments that end at these sizes.
fn chain(cuts: &[u64]) -> ChainBuilder {
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    cuts.iter().fold(0, |first, size| {
        chain.seal(events(first..*size));
        *size
    });
    chain
}

fn file(view: &View, path: &str) -> Result<Option<Vec<u8>>> {
    view.file(Resource::parse(path).unwrap(), &later())
}

#[test]
fn entries_are_the_links_and_hash_to_the_leaves() {
    let chain = chain(&[1, 2, 200, 256, 300, 511, 700]);
    let view = View::open(memory(&chain), ORIGIN).unwrap();
    for resource in resources(700) {
        let Resource::Entries(part) = resource else { continue };
        let bundle = view.file(resource, &later()).unwrap().unwrap();
        let leaves = view.file(Resource::Tile { level: 0, part }, &later()).unwrap().unwrap();
        let first = part.index as usize * TILE_WIDTH;
        let records = &chain.records[first..first + part.width];
        assert_eq!(bundle.len(), part.width * (2 + LINK_BYTES));
        for ((entry, leaf), record) in bundle.chunks(2 + LINK_BYTES).zip(leaves.chunks(32)).zip(records) {
            assert_eq!(entry[..2], [0, LINK_BYTES as u8]);
            assert_eq!(entry[2..], record.link.to_bytes());
            assert_eq!(leaf, Hash::of(&[&[0], &entry[2..]]).bytes());
        }
    }
    assert_eq!(file(&view, "checkpoint").unwrap().unwrap(), chain.note(700));
}

#[test]
fn a_narrower_part_is_cut_from_what_is_there_and_nothing_more_is() {
    let view = View::open(memory(&chain(&[100, 300])), ORIGIN).unwrap();
    let full = file(&view, "tile/0/000").unwrap().unwrap();
    assert_eq!(file(&view, "tile/0/000.p/100").unwrap().unwrap(), full[..100 * 32]);
    let wide = file(&view, "tile/entries/001.p/44").unwrap().unwrap();
    assert_eq!(file(&view, "tile/entries/001.p/3").unwrap().unwrap(), wide[..3 * 86]);
    for beyond in [
        "tile/0/001",
        "tile/0/001.p/45",
        "tile/entries/001.p/45",
        "tile/entries/002.p/1",
        "tile/1/000",
        "tile/1/000.p/2",
        "tile/2/000.p/1",
        "tile/63/000.p/1",
        "tile/0/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(file(&view, beyond).unwrap(), None, "{beyond}");
    }
}

#[test]
fn it_grows_with_the_archive() {
    let (mut chain, memory) = (chain(&[100]), Arc::new(Memory::new(Arc::new(SystemClock))));
    store_objects(&chain.objects, memory.as_ref()).unwrap();
    let view = View::open(memory.clone(), ORIGIN).unwrap();
    let now = later();
    assert_eq!(view.newest(&now).unwrap().checkpoint.size, 100);
    let before = chain.objects.clone();
    chain.seal(events(100..300));
    for (key, bytes) in &chain.objects {
        if !before.contains_key(key) {
            memory.lay_over(key, bytes);
        }
    }
    assert_eq!(view.newest(&now).unwrap().checkpoint.size, 100, "not looked for again yet");
    assert_eq!(view.newest(&later()).unwrap().checkpoint.size, 300);
    assert!(
        file(&view, "tile/0/000").unwrap().is_some() && file(&view, "tile/0/000.p/100").unwrap().is_some()
    );
}

#[test]
fn what_does_not_lead_to_the_root_is_not_given() {
    let whole = chain(&[200, 600]);
    // A trees file with a hash that is not the link's, and a segment with another event, both well formed.
    let mut leaf = chain(&[200, 600]);
    leaf.change_trees(1, |trees| trees.completed[0].hashes[9] = Hash([9; 32]));
    let mut entry = chain(&[200, 600]);
    let mut records = entry.records_of(0).to_vec();
    records[7] = entry.records_of(0)[7].clone();
    records[7].event = event(999);
    entry.lay_segment(0, &records);
    for (spoilt, path, culprit) in
        [(&leaf, "tile/0/000", leaf.trees_key(1)), (&entry, "tile/entries/000", entry.segment_key(0))]
    {
        let view = View::open(memory(spoilt), ORIGIN).unwrap();
        let refused = file(&view, path).unwrap_err();
        assert!(matches!(refused, Error::Misfit { .. }), "{refused:?}");
        assert!(refused.to_string().contains(&culprit), "{refused}");
        // The right version is there too, below it.
        let memory = memory(&whole);
        for (key, bytes) in &spoilt.objects {
            if whole.objects[key] != *bytes {
                memory.lay_over(key, bytes);
            }
        }
        let view = View::open(memory, ORIGIN).unwrap();
        let right = View::open(self::memory(&whole), ORIGIN).unwrap();
        assert_eq!(file(&view, path).unwrap(), file(&right, path).unwrap());
    }
}

#[test]
fn a_checkpoint_without_its_tiles_is_not_served() {
    let mut chain = chain(&[200, 600]);
    chain.objects.remove(&chain.trees_key(1));
    let view = View::open(memory(&chain), ORIGIN).unwrap();
    let refused = file(&view, "checkpoint").unwrap_err();
    assert!(refused.to_string().contains(&chain.key(&Place::Trees(600))), "{refused}");
}

#[test]
fn where_the_newest_checkpoint_cannot_be_served_no_older_one_is() {
    let (mut chain, memory) = (chain(&[100]), Arc::new(Memory::new(Arc::new(SystemClock))));
    store_objects(&chain.objects, memory.as_ref()).unwrap();
    let view = View::open(memory.clone(), ORIGIN).unwrap();
    assert_eq!(view.newest(&later()).unwrap().checkpoint.size, 100);
    chain.seal(events(100..300));
    memory.lay_over(&chain.key(&Place::Checkpoint(300)), &chain.note(300));
    let now = later();
    for _ in 0..2 {
        assert!(view.newest(&now).is_err());
    }
    let tile = Resource::parse("tile/0/000.p/100").unwrap();
    assert!(view.file(tile, &now).unwrap().is_some(), "what is known to be right is");
    memory.lay_over(&chain.trees_key(1), &chain.objects[&chain.trees_key(1)]);
    assert_eq!(view.newest(&now).unwrap().checkpoint.size, 300);
}

#[test]
fn an_archive_shows_its_chains_below_their_origins() {
    let mut other = ChainBuilder::begin("acme.example/audit/10", 7);
    other.seal(events(0..3));
    let mut chain = chain(&[5]);
    chain.objects.extend(other.objects.clone());
    let origins = [ORIGIN, "acme.example/audit/10", "acme.example/audit/2"];
    let views = Views::new(memory(&chain), move || Ok(origins.map(str::to_owned).to_vec()));
    let now = later();
    let checkpoint = views.answer(&format!("/{ORIGIN}/checkpoint"), &now).unwrap().unwrap();
    assert_eq!(checkpoint, Answer { body: chain.note(5), is_text: true, is_immutable: false });
    let other = views.answer("/acme.example/audit/10/tile/entries/000.p/3", &now).unwrap().unwrap();
    assert_eq!((other.body.len(), other.is_text, other.is_immutable), (3 * 86, false, true));
    let list = views.answer("/", &now).unwrap().unwrap();
    assert_eq!(list.body, (origins.join("\n") + "\n").into_bytes());
    for nothing in [
        "",
        "/checkpoint",
        "/acme.example/audit/1/checkpoint",
        "/acme.example/audit/2/checkpoint",
        "/acme.example/audit/0/segments/x",
        "/acme.example/audit/0/../0/checkpoint",
    ] {
        assert_eq!(views.answer(nothing, &now).unwrap(), None, "{nothing}");
    }
}

#[test]
fn a_chain_that_is_opened_later_is_found_and_many_are_kept_open_in_turn() {
    let all: Vec<ChainBuilder> = (0..2 * views::MOST_OPEN)
        .map(|n| {
            let mut chain = ChainBuilder::begin(&format!("acme.example/audit/{n}"), 7);
            chain.seal(events(0..n as u64 + 1));
            chain
        })
        .collect();
    let memory = Arc::new(Memory::new(Arc::new(SystemClock)));
    all.iter().for_each(|chain| store_objects(&chain.objects, memory.as_ref()).unwrap());
    let shown = Arc::new(AtomicI64::new(1));
    let looks = Arc::new(AtomicI64::new(0));
    let (told, counted) = (shown.clone(), looks.clone());
    let views = Views::new(memory, move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok((0..told.load(Ordering::SeqCst)).map(|n| format!("acme.example/audit/{n}")).collect())
    });
    let ask = |n: usize, now: At| views.answer(&format!("/acme.example/audit/{n}/checkpoint"), &now).unwrap();
    let start = At(1);
    assert!(ask(0, start).is_some() && ask(1, start).is_none());
    shown.store(all.len() as i64, Ordering::SeqCst);
    assert!(ask(1, At(start.0 + views::LIST_AGAIN_US - 1)).is_none(), "not looked for again yet");
    let now = At(start.0 + views::LIST_AGAIN_US);
    for _ in 0..2 {
        for (n, chain) in all.iter().enumerate() {
            assert_eq!(ask(n, now).unwrap().body, chain.note(n as u64 + 1));
        }
    }
    assert_eq!(looks.load(Ordering::SeqCst), 2, "what is known is not looked for");
}
