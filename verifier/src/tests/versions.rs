//! A store that keeps versions and locks: rows 10, 11, 22 and 23 to 25. Whatever lies over the evidence, or hides it, the
//! evidence is looked for among all versions.

use std::sync::Arc;
use std::time::Duration;

use runtime::ManualClock;
use schemas::{Hash, Micros, Place, Trees};
use store::memory::Memory;
use store::{Keep, Mode, Retention, Store};

use super::{CHAIN_0, both, chain_0, chain_1, has, known, now, options};
use crate::testing::{ChainBuilder, Objects, events};
use crate::{Check, Finding, Options, Promise, Report, Verdict, verify};

const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Retention = Retention { mode: Mode::Compliance, period: Duration::from_secs(365 * 86_400) };

/// A bucket, and the clock that its server goes by.
struct Bucket {
    store: Memory,
    clock: Arc<ManualClock>,
}

impl Bucket {
    /// With an archive that is written two days after its first event was sealed.
    fn holding(objects: &Objects, retention: Retention) -> Bucket {
        let clock = Arc::new(ManualClock::at(Micros(1_795_253_400_000_000)));
        clock.pass(2 * DAY);
        let store = Memory::locking(clock.clone(), retention.mode, retention.period);
        let bucket = Bucket { store, clock };
        bucket.write(objects);
        bucket
    }

    /// As the archiver does.
    fn write(&self, objects: &Objects) {
        for (key, bytes) in objects {
            let keep = if key.ends_with("/checkpoint") { Keep::Hint } else { Keep::Evidence };
            self.store.put_new(key, bytes, keep).unwrap();
        }
    }

    fn check(&self) -> Report {
        self.check_for(Promise::OfTheBucket(YEAR))
    }

    fn check_for(&self, promise: Promise) -> Report {
        verify(&self.store, &Options { custody: Some(promise), ..options() })
    }

    /// Switches the check off as well: it alone may see it.
    #[track_caller]
    fn check_with_and_without(&self, check: Check) -> Report {
        let off = Options { custody: Some(Promise::OfTheBucket(YEAR)), off: vec![check], ..options() };
        assert_eq!(verify(&self.store, &off).verdict, Verdict::Unanchored);
        self.check()
    }

    fn newest_version(&self, key: &str) -> String {
        self.store.get(key, None, None, u64::MAX).unwrap().version.0
    }
}

fn archive() -> (ChainBuilder, Bucket) {
    let zero = chain_0();
    let bucket = Bucket::holding(&both(&zero, &chain_1()), YEAR);
    (zero, bucket)
}

/// The evidence is whole, and this is the only kind of finding.
#[track_caller]
fn assert_at_risk(report: &Report, check: Check, key: &str, version: &str) -> Finding {
    assert_eq!((report.verdict, report.exit_code(false)), (Verdict::CustodyAtRisk, 1), "{report}");
    assert_eq!(report.chains[0].events, 565, "all of it was read: {report}");
    assert!(report.findings.iter().all(|finding| finding.check == check), "{report}");
    let first = report.first.clone().unwrap();
    assert_eq!((first.key.as_deref(), first.version.as_deref()), (Some(key), Some(version)), "{report}");
    assert!(report.to_string().contains(&format!("version:  {version}")), "{report}");
    first
}

fn every_kind(zero: &ChainBuilder) -> Vec<String> {
    let schema = zero.objects.keys().find(|key| key.contains("/schemas/")).unwrap();
    let places = [Place::Key(0), Place::Checkpoint(0), Place::Checkpoint(300)].map(|place| zero.key(&place));
    [&places[..], &[zero.segment_key(1), zero.trees_key(1), schema.clone()]].concat()
}

#[test]
fn an_archive_in_a_bucket_that_keeps_what_it_promised_is_intact() {
    let (_, bucket) = archive();
    let report = bucket.check();
    assert_eq!((report.verdict, &report.findings), (Verdict::Unanchored, &vec![]), "{report}");
    let custody = report.custody.clone().unwrap();
    assert_eq!((custody.promised_by, custody.mode), ("bucket", Some("compliance")));
    assert_eq!(custody.locks.evidence, custody.locks.locked);
    assert_eq!(custody.locks.evidence + 2, report.objects, "all but the two hints");
    assert_eq!(custody.locks.first_until.as_deref(), Some("2027-11-23T09:30:00.000000Z"));
    let text = report.to_string();
    assert!(
        text.contains("promised is compliance for 365 days, as the bucket's default says; 21 of 21"),
        "{text}"
    );
    assert!(super::check(&both(&chain_0(), &chain_1())).custody.is_none(), "a folder promises nothing");
}

/// Row 23.
#[test]
fn a_delete_marker_hides_nothing_from_the_check() {
    for key in every_kind(&chain_0()) {
        let (_, bucket) = archive();
        let marker = bucket.store.hide(&key).0;
        let found =
            assert_at_risk(&bucket.check_with_and_without(Check::Hidden), Check::Hidden, &key, &marker);
        assert!(found.found.contains("delete marker"), "{found:?}");
    }
    let (zero, bucket) = archive();
    zero.objects.keys().for_each(|key| drop(bucket.store.hide(key)));
    let report = bucket.check();
    assert_eq!((report.verdict, report.chains[0].events), (Verdict::CustodyAtRisk, 565), "{report}");
    assert_eq!(report.findings.len(), zero.objects.len() - 1, "all but the hint");
}

/// Row 23: behind a marker nothing may be left.
#[test]
fn a_marker_with_nothing_below_is_found_even_where_it_alone_is_left_of_a_chain() {
    let (_, bucket) = archive();
    let key = "acme.example/audit/7/checkpoints/00000000000000000000.note";
    let marker = bucket.store.hide(key).0;
    assert_at_risk(&bucket.check(), Check::Hidden, key, &marker);
    let (zero, bucket) = archive();
    assert!(bucket.store.remove(&zero.segment_key(1)));
    bucket.store.hide(&zero.segment_key(1));
    let report = bucket.check();
    assert_eq!(report.verdict, Verdict::Broken);
    assert_eq!(report.first.as_ref().unwrap().check, Check::SegmentMissing, "{report}");
    assert!(has(&report, Check::Hidden, &zero.segment_key(1)));
}

/// Row 24: junk, another's object, the very same bytes.
#[test]
fn the_evidence_below_what_was_laid_over_it_is_the_one_that_is_checked() {
    for key in every_kind(&chain_0()) {
        let other = if key.contains("/segments/") { chain_0().segment_key(2) } else { key.clone() };
        let junk = [b"junk".to_vec(), Vec::new(), chain_0().objects[&other].clone(), vec![7; 3 << 20]];
        for junk in junk {
            let (_, bucket) = archive();
            bucket.clock.pass(DAY);
            bucket.store.lay_over(&key, &junk);
            let (report, newest) =
                (bucket.check_with_and_without(Check::LaidOver), bucket.newest_version(&key));
            let is_copy = chain_0().objects[&key] == junk;
            let found = assert_at_risk_of_laid(&report, &key);
            // Of two copies either is the evidence.
            assert!(is_copy || found.version.as_deref() == Some(newest.as_str()), "{key}: {report}");
        }
    }
}

#[track_caller]
fn assert_at_risk_of_laid(report: &Report, key: &str) -> Finding {
    let version = report.first.as_ref().and_then(|first| first.version.clone()).unwrap();
    assert_at_risk(report, Check::LaidOver, key, &version)
}

/// Row 24: no signature covers the digest in a trees file, nor its inner tiles.
#[test]
fn a_trees_file_that_is_right_in_all_but_its_digest_is_seen_through() {
    let changes: [fn(&mut Trees); 2] =
        [|trees| trees.segment_sha256.0[0] ^= 1, |trees| trees.completed[0].hashes[3].0[0] ^= 1];
    for change in changes {
        let (zero, bucket) = archive();
        let key = zero.trees_key(0);
        let mut trees = Trees::parse(&zero.objects[&key]).unwrap();
        change(&mut trees);
        bucket.store.lay_over(&key, &trees.to_bytes());
        assert_at_risk_of_laid(&bucket.check(), &key);
        // And put right again by one who may, as `archive repair` does.
        bucket.store.lay_over(&key, &zero.objects[&key]);
        let report = bucket.check();
        assert_eq!((report.verdict, report.findings.len()), (Verdict::CustodyAtRisk, 2), "{report}");
    }
}

/// Row 24: segment and trees file exchanged for others that fit each other.
#[test]
fn a_segment_with_other_events_and_a_digest_to_match_is_seen_through() {
    let (mut zero, bucket) = archive();
    let mut records = zero.records_of(1).to_vec();
    records[1].event = crate::testing::event(99_999);
    zero.lay_segment(1, &records);
    for key in [zero.segment_key(1), zero.trees_key(1)] {
        bucket.store.lay_over(&key, &zero.objects[&key]);
    }
    let report = bucket.check();
    assert_eq!((report.verdict, report.findings.len()), (Verdict::CustodyAtRisk, 2), "{report}");
    assert_eq!(report.chains[0].root, Some(chain_root(&chain_0())));
}

fn chain_root(chain: &ChainBuilder) -> String {
    let note = String::from_utf8(chain.note(565)).unwrap();
    let (checkpoint, _) = schemas::Checkpoint::parse(note.as_bytes()).unwrap();
    checkpoint.root.to_string()
}

/// Row 24: more of it than anybody looks through.
#[test]
fn a_thousand_versions_laid_over_one_do_not_bury_it() {
    let (zero, bucket) = archive();
    for nth in 0..1_000_u32 {
        bucket.store.lay_over(&zero.segment_key(1), &nth.to_be_bytes());
    }
    let report = bucket.check();
    assert_eq!((report.verdict, report.chains[0].events), (Verdict::CustodyAtRisk, 565));
    assert_eq!(report.findings.len(), 1_000);
}

/// Row 24: as many on either side of it. That it is not there is not said, for nobody looked.
#[test]
fn what_lies_among_more_versions_than_are_looked_into_is_neither_intact_nor_broken() {
    let zero = chain_0();
    for key in every_kind(&zero) {
        let mut objects = both(&zero, &chain_1());
        let evidence = objects.insert(key.clone(), b"junk".to_vec()).unwrap();
        let bucket = Bucket::holding(&objects, YEAR);
        let lay_over = |bytes: &[u8]| drop(bucket.store.lay_over(&key, bytes));
        (0..59).for_each(|_| lay_over(b"junk"));
        lay_over(&evidence);
        (0..60).for_each(|_| lay_over(b"junk"));
        let report = bucket.check();
        assert_eq!((report.verdict, report.exit_code(false)), (Verdict::Inconclusive, 3), "{key}: {report}");
        assert!(
            report.findings.iter().any(|finding| finding.found.contains("too many versions")),
            "{report}"
        );
    }
}

/// Row 24: what is too large to be the evidence takes nobody's place.
#[test]
fn junk_of_a_size_that_cannot_be_right_does_not_bury_the_evidence() {
    let zero = chain_0();
    let key = zero.key(&Place::Checkpoint(565));
    let mut objects = both(&zero, &chain_1());
    let junk = vec![7; 1 << 20];
    let evidence = objects.insert(key.clone(), junk.clone()).unwrap();
    let bucket = Bucket::holding(&objects, YEAR);
    (0..59).for_each(|_| drop(bucket.store.lay_over(&key, &junk)));
    bucket.store.lay_over(&key, &evidence);
    (0..60).for_each(|_| drop(bucket.store.lay_over(&key, &junk)));
    let report = bucket.check();
    assert_eq!((report.verdict, report.chains[0].events), (Verdict::CustodyAtRisk, 565), "{report}");
}

/// Row 24: what is below the evidence was there before it, and is no better.
#[test]
fn the_evidence_over_junk_is_found_as_well() {
    let zero = chain_0();
    let mut objects = both(&zero, &chain_1());
    let evidence = objects.insert(zero.segment_key(1), b"junk, before the archiver came".to_vec()).unwrap();
    let bucket = Bucket::holding(&objects, YEAR);
    assert_eq!(bucket.check().verdict, Verdict::Broken);
    bucket.store.lay_over(&zero.segment_key(1), &evidence);
    let found = assert_at_risk_of_laid(&bucket.check(), &zero.segment_key(1));
    assert!(found.found.contains("below it"), "{found:?}");
}

/// Row 11, where one note was laid over the other.
#[test]
fn two_signed_roots_under_one_key_are_both_kept_as_proof() {
    let (zero, bucket) = archive();
    let other = zero.sign_as(300, Hash::of(&[b"another history"]));
    let key = zero.key(&Place::Checkpoint(300));
    bucket.store.lay_over(&key, other.as_bytes());
    let report = bucket.check();
    assert_eq!(report.verdict, Verdict::Broken);
    let split = report.findings.iter().find(|finding| finding.check == Check::SplitView).unwrap();
    assert_eq!(split.key.as_deref(), Some(key.as_str()));
    assert_eq!(split.proof.len(), 2);
    assert!(split.proof.contains(&other));
}

/// Rows 8 and 23: the tail cut off as far as locks allow.
#[test]
fn a_tail_that_was_hidden_is_no_tail_that_was_cut_off() {
    let (zero, bucket) = archive();
    for key in [zero.segment_key(2), zero.trees_key(2), zero.key(&Place::Checkpoint(565))] {
        bucket.store.hide(&key);
    }
    let mut options = Options { custody: Some(Promise::OfTheBucket(YEAR)), ..options() };
    options.known = vec![known("kept", &zero.note(565))];
    let report = verify(&bucket.store, &options);
    assert_eq!((report.verdict, report.chains[0].size), (Verdict::CustodyAtRisk, Some(565)), "{report}");
    assert_eq!(report.chains[0].known[0].extended, Some(true));
}

/// Row 25.
#[test]
fn a_lock_that_is_not_as_promised_is_found_on_each_object() {
    let short = Retention { period: 364 * DAY, ..YEAR };
    let liftable = Retention { mode: Mode::Governance, ..YEAR };
    for (is, check) in [(short, Check::LockShort), (liftable, Check::LockMode)] {
        let bucket = Bucket::holding(&both(&chain_0(), &chain_1()), is);
        let report = bucket.check_with_and_without(check);
        assert_eq!((report.verdict, report.chains[0].events), (Verdict::CustodyAtRisk, 565), "{report}");
        assert!(report.findings.iter().all(|finding| finding.check == check && finding.version.is_some()));
        assert_eq!(report.findings.len() as u64 + 2, report.objects, "all but the hints");
        assert_eq!(bucket.check_for(Promise::Told(is)).verdict, Verdict::Unanchored);
        assert_eq!(bucket.check_for(Promise::Told(YEAR)).verdict, Verdict::CustodyAtRisk);
    }
}

/// Row 25.
#[test]
fn without_a_promise_there_must_be_a_lock_and_no_more() {
    let bucket = Bucket::holding(&both(&chain_0(), &chain_1()), Retention { mode: Mode::Governance, ..YEAR });
    let report = bucket.check_for(Promise::Nobody);
    assert_eq!(report.verdict, Verdict::Unanchored);
    assert!(report.to_string().contains("nobody promised anything"), "{report}");
    let clock = Arc::new(ManualClock::at(now()));
    let unlocked = Bucket { store: Memory::new(clock.clone()), clock };
    unlocked.write(&both(&chain_0(), &chain_1()));
    for promise in [Promise::Nobody, Promise::Told(YEAR)] {
        let report = unlocked.check_for(promise);
        assert_eq!(report.verdict, Verdict::CustodyAtRisk);
        assert!(report.findings.iter().all(|finding| finding.check == Check::LockMissing), "{report}");
        assert_eq!(report.custody.as_ref().map(|custody| custody.locks.locked), Some(0));
    }
}

/// Rows 25 and 27.
#[test]
fn locks_that_cannot_be_seen_are_neither_there_nor_missing() {
    let (zero, bucket) = archive();
    let report = bucket.check_for(Promise::Unseen);
    assert_eq!((report.verdict, report.exit_code(false)), (Verdict::Inconclusive, 3), "{report}");
    assert_eq!(report.chains[0].verdict, Verdict::Unanchored, "the evidence was read");
    assert!(report.to_string().contains("locks could not be looked at"), "{report}");
    assert!(bucket.store.remove(&zero.segment_key(1)));
    assert_eq!(bucket.check_for(Promise::Unseen).verdict, Verdict::Broken);
}

/// Row 25: what no checkpoint covers yet is evidence already.
#[test]
fn a_segment_that_is_not_covered_yet_is_locked_too() {
    let (zero, one) = (chain_0(), chain_1());
    let mut objects = both(&zero, &one);
    objects.remove(&zero.key(&Place::Checkpoint(565)));
    objects.insert(zero.key(&Place::Hint), zero.note(305));
    let [segment, trees] =
        [zero.segment_key(2), zero.trees_key(2)].map(|key| (objects.remove(&key).unwrap(), key));
    let bucket = Bucket::holding(&objects, YEAR);
    for (bytes, key) in [segment, trees] {
        bucket.store.put_new(&key, &bytes, Keep::Hint).unwrap();
    }
    let report = bucket.check();
    assert_eq!(report.verdict, Verdict::CustodyAtRisk, "{report}");
    let keys: Vec<_> = report.findings.iter().filter_map(|finding| finding.key.clone()).collect();
    assert!(keys.contains(&zero.segment_key(2)) && keys.contains(&zero.trees_key(2)), "{report}");
}

/// Row 22: the bucket's clock is a witness.
#[test]
fn what_was_sealed_later_than_it_was_written_is_found() {
    let mut zero = ChainBuilder::begin(CHAIN_0, 7);
    zero.clock.0 += 2 * 86_400_000_000 + 299_000_000;
    zero.seal(events(0..1));
    let report = Bucket::holding(&zero.objects, YEAR).check();
    assert_eq!(report.verdict, Verdict::Unanchored, "five minutes between two clocks are nothing: {report}");
    zero.seal(events(1..4));
    let bucket = Bucket::holding(&zero.objects, YEAR);
    let report = bucket.check_with_and_without(Check::SealedAhead);
    let first = report.first.as_ref().unwrap();
    assert_eq!((report.verdict, first.check), (Verdict::Broken, Check::SealedAhead), "{report}");
    assert_eq!((first.key.as_deref(), first.last_seq), (Some(zero.segment_key(1).as_str()), Some(3)));
    assert!(first.version.is_some());
    let folder = verify(&bucket.store, &options());
    assert_eq!(folder.verdict, Verdict::Unanchored, "a folder's times are anybody's");
}

/// Row 10.
#[test]
fn a_checkpoint_may_be_far_behind_but_may_not_go_back() {
    let (zero, bucket) = archive();
    let hint = zero.key(&Place::Hint);
    assert!(bucket.store.remove(&hint));
    for size in [0, 300, 300] {
        bucket.store.lay_over(&hint, &zero.note(size));
    }
    assert_eq!(bucket.check().verdict, Verdict::Unanchored, "however far behind");
    let back = bucket.store.lay_over(&hint, &zero.note(0)).0;
    bucket.store.lay_over(&hint, &zero.note(565));
    let report = bucket.check_with_and_without(Check::HintOrder);
    let first = report.first.as_ref().unwrap();
    assert_eq!((report.verdict, first.check), (Verdict::Broken, Check::HintOrder), "{report}");
    assert_eq!((first.key.as_deref(), first.version.as_deref()), (Some(hint.as_str()), Some(back.as_str())));
    assert_eq!(first.proof.len(), 2);
}

/// Row 10: what somebody lays over a hint is no evidence, and takes none away.
#[test]
fn junk_over_a_checkpoint_puts_custody_at_risk_and_a_marker_is_nothing() {
    let (zero, bucket) = archive();
    let hint = zero.key(&Place::Hint);
    bucket.store.hide(&hint);
    assert_eq!(bucket.check().verdict, Verdict::Unanchored);
    let junk = bucket.store.lay_over(&hint, b"junk").0;
    assert_at_risk(&bucket.check_with_and_without(Check::LaidOver), Check::LaidOver, &hint, &junk);
    bucket.store.lay_over(&hint, &zero.note(565));
    assert_at_risk(&bucket.check(), Check::LaidOver, &hint, &junk);
}

/// Row 8: an older version of the hint knows more than is left.
#[test]
fn any_version_of_a_checkpoint_speaks_for_the_tail() {
    let (zero, bucket) = archive();
    for key in [zero.segment_key(2), zero.trees_key(2), zero.key(&Place::Checkpoint(565))] {
        assert!(bucket.store.remove(&key));
    }
    bucket.store.lay_over(&zero.key(&Place::Hint), &zero.note(305));
    let report = bucket.check();
    assert_eq!(report.verdict, Verdict::Broken);
    assert!(has(&report, Check::Tail, &zero.key(&Place::Checkpoint(565))), "{report}");
}
