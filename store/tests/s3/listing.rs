//! Lists longer than one answer, and keys that XML cannot hold.

use std::thread;

use store::s3::Options;
use store::versions::{MAX_VERSIONS, fitting, of_key};
use store::{Keep, Kind, Listing, Object, Store};

use super::intruder::Intruder;
use super::{Site, kind, open};

/// More than one answer of S3 holds, with neighbours on both sides.
pub fn all_of_1_100_versions_of_a_key_come_on_one_page(site: &Site) {
    let options = Options { retention: None, ..site.options() };
    let root = Intruder::as_root(&site.server, &options.bucket);
    let store = site.store(options);
    for key in ["a", "checkpoinT", "checkpoint.d/0", "z"] {
        store.put_new(key, b"once", Keep::Evidence).unwrap();
    }
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                (0..138).for_each(|n| drop(root.lay_over("checkpoint", format!("{n}").as_bytes())))
            });
        }
    });
    root.delete("checkpoint", None, false).unwrap();
    let page = store.list("", "", Listing::Versions(3)).unwrap();
    assert!(page.more);
    let keys = |from: usize, to: usize| page.entries[from..to].iter().map(|entry| entry.key.as_str());
    assert_eq!(keys(0, 2).collect::<Vec<_>>(), ["a", "checkpoinT"]);
    assert_eq!(page.entries.len(), 2 + 8 * 138 + 1);
    assert!(keys(2, page.entries.len()).all(|key| key == "checkpoint"));
    assert!(page.entries[2].delete_marker && page.entries[2].newest);
    assert!(page.entries[3..].iter().all(|entry| !entry.newest && !entry.delete_marker));
    assert!(page.entries[3..].is_sorted_by(|a, b| a.modified >= b.modified));
    let mut versions: Vec<_> = page.entries.iter().map(|entry| &entry.version.0).collect();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), page.entries.len());
    let rest = store.list("", "checkpoint", Listing::Versions(3)).unwrap();
    let keys: Vec<_> = rest.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!((keys.as_slice(), rest.more), (["checkpoint.d/0", "z"].as_slice(), false));
    let mut parts = Vec::new();
    let take = |part: Vec<store::Entry>| -> store::Result<()> {
        assert!(part.len() <= 1_000);
        parts.extend(part);
        Ok(())
    };
    store.each_version("", take).unwrap();
    assert_eq!(parts, store.list("", "", Listing::Versions(10_000)).unwrap().entries);
    let newest = store.list("", "a", Listing::Newest(10)).unwrap().entries;
    let keys: Vec<_> = newest.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["checkpoinT", "checkpoint.d/0", "z"]);
}

/// The right one lies in the middle: it is not found, and not said to be missing. The others of the page are there.
pub fn of_more_versions_than_are_kept_nothing_is_concluded(site: &Site) {
    let options = Options { retention: None, ..site.options() };
    let root = Intruder::as_root(&site.server, &options.bucket);
    let store = site.store(options);
    store.put_new("z", b"once", Keep::Evidence).unwrap();
    let lay_over_many = || {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..130).for_each(|_| drop(root.lay_over("note", b"junk"))));
            }
        });
    };
    let first = root.lay_over("note", b"first");
    lay_over_many();
    let buried = root.lay_over("note", b"right");
    lay_over_many();
    let newest = root.lay_over("note", b"newest");
    let page = store.list("", "", Listing::Versions(MAX_VERSIONS + 1)).unwrap();
    assert_eq!((page.entries.len(), page.more), (MAX_VERSIONS + 1, false));
    let versions = of_key(&store, "note").unwrap();
    assert_eq!((versions.len(), versions.as_slice()), (MAX_VERSIONS, &page.entries[..MAX_VERSIONS]));
    assert_eq!((&versions[0].version, &versions[MAX_VERSIONS - 1].version), (&newest, &first));
    assert!(versions.iter().all(|entry| entry.version != buried));
    let is = |bytes: &'static [u8]| move |object: &Object| (object.bytes == bytes).then_some(());
    assert_eq!(fitting(&store, "note", 10, is(b"newest")).unwrap().unwrap().0.version, newest);
    assert_eq!(kind(store::versions::fitting_of(&store, &versions[..], 0, is(b"right"))), Kind::Crowded);
}

/// A space, a plus, a percent sign and what looks like an escape.
pub fn keys_come_back_from_a_list_as_they_were_put(site: &Site) {
    let store = site.store(site.options());
    let mut all = vec!["a b", "a+b", "a%b", "a%20b", "a&b<c>\"'", "a=b;c,d:e@f", "ü/ß", "a\tb", "~a!(b)*"];
    all.iter().for_each(|key| drop(store.put_new(key, b"", Keep::Evidence).unwrap()));
    all.sort();
    for listing in [Listing::Newest(100), Listing::Versions(100), Listing::Newest(1), Listing::Versions(1)] {
        let mut keys: Vec<String> = Vec::new();
        loop {
            let page = store.list("", keys.last().map_or("", String::as_str), listing).unwrap();
            keys.extend(page.entries.into_iter().map(|entry| entry.key));
            if !page.more {
                break;
            }
        }
        assert_eq!(keys, all, "{listing:?}");
    }
    for key in all {
        assert_eq!(store.get(key, None, None, 0).unwrap().size_bytes, 0, "{key}");
    }
}

/// Neither sees the other's objects, and a key is counted with its prefix.
pub fn archives_under_prefixes_are_apart(site: &Site) {
    let options = site.options();
    let store = site.store(options.clone());
    let under = |prefix: &str| open(Options { prefix: prefix.to_owned(), ..options.clone() });
    let (one, two) = (under("archives/a"), under("archives/a-b"));
    one.put_new("x/1", b"one", Keep::Evidence).unwrap();
    two.put_new("x/1", b"two", Keep::Evidence).unwrap();
    store.put_new("x/1", b"top", Keep::Evidence).unwrap();
    for (store, body) in [(&one, b"one"), (&two, b"two")] {
        for listing in [Listing::Newest(10), Listing::Versions(1)] {
            for (prefix, after) in [("", ""), ("x/", ""), ("", "a"), ("x", "x/0")] {
                let page = store.list(prefix, after, listing).unwrap();
                let keys: Vec<_> = page.entries.iter().map(|entry| entry.key.as_str()).collect();
                assert_eq!((keys.as_slice(), page.more), (["x/1"].as_slice(), false), "{prefix} {after}");
            }
            assert!(store.list("", "x/1", listing).unwrap().entries.is_empty());
        }
        assert_eq!(store.get("x/1", None, None, 10).unwrap().bytes, body);
    }
    let keys: Vec<_> = store.list("", "", Listing::Newest(10)).unwrap().entries;
    assert_eq!(
        keys.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(),
        ["archives/a-b/x/1", "archives/a/x/1", "x/1"]
    );
    let long = format!("{0}/{0}/{0}/{1}", "x".repeat(255), "y".repeat(257 - 11));
    assert_eq!(kind(one.put_new(&long, b"", Keep::Evidence)), Kind::Refused);
    for bad in ["/a", "a/", "a//b", "../a", ".tmp"] {
        let refused = store::s3::S3::open(
            Options { prefix: bad.to_owned(), ..options.clone() },
            std::sync::Arc::new(runtime::SystemClock),
        );
        assert_eq!(refused.err().map(|error| error.kind()), Some(Kind::Refused), "{bad}");
    }
}
