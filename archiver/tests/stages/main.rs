//! Archiver and trimmer over a stream and a store in memory, with a real chainer before them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod crowded;
mod jammed;
mod planted;
mod repairing;
mod restarts;
#[path = "../../../tests/harness/rig.rs"]
#[allow(dead_code)]
mod rig;
mod trimming;
mod unknown;
mod warned;
mod watched;

use std::sync::Arc;

use runtime::{Clock, Failure, Stop};
use store::Notes;
use stream::memory::Memory;
use stream::{Fence, Groups, Lane, Role, topics};

use crate::rig::{ORIGIN, Rig};
use crate::watched::Watched;

type WatchedRig = Rig<Watched>;

/// One chain, begun, over a stream that can be watched.
fn a_rig(clock: Arc<dyn Clock>) -> WatchedRig {
    let lanes = [topics::EVENTS, topics::REJECTED, topics::SEALED].map(|topic| (topic, 1));
    let rig = Rig::on(Watched::over(Memory::new(&lanes, clock.clone())), 1, clock);
    rig.begin().unwrap();
    rig
}

/// Seals what waits, and archives nothing.
fn seal(rig: &WatchedRig) {
    let stop = Stop::new();
    stop.set();
    rig.chainer().run(&stop).unwrap();
}

/// Archives what is sealed.
fn archive(rig: &WatchedRig) -> Result<(), Failure> {
    let stop = Stop::new();
    stop.set();
    rig.archiver().run(&stop)
}

/// How much of the chain the archive holds.
fn archived(rig: &WatchedRig) -> u64 {
    Notes::read(rig.store(), &format!("{ORIGIN}/0")).unwrap().newest.map_or(0, |newest| newest.size)
}

/// Up to where a group says that it has read the lane.
fn position(rig: &WatchedRig, group: &str, lane: &Lane) -> Option<u64> {
    rig.stream.positions(group, std::slice::from_ref(lane)).unwrap()[0]
}

/// Says it for the group.
fn set_position(rig: &WatchedRig, group: &str, lane: &Lane, position: u64) {
    let role = Role { group: group.to_owned(), sources: vec![lane.topic.to_string()], fence: Fence::Reader };
    let mut member = rig.stream.join(&role).unwrap();
    let mut claim = member.poll(std::time::Duration::from_secs(10)).unwrap().unwrap();
    claim.start_at(lane, 0).unwrap();
    claim.commit(&stream::Batch::new(), &[(lane.clone(), position)]).unwrap();
}

fn halts(result: Result<(), Failure>, with: &str) {
    let Err(Failure::Halt(why)) = result else { panic!("it goes on: {result:?}") };
    assert!(why.contains(with), "{why}");
}
