//! One object of which only ranges are wanted, and of which somebody may have laid another version over the right one:
//! each version is tried until one fits.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use store::versions::{check_whole, of_key};
use store::{Entry, Kind, Store, Version};

use crate::{Error, Result};

/// What is said of an object that is not there.
pub(crate) const ABSENT: &str = "it is not there";

/// One version of an object, read by ranges.
pub(crate) struct Parts<'a> {
    store: &'a dyn Store,
    pub(crate) key: &'a str,
    version: Option<Version>,
    size_bytes: u64,
    /// What was read first: from its beginning.
    pub(crate) beginning: Vec<u8>,
    read_bytes: Cell<u64>,
}

/// Why a version is not the one.
pub(crate) enum Unfit {
    /// What it holds is not what is wanted.
    Misfit(String),
    /// It could not be read.
    Unread(store::Error),
    /// What it names is not what is wanted, or could not be read.
    Below(Error),
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Unfit {
        Unfit::Below(error)
    }
}

impl From<store::Error> for Unfit {
    fn from(error: store::Error) -> Unfit {
        Unfit::Unread(error)
    }
}

impl From<schemas::Malformed> for Unfit {
    fn from(malformed: schemas::Malformed) -> Unfit {
        Unfit::Misfit(malformed.to_string())
    }
}

impl Parts<'_> {
    /// How large the whole object is.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// How much of it was read so far.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes.get()
    }

    /// The bytes of exactly this range.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Unfit> {
        let beyond = || Unfit::Misfit(format!("ends before byte {}", range.end));
        if range.start > range.end || range.end > self.size_bytes {
            return Err(beyond());
        }
        if range.end <= self.beginning.len() as u64 {
            return Ok(self.beginning[range.start as usize..range.end as usize].to_vec());
        }
        let length = range.end - range.start;
        let object = self.store.get(self.key, self.version.as_ref(), Some(range.clone()), length)?;
        self.read_bytes.set(self.read_bytes.get() + object.bytes.len() as u64);
        if object.bytes.len() as u64 == length { Ok(object.bytes) } else { Err(beyond()) }
    }
}

/// What `fits` makes of the newest version of `key` for which it makes anything. `listed`: the versions, newest first,
/// where they are known already. Of each the first `beginning_bytes` are read before `fits` is asked.
pub(crate) fn fitting<T>(
    store: &dyn Store,
    key: &str,
    listed: Option<&[Entry]>,
    beginning_bytes: u64,
    mut fits: impl FnMut(&Parts<'_>) -> Result<T, Unfit>,
) -> Result<T> {
    let (mut failed, looked_into) = (Failed::default(), RefCell::new(None));
    let mut attempt = |version: Option<&Version>| -> Result<T, Unfit> {
        let object = store.get(key, version, Some(0..beginning_bytes), beginning_bytes)?;
        looked_into.replace(Some(object.version.clone()));
        let (size_bytes, version) = (object.size_bytes, Some(object.version));
        let read_bytes = Cell::new(object.bytes.len() as u64);
        fits(&Parts { store, key, version, size_bytes, beginning: object.bytes, read_bytes })
    };
    let mut entries = listed.map(<[Entry]>::to_vec);
    if entries.is_none() {
        match attempt(None) {
            Ok(found) => return Ok(found),
            Err(unfit) => failed.take(key, unfit)?,
        }
    }
    let entries = match entries.take() {
        Some(entries) => entries,
        None => of_key(store, key)?,
    };
    let is_alone = listed.is_none() && entries.len() <= 1;
    let newest = looked_into.take();
    let others =
        entries.iter().filter(|entry| !entry.delete_marker && Some(&entry.version) != newest.as_ref());
    for entry in others.filter(|_| !is_alone) {
        match attempt(Some(&entry.version)) {
            Ok(found) => return Ok(found),
            Err(unfit) => failed.take(key, unfit)?,
        }
    }
    check_whole(&entries)?;
    Err(failed.into_error(key))
}

/// Why none of those tried so far was the one.
#[derive(Default)]
struct Failed {
    misfit: Option<Error>,
    refused: Option<store::Error>,
    missing: Option<store::Error>,
}

impl Failed {
    /// Err: no other version can help.
    fn take(&mut self, key: &str, unfit: Unfit) -> Result<()> {
        match unfit {
            Unfit::Misfit(what) => drop(self.misfit.get_or_insert(Error::misfit(key, what))),
            Unfit::Below(error @ Error::Misfit { .. }) => drop(self.misfit.get_or_insert(error)),
            Unfit::Below(error) => return Err(error),
            Unfit::Unread(error) => match error.kind() {
                Kind::Missing | Kind::TooLarge => drop(self.missing.get_or_insert(error)),
                // As where somebody has stored it under a key of his own: it might be the one.
                Kind::Refused => drop(self.refused.get_or_insert(error)),
                _ => return Err(error.into()),
            },
        }
        Ok(())
    }

    fn into_error(self, key: &str) -> Error {
        match (self.refused, self.misfit, self.missing) {
            (Some(refused), ..) => refused.into(),
            (None, Some(misfit), _) => misfit,
            (None, None, Some(missing)) if missing.kind() == Kind::TooLarge => missing.into(),
            (None, None, _) => Error::misfit(key, ABSENT),
        }
    }
}
