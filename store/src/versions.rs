//! Reading a key of which somebody may have laid another version over the right one, or hidden it under a delete
//! marker. What GET returns first proves nothing: a reader says what fits, by signature or by hash, and takes the
//! newest version that does.

use crate::{Entry, Error, Kind, Listing, Object, Result, Store};

/// So many objects of one key are looked into at most: of more than that the newest half and the oldest half, for the
/// right one stands below what was laid over it, or above what was there before it. Where none of them fits, it is not
/// said that none does.
pub const MAX_VERSIONS: usize = 2_000;

const PAGE: usize = 1_000;

/// The newest version of `key` that fits, and what `fits` made of it; None if none does. The newest is read first,
/// and only if it does not fit (or is a delete marker, or larger than `max_bytes`) all the others. A version that may
/// not be read is passed over like one that does not fit: that it may not is the error if nothing fits. `Crowded` if
/// nothing fits and there may be more than were read.
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
        None => none_of(&entries, refused),
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
        None => none_of(entries, refused),
    }
}

/// What follows where none of a key's versions fits.
fn none_of<T>(entries: &[Entry], refused: Option<Error>) -> Result<Option<T>> {
    check_whole(entries)?;
    refused.map_or(Ok(None), Err)
}

/// `Crowded` if the versions of a key, as [`of_key`] and [`by_key`] give them, may not be all that there are.
pub fn check_whole(entries: &[Entry]) -> Result<()> {
    let objects = entries.iter().filter(|entry| !entry.delete_marker).count();
    match entries.first() {
        Some(entry) if objects >= MAX_VERSIONS => Err(Error::new(
            Kind::Crowded,
            &entry.key,
            format!(
                "too many versions: the newest and the oldest were looked into, {MAX_VERSIONS} in all, and none of \
                 them is the right one. Whether another is, is not known: see who lays them there"
            ),
        )),
        _ => Ok(()),
    }
}

/// Every version of exactly this key, delete markers included, newest first; of more than [`MAX_VERSIONS`] objects the
/// newest and the oldest, and of markers the same. Empty if there never was one.
pub fn of_key(store: &dyn Store, key: &str) -> Result<Vec<Entry>> {
    // All versions of a key come on one page, and this key is the first that begins with itself.
    let page = store.list(key, "", Listing::Versions(1))?;
    let mut versions = page.entries.into_iter().take_while(|entry| entry.key == key).collect();
    bound(&mut versions, |entry| entry.delete_marker);
    Ok(versions)
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
            bound(&mut versions, |entry| entry.delete_marker);
            each(&key, versions)?;
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

/// Lets go of those in the middle, of objects and of markers apart: who may delete lays markers without end, and they
/// are to push nothing out.
pub(crate) fn bound<T>(newest_first: &mut Vec<T>, is_marker: impl Fn(&T) -> bool) {
    let half = MAX_VERSIONS / 2;
    let markers = newest_first.iter().filter(|entry| is_marker(entry)).count();
    let counts = [newest_first.len() - markers, markers];
    let mut seen = [0, 0];
    newest_first.retain(|entry| {
        let kind = usize::from(is_marker(entry));
        let nth = seen[kind];
        seen[kind] += 1;
        nth < half || nth + half >= counts[kind]
    });
}

#[cfg(test)]
mod tests;
