//! Every write of both commit orders is lost once, and once done but reported lost. Whatever happens, each event is
//! sealed once, in order, and the archive is whole.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use runtime::{Failure, Stop};
use stream::Log;

use crate::harness::archive::{ids, own_acts};
use crate::harness::rig::{ORIGIN, Rig};
use crate::harness::{verified, wait_for};

const EVENTS: u64 = 35;
const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn expected() -> Vec<String> {
    (0..EVENTS).map(|n| format!("e-{n}")).collect()
}

/// A rig with its chain begun and its events waiting.
fn a_loaded_rig() -> Rig {
    loaded(Rig::new(1))
}

/// The same, its archive in a store that locks.
fn a_loaded_rig_that_locks() -> Rig {
    let rig = Rig::new(1);
    let store = store::memory::Memory::locking(rig.clock.clone(), store::Mode::Compliance, YEAR);
    loaded(Rig { store, ..rig })
}

fn loaded(rig: Rig) -> Rig {
    rig.begin().unwrap();
    rig.append(0, 0..EVENTS);
    rig
}

const RIGS: [fn() -> Rig; 2] = [a_loaded_rig, a_loaded_rig_that_locks];

fn holds_everything_once(rig: &Rig, what: &str) {
    let chain = format!("{ORIGIN}/0");
    assert_eq!(ids(rig.store(), &chain), expected(), "{what}");
    verified(rig.store(), what);
    rig.run().unwrap();
    assert_eq!(ids(rig.store(), &chain), expected(), "{what}, after a restart");
    assert!(own_acts(rig.store(), &chain, "sealog.start") >= 1, "{what}: the start is on the record");
    verified(rig.store(), what);
}

/// Runs `case` for all numbers, some at a time: most of each is waiting.
fn for_each_write(writes: std::ops::Range<u64>, case: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(writes.start);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let write = next.fetch_add(1, Ordering::SeqCst);
                    if write >= writes.end {
                        return;
                    }
                    case(write);
                }
            });
        }
    });
}

#[test]
fn without_faults_everything_is_there_once() {
    for a_rig in RIGS {
        let rig = a_rig();
        rig.run().unwrap();
        holds_everything_once(&rig, "no fault");
    }
}

#[test]
fn each_write_to_the_stream_may_be_lost_or_lose_its_answer() {
    use stream::memory::Fault;
    let rig = a_loaded_rig();
    let before = rig.stream.writes();
    rig.run().unwrap();
    let writes = before..rig.stream.writes();
    assert!(writes.clone().count() >= 10, "commits of the chainer and positions of the archiver: {writes:?}");
    for fault in Fault::ALL {
        for_each_write(writes.clone(), |write| {
            let rig = a_loaded_rig();
            rig.stream.fail(write, fault);
            rig.run().unwrap();
            assert!(rig.stream.writes() > write, "the fault was met");
            holds_everything_once(&rig, &format!("stream write {write} {fault:?}"));
        });
    }
}

#[test]
fn each_write_to_the_archive_may_be_lost_or_lose_its_answer() {
    use store::memory::Fault;
    for a_rig in RIGS {
        let rig = a_rig();
        rig.run().unwrap();
        let writes = 0..rig.store.writes();
        assert!(writes.end >= 3 + 1 + 4 * 3, "key, notes, schema, and three a segment: {writes:?}");
        for fault in [Fault::Lost, Fault::AnswerLost] {
            for_each_write(writes.clone(), |write| {
                let rig = a_rig();
                rig.store.fail_write(write, fault);
                rig.run().unwrap();
                assert!(rig.store.writes() > write, "the fault was met");
                holds_everything_once(&rig, &format!("archive write {write} {fault:?}"));
            });
        }
    }
}

/// Lets an archiver do its first `writes` writes and then die. If `unheard`, it does not hear of the last of them.
fn archive_and_die_after(rig: &Rig, writes: u64, unheard: bool) {
    rig.store.end_writes_at(Some(writes));
    if unheard {
        rig.store.fail_write(writes - 1, store::memory::Fault::AnswerLost);
    }
    let (archiver, stop) = (rig.archiver(), Stop::new());
    stop.set();
    thread::scope(|scope| {
        let archiving = scope.spawn(|| archiver.run(&stop));
        let stands = || rig.store.writes() > writes || archiving.is_finished();
        wait_for("it stands at the next write, or there is none", 30, || stands().then_some(()));
        stop.abandon();
        let ended = archiving.join().unwrap();
        let is_done = rig.store.writes() == writes;
        assert!(is_done == ended.is_ok(), "{writes} of {}: {ended:?}", rig.store.writes());
        assert!(!matches!(ended, Err(Failure::Halt(_))), "{ended:?}");
    });
    rig.store.end_writes_at(None);
}

#[test]
fn an_archiver_may_die_after_each_of_its_writes_and_another_goes_on() {
    let archive = |rig: &Rig| {
        let stop = Stop::new();
        stop.set();
        rig.archiver().run(&stop).unwrap();
    };
    for a_rig in RIGS {
        let sealed = || {
            let (rig, stop) = (a_rig(), Stop::new());
            stop.set();
            rig.chainer().run(&stop).unwrap();
            rig
        };
        let rig = sealed();
        archive(&rig);
        let all = rig.store.writes();
        assert!(all >= 3 + 1 + 4 * 3, "key, notes, schema, and three a segment: {all}");
        for unheard in [false, true] {
            for_each_write(u64::from(unheard)..all + 1, |writes| {
                let rig = sealed();
                archive_and_die_after(&rig, writes, unheard);
                archive(&rig);
                let heard = if unheard { ", the last of them unheard" } else { "" };
                holds_everything_once(&rig, &format!("death after {writes} writes{heard}"));
            });
        }
    }
}

#[test]
fn a_genesis_that_was_lost_or_lost_its_answer_can_be_repeated() {
    use stream::memory::Fault;
    for fault in Fault::ALL {
        let rig = Rig::new(1);
        rig.stream.fail(0, fault);
        assert!(matches!(rig.begin(), Err(Failure::Retry(_) | Failure::Lost(_))), "{fault:?}");
        rig.begin().unwrap();
        rig.append(0, 0..EVENTS);
        rig.run().unwrap();
        holds_everything_once(&rig, &format!("genesis {fault:?}"));
    }
}

#[test]
fn the_opening_of_a_second_chain_is_recorded_whatever_write_is_lost() {
    let loaded = || {
        let rig = Rig::new(2);
        rig.begin().unwrap();
        rig.append(0, 0..2);
        rig.append(1, 0..2);
        rig
    };
    let holds = |rig: &Rig, what: &str| {
        // The opening may come after the chainer has ended: then the next start seals it.
        rig.run().unwrap();
        rig.run().unwrap();
        assert_eq!(ids(rig.store(), &format!("{ORIGIN}/1")), ["e-0", "e-1"], "{what}");
        assert!(own_acts(rig.store(), &rig.chain(), "sealog.chain_opened") >= 1, "{what}: no opening");
        verified(rig.store(), what);
    };
    let rig = loaded();
    let before = rig.stream.writes();
    rig.run().unwrap();
    let (archive_writes, stream_writes) = (0..rig.store.writes(), before..rig.stream.writes());
    holds(&rig, "no fault");
    assert_eq!(own_acts(rig.store(), &rig.chain(), "sealog.chain_opened"), 1, "once, if nothing fails");
    for fault in [store::memory::Fault::Lost, store::memory::Fault::AnswerLost] {
        for_each_write(archive_writes.clone(), |write| {
            let rig = loaded();
            rig.store.fail_write(write, fault);
            holds(&rig, &format!("archive write {write} {fault:?}"));
        });
    }
    for fault in stream::memory::Fault::ALL {
        for_each_write(stream_writes.clone(), |write| {
            let rig = loaded();
            rig.stream.fail(write, fault);
            holds(&rig, &format!("stream write {write} {fault:?}"));
        });
    }
}

#[test]
fn an_archiver_that_died_before_the_opening_was_recorded_records_it_when_it_comes_back() {
    let rig = Rig::new(2);
    rig.begin().unwrap();
    rig.run().unwrap();
    // As if it had died between checkpoints/0 and `checkpoint`.
    assert!(rig.store.remove(&format!("{ORIGIN}/1/checkpoint")));
    let last = || rig.stream.last(&stream::topics::events(0)).unwrap().last().map(|record| record.offset);
    let before = last();
    let stop = runtime::Stop::new();
    stop.set();
    rig.archiver().run(&stop).unwrap();
    assert!(last() > before, "the opening was appended");
    rig.run().unwrap();
    verified(rig.store(), "after the opening came late");
}
