//! A store for tests: it keeps every version, can hold locks, fails where a plan says, and can be tampered with.
//!
//! A clone is another handle on the same objects, so they outlive the stages that use them. Every call of a verb that
//! writes counts, from 0: run once without a plan to learn how many there are, then once for each of them and each
//! [`Fault`].

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::Clock;
use schemas::Micros;

use crate::{
    Entry, Error, Keep, Kind, Listing, Lock, Mode, Object, Page, Result, Retention, Store, Tag, Version, key,
};

mod between;
#[cfg(test)]
mod tests;

pub use between::{Between, Withholding};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How a write fails. The caller sees `Away` in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done.
    Lost,
    /// It is done, or refused, and the answer does not arrive.
    AnswerLost,
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Memory {
    clock: Arc<dyn Clock>,
    /// What it promises.
    retention: Option<Retention>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Of each key the newest last. Never empty.
    objects: BTreeMap<String, Vec<Stored>>,
    versions: u64,
    /// What it locks with.
    locks: Option<Retention>,
    writes: u64,
    plan: HashMap<u64, Fault>,
    /// From this write on none is done.
    writes_end_at: Option<u64>,
    is_away: bool,
    /// What is written is not encrypted.
    leaves_plain: bool,
}

/// One version; without bytes it is a delete marker.
struct Stored {
    version: u64,
    bytes: Option<Vec<u8>>,
    modified: Micros,
    lock: Option<Lock>,
    is_held: bool,
    is_unreadable: bool,
    is_encrypted: bool,
}

impl Memory {
    /// Without locks, as a folder is.
    pub fn new(clock: Arc<dyn Clock>) -> Memory {
        Memory { clock, retention: None, state: Arc::default() }
    }

    /// With a lock on each version: evidence for `retention`, a hint for a day at most.
    pub fn locking(clock: Arc<dyn Clock>, mode: Mode, retention: Duration) -> Memory {
        let retention = Some(Retention { mode, period: retention });
        let store = Memory { retention, ..Memory::new(clock) };
        store.lock_with(retention);
        store
    }

    /// From now on evidence is locked with this, whatever `retention` says: as on a server that takes the wish and
    /// does not know it.
    pub fn lock_with(&self, locks: Option<Retention>) {
        self.state().locks = locks;
    }

    /// From now on what is written is encrypted, or not, where it was to be: as on a server that takes the wish and does
    /// not know it. It is, until this is said.
    pub fn encrypt(&self, does: bool) {
        self.state().leaves_plain = !does;
    }

    /// Lets the `nth` write fail, counted from 0 since the store was made.
    pub fn fail_write(&self, nth: u64, fault: Fault) {
        self.state().plan.insert(nth, fault);
    }

    /// How many writes were asked for.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// From now on every verb answers `Away` and does nothing, until it is set back.
    pub fn set_away(&self, is_away: bool) {
        self.state().is_away = is_away;
    }

    /// From the `nth` write on, counted as for `fail_write`, every write answers `Away` and is not done, while reads
    /// go on: what is stored stays as the writer's death would leave it. None: writes are done again.
    pub fn end_writes_at(&self, nth: Option<u64>) {
        self.state().writes_end_at = nth;
    }

    /// Adds a newer version, whatever is there: what anybody with the right to put can do.
    pub fn lay_over(&self, key: &str, bytes: &[u8]) -> Version {
        self.add(&mut self.state(), key, Some(bytes.to_vec()), Keep::Evidence)
    }

    /// Hides the key under a delete marker: what anybody with the right to delete can do, locks or not.
    pub fn hide(&self, key: &str) -> Version {
        self.add(&mut self.state(), key, None, Keep::Hint)
    }

    /// Adds a newer version whose bytes nobody gets, as of an object that lies on tape, or is encrypted under another
    /// account's key. It can be looked at, and be laid over.
    pub fn lay_over_unreadable(&self, key: &str) -> Version {
        let mut state = self.state();
        let version = self.add(&mut state, key, Some(b"sealed off".to_vec()), Keep::Evidence);
        if let Some(stored) = state.objects.get_mut(key).and_then(|versions| versions.last_mut()) {
            stored.is_unreadable = true;
        }
        version
    }

    /// Changes bytes of the newest version in place, which no store that locks allows. False if there is none.
    #[must_use]
    pub fn damage(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = self.state();
        let newest = state.objects.get_mut(key).and_then(|versions| versions.last_mut());
        newest.and_then(|stored| stored.bytes.as_mut()).map(change).is_some()
    }

    /// Takes a key away with all its versions. False if there is none.
    #[must_use]
    pub fn remove(&self, key: &str) -> bool {
        self.state().objects.remove(key).is_some()
    }

    /// A test that panicked with the lock held has failed already; another thread of it goes on.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, state: &mut State, key: &str, bytes: Option<Vec<u8>>, keep: Keep) -> Version {
        let modified = self.clock.wall();
        let lock = state.locks.filter(|_| bytes.is_some()).map(|Retention { mode, period }| {
            let (mode, time) = match keep {
                Keep::Evidence => (mode, period),
                Keep::Hint => (Mode::Governance, period.min(DAY)),
            };
            Lock { mode, until: Micros(modified.0.saturating_add(time.as_micros() as i64)) }
        });
        state.versions += 1;
        let stored = Stored {
            version: state.versions,
            bytes,
            modified,
            lock,
            is_held: false,
            is_unreadable: false,
            is_encrypted: !state.leaves_plain,
        };
        let version = stored.name();
        state.objects.entry(key.to_owned()).or_default().push(stored);
        version
    }

    /// A write, with what the plan has for it. `refuse` looks at the newest object and says why not to.
    fn write(
        &self,
        key: &str,
        body: &[u8],
        keep: Keep,
        refuse: impl FnOnce(Option<&Stored>) -> Option<Error>,
    ) -> Result<Version> {
        key::check(key)?;
        let mut state = self.state();
        let nth = state.writes;
        state.writes += 1;
        reached(&state, key)?;
        if state.writes_end_at.is_some_and(|end| nth >= end) {
            return Err(Error::new(Kind::Away, key, format!("write {nth} is past the last one, as planned")));
        }
        let fault = state.plan.remove(&nth);
        if fault == Some(Fault::Lost) {
            return Err(Error::new(Kind::Away, key, format!("write {nth} was lost, as planned")));
        }
        let newest = state.objects.get(key).and_then(|versions| versions.last());
        let answer = match refuse(newest.filter(|stored| stored.bytes.is_some())) {
            Some(error) => Err(error),
            None => Ok(self.add(&mut state, key, Some(body.to_vec()), keep)),
        };
        if fault == Some(Fault::AnswerLost) {
            return Err(Error::new(
                Kind::Away,
                key,
                format!("the answer to write {nth} was lost, as planned"),
            ));
        }
        answer
    }
}

impl Store for Memory {
    fn put_new(&self, key: &str, body: &[u8], keep: Keep) -> Result<Version> {
        self.write(key, body, keep, |newest| {
            newest.map(|_| Error::new(Kind::Exists, key, "something is there already"))
        })
    }

    fn replace_if(&self, key: &str, expected: Option<&Tag>, body: &[u8], keep: Keep) -> Result<Version> {
        self.write(key, body, keep, |newest| {
            let is_expected = newest.map(Stored::tag).as_ref() == expected;
            (!is_expected)
                .then(|| Error::new(Kind::Changed, key, "it is not what was expected: read it again"))
        })
    }

    fn get(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        key::check(key)?;
        let state = self.state();
        reached(&state, key)?;
        let versions = state.objects.get(key).map_or(&[][..], Vec::as_slice);
        let stored = match version {
            None => versions.last(),
            Some(version) => {
                let number = version.0.strip_prefix('v').and_then(|number| number.parse().ok());
                versions.iter().find(|stored| Some(stored.version) == number)
            }
        };
        let stored = stored.ok_or_else(|| Error::new(Kind::Missing, key, "there is no such object"))?;
        let all = stored.bytes.as_ref().ok_or_else(|| Error::hidden(key))?;
        let size_bytes = all.len() as u64;
        let range = range.unwrap_or(0..size_bytes);
        let start = range.start.min(size_bytes);
        let end = range.end.clamp(start, size_bytes);
        if stored.is_unreadable && start < end {
            return Err(Error::new(Kind::Refused, key, "its bytes are not to be had, as the test set it"));
        }
        if end - start > max_bytes {
            let wanted_bytes = end - start;
            let what =
                format!("it is too large: {wanted_bytes} bytes would come, {max_bytes} are taken at most");
            return Err(Error::new(Kind::TooLarge, key, what));
        }
        Ok(Object {
            bytes: all[start as usize..end as usize].to_vec(),
            size_bytes,
            version: stored.name(),
            tag: stored.tag(),
            modified: stored.modified,
            lock: stored.lock,
            is_held: stored.is_held,
            encrypted_otherwise: (!stored.is_encrypted).then(|| "it is not encrypted at all".to_owned()),
        })
    }

    fn retention(&self) -> Option<Retention> {
        self.retention
    }

    fn list(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page> {
        key::check_prefix(prefix)?;
        let state = self.state();
        reached(&state, prefix)?;
        let mut page = Page::default();
        // Keys that begin with the prefix stand together, from the prefix itself on.
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let following = state.objects.range::<str, _>((from, Bound::Unbounded));
        for (key, versions) in following.take_while(|(key, _)| key.starts_with(prefix)) {
            let (Listing::Newest(limit) | Listing::Versions(limit)) = listing;
            let shown = match listing {
                Listing::Newest(_) => 1,
                Listing::Versions(_) => versions.len(),
            };
            let is_hidden = versions.last().is_none_or(|newest| newest.bytes.is_none());
            if is_hidden && matches!(listing, Listing::Newest(_)) {
                continue;
            }
            if page.entries.len() >= limit.max(1) {
                page.more = true;
                break;
            }
            let newest_first = versions.iter().rev().take(shown).enumerate();
            page.entries.extend(newest_first.map(|(place, stored)| stored.entry(key, place == 0)));
        }
        Ok(page)
    }
}

impl Stored {
    fn name(&self) -> Version {
        Version(format!("v{}", self.version))
    }

    fn tag(&self) -> Tag {
        Tag(format!("t{}", self.version))
    }

    fn entry(&self, key: &str, newest: bool) -> Entry {
        Entry {
            key: key.to_owned(),
            size_bytes: self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            version: self.name(),
            newest,
            delete_marker: self.bytes.is_none(),
            modified: self.modified,
        }
    }
}

fn reached(state: &State, key: &str) -> Result<()> {
    match state.is_away {
        false => Ok(()),
        true => Err(Error::new(Kind::Away, key, "the store is away, as the test set it")),
    }
}
