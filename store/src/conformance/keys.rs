//! Cases of what a key is.

use super::{expect, get, put};
use crate::{Keep, Kind, Listing, Store, Tag};

/// And nothing is written.
pub fn what_is_not_a_key_is_refused_by_every_verb(store: &dyn Store) {
    let (long_part, long_key) = (format!("a/{}", "x".repeat(256)), "abcde/".repeat(171));
    let bad = [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "./a",
        "../a",
        "a/.",
        "a/..",
        "a/./b",
        "a/../b",
        "a/../../b",
        "a\0b",
        "\0",
        ".tmp/a",
        ".tmp",
        &long_part,
        long_key.trim_end_matches('/'),
    ];
    assert_eq!(long_key.trim_end_matches('/').len(), 1_025);
    for key in bad {
        expect(Kind::Refused, store.put_new(key, b"x", Keep::Evidence));
        expect(Kind::Refused, store.replace_if(key, None, b"x", Keep::Hint));
        expect(Kind::Refused, store.replace_if(key, Some(&Tag("x".to_owned())), b"x", Keep::Hint));
        expect(Kind::Refused, store.get(key, None, None, 10));
    }
    assert!(store.list("", "", Listing::Versions(10)).unwrap().entries.is_empty());
}

/// 255 bytes in a part, 1,024 in all, and parts that only look like forbidden ones.
pub fn a_key_at_the_bounds_is_taken(store: &dyn Store) {
    let longest = format!("{0}/{0}/{0}/{1}/{2}", "x".repeat(255), "y".repeat(200), "z".repeat(55));
    assert_eq!(longest.len(), 1_024);
    let mut all = vec!["...", "..a/b", ".a", "a/.tmp/b", "a/b..", "a/b=c/d+e", &longest];
    all.iter().for_each(|key| drop(put(store, key, key.as_bytes())));
    all.sort();
    for key in &all {
        assert_eq!(get(store, key).bytes, key.as_bytes());
    }
    let page = store.list("", "", Listing::Newest(100)).unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), all);
}

/// It would list nothing, or what lies outside.
pub fn a_prefix_that_no_key_has_is_refused(store: &dyn Store) {
    put(store, "a/b", b"");
    for prefix in ["/", "../", "a/../", "./", "a//", "a\0", ".tmp/"] {
        expect(Kind::Refused, store.list(prefix, "", Listing::Newest(10)));
    }
    for prefix in ["..", "a/.", "a/.."] {
        assert!(store.list(prefix, "", Listing::Newest(10)).unwrap().entries.is_empty(), "{prefix}");
    }
}
