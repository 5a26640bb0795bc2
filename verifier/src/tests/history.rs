//! Histories cut, forked and rewritten: rows 8, 9, 11 to 15 and 22.

use schemas::{Hash, Micros, Place, Seq, Tree, first_prev};

use super::{CHAIN_0, assert_broken, both, chain_0, chain_1, check_zero, has, known, memory, now, options};
use crate::testing::{ChainBuilder, event, events};
use crate::{Check, Options, Report, Verdict, verify};

fn against_known(zero: &ChainBuilder, note: &[u8]) -> Report {
    let options = Options { known: vec![known("kept.note", note)], ..options() };
    verify(&memory(&both(zero, &chain_1())), &options)
}

/// The last segment, its trees file and its note gone, and the hint set back.
fn without_tail() -> ChainBuilder {
    let mut zero = chain_0();
    for place in [Place::Trees(565), Place::Checkpoint(565)] {
        zero.objects.remove(&zero.key(&place));
    }
    zero.objects.remove(&zero.segment_key(2));
    zero.objects.insert(zero.key(&Place::Hint), zero.note(305));
    zero
}

/// Row 8.
#[test]
fn a_tail_that_was_cut_off_is_found_by_whatever_signed_remains() {
    let (whole, cut) = (chain_0(), without_tail());
    let report = check_zero(&cut);
    assert_eq!(report.verdict, Verdict::Unanchored, "nothing is left that says so: {report}");
    assert_eq!(report.chains[0].size, Some(305), "but it says how far the archive speaks");
    assert_eq!(report.chains[0].last_sealed_at.as_deref(), Some("2026-11-21T09:35:04.000000Z"));

    let due = whole.key(&Place::Checkpoint(565));
    let report = against_known(&cut, &whole.note(565));
    assert_broken(&report, Check::Known, &due, (305, 564));
    assert_eq!(report.chains[0].known[0].extended, Some(false));

    let mut with_hint = without_tail();
    with_hint.objects.insert(whole.key(&Place::Hint), whole.note(565));
    let report = check_zero(&with_hint);
    assert_broken(&report, Check::Tail, &due, (305, 564));
    assert_eq!(report.first.unwrap().proof.len(), 1, "the note that convicts is kept");

    let mut with_note = without_tail();
    with_note.objects.insert(due, whole.note(565));
    let report = check_zero(&with_note);
    assert_eq!(report.verdict, Verdict::Broken);
    let missing = report.findings.iter().find(|finding| finding.check == Check::SegmentMissing).unwrap();
    assert_eq!((missing.first_seq, missing.last_seq), (Some(305), Some(564)));
}

/// Rows 9 and 12.
#[test]
fn a_history_sealed_anew_with_the_same_key_is_found_against_a_kept_checkpoint_alone() {
    let old = chain_0();
    let mut anew = ChainBuilder::begin(CHAIN_0, 7);
    anew.seal(events(5_000..5_300)).seal(events(300..305)).seal(events(305..565));
    assert_eq!(check_zero(&anew).verdict, Verdict::Unanchored, "row 12: nothing outside to compare");

    let report = against_known(&anew, &old.note(300));
    assert_broken(&report, Check::Known, &anew.key(&Place::Checkpoint(300)), (299, 299));
    assert_eq!(report.first.unwrap().proof.len(), 2, "row 11: both signed roots are kept as proof");
    // Of a size at which the new history has no checkpoint.
    let mut other_cuts = ChainBuilder::begin(CHAIN_0, 7);
    other_cuts.seal(events(5_000..5_565));
    assert_broken(
        &against_known(&other_cuts, &old.note(300)),
        Check::Known,
        &anew.key(&Place::Checkpoint(300)),
        (299, 299),
    );
    // Sealed anew with another key, which no pin and no kept key contradicts but the kept checkpoint's own.
    let mut rekeyed = ChainBuilder::begin(CHAIN_0, 8);
    rekeyed.seal(events(0..300));
    let report = against_known(&rekeyed, &old.note(300));
    assert_broken(&report, Check::Known, &anew.key(&Place::Checkpoint(300)), (299, 299));
}

/// Row 11.
#[test]
fn two_roots_of_one_size_are_kept_as_proof() {
    let mut zero = chain_0();
    let other = zero.sign_as(305, Hash([1; 32]));
    let (key, hint) = (zero.key(&Place::Checkpoint(305)), zero.key(&Place::Hint));
    let first = zero.note(305);
    zero.objects.insert(key, other.clone().into_bytes());
    let report = check_zero(&zero);
    assert_broken(&report, Check::SplitView, &zero.segment_key(1), (300, 304));
    let proof = report.first.unwrap().proof;
    assert_eq!(proof, [other.clone(), String::from_utf8(first).unwrap()]);

    let mut zero = chain_0();
    zero.objects.insert(hint.clone(), other.into_bytes());
    let report = check_zero(&zero);
    assert_broken(&report, Check::SplitView, &hint, (304, 304));
    assert_eq!(report.first.unwrap().proof.len(), 2);
}

/// Row 13.
#[test]
fn chain_and_tree_that_disagree_are_found() {
    // A right prev over a wrong leaf: the tree that is signed holds another leaf than the link's.
    let mut zero = chain_0();
    let mut tree = Tree::new();
    let leaves = zero.records.iter().take(305).map(|record| record.hash);
    leaves.enumerate().for_each(|(n, leaf)| tree.push(if n == 302 { Hash([9; 32]) } else { leaf }));
    zero.change_trees(1, |trees| trees.partial[0][302 - 256] = Hash([9; 32]));
    let note = zero.sign_as(305, tree.root()).into_bytes();
    zero.objects.insert(zero.key(&Place::Checkpoint(305)), note);
    let report = check_zero(&zero);
    assert_broken(&report, Check::SplitView, &zero.segment_key(1), (300, 304));
    let leaf = report.findings.iter().find(|finding| finding.check == Check::TreesTiles).unwrap();
    assert_eq!((leaf.key.as_deref(), leaf.first_seq), (Some(zero.segment_key(1).as_str()), Some(302)));
    assert!(has(&report, Check::Root, &zero.segment_key(1)));

    // A right root over a wrong prev.
    let mut zero = chain_0();
    let wrong = zero.record(event(1), |link| link.prev = Hash([9; 32]));
    zero.seal_records(vec![wrong]);
    assert_broken(&check_zero(&zero), Check::Prev, &zero.segment_key(3), (565, 565));
}

/// Row 14.
#[test]
fn a_chain_that_begins_anew_is_found() {
    let mut zero = chain_0();
    let prev = first_prev(CHAIN_0, &zero.vkey().to_string());
    let second_genesis = zero.record(event(1), |link| link.prev = prev);
    zero.seal_records(vec![second_genesis]);
    assert_broken(&check_zero(&zero), Check::Prev, &zero.segment_key(3), (565, 565));

    // Another genesis key under the old links.
    let (mut zero, other) = (chain_0(), ChainBuilder::begin(CHAIN_0, 8));
    let note = zero.key(&Place::Key(0));
    zero.objects.insert(note.clone(), other.objects[&note].clone());
    let report = check_zero(&zero);
    assert_eq!(report.verdict, Verdict::Broken);
    let genesis = report.findings.iter().find(|finding| finding.check == Check::Genesis).unwrap();
    assert_eq!((genesis.first_seq, genesis.key.clone()), (Some(0), Some(zero.segment_key(0))));

    // All of it begun anew under another key, against the pinned one.
    let mut anew = ChainBuilder::begin(CHAIN_0, 8);
    anew.seal(events(0..10));
    let pinned = Options { pinned: vec![zero.vkey()], ..options() };
    assert_broken(&verify(&memory(&anew.objects), &pinned), Check::KeyPinned, &note, (0, 9));
}

/// Row 15.
#[test]
fn a_gap_and_a_fork_are_found() {
    // Sealing went on five seqs too far.
    let mut zero = chain_0();
    zero.objects.remove(&zero.segment_key(1));
    let report = check_zero(&zero);
    assert_broken(&report, Check::SegmentMissing, &zero.segment_key(1), (300, 304));
    assert_eq!(report.findings.len(), 1, "what is behind the gap is whole: {report}");

    let mut jumped = chain_0();
    let beyond = jumped.record(event(1), |link| link.seq = Seq(570));
    jumped.seal_records(vec![beyond]);
    assert_eq!(check_zero(&jumped).verdict, Verdict::Broken);

    // Two chainers went on from seq 300; one's segment is followed by the other's.
    let (mut zero, mut fork) = (chain_0(), ChainBuilder::begin(CHAIN_0, 7));
    fork.seal(zero.records_of(0).iter().map(|record| record.event.clone())).seal(events(900..905));
    let (records, note) = (fork.records_of(1).to_vec(), Place::Checkpoint(305));
    zero.objects.insert(zero.key(&note), fork.note(305));
    zero.objects.insert(zero.trees_key(1), fork.objects[&fork.trees_key(1)].clone());
    zero.objects.insert(zero.segment_key(1), fork.objects[&fork.segment_key(1)].clone());
    let report = check_zero(&zero);
    assert_broken(&report, Check::Prev, &zero.segment_key(2), (305, 305));
    let first = report.first.unwrap();
    assert_eq!(first.expected, format!("prev {}", records[4].hash));
}

/// Row 22.
#[test]
fn a_time_that_goes_back_is_found_and_one_ahead_of_the_clock_is_said() {
    let mut zero = chain_0();
    let late = zero.record(event(1), |link| link.sealed_at = Micros(link.sealed_at.0 - 1_000_000));
    zero.seal_records(vec![late]);
    assert_broken(&check_zero(&zero), Check::SealedAt, &zero.segment_key(3), (565, 565));

    let mut zero = chain_0();
    let first = zero.record(event(1), |_| {});
    let mut second = zero.record(event(2), |link| link.seq = Seq(566));
    second.link.prev = first.hash;
    second.hash = second.link.hash();
    zero.seal_records(vec![first, second]);
    assert_broken(&check_zero(&zero), Check::SealedAt, &zero.segment_key(3), (566, 566));

    let mut ahead = chain_0();
    ahead.clock = now();
    let report = check_zero(ahead.seal(events(0..3)));
    assert_eq!(report.verdict, Verdict::Unanchored);
    assert_eq!(report.notices[0].kind, "ahead-of-clock");
}
