//! Reading a key of which somebody may have laid another version over the right one, or hidden it under a delete
//! marker. What GET returns first proves nothing: a reader says what fits, by signature or by hash, and takes the
//! newest version that does.

use crate::{Entry, Error, Kind, Listing, Object, Result, Store};

/// So many versions of one key are read at most: of more than that the newest half and the oldest half, for the right
/// one stands below what was laid over it, or above what was there before it.
pub const MAX_VERSIONS: usize = 1_000;

const PAGE: usize = 1_000;

/// The newest version of `key` that fits, and what `fits` made of it; None if none does. The newest is read first,
/// and only if it does not fit (or is a delete marker, or larger than `max_bytes`) all the others. A version that may
/// not be read is passed over like one that does not fit: that it may not is the error if nothing fits.
pub fn fitting<T>(
    store: &dyn Store,
    key: &str,
    max_bytes: u64,
    mut fits: impl FnMut(&Object) -> Option<T>,
) -> Result<Option<(Object, T)>> {
    let mut refused = None;
    let newest = read(store, key, None, max_bytes, &mut refused)?;
    if let Some(object) = &newest
        && let Some(found) = fits(object)
    {
        return Ok(newest.zip(Some(found)));
    }
    let read_already = newest.map(|object| object.version);
    let entries = of_key(store, key)?;
    let others = entries.iter().filter(|entry| Some(&entry.version) != read_already.as_ref());
    match first_fitting(store, others, max_bytes, fits, &mut refused)? {
        Some(found) => Ok(Some(found)),
        None => refused.map_or(Ok(None), Err),
    }
}

/// The first of `entries` that fits. They must all be of one key, as [`of_key`] and [`by_key`] give them.
pub fn fitting_of<T>(
    store: &dyn Store,
    entries: &[Entry],
    max_bytes: u64,
    fits: impl FnMut(&Object) -> Option<T>,
) -> Result<Option<(Object, T)>> {
    let mut refused = None;
    match first_fitting(store, entries, max_bytes, fits, &mut refused)? {
        Some(found) => Ok(Some(found)),
        None => refused.map_or(Ok(None), Err),
    }
}

/// Every version of exactly this key, delete markers included, newest first; of more than [`MAX_VERSIONS`] the newest
/// and the oldest. Empty if there never was one.
pub fn of_key(store: &dyn Store, key: &str) -> Result<Vec<Entry>> {
    // All versions of a key come on one page, and this key is the first that begins with itself.
    let page = store.list(key, "", Listing::Versions(1))?;
    Ok(bounded(page.entries.into_iter().take_while(|entry| entry.key == key).collect()))
}

/// Everything under `prefix` that comes after `after`, in the order of keys: gives each key with its versions, newest
/// first, to `each`.
pub fn by_key<E: From<Error>>(
    store: &dyn Store,
    prefix: &str,
    after: &str,
    mut each: impl FnMut(&str, Vec<Entry>) -> Result<(), E>,
) -> Result<(), E> {
    let mut after = after.to_owned();
    loop {
        let page = store.list(prefix, &after, Listing::Versions(PAGE))?;
        let mut entries = page.entries.into_iter().peekable();
        while let Some(first) = entries.next() {
            let key = first.key.clone();
            let mut versions = vec![first];
            while let Some(next) = entries.next_if(|entry| entry.key == key) {
                versions.push(next);
            }
            each(&key, bounded(versions))?;
            after = key;
        }
        if !page.more {
            return Ok(());
        }
    }
}

fn first_fitting<'a, T>(
    store: &dyn Store,
    entries: impl IntoIterator<Item = &'a Entry>,
    max_bytes: u64,
    mut fits: impl FnMut(&Object) -> Option<T>,
    refused: &mut Option<Error>,
) -> Result<Option<(Object, T)>> {
    for entry in entries {
        if entry.delete_marker || entry.size_bytes > max_bytes {
            continue;
        }
        let Some(object) = read(store, &entry.key, Some(entry), max_bytes, refused)? else { continue };
        if let Some(found) = fits(&object) {
            return Ok(Some((object, found)));
        }
    }
    Ok(None)
}

/// None if that version cannot be the right one, or may not be read.
fn read(
    store: &dyn Store,
    key: &str,
    entry: Option<&Entry>,
    max_bytes: u64,
    refused: &mut Option<Error>,
) -> Result<Option<Object>> {
    match store.get(key, entry.map(|entry| &entry.version), None, max_bytes) {
        Ok(object) => Ok(Some(object)),
        Err(error) => match error.kind() {
            Kind::Missing | Kind::TooLarge => Ok(None),
            // As where somebody has stored it under a key of his own.
            Kind::Refused => {
                refused.get_or_insert(error);
                Ok(None)
            }
            _ => Err(error),
        },
    }
}

fn bounded(mut newest_first: Vec<Entry>) -> Vec<Entry> {
    if newest_first.len() > MAX_VERSIONS {
        let half = MAX_VERSIONS / 2;
        newest_first.drain(half..newest_first.len() - half);
    }
    newest_first
}

#[cfg(test)]
mod tests;
