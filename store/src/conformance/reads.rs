//! Cases of `get`.

use super::{expect, get, put, replace};
use crate::{Kind, Store};

/// Nor is what lies above an object, or below one.
pub fn what_is_not_there_is_missing(store: &dyn Store) {
    expect(Kind::Missing, store.get("a/b", None, None, 100));
    put(store, "a/b", b"here");
    for key in ["a", "a/b/c", "a/bb", "a/B", "b"] {
        expect(Kind::Missing, store.get(key, None, None, 100));
        expect(Kind::Missing, store.get(key, None, Some(0..1), 100));
    }
}

/// What counts is the bytes that would come: a short range of a long object is not too large.
pub fn more_bytes_than_the_caller_takes_are_too_large(store: &dyn Store) {
    put(store, "ten", b"0123456789");
    expect(Kind::TooLarge, store.get("ten", None, None, 9));
    assert_eq!(store.get("ten", None, None, 10).unwrap().bytes, b"0123456789");
    assert_eq!(store.get("ten", None, Some(2..5), 3).unwrap().bytes, b"234");
    expect(Kind::TooLarge, store.get("ten", None, Some(2..6), 3));
    assert_eq!(store.get("ten", None, Some(8..1_000_000), 2).unwrap().bytes, b"89");
}

/// And what is known of the object is of the whole.
pub fn a_range_is_cut_at_the_end(store: &dyn Store) {
    put(store, "ten", b"0123456789");
    let whole = get(store, "ten");
    for (range, bytes) in
        [(0..10, b"0123456789".as_slice()), (0..4, b"0123"), (7..11, b"789"), (9..u64::MAX, b"9")]
    {
        let object = store.get("ten", None, Some(range), 10).unwrap();
        assert_eq!((object.bytes.as_slice(), object.size_bytes), (bytes, 10));
        assert_eq!((object.tag, object.version), (whole.tag.clone(), whole.version.clone()));
    }
}

/// Nor does one that starts at the end, or behind it.
pub fn an_empty_range_brings_no_bytes_but_what_is_known(store: &dyn Store) {
    put(store, "ten", b"0123456789");
    let whole = get(store, "ten");
    for range in [0..0, 5..5, 10..10, 10..20, 11..12, u64::MAX - 1..u64::MAX] {
        let object = store.get("ten", None, Some(range.clone()), 0).unwrap();
        assert_eq!((object.bytes.as_slice(), object.size_bytes), (b"".as_slice(), 10), "{range:?}");
        assert_eq!((object.tag, object.version), (whole.tag.clone(), whole.version.clone()));
    }
    expect(Kind::Missing, store.get("none", None, Some(0..0), 0));
}

/// A store without versions returns an empty one and takes it for the object.
pub fn the_version_that_a_write_returned_can_be_read(store: &dyn Store) {
    let first = replace(store, "checkpoint", None, b"first").unwrap();
    assert_eq!(store.get("checkpoint", Some(&first), None, 100).unwrap().bytes, b"first");
    let tag = get(store, "checkpoint").tag;
    let second = replace(store, "checkpoint", Some(&tag), b"second").unwrap();
    let object = store.get("checkpoint", Some(&second), None, 100).unwrap();
    assert_eq!((object.bytes.as_slice(), &object.version), (b"second".as_slice(), &second));
    if first != second {
        let object = store.get("checkpoint", Some(&first), None, 100).unwrap();
        assert_eq!((object.bytes.as_slice(), &object.version), (b"first".as_slice(), &first));
    }
}
