//! What a chain does when something is odd: a log that is shorter than what was signed, a source that is another, a clock
//! that jumps, records that are no events, a key of the archive that somebody else holds.

use std::sync::Arc;
use std::time::Duration;

use runtime::{Failure, ManualClock};
use schemas::framing::SCHEMA_HEADER;
use schemas::{Checkpoint, Layout, Micros, event_schema_hash};
use store::{Store, keys_after};
use stream::{Batch, Log, topics};

use crate::harness::archive::{events, ids, own_acts};
use crate::harness::rig::{Rig, append};
use crate::harness::{verified, wait_for};

const AN_HOUR_US: i64 = 3_600_000_000;
const NOON: Micros = Micros(1_795_262_400_000_000);

fn halts(result: Result<(), Failure>, with: &str) {
    let Err(Failure::Halt(why)) = result else { panic!("it goes on: {result:?}") };
    assert!(why.contains(with), "{why}");
}

fn a_rig_with(events: u64) -> Rig {
    let rig = Rig::new(1);
    rig.begin().unwrap();
    rig.append(0, 0..events);
    rig.run().unwrap();
    rig
}

#[test]
fn a_log_that_is_shorter_than_the_guard_or_the_archive_halts() {
    let (longer, mut shorter) = (a_rig_with(20), a_rig_with(5));
    let own_guards = std::mem::replace(&mut shorter.guards, tempfile::tempdir().unwrap());
    let name = "chain-0.guard";
    std::fs::copy(longer.guards.path().join(name), shorter.guards.path().join(name)).unwrap();
    halts(shorter.run(), "the guard knows size");
    shorter.guards = own_guards;
    shorter.store = longer.store.clone();
    halts(shorter.chainer().run(&runtime::Stop::new()), "the archive knows size");
    verified(longer.store(), "the longer one is whole");
}

#[test]
fn a_log_that_is_gone_is_not_begun_anew() {
    let rig = a_rig_with(3);
    let mut empty = Rig::new(1);
    empty.guards = rig.guards;
    let Err(Failure::Halt(why)) = empty.begin() else { panic!("begun") };
    assert!(why.contains("guard"), "{why}");
    empty.guards = tempfile::tempdir().unwrap();
    empty.store = rig.store;
    let Err(Failure::Halt(why)) = empty.begin() else { panic!("begun") };
    assert!(why.contains("archive"), "{why}");
    halts(empty.run(), "is empty");
}

#[test]
fn another_key_than_the_one_in_force_halts() {
    let rig = a_rig_with(3);
    let mut chainer = rig.chainer();
    chainer.signing = schemas::Signing::from_seed(&[9; 32]);
    halts(chainer.run(&runtime::Stop::new()), "the configured key");
}

#[test]
fn a_source_that_is_another_one_halts() {
    use stream::embedded::{Embedded, Options};
    let clock: Arc<dyn runtime::Clock> = Arc::new(runtime::SystemClock);
    let open = |folder: &std::path::Path| {
        let lanes = [topics::EVENTS, topics::REJECTED, topics::SEALED].map(|topic| (topic, 1));
        Arc::new(Embedded::open(folder, Options::new(&lanes, clock.clone())).unwrap())
    };
    let rig = Rig::new(1);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for (folder, first) in folders.iter().zip([0, 100]) {
        let log = open(folder.path());
        append(&*log, "e", 0, first..first + 7, NOON);
    }
    let log = open(folders[0].path());
    chainer::write_genesis(
        &*log,
        &rig.store,
        rig.guards.path(),
        "acme.example/audit",
        1,
        &crate::harness::rig::signing(),
    )
    .unwrap();
    let run = |log: Arc<Embedded>| {
        let (mut chainer, stop) = (rig.chainer(), runtime::Stop::new());
        chainer.stream = log;
        stop.set();
        chainer.run(&stop)
    };
    run(log.clone()).unwrap();
    drop(log);
    let lane = format!("{}-0", topics::EVENTS);
    std::fs::remove_dir_all(folders[0].path().join(&lane)).unwrap();
    std::fs::rename(folders[1].path().join(&lane), folders[0].path().join(&lane)).unwrap();
    halts(run(open(folders[0].path())), "another one than before");
}

#[test]
fn nothing_is_sealed_while_the_wall_clock_is_not_believed() {
    let clock = Arc::new(ManualClock::at(NOON));
    let mut rig = Rig::with_clock(1, clock.clone());
    rig.policy.max_events = 1;
    rig.begin().unwrap();
    let last_head = || {
        let last = rig.stream.last(&topics::sealed(0)).unwrap();
        schemas::Head::parse(last.last().unwrap().value.unwrap()).unwrap()
    };
    let is_idle = |size: u64| {
        let head = last_head();
        let signed = head.checkpoint.as_ref().map(|note| Checkpoint::parse(note.as_bytes()).unwrap().0.size);
        head.size() == size && signed == Some(size)
    };
    let refused = |is: bool| ((rig.metric("sealog_chainer_clock_refused") > 0.0) == is).then_some(());
    rig.run_while(|| {
        rig.append(0, 0..1);
        // Nothing is left to cut or to sign: whatever would be sealed now is an event.
        wait_for("all is cut and signed", 10, || is_idle(2).then_some(()));
        for _ in 0..3 {
            // A heartbeat is due at the false time, while the chainer waits for events.
            clock.jump(2 * AN_HOUR_US);
            wait_for("the jump is seen", 10, || refused(true));
            clock.jump(-2 * AN_HOUR_US);
            wait_for("the clock is believed when it is right again", 10, || refused(false));
        }
        clock.jump(2 * AN_HOUR_US);
        wait_for("the last jump is seen", 10, || refused(true));
        rig.append(0, 1..2);
        clock.jump(-2 * AN_HOUR_US);
        wait_for("it goes on when the clock is right again", 10, || (rig.size() >= 3).then_some(()));
    })
    .unwrap();
    assert!(last_head().last_sealed_at.0 < NOON.0 + AN_HOUR_US, "nothing was sealed at the false time");
    assert_eq!(own_acts(rig.store(), &rig.chain(), "sealog.heartbeat"), 0);
    assert_eq!(ids(rig.store(), &rig.chain()), ["e-0", "e-1"]);
    verified(rig.store(), "after a jump");
}

#[test]
fn a_segment_holds_one_day_and_an_idle_chain_says_that_it_is_alive() {
    let clock = Arc::new(ManualClock::at(Micros(NOON.0 + 11 * AN_HOUR_US)));
    let rig = Rig::with_clock(1, clock.clone());
    rig.begin().unwrap();
    rig.append(0, 0..3);
    rig.run_while(|| {
        wait_for("the first events are sealed", 10, || (rig.size() >= 4).then_some(()));
        for hours in 1..=2 {
            clock.pass(Duration::from_secs(3_601));
            wait_for("a heartbeat", 10, || (rig.size() >= 4 + hours).then_some(()));
        }
        rig.append(0, 3..5);
        wait_for("the next day's events are sealed", 10, || (rig.size() >= 8).then_some(()));
    })
    .unwrap();
    assert_eq!(own_acts(rig.store(), &rig.chain(), "sealog.heartbeat"), 2);
    let segments = keys_after(rig.store(), &Layout::of(&rig.chain()).segments(), "").unwrap();
    assert!(segments.iter().any(|key| key.contains("date=2026-11-21")), "{segments:?}");
    assert!(segments.iter().any(|key| key.contains("date=2026-11-22")), "{segments:?}");
    verified(rig.store(), "over midnight");
}

#[test]
fn a_record_that_is_no_event_is_sealed_as_a_rejection_and_an_unknown_schema_halts() {
    let rig = Rig::new(1);
    rig.begin().unwrap();
    rig.append(0, 0..2);
    let put = |schema: &[u8], value: &[u8]| {
        let mut batch = Batch::new();
        let lane = batch.lane(&topics::events(0));
        batch.push(lane, None, &[(SCHEMA_HEADER, schema)], value);
        rig.stream.append(&batch).unwrap();
    };
    put(event_schema_hash().bytes(), b"no event at all");
    rig.append(0, 2..4);
    rig.run().unwrap();
    assert_eq!(ids(rig.store(), &rig.chain()), ["e-0", "e-1", "e-2", "e-3"]);
    let rejected: Vec<_> = events(rig.store(), &rig.chain())
        .into_iter()
        .filter(|event| event["action"] == "sealog.rejected")
        .collect();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0]["original"]["bytes"], "no event at all");
    assert!(
        rejected[0]["reason"].as_str().is_some_and(|reason| reason.contains("AuditEvent")),
        "{}",
        rejected[0]
    );
    verified(rig.store(), "with a rejection");
    put(&[9; 32], b"an event of a later version");
    halts(rig.run(), "upgrade this stage");
}

#[test]
fn a_lane_that_is_taken_away_is_gone_on_with_when_it_comes_back() {
    let rig = Rig::new(1);
    rig.begin().unwrap();
    rig.run_while(|| {
        for round in 0..10 {
            rig.append(0, round * 7..(round + 1) * 7);
            rig.stream.revoke(&topics::events(0));
            rig.stream.revoke(&topics::sealed(0));
        }
        wait_for("all are sealed", 30, || (rig.size() >= 71).then_some(()));
    })
    .unwrap();
    let expected: Vec<String> = (0..70).map(|n| format!("e-{n}")).collect();
    assert_eq!(ids(rig.store(), &rig.chain()), expected);
    verified(rig.store(), "after ten revocations");
}

#[test]
fn while_the_archive_is_away_the_archiver_waits_and_loses_nothing() {
    let rig = Rig::new(1);
    rig.begin().unwrap();
    rig.run_while(|| {
        wait_for("the archive is begun", 10, || (rig.store.writes() >= 3).then_some(()));
        rig.store.set_away(true);
        rig.append(0, 0..25);
        wait_for("all are sealed meanwhile", 10, || (rig.size() >= 26).then_some(()));
        rig.store.set_away(false);
    })
    .unwrap();
    assert_eq!(ids(rig.store(), &rig.chain()).len(), 25);
    verified(rig.store(), "after an absence");
}

#[test]
fn a_segment_that_is_there_already_is_adopted_if_it_holds_the_same_links_and_else_halts() {
    let made = a_rig_with(9);
    let key = keys_after(made.store(), &Layout::of(&made.chain()).segments(), "").unwrap().remove(0);
    let bytes = made.store.get(&key, None, None, 1 << 20).unwrap().bytes;
    for (there, fits) in [(bytes.clone(), true), (b"junk".to_vec(), false)] {
        let again = Rig { store: store::memory::Memory::new(made.clock.clone()), ..a_rig_like(&made) };
        again.store.lay_over(&key, &there);
        let archiver = again.archiver();
        let stop = runtime::Stop::new();
        stop.set();
        let result = archiver.run(&stop);
        if fits {
            result.unwrap();
            verified(again.store(), "an adopted segment");
        } else {
            halts(result, "holds other bytes than this chain gives");
            assert_eq!(
                again.store.get(&key, None, None, 1 << 20).unwrap().bytes,
                b"junk",
                "nothing was laid over it"
            );
        }
    }
}

/// The same stream and clock, for an archiver of its own.
fn a_rig_like(rig: &Rig) -> Rig {
    Rig { stream: rig.stream.clone(), ..Rig::with_clock(1, rig.clock.clone()) }
}

#[test]
fn without_its_guard_on_disk_nothing_is_signed_and_nothing_is_lost() {
    let rig = a_rig_with(5);
    let checkpoints = || keys_after(rig.store(), &Layout::of(&rig.chain()).checkpoints(), "").unwrap();
    let (signed, size) = (checkpoints(), rig.size());
    rig.append(0, 5..30);
    let moved = rig.guards.path().with_extension("away");
    std::fs::rename(rig.guards.path(), &moved).unwrap();
    let (chainer, stop) = (rig.chainer(), runtime::Stop::new());
    stop.set();
    let ended = std::thread::scope(|scope| {
        let sealing = scope.spawn(|| chainer.run(&stop));
        wait_for("a segment is sealed", 10, || (rig.size() >= size + 10).then_some(()));
        stop.abandon();
        sealing.join().unwrap()
    });
    assert!(matches!(ended, Err(Failure::Retry(_))), "it says that it is done: {ended:?}");
    let stop = runtime::Stop::new();
    stop.set();
    rig.archiver().run(&stop).unwrap();
    assert_eq!(checkpoints(), signed, "nothing was signed");
    std::fs::rename(&moved, rig.guards.path()).unwrap();
    rig.run().unwrap();
    assert_eq!(ids(rig.store(), &rig.chain()).len(), 30);
    verified(rig.store(), "after the guard came back");
}

#[test]
fn a_chainer_under_load_hands_over_as_soon_as_it_is_asked_to() {
    let rig = Rig::new(1);
    rig.begin().unwrap();
    let (stop, quiet) = (runtime::Stop::new(), runtime::Stop::new());
    let chainer = chainer::Chainer { ending: runtime::Ending::HandOver, ..rig.chainer() };
    std::thread::scope(|scope| {
        let sealing = scope.spawn(|| chainer.run(&stop));
        scope.spawn(|| {
            for n in 0.. {
                rig.append(0, n..n + 1);
                if quiet.wait(Duration::from_millis(1)) {
                    return;
                }
            }
        });
        wait_for("it seals", 10, || (rig.size() >= 50).then_some(()));
        stop.set();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for("it ends while events go on coming", 5, || sealing.is_finished().then_some(()));
        }));
        quiet.set();
        stop.abandon();
        assert_eq!(sealing.join().unwrap(), Ok(()));
        ended.unwrap();
    });
    rig.run().unwrap();
    verified(rig.store(), "after it was handed over");
}
