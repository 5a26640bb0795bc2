//! What one page of a list may cost, whatever the server makes up: folders in folders without an end, or names.

use crate::{Error, Kind, Result};

/// An archive's deepest folder is four below its chain's, and an origin seldom has more than three parts.
const MAX_DEPTH: usize = 40;
/// Of the names that are kept until the list comes to them: a million, as they are in archives.
const MAX_HELD_BYTES: usize = 256 << 20;
/// A page asks for no more folders than so many ...
const FOLDERS: usize = 1_000;
/// ... and these for each entry that it may show: only an archive of empty folders has more.
const FOLDERS_AN_ENTRY: usize = 10;

/// What is left of it.
pub(super) struct Budget {
    folders: usize,
    held_bytes: usize,
}

impl Budget {
    /// Of a page with so many entries at most.
    pub(super) fn of_a_page(limit: usize) -> Budget {
        let folders = limit.saturating_mul(FOLDERS_AN_ENTRY).saturating_add(FOLDERS);
        Budget { folders, held_bytes: MAX_HELD_BYTES }
    }

    /// For asking for `folder`.
    pub(super) fn folder(&mut self, folder: &str) -> Result<()> {
        if folder.matches('/').count() > MAX_DEPTH {
            return Err(refused(folder, &format!("it lies deeper than {MAX_DEPTH} folders")));
        }
        let left = self.folders.checked_sub(1);
        self.folders =
            left.ok_or_else(|| refused(folder, "it comes behind too many with next to nothing in them"))?;
        Ok(())
    }

    /// For keeping a name that was found in `folder`.
    pub(super) fn name(&mut self, folder: &str, held_bytes: usize) -> Result<()> {
        let left = self.held_bytes.checked_sub(held_bytes);
        self.held_bytes =
            left.ok_or_else(|| refused(folder, "it and those around it hold too many names"))?;
        Ok(())
    }
}

fn refused(folder: &str, why: &str) -> Error {
    let shown = if folder.is_empty() { "/" } else { folder };
    let what = format!("no archive has such a folder: {why}. Look at what the server lists there");
    Error::new(Kind::Refused, shown, what)
}
