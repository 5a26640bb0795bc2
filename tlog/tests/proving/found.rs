//! Events are found by their ids, in an index that can be lost, and that follows what is archived.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use schemas::Seq;
use tlog::{Chain, Error, Found, Index, IndexError};
use verifier::testing::{ChainBuilder, event, events, store_objects};

use crate::site::{Counting, ORIGIN, archive, cut_at, event_of, open, segment_key};

fn at(origin: &str, seq: u64) -> Found {
    Found { origin: origin.to_owned(), seq: Seq(seq) }
}

#[test]
fn an_event_is_found_by_its_id_and_only_new_segments_are_read_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = cut_at(&[300, 700]);
    let memory = archive(&chain);
    let counting = Counting::over(&memory);
    let opened = [Chain::open(Arc::new(counting.clone()), ORIGIN).unwrap()];
    let index = Index::open(folder.path(), "here").unwrap();
    assert_eq!(index.find(&opened, "e-5").unwrap(), [], "nothing is indexed yet");
    let built = index.update(&opened[0]).unwrap();
    assert_eq!((built.segments, built.events), (2, 700));
    for seq in [0, 5, 299, 300, 699] {
        assert_eq!(index.find(&opened, &format!("e-{seq}")).unwrap(), [at(ORIGIN, seq)]);
    }
    assert_eq!(index.find(&opened, "e-700").unwrap(), []);
    drop(index);

    chain.seal(events(700..900));
    for (key, bytes) in &chain.objects {
        memory.lay_over(key, bytes);
    }
    let index = Index::open(folder.path(), "here").unwrap();
    opened[0].look_again().unwrap();
    let built = index.update(&opened[0]).unwrap();
    assert_eq!((built.segments, built.events), (1, 200));
    assert_eq!(index.find(&opened, "e-899").unwrap(), [at(ORIGIN, 899)]);
    assert_eq!(index.find(&opened, "e-5").unwrap(), [at(ORIGIN, 5)]);
    counting.take();
    assert_eq!(index.update(&opened[0]).unwrap().events, 0);
    assert_eq!(counting.take(), (0, 0, 0), "nothing is read where nothing is new");
}

#[test]
fn two_events_with_one_id_are_both_found_in_whatever_chain() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = cut_at(&[10]);
    chain.seal([event(3), event_of("of its own", 10)]);
    let mut second = ChainBuilder::begin("acme.example/audit/1", 7);
    second.seal([event_of("first", 5), event(3)]);
    let memory = archive(&chain);
    store_objects(&second.objects, &memory).unwrap();
    let chains =
        [ORIGIN, "acme.example/audit/1"].map(|origin| Chain::open(Arc::new(memory.clone()), origin).unwrap());
    let index = Index::open(folder.path(), "here").unwrap();
    assert_eq!(chains.each_ref().map(|chain| index.update(chain).unwrap().events), [12, 2]);
    let found = index.find(&chains, "e-3").unwrap();
    assert_eq!(found, [at(ORIGIN, 3), at(ORIGIN, 10), at("acme.example/audit/1", 1)]);
    assert_eq!(index.find(&chains, "of its own").unwrap(), [at(ORIGIN, 11)]);
}

#[test]
fn an_index_that_is_damaged_or_lost_is_made_anew() {
    let chain = cut_at(&[300]);
    let opened = [open(&archive(&chain))];
    let folder = tempfile::tempdir().unwrap();
    let file = || -> PathBuf {
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).next().unwrap()
    };
    let found = || {
        let index = Index::open(folder.path(), "here").unwrap();
        index.update(&opened[0]).unwrap();
        index.find(&opened, "e-7").unwrap()
    };
    assert_eq!(found(), [at(ORIGIN, 7)]);
    for junk in [b"no index at all".to_vec(), vec![0; 100_000], Vec::new()] {
        fs::write(file(), junk).unwrap();
        assert_eq!(found(), [at(ORIGIN, 7)]);
    }
    fs::remove_file(file()).unwrap();
    assert_eq!(found(), [at(ORIGIN, 7)]);
}

#[test]
fn an_archive_that_took_the_place_of_another_is_indexed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), "here").unwrap();
    let find = |chain: &ChainBuilder, id: &str| {
        let opened = [open(&archive(chain))];
        index.update(&opened[0]).unwrap();
        index.find(&opened, id).unwrap()
    };
    assert_eq!(find(&cut_at(&[300]), "e-7"), [at(ORIGIN, 7)]);
    // Another key.
    let mut other = ChainBuilder::begin(ORIGIN, 9);
    other.seal(events(100..500));
    assert_eq!(find(&other, "e-7"), []);
    assert_eq!(find(&other, "e-107"), [at(ORIGIN, 7)]);
    // The same key, and other events, more of them.
    let mut other = ChainBuilder::begin(ORIGIN, 9);
    other.seal(events(1_000..1_500)).seal(events(1_500..1_600));
    assert_eq!(find(&other, "e-1007"), [at(ORIGIN, 7)]);
    assert_eq!(find(&other, "e-107"), []);
}

#[test]
fn an_event_is_not_missed_because_somebody_laid_another_segment_over_its_own() {
    let chain = cut_at(&[300, 700]);
    let mut without = cut_at(&[300, 700]);
    let mut records = without.records_of(1).to_vec();
    records[5].event = event(9_000);
    without.lay_segment(1, &records);
    let memory = archive(&chain);
    for key in [segment_key(&chain, 400), chain.trees_key(1)] {
        memory.lay_over(&key, &without.objects[&key]);
    }
    let (folder, opened) = (tempfile::tempdir().unwrap(), [open(&memory)]);
    let index = Index::open(folder.path(), "here").unwrap();
    assert_eq!(index.update(&opened[0]).unwrap().events, 700);
    assert_eq!(index.find(&opened, "e-305").unwrap(), [at(ORIGIN, 305)]);
    assert_eq!(index.find(&opened, "e-9000").unwrap(), []);

    // Where the right one is gone, that is said, and nothing is found to be missing.
    let memory = archive(&without);
    let (folder, opened) = (tempfile::tempdir().unwrap(), [open(&memory)]);
    let index = Index::open(folder.path(), "here").unwrap();
    let refused = index.update(&opened[0]).unwrap_err();
    assert!(
        matches!(&refused, IndexError::Archive(Error::Misfit { key, .. }) if *key == segment_key(&chain, 400))
    );
}

#[test]
fn an_index_is_open_once_and_a_folder_that_cannot_be_made_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let _held = Index::open(folder.path(), "here").unwrap();
    assert!(matches!(Index::open(folder.path(), "here"), Err(IndexError::InUse(_))));
    Index::open(folder.path(), "there").unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Index::open(&file.join("x"), "here"), Err(IndexError::File { .. })));
}
