//! What a test puts between a store in memory and its reader.

use std::ops::Range;

use super::Memory;
use crate::{Error, Keep, Kind, Listing, Object, Page, Result, Retention, Store, Tag, Version};

/// Is a store by this: what is asked of it goes through to the one below, but for what an implementation changes.
pub trait Between: Send + Sync {
    /// The store below.
    fn below(&self) -> &Memory;

    /// What `get` answers.
    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        self.below().get(key, version, range, max_bytes)
    }

    /// What `list` answers.
    fn list_between(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page> {
        self.below().list(prefix, after, listing)
    }
}

impl<T: Between> Store for T {
    fn put_new(&self, key: &str, body: &[u8], keep: Keep) -> Result<Version> {
        self.below().put_new(key, body, keep)
    }

    fn replace_if(&self, key: &str, expected: Option<&Tag>, body: &[u8], keep: Keep) -> Result<Version> {
        self.below().replace_if(key, expected, body, keep)
    }

    fn get(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        self.get_between(key, version, range, max_bytes)
    }

    fn retention(&self) -> Option<Retention> {
        self.below().retention()
    }

    fn list(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page> {
        self.list_between(prefix, after, listing)
    }
}

/// It lists all, and gives no object whose key holds these words.
pub struct Withholding {
    /// The store below.
    pub inner: Memory,
    /// What stands in the keys.
    pub words: String,
    /// Why it does not give them.
    pub kind: Kind,
}

impl Between for Withholding {
    fn below(&self) -> &Memory {
        &self.inner
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        match key.contains(&self.words) {
            true => Err(Error::new(self.kind, key, "no answer, as the test set it")),
            false => self.inner.get(key, version, range, max_bytes),
        }
    }
}
