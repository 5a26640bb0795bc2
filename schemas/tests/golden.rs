//! The golden files of v1: today's code writes exactly these bytes, and reads them back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite: to fail is to panic")]

mod support;

use std::path::Path;

use schemas::event::{EVENT_SCHEMA, check_event, event_shape};
use schemas::head::HEAD_SCHEMA;
use schemas::sealed::unwrap_schema;
use schemas::{
    Checkpoint, Hash, Head, KeyNote, Link, ProofData, SealedEvent, SegmentFile, Seq, Trees, Vkey, Walk,
    event_schema_hash, first_prev, hex,
};
use support::golden::{EVENTS, ORIGIN, event, files, vkey};

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/v1").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn today_s_code_writes_the_golden_bytes() {
    for (name, bytes) in files() {
        let golden = golden(name);
        match name {
            // A later compressor may spell its streams in another way; then the digest in trees follows.
            "segment.avro" | "trees.tiles" => {}
            _ => assert!(bytes == golden, "{name} differs:\n{}\n{}", hex(&bytes), hex(&golden)),
        }
    }
}

/// A segment's header, and its blocks inflated: all of it but how the streams are spelled.
fn inflated(file: &[u8]) -> (Vec<u8>, Vec<(u64, Vec<u8>)>) {
    let segment = SegmentFile::parse(file).unwrap();
    let (mut blocks, mut plain, mut found) = (segment.blocks(), Vec::new(), Vec::new());
    while let Some(block) = blocks.next_into(&mut plain).unwrap() {
        found.push((block.events, plain.clone()));
    }
    (segment.header.to_bytes(), found)
}

#[test]
fn today_s_code_writes_the_golden_segment_but_for_the_spelling_of_its_streams() {
    let made = files().into_iter().find(|(name, _)| *name == "segment.avro").unwrap().1;
    let (now, then) = (inflated(&made), inflated(&golden("segment.avro")));
    assert!(now.0 == then.0, "the header differs");
    assert!(now.1 == then.1, "the records or the cut of the blocks differ");
}

#[test]
fn today_s_deflate_writes_the_golden_streams() {
    for (name, bytes) in
        files().into_iter().filter(|(name, _)| matches!(*name, "segment.avro" | "trees.tiles"))
    {
        assert!(
            bytes == golden(name),
            "{name}: the records are the same (another test says so), the compressor spells them in another way. \
             Archives stay valid, but archivers of this version and of the last will not write the same bytes for \
             one segment: pin the compressor, or say so in the release notes and relax this test"
        );
    }
}

#[test]
fn the_golden_chain_is_read_back_from_key_to_event() {
    let first_vkey = Vkey::parse(String::from_utf8(golden("vkey.txt")).unwrap().trim_end()).unwrap();
    assert_eq!(first_vkey, vkey());
    let key_0 = KeyNote::open(&golden("key-0.note"), None).unwrap();
    assert_eq!((key_0.first_size, &key_0.vkey), (0, &first_vkey));
    let key_n = KeyNote::open(&golden("key-N.note"), Some(&first_vkey)).unwrap();
    assert_eq!(key_n.first_size, EVENTS + 1);
    assert!(!key_n.vkey.same_key(&first_vkey));

    let checkpoint = Checkpoint::open(&golden("checkpoint.note"), &first_vkey).unwrap();
    let file = golden("segment.avro");
    let segment = SegmentFile::parse(&file).unwrap();
    assert_eq!(segment.header.checkpoint.as_bytes(), golden("checkpoint.note"));
    assert_eq!(segment.header.event_schema, golden("AuditEvent.avsc"));
    let mut walk = Walk::begin(first_prev(ORIGIN, &first_vkey.to_string()));
    segment
        .walk(event_shape(), |sealed, datum| {
            walk.follow(sealed, &event_schema_hash()).unwrap();
            assert_eq!(sealed.event_bytes, event(sealed.seq.0));
            assert!(sealed.seq != Seq(0) || datum == golden("sealed.bin"));
            true
        })
        .unwrap();
    assert_eq!((walk.tree().size(), walk.tree().root()), (checkpoint.size, checkpoint.root));
    assert_eq!(walk.last_hash(), segment.header.last_hash);

    let trees = Trees::parse(&golden("trees.tiles")).unwrap();
    assert_eq!((trees.first_seq, trees.size, trees.segment_sha256), (Seq(0), EVENTS, Hash::of(&[&file])));
    assert_eq!(trees.segment_key, "segments/date=2026-11-21/00000000000000000000.avro");

    let head = Head::parse(&golden("head.bin")).unwrap();
    assert_eq!((&head.tree, head.last_hash), (walk.tree(), walk.last_hash()));
}

#[test]
fn the_golden_event_is_read_back_alone() {
    check_event(&golden("event.bin")).unwrap();
    let (bytes, event_bytes, datum) = (golden("proof.slp"), golden("event.bin"), golden("sealed.bin"));
    let proof = ProofData::parse(&bytes).unwrap();
    assert_eq!(proof.link, Link::parse(&golden("link.bin")).unwrap());
    assert_eq!(proof.event_bytes, event_bytes);
    let sealed = SealedEvent::parse(&datum).unwrap();
    assert_eq!((sealed.link(&event_schema_hash()), sealed.hash), (proof.link, proof.link.hash()));
}

#[test]
fn the_schemas_are_the_golden_ones() {
    assert_eq!(golden("AuditEvent.avsc"), EVENT_SCHEMA);
    assert_eq!(golden("Head.avsc"), HEAD_SCHEMA);
    assert_eq!(unwrap_schema(&golden("wrapper.avsc")), Some(EVENT_SCHEMA));
}
