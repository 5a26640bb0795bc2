//! Where an archiver that begins anew starts to read.

use std::sync::Arc;

use archiver::GROUP;
use runtime::SystemClock;
use stream::{Log, topics};

use crate::{WatchedRig, a_rig, archive, archived, halts, position, seal, set_position};

/// A chain of which the first part is archived and the rest is only sealed.
fn a_rig_that_is_half_archived() -> WatchedRig {
    let rig = a_rig(Arc::new(SystemClock));
    rig.append(0, 0..20);
    rig.run().unwrap();
    rig.append(0, 20..35);
    seal(&rig);
    rig.stream.starts();
    rig
}

fn last_offset(rig: &WatchedRig) -> u64 {
    rig.stream.last(&topics::sealed(0)).unwrap().last().unwrap().offset
}

#[test]
fn when_everything_is_archived_only_the_last_record_is_read_again() {
    let rig = a_rig(Arc::new(SystemClock));
    rig.append(0, 0..35);
    rig.run().unwrap();
    rig.stream.starts();
    archive(&rig).unwrap();
    assert_eq!(rig.stream.starts(), [last_offset(&rig)]);
    rig.stream.forget_positions();
    archive(&rig).unwrap();
    assert_eq!(rig.stream.starts(), [last_offset(&rig)], "without the position too");
    rig.append(0, 35..50);
    rig.run().unwrap();
    assert_eq!(archived(&rig), rig.size(), "it goes on from there");
}

#[test]
fn a_trim_between_the_choice_of_a_start_and_the_first_read_is_no_gap() {
    let rig = a_rig_that_is_half_archived();
    let head = position(&rig, GROUP, &topics::sealed(0)).unwrap() - 1;
    rig.stream.forget_positions();
    rig.stream.trim_at_next_start(head);
    archive(&rig).unwrap();
    assert_eq!(rig.stream.starts(), [0, head], "it started anew where the lane starts now");
    assert_eq!(archived(&rig), rig.size());
}

#[test]
fn a_gap_before_what_the_archive_needs_halts() {
    let rig = a_rig_that_is_half_archived();
    let before = archived(&rig);
    rig.stream.trim(&topics::sealed(0), last_offset(&rig)).unwrap();
    halts(archive(&rig), "What lies between is lost here");
    assert_eq!(archived(&rig), before);

    let mut rig = a_rig_that_is_half_archived();
    rig.stream.trim(&topics::sealed(0), last_offset(&rig)).unwrap();
    rig.store = store::memory::Memory::new(rig.clock.clone());
    halts(archive(&rig), "begins after seq 0");
}

#[test]
fn an_archive_that_is_empty_again_is_filled_from_the_genesis_on() {
    let mut rig = a_rig(Arc::new(SystemClock));
    rig.append(0, 0..5);
    rig.run().unwrap();
    rig.store = store::memory::Memory::new(rig.clock.clone());
    // Behind the genesis stands a Head of size 0 that carries Checkpoint 0: it cannot be begun with.
    set_position(&rig, GROUP, &topics::sealed(0), 1);
    archive(&rig).unwrap();
    assert_eq!(archived(&rig), rig.size());
}
