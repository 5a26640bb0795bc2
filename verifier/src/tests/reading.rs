//! How a store is read: side by side, each object once, in parts where it is large, and with the same answer however.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::{Stop, SystemClock};
use store::memory::{Between, Memory};
use store::{Kind, Object, Store, Version};

use super::{CHAIN_0, assert_broken, memory, options};
use crate::testing::{ChainBuilder, events};
use crate::{Ahead, Check, Options, Reading, Report, Verdict, verify};

/// A store that answers after a while, and remembers what it was asked.
struct Watched {
    inner: Memory,
    takes: Duration,
    now: AtomicUsize,
    most: AtomicUsize,
    asked: Mutex<BTreeMap<String, Vec<Option<Range<u64>>>>>,
    /// A key that is replaced when the first part of it was read.
    replaced: Option<String>,
}

impl Watched {
    fn over(inner: Memory, takes: Duration) -> Watched {
        let (now, most, asked) = Default::default();
        Watched { inner, takes, now, most, asked, replaced: None }
    }

    fn asked(&self, key: &str) -> Vec<Option<Range<u64>>> {
        self.asked.lock().unwrap().get(key).cloned().unwrap_or_default()
    }
}

impl Between for Watched {
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
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.asked.lock().unwrap().entry(key.to_owned()).or_default().push(range.clone());
        Stop::new().wait(self.takes);
        let got = self.inner.get(key, version, range, max_bytes);
        self.now.fetch_sub(1, Ordering::SeqCst);
        // Under a version of its own it would still be there.
        if self.replaced.as_deref() == Some(key) && self.asked(key).len() == 1 {
            assert!(self.inner.remove(key));
            self.inner.lay_over(key, b"another");
        }
        got
    }
}

/// Sixty segments of five events.
fn long_chain() -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    for nth in 0..60 {
        chain.seal(events(5 * nth..5 * nth + 5));
    }
    chain
}

fn read_with(reading: Reading) -> Options {
    Options { reading, ..options() }
}

fn from_afar(threads: usize) -> Reading {
    Reading { ahead: Ahead::new(threads, 64 << 20), is_remote: true, part_bytes: Some(1_000) }
}

fn said(report: &Report) -> String {
    serde_json::to_string(report).unwrap()
}

#[test]
fn a_slow_store_is_asked_for_many_things_at_once_and_for_each_once() {
    let chain = long_chain();
    let store = Watched::over(memory(&chain.objects), Duration::from_millis(3));
    let reading = Reading { part_bytes: None, ..from_afar(8) };
    let report = verify(&store, &read_with(reading));
    assert_eq!((report.verdict, report.chains[0].segments), (Verdict::Unanchored, 60), "{report}");
    let most = store.most.load(Ordering::SeqCst);
    assert!((8..=24).contains(&most), "{most} at once");
    for key in chain.objects.keys() {
        // The key note also tells whether this is the archive's root.
        let times = if key.contains("/keys/") { 2 } else { 1 };
        assert_eq!(store.asked(key).len(), times, "{key}");
    }
}

#[test]
fn what_is_large_comes_in_parts_and_each_byte_once() {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..3_000)).seal(events(3_000..3_002));
    let store = Watched::over(memory(&chain.objects), Duration::ZERO);
    let report = verify(&store, &read_with(from_afar(2)));
    assert_eq!((report.verdict, report.chains[0].events), (Verdict::Unanchored, 3_002), "{report}");
    let size_bytes = chain.objects[&chain.segment_key(0)].len() as u64;
    let mut parts: Vec<u64> =
        store.asked(&chain.segment_key(0)).into_iter().map(|range| range.unwrap().start).collect();
    parts.sort_unstable();
    assert_eq!(parts, (0..size_bytes.div_ceil(1_000)).map(|nth| nth * 1_000).collect::<Vec<_>>());
}

#[test]
fn parts_of_two_objects_are_never_one() {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..3_000));
    let mut store = Watched::over(memory(&chain.objects), Duration::ZERO);
    store.replaced = Some(chain.segment_key(0));
    let report = verify(&store, &read_with(from_afar(1)));
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report}");
    assert_eq!(report.first.unwrap().check, Check::Readable);
}

#[test]
fn however_it_is_read_the_report_is_the_same() {
    let damages: [fn(&mut ChainBuilder); 6] = [
        |_| (),
        |chain| chain.change_trees(7, |trees| trees.partial[0][1].0[0] ^= 1),
        |chain| drop(chain.objects.remove(&chain.trees_key(8))),
        |chain| drop(chain.objects.remove(&chain.segment_key(9))),
        |chain| {
            let mut records = chain.records_of(10).to_vec();
            records.swap(1, 2);
            chain.lay_segment(10, &records);
        },
        |chain| chain.objects.values_mut().for_each(|bytes| *bytes.last_mut().unwrap() ^= 1),
    ];
    for damage in damages {
        let mut chain = long_chain();
        damage(&mut chain);
        let store = memory(&chain.objects);
        let one = verify(&store, &read_with(Reading { ahead: Ahead::new(1, 1), ..Reading::default() }));
        for reading in
            [Reading::default(), from_afar(8), Reading { ahead: Ahead::new(5, 10_000), ..from_afar(1) }]
        {
            assert_eq!(said(&verify(&store, &read_with(reading))), said(&one));
        }
    }
}

#[test]
fn a_trees_file_that_proves_nothing_does_not_stand_between_two_segments() {
    let mut chain = long_chain();
    chain.change_trees(7, |trees| trees.partial[0][1].0[0] ^= 1);
    let report = verify(&memory(&chain.objects), &read_with(from_afar(8)));
    assert_broken(&report, Check::TreesTiles, &chain.trees_key(7), (1, 1));
    assert_eq!(report.findings.len(), 1, "the links behind it were followed: {report}");
}

#[test]
fn a_version_that_cannot_be_read_may_be_the_right_one() {
    let chain = long_chain();
    let store = Memory::locking(Arc::new(SystemClock), store::Mode::Governance, Duration::from_secs(60));
    crate::testing::store_objects(&chain.objects, &store).unwrap();
    for key in [chain.segment_key(3), chain.trees_key(4), chain.key(&schemas::Place::Checkpoint(30))] {
        store.lay_over(&key, b"junk");
        let locked_up = LockedUp { inner: store.clone(), key: key.clone() };
        let report = verify(&locked_up, &options());
        let unread = report.findings.iter().find(|finding| finding.check == Check::Readable).unwrap();
        assert_eq!((report.verdict, unread.key.as_ref()), (Verdict::Inconclusive, Some(&key)), "{report}");
    }
}

#[test]
fn what_is_laid_over_an_object_while_it_is_looked_for_is_seen_through() {
    let chain = long_chain();
    let keys = [chain.segment_key(3), chain.trees_key(4), chain.key(&schemas::Place::Checkpoint(30))];
    for (key, reading) in keys.iter().flat_map(|key| [(key, Reading::default()), (key, from_afar(8))]) {
        let inner = Memory::locking(Arc::new(SystemClock), store::Mode::Governance, Duration::from_secs(60));
        crate::testing::store_objects(&chain.objects, &inner).unwrap();
        let store = LaidMeanwhile { inner, key: key.clone(), has_come: AtomicUsize::new(0) };
        let report = verify(&store, &read_with(reading));
        assert_eq!((report.verdict, report.chains[0].events), (Verdict::Unanchored, 300), "{key}: {report}");
        assert!(store.has_come.load(Ordering::SeqCst) > 0);
    }
}

/// Somebody lays junk over a key just before it is first read.
struct LaidMeanwhile {
    inner: Memory,
    key: String,
    has_come: AtomicUsize,
}

impl Between for LaidMeanwhile {
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
        if key == self.key && self.has_come.fetch_add(1, Ordering::SeqCst) == 0 {
            self.inner.lay_over(key, b"junk");
        }
        self.inner.get(key, version, range, max_bytes)
    }
}

/// Of one key only the newest version may be read.
struct LockedUp {
    inner: Memory,
    key: String,
}

impl Between for LockedUp {
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
        let got = self.inner.get(key, version, range, max_bytes)?;
        match key == self.key && got.bytes != b"junk" {
            true => Err(store::Error::new(Kind::Refused, key, "not for you")),
            false => Ok(got),
        }
    }
}
