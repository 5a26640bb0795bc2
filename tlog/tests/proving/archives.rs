//! Each event of an archive is proved, at each Checkpoint that covers it, and at the cost of a few requests.

use std::sync::Arc;

use schemas::{Seq, Signing};
use tlog::{Chain, Checked, Error, check};
use verifier::testing::{ChainBuilder, events};

use crate::site::{Counting, ORIGIN, archive, cut_at, event_of, included, open, proved, segment_key};

#[test]
fn each_event_is_proved_at_each_checkpoint_that_covers_it() {
    for cuts in [&[1][..], &[255], &[256], &[257], &[1, 2, 3, 255, 256, 257, 600], &[300, 513, 1_030]] {
        let chain = cut_at(cuts);
        let (memory, key) = (archive(&chain), chain.vkey());
        let opened = open(&memory);
        for cut in cuts {
            for seq in (0..*cut).filter(|seq| seq % 37 == 0 || (seq + 2) % 256 < 4 || seq + 2 > *cut) {
                let held = proved(&opened, seq, *cut, &key);
                let record = &chain.records[seq as usize];
                assert_eq!((held.link, &held.event_bytes), (record.link, &record.event), "{seq} of {cut}");
                assert_eq!((held.checkpoint.size, held.checkpoint.origin.as_str()), (*cut, ORIGIN));
                let first = opened.first_covering(seq).unwrap();
                assert_eq!(Some(&first.checkpoint.size), cuts.iter().find(|cut| seq < **cut));
            }
            assert!(matches!(
                opened.prove(Seq(*cut), &opened.signed(*cut).unwrap()),
                Err(Error::NotThere(_))
            ));
        }
    }
}

#[test]
fn each_pair_of_checkpoints_is_consistent() {
    let cuts = [1, 2, 3, 255, 256, 257, 600, 1_030];
    let chain = cut_at(&cuts);
    let (memory, key) = (archive(&chain), [chain.vkey()]);
    let opened = open(&memory);
    for new in cuts {
        for old in [0].into_iter().chain(cuts).filter(|old| *old <= new) {
            let (from, to) = (opened.signed(old).unwrap(), opened.signed(new).unwrap());
            let proof = opened.prove_consistency(&from, &to).unwrap();
            let Ok(Checked::Consistency(held)) = check(proof.as_bytes(), &key) else { panic!("{proof}") };
            assert_eq!((held.old.size, held.new.size), (old, new));
            if old < new {
                assert!(matches!(opened.prove_consistency(&to, &from), Err(Error::NotThere(_))));
            }
        }
    }
}

#[test]
fn tiles_of_three_levels_are_found_in_the_files_that_completed_them() {
    let cuts: Vec<u64> = (1..=7).map(|nth| nth * 10_100).collect();
    let chain = cut_at(&cuts);
    let (memory, key) = (archive(&chain), chain.vkey());
    let opened = open(&memory);
    for seq in (0..70_700).step_by(1_777).chain([65_535, 65_536, 70_655, 70_656, 70_699]) {
        assert_eq!(proved(&opened, seq, 70_700, &key).event_bytes, chain.records[seq as usize].event);
    }
    for (index, first) in (0..70_700u64.div_ceil(256)).map(|index| (index, index as usize * 256)) {
        let links = opened.links(&opened.newest().unwrap(), index).unwrap();
        let records = &chain.records[first..(first + 256).min(70_700)];
        assert!(links.iter().eq(records.iter().map(|record| &record.link)), "bundle {index}");
    }
    let newest = opened.newest().unwrap();
    for (level, index) in [(0, 277), (1, 2), (2, 1), (3, 0), (200, 0)] {
        assert!(matches!(opened.tile(&newest, level, index), Err(Error::NotThere(_))), "{level} {index}");
    }
    assert_eq!(opened.tile(&newest, 2, 0).unwrap().len(), 1);

    let counting = Counting::over(&memory);
    let opened = Chain::open(Arc::new(counting.clone()), ORIGIN).unwrap();
    let newest = opened.newest_signed().unwrap();
    let (gets, lists, _) = counting.take();
    assert!(gets <= 4 && lists <= 2, "{gets} gets and {lists} lists to open a chain");
    opened.prove(Seq(30_000), &newest).unwrap();
    let (gets, lists, bytes) = counting.take();
    assert!(gets <= 9 && lists <= 1, "{gets} gets and {lists} lists for a proof");
    assert!(
        bytes < 400 << 10,
        "{bytes} bytes, of a segment of {}",
        chain.objects[&segment_key(&chain, 30_000)].len()
    );
}

#[test]
fn an_event_is_found_among_others_of_any_size() {
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    let sizes = [4_000_000, 10, 4_000_000, 700_000, 4_000_000, 4_000_000, 4_000_000, 700_000, 700_000, 40];
    let large = (0..sizes.len()).map(|nth| event_of(&format!("large-{nth}"), sizes[nth]));
    let small = (0..3_000).map(|nth| event_of(&format!("small-{nth}"), 20 + nth % 90));
    let later = (0..3).map(|nth| event_of(&format!("later-{nth}"), 900_000));
    let last = (0..600).map(|nth| event_of(&format!("last-{nth}"), 30));
    chain.seal(large.chain(small).chain(later).chain(last));
    let (memory, key) = (archive(&chain), chain.vkey());
    let counting = Counting::over(&memory);
    let opened = Chain::open(Arc::new(counting.clone()), ORIGIN).unwrap();
    let size = chain.records.len() as u64;
    let newest = opened.newest_signed().unwrap();
    for seq in (0..10).chain((10..size).step_by(131)).chain(3_008..3_015) {
        counting.take();
        let proof = opened.prove(Seq(seq), &newest).unwrap();
        let held = included(proof.as_bytes(), &key);
        assert_eq!(held.event_bytes, chain.records[seq as usize].event, "seq {seq}");
        let (gets, ..) = counting.take();
        assert!(gets <= 12, "seq {seq}: {gets} gets");
    }
}

#[test]
fn a_proof_after_a_change_of_keys_holds_under_the_key_of_its_checkpoint() {
    let mut chain = cut_at(&[10]);
    let old = chain.vkey();
    chain.rotate(8).seal(events(10..20));
    let (memory, new) = (archive(&chain), chain.vkey());
    let opened = open(&memory);
    assert_eq!(proved(&opened, 3, 10, &old).vkey, old);
    assert_eq!(proved(&opened, 3, 20, &new).vkey, new);
    let proof = opened.prove(Seq(3), &opened.signed(20).unwrap()).unwrap();
    assert!(check(proof.as_bytes(), std::slice::from_ref(&old)).is_err());
    assert!(check(proof.as_bytes(), &[old, new.clone()]).is_ok(), "as an auditor has both");
    let from_other_chain = Signing::from_seed(&[8; 32]).vkey("acme.example/audit/5");
    assert!(check(proof.as_bytes(), &[from_other_chain]).is_ok(), "one key serves all chains");
}

#[test]
fn an_archive_without_events_or_without_the_chain_says_so() {
    let chain = ChainBuilder::begin(ORIGIN, 7);
    let opened = open(&archive(&chain));
    assert!(matches!(opened.first_covering(0), Err(Error::NotThere(_))));
    assert!(matches!(opened.prove(Seq(0), &opened.signed(0).unwrap()), Err(Error::NotThere(_))));
    assert!(matches!(opened.signed(5), Err(Error::NotThere(_))));
    let other = Chain::open(Arc::new(archive(&chain)), "acme.example/audit/1").unwrap();
    assert!(matches!(other.newest_signed(), Err(Error::NotThere(_))));
}

#[test]
fn what_is_archived_later_is_seen_when_it_is_looked_at_again() {
    let mut chain = cut_at(&[300]);
    let memory = archive(&chain);
    let opened = open(&memory);
    proved(&opened, 299, 300, &chain.vkey());
    let before = chain.objects.clone();
    chain.seal(events(300..700));
    let newer = chain.objects.iter().filter(|(key, _)| !before.contains_key(*key));
    newer.for_each(|(key, bytes)| drop(memory.lay_over(key, bytes)));
    assert_eq!(opened.newest().unwrap().size, 300);
    opened.look_again().unwrap();
    assert_eq!(opened.newest().unwrap().size, 700);
    proved(&opened, 650, 700, &chain.vkey());
    proved(&opened, 10, 700, &chain.vkey());
}
