//! What an archiver makes of a signed Checkpoint that somebody else put into the archive. Every reader of audit.sealed
//! has it, and it must not stand for a segment that is not there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use archiver::GROUP;
use runtime::{Clock, Failure, ManualClock, Stop};
use schemas::{Hash, Micros, Place, Trees};
use store::memory::Memory;
use store::{Keep, Listing, Mode, Object, Page, Retention, Store, Tag, Version};
use stream::{Log, topics};

use crate::jammed::{archive_into, is_hint, newest_of_all};
use crate::{WatchedRig, a_rig, archive, archived, halts, position, seal, set_position};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A chain of which some is archived and three cuts more are only sealed.
pub struct Ahead {
    pub rig: WatchedRig,
    /// What is due next, in the order in which it is written.
    pub due: Vec<(String, Vec<u8>)>,
    /// All that the archive must hold in the end, `checkpoint` apart.
    pub whole: BTreeMap<String, Vec<u8>>,
}

impl Ahead {
    pub fn new(forgets_its_position: bool) -> Ahead {
        let mut rig = a_rig(Arc::new(ManualClock::at(Micros(1_795_262_400_000_000))));
        rig.store = Memory::locking(rig.clock.clone(), Mode::Compliance, YEAR);
        rig.append(0, 0..15);
        rig.run().unwrap();
        let before = rig.store.clone();
        rig.append(0, 15..40);
        seal(&rig);
        let committed = position(&rig, GROUP, &topics::sealed(0)).unwrap();
        let elsewhere = Memory::locking(rig.clock.clone(), Mode::Compliance, YEAR);
        archive_into(&rig, &elsewhere, false).unwrap();
        set_position(&rig, GROUP, &topics::sealed(0), committed);
        if forgets_its_position {
            rig.stream.forget_positions();
        }
        let whole = without_hint(&elsewhere);
        let held = without_hint(&before);
        let mut due: Vec<_> = whole.clone().into_iter().filter(|(key, _)| !held.contains_key(key)).collect();
        let order =
            |key: &str| elsewhere.get(key, None, None, 1 << 30).unwrap().version.0[1..].parse::<u64>();
        due.sort_by_key(|(key, _)| order(key).unwrap());
        assert_eq!(due.len(), 3 * 3, "segment, trees and note: {:?}", due.iter().map(|(key, _)| key));
        Ahead { rig, due, whole }
    }

    pub fn put(&self, what: impl IntoIterator<Item = usize>) {
        for nth in what {
            let (key, bytes) = &self.due[nth];
            self.rig.store.lay_over(key, bytes);
        }
    }

    /// Trees with the right hashes and a digest that fits nothing there.
    fn put_false_trees(&self, nth: usize, change: impl FnOnce(&mut Trees)) {
        let (key, bytes) = &self.due[nth];
        let mut trees = Trees::parse(bytes).unwrap();
        change(&mut trees);
        self.rig.store.lay_over(key, &trees.to_bytes());
    }

    pub fn is_whole(&self) -> bool {
        without_hint(&self.rig.store) == self.whole
    }
}

fn without_hint(store: &Memory) -> BTreeMap<String, Vec<u8>> {
    newest_of_all(store).into_iter().filter(|(key, _)| !is_hint(key)).collect()
}

#[test]
fn a_note_alone_does_not_stand_for_what_it_signs() {
    for forgets in [false, true] {
        for notes in [vec![2], vec![5], vec![8], vec![2, 5, 8]] {
            let ahead = Ahead::new(forgets);
            ahead.put(notes.clone());
            archive(&ahead.rig).unwrap_or_else(|why| panic!("{notes:?}: {why}"));
            assert!(ahead.is_whole(), "{notes:?}");
        }
    }
}

#[test]
fn trees_that_name_no_segment_of_the_chain_do_not_stand_for_one() {
    for forgets in [false, true] {
        let earlier = |ahead: &Ahead, trees: &mut Trees| {
            let is_trees = |(key, _): &(&String, &Vec<u8>)| key.contains("/trees/");
            let first = Trees::parse(ahead.whole.iter().find(is_trees).unwrap().1).unwrap();
            (trees.segment_key, trees.segment_sha256) = (first.segment_key, first.segment_sha256);
        };
        let nothing = |_: &Ahead, trees: &mut Trees| trees.segment_sha256 = Hash([1; 32]);
        for change in [&earlier as &dyn Fn(&Ahead, &mut Trees), &nothing] {
            // The first cut is made up, behind it one stands as it ought to.
            let ahead = Ahead::new(forgets);
            ahead.put_false_trees(1, |trees| change(&ahead, trees));
            ahead.put(2..6);
            halts(archive(&ahead.rig), &ahead.due[1].0);
            archive_into(&ahead.rig, &ahead.rig.store, true).unwrap();
            assert!(ahead.is_whole());
        }
    }
}

#[test]
fn junk_in_the_place_of_a_segment_is_not_covered_up_by_its_trees_and_note() {
    for forgets in [false, true] {
        let ahead = Ahead::new(forgets);
        ahead.rig.store.lay_over(&ahead.due[0].0, b"junk");
        halts(archive(&ahead.rig), "holds other bytes");
        ahead.put_false_trees(1, |trees| trees.segment_sha256 = Hash::of(&[b"junk"]));
        ahead.put([2]);
        halts(archive(&ahead.rig), &ahead.due[0].0);
        archive_into(&ahead.rig, &ahead.rig.store, true).unwrap();
        assert!(ahead.is_whole());
    }
}

#[test]
fn what_is_locked_too_short_is_not_trusted_after_a_restart() {
    for forgets in [false, true] {
        for short in 0..3 {
            let ahead = Ahead::new(forgets);
            ahead.put(0..short);
            ahead.rig.store.lock_with(Some(Retention { mode: Mode::Compliance, period: YEAR / 2 }));
            ahead.put([short]);
            ahead.rig.store.lock_with(ahead.rig.store.retention());
            ahead.put(short + 1..3);
            for _ in 0..2 {
                halts(
                    archive(&ahead.rig),
                    &format!("{} is there already, but it is locked until", ahead.due[short].0),
                );
            }
            // As if it had been extended.
            ahead.put([short]);
            archive(&ahead.rig).unwrap();
            assert!(ahead.is_whole());
        }
    }
}

#[test]
fn a_first_checkpoint_that_is_not_locked_is_not_trusted_after_a_restart() {
    let ahead = Ahead::new(true);
    let store = Memory::locking(ahead.rig.clock.clone(), Mode::Compliance, YEAR);
    let begun =
        |key: &&String| key.contains("/keys/") || matches!(place(&ahead.rig, key), Place::Checkpoint(0));
    let (key, note): (Vec<_>, Vec<_>) =
        ahead.whole.keys().filter(begun).partition(|key| key.contains("/keys/"));
    store.lay_over(key[0], &ahead.whole[key[0]]);
    store.lock_with(None);
    store.lay_over(note[0], &ahead.whole[note[0]]);
    store.lock_with(store.retention());
    (0..2).for_each(|_| halts(archive_into(&ahead.rig, &store, false), "not locked"));
}

pub fn place(rig: &WatchedRig, key: &str) -> Place {
    Place::parse(key.strip_prefix(&format!("{}/", rig.chain())).unwrap()).unwrap()
}

#[test]
fn what_stands_as_it_ought_to_is_gone_on_from_whoever_put_it() {
    for forgets in [false, true] {
        for cuts in 0..=3 {
            let ahead = Ahead::new(forgets);
            ahead.put(0..3 * cuts);
            let writes = ahead.rig.store.writes();
            archive(&ahead.rig).unwrap();
            assert!(ahead.is_whole());
            // What stands is not put again. The schema is with every archiver's first segment, the hint may be new.
            let due = 3 * (3 - cuts) as u64;
            assert!(ahead.rig.store.writes() - writes <= due + 3, "{cuts} stood");
        }
    }
}

#[test]
fn segments_that_were_given_up_are_not_missed() {
    for forgets in [false, true] {
        let rig = a_rig(Arc::new(runtime::SystemClock));
        rig.append(0, 0..35);
        rig.run().unwrap();
        if forgets {
            rig.stream.forget_positions();
            let last = rig.stream.last(&topics::sealed(0)).unwrap().last().unwrap().offset;
            rig.stream.trim(&topics::sealed(0), last).unwrap();
        }
        let given_up = newest_of_all(&rig.store).into_keys().filter(|key| key.contains("/segments/"));
        given_up.for_each(|key| assert!(rig.store.remove(&key)));
        rig.append(0, 35..50);
        rig.run().unwrap();
        assert_eq!(archived(&rig), rig.size());
        assert!(newest_of_all(&rig.store).into_keys().filter(|key| key.contains("/segments/")).count() <= 3);
    }
}

/// An archive that counts what it is asked, and in which something happens before each write.
struct Asked {
    memory: Memory,
    requests: AtomicU64,
    before_write: Box<dyn Fn() + Send + Sync>,
}

impl Asked {
    fn over(memory: &Memory, before_write: impl Fn() + Send + Sync + 'static) -> Arc<Asked> {
        let before_write = Box::new(before_write);
        Arc::new(Asked { memory: memory.clone(), requests: AtomicU64::new(0), before_write })
    }

    fn count(&self) -> &Memory {
        self.requests.fetch_add(1, SeqCst);
        &self.memory
    }
}

impl Store for Asked {
    fn put_new(&self, key: &str, body: &[u8], keep: Keep) -> store::Result<Version> {
        (self.before_write)();
        self.count().put_new(key, body, keep)
    }

    fn replace_if(
        &self,
        key: &str,
        expected: Option<&Tag>,
        body: &[u8],
        keep: Keep,
    ) -> store::Result<Version> {
        (self.before_write)();
        self.count().replace_if(key, expected, body, keep)
    }

    fn get(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> store::Result<Object> {
        self.count().get(key, version, range, max_bytes)
    }

    fn retention(&self) -> Option<Retention> {
        self.memory.retention()
    }

    fn list(&self, prefix: &str, after: &str, listing: Listing) -> store::Result<Page> {
        self.count().list(prefix, after, listing)
    }
}

/// Archives what is sealed through `store`.
fn archive_through(rig: &WatchedRig, store: &Arc<Asked>, lay_over: bool) -> Result<(), Failure> {
    let stop = Stop::new();
    stop.set();
    let mut archiver = rig.archiver();
    (archiver.store, archiver.lay_over) = (store.clone(), lay_over);
    archiver.run(&stop)
}

#[test]
fn a_start_asks_little_of_an_archive_however_much_it_holds() {
    let rig = a_rig(Arc::new(runtime::SystemClock));
    for (forgets, few) in [(false, 8), (true, 70)] {
        if forgets {
            rig.stream.forget_positions();
        }
        for more in [100, 200] {
            rig.append(0, more * 10..more * 20);
            rig.run().unwrap();
            let asked = Asked::over(&rig.store, || ());
            archive_through(&rig, &asked, false).unwrap();
            let requests = asked.requests.load(SeqCst);
            assert!(requests <= few, "{requests}, after {more} more, its position forgotten: {forgets}");
        }
    }
}

#[test]
fn a_clock_that_is_set_right_during_a_write_is_no_short_lock() {
    let clock = Arc::new(ManualClock::at(Micros(1_795_262_400_000_000)));
    for lay_over in [false, true] {
        let rig = a_rig(clock.clone());
        rig.append(0, 0..15);
        seal(&rig);
        let store = Memory::locking(rig.clock.clone(), Mode::Compliance, YEAR);
        let set_back = clock.clone();
        let asked = Asked::over(&store, move || set_back.jump(-3_600_000_000));
        if lay_over {
            let schema = Ahead::new(false).whole.into_keys().find(|key| key.contains("/schemas/")).unwrap();
            store.lay_over(&schema, b"junk");
        }
        archive_through(&rig, &asked, lay_over).unwrap();
        assert!(clock.wall() < Micros(1_795_262_400_000_000));
    }
}
