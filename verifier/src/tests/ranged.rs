//! A check of a range: what holds it is walked and proven, the rest is not looked at and said not to be.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;

use schemas::{Micros, Place};
use store::memory::{Between, Memory};
use store::{Object, Store, Version};

use super::{CHAIN_0, has, known, memory, options};
use crate::testing::{ChainBuilder, Objects, events};
use crate::{Bound, Check, Compared, Options, Report, Scope, Verdict, verify};

const DAY_US: i64 = 86_400_000_000;

/// Ten segments of five events, two a day.
fn chain() -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    for nth in 0..10 {
        if nth > 0 && nth % 2 == 0 {
            chain.clock.0 += DAY_US;
        }
        chain.seal(events(5 * nth..5 * nth + 5));
    }
    chain
}

fn range(from: Option<Bound>, to: Option<Bound>) -> Options {
    Options { scope: Scope::Range { from, to }, ..options() }
}

fn seqs(from: u64, to: u64) -> Options {
    range(Some(Bound::Seq(from)), Some(Bound::Seq(to)))
}

fn check(objects: &Objects, options: &Options) -> Report {
    verify(&memory(objects), options)
}

/// Remembers what was read.
struct Watched(Memory, Mutex<BTreeSet<String>>);

impl Watched {
    fn over(objects: &Objects) -> Watched {
        Watched(memory(objects), Mutex::default())
    }

    fn segments_read(&self, chain: &ChainBuilder) -> Vec<usize> {
        let read = self.1.lock().unwrap();
        (0..chain.cuts.len()).filter(|nth| read.contains(&chain.segment_key(*nth))).collect()
    }
}

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
        self.1.lock().unwrap().insert(key.to_owned());
        self.0.get(key, version, range, max_bytes)
    }
}

#[test]
fn only_the_segments_that_hold_the_range_are_walked_and_the_report_says_so() {
    let chain = chain();
    let store = Watched::over(&chain.objects);
    let report = verify(&store, &seqs(17, 21));
    assert_eq!(store.segments_read(&chain), [3, 4]);
    assert_eq!(
        (report.verdict, report.exit_code(false), report.exit_code(true)),
        (Verdict::InRange, 0, 3),
        "{report}"
    );
    let one = &report.chains[0];
    assert_eq!((one.events, one.segments, one.not_read, one.first_seq), (10, 2, 8, Some(15)));
    assert_eq!(one.size, Some(50), "up to where it is signed is still said");
    let text = report.to_string();
    assert!(text.contains("from seq 17 to seq 21 only"), "{text}");
    assert!(text.contains("2 of 10 segments were walked"), "{text}");
    assert!(text.ends_with("verdict: range check: nothing wrong in what was looked at\n"), "{text}");
    assert!(!text.contains("verdict: intact"), "{text}");
}

#[test]
fn damage_within_the_range_is_found_as_in_a_full_check_and_damage_outside_is_not_looked_for() {
    let mut chain = chain();
    let (mut records, event) = (chain.records_of(6).to_vec(), crate::testing::event(999));
    records[2].event = event;
    chain.lay_segment(6, &records);
    let report = check(&chain.objects, &seqs(32, 32));
    assert_eq!(report.verdict, Verdict::Broken, "{report}");
    assert_eq!(report.first.as_ref().unwrap().first_seq, Some(32));
    assert_eq!(report.first, check(&chain.objects, &options()).first);
    assert_eq!(check(&chain.objects, &seqs(0, 29)).verdict, Verdict::InRange);
}

#[test]
fn a_range_that_was_sealed_anew_does_not_pass_for_the_signed_one() {
    // Whoever holds no key can make links that follow each other, with the tiles over them.
    let mut chain = chain();
    let mut other = ChainBuilder::begin(CHAIN_0, 9);
    for nth in 0..10 {
        if nth > 0 && nth % 2 == 0 {
            other.clock.0 += DAY_US;
        }
        other.seal(events(1_000 + 5 * nth..1_000 + 5 * nth + 5));
    }
    for nth in [3, 4] {
        for key in [chain.segment_key(nth), chain.trees_key(nth)] {
            let forged = other.objects[&key].clone();
            chain.objects.insert(key, forged);
        }
    }
    for (from, to) in [(15, 19), (20, 24), (15, 24)] {
        let report = check(&chain.objects, &seqs(from, to));
        assert_eq!(report.verdict, Verdict::Broken, "{from} to {to}: {report}");
    }
    // Where the walk would go on from a trees file that the signed root does not bear out.
    let report = check(&chain.objects, &seqs(25, 29));
    assert!(has(&report, Check::TreesTiles, &chain.trees_key(4)), "{report}");
}

#[test]
fn a_range_of_times_is_held_by_what_was_sealed_then() {
    let chain = chain();
    let at = |nth: usize| chain.records_of(nth)[0].link.sealed_at;
    let time = |time: Micros| Some(Bound::Time(time));
    let walked = |from, to| {
        let store = Watched::over(&chain.objects);
        let report = verify(&store, &range(from, to));
        assert_eq!(report.verdict, Verdict::InRange, "{report}");
        (report.chains[0].events, report.chains[0].first_seq)
    };
    // One segment more shows that the range has ended.
    assert_eq!(walked(time(Micros(at(2).0 + 1)), time(Micros(at(2).0 + 1_000_000))), (10, Some(10)));
    assert_eq!(walked(None, time(at(0))), (10, Some(0)));
    assert_eq!(walked(time(at(9)), None), (5, Some(45)));
    assert_eq!(walked(time(at(3)), Some(Bound::Seq(25))), (15, Some(15)));
}

#[test]
fn where_no_chain_has_an_event_in_the_range_nothing_was_checked() {
    let chain = chain();
    let report = check(&chain.objects, &seqs(50, 60));
    assert_eq!((report.verdict, report.exit_code(false)), (Verdict::Inconclusive, 3), "{report}");
    assert_eq!(report.first.unwrap().check, Check::Empty);
    let report = check(&chain.objects, &seqs(48, 60));
    assert_eq!(report.verdict, Verdict::InRange, "{report}");
    assert_eq!(report.notices[0].kind, "beyond-the-end");

    // Before the first, behind the last, and a moment between two, though segments are walked to see it.
    let time = |at: i64| Some(Bound::Time(Micros(at)));
    let (first, last) = (chain.records[0].link.sealed_at.0, chain.records[49].link.sealed_at.0);
    for (from, to) in [
        (None, time(first - 1)),
        (time(last + 1), None),
        (time(last + 1), time(last + DAY_US)),
        (time(first + 1), time(first + 2)),
        (Some(Bound::Seq(3)), time(first + 1)),
    ] {
        let report = check(&chain.objects, &range(from, to));
        assert_eq!(report.verdict, Verdict::Inconclusive, "{from:?} to {to:?}: {report}");
        assert_eq!(report.first.as_ref().unwrap().check, Check::Empty, "{from:?} to {to:?}: {report}");
        assert!(report.events > 0, "{report}");
    }
    for (from, to) in [(time(last), None), (None, time(first)), (Some(Bound::Seq(49)), time(last))] {
        let report = check(&chain.objects, &range(from, to));
        assert_eq!(report.verdict, Verdict::InRange, "{from:?} to {to:?}: {report}");
    }
}

#[test]
fn strange_objects_do_not_make_a_range_without_events_less_open() {
    let mut chain = chain();
    chain.objects.insert(format!("{CHAIN_0}/strange"), b"junk".to_vec());
    assert_eq!(check(&chain.objects, &seqs(0, 9)).verdict, Verdict::CustodyAtRisk);
    assert_eq!(check(&chain.objects, &seqs(50, 60)).verdict, Verdict::Inconclusive);
}

/// Where a tail was cut off nothing is left that says so; a range of just those seconds must not pass.
#[test]
fn of_a_range_of_times_it_is_said_how_far_the_archive_speaks() {
    let (whole, mut cut) = (chain(), ChainBuilder::begin(CHAIN_0, 7));
    cut.clock = whole.records[0].link.sealed_at;
    cut.seal(events(0..5));
    let between = |from: usize, to: usize| {
        let at = |nth: usize| Some(Bound::Time(whole.records[nth].link.sealed_at));
        range(at(from), at(to))
    };
    let said = |objects: &Objects, options: &Options| {
        let report = check(objects, options);
        let notices: Vec<String> = report
            .notices
            .iter()
            .filter(|notice| notice.kind == "beyond-the-end")
            .map(|notice| notice.text.clone())
            .collect();
        (report.verdict, notices)
    };
    assert_eq!(said(&whole.objects, &between(5, 9)), (Verdict::InRange, vec![]));
    let (verdict, notices) = said(&cut.objects, &between(5, 9));
    assert_eq!((verdict, notices.len()), (Verdict::Inconclusive, 1), "{notices:?}");
    let (verdict, notices) = said(&cut.objects, &between(3, 9));
    assert_eq!((verdict, notices.len()), (Verdict::InRange, 1), "{notices:?}");
    assert!(notices[0].contains("the last sealed at 2026-11-21T09:30:04.000000Z"), "{notices:?}");
    // No event can be sealed at the same time as the last: up to there it is whole.
    assert_eq!(said(&cut.objects, &between(3, 4)), (Verdict::InRange, vec![]));
    // Of one chain that ends too early, beside another that does not.
    let mut other = ChainBuilder::begin(super::CHAIN_1, 7);
    other.clock = whole.records[9].link.sealed_at;
    other.seal(events(100..110));
    let (verdict, notices) = said(&super::both(&cut, &other), &between(5, 9));
    assert_eq!((verdict, notices.len()), (Verdict::InRange, 1), "{notices:?}");
}

#[test]
fn a_kept_checkpoint_is_held_against_the_signed_one_where_the_links_are_not_walked() {
    let (chain, mut other) = (chain(), ChainBuilder::begin(CHAIN_0, 7));
    other.seal(events(900..905));
    let with = |note: &[u8]| Options {
        known: vec![known("kept", note)],
        pinned: vec![chain.vkey()],
        ..seqs(32, 33)
    };
    let report = check(&chain.objects, &with(&chain.note(5)));
    assert_eq!(report.verdict, Verdict::InRange, "never intact: {report}");
    let kept = &report.chains[0].known[0];
    assert_eq!((kept.extended, kept.compared), (None, Compared::Checkpoint));
    let report = check(&chain.objects, &with(&other.note(5)));
    assert_eq!(report.verdict, Verdict::Broken, "{report}");
    assert_eq!(report.first.as_ref().unwrap().check, Check::Known);
    assert_eq!(report.chains[0].known[0].extended, Some(false));
}

#[test]
fn a_kept_checkpoint_that_nothing_looked_at_gives_a_root_for_does_not_pass() {
    let chain = chain();
    // Of a size at which no segment ends.
    let forged = known("forged", chain.sign_as(7, schemas::Hash([9; 32])).as_bytes());
    let with = |options: Options| Options { known: vec![forged.clone()], ..options };
    let quick = || Options { scope: Scope::Quick { sample: 0, seed: 1 }, ..options() };
    for options in [with(seqs(32, 33)), with(quick())] {
        let report = check(&chain.objects, &options);
        assert_eq!((report.verdict, report.exit_code(false)), (Verdict::Inconclusive, 3), "{report}");
        let first = report.first.as_ref().unwrap();
        assert_eq!((first.check, first.first_seq), (Check::Readable, Some(6)), "{report}");
        assert_eq!(report.chains[0].known[0].extended, None);
    }
    for options in [with(seqs(6, 6)), with(options())] {
        assert_eq!(check(&chain.objects, &options).first.unwrap().check, Check::Known);
    }
}

#[test]
fn a_pinned_key_that_has_signed_outside_of_the_range_is_one_of_the_chains() {
    let mut chain = chain();
    let first = chain.vkey();
    chain.rotate(8).seal(events(50..55)).seal(events(55..60));
    for pinned in [first, chain.vkey()] {
        let report = check(&chain.objects, &Options { pinned: vec![pinned], ..seqs(22, 22) });
        assert_eq!(report.verdict, Verdict::InRange, "{report}");
    }
}

#[test]
fn what_names_show_is_found_outside_of_the_range_too() {
    let chain = chain();
    let gone = |key: String, check_due: Check| {
        let mut objects = chain.objects.clone();
        assert!(objects.remove(&key).is_some());
        let report = check(&objects, &seqs(2, 2));
        assert_eq!(report.verdict, Verdict::Broken, "{report}");
        assert!(report.findings.iter().any(|finding| finding.check == check_due), "{report}");
    };
    gone(chain.segment_key(7), Check::SegmentMissing);
    gone(chain.trees_key(7), Check::TreesMissing);
    gone(chain.key(&Place::Checkpoint(40)), Check::CheckpointMissing);
}

#[test]
fn days_that_do_not_rise_do_not_hide_what_was_sealed_in_the_range() {
    let mut chain = chain();
    // The segment with what was sealed on the third day, put among those of a day long after.
    let (bytes, key) = (chain.objects.remove(&chain.segment_key(4)).unwrap(), chain.segment_key(4));
    chain.objects.insert(key.replace("date=2026-11-23", "date=2026-12-30"), bytes);
    let at = chain.records_of(4)[1].link.sealed_at;
    let report = check(&chain.objects, &range(Some(Bound::Time(at)), Some(Bound::Time(at))));
    assert!(matches!(report.verdict, Verdict::Broken | Verdict::Inconclusive), "{report}");
}
