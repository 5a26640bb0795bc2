//! Reading objects, each within its bound, and of several versions the one that fits.

use std::collections::BTreeMap;

use schemas::checkpoint::MAX_CHECKPOINT_BYTES;
use schemas::note::MAX_NOTE_BYTES;
use store::custody::Kept;
use store::{Entry, Error, Kind, Object, Store, Version};

use crate::{Ahead, Check, Finding};

/// A segment that is larger is not looked at: this is what memory is bounded by.
pub(crate) const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// The trees file of eight million events.
pub(crate) const MAX_TREES_BYTES: u64 = 256 << 20;
pub(crate) const MAX_CHECKPOINT: u64 = MAX_CHECKPOINT_BYTES as u64;
pub(crate) const MAX_KEY_NOTE: u64 = MAX_NOTE_BYTES as u64;
pub(crate) const MAX_SCHEMA: u64 = 1 << 20;
/// A segment whose size no list says is taken for this large until it turns out larger.
pub(crate) const UNKNOWN_SIZE_BYTES: u64 = 16 << 20;

/// Of so many versions of one key the newest half and the oldest half are looked into: what was written first, and what
/// somebody laid over it to put it right. Whoever lays many between them hides nothing.
const MAX_VERSIONS: usize = 100;

/// Why an object was not read.
#[derive(Clone, Debug)]
pub(crate) enum Unread {
    /// It is larger than anything of its kind may be.
    TooLarge(u64),
    /// The store did not give it. It was listed, so that says nothing about the evidence.
    Failed(String),
}

impl Unread {
    pub(crate) fn of(error: &Error, max_bytes: u64) -> Unread {
        match error.kind() {
            Kind::TooLarge => Unread::TooLarge(max_bytes),
            _ => Unread::Failed(error.to_string()),
        }
    }

    /// What is larger than its list says may still be no larger than it may be: the list or the answer is wrong, and
    /// that is the store's doing.
    pub(crate) fn or_not_as_listed(self, key: &str, cap_bytes: u64) -> Unread {
        match self {
            Unread::TooLarge(max) if cap_bytes < max => {
                Unread::Failed(format!("{key}: larger than the {cap_bytes} bytes that the list says it has"))
            }
            other => other,
        }
    }

    /// The finding for an object that must be read to say anything.
    pub(crate) fn finding(self, key: &str) -> Finding {
        let found = match self {
            Unread::TooLarge(max) => format!("larger than the {max} bytes that are looked at"),
            Unread::Failed(why) => why,
        };
        Finding::of(Check::Readable, "an object that can be read", found).at(key)
    }

    /// The finding for an object whose format bounds its size.
    pub(crate) fn finding_of_bounded(self, check: Check, key: &str) -> Finding {
        match self {
            Unread::TooLarge(max) => {
                Finding::of(check, format!("at most {max} bytes"), "a larger object").at(key)
            }
            failed @ Unread::Failed(_) => failed.finding(key),
        }
    }
}

/// How a store is read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// How much at once.
    pub ahead: Ahead,
    /// Whether it answers from afar: then what is wanted together is asked for together.
    pub is_remote: bool,
    /// What is larger than this comes in parts of this size, several at once. None: whole.
    pub part_bytes: Option<u64>,
}

/// The archive as the verifier reads it.
pub(crate) struct Source<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) reading: &'a Reading,
    /// Keys with more than one version, or with a delete marker: all of them, newest first.
    pub(crate) laid: &'a BTreeMap<String, Vec<Entry>>,
}

impl<'a> Source<'a> {
    /// What stands at `key`: of its versions the newest for which `fits` gives something, else the newest, without.
    pub(crate) fn fitting<T>(
        &self,
        key: &str,
        max_bytes: u64,
        fits: impl FnMut(&Object) -> Option<T>,
    ) -> Result<(Object, Option<T>), Unread> {
        match self.laid.get(key) {
            Some(entries) => first_fitting(
                key,
                &Chosen::of(entries, max_bytes),
                max_bytes,
                |entry| self.read_listed(entry, max_bytes),
                fits,
            ),
            None => self.newest_or_fitting(key, max_bytes, fits),
        }
    }

    /// The same with the oldest that fits.
    pub(crate) fn oldest_fitting<T>(
        &self,
        key: &str,
        max_bytes: u64,
        fits: impl FnMut(&Object) -> Option<T>,
    ) -> Result<(Object, Option<T>), Unread> {
        if let Some(entries) = self.laid.get(key) {
            let chosen = Chosen::of(entries, max_bytes).reversed();
            return first_fitting(key, &chosen, max_bytes, |entry| self.read_listed(entry, max_bytes), fits);
        }
        let mut fits = fits;
        let newest = match self.store.get(key, None, None, max_bytes) {
            Ok(newest) => Some(newest),
            Err(error) if matches!(error.kind(), Kind::Missing | Kind::TooLarge) => None,
            Err(error) => return Err(Unread::of(&error, max_bytes)),
        };
        // Since the list was read something may have been laid over it.
        let keeps_versions = newest.as_ref().is_none_or(|newest| newest.version != Version::default());
        let now = if keeps_versions { self.entries_now(key)? } else { Vec::new() };
        if let Some(newest) = newest
            && now.iter().all(|entry| entry.version == newest.version)
        {
            let fit = fits(&newest);
            return Ok((newest, fit));
        }
        let chosen = Chosen::of(&now, max_bytes).reversed();
        first_fitting(key, &chosen, max_bytes, |entry| self.read_listed(entry, max_bytes), fits)
    }

    /// The same as `fitting` with the first so many bytes of each version.
    pub(crate) fn fitting_beginning<T>(
        &self,
        key: &str,
        bytes: u64,
        mut fits: impl FnMut(&Object) -> Option<T>,
    ) -> Result<(Object, Option<T>), Unread> {
        let get = |version: Option<&Version>| {
            let got = self.store.get(key, version, Some(0..bytes), bytes);
            got.map_err(|error| Unread::of(&error, bytes))
        };
        if !self.laid.contains_key(key) {
            let newest = get(None)?;
            if let Some(fit) = fits(&newest) {
                return Ok((newest, Some(fit)));
            }
            if newest.version == Version::default() {
                return Ok((newest, None));
            }
        }
        let now = self.entries_now(key)?;
        let chosen = Chosen::of(&now, u64::MAX);
        first_fitting(key, &chosen, bytes, |entry| get(Some(&entry.version)), fits)
    }

    /// The same where the list shows one version. Something may have been laid over it since.
    fn newest_or_fitting<T>(
        &self,
        key: &str,
        max_bytes: u64,
        mut fits: impl FnMut(&Object) -> Option<T>,
    ) -> Result<(Object, Option<T>), Unread> {
        let newest = match self.store.get(key, None, None, max_bytes) {
            Ok(newest) => {
                if let Some(fit) = fits(&newest) {
                    return Ok((newest, Some(fit)));
                }
                if newest.version == Version::default() {
                    return Ok((newest, None));
                }
                Ok(newest)
            }
            Err(error) if matches!(error.kind(), Kind::Missing | Kind::TooLarge) => Err(error),
            Err(error) => return Err(Unread::of(&error, max_bytes)),
        };
        match store::versions::fitting(self.store, key, max_bytes, fits) {
            Ok(Some((object, fit))) => Ok((object, Some(fit))),
            Ok(None) => newest.map(|newest| (newest, None)).map_err(|error| Unread::of(&error, max_bytes)),
            // What could not be read might be the one.
            Err(error) => Err(Unread::of(&error, max_bytes)),
        }
    }

    /// One version as it was listed: more than the list says it has is not taken.
    pub(crate) fn read_listed(&self, entry: &Entry, max_bytes: u64) -> Result<Object, Unread> {
        let cap_bytes = cap(entry.size_bytes, max_bytes)?;
        let got = self.store.get(&entry.key, Some(&entry.version), None, cap_bytes);
        got.map_err(|error| Unread::of(&error, max_bytes).or_not_as_listed(&entry.key, cap_bytes))
    }

    /// The versions of a key to be looked into, newest first: those that were listed or, if that was one, those of now.
    /// With them why it must not be said that none of them fits.
    pub(crate) fn versions_now(&self, key: &str) -> Result<(Vec<Entry>, Option<Unread>), Unread> {
        let now = self.entries_now(key)?;
        let chosen = Chosen::of(&now, u64::MAX);
        let left_out = chosen.left_out.then(|| crowded(key));
        Ok((chosen.versions.into_iter().cloned().collect(), left_out))
    }

    /// The versions of a key as they were listed or, if that was one, those of now.
    fn entries_now(&self, key: &str) -> Result<Vec<Entry>, Unread> {
        match self.laid.get(key) {
            Some(listed) => Ok(listed.clone()),
            None => {
                store::versions::of_key(self.store, key).map_err(|error| Unread::Failed(error.to_string()))
            }
        }
    }

    /// The versions of a key to be looked into, newest first. None: it has one only.
    pub(crate) fn versions(&self, key: &str) -> Option<Vec<&Entry>> {
        Some(Chosen::of(self.laid.get(key)?, u64::MAX).versions)
    }
}

/// Of the versions chosen, the first that fits as `read` brings it.
fn first_fitting<T>(
    key: &str,
    chosen: &Chosen<'_>,
    max_bytes: u64,
    read: impl Fn(&Entry) -> Result<Object, Unread>,
    mut fits: impl FnMut(&Object) -> Option<T>,
) -> Result<(Object, Option<T>), Unread> {
    let (mut newest, mut unread) = (None, None);
    if chosen.has_too_large {
        unread = Some(Unread::TooLarge(max_bytes));
    }
    for version in &chosen.versions {
        match read(version) {
            Ok(object) => {
                if let Some(fit) = fits(&object) {
                    return Ok((object, Some(fit)));
                }
                newest.get_or_insert(object);
            }
            // What is too large is not the one; what failed might be.
            Err(failed @ Unread::Failed(_)) => unread = Some(failed),
            Err(too_large) => unread = unread.or(Some(too_large)),
        }
    }
    match (unread, newest) {
        _ if chosen.left_out => Err(crowded(key)),
        // What could not be read might be the one.
        (Some(unread @ Unread::Failed(_)), _) | (Some(unread), None) => Err(unread),
        (_, Some(newest)) => Ok((newest, None)),
        (None, None) => Err(Unread::Failed(format!("{key}: a delete marker, and nothing below"))),
    }
}

/// How many bytes are taken of an object of which a list says `listed_bytes`: memory is shared out by what lists say. 0:
/// it does not say.
pub(crate) fn cap(listed_bytes: u64, max_bytes: u64) -> Result<u64, Unread> {
    match listed_bytes {
        0 => Ok(max_bytes),
        listed if listed > max_bytes => Err(Unread::TooLarge(max_bytes)),
        listed => Ok(listed),
    }
}

fn crowded(key: &str) -> Unread {
    Unread::Failed(format!(
        "{key}: too many versions: the newest and the oldest were looked into, and none of them is the right one. \
         Whether another is, is not known"
    ))
}

/// The versions of a key that are looked into.
struct Chosen<'a> {
    /// Newest first.
    versions: Vec<&'a Entry>,
    /// Whether others may be the right one.
    left_out: bool,
    /// Whether there are some that are larger than anything of their kind may be.
    has_too_large: bool,
}

impl<'a> Chosen<'a> {
    /// Of all versions, the newest first.
    fn of(entries: &'a [Entry], max_bytes: u64) -> Chosen<'a> {
        let objects = entries.iter().filter(|entry| !entry.delete_marker);
        let has_too_large = objects.clone().any(|entry| entry.size_bytes > max_bytes);
        let mut versions: Vec<&Entry> = objects.filter(|entry| entry.size_bytes <= max_bytes).collect();
        let half = MAX_VERSIONS / 2;
        // The list may be short of some itself.
        let left_out = versions.len() > MAX_VERSIONS || store::versions::check_whole(entries).is_err();
        if versions.len() > MAX_VERSIONS {
            versions.drain(half..versions.len() - half);
        }
        Chosen { versions, left_out, has_too_large }
    }

    fn reversed(mut self) -> Chosen<'a> {
        self.versions.reverse();
        self
    }
}

/// What is known of how an object that was read is kept.
pub(crate) fn kept(object: &Object) -> Kept {
    Kept {
        version: object.version.clone(),
        modified: object.modified,
        delete_marker: false,
        lock: object.lock,
        is_held: object.is_held,
    }
}
