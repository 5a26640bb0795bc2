//! A store that fails, or whose list lies: rows 26 and 27. What it does not give is neither intact nor broken.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runtime::SystemClock;
use schemas::{Hash, Place};
use store::memory::{Between, Memory};
use store::{Error, Kind, Listing, Mode, Object, Page, Store, Version};

use super::{CHAIN_0, has, memory, options};
use crate::testing::{ChainBuilder, Objects, events, store_objects};
use crate::{Check, Options, Promise, Report, Verdict, verify};

type OnGet = dyn Fn(&Memory, &str, Option<&Version>) -> Option<Kind> + Send + Sync;
type OnList = dyn Fn(&Memory, &str, &mut Page) -> Option<Kind> + Send + Sync;

/// Says what comes of a get or a list, and may change what is stored before it does.
struct Withheld {
    inner: Memory,
    on_get: Box<OnGet>,
    on_list: Box<OnList>,
    most_wanted: AtomicUsize,
}

impl Withheld {
    fn on_get(
        inner: Memory,
        on_get: impl Fn(&Memory, &str, Option<&Version>) -> Option<Kind> + Send + Sync + 'static,
    ) -> Withheld {
        let on_list = Box::new(|_: &Memory, _: &str, _: &mut Page| None);
        Withheld { inner, on_get: Box::new(on_get), on_list, most_wanted: AtomicUsize::new(0) }
    }

    fn on_list(
        mut self,
        on_list: impl Fn(&Memory, &str, &mut Page) -> Option<Kind> + Send + Sync + 'static,
    ) -> Withheld {
        self.on_list = Box::new(on_list);
        self
    }

    fn check(&self) -> Report {
        verify(self, &options())
    }
}

impl Between for Withheld {
    fn below(&self) -> &Memory {
        &self.inner
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> store::Result<Object> {
        if key.contains("/segments/") {
            self.most_wanted.fetch_max(max_bytes as usize, Ordering::SeqCst);
        }
        match (self.on_get)(&self.inner, key, version) {
            Some(kind) => Err(Error::new(kind, key, "withheld")),
            None => self.inner.get(key, version, range, max_bytes),
        }
    }

    fn list_between(&self, prefix: &str, after: &str, listing: Listing) -> store::Result<Page> {
        let mut page = self.inner.list(prefix, after, listing)?;
        match (self.on_list)(&self.inner, prefix, &mut page) {
            Some(kind) => Err(Error::new(kind, prefix, "withheld")),
            None => Ok(page),
        }
    }
}

fn chain() -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..5)).seal(events(5..10)).seal(events(10..15));
    chain
}

fn bucket(objects: &Objects) -> Memory {
    let store = Memory::locking(Arc::new(SystemClock), Mode::Governance, Duration::from_secs(3_600));
    store_objects(objects, &store).unwrap();
    store
}

/// Nothing is said to be wrong with the archive but that this could not be read.
#[track_caller]
fn assert_unread(report: &Report, key: &str) {
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report}");
    assert!(has(report, Check::Readable, key), "{report}");
}

fn version_of(store: &Memory, key: &str) -> Version {
    store.get(key, None, None, u64::MAX).unwrap().version
}

#[test]
fn a_version_of_a_trees_file_that_cannot_be_read_may_be_the_right_one() {
    let mut chain = chain();
    let (key, right) = (chain.trees_key(1), chain.objects.clone());
    // It gives the signed root, and names another segment: only the right one could tell.
    chain.change_trees(1, |trees| trees.segment_sha256 = Hash([3; 32]));
    let inner = bucket(&right);
    let withheld = version_of(&inner, &key);
    inner.lay_over(&key, &chain.objects[&key]);
    let (at, of) = (key.clone(), withheld);
    let store = Withheld::on_get(inner, move |_, key, version| {
        (key == at && version == Some(&of)).then_some(Kind::Away)
    });
    assert_unread(&store.check(), &key);
}

#[test]
fn a_version_of_a_checkpoint_that_cannot_be_read_may_prove_two_histories() {
    let chain = chain();
    let key = chain.key(&Place::Checkpoint(10));
    let inner = bucket(&chain.objects);
    let other = inner.lay_over(&key, chain.sign_as(10, Hash([9; 32])).as_bytes());
    // The right one is the newest.
    inner.lay_over(&key, &chain.objects[&key]);
    let whole = Withheld::on_get(inner.clone(), |_, _, _| None);
    assert!(has(&whole.check(), Check::SplitView, &key));
    let at = key.clone();
    let store = Withheld::on_get(inner, move |_, key, version| {
        (key == at && version == Some(&other)).then_some(Kind::Refused)
    });
    assert_unread(&store.check(), &key);
}

#[test]
fn what_no_checkpoint_covers_and_cannot_be_looked_at_is_not_said_to_be_locked() {
    let mut chain = chain();
    let covered: Vec<String> = chain.objects.keys().cloned().collect();
    chain.seal(events(15..20));
    let (note, key) = (chain.key(&Place::Checkpoint(20)), chain.segment_key(3));
    chain
        .objects
        .retain(|name, _| *name != note && (covered.contains(name) || !name.ends_with("/checkpoint")));
    let hint = chain.key(&Place::Hint);
    chain.objects.remove(&hint);
    for kind in [Kind::Away, Kind::Refused, Kind::Missing] {
        let at = key.clone();
        let store = Withheld::on_get(bucket(&chain.objects), move |_, key, _| (key == at).then_some(kind));
        let now = runtime::Clock::wall(&SystemClock);
        let report = verify(&store, &Options { custody: Some(Promise::Nobody), now, ..options() });
        assert_unread(&report, &key);
    }
}

#[test]
fn where_the_versions_of_a_key_cannot_be_listed_nothing_is_said_to_be_broken() {
    let chain = chain();
    let keys = [
        chain.segment_key(1),
        chain.trees_key(1),
        chain.key(&Place::Checkpoint(10)),
        chain.key(&Place::Key(0)),
    ];
    for at in keys {
        let (one, other) = (at.clone(), at.clone());
        let has_come = AtomicUsize::new(0);
        let store = Withheld::on_get(bucket(&chain.objects), move |inner, key, _| {
            if key == one && has_come.fetch_add(1, Ordering::SeqCst) == 0 {
                inner.lay_over(key, b"junk");
            }
            None
        })
        .on_list(move |_, prefix, _| (prefix == other).then_some(Kind::Away));
        let report = store.check();
        assert_eq!(report.verdict, Verdict::Inconclusive, "{at}: {report}");
        assert!(report.findings.iter().all(|finding| finding.check == Check::Readable), "{report}");
    }
}

#[test]
fn a_key_note_laid_over_the_right_one_after_the_list_was_read_is_not_taken() {
    let (chain, stranger) = (chain(), ChainBuilder::begin(CHAIN_0, 8));
    let at = chain.key(&Place::Key(0));
    let (key, strange, has_come) = (at.clone(), stranger.objects[&at].clone(), AtomicUsize::new(0));
    let store = Withheld::on_get(bucket(&chain.objects), move |inner, asked, _| {
        if asked == key && has_come.fetch_add(1, Ordering::SeqCst) == 0 {
            inner.lay_over(asked, &strange);
        }
        None
    });
    let report = store.check();
    assert_eq!((report.verdict, report.chains[0].events), (Verdict::Unanchored, 15), "{report}");
}

#[test]
fn no_more_is_read_of_a_segment_than_its_list_says() {
    let chain = chain();
    let at = chain.segment_key(1);
    for in_versions in [false, true] {
        let inner = if in_versions { bucket(&chain.objects) } else { memory(&chain.objects) };
        if in_versions {
            inner.lay_over(&at, b"junk");
        }
        let (key, wanted) = (at.clone(), chain.objects[&at].len() as u64);
        let store = Withheld::on_get(inner, |_, _, _| None).on_list(move |_, _, page| {
            let of_it =
                page.entries.iter_mut().filter(|entry| entry.key == key && entry.size_bytes == wanted);
            of_it.for_each(|entry| entry.size_bytes = 1);
            None
        });
        assert_unread(&store.check(), &at);
        let largest = chain.objects.iter().filter(|(key, _)| key.contains("/segments/"));
        let largest = largest.map(|(_, bytes)| bytes.len()).max().unwrap();
        assert!(store.most_wanted.load(Ordering::SeqCst) <= largest, "of each no more than was listed");
    }
}

#[test]
fn a_segment_larger_than_the_listed_one_laid_over_it_since_is_seen_through() {
    let chain = chain();
    let (key, has_come) = (chain.segment_key(1), AtomicUsize::new(0));
    let store = Withheld::on_get(bucket(&chain.objects), move |inner, asked, _| {
        if asked == key && has_come.fetch_add(1, Ordering::SeqCst) == 0 {
            inner.lay_over(asked, &[7; 100_000]);
        }
        None
    });
    let report = store.check();
    assert_eq!((report.verdict, report.chains[0].events), (Verdict::Unanchored, 15), "{report}");
}

#[test]
fn a_checkpoint_named_for_the_largest_size_there_is_overflows_nothing() {
    let mut chain = chain();
    let size = 9_223_372_036_854_775_807;
    let note = chain.sign_as(size, Hash([1; 32])).into_bytes();
    chain.objects.insert(chain.key(&Place::Checkpoint(size)), note);
    let report = verify(&memory(&chain.objects), &options());
    assert_eq!(report.verdict, Verdict::Broken, "{report}");
}

/// Every version of a trees file gives the signed root; only the oldest names the segment as it is.
#[test]
fn of_many_large_trees_files_the_one_that_names_the_segment_is_found() {
    let mut chain = chain();
    let (key, right) = (chain.trees_key(1), chain.objects.clone());
    let inner = bucket(&right);
    let oldest = version_of(&inner, &key);
    for n in 0..60 {
        chain.change_trees(1, |trees| trees.segment_sha256 = Hash([n; 32]));
        inner.lay_over(&key, &chain.objects[&key]);
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let (of, count, at) = (oldest, asked.clone(), key.clone());
    let store = Withheld::on_get(inner, move |_, key, version| {
        count.fetch_add(usize::from(key == at && version == Some(&of)), Ordering::SeqCst);
        None
    });
    let report = store.check();
    assert_eq!(asked.load(Ordering::SeqCst), 2, "for its digest, and once more: it was not kept meanwhile");
    assert!(report.findings.iter().all(|finding| finding.check == Check::LaidOver), "{report}");
    assert_eq!((report.verdict, report.findings.len()), (Verdict::CustodyAtRisk, 60), "{report}");
}

/// Of a bucket whoever is to look at the damage must be told at which version.
#[test]
fn what_is_wrong_with_a_segment_is_said_of_the_version_that_was_read() {
    let damages: [fn(&mut ChainBuilder); 3] = [
        |chain| {
            let mut records = chain.records_of(1).to_vec();
            records.swap(1, 2);
            chain.lay_segment(1, &records);
        },
        |chain| chain.change_trees(1, |trees| trees.segment_sha256 = Hash([3; 32])),
        |chain| chain.change_trees(1, |trees| trees.segment_key.push('x')),
    ];
    for damage in damages {
        let mut chain = chain();
        damage(&mut chain);
        let inner = bucket(&chain.objects);
        let report = verify(&inner, &options());
        assert_eq!(report.verdict, Verdict::Broken, "{report}");
        for finding in &report.findings {
            let version = version_of(&inner, finding.key.as_ref().unwrap());
            assert_eq!(finding.version, Some(version.0), "{report}");
        }
    }
}
