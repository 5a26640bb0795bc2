//! What a web server can do wrong, or must not be believed.

use std::fs;

use store::http::Http;
use store::{Keep, Kind, Listing, Store};

use super::server::{Instead, Pages, Server};

/// A server over a folder with these objects.
pub fn serving(objects: &[(&str, &[u8])]) -> (tempfile::TempDir, Server, Http) {
    let folder = tempfile::tempdir().unwrap();
    for (key, bytes) in objects {
        let path = folder.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let server = Server::of(folder.path(), Pages::Nginx);
    let store = Http::open(&server.url, None).unwrap();
    (folder, server, store)
}

pub fn keys(store: &Http, prefix: &str, after: &str) -> Vec<String> {
    let page = store.list(prefix, after, Listing::Versions(100)).unwrap();
    page.entries.into_iter().map(|entry| entry.key).collect()
}

pub fn kind<T: std::fmt::Debug>(result: store::Result<T>) -> Kind {
    result.unwrap_err().kind()
}

#[test]
fn nothing_is_ever_written() {
    let (_folder, server, store) = serving(&[]);
    assert_eq!(kind(store.put_new("a", b"", Keep::Evidence)), Kind::Refused);
    assert_eq!(kind(store.replace_if("a", None, b"", Keep::Hint)), Kind::Refused);
    assert_eq!(store.retention(), None);
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn a_server_without_ranges_is_cut_here() {
    let (_folder, server, store) = serving(&[("ten", b"0123456789")]);
    server.give_no_ranges();
    for (range, bytes) in
        [(0..4, b"0123".as_slice()), (7..11, b"789"), (9..u64::MAX, b"9"), (0..10, b"0123456789")]
    {
        let object = store.get("ten", None, Some(range), 10).unwrap();
        assert_eq!((object.bytes.as_slice(), object.size_bytes), (bytes, 10));
    }
    assert_eq!(kind(store.get("ten", None, Some(2..6), 3)), Kind::TooLarge);
    assert_eq!(store.get("ten", None, Some(20..30), 3).unwrap().size_bytes, 10);
}

#[test]
fn one_connection_serves_one_request_after_the_other() {
    let (_folder, server, store) = serving(&[("a/b", b"four")]);
    for _ in 0..5 {
        assert_eq!(store.get("a/b", None, None, 10).unwrap().bytes, b"four");
        assert_eq!(store.get("a/b", None, Some(1..3), 10).unwrap().bytes, b"ou");
        assert_eq!(store.get("a/b", None, Some(4..9), 10).unwrap().size_bytes, 4);
        assert_eq!(keys(&store, "a/", ""), ["a/b"]);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn what_may_work_later_is_asked_again_and_that_has_an_end() {
    let (_folder, server, store) = serving(&[("a/b", b"four")]);
    for status in [429, 500, 503] {
        server.instead("a/b", Instead::Status(status, 2));
        assert_eq!(store.get("a/b", None, None, 10).unwrap().bytes, b"four", "{status}");
    }
    server.instead("a/b", Instead::Cut(2, 2));
    assert_eq!(store.get("a/b", None, None, 10).unwrap().bytes, b"four");
    server.instead("a/", Instead::Cut(100, 1));
    assert_eq!(keys(&store, "a/", ""), ["a/b"]);
    server.instead("a/b", Instead::Status(503, 1_000));
    assert_eq!(kind(store.get("a/b", None, None, 10)), Kind::Away);
    drop(server);
    assert_eq!(kind(store.get("a/c", None, None, 10)), Kind::Away);
}

#[test]
fn what_cannot_work_is_not_asked_again() {
    let (_folder, server, store) = serving(&[("a/b", b"four")]);
    for (status, expected) in [
        (401, Kind::Refused),
        (403, Kind::Refused),
        (404, Kind::Missing),
        (410, Kind::Missing),
        (400, Kind::Refused),
    ] {
        server.instead("a/b", Instead::Status(status, 1));
        assert_eq!(kind(store.get("a/b", None, None, 10)), expected, "{status}");
    }
    server.instead("a/", Instead::Status(403, 1));
    assert_eq!(kind(store.list("a/", "", Listing::Newest(10))), Kind::Refused);
}

#[test]
fn a_redirect_is_followed_within_the_root_only() {
    let (_folder, server, store) = serving(&[("a/b", b"four"), ("a/c", b"")]);
    server.instead("x", Instead::Redirect("/copy/a/b".to_owned()));
    assert_eq!(store.get("x", None, None, 10).unwrap().bytes, b"four");
    for to in ["/a/b", "http://127.0.0.1:9/copy/a/b", "../a/b", "//127.0.0.1/copy/a/b"] {
        server.instead("x", Instead::Redirect(to.to_owned()));
        let error = store.get("x", None, None, 10).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{to}");
        assert!(error.to_string().contains("not in the archive"), "{error}");
    }
    server.instead("x", Instead::Redirect("/copy/x".to_owned()));
    assert_eq!(kind(store.get("x", None, None, 10)), Kind::Refused, "it has an end");
    assert_eq!(kind(store.get("a", None, None, 10)), Kind::Missing, "a folder is no object");
}

#[test]
fn a_page_that_does_not_list_its_folder_is_refused() {
    let (_folder, server, store) = serving(&[("a/b", b"four")]);
    for page in
        ["<html><title>Hello</title></html>", "", "<html><title>Index of /</title><a href=\"b\">b</a>"]
    {
        server.instead("a/", Instead::Page(page.to_owned()));
        assert_eq!(kind(store.list("", "", Listing::Newest(10))), Kind::Refused, "{page}");
    }
}

#[test]
fn the_root_must_be_there() {
    let (_folder, server, _) = serving(&[]);
    let store = Http::open(&format!("{}/nowhere", server.url), None).unwrap();
    let error = store.list("", "", Listing::Newest(10)).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.to_string().contains("check the URL"), "{error}");
}

#[test]
fn names_that_no_key_has_are_shown_and_not_followed() {
    let (_folder, server, store) = serving(&[]);
    let page = "<html><title>Index of /copy/</title><a href=\"..%2f\">x</a><a href=\"%2e%2e/\">x</a><a href=\"%ff\">x</a>\
                <a href=\"a%2Fb/\">x</a><a href=\".tmp/\">x</a><a href=\"http://elsewhere/\">x</a></html>";
    server.instead("", Instead::Page(page.to_owned()));
    assert_eq!(keys(&store, "", ""), ["%2e%2e", "..%2f", "a%2Fb", "\u{fffd}ff"]);
    assert_eq!(server.asked(), [""]);
}

#[test]
fn only_folders_that_can_hold_what_is_wanted_are_asked_for() {
    let objects: Vec<String> =
        (10..30).map(|day| format!("a/segments/date=2026-11-{day}/{day}.avro")).collect();
    let mut all: Vec<(&str, &[u8])> = objects.iter().map(|key| (key.as_str(), b"x".as_slice())).collect();
    all.push(("b/checkpoint", b"x"));
    let (_folder, server, store) = serving(&all);
    assert_eq!(keys(&store, "a/segments/", "a/segments/date=2026-11-28/"), objects[18..]);
    let mut asked = server.asked();
    asked.sort();
    assert_eq!(asked, ["a/segments/", "a/segments/date=2026-11-28/", "a/segments/date=2026-11-29/"]);
    assert_eq!(keys(&store, "", "").len(), 21);
    let first = store.list("a/", "", Listing::Newest(1)).unwrap();
    assert_eq!((first.entries.len(), first.more), (1, true));
    let more = server.asked().len() - asked.len() - (1 + 2 + 20 + 1);
    assert_eq!(more, 3, "for one entry no folder is asked for in advance");
}
