//! Archives that grow while a chain is open, and that somebody writes to meanwhile: what is kept of their names hides
//! nothing that comes later.

use std::sync::Arc;

use schemas::Seq;
use store::memory::Memory;
use tlog::{Chain, Error};
use verifier::testing::{ChainBuilder, events};

use crate::site::{Counting, ORIGIN, archive, cut_at, included, open, proved, trees_key};

/// Seals on to `size`, and archives what is new but for this key.
fn grow(chain: &mut ChainBuilder, memory: &Memory, size: u64, but: Option<&str>) {
    let before = chain.objects.clone();
    chain.seal(events(chain.records.len() as u64..size));
    let newer = chain.objects.iter().filter(|(key, _)| !before.contains_key(*key) && but != Some(*key));
    newer.for_each(|(key, bytes)| drop(memory.lay_over(key, bytes)));
}

#[test]
fn a_foreign_name_far_behind_the_end_hides_nothing_that_is_archived_later() {
    let mut chain = cut_at(&[200, 300]);
    let memory = archive(&chain);
    memory.lay_over(&trees_key(&chain, 1_000_000_000), b"nobody signed for this");
    let opened = open(&memory);
    proved(&opened, 250, 300, &chain.vkey());
    for size in [700, 1_100, 1_101] {
        let first = chain.records.len() as u64;
        grow(&mut chain, &memory, size, None);
        opened.look_again().unwrap();
        for seq in [0, 299, first, size - 1] {
            let covering = opened.first_covering(seq).unwrap();
            assert_eq!(chain.cuts.iter().find(|cut| seq < **cut), Some(&covering.checkpoint.size));
            proved(&opened, seq, covering.checkpoint.size, &chain.vkey());
            proved(&opened, seq, size, &chain.vkey());
        }
        let newest = opened.newest().unwrap();
        for index in 0..size.div_ceil(256) {
            let leaves = opened.tile(&newest, 0, index).unwrap();
            let records = chain.records.iter().skip(index as usize * 256).take(256);
            assert!(records.clone().map(|record| record.link.hash()).eq(leaves.iter().copied()), "{index}");
            let links = opened.links(&newest, index).unwrap();
            assert!(records.map(|record| record.link).eq(links), "links of tile {index} at {size}");
        }
    }
}

#[test]
fn the_right_version_is_found_when_it_is_laid_over_junk_that_was_listed_before() {
    let mut chain = cut_at(&[200]);
    let memory = archive(&chain);
    let opened = open(&memory);
    let spoilt = trees_key(&chain, 600);
    memory.lay_over(&spoilt, b"junk");
    grow(&mut chain, &memory, 600, Some(&spoilt));
    grow(&mut chain, &memory, 900, None);
    opened.look_again().unwrap();
    let at = opened.signed(900).unwrap();
    let refused = opened.prove(Seq(300), &at).unwrap_err();
    assert!(matches!(&refused, Error::Misfit { key, .. } if *key == spoilt), "{refused}");
    memory.lay_over(&spoilt, &chain.objects[&spoilt]);
    let held = included(opened.prove(Seq(300), &at).unwrap().as_bytes(), &chain.vkey());
    assert_eq!(held.event_bytes, chain.records[300].event);
}

#[test]
fn names_are_listed_once_for_many_proofs_and_once_more_where_nothing_fits() {
    let chain = cut_at(&[200, 600, 900]);
    let memory = archive(&chain);
    memory.lay_over(&trees_key(&chain, 1_000_000_000), b"nobody signed for this");
    let counting = Counting::over(&memory);
    let opened = Chain::open(Arc::new(counting.clone()), ORIGIN).unwrap();
    let newest = opened.newest_signed().unwrap();
    counting.take();
    for seq in (0..900).step_by(41) {
        opened.prove(Seq(seq), &newest).unwrap();
    }
    assert_eq!(counting.take().1, 1, "the names up to the end were kept");

    assert!(memory.damage(&trees_key(&chain, 600), |bytes| bytes.fill(0)));
    let opened = Chain::open(Arc::new(counting.clone()), ORIGIN).unwrap();
    for _ in 0..3 {
        counting.take();
        assert!(matches!(opened.prove(Seq(300), &newest), Err(Error::Misfit { .. })));
        let (gets, lists, _) = counting.take();
        assert!(gets <= 8 && lists <= 2, "{gets} gets and {lists} lists where nothing fits");
    }
}
