//! Histories cut, forked and rewritten: what the report says of them beside the verdict, and what it keeps as proof.

use schemas::{Hash, Place};

use super::{assert_broken, both, chain_0, chain_1, check_zero, has, known, memory, now, options};
use crate::testing::{ChainBuilder, events};
use crate::{Check, Options, Report, Scope, Verdict, verify};

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
fn of_a_tail_that_was_cut_off_it_is_said_how_far_the_archive_speaks() {
    let (whole, cut) = (chain_0(), without_tail());
    let report = check_zero(&cut);
    assert_eq!(report.verdict, Verdict::Unanchored, "nothing is left that says so: {report}");
    assert_eq!(report.chains[0].size, Some(305));
    assert_eq!(report.chains[0].last_sealed_at.as_deref(), Some("2026-11-21T09:35:04.000000Z"));

    let report = against_known(&cut, &whole.note(565));
    assert_eq!(report.chains[0].known[0].extended, Some(false));
    let mut with_hint = without_tail();
    with_hint.objects.insert(whole.key(&Place::Hint), whole.note(565));
    let proof = check_zero(&with_hint).first.unwrap().proof;
    assert_eq!(proof, [String::from_utf8(whole.note(565)).unwrap()], "the note that convicts is kept");
}

/// Row 9, row 11.
#[test]
fn two_signed_roots_of_one_size_are_both_kept_as_proof() {
    let mut zero = chain_0();
    let note = String::from_utf8(zero.note(305)).unwrap();
    let other = zero.sign_as(305, Hash([1; 32]));
    zero.objects.insert(zero.key(&Place::Checkpoint(305)), other.clone().into_bytes());
    assert_eq!(check_zero(&zero).first.unwrap().proof, [other.clone(), note.clone()]);

    let mut zero = chain_0();
    zero.objects.insert(zero.key(&Place::Hint), other.clone().into_bytes());
    assert_eq!(check_zero(&zero).first.unwrap().proof, [other.clone(), note.clone()]);
    assert_eq!(against_known(&chain_0(), other.as_bytes()).first.unwrap().proof, [other, note]);
}

/// Row 11, of which the archive knows nothing.
#[test]
fn two_kept_checkpoints_of_one_size_with_different_roots_convict_whatever_the_archive_holds() {
    let zero = chain_0();
    let note = |root: u8| zero.sign_as(7, Hash([root; 32]));
    let check = |notes: &[String], scope: Scope| {
        let known = notes.iter().map(|note| known("kept.note", note.as_bytes())).collect();
        verify(&memory(&both(&zero, &chain_1())), &Options { known, scope, ..options() })
    };
    let quick = || Scope::Quick { sample: 0, seed: 1 };
    for scope in [Scope::Full, quick()] {
        let report = check(&[note(1), note(2), note(1)], scope);
        let split: Vec<_> = report.findings.iter().filter(|one| one.check == Check::SplitView).collect();
        assert_eq!((report.verdict, split.len()), (Verdict::Broken, 1), "{report}");
        assert_eq!(split[0].proof, [note(1), note(2)]);
        assert_eq!((split[0].first_seq, split[0].last_seq), (Some(6), Some(6)));
    }
    // What another key signed proves nothing against this one.
    let forged = ChainBuilder::begin(super::CHAIN_0, 9).sign_as(7, Hash([2; 32]));
    for notes in [vec![note(1), forged], vec![note(1), note(1)]] {
        let report = check(&notes, quick());
        assert!(report.findings.iter().all(|one| one.check != Check::SplitView), "{report}");
    }
}

/// Row 13.
#[test]
fn where_the_signed_tree_has_another_leaf_than_the_link_the_leaf_is_named() {
    let case = crate::testing::rows::row_13_chain_and_tree_disagree().remove(0);
    let report = super::check(&case.objects);
    let leaf = report.findings.iter().find(|finding| finding.check == Check::TreesTiles).unwrap();
    assert_eq!((leaf.first_seq, leaf.last_seq), (Some(302), Some(302)));
    let key = leaf.key.clone().unwrap();
    assert!(key.contains("/segments/") && has(&report, Check::Root, &key), "{report}");
}

/// Row 14.
#[test]
fn another_genesis_key_under_the_old_links_is_named_at_the_first_of_them() {
    let case = crate::testing::rows::row_14_the_chain_begins_anew().remove(1);
    let report = super::check(&case.objects);
    let genesis = report.findings.iter().find(|finding| finding.check == Check::Genesis).unwrap();
    assert_eq!((genesis.first_seq, genesis.last_seq), (Some(0), Some(0)), "{report}");
}

/// Row 15.
#[test]
fn what_is_behind_a_gap_or_a_fork_is_whole() {
    let mut zero = chain_0();
    zero.objects.remove(&zero.segment_key(1));
    assert_eq!(check_zero(&zero).findings.len(), 1);

    let (mut zero, mut fork) = (chain_0(), chain_0_again());
    fork.seal(events(900..905));
    for key in [zero.key(&Place::Checkpoint(305)), zero.trees_key(1), zero.segment_key(1)] {
        zero.objects.insert(key.clone(), fork.objects[&key].clone());
    }
    let report = check_zero(&zero);
    assert_broken(&report, Check::Prev, &zero.segment_key(2), (305, 305));
    let last = fork.records.last().unwrap().hash;
    assert_eq!(report.first.unwrap().expected, format!("prev {last}"));
}

/// The first segment of chain 0, made once more.
fn chain_0_again() -> ChainBuilder {
    let zero = chain_0();
    let mut again = ChainBuilder::begin(super::CHAIN_0, 7);
    again.seal(zero.records_of(0).iter().map(|record| record.event.clone()));
    again
}

/// Row 22.
#[test]
fn a_time_ahead_of_the_auditors_clock_is_said() {
    let mut ahead = chain_0();
    ahead.clock = now();
    let report = check_zero(ahead.seal(events(0..3)));
    assert_eq!(report.verdict, Verdict::Unanchored);
    assert_eq!(report.notices[0].kind, "ahead-of-clock");
}
