//! A copy of an archive behind a web server, to read: over HTTPS, or over HTTP on this machine.
//!
//! The server must list its folders. What nginx's `autoindex`, Apache's `mod_autoindex` (`Options +Indexes`) and
//! Python's `http.server` write is understood, and nginx's `autoindex_format json`, which alone says sizes and times
//! exactly; of the other pages only nginx's say a size. Where a list says none it is 0, and so is the time: a read says
//! both. A folder that answers with another page, such as an `index.html` of its own, is refused, for what it does not
//! show would look as if it were not there. So would what the server hides: nginx does not list names that begin with
//! a dot, Apache not what `IndexIgnore` names. No key of an archive is among them.
//!
//! * Links that lead out of the folder they stand in are passed over: to sort, to the parent, to other sites.
//! * A name that cannot be part of a key is shown as it is found, and cannot be read.
//! * Redirects are followed within the archive's root only.
//! * A server without ranges sends the whole object, and what was not asked for is dropped here.
//! * There are no versions and no locks, and the verbs that write answer `Refused`.

mod budget;
mod client;
mod date;
mod get;
mod index;
mod url;
mod walk;

use std::ops::Range;

use crate::{Error, Keep, Kind, Listing, Object, Page, Result, Retention, Store, Tag, Version};
use client::Client;

/// The store over a web server's folder. Shared by threads, each with connections of its own.
pub struct Http {
    client: Client,
}

impl Http {
    /// The archive whose root is the folder at `url`. `ca_pem`: the authorities to trust instead of the system's.
    /// Nothing is asked yet.
    pub fn open(url: &str, ca_pem: Option<&[u8]>) -> Result<Http> {
        Ok(Http { client: Client::new(url, ca_pem)? })
    }
}

/// The names on a folder's page that would become parts of keys: for suites that bring pages no server wrote. `folder`: the
/// folder's path in the URL, with a slash at its end. Err: why the page lists nothing.
#[cfg(feature = "testing")]
pub fn names_on(folder: &str, page: &[u8]) -> std::result::Result<Vec<String>, String> {
    let found = index::parse(folder, page)?.into_iter();
    Ok(found.filter(|found| found.what != index::What::Odd).map(|found| found.name).collect())
}

fn read_only(key: &str) -> Error {
    Error::new(Kind::Refused, key, "a web server's copy is only read: write to the archive itself")
}

impl Store for Http {
    fn put_new(&self, key: &str, _: &[u8], _: Keep) -> Result<Version> {
        Err(read_only(key))
    }

    fn replace_if(&self, key: &str, _: Option<&Tag>, _: &[u8], _: Keep) -> Result<Version> {
        Err(read_only(key))
    }

    fn get(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        self.read(key, version, range, max_bytes)
    }

    fn retention(&self) -> Option<Retention> {
        None
    }

    /// Each page reads the folders that it touches anew: ask for large pages.
    fn list(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page> {
        let (Listing::Newest(limit) | Listing::Versions(limit)) = listing;
        self.walk(prefix, after, limit.max(1))
    }
}
