//! The right version is found whatever lies over it.

use std::sync::Arc;

use runtime::SystemClock;

use super::*;
use crate::memory::Memory;
use crate::{Keep, Version};

const KEY: &str = "a/checkpoints/1.note";

/// A store with the right version of KEY, and its number.
fn with_the_right_one() -> (Memory, Version) {
    let store = Memory::new(Arc::new(SystemClock));
    let version = store.put_new(KEY, b"right", Keep::Evidence).unwrap();
    (store, version)
}

fn right(object: &Object) -> Option<usize> {
    (object.bytes == b"right").then_some(object.bytes.len())
}

/// Which version is found.
fn found(store: &dyn Store) -> Option<Version> {
    let found = fitting(store, KEY, 100, right).unwrap();
    found.map(|(object, length)| {
        assert_eq!((object.bytes.as_slice(), length), (b"right".as_slice(), 5));
        object.version
    })
}

#[test]
fn the_right_one_is_found_under_junk_under_a_delete_marker_and_under_both() {
    let (store, first) = with_the_right_one();
    assert_eq!(found(&store), Some(first.clone()));
    store.lay_over(KEY, b"junk");
    assert_eq!(found(&store), Some(first.clone()));
    store.hide(KEY);
    assert_eq!(found(&store), Some(first.clone()));
    store.lay_over(KEY, &[0; 1_000]);
    assert_eq!(found(&store), Some(first), "junk that is too large to be read is passed over");

    let (store, first) = with_the_right_one();
    store.hide(KEY);
    assert_eq!(found(&store), Some(first));
}

#[test]
fn of_several_that_fit_the_newest_is_taken() {
    let (store, _) = with_the_right_one();
    let second = store.lay_over(KEY, b"right");
    assert_eq!(found(&store), Some(second.clone()));
    store.lay_over(KEY, b"junk");
    assert_eq!(found(&store), Some(second));
}

#[test]
fn only_the_newest_is_read_if_it_fits_and_no_version_twice() {
    let (store, _) = with_the_right_one();
    let mut looked = Vec::new();
    let mut look = |store: &Memory| {
        looked.clear();
        fitting(store, KEY, 100, |object| {
            looked.push(object.version.clone());
            right(object)
        })
        .unwrap();
        looked.len()
    };
    assert_eq!(look(&store), 1);
    store.lay_over(KEY, b"junk");
    store.lay_over(KEY, b"junk");
    assert_eq!(look(&store), 3);
}

#[test]
fn where_none_fits_or_there_never_was_one_nothing_is_found() {
    let store = Memory::new(Arc::new(SystemClock));
    assert_eq!(found(&store), None);
    store.lay_over(KEY, b"junk");
    assert_eq!(found(&store), None);
    store.hide(KEY);
    assert_eq!(found(&store), None);
    store.lay_over(&format!("{KEY}.more"), b"right");
    assert_eq!(found(&store), None, "a key that goes on is another");
}

#[test]
fn of_too_many_versions_the_oldest_and_the_newest_are_read() {
    let (store, first) = with_the_right_one();
    (0..3 * MAX_VERSIONS).for_each(|n| drop(store.lay_over(KEY, n.to_string().as_bytes())));
    assert_eq!(of_key(&store, KEY).unwrap().len(), MAX_VERSIONS);
    assert_eq!(found(&store), Some(first));
}

/// Who may only delete cannot bury it.
#[test]
fn markers_push_no_object_out() {
    let store = Memory::new(Arc::new(SystemClock));
    store.lay_over(KEY, b"junk");
    (0..MAX_VERSIONS).for_each(|_| drop(store.hide(KEY)));
    let right = store.lay_over(KEY, b"right");
    (0..MAX_VERSIONS).for_each(|_| drop(store.hide(KEY)));
    assert_eq!(found(&store), Some(right.clone()));
    by_key::<Error>(&store, "a/", "", |_, versions| {
        let objects: Vec<_> = versions.iter().filter(|entry| !entry.delete_marker).collect();
        assert_eq!((objects.len(), &objects[0].version), (2, &right));
        assert_eq!(versions.len(), 2 + MAX_VERSIONS);
        Ok(())
    })
    .unwrap();
}

/// What lies between those that are read may be the right one.
#[test]
fn of_more_than_are_read_it_is_never_said_that_none_fits() {
    let store = Memory::new(Arc::new(SystemClock));
    let junk = || drop(store.lay_over(KEY, b"junk"));
    (0..MAX_VERSIONS - 1).for_each(|_| junk());
    assert_eq!(found(&store), None);
    junk();
    store.lay_over(KEY, b"right");
    (0..MAX_VERSIONS).for_each(|_| junk());
    let error = fitting(&store, KEY, 100, right).unwrap_err();
    assert_eq!(error.kind(), Kind::Crowded);
    assert!(error.to_string().contains("too many versions"), "{error}");
    assert!(matches!(runtime::Failure::from(error), runtime::Failure::Halt(_)));
    let listed = of_key(&store, KEY).unwrap();
    assert_eq!(fitting_of(&store, &listed, 100, right).unwrap_err().kind(), Kind::Crowded);
    let newest = store.lay_over(KEY, b"right");
    assert_eq!(found(&store), Some(newest), "one that is read and fits is enough");
}

#[test]
fn a_store_that_is_away_is_no_answer() {
    let (store, _) = with_the_right_one();
    store.set_away(true);
    assert_eq!(fitting(&store, KEY, 100, right).unwrap_err().kind(), Kind::Away);
    assert_eq!(of_key(&store, KEY).unwrap_err().kind(), Kind::Away);
}

#[test]
fn every_key_comes_once_with_all_its_versions() {
    let (store, first) = with_the_right_one();
    let second = store.lay_over(KEY, b"junk");
    let marker = store.hide("a/b");
    (0..2_500).for_each(|n| drop(store.lay_over(&format!("a/c/{n:05}"), b"")));
    store.lay_over("b", b"");
    let mut seen = Vec::new();
    let mut walk = |prefix: &str, after: &str| {
        seen.clear();
        let each = |key: &str, versions: Vec<Entry>| -> Result<()> {
            seen.push((key.to_owned(), versions.into_iter().map(|entry| entry.version).collect::<Vec<_>>()));
            Ok(())
        };
        by_key(&store, prefix, after, each).unwrap();
        seen.clone()
    };
    let all = walk("a/", "");
    assert_eq!(all.len(), 2 + 2_500);
    assert_eq!(all[0], ("a/b".to_owned(), vec![marker]));
    assert_eq!(*all.last().unwrap(), (KEY.to_owned(), vec![second, first]));
    assert!(all.is_sorted_by_key(|(key, _)| key.clone()));
    assert_eq!(walk("a/", "a/c/02498").len(), 2);
}
