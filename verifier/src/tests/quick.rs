//! A quick check: notes, keys, locks and headers of everything, and of the segments a sample.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::SystemClock;
use store::memory::{Between, Memory};
use store::{Mode, Object, Retention, Store, Version};

use super::{CHAIN_0, has, known, memory, options};
use crate::testing::{ChainBuilder, Objects, events, store_objects};
use crate::{Check, Compared, Options, Promise, Report, Scope, Verdict, Watch, verify};

/// Forty segments of five events.
fn chain() -> ChainBuilder {
    chain_of(0)
}

fn chain_of(first: u64) -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    for nth in 0..40 {
        chain.seal(events(first + 5 * nth..first + 5 * nth + 5));
    }
    chain
}

fn quick(sample: usize, seed: u64) -> Options {
    Options { scope: Scope::Quick { sample, seed }, ..options() }
}

fn check(objects: &Objects, options: &Options) -> Report {
    verify(&memory(objects), options)
}

/// Remembers how much of each object was read.
struct Watched(Memory, Mutex<BTreeMap<String, u64>>);

impl Between for Watched {
    fn below(&self) -> &Memory {
        &self.0
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> store::Result<Object> {
        let object = self.0.get(key, version, range.clone(), max_bytes)?;
        let mut read = self.1.lock().unwrap();
        let most = read.entry(key.to_owned()).or_default();
        *most = (*most).max(range.map_or(u64::MAX, |_| object.bytes.len() as u64));
        Ok(object)
    }
}

#[test]
fn a_sample_is_walked_whole_and_of_the_rest_the_headers_and_the_seed_repeats_it() {
    let chain = chain();
    let walked = |seed: u64| {
        let store = Watched(memory(&chain.objects), Mutex::default());
        let report = verify(&store, &quick(4, seed));
        assert_eq!(
            (report.verdict, report.exit_code(false), report.exit_code(true)),
            (Verdict::InSample, 0, 3),
            "{report}"
        );
        let one = &report.chains[0];
        assert_eq!((one.events, one.segments, one.headers, one.not_read), (20, 4, 36, 0), "{report}");
        let text = report.to_string();
        assert!(
            text.contains(&format!("--seed {seed}")) && text.contains("4 of 40 segments were walked"),
            "{text}"
        );
        assert!(text.ends_with("verdict: quick check: nothing wrong in what was looked at\n"), "{text}");
        let read = store.1.lock().unwrap();
        (0..40).filter(|nth| read.get(&chain.segment_key(*nth)) == Some(&u64::MAX)).collect::<Vec<usize>>()
    };
    let seeds: Vec<Vec<usize>> = [1, 1, 2].map(walked).to_vec();
    assert_eq!(seeds[0].len(), 4);
    assert_eq!(seeds[0], seeds[1]);
    assert_ne!(seeds[0], seeds[2]);
}

#[test]
fn what_a_header_or_a_note_shows_is_found_in_every_segment() {
    let (chain, other) = (chain(), chain_of(700));
    for nth in 0..40 {
        // A segment of another history under the same name, with its trees file.
        let mut objects = chain.objects.clone();
        objects.insert(chain.segment_key(nth), other.objects[&chain.segment_key(nth)].clone());
        let report = check(&objects, &quick(0, 1));
        assert_eq!(report.verdict, Verdict::Broken, "segment {nth}: {report}");
        assert!(
            report.findings.iter().any(|one| one.key.as_deref() == Some(&chain.segment_key(nth))),
            "{report}"
        );
    }
    for (key, due) in [
        (chain.segment_key(20), Check::SegmentMissing),
        (chain.trees_key(20), Check::TreesMissing),
        (chain.key(&schemas::Place::Checkpoint(105)), Check::CheckpointMissing),
    ] {
        let mut objects = chain.objects.clone();
        assert!(objects.remove(&key).is_some());
        let report = check(&objects, &quick(0, 1));
        assert!(
            report.findings.iter().any(|one| one.check == due) && report.verdict == Verdict::Broken,
            "{report}"
        );
    }
    let mut objects = chain.objects.clone();
    objects.insert(chain.key(&schemas::Place::Checkpoint(105)), b"junk".to_vec());
    assert!(has(
        &check(&objects, &quick(0, 1)),
        Check::CheckpointNote,
        &chain.key(&schemas::Place::Checkpoint(105))
    ));
    let mut objects = chain.objects.clone();
    objects.insert(chain.segment_key(0), b"junk".to_vec());
    assert!(has(&check(&objects, &quick(0, 1)), Check::SegmentForm, &chain.segment_key(0)));
}

#[test]
fn damage_that_no_header_shows_is_found_if_it_is_drawn() {
    let mut chain = chain();
    let mut records = chain.records_of(20).to_vec();
    records[1].event = crate::testing::event(999);
    chain.lay_segment(20, &records);
    let verdicts: Vec<Verdict> =
        (0..40).map(|seed| check(&chain.objects, &quick(10, seed)).verdict).collect();
    let found = verdicts.iter().filter(|verdict| **verdict == Verdict::Broken).count();
    assert!(verdicts.iter().all(|one| matches!(one, Verdict::Broken | Verdict::InSample)), "{verdicts:?}");
    assert!((3..=20).contains(&found), "a quarter of the segments is drawn: {found} of 40");
    assert_eq!(check(&chain.objects, &quick(40, 1)).verdict, Verdict::Broken);
}

#[test]
fn locks_are_looked_at_on_every_object() {
    let (chain, year) = (chain(), Duration::from_secs(365 * 86_400));
    let store = Memory::locking(Arc::new(SystemClock), Mode::Compliance, year);
    store_objects(&chain.objects, &store).unwrap();
    let retention = Retention { mode: Mode::Compliance, period: year };
    let options = || Options {
        custody: Some(Promise::OfTheBucket(retention)),
        now: runtime::Clock::wall(&SystemClock),
        ..quick(2, 7)
    };
    let report = verify(&store, &options());
    assert_eq!(report.verdict, Verdict::InSample, "{report}");
    // Segments and trees files, notes with that of size 0, a key and a schema.
    assert_eq!(report.custody.unwrap().locks.evidence, 40 + 40 + 41 + 1 + 1);
    store.lock_with(None);
    let (key, trees) = (chain.segment_key(11), chain.trees_key(30));
    for key in [&key, &trees] {
        assert!(store.remove(key));
        store.lay_over(key, &chain.objects[key]);
    }
    let report = verify(&store, &options());
    assert_eq!(report.verdict, Verdict::CustodyAtRisk, "{report}");
    assert!(has(&report, Check::LockMissing, &key) && has(&report, Check::LockMissing, &trees), "{report}");
}

#[test]
fn what_has_several_versions_is_walked_whether_it_was_drawn_or_not() {
    let chain = chain();
    let store = memory(&chain.objects);
    store.lay_over(&chain.segment_key(13), b"junk");
    store.lay_over(&chain.trees_key(14), b"junk");
    let report = verify(&store, &quick(0, 1));
    assert_eq!((report.verdict, report.chains[0].segments), (Verdict::CustodyAtRisk, 2), "{report}");
}

#[test]
fn a_kept_checkpoint_is_held_against_the_signed_one() {
    let (chain, other) = (chain(), chain_of(300));
    let with =
        |note: &[u8]| Options { known: vec![known("kept", note)], pinned: vec![chain.vkey()], ..quick(3, 3) };
    let report = check(&chain.objects, &with(&chain.note(100)));
    assert_eq!(report.verdict, Verdict::InSample, "{report}");
    assert_ne!(report.chains[0].known[0].compared, Compared::Nothing);
    assert_eq!(report.chains[0].known[0].extended, None);
    assert_eq!(check(&chain.objects, &with(&other.note(100))).verdict, Verdict::Broken);
    let longer = chain_of(0).seal(events(200..205)).note(205);
    assert_eq!(check(&chain.objects, &with(&longer)).verdict, Verdict::Broken, "the tail was cut off");
}

#[test]
fn old_segments_that_are_gone_are_said_to_be() {
    let chain = chain();
    let mut objects = chain.objects.clone();
    (0..10).for_each(|nth| drop(objects.remove(&chain.segment_key(nth))));
    let report = check(&objects, &quick(5, 5));
    assert_eq!(report.verdict, Verdict::InSample, "{report}");
    let said = report.notices.iter().find(|notice| notice.kind == "old-segments-gone").unwrap();
    assert!(
        said.text.contains("not whether the hashes in them fit"),
        "nothing of them was read: {}",
        said.text
    );
}

#[test]
fn headers_that_do_not_follow_each_other_are_found_though_each_by_itself_is_due() {
    let chain = chain();
    for (nth, spoil_first) in [(20, true), (20, false), (0, true), (38, false)] {
        let key = chain.segment_key(nth);
        let mut objects = chain.objects.clone();
        let file = schemas::SegmentFile::parse(&objects[&key]).unwrap();
        let (mut header, blocks) =
            (file.header.clone(), objects[&key][file.header.to_bytes().len()..].to_vec());
        let hash = if spoil_first { &mut header.first_prev } else { &mut header.last_hash };
        hash.0[0] ^= 1;
        objects.insert(key.clone(), [header.to_bytes(), blocks].concat());
        // Walked or not, and whether what is behind it is.
        for (sample, seed) in [(0, 1), (40, 1), (10, 1), (10, 2), (10, 3), (10, 4)] {
            let report = check(&objects, &quick(sample, seed));
            assert_eq!(report.verdict, Verdict::Broken, "{nth}, {spoil_first}, {sample}, {seed}: {report}");
        }
    }
}

/// Counts what it is told.
#[derive(Debug, Default)]
struct Counted {
    listed: AtomicU64,
    planned: AtomicU64,
    walked: AtomicU64,
}

impl Watch for Counted {
    fn listed(&self, objects: u64) {
        self.listed.store(objects, Ordering::SeqCst);
    }

    fn planned(&self, events: u64) {
        self.planned.fetch_add(events, Ordering::SeqCst);
    }

    fn walked(&self, events: u64) {
        self.walked.fetch_add(events, Ordering::SeqCst);
    }
}

#[test]
fn whoever_watches_is_told_what_is_to_be_walked_and_what_was() {
    let chain = chain();
    let range = Scope::Range { from: Some(crate::Bound::Seq(7)), to: Some(crate::Bound::Seq(12)) };
    for (scope, events) in [(Scope::Full, 200), (range, 10), (Scope::Quick { sample: 3, seed: 1 }, 15)] {
        let watch = Arc::new(Counted::default());
        let report = check(&chain.objects, &Options { scope, watch: Some(watch.clone()), ..options() });
        let told = [&watch.planned, &watch.walked, &watch.listed].map(|count| count.load(Ordering::SeqCst));
        assert_eq!(told, [events, events, report.objects]);
    }
}
