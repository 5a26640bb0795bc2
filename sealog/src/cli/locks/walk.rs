//! The walk over every version in an archive: what holds each in its place, and what is wrong with that. A part of the
//! list is in memory at a time, and of that a few versions are asked about at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, bail};
use schemas::{Micros, Place};
use store::custody::{Flaw, Kept, judge};
use store::{Entry, Error, Keep, Kind, Listing, Lock, Retention, Store};
use verifier::place_of;

use super::longer::Longer;

/// A page of the list. All versions of a key come on one.
const PAGE: usize = 1_000;
/// So many requests at once keep a server busy without wearing it down.
const AT_ONCE: usize = 8;

/// What an object is to the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Written once, and locked.
    Evidence,
    /// `checkpoint`, replaced again and again.
    Hint,
    /// In a folder that the layout keeps free.
    Reserved,
    /// Nothing that the layout knows.
    Unknown,
}

impl Class {
    pub fn of(key: &str) -> Class {
        match place_of(key) {
            None => Class::Unknown,
            Some((_, Place::Hint)) => Class::Hint,
            Some((_, Place::Reserved)) => Class::Reserved,
            Some(_) => Class::Evidence,
        }
    }
}

/// What the archive is held against.
pub struct Rules<'a> {
    /// What each piece of evidence was to be locked with. None: with anything that has not ended.
    pub promise: Option<Retention>,
    /// The time.
    pub now: Micros,
    /// What is to be locked for longer.
    pub longer: Option<Longer<'a>>,
}

/// One version of one key.
#[derive(Debug)]
pub struct Found<'a> {
    pub key: &'a str,
    pub class: Class,
    pub newest: bool,
    pub size_bytes: u64,
    /// How it is kept; after it was locked for longer, if it was.
    pub kept: &'a Kept,
    /// What it is to be locked with, or was.
    pub longer: Option<Lock>,
    pub flaws: Vec<Flaw>,
    /// Why it could not be looked at, or not locked: then nothing is known of its lock.
    pub refused: Option<&'a Error>,
}

/// A version that was looked at, or could not be.
struct Looked {
    kept: Kept,
    longer: Option<Lock>,
    refused: Option<Error>,
}

/// What lists every version, in the order of keys and of one key newest first, and gives them on part by part.
pub type Parts<'a> = &'a dyn Fn(&mut dyn FnMut(Vec<Entry>) -> Result<()>) -> Result<()>;

/// The pages of any store.
pub fn pages(store: &dyn Store, take: &mut dyn FnMut(Vec<Entry>) -> Result<()>) -> Result<()> {
    let mut after = String::new();
    loop {
        let page = store.list("", &after, Listing::Versions(PAGE))?;
        match page.entries.last() {
            Some(last) if page.more && last.key > after => after.clone_from(&last.key),
            _ if page.more => bail!("the list of the archive does not go on after {after:?}"),
            _ => return take(page.entries),
        }
        take(page.entries)?;
    }
}

/// Calls `each` for every version of every key, in the order in which they are listed. What is gone since it was listed
/// is left out, and what is nothing of Sealog's is not looked into. Err: the archive went away; what was said until then
/// holds.
pub fn walk(
    store: &dyn Store,
    parts: Parts<'_>,
    rules: &Rules<'_>,
    each: impl FnMut(&Found<'_>) -> Result<()>,
) -> Result<()> {
    let mut walk = Walk { store, rules, each, open: Vec::new(), begun: String::new() };
    parts(&mut |entries| walk.take(entries))?;
    walk.judge_open()
}

struct Walk<'a, F> {
    store: &'a dyn Store,
    rules: &'a Rules<'a>,
    each: F,
    /// Versions of one key, which may go on in the next part.
    open: Vec<(Entry, Looked)>,
    /// The key of which a part has been judged.
    begun: String,
}

impl<F: FnMut(&Found<'_>) -> Result<()>> Walk<'_, F> {
    fn take(&mut self, entries: Vec<Entry>) -> Result<()> {
        let looked = look_at_all(self.store, self.rules, &entries)?;
        for (entry, looked) in entries.into_iter().zip(looked) {
            let Some(looked) = looked else { continue };
            if self.open.first().is_some_and(|(open, _)| open.key != entry.key) {
                self.judge_open()?;
            }
            self.open.push((entry, looked));
        }
        // What is wrong with a version of evidence, the older ones tell. The hint has one for each minute, for years.
        match self.open.first().map(|(entry, _)| Class::of(&entry.key)) {
            None | Some(Class::Evidence) => Ok(()),
            Some(_) => self.judge_open(),
        }
    }

    fn judge_open(&mut self) -> Result<()> {
        let versions = std::mem::take(&mut self.open);
        let Some(key) = versions.first().map(|(entry, _)| entry.key.clone()) else { return Ok(()) };
        let class = Class::of(&key);
        let kept: Vec<Kept> = versions.iter().map(|(_, looked)| looked.kept.clone()).collect();
        let Rules { promise, now, .. } = self.rules;
        let flaws = match class {
            Class::Evidence => judge(&kept, Keep::Evidence, *promise, *now),
            Class::Hint => judge(&kept, Keep::Hint, *promise, *now),
            Class::Reserved | Class::Unknown => Vec::new(),
        };
        let is_first = self.begun != key;
        let mut flaws = flaws.into_iter().peekable();
        for (nth, (entry, looked)) in versions.iter().enumerate() {
            let mut of_version = Vec::new();
            while let Some((_, flaw)) = flaws.next_if(|(of, _)| *of == nth) {
                // Its lock is not known, so it is not judged by it.
                if looked.refused.is_some() && flaw != Flaw::LaidOver {
                    continue;
                }
                of_version.push(if flaw == Flaw::Hides && !is_first { Flaw::Marker } else { flaw });
            }
            (self.each)(&Found {
                key: &key,
                class,
                newest: entry.newest,
                size_bytes: entry.size_bytes,
                kept: &looked.kept,
                longer: looked.longer,
                flaws: of_version,
                refused: looked.refused.as_ref(),
            })?;
        }
        self.begun = key;
        Ok(())
    }
}

/// In the order of `entries`; None for what is gone. The first error ends it.
fn look_at_all(store: &dyn Store, rules: &Rules<'_>, entries: &[Entry]) -> Result<Vec<Option<Looked>>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Option<Looked>)>> {
        let mut done = Vec::new();
        while let Some((nth, entry)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|nth| Some((nth, entries.get(nth)?)))
        {
            match look_at(store, rules, entry) {
                Ok(looked) => done.push((nth, looked)),
                Err(error) => {
                    // Nobody begins another.
                    next.store(entries.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(done)
    };
    let mut looked = thread::scope(|scope| -> Result<Vec<(usize, Option<Looked>)>> {
        let workers: Vec<_> = (0..AT_ONCE.min(entries.len())).map(|_| scope.spawn(work)).collect();
        let mut looked = Vec::with_capacity(entries.len());
        for worker in workers {
            looked
                .extend(worker.join().map_err(|_| anyhow::anyhow!("a thread of the walk ended by a bug"))??);
        }
        Ok(looked)
    })?;
    looked.sort_unstable_by_key(|(nth, _)| *nth);
    Ok(looked.into_iter().map(|(_, looked)| looked).collect())
}

/// None if the version is gone: its lock has ended, or it never had one.
fn look_at(store: &dyn Store, rules: &Rules<'_>, entry: &Entry) -> Result<Option<Looked>> {
    let class = Class::of(&entry.key);
    let mut looked = Looked { kept: Kept::of(entry, None), longer: None, refused: None };
    // Anybody's key may be one that no request of ours can name.
    if entry.delete_marker || class == Class::Unknown {
        return Ok(Some(looked));
    }
    let seen = store.get(&entry.key, Some(&entry.version), Some(0..0), 0).and_then(|object| {
        looked.kept = Kept::of(entry, Some(&object));
        let Some(longer) = rules.longer.as_ref().filter(|_| class == Class::Evidence) else { return Ok(()) };
        let wanted = longer.wanted(&looked.kept, rules.now);
        if let (Some(lock), Some(lock_with)) = (wanted, longer.lock_with) {
            looked.kept.lock = Some(lock_with(&entry.key, &entry.version, lock)?);
        }
        looked.longer = wanted;
        Ok(())
    });
    match seen {
        Ok(()) => Ok(Some(looked)),
        Err(error) => match error.kind() {
            Kind::Missing => Ok(None),
            Kind::Away => Err(error.into()),
            _ => Ok(Some(Looked { refused: Some(error), ..looked })),
        },
    }
}
