//! Keys of objects and times as text.

use schemas::{Layout, Micros, Place};
use verifier::place_of;

/// An object's key, and its path below the origin.
pub(crate) fn place(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let path = Place::parse(text);
    match &path {
        None | Some(Place::Reserved) => {}
        Some(place) => assert_eq!(place.path(), text, "a path has one spelling"),
    }
    let key = place_of(text);
    match &key {
        None | Some((_, Place::Reserved)) => {}
        Some((origin, place)) => assert_eq!(Layout::of(origin).key(place), text, "a key has one spelling"),
    }
    path.is_some() || key.is_some()
}

pub(crate) fn place_seeds() -> Vec<Vec<u8>> {
    let keys = [
        "checkpoint",
        "a/0/checkpoint",
        "a/0/checkpoints/00000000000000000300.note",
        "a/0/keys/00000000000000000000.note",
        "a/0/schemas/0fa1c2d3e4f5061728394a5b6c7d8e9f000102030405060708090a0b0c0d0e0f.avsc",
        "a/segments/segments/date=2026-11-21/00000000000000000007.avro",
        "trees/00000000000000000300.tiles",
        "a/0/probe/x/y",
        "a/cosignatures/0/trees/09223372036854775807.tiles",
    ];
    keys.map(|key| key.as_bytes().to_vec()).to_vec()
}

/// A time in RFC 3339.
pub(crate) fn time(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some(at) = Micros::parse_rfc3339(text) else { return false };
    // An offset may lead out of the years that can be written.
    if Micros(-62_135_596_800_000_000) <= at && at <= Micros::MAX {
        assert_eq!(Micros::parse_rfc3339(&at.rfc3339()), Some(at), "a time is read back");
        assert!(at.rfc3339().starts_with(&at.date()));
    }
    true
}

pub(crate) fn time_seeds() -> Vec<Vec<u8>> {
    let times = [
        "2026-11-21",
        "2026-11-21T09:30:00Z",
        "2024-02-29t23:59:60.123456789z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31 23:59:59.999999-23:59",
    ];
    times.map(|time| time.as_bytes().to_vec()).to_vec()
}
