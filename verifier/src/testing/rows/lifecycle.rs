//! Rows 30 to 32 and 34: an archive that grows, ages, is hardly there or is another place.

use schemas::Place;

use super::{BEGAN, CHAIN_0, Case, both, chain_0, chain_1};
use crate::Check;
use crate::testing::{ChainBuilder, Objects, events};

/// A crash's leftovers, or an archive that is written meanwhile.
pub fn row_30_beyond_the_newest_note() -> Vec<Case> {
    let (note, hint) = (chain_0().key(&Place::Checkpoint(565)), chain_0().key(&Place::Hint));
    let without_note = |zero: &mut ChainBuilder, behind: u64| {
        zero.objects.remove(&note);
        zero.objects.insert(hint.clone(), zero.note(behind));
    };
    vec![
        Case::after("a segment and its trees file", |zero| without_note(zero, 305)),
        Case::after("the same, with `checkpoint` far behind", |zero| without_note(zero, 0)),
        Case::after("a segment without its trees file", |zero| {
            without_note(zero, 300);
            zero.objects.remove(&zero.trees_key(2));
        }),
    ]
}

/// After their retention.
pub fn row_31_old_segments_gone() -> Vec<Case> {
    let zero = chain_0();
    let first = zero.segment_key(0);
    // What no segment is left to say: that chain 1 was opened. It is there.
    let without = |what: &str, gone: usize, damage: fn(&mut ChainBuilder)| {
        Case::after(what, |zero| {
            (0..gone).for_each(|nth| drop(zero.objects.remove(&zero.segment_key(nth))));
            damage(zero);
        })
    };
    vec![
        without("their trees remain", 2, |_| ()).known(zero.note(300)),
        without("and their trees", 1, |zero| drop(zero.objects.remove(&zero.trees_key(0))))
            .broken(Check::TreesMissing, &zero.trees_key(0), (0, 299))
            .and(&[Check::SegmentMissing]),
        without("their trees say something else", 1, |zero| {
            zero.change_trees(0, |trees| trees.completed[0].hashes[3].0[0] ^= 1);
        })
        .broken(Check::SegmentMissing, &first, (0, 299)),
        without("no event is left", 3, |_| ()).broken(Check::SegmentMissing, &first, (0, 299)),
    ]
}

/// It is named by its opening, by a key or by a kept checkpoint.
pub fn row_32_a_whole_chain_gone() -> Vec<Case> {
    let (zero, one) = (chain_0(), chain_1());
    let without_zero = |what: &str| Case::new(what, one.objects.clone());
    vec![
        Case::new("whose opening is recorded", zero.objects.clone()).broken(
            Check::ChainMissing,
            &zero.segment_key(0),
            (299, 299),
        ),
        without_zero("nothing names it"),
        without_zero("that a key names").pinned(zero.vkey()).broken(Check::ChainMissing, "", None),
        without_zero("that a kept checkpoint names").known(zero.note(300)).broken(
            Check::ChainMissing,
            "",
            None,
        ),
    ]
}

/// Nothing is said of what is not there.
pub fn row_34_an_empty_place_keys_alone_or_the_wrong_folder() -> Vec<Case> {
    let mut genesis = ChainBuilder::begin(CHAIN_0, 7);
    genesis.clock = BEGAN;
    let mut keys_alone = genesis.objects.clone();
    keys_alone.remove(&genesis.key(&Place::Checkpoint(0)));
    keys_alone.remove(&genesis.key(&Place::Hint));
    let whole = both(&chain_0(), &chain_1());
    let moved = |what: &str, rename: &dyn Fn(&str) -> String| {
        let objects: Objects = whole.iter().map(|(key, bytes)| (rename(key), bytes.clone())).collect();
        Case::new(what, objects).inconclusive(Check::ArchiveRoot)
    };
    let zero_note = genesis.key(&Place::Checkpoint(0));
    let mut headless = ChainBuilder::begin(CHAIN_0, 7);
    headless.clock = BEGAN;
    headless.seal(events(0..10)).objects.remove(&zero_note);
    vec![
        Case::new("empty", Objects::new()).inconclusive(Check::Empty),
        Case::new("keys alone", keys_alone.clone()).inconclusive(Check::NoCheckpoint),
        Case::new("keys alone, of which one is pinned", keys_alone)
            .pinned(genesis.vkey())
            .inconclusive(Check::NoCheckpoint),
        Case::new("checkpoint 0 alone", genesis.objects),
        Case::new("events, and no checkpoint 0", headless.objects).broken(
            Check::CheckpointMissing,
            &zero_note,
            None,
        ),
        moved("a folder above the root", &|key| format!("archive/{key}")),
        moved("a folder below the root", &|key| key.replacen("acme.example/", "", 1)),
    ]
}
