//! A chain goes on from its archive, or onto another source, only where that makes no second history. In memory; the
//! command is tried on a broker in `kafka_road/recovery.rs`.

use std::time::Duration;

use chainer::{Guard, Plan, Recovering};
use runtime::{Failure, Stop};
use schemas::{Checkpoint, Hash, Layout, Micros, Place, Seq};
use store::{Listing, Notes};
use stream::{Groups, Log, topics};

use crate::harness::archive::{ids, own_acts};
use crate::harness::rig::{ORIGIN, Rig, signing};
use crate::harness::{verified, wait_for};

/// Plans and carries out. None: there was nothing to do.
fn recover(rig: &Rig, without_guard: bool, new_source: bool) -> Result<Option<Plan>, Failure> {
    let signing = signing();
    let recovering = Recovering {
        stream: &*rig.stream,
        archive: rig.store(),
        signing: &signing,
        clock: &*rig.clock,
        origin: ORIGIN,
        without_guard,
        new_source,
    };
    let Some(plan) = recovering.plan(0, Guard::of(rig.guards.path(), 0))? else { return Ok(None) };
    let mut member = rig.stream.join(&chainer::role(ORIGIN))?;
    let mut claim = member.poll(Duration::from_secs(1))?.expect("the lane is free");
    recovering.carry_out(&mut *claim, &plan)?;
    Ok(Some(plan))
}

/// A chain of 25 events in its archive.
fn archived() -> Rig {
    let rig = Rig::new(1);
    rig.begin().unwrap();
    rig.append(0, 0..25);
    rig.run().unwrap();
    rig
}

/// The same archive and guard, with topics that are empty.
fn without_its_log(rig: Rig) -> Rig {
    Rig { store: rig.store.clone(), guards: rig.guards, ..Rig::new(1) }
}

fn refused(result: Result<Option<Plan>, Failure>, because: &str) {
    let Err(Failure::Halt(why)) = result.map(|plan| plan.is_some()) else { panic!("it was recovered") };
    assert!(why.contains(because), "{why}");
}

#[test]
fn a_chain_goes_on_from_its_archive_once() {
    let rig = without_its_log(archived());
    assert!(recover(&rig, false, false).unwrap().is_some_and(|plan| plan.is_from_archive()));
    assert!(recover(&rig, false, false).unwrap().is_none(), "it has its Head");
    rig.append(0, 25..30);
    rig.run().unwrap();
    assert_eq!(ids(rig.store(), &rig.chain()).len(), 30);
    assert_eq!(own_acts(rig.store(), &rig.chain(), "sealog.recovered"), 1);
    verified(rig.store(), "after the recovery");
}

#[test]
fn a_chain_goes_on_from_an_archive_that_was_overlaid_and_hidden() {
    let rig = without_its_log(archived());
    for entry in rig.store().list("", "", Listing::Newest(1_000)).unwrap().entries {
        rig.store.lay_over(&entry.key, b"junk");
        rig.store.hide(&entry.key);
    }
    assert!(recover(&rig, false, false).unwrap().is_some_and(|plan| plan.is_from_archive()));
    rig.append(0, 25..30);
    rig.run().unwrap();
    assert_eq!(Notes::read(rig.store(), &rig.chain()).unwrap().newest.unwrap().size, rig.size());
    let plan = archiver::repair::plan(rig.store(), &rig.chain()).unwrap();
    archiver::repair::carry_out(rig.store(), &*rig.clock, &plan, |_| ()).unwrap();
    assert_eq!(ids(rig.store(), &rig.chain()).len(), 30);
    assert_eq!(own_acts(rig.store(), &rig.chain(), "sealog.recovered"), 1);
}

#[test]
fn a_guard_that_is_ahead_behind_of_another_origin_or_gone_is_told_apart() {
    let rig = without_its_log(archived());
    let guard = Guard::of(rig.guards.path(), 0);
    let newest = guard.load().unwrap().unwrap();
    let file = rig.guards.path().join("chain-0.guard");
    let is = |origin: &str, size: u64| {
        let _ = std::fs::remove_file(&file);
        guard.store(&Checkpoint { origin: origin.to_owned(), size, root: Hash([1; 32]) }).unwrap();
    };
    is(&rig.chain(), newest.size + 1);
    refused(recover(&rig, false, false), "two histories");
    refused(recover(&rig, true, false), "two histories");
    is(&rig.chain(), newest.size);
    refused(recover(&rig, false, false), "different roots");
    is("acme.example/other/0", newest.size);
    refused(recover(&rig, true, false), "acme.example/other/0");
    is(&rig.chain(), newest.size - 1);
    refused(recover(&rig, false, false), "not the newest");
    std::fs::remove_file(&file).unwrap();
    refused(recover(&rig, false, false), "is missing");
    recover(&rig, true, false).unwrap().unwrap();
    rig.run().unwrap();
    verified(rig.store(), "without a guard");
}

#[test]
fn a_segment_that_its_archiver_could_not_finish_is_a_signature_too() {
    let rig = without_its_log(archived());
    let guard = Guard::of(rig.guards.path(), 0).load().unwrap().unwrap();
    let next = Place::segment(Micros(1_795_262_400_000_000), Seq(guard.size));
    rig.store.lay_over(&Layout::of(&rig.chain()).key(&next), b"signed by its header");
    refused(recover(&rig, true, false), "more was signed than is archived");
    rig.store.hide(&Layout::of(&rig.chain()).key(&next));
    refused(recover(&rig, true, false), "more was signed than is archived");
}

#[test]
fn a_cut_that_was_not_signed_yet_is_signed_when_the_chain_goes_on_onto_another_source() {
    let rig = archived();
    let size = rig.size();
    rig.append(0, 25..45);
    let away = rig.guards.path().with_extension("away");
    std::fs::rename(rig.guards.path(), &away).unwrap();
    let (chainer, stop) = (rig.chainer(), Stop::new());
    stop.set();
    std::thread::scope(|scope| {
        let sealing = scope.spawn(|| chainer.run(&stop));
        wait_for("a segment is sealed and not signed", 10, || (rig.size() >= size + 10).then_some(()));
        stop.abandon();
        let _ = sealing.join();
    });
    std::fs::rename(&away, rig.guards.path()).unwrap();
    let head = chainer::last_head(&*rig.stream, &topics::sealed(0)).unwrap();
    assert!(head.cut && head.checkpoint.is_none(), "its Checkpoint is due: {head:?}");
    refused(recover(&rig, false, true), "sealed last from there");
    // The record before its position is gone, as where audit.events was made anew.
    rig.stream.trim(&topics::events(0), head.source_position).unwrap();
    recover(&rig, false, true).unwrap().unwrap();
    refused(recover(&rig, false, true), "no new source");
    rig.append(0, 45..50);
    rig.run().unwrap();
    let expected: Vec<String> = (0..50).map(|n| format!("e-{n}")).collect();
    assert_eq!(ids(rig.store(), &rig.chain()), expected);
    verified(rig.store(), "onto another source");
}
