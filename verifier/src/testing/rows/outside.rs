//! Rows 8 to 10 and 12: histories that are cut or rewritten as a whole, which only what lies outside can tell.

use schemas::Place;

use super::{Act, BEGAN, CHAIN_0, Case, chain_0};
use crate::testing::{ChainBuilder, events};
use crate::{Check, Verdict};

/// The last segment, its trees file and its note gone, and an older `checkpoint` put in place.
fn cut(zero: &mut ChainBuilder) {
    for key in [zero.segment_key(2), zero.trees_key(2), zero.key(&Place::Checkpoint(565))] {
        zero.objects.remove(&key);
    }
    zero.objects.insert(zero.key(&Place::Hint), zero.note(305));
}

/// With nothing left that says so, and with each thing that may be.
pub fn row_08_the_tail_cut_off() -> Vec<Case> {
    let whole = chain_0();
    let (note, hint) = (whole.key(&Place::Checkpoint(565)), whole.key(&Place::Hint));
    let newest = whole.note(565);
    let left = |what: &str, key: &str| {
        Case::after(what, |zero| {
            cut(zero);
            zero.objects.insert(key.to_owned(), newest.clone());
        })
    };
    let hidden = [whole.segment_key(2), whole.trees_key(2), note.clone()].map(Act::Hide);
    vec![
        Case::after("nothing is left that knows", cut),
        Case::after("a checkpoint was kept", cut).known(newest.clone()).broken(
            Check::Known,
            &note,
            (305, 564),
        ),
        left("`checkpoint` knows", &hint).broken(Check::Tail, &note, (305, 564)),
        left("its note is left", &note)
            .broken(Check::TreesMissing, &whole.trees_key(2), (305, 564))
            .and(&[Check::SegmentMissing]),
        left("an older version of `checkpoint` knows", &hint)
            .broken(Check::HintOrder, &hint, (305, 564))
            .and(&[Check::Tail])
            .in_bucket([Act::LayOver(hint.clone(), whole.note(305))]),
        Case::of("only hidden", &whole).known(newest.clone()).at_risk(Check::Hidden, &note).in_bucket(hidden),
    ]
}

/// Segments of so many events each, the first of them with this number.
fn anew(first: u64, segments: &[u64], seed: u8) -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, seed);
    chain.clock = BEGAN;
    let mut next = first;
    for count in segments {
        chain.seal(events(next..next + count));
        next += count;
    }
    chain
}

/// Each is whole in itself.
pub fn row_09_history_sealed_anew_against_a_kept_checkpoint() -> Vec<Case> {
    let kept = chain_0().note(300);
    let key = chain_0().key(&Place::Checkpoint(300));
    let against = |what: &str, chain: ChainBuilder| {
        Case::new(what, chain.objects).known(kept.clone()).broken(Check::Known, &key, (299, 299))
    };
    vec![
        against("with the same cuts", anew(5_000, &[300, 5], 7)),
        against("without a checkpoint of that size", anew(5_000, &[565], 7)),
        against("with another key", anew(0, &[300], 8)),
    ]
}

/// `checkpoint` may be far behind, and may not go back.
pub fn row_10_versions_of_checkpoint_going_back() -> Vec<Case> {
    let zero = chain_0();
    let hint = zero.key(&Place::Hint);
    let written = |what: &str, sizes: &[u64]| {
        let acts = sizes.iter().map(|size| Act::LayOver(hint.clone(), zero.note(*size)));
        Case::after(what, |zero| drop(zero.objects.remove(&hint))).in_bucket(acts)
    };
    vec![
        written("far behind", &[0, 300, 300]),
        written("back", &[0, 300, 0, 565]).broken(Check::HintOrder, &hint, (0, 299)),
        written("back as the last", &[565, 305]).broken(Check::HintOrder, &hint, (305, 564)),
    ]
}

/// The same with what can tell it.
pub fn row_12_the_whole_chain_rewritten_and_nothing_to_compare() -> Vec<Case> {
    let rewritten = || anew(5_000, &[300, 5], 7);
    let whole = chain_0();
    let mut anchored =
        Case::new("as it was sealed, with key and kept checkpoint", anew(0, &[300], 7).objects)
            .pinned(whole.vkey())
            .known(anew(0, &[300], 7).note(300));
    anchored.verdict = Verdict::Intact;
    vec![
        Case::new("rewritten", rewritten().objects),
        Case::new("rewritten under the pinned key", rewritten().objects).pinned(whole.vkey()),
        anchored,
    ]
}
