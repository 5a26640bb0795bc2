//! What is laid, or sent, to lead a reader astray or to keep it busy: it costs a bounded effort, and what is right is found.

use std::sync::Arc;

use schemas::{AuditEvent, Micros, Place, SegmentFile, Seq};
use store::Kind;
use store::memory::Memory;
use tlog::{Chain, Error};
use verifier::testing::{ChainBuilder, event, segment_of};

use crate::site::{Counting, ORIGIN, archive, cut_at, event_of, open, proved, segment_key, trees_key};

/// The bytes of a segment up to its first block.
fn header_of(segment: &[u8]) -> &[u8] {
    &segment[..SegmentFile::parse(segment).unwrap().header.to_bytes().len()]
}

/// A block that a segment of that sync marker could have, of one record with that seq.
fn block_of(sync: &[u8], seq: u64) -> Vec<u8> {
    let chain = ChainBuilder::begin(ORIGIN, 7);
    let record = chain.record(event_of("forged", 10), |link| link.seq = Seq(seq));
    let segment = segment_of(ORIGIN, &chain_schema(), &[record], "");
    let block = &segment[header_of(&segment).len()..];
    [&block[..block.len() - 16], sync].concat()
}

fn chain_schema() -> Vec<u8> {
    let chain = cut_at(&[1]);
    chain.objects.iter().find(|(key, _)| key.ends_with(".avsc")).unwrap().1.clone()
}

/// An event whose sender put these bytes among such as no deflate makes shorter.
fn sent_with(id: &str, inner: &[u8]) -> Vec<u8> {
    let mut state = 3u64;
    let mut noise = |bytes: usize| -> Vec<u8> {
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(bytes).collect()
    };
    let original = [noise(150_000), inner.to_vec(), noise(150_000)].concat();
    let mut out = Vec::new();
    let content_type = "application/octet-stream";
    AuditEvent { id, action: "x", content_type, original: &original, ..AuditEvent::default() }
        .encode(&mut out);
    out
}

#[test]
fn blocks_that_a_sender_spelled_in_his_events_hide_no_event() {
    let sync = schemas::segment::sync_marker(ORIGIN, Seq(0));
    // Blocks said to be behind, before, and where the right one is.
    let inner = |seq: u64| {
        // Who looks for the event 14 behind this one begins here.
        let said = [39, seq + 14, [0, 20][seq as usize / 4 % 2], seq + 14][seq as usize % 4] % 40;
        [&sync[..], &block_of(&sync, said)].concat()
    };
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    chain.seal((0..40).map(|seq| sent_with(&format!("sent-{seq}"), &inner(seq))));
    let segment = &chain.objects[&segment_key(&chain, 0)];
    let markers = segment.windows(16).filter(|window| *window == sync).count();
    assert!(markers >= 80, "the markers that were sent stand in the segment as they were sent: {markers}");
    let opened = open(&archive(&chain));
    for seq in 0..40 {
        let held = proved(&opened, seq, 40, &chain.vkey());
        assert_eq!(held.event_bytes, chain.records[seq as usize].event, "seq {seq}");
    }
}

#[test]
fn a_large_version_without_blocks_is_not_read_whole() {
    let chain = cut_at(&[200, 600, 900]);
    let memory = archive(&chain);
    let key = segment_key(&chain, 300);
    let zeros = [header_of(&chain.objects[&key]), &vec![0; 200 << 20]].concat();
    memory.lay_over(&key, &zeros);
    drop(zeros);
    let counting = Counting::over(&memory);
    let opened = Chain::open(Arc::new(counting.clone()), ORIGIN).unwrap();
    assert_eq!(proved(&opened, 300, 900, &chain.vkey()).event_bytes, chain.records[300].event);
    let (gets, _, bytes) = counting.take();
    assert!(bytes < 64 << 20 && gets < 30, "{bytes} bytes in {gets} gets");
}

#[test]
fn links_are_those_that_were_signed_whatever_lies_over_their_segment() {
    let (chain, mut other) = (cut_at(&[200, 600, 900]), cut_at(&[200, 600, 900]));
    let mut records = other.records_of(1).to_vec();
    // In the last tile that the segment has a part of: the ones before fit.
    records[390] = other.record(event(9_000), |link| *link = records[390].link);
    records[390].event = event(9_000);
    other.lay_segment(1, &records);
    let memory = archive(&chain);
    memory.lay_over(&segment_key(&chain, 300), &other.objects[&segment_key(&chain, 300)]);
    let opened = open(&memory);
    let newest = opened.newest().unwrap();
    for index in [2, 0, 3, 1, 2] {
        let first = index as usize * 256;
        let records = &chain.records[first..(first + 256).min(900)];
        let links = opened.links(&newest, index).unwrap();
        assert!(links.iter().eq(records.iter().map(|record| &record.link)), "tile {index}");
    }
}

/// Trees files from `sizes` that nobody signed, each with a note that is none.
fn lay_false_names(chain: &ChainBuilder, memory: &Memory, sizes: std::ops::Range<u64>) {
    for size in sizes {
        memory.lay_over(&trees_key(chain, size), b"junk");
        if size % 5 == 0 {
            memory.lay_over(&chain.key(&Place::Checkpoint(size)), b"junk");
        }
        if size % 7 == 0 {
            memory.lay_over(&trees_key(chain, size), &chain.objects[&chain.trees_key(1)]);
        }
    }
}

#[test]
fn hundreds_of_false_names_before_the_right_one_are_passed_over() {
    let chain = cut_at(&[200, 2_000, 2_300]);
    let memory = archive(&chain);
    lay_false_names(&chain, &memory, 400..1_390);
    let counting = Counting::over(&memory);
    let opened = Chain::open(Arc::new(counting.clone()), ORIGIN).unwrap();
    proved(&opened, 300, 2_300, &chain.vkey());
    assert_eq!(opened.first_covering(300).unwrap().checkpoint.size, 2_000);
    counting.take();
    proved(&opened, 1_000, 2_300, &chain.vkey());
    let (gets, lists, _) = counting.take();
    assert!(gets + lists < 50, "what is no tree's end is remembered: {gets} gets, {lists} lists");
}

#[test]
fn too_many_false_names_are_said_to_be_unread_and_not_wrong() {
    let chain = cut_at(&[200, 2_000, 2_300]);
    let memory = archive(&chain);
    lay_false_names(&chain, &memory, 400..1_500);
    let opened = open(&memory);
    let refused = [
        opened.prove(Seq(300), &opened.signed(2_300).unwrap()).map(drop),
        opened.first_covering(300).map(drop),
    ];
    for refused in refused {
        let Err(Error::Unread(error)) = refused else { panic!("{refused:?}") };
        assert_eq!(error.kind(), Kind::Crowded, "{error}");
    }
    // What does not lead past them is not touched.
    proved(&opened, 100, 200, &chain.vkey());
}

#[test]
fn versions_of_a_segment_are_tried_once_however_many_trees_files_name_it() {
    let chain = cut_at(&[200, 600, 900]);
    let memory = archive(&chain);
    let (trees, segment) = (trees_key(&chain, 600), segment_key(&chain, 300));
    assert!(memory.remove(&segment));
    (0..60).for_each(|nth| drop(memory.lay_over(&segment, format!("junk {nth}").as_bytes())));
    for nth in 0..60 {
        // Its hashes are others, and what it names is the same.
        let mut bytes = chain.objects[&trees].clone();
        let at = bytes.len() - 1 - nth;
        bytes[at] ^= 1;
        memory.lay_over(&trees, &bytes);
    }
    let counting = Counting::over(&memory);
    let opened = Chain::open(Arc::new(counting.clone()), ORIGIN).unwrap();
    let refused = opened.event(&opened.newest().unwrap(), Seq(300));
    assert!(matches!(&refused, Err(Error::Misfit { key, .. }) if *key == segment), "{refused:?}");
    let (gets, ..) = counting.take();
    assert!(gets < 700, "{gets} gets");
}

#[test]
fn more_segments_than_are_looked_into_are_said_to_be_unread_and_not_wrong() {
    let mut other = cut_at(&[200, 600]);
    let chain = cut_at(&[200, 600]);
    let memory = archive(&chain);
    let (trees, segment) = (trees_key(&chain, 600), segment_key(&chain, 300));
    assert!(memory.remove(&segment));
    // Each version of the trees file names another segment, with as many versions as are looked into before that is said.
    for day in 0..5 {
        let place = Place::segment(Micros(day * 86_400_000_000), Seq(200));
        other.change_trees(1, |trees| trees.segment_key = place.path());
        (0..1_999).for_each(|_| drop(memory.lay_over(&chain.key(&place), b"junk")));
        memory.lay_over(&trees, &other.objects[&trees]);
    }
    let opened = open(&memory);
    let refused = opened.event(&opened.newest().unwrap(), Seq(300));
    assert!(matches!(&refused, Err(Error::Unread(error)) if error.kind() == Kind::Crowded), "{refused:?}");
}
