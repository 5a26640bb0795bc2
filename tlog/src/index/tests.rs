//! What an index keeps when an archive does not fit any more, and what it leaves.
#![allow(clippy::single_range_in_vec_init, reason = "each range is a segment")]

use std::sync::Arc;

use redb::ReadableTableMetadata;
use runtime::SystemClock;
use schemas::Place;
use store::memory::Memory;
use tempfile::TempDir;
use verifier::testing::{ChainBuilder, event, events, store_objects};

use super::*;

const ORIGIN: &str = "acme.example/audit/0";

/// A chain whose segments are of these events.
fn chain(segments: &[std::ops::Range<u64>]) -> ChainBuilder {
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    for segment in segments {
        chain.seal(events(segment.clone()));
    }
    chain
}

fn archive(chain: &ChainBuilder) -> Memory {
    let memory = Memory::new(Arc::new(SystemClock));
    store_objects(&chain.objects, &memory).unwrap();
    memory
}

fn open(memory: &Memory) -> Chain {
    Chain::open(Arc::new(memory.clone()), ORIGIN).unwrap()
}

fn index() -> (TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), "here").unwrap();
    (folder, index)
}

fn seqs(index: &Index, chain: &Chain, id: &str) -> Vec<u64> {
    let found = index.find(std::slice::from_ref(chain), id).unwrap();
    found.into_iter().map(|found| found.seq.0).collect()
}

fn rows(index: &Index) -> u64 {
    let reading = index.database.begin_read().unwrap();
    reading.open_table(EVENTS).unwrap().len().unwrap()
}

#[test]
fn a_segment_that_does_not_fit_ends_what_is_indexed_and_takes_nothing_of_it_away() {
    let segments = [0..300, 300..700, 700..900];
    let whole = chain(&segments);
    let mut spoilt = chain(&segments);
    let mut records = spoilt.records_of(2).to_vec();
    records[5].event = event(9_000);
    spoilt.lay_segment(2, &records);
    // With the Checkpoint where the index ends, and where somebody has removed it.
    for is_note_there in [true, false] {
        let (_folder, index) = index();
        index.update(&open(&archive(&chain(&segments[..1])))).unwrap();
        let memory = archive(&spoilt);
        if !is_note_there {
            assert!(memory.remove(&whole.key(&Place::Checkpoint(700))));
        }
        let opened = open(&memory);
        for _ in 0..3 {
            let refused = index.update(&opened).unwrap_err();
            assert!(matches!(refused, IndexError::Archive(Error::Misfit { .. })), "{refused}");
            assert_eq!((index.covered(&opened).unwrap(), rows(&index)), (700, 700));
            // From here on it cannot be begun anew.
            let _ = memory.remove(&whole.segment_key(0));
        }
        memory.lay_over(&whole.segment_key(0), &whole.objects[&whole.segment_key(0)]);
        for seq in [5, 299, 300, 699] {
            assert_eq!(seqs(&index, &opened, &format!("e-{seq}")), [seq]);
        }
        // Once it is mended, it goes on from there.
        let mended = open(&archive(&whole));
        assert_eq!(index.update(&mended).unwrap(), Built { segments: 1, events: 200 });
        assert_eq!(seqs(&index, &mended, "e-899"), [899]);
    }
}

#[test]
fn nothing_is_left_of_a_history_that_another_took_the_place_of() {
    let (_folder, index) = index();
    let other_chain = {
        let mut other = ChainBuilder::begin("acme.example/audit/1", 7);
        other.seal(events(0..50));
        let memory = archive(&other);
        Chain::open(Arc::new(memory), "acme.example/audit/1").unwrap()
    };
    index.update(&open(&archive(&chain(&[0..300])))).unwrap();
    index.update(&other_chain).unwrap();
    assert_eq!(rows(&index), 350);
    // Of the same size; of more events, with a Checkpoint where the index ends, and without one.
    for segments in [&[1_000..1_300][..], &[2_000..2_300, 300..400], &[3_000..3_450], &[4_000..4_500, 0..100]]
    {
        let opened = open(&archive(&chain(segments)));
        let first = segments[0].start;
        index.update(&opened).unwrap();
        assert_eq!(rows(&index), opened.newest().unwrap().size + 50, "{segments:?}");
        assert_eq!(seqs(&index, &opened, &format!("e-{}", first + 7)), [7]);
        assert_eq!(seqs(&index, &opened, &format!("e-{}", first - 1_000 + 7)), [0; 0], "{segments:?}");
    }
    let found = index.find(std::slice::from_ref(&other_chain), "e-7").unwrap();
    assert_eq!(found.len(), 1, "another chain keeps what it has");
}
