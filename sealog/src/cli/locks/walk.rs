//! The walk over every version in an archive: what holds each in its place, and what is wrong with that. A page of the
//! list is in memory at a time, and of that a few versions are asked about at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, bail};
use schemas::{Micros, Place};
use store::custody::{Flaw, Kept, judge};
use store::{Entry, Keep, Listing, Lock, Retention, Store};
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
}

/// A version that was looked at.
struct Looked {
    kept: Kept,
    longer: Option<Lock>,
}

/// Calls `each` for every version of every key, in the order of keys, the newest first. Err: something could not be
/// read, or written; what was said until then holds.
pub fn walk(
    store: &dyn Store,
    rules: &Rules<'_>,
    mut each: impl FnMut(&Found<'_>) -> Result<()>,
) -> Result<()> {
    let mut after = String::new();
    loop {
        let page = store.list("", &after, Listing::Versions(PAGE))?;
        let looked = look_at_all(store, rules, &page.entries)?;
        let mut looked = looked.as_slice();
        for versions in page.entries.chunk_by(|a, b| a.key == b.key) {
            let (of_key, rest) = looked.split_at(versions.len());
            looked = rest;
            judge_key(rules, versions, of_key, &mut each)?;
        }
        match page.entries.last() {
            Some(last) if page.more && last.key > after => after.clone_from(&last.key),
            _ if page.more => bail!("the list of the archive does not go on after {:?}", after),
            _ => return Ok(()),
        }
    }
}

fn judge_key(
    rules: &Rules<'_>,
    versions: &[Entry],
    looked: &[Looked],
    each: &mut impl FnMut(&Found<'_>) -> Result<()>,
) -> Result<()> {
    let Some(key) = versions.first().map(|entry| entry.key.as_str()) else { return Ok(()) };
    let class = Class::of(key);
    let kept: Vec<Kept> = looked.iter().map(|looked| looked.kept.clone()).collect();
    let flaws = match class {
        Class::Evidence => judge(&kept, Keep::Evidence, rules.promise, rules.now),
        Class::Hint => judge(&kept, Keep::Hint, rules.promise, rules.now),
        Class::Reserved | Class::Unknown => Vec::new(),
    };
    let mut flaws = flaws.into_iter().peekable();
    for (nth, (entry, looked)) in versions.iter().zip(looked).enumerate() {
        let mut of_version = Vec::new();
        while let Some((_, flaw)) = flaws.next_if(|(of, _)| *of == nth) {
            of_version.push(flaw);
        }
        each(&Found {
            key,
            class,
            newest: entry.newest,
            size_bytes: entry.size_bytes,
            kept: &looked.kept,
            longer: looked.longer,
            flaws: of_version,
        })?;
    }
    Ok(())
}

/// In the order of `entries`. The first error ends it.
fn look_at_all(store: &dyn Store, rules: &Rules<'_>, entries: &[Entry]) -> Result<Vec<Looked>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Looked)>> {
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
    let mut looked = thread::scope(|scope| -> Result<Vec<(usize, Looked)>> {
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

fn look_at(store: &dyn Store, rules: &Rules<'_>, entry: &Entry) -> Result<Looked> {
    if entry.delete_marker {
        return Ok(Looked { kept: Kept::of(entry, None), longer: None });
    }
    let object = store.get(&entry.key, Some(&entry.version), Some(0..0), 0)?;
    let mut kept = Kept::of(entry, Some(&object));
    let mut wanted = None;
    if let Some(longer) = rules.longer.as_ref().filter(|_| Class::of(&entry.key) == Class::Evidence) {
        wanted = longer.wanted(&kept, rules.now);
        if let (Some(lock), Some(lock_with)) = (wanted, longer.lock_with) {
            kept.lock = Some(lock_with(&entry.key, &entry.version, lock)?);
        }
    }
    Ok(Looked { kept, longer: wanted })
}
