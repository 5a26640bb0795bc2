//! docs/FORMAT.md says what the golden files hold: each block of bytes, each note, each number.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite: to fail is to panic")]

use std::collections::BTreeMap;
use std::path::Path;

use schemas::segment::sync_marker;
use schemas::{Checkpoint, Hash, Seq, derived_id, event_hash, first_prev, hex, unhex};

const ORIGIN: &str = "acme.example/audit/0";

fn read(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn golden(name: &str) -> Vec<u8> {
    read(&format!("tests/golden/v1/{name}"))
}

/// The fenced blocks of the page of one kind: what stands behind the kind, and the lines.
fn blocks(kind: &str) -> Vec<(String, String)> {
    let page = String::from_utf8(read("docs/FORMAT.md")).unwrap();
    let mut found = Vec::new();
    let mut parts = page.split("```");
    parts.next();
    while let (Some(block), Some(_prose)) = (parts.next(), parts.next()) {
        let (title, lines) = block.split_once('\n').unwrap();
        if let Some(rest) = title.strip_prefix(kind).filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
            found.push((rest.trim().to_owned(), lines.to_owned()));
        }
    }
    found
}

#[test]
fn each_block_of_bytes_is_the_golden_file_s() {
    let mut files = Vec::new();
    for (title, lines) in blocks("hex") {
        let digits: String = lines.lines().map(|line| line.split(' ').next().unwrap()).collect();
        let shown = unhex(&digits).unwrap_or_else(|| panic!("{title}: not hex"));
        let (name, range) = title.split_once(' ').unwrap_or((&title, ""));
        let golden = golden(name);
        let expected = match range.split_once("..") {
            Some((from, to)) => &golden[from.parse().unwrap()..to.parse().unwrap()],
            None => &golden[..],
        };
        assert_eq!(hex(&shown), hex(expected), "{title}");
        files.push(name.to_owned());
    }
    files.dedup();
    assert_eq!(
        files,
        ["link.bin", "event.bin", "sealed.bin", "segment.avro", "trees.tiles", "head.bin", "proof.slp"]
    );
}

#[test]
fn each_note_and_the_wrapper_are_the_golden_file_s() {
    let notes: BTreeMap<_, _> = blocks("text").into_iter().filter(|(title, _)| !title.is_empty()).collect();
    assert_eq!(notes.keys().collect::<Vec<_>>(), ["checkpoint.note", "key-0.note", "key-N.note"]);
    for (name, lines) in notes {
        assert_eq!(lines.as_bytes(), golden(&name), "{name}");
    }
    let [(name, wrapper)] = &blocks("json")[..] else { panic!("one wrapper") };
    let schema = String::from_utf8(golden("AuditEvent.avsc")).unwrap();
    assert_eq!(wrapper.trim_end_matches('\n').replace("<AuditEvent.avsc>", &schema).as_bytes(), golden(name));
}

#[test]
fn each_number_is_what_the_golden_files_give() {
    let vkey = String::from_utf8(golden("vkey.txt")).unwrap().trim_end().to_owned();
    let schema_hash = Hash::of(&[&golden("AuditEvent.avsc")]);
    let note = golden("checkpoint.note");
    let (checkpoint, _) = Checkpoint::parse(&note).unwrap();
    let expected = BTreeMap::from([
        ("schema_hash", schema_hash.to_string()),
        ("head_schema_hash", Hash::of(&[&golden("Head.avsc")]).to_string()),
        ("event_hash", event_hash(&schema_hash, &golden("event.bin")).to_string()),
        ("first_prev", first_prev(ORIGIN, &vkey).to_string()),
        ("hash", Hash::of(&[&[0], &golden("link.bin")]).to_string()),
        ("sync_marker", hex(&sync_marker(ORIGIN, Seq(0)))),
        ("key_id", vkey.split('+').nth(1).unwrap().to_owned()),
        ("root_0", Hash::of(&[]).to_string()),
        ("root_300", checkpoint.root.to_string()),
        ("segment_sha256", Hash::of(&[&golden("segment.avro")]).to_string()),
        ("derived_id", derived_id(&[b"app.audit", b"3", b"1000", b"0"])),
    ]);
    let [(_, lines)] = &blocks("values")[..] else { panic!("one list of numbers") };
    let shown: BTreeMap<&str, String> = lines
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, value)| (name, value.trim().to_owned()))
        .collect();
    assert_eq!(shown, expected);
}

#[test]
fn the_bounds_are_the_code_s() {
    let page = String::from_utf8(read("docs/FORMAT.md")).unwrap();
    let text = |n: usize| {
        let digits = n.to_string();
        let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|c| str::from_utf8(c).unwrap()).collect();
        groups.join(",")
    };
    for (what, n) in [
        ("event_bytes", schemas::event::MAX_EVENT_BYTES),
        ("a block's datums", schemas::segment::BLOCK_BYTES),
        ("the last time", schemas::Micros::MAX.0 as usize),
    ] {
        let plain = n.to_string();
        assert!(page.contains(&text(n)) || page.contains(&plain), "{what}: {n} is not on the page");
    }
    assert_eq!(schemas::segment::MAX_DATUM_BYTES, 4 << 20);
    assert_eq!(
        (schemas::note::MAX_NOTE_BYTES, schemas::checkpoint::MAX_CHECKPOINT_BYTES),
        (16 << 10, 1 << 10)
    );
    assert_eq!((schemas::note::MAX_NAME_BYTES, schemas::segment::BLOCK_EVENTS), (200, 256));
    let largest = schemas::event::MAX_EVENT_BYTES + 10 + 10 + 32 + 32;
    assert!(largest <= schemas::segment::MAX_DATUM_BYTES, "the largest event fits with its prefix");
}
