//! Notes of which nothing is known, buried or not to be read, beside others that somebody put early: what is not in the
//! archive does not count as archived because of them, and junk that nobody can read stops nobody.

use std::sync::Arc;

use archiver::GROUP;
use archiver::repair::plan;
use runtime::{Failure, Stop};
use schemas::{Layout, Place};
use store::Kind;
use store::memory::Withholding;
use stream::{Log, topics};

use crate::crowded::{bury, says_what_to_do};
use crate::jammed::{archive_into, newest};
use crate::planted::{Ahead, place};
use crate::repairing::{an_archive, first_cut, repair};
use crate::{archive, halts, position};

impl Ahead {
    /// The note of what an archiver has committed.
    fn base(&self) -> String {
        let held =
            |key: &&String| key.contains("/checkpoints/") && !self.due.iter().any(|(due, _)| due == *key);
        self.whole.keys().rfind(held).unwrap().clone()
    }

    /// A name in checkpoints/ that was never signed, shortly before the end of that cut.
    fn never_signed(&self, cut: usize) -> String {
        let Place::Checkpoint(size) = place(&self.rig, &self.due[3 * cut + 2].0) else { panic!("no note") };
        Layout::of(&self.rig.chain()).key(&Place::Checkpoint(size - 1))
    }

    /// Lays what nobody can read where nobody signed anything.
    fn put_unreadable(&self) -> Vec<String> {
        let names: Vec<_> = (0..3).map(|cut| self.never_signed(cut)).collect();
        assert!(names.iter().all(|name| !self.whole.contains_key(name)));
        names.iter().for_each(|name| drop(self.rig.store.lay_over_unreadable(name)));
        names
    }

    fn committed(&self) -> Option<u64> {
        position(&self.rig, GROUP, &topics::sealed(0))
    }

    /// The log lets go of what lies before the middle of the first cut that is due, and of the archiver's position.
    fn begin_log_within_a_cut(&self) {
        let committed = self.committed().unwrap();
        self.rig.stream.trim(&topics::sealed(0), committed + 3).unwrap();
        self.rig.stream.forget_positions();
    }
}

#[test]
fn a_note_that_was_put_early_is_not_trusted_where_the_one_before_it_is_buried() {
    for notes in [vec![2], vec![5], vec![2, 5, 8]] {
        let ahead = Ahead::new(false);
        let (base, committed) = (ahead.base(), ahead.committed());
        bury(&ahead.rig.store, &base, &ahead.whole[&base]);
        ahead.put(notes.clone());
        for _ in 0..2 {
            says_what_to_do(archive(&ahead.rig), &base);
            assert_eq!(ahead.committed(), committed, "the trimmer lets go of nothing more");
        }
        archive_into(&ahead.rig, &ahead.rig.store, true).unwrap_or_else(|why| panic!("{notes:?}: {why}"));
        assert!(ahead.is_whole(), "{notes:?}");
        archive(&ahead.rig).unwrap();
    }
}

#[test]
fn nor_where_it_cannot_be_read_or_is_gone() {
    for is_there in [true, false] {
        let ahead = Ahead::new(false);
        let base = ahead.base();
        assert!(ahead.rig.store.remove(&base));
        ahead.put([2]);
        if is_there {
            ahead.rig.store.lay_over_unreadable(&base);
            halts(archive(&ahead.rig), &base);
            halts(archive(&ahead.rig), "sealog archiver --lay-over-junk");
        }
        archive_into(&ahead.rig, &ahead.rig.store, is_there).unwrap();
        assert!(ahead.is_whole());
    }
}

#[test]
fn nor_where_all_of_the_notes_before_it_are_buried() {
    let ahead = Ahead::new(false);
    let before: Vec<_> = ahead.whole.keys().filter(|key| key.contains("/checkpoints/")).collect();
    let before = before.into_iter().filter(|key| !ahead.due.iter().any(|(due, _)| due == *key));
    before.for_each(|key| bury(&ahead.rig.store, key, &ahead.whole[key]));
    ahead.put([2]);
    says_what_to_do(archive(&ahead.rig), &ahead.base());
    archive_into(&ahead.rig, &ahead.rig.store, true).unwrap();
    assert!(ahead.is_whole());
}

#[test]
fn what_nobody_can_read_at_a_name_that_was_never_signed_stops_no_start() {
    for forgets in [false, true] {
        for put in [vec![], vec![2], vec![2, 5, 8], (0..6).collect(), (0..9).collect()] {
            let ahead = Ahead::new(forgets);
            ahead.put(put.clone());
            let junk = ahead.put_unreadable();
            let writes = ahead.rig.store.writes();
            archive(&ahead.rig).unwrap_or_else(|why| panic!("{put:?}: {why}"));
            if put.len() == 9 {
                assert!(ahead.rig.store.writes() - writes <= 3, "what stands is not put again");
            }
            assert!(junk.iter().all(|name| ahead.rig.store.remove(name)), "it stays to be seen");
            assert!(ahead.is_whole(), "{put:?}");
        }
    }
}

#[test]
fn where_the_log_begins_within_a_cut_such_a_name_stops_a_start_only_if_the_cut_is_not_whole() {
    let ahead = Ahead::new(false);
    ahead.put(0..9);
    ahead.put_unreadable();
    ahead.begin_log_within_a_cut();
    archive(&ahead.rig).unwrap();

    let ahead = Ahead::new(false);
    ahead.put([2]);
    ahead.put_unreadable();
    ahead.begin_log_within_a_cut();
    halts(archive(&ahead.rig), &ahead.never_signed(0));
    assert_eq!(ahead.committed(), None);
}

#[test]
fn a_note_that_the_store_does_not_answer_for_is_not_passed_over() {
    let ahead = Ahead::new(false);
    ahead.put([2]);
    ahead.put_unreadable();
    let words = ahead.never_signed(0);
    let away = Withholding { inner: ahead.rig.store.clone(), words, kind: Kind::Away };
    let mut archiver = ahead.rig.archiver();
    archiver.store = Arc::new(away);
    let stop = Stop::new();
    stop.set();
    stop.abandon();
    let waits = |result: Result<(), Failure>| {
        let Err(Failure::Retry(why)) = result else { panic!("it goes on: {result:?}") };
        assert!(why.contains("no answer"), "{why}");
    };
    waits(archiver.run(&stop));
    let segment = ahead.due[0].0.clone();
    (0..2).for_each(|_| drop(ahead.rig.store.lay_over(&segment, b"junk")));
    ahead.put(3..9);
    waits(plan(&*archiver.store, &ahead.rig.chain()).map(drop));
}

#[test]
fn a_repair_passes_over_a_note_that_nobody_can_read_and_says_so() {
    let (rig, contents) = an_archive();
    let (trees_key, trees, segment_key) = first_cut(&rig, &contents);
    let never_signed = Layout::of(&rig.chain()).key(&Place::Checkpoint(trees.size - 1));
    rig.store.lay_over_unreadable(&never_signed);
    [&segment_key, &trees_key].into_iter().for_each(|key| drop(rig.store.lay_over(key, b"junk")));
    let found = plan(rig.store(), &rig.chain()).unwrap();
    let [lost] = found.lost.as_slice() else { panic!("{:?}", found.lost) };
    assert_eq!(lost.key, never_signed);
    for part in ["its bytes are not to be had", "passed over as one that nobody signed"] {
        assert!(lost.why.contains(part), "{lost:?}");
    }
    let mut done = repair(&rig);
    done.sort();
    assert_eq!(done, [segment_key.clone(), trees_key.clone()]);
    for key in [&segment_key, &trees_key] {
        assert!(newest(&rig.store, key) == contents[key], "{key}");
    }
}

#[test]
fn what_leans_on_a_note_that_nobody_can_read_is_left_open() {
    let (rig, contents) = an_archive();
    let (trees_key, trees, segment_key) = first_cut(&rig, &contents);
    let note = Layout::of(&rig.chain()).key(&Place::Checkpoint(trees.size));
    assert!(rig.store.remove(&note));
    (0..2).for_each(|_| drop(rig.store.lay_over_unreadable(&note)));
    [&segment_key, &trees_key].into_iter().for_each(|key| drop(rig.store.lay_over(key, b"junk")));
    let found = plan(rig.store(), &rig.chain()).unwrap();
    let mut lost: Vec<_> = found.lost.iter().map(|lost| lost.key.as_str()).collect();
    lost.sort_unstable();
    assert_eq!(lost, [&note, &segment_key, &trees_key]);
    assert!(found.lost.iter().all(|lost| lost.why.contains("not to be had")), "{:?}", found.lost);
    assert!(found.steps.is_empty(), "{:?}", found.steps);
}
