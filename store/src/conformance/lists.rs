//! Cases of `list`.

use std::thread;

use super::{get, put, replace};
use crate::{Entry, Listing, Page, Store, Version};

/// Under no prefix, in either way of listing.
pub fn an_empty_store_lists_nothing(store: &dyn Store) {
    for prefix in ["", "a", "a/", "a/b/c"] {
        for listing in [Listing::Newest(10), Listing::Versions(10)] {
            let page = store.list(prefix, "", listing).unwrap();
            assert!(page.entries.is_empty() && !page.more, "{page:?}");
        }
    }
}

/// A `/` is a byte like others: `a-b`, `a/b`, `a0`. So is what UTF-16 would put elsewhere.
pub fn keys_come_in_the_order_of_their_bytes(store: &dyn Store) {
    let sorted = [
        "A",
        "B/z",
        "Z",
        "a!/x",
        "a-b",
        "a.b",
        "a/-",
        "a/b.c",
        "a/b/c",
        "a/b0",
        "a0",
        "aa",
        "b",
        "z",
        "~",
        "é",
        "\u{ff71}",
        "\u{1f600}",
    ];
    assert!(sorted.is_sorted());
    for key in sorted.iter().rev() {
        put(store, key, key.as_bytes());
    }
    assert_eq!(keys(&store.list("", "", Listing::Newest(100)).unwrap().entries), sorted);
    assert_eq!(walk(store, "", Listing::Newest(1)), sorted);
}

/// It can lie between keys, above them, in a folder or outside the prefix.
pub fn after_is_exclusive_and_need_not_be_a_key(store: &dyn Store) {
    let all = ["a/1", "a/2/x", "a/2/y", "a/3", "b/1"];
    all.iter().for_each(|key| drop(put(store, key, b"")));
    let after = |prefix: &str, after: &str| {
        let page = store.list(prefix, after, Listing::Newest(100)).unwrap();
        assert!(!page.more);
        keys(&page.entries)
    };
    assert_eq!(after("", "a/1"), all[1..]);
    assert_eq!(after("", "a/2"), all[1..]);
    assert_eq!(after("", "a/2/"), all[1..]);
    assert_eq!(after("", "a/2/x"), all[2..]);
    assert_eq!(after("", "a/2/xx"), all[2..]);
    assert_eq!(after("", "a/2/y"), all[3..]);
    assert_eq!(after("", "a/20"), all[3..]);
    assert_eq!(after("", "b/1"), all[5..]);
    assert_eq!(after("a/", ""), all[..4]);
    assert_eq!(after("a/", "a/3"), all[4..4]);
    assert_eq!(after("a/", "A"), all[..4]);
    assert_eq!(after("a/", "b"), all[4..4]);
    assert_eq!(after("b", "a/2/x"), all[4..]);
}

/// With a slash at its end or without, or in the middle of a name.
pub fn a_prefix_is_the_beginning_of_a_key_and_no_more(store: &dyn Store) {
    let all = ["a/1/x", "a/1/y/z", "a/10/x", "a/2", "a/20/x", "ab"];
    all.iter().for_each(|key| drop(put(store, key, b"")));
    let under = |prefix: &str| keys(&store.list(prefix, "", Listing::Newest(100)).unwrap().entries);
    assert_eq!(under("a/1/"), all[..2]);
    assert_eq!(under("a/1"), all[..3]);
    assert_eq!(under("a/10/"), all[2..3]);
    assert_eq!(under("a/1/y"), all[1..2]);
    assert_eq!(under("a/2"), all[3..5]);
    assert_eq!(under("a/2/"), all[..0]);
    assert_eq!(under("a/"), all[..5]);
    assert_eq!(under("a"), all);
    assert_eq!(under("ab"), all[5..]);
    assert_eq!(under("ab/"), all[..0]);
    assert_eq!(under("c/d/e"), all[..0]);
}

/// Never `false` while a key is left; a page holds no more than was asked for.
pub fn pages_say_whether_more_may_follow(store: &dyn Store) {
    let all = ["a", "b/c", "b/d", "e"];
    all.iter().for_each(|key| drop(put(store, key, b"")));
    for size in 1..4 {
        let page = store.list("", "", Listing::Newest(size)).unwrap();
        assert!(page.more && !page.entries.is_empty() && page.entries.len() <= size, "{page:?}");
    }
    let page = store.list("", "", Listing::Newest(5)).unwrap();
    assert!(!page.more);
    assert_eq!(keys(&page.entries), all);
    assert!(!store.list("", "e", Listing::Newest(1)).unwrap().more);
}

/// 1,100 keys in one folder and its neighbours: more than S3 gives in one answer.
pub fn small_pages_over_many_keys_bring_each_key_once(store: &dyn Store) {
    let mut all: Vec<String> = (0..1_060).map(|n| format!("log/segments/{n:020}.avro")).collect();
    all.extend((0..20).map(|n| format!("log/segments/{n:020}.avro.d/{n}")));
    all.extend((0..20).map(|n| format!("log/trees/{n:020}.tiles")));
    thread::scope(|scope| {
        for part in all.chunks(all.len().div_ceil(8)) {
            scope.spawn(move || part.iter().for_each(|key| drop(put(store, key, key.as_bytes()))));
        }
    });
    all.sort();
    for listing in [Listing::Newest(7), Listing::Versions(64), Listing::Newest(1_000), Listing::Newest(5_000)]
    {
        assert!(walk(store, "log/", listing) == all, "{listing:?}");
    }
    assert!(walk(store, "log/segments/", Listing::Newest(100)) == all[..1_080]);
}

/// Its size, version and time, and that it is the newest. Which version the newest is, a list may leave open.
pub fn an_entry_says_what_a_read_says(store: &dyn Store) {
    put(store, "a/b", b"four");
    let mut newest = store.list("a/", "", Listing::Newest(10)).unwrap();
    let page = store.list("a/", "", Listing::Versions(10)).unwrap();
    let object = get(store, "a/b");
    let expected = Entry {
        key: "a/b".to_owned(),
        size_bytes: 4,
        version: object.version,
        newest: true,
        delete_marker: false,
        modified: object.modified,
    };
    for entry in newest.entries.iter_mut().filter(|entry| entry.version == Version::default()) {
        assert_eq!(store.get("a/b", Some(&entry.version), None, 10).unwrap().version, expected.version);
        entry.version.clone_from(&expected.version);
    }
    assert_eq!((newest.entries, page.entries), (vec![expected.clone()], vec![expected]));
}

/// Of each key exactly one is the newest and it is the one that is read. One page holds all versions of a key, as long
/// as they are within the bound.
pub fn every_version_is_listed_newest_first(store: &dyn Store) {
    put(store, "a", b"once");
    put(store, "z", b"once");
    let mut written = Vec::new();
    for body in ["1", "22", "333"] {
        let tag = store.get("checkpoint", None, None, 10).ok().map(|object| object.tag);
        written.insert(0, replace(store, "checkpoint", tag.as_ref(), body.as_bytes()).unwrap());
    }
    written.dedup();
    let page = store.list("", "", Listing::Versions(100)).unwrap();
    assert!(keys(&page.entries).is_sorted());
    let listed: Vec<_> = page.entries.iter().filter(|entry| entry.key == "checkpoint").collect();
    assert_eq!(
        listed.iter().map(|entry| &entry.version).collect::<Vec<_>>(),
        written.iter().collect::<Vec<_>>()
    );
    assert_eq!((listed[0].size_bytes, listed[0].newest), (3, true));
    for older in &listed[1..] {
        assert!(!older.newest && !older.delete_marker);
        let object = store.get("checkpoint", Some(&older.version), None, 10).unwrap();
        assert_eq!(object.size_bytes, older.size_bytes);
    }
    assert_eq!(page.entries.len(), 2 + written.len());
    let mut after = String::new();
    let mut paged = Vec::new();
    loop {
        let page = store.list("", &after, Listing::Versions(1)).unwrap();
        check_progress(&page, &after);
        paged.extend(page.entries);
        let Some(last) = paged.last().filter(|_| page.more) else { break };
        after.clone_from(&last.key);
    }
    assert_eq!(paged, page.entries);
}

fn keys(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.key.clone()).collect()
}

/// All keys under `prefix`, page by page.
fn walk(store: &dyn Store, prefix: &str, listing: Listing) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let after = all.last().cloned().unwrap_or_default();
        let page = store.list(prefix, &after, listing).unwrap();
        check_progress(&page, &after);
        all.extend(keys(&page.entries));
        if !page.more {
            return all;
        }
    }
}

/// Without it a walk over a broken store would not end.
fn check_progress(page: &Page, after: &str) {
    assert!(
        page.entries.iter().all(|entry| entry.key.as_str() > after),
        "a page after {after:?} that is not"
    );
    assert!(!page.entries.is_empty() || !page.more, "an empty page that promises more, after {after:?}");
}
