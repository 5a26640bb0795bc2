//! Rows 11 and 13 to 15 and 22: what only who holds the key can do, and what does not fit all the same.

use schemas::{Hash, Micros, Place, Seq, Tree, first_prev};

use super::{Act, BEGAN, CHAIN_0, CHAIN_1, Case, chain_0};
use crate::Check;
use crate::testing::{ChainBuilder, event, events};

/// In two objects, and in two versions of one.
pub fn row_11_two_roots_of_one_size() -> Vec<Case> {
    let zero = chain_0();
    let other = zero.sign_as(305, Hash([1; 32])).into_bytes();
    let (note, hint) = (zero.key(&Place::Checkpoint(305)), zero.key(&Place::Hint));
    let put = |what: &str, key: &str| {
        Case::after(what, |zero| drop(zero.objects.insert(key.to_owned(), other.clone())))
    };
    vec![
        put("in its note, and in the segment's header", &note)
            .broken(Check::SplitView, &zero.segment_key(1), (300, 304))
            .and(&[Check::Root]),
        put("in `checkpoint`", &hint).broken(Check::SplitView, &hint, (304, 304)),
        Case::of("laid over its note", &zero)
            .broken(Check::SplitView, &note, (300, 304))
            .and(&[Check::LaidOver, Check::Root])
            .in_bucket([Act::LayOver(note.clone(), other.clone())]),
    ]
}

/// One right, the other wrong.
pub fn row_13_chain_and_tree_disagree() -> Vec<Case> {
    // The tree that is signed holds another leaf than the link's.
    let wrong_leaf = |zero: &mut ChainBuilder| {
        let mut tree = Tree::new();
        let leaves = zero.records.iter().take(305).map(|record| record.hash);
        leaves.enumerate().for_each(|(n, leaf)| tree.push(if n == 302 { Hash([9; 32]) } else { leaf }));
        zero.change_trees(1, |trees| trees.partial[0][302 - 256] = Hash([9; 32]));
        let note = zero.sign_as(305, tree.root()).into_bytes();
        zero.objects.insert(zero.key(&Place::Checkpoint(305)), note);
    };
    let wrong_prev = |zero: &mut ChainBuilder| {
        let wrong = zero.record(event(1), |link| link.prev = Hash([9; 32]));
        zero.seal_records(vec![wrong]);
    };
    // Every link and every tile is right.
    let wrong_root = |zero: &mut ChainBuilder| {
        zero.seal_under_root(events(565..570), Hash([9; 32]));
        zero.objects.insert(zero.key(&Place::Hint), zero.note(305));
    };
    let key = behind_the_last();
    vec![
        Case::after("a right prev over a wrong leaf", wrong_leaf)
            .broken(Check::SplitView, &chain_0().segment_key(1), (300, 304))
            .and(&[Check::TreesTiles, Check::Root]),
        Case::after("a right root over a wrong prev", wrong_prev).broken(Check::Prev, &key, (565, 565)),
        Case::after("another root is signed than that of the links", wrong_root).broken(
            Check::Root,
            &key,
            (565, 569),
        ),
    ]
}

/// The key of a segment behind the last one.
pub(super) fn behind_the_last() -> String {
    let zero = chain_0();
    zero.key(&Place::segment(zero.clock, Seq(565)))
}

/// By a second genesis, by another key, or by another prev of the first link.
pub fn row_14_the_chain_begins_anew() -> Vec<Case> {
    let zero = chain_0();
    let second_genesis = Case::after("a second genesis", |zero| {
        let prev = first_prev(CHAIN_0, &zero.vkey().to_string());
        let second = zero.record(event(1), |link| link.prev = prev);
        zero.seal_records(vec![second]);
    });
    let note = zero.key(&Place::Key(0));
    let other = ChainBuilder::begin(CHAIN_0, 8).objects.remove(&note).unwrap_or_default();
    let mut other_prev = ChainBuilder::begin(CHAIN_0, 7);
    let prev = first_prev(CHAIN_1, &other_prev.vkey().renamed(CHAIN_1).to_string());
    let first = other_prev.record(event(1), |link| link.prev = prev);
    other_prev.seal_records(vec![first]);
    let mut anew = ChainBuilder::begin(CHAIN_0, 8);
    anew.clock = BEGAN;
    anew.seal(events(0..10));
    vec![
        second_genesis.broken(Check::Prev, &behind_the_last(), (565, 565)),
        Case::after("another genesis key under the old links", |zero| {
            drop(zero.objects.insert(note.clone(), other))
        })
        .broken(Check::CheckpointNote, &zero.key(&Place::Checkpoint(300)), (0, 299))
        .and(&[Check::Genesis, Check::SegmentHeader, Check::Hint]),
        Case::new("the first link begins another chain", other_prev.objects.clone()).broken(
            Check::Genesis,
            &other_prev.segment_key(0),
            (0, 0),
        ),
        Case::new("all of it under another key than the pinned one", anew.objects)
            .pinned(zero.vkey())
            .broken(Check::KeyPinned, &note, (0, 9)),
    ]
}

/// After a failover.
pub fn row_15_a_gap_or_a_fork() -> Vec<Case> {
    let zero = chain_0();
    let jumped = Case::after("seqs that were never given", |zero| {
        let beyond = zero.record(event(1), |link| link.seq = Seq(570));
        zero.seal_records(vec![beyond]);
    });
    // Two chainers went on from seq 300; the segment of one is followed by that of the other.
    let mut fork = ChainBuilder::begin(CHAIN_0, 7);
    fork.clock = BEGAN;
    fork.seal(zero.records_of(0).iter().map(|record| record.event.clone())).seal(events(900..905));
    let forked = Case::after("a fork", |zero| {
        let keys = [zero.key(&Place::Checkpoint(305)), zero.trees_key(1), zero.segment_key(1)];
        keys.into_iter().for_each(|key| drop(zero.objects.insert(key.clone(), fork.objects[&key].clone())));
    });
    vec![
        Case::after("a segment is gone", |zero| drop(zero.objects.remove(&zero.segment_key(1)))).broken(
            Check::SegmentMissing,
            &zero.segment_key(1),
            (300, 304),
        ),
        jumped.by_any_check(),
        forked.broken(Check::Prev, &zero.segment_key(2), (305, 305)),
    ]
}

/// The auditor's clock is a warning, the store's a witness.
pub fn row_22_sealed_at_goes_back_or_is_ahead() -> Vec<Case> {
    let back = Case::after("from one segment to the next", |zero| {
        let late = zero.record(event(1), |link| link.sealed_at = Micros(link.sealed_at.0 - 1_000_000));
        zero.seal_records(vec![late]);
    });
    let stands = Case::after("inside a segment it stands still", |zero| {
        let first = zero.record(event(1), |_| {});
        let mut second = zero.record(event(2), |link| link.seq = Seq(566));
        second.link.prev = first.hash;
        second.hash = second.link.hash();
        zero.seal_records(vec![first, second]);
    });
    // Nobody runs this after the year 2200.
    let ahead = |what: &str| {
        Case::after(what, |zero| {
            zero.clock = Micros(7_258_118_400_000_000);
            zero.seal(events(565..570));
        })
    };
    let mut far = chain_0();
    far.clock = Micros(7_258_118_400_000_000);
    let (far, key) = (far.seal(events(565..570)), behind_the_last());
    vec![
        back.broken(Check::SealedAt, &key, (565, 565)),
        stands.broken(Check::SealedAt, &key, (566, 566)),
        ahead("ahead of the auditor's clock"),
        ahead("ahead of when the store says that it was written")
            .broken(Check::SealedAhead, &far.segment_key(3), (569, 569))
            .in_bucket([]),
    ]
}
