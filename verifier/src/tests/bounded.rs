//! A hostile archive is an input: what it makes up costs no more than is said, and what was not read is not judged.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use runtime::SystemClock;
use schemas::{Micros, Place, Seq};
use store::memory::{Between, Memory};
use store::{Error, Kind, Listing, Object, Page, Store, Version};

use super::{CHAIN_0, CHAIN_1, has, memory, options};
use crate::testing::{ChainBuilder, events};
use crate::{Ahead, Check, Options, Reading, Verdict, origins, verify};

/// What a list that is made up shows behind a key; None: what is there.
type List = Box<dyn Fn(&str) -> Option<Page> + Send + Sync>;

/// A store that makes up its list, or answers for keys that are not there.
struct Hostile {
    inner: Memory,
    list: List,
    refuses: Option<String>,
    hides_sizes: bool,
    lists: AtomicUsize,
    /// Bytes of segments that are being read, and the most there ever were.
    now: AtomicU64,
    most: AtomicU64,
}

impl Hostile {
    fn over(inner: Memory) -> Hostile {
        let (lists, now, most) = Default::default();
        Hostile { inner, list: Box::new(|_| None), refuses: None, hides_sizes: false, lists, now, most }
    }
}

impl Between for Hostile {
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
        if self.refuses.as_deref() == Some(key) {
            return Err(Error::new(Kind::Away, key, "not now"));
        }
        self.inner.get(key, version, range, max_bytes)
    }

    fn list_between(&self, prefix: &str, after: &str, listing: Listing) -> store::Result<Page> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        if let Some(page) = (self.list)(after) {
            return Ok(page);
        }
        let mut page = self.inner.list(prefix, after, listing)?;
        if self.hides_sizes {
            page.entries.iter_mut().for_each(|entry| entry.size_bytes = 0);
        }
        Ok(page)
    }
}

fn entry(key: String) -> store::Entry {
    let (version, modified) = (Version::default(), Micros(0));
    store::Entry { key, size_bytes: 1, version, newest: true, delete_marker: false, modified }
}

#[test]
fn a_listing_without_an_end_ends_the_search_for_chains() {
    let one_more: List = Box::new(|after| {
        let nth = after.parse().unwrap_or(0u64) + 1;
        Some(Page { entries: vec![entry(format!("{nth:020}"))], more: true })
    });
    let chains: List = Box::new(|after| {
        let nth: u64 = after.strip_suffix("/00").and_then(|nth| nth.parse().ok()).unwrap_or(0) + 1;
        Some(Page { entries: vec![entry(format!("{nth:020}/0/checkpoint"))], more: true })
    });
    let stuck: List = Box::new(|_| Some(Page { entries: vec![entry("a".to_owned())], more: true }));
    let empty: List = Box::new(|_| Some(Page { entries: Vec::new(), more: true }));
    for list in [one_more, chains, stuck, empty] {
        let store = Hostile { list, ..Hostile::over(Memory::new(std::sync::Arc::new(SystemClock))) };
        assert_eq!(origins(&store).unwrap_err().kind(), Kind::Refused);
        assert!(store.lists.load(Ordering::SeqCst) <= 20_001, "{:?}", store.lists);
    }
}

#[test]
fn chains_are_found_among_junk_with_few_requests() {
    let (mut zero, mut one) = (ChainBuilder::begin(CHAIN_0, 7), ChainBuilder::begin(CHAIN_1, 7));
    for nth in 0..60 {
        zero.seal(events(nth..nth + 1));
    }
    one.seal(events(0..1));
    let store = Hostile::over(memory(&super::both(&zero, &one)));
    (0..250).for_each(|n| drop(store.inner.lay_over(&format!("acme.example/audit/0/{n:04}"), b"junk")));
    (0..250).for_each(|n| drop(store.inner.lay_over(&format!("z/{n:04}"), b"junk")));
    assert_eq!(origins(&store).unwrap(), [CHAIN_0, CHAIN_1]);
    assert!(store.lists.load(Ordering::SeqCst) <= 10, "{:?}", store.lists);
}

#[test]
fn more_chains_than_an_archive_has_are_not_walked() {
    let store = Memory::new(std::sync::Arc::new(SystemClock));
    (0..10_001).for_each(|n| drop(store.lay_over(&format!("c/{n}/checkpoints/{:020}.note", 0), b"")));
    let report = verify(&store, &options());
    assert_eq!(
        (report.verdict, report.chains.len()),
        (Verdict::Inconclusive, 0),
        "{}",
        report.verdict.words()
    );
    assert!(report.first.unwrap().found.contains("chains"));
}

#[test]
fn a_segment_that_nothing_announces_and_nobody_can_read_is_not_said_to_be_out_of_place() {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..5)).seal(events(5..10));
    let key = chain.key(&Place::segment(Micros(1_795_253_400_000_000), Seq(3)));
    chain.objects.insert(key.clone(), b"what is it".to_vec());
    let mut store = Hostile::over(memory(&chain.objects));
    assert!(has(&verify(&store, &options()), Check::SegmentPlace, &key));
    store.refuses = Some(key.clone());
    let report = verify(&store, &options());
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report}");
    assert!(has(&report, Check::Readable, &key) && !has(&report, Check::SegmentPlace, &key), "{report}");
}

#[test]
fn of_a_segment_that_nothing_announces_the_beginning_alone_is_read() {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..5)).seal(events(5..10));
    let key = chain.key(&Place::segment(Micros(1_795_253_400_000_000), Seq(3)));
    chain.objects.insert(key.clone(), vec![0; 5 << 20]);
    let store = Largest(Hostile::over(memory(&chain.objects)), key, AtomicU64::new(0));
    verify(&store, &options());
    assert!(store.2.load(Ordering::SeqCst) <= 2 << 20, "{:?}", store.2);
}

/// Remembers the most bytes that one answer about a key brought.
struct Largest(Hostile, String, AtomicU64);

impl Between for Largest {
    fn below(&self) -> &Memory {
        &self.0.inner
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> store::Result<Object> {
        let object = self.0.get_between(key, version, range, max_bytes)?;
        if key == self.1 {
            self.2.fetch_max(object.bytes.len() as u64, Ordering::SeqCst);
        }
        Ok(object)
    }
}

/// A web server whose list says no sizes, and whose segments are larger than anybody sets aside for them.
struct Sizeless(Hostile);

impl Between for Sizeless {
    fn below(&self) -> &Memory {
        &self.0.inner
    }

    fn list_between(&self, prefix: &str, after: &str, listing: Listing) -> store::Result<Page> {
        self.0.list_between(prefix, after, listing)
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> store::Result<Object> {
        let is_large = max_bytes > 16 << 20 && key.contains("/segments/");
        if !is_large {
            // As if it were too large for that.
            let is_short = key.contains("/segments/") && range.is_none();
            return match is_short {
                true => Err(Error::new(Kind::TooLarge, key, "more would come")),
                false => self.0.get_between(key, version, range, max_bytes),
            };
        }
        let now = self.0.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(now, Ordering::SeqCst);
        let got = self.0.get_between(key, version, range, max_bytes);
        runtime::Stop::new().wait(std::time::Duration::from_millis(2));
        self.0.now.fetch_sub(1, Ordering::SeqCst);
        got
    }
}

#[test]
fn of_segments_whose_size_no_list_says_one_large_one_is_held_at_a_time() {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    for nth in 0..24 {
        chain.seal(events(nth..nth + 1));
    }
    let hostile = Hostile { hides_sizes: true, ..Hostile::over(memory(&chain.objects)) };
    let reading = Reading { ahead: Ahead::new(8, 1 << 30), is_remote: true, part_bytes: None };
    let store = Sizeless(hostile);
    let report = verify(&store, &Options { reading, ..options() });
    assert_eq!(report.verdict, Verdict::Unanchored, "{report}");
    assert_eq!(store.0.most.load(Ordering::SeqCst), 1);
}

/// What waits for room that it holds itself would wait for ever.
#[track_caller]
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    end.recv_timeout(std::time::Duration::from_secs(60)).unwrap()
}

#[test]
fn a_segment_that_is_held_alone_is_let_go_of_before_its_versions_are_looked_into() {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    for nth in 0..8 {
        chain.seal(events(nth..nth + 1));
    }
    let hostile = Hostile { hides_sizes: true, ..Hostile::over(memory(&chain.objects)) };
    (0..8).for_each(|nth| drop(hostile.inner.lay_over(&chain.trees_key(nth), b"junk")));
    let reading = Reading { ahead: Ahead::new(8, 1 << 30), is_remote: true, part_bytes: None };
    let report = ends(move || verify(&Sizeless(hostile), &Options { reading, ..options() }));
    assert_eq!((report.verdict, report.chains[0].events), (Verdict::CustodyAtRisk, 8), "{report}");
    assert!((0..8).all(|nth| has(&report, Check::LaidOver, &chain.trees_key(nth))), "{report}");
}

#[test]
fn headers_that_are_longer_than_what_is_read_first_are_read_within_the_room_there_is() {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    for nth in 0..40 {
        chain.seal(events(nth..nth + 1));
        let key = chain.segment_key(nth as usize);
        let mut header = schemas::SegmentFile::parse(&chain.objects[&key]).unwrap().header;
        let blocks = chain.objects[&key][header.to_bytes().len()..].to_vec();
        header.event_schema.resize(100 << 10, b' ');
        chain.objects.insert(key, [header.to_bytes(), blocks].concat());
    }
    let check = |objects: &crate::testing::Objects| {
        // Room for one of them.
        let reading = Reading { ahead: Ahead::new(8, 2 << 20), ..Reading::default() };
        let scope = crate::Scope::Quick { sample: 0, seed: 1 };
        let store = memory(objects);
        ends(move || verify(&store, &Options { reading, scope, ..options() }))
    };
    let report = check(&chain.objects);
    let found: Vec<Check> = report.findings.iter().map(|finding| finding.check).collect();
    assert_eq!((report.chains[0].headers, found), (40, vec![Check::SchemaMissing]), "{report}");

    let junk = vec![0; 100 << 10];
    (0..40).for_each(|nth| drop(chain.objects.insert(chain.segment_key(nth), junk.clone())));
    let report = check(&chain.objects);
    assert!((0..40).all(|nth| has(&report, Check::SegmentForm, &chain.segment_key(nth))), "{report}");
    assert!(report.findings.iter().all(|finding| !finding.found.is_empty()), "{report}");
}

#[test]
fn of_more_versions_of_a_hint_than_are_looked_at_the_report_says_so() {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..5));
    let (store, key) = (memory(&chain.objects), chain.key(&Place::Hint));
    (0..998).for_each(|_| drop(store.lay_over(&key, &chain.objects[&key])));
    let notices = |report: crate::Report| report.notices.iter().map(|one| one.kind).collect::<Vec<_>>();
    assert_eq!(notices(verify(&store, &options())), [""; 0]);
    (0..2).for_each(|_| drop(store.lay_over(&key, &chain.objects[&key])));
    let report = verify(&store, &options());
    assert!(report.to_string().contains("the newest 1000 were looked at"), "{report}");
    assert_eq!(notices(report), ["hints-left-out"]);
}
