//! A copy of an archive behind web servers: Python's, and one of the test's own that writes its pages as nginx and Apache
//! do, and can do wrong. A copy is written as a folder, and read over HTTP.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken promise ends the test with a sentence")]

mod bounds;
mod faults;
mod growing;
mod python;
mod server;

use std::io::Write;
use std::ops::Range;

use server::{Pages, Server};
use store::conformance::Case;
use store::directory::{Directory, Options};
use store::http::Http;
use store::{Keep, Listing, Object, Page, Result, Retention, Store, Tag, Version};
use tempfile::TempDir;

/// An archive in a folder, read through a web server.
struct Copy {
    written: Directory,
    read: Http,
    _folder: TempDir,
}

impl Copy {
    /// `serve` gives the URL of a folder.
    fn behind(serve: impl FnOnce(&std::path::Path) -> String) -> Copy {
        let folder = tempfile::tempdir().unwrap();
        let written = Directory::open(folder.path(), Options::default()).unwrap();
        let read = Http::open(&serve(folder.path()), None).unwrap();
        Copy { written, read, _folder: folder }
    }
}

impl Store for Copy {
    fn put_new(&self, key: &str, body: &[u8], keep: Keep) -> Result<Version> {
        self.written.put_new(key, body, keep)
    }

    fn replace_if(&self, key: &str, expected: Option<&Tag>, body: &[u8], keep: Keep) -> Result<Version> {
        self.written.replace_if(key, expected, body, keep)
    }

    fn get(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        self.read.get(key, version, range, max_bytes)
    }

    fn retention(&self) -> Option<Retention> {
        self.read.retention()
    }

    fn list(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page> {
        self.read.list(prefix, after, listing)
    }
}

fn behind(pages: Pages, case: Case) {
    let mut server = None;
    let copy = Copy::behind(|folder| server.insert(Server::of(folder, pages)).url.clone());
    case(&copy);
}

/// What of the contract is about reading; sizes and times apart, which not every page says.
macro_rules! read_contract {
    ($in_an_empty_copy:path $(, $more:ident)*) => {
        store::conformance! { $in_an_empty_copy:
            what_is_not_there_is_missing,
            more_bytes_than_the_caller_takes_are_too_large,
            a_range_is_cut_at_the_end,
            an_empty_range_brings_no_bytes_but_what_is_known,
            an_empty_store_lists_nothing,
            keys_come_in_the_order_of_their_bytes,
            after_is_exclusive_and_need_not_be_a_key,
            a_prefix_is_the_beginning_of_a_key_and_no_more,
            pages_say_whether_more_may_follow,
            what_is_not_a_key_is_refused_by_every_verb,
            a_key_at_the_bounds_is_taken,
            a_prefix_that_no_key_has_is_refused,
            $($more,)*
        }
    };
}
pub(crate) use read_contract;

mod behind_nginx {
    fn in_a_copy(case: store::conformance::Case) {
        super::behind(super::Pages::Nginx, case);
    }
    super::read_contract!(
        in_a_copy,
        what_was_put_is_read_back,
        small_pages_over_many_keys_bring_each_key_once
    );
}

mod behind_nginx_with_json {
    fn in_a_copy(case: store::conformance::Case) {
        super::behind(super::Pages::NginxJson, case);
    }
    super::read_contract!(in_a_copy, what_was_put_is_read_back, an_entry_says_what_a_read_says);
}

mod behind_apache {
    fn in_a_copy(case: store::conformance::Case) {
        super::behind(super::Pages::Apache, case);
    }
    super::read_contract!(in_a_copy);
}

/// Says so past the harness, which would keep it to itself. CI tests everything.
#[allow(clippy::disallowed_methods, reason = "whether this is CI is the environment's to say")]
fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI tests everything, but here is {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
