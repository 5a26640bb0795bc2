//! What a web server makes up: lists and answers without an end.

use store::{Kind, Listing, Store};

use super::faults::{kind, serving};
use super::server::{Ending, Instead, LONG_BYTES};

fn page(links: &str) -> String {
    format!("<html><title>Index of /copy/</title>{links}</html>")
}

fn refusal(store: &store::http::Http, limit: usize) -> String {
    let error = store.list("", "", Listing::Newest(limit)).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    error.to_string()
}

#[test]
fn folders_in_folders_without_an_end_are_refused() {
    let (_folder, server, store) = serving(&[]);
    server.everywhere(page("<a href=\"a/\">a/</a><a href=\"b/\">b/</a>"));
    assert!(refusal(&store, 20_000).contains("deeper than 40"));
    assert_eq!(server.asked().len(), 41);
}

#[test]
fn more_empty_folders_than_any_archive_has_are_refused() {
    let (_folder, server, store) = serving(&[]);
    let links: String = (0..5_000).map(|number| format!("<a href=\"{number}/\">x</a>")).collect();
    server.everywhere(page(""));
    server.instead("", Instead::Page(page(&links)));
    assert!(refusal(&store, 10).contains("next to nothing"));
    assert_eq!(server.asked().len(), 1 + 1_000 + 10 * 10);
}

#[test]
fn a_page_with_more_names_than_any_folder_has_is_refused() {
    let (_folder, server, store) = serving(&[]);
    server.instead("", Instead::Page(page(&"<a href=\"a\">".repeat(1_000_001))));
    assert!(refusal(&store, 10).contains("1000000 names"));
    let lines = "{\"name\":\"a\",\"type\":\"file\"},".repeat(1_000_001);
    server.instead("", Instead::Page(format!("[{}]", lines.trim_end_matches(','))));
    assert!(refusal(&store, 10).contains("1000000 names"));
}

#[test]
fn long_names_in_folders_in_folders_have_an_end() {
    let (_folder, server, store) = serving(&[]);
    let long = format!(",{{\"name\":\"{}\",\"type\":\"file\"}}", "x".repeat(1 << 20));
    server.everywhere(format!("[{{\"name\":\"0\",\"type\":\"directory\"}}{}]", long.repeat(16)));
    assert!(refusal(&store, 10).contains("too many names"));
    assert!(server.asked().len() < 12, "{:?}", server.asked());
}

#[test]
fn an_answer_is_whole_only_if_it_says_where_it_ends() {
    let (_folder, server, store) = serving(&[("a", b"four")]);
    server.instead("a", Instead::Ending(Ending::Chunks));
    assert_eq!(store.get("a", None, None, 4).unwrap().bytes, b"four");
    assert_eq!(kind(store.get("a", None, None, 3)), Kind::TooLarge);
    server.instead("a", Instead::Ending(Ending::Connection));
    let error = store.get("a", None, None, 4).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.to_string().contains("Content-Length"), "{error}");
    assert_eq!(store.get("a", None, Some(1..3), 4).unwrap().bytes, b"ou", "a part says its own size");
}

#[test]
fn no_more_is_read_of_an_answer_than_the_caller_takes() {
    let (_folder, server, store) = serving(&[("a", b"four")]);
    server.instead("a", Instead::Ending(Ending::LateChunks));
    assert_eq!(kind(store.get("a", None, None, 10)), Kind::TooLarge);
    server.give_no_ranges();
    for range in [0..4, 1..3, 2..10] {
        let error = store.get("a", None, Some(range), 10).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
    }
    assert!(server.late_bytes() < LONG_BYTES, "each was left before its end");
}
