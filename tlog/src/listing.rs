//! The names of trees files, a page at a time: which of them ends at a size or behind it.

use std::sync::{Mutex, PoisonError};

use schemas::{Layout, Place};
use store::{Entry, Listing, Store};

use crate::{Chain, Error, Result};

/// What one request lists.
const PAGE: usize = 1_000;
/// So many pages are kept.
const PAGES_KEPT: usize = 16;

/// A trees file by its name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) size: u64,
    pub(crate) key: String,
    /// Newest first.
    pub(crate) versions: Vec<Entry>,
}

/// The pages listed so far, each trusted only as far as the chain was signed when it was listed: what was archived since
/// is not on it, whatever foreign name stands behind. The archiver writes a trees file before the Checkpoint of its size,
/// so up to there no name of its own is missing.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<Vec<Page>>);

#[derive(Debug)]
struct Page {
    /// It shows every name of the archiver's of a larger size than this, up to `shown`.
    after: Option<u64>,
    shown: u64,
    names: Vec<Named>,
}

impl Page {
    fn shows(&self, size: u64) -> bool {
        self.after.is_none_or(|after| after < size) && size <= self.shown
    }

    fn from(&self, size: u64) -> Vec<Named> {
        let at = self.names.partition_point(|named| named.size < size);
        self.names[at..].to_vec()
    }
}

impl Chain {
    /// What `find` makes of the trees files of `size` or a larger one, as far as one page shows them: the first is what is
    /// wanted, if nobody has put others between. No names: there is none. Names that were kept and lead to nothing that
    /// fits are listed anew, once: the right version may have been laid over what they show.
    pub(crate) fn among_trees<T>(&self, size: u64, mut find: impl FnMut(&[Named]) -> Result<T>) -> Result<T> {
        let (names, is_kept) = self.trees_from(size)?;
        match find(&names) {
            Err(Error::Misfit { .. }) if is_kept => {
                self.names.forget(size);
                find(&self.trees_from(size)?.0)
            }
            found => found,
        }
    }

    /// The names, and whether they were kept.
    pub(crate) fn trees_from(&self, size: u64) -> Result<(Vec<Named>, bool)> {
        // Asked before it is listed: what is signed meanwhile may be missing.
        let signed = self.newest().map_or(0, |newest| newest.size);
        let mut pages = self.names.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = pages.iter().find(|page| page.shows(size)) {
            return Ok((page.from(size), true));
        }
        let page = read_page(self.store.as_ref(), &self.layout, size.checked_sub(1), signed)?;
        let found = page.from(size);
        if page.shows(size) {
            pages.retain(|kept| kept.after != page.after);
            if pages.len() == PAGES_KEPT {
                pages.remove(0);
            }
            pages.push(page);
        }
        Ok((found, false))
    }
}

impl Names {
    /// Forgets the pages that show what is of `size`.
    fn forget(&self, size: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|page| !page.shows(size));
    }
}

fn read_page(store: &dyn Store, layout: &Layout, after: Option<u64>, signed: u64) -> Result<Page> {
    let mut names: Vec<Named> = Vec::new();
    let mut last = after.map(|size| layout.key(&Place::Trees(size))).unwrap_or_default();
    loop {
        let page = store.list(&layout.trees(), &last, Listing::Versions(PAGE))?;
        for versions in page.entries.chunk_by(|one, next| one.key == next.key) {
            let key = &versions[0].key;
            last.clone_from(key);
            let place = key.strip_prefix(layout.root()).and_then(Place::parse);
            if let Some(Place::Trees(size)) = place
                && versions.iter().any(|entry| !entry.delete_marker)
            {
                names.push(Named { size, key: key.clone(), versions: versions.to_vec() });
            }
        }
        // A page of nothing but what is no trees file says nothing.
        if !names.is_empty() || !page.more || page.entries.is_empty() {
            let last = if page.more { names.last().map_or(0, |last| last.size) } else { u64::MAX };
            return Ok(Page { after, shown: signed.min(last), names });
        }
    }
}
