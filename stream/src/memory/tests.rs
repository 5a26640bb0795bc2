//! The memory keeps the seam's promises, and its faults are what they say.

use runtime::{ManualClock, SystemClock};
use schemas::Micros;

use super::*;
use crate::conformance::{Fixture, Ground};
use crate::{Fence, Stream};

struct InMemory;

impl Fixture for InMemory {
    fn ground(&self, _case: &str, partitions: u32) -> Ground {
        let stream = Memory::new(&[("source", partitions), ("output", partitions)], Arc::new(SystemClock));
        Ground { stream: Arc::new(stream), source: "source".into(), output: "output".into() }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}

#[test]
fn memory_keeps_the_promises_of_the_seam() {
    crate::conformance::all(&InMemory);
}

fn memory() -> Memory {
    Memory::new(&[("in", 1), ("out", 2)], Arc::new(ManualClock::at(Micros(7_000_000))))
}

fn one(partition: u32, value: &str) -> Batch {
    let mut batch = Batch::new();
    let id = batch.lane(&Lane::new("out", partition));
    batch.push(id, None, &[], value.as_bytes());
    batch
}

fn count(memory: &Memory, partition: u32) -> usize {
    let mut all = Batch::new();
    let limit = Limit { records: 1_000, bytes: 1 << 20 };
    memory.read(&Lane::new("out", partition), 0, &mut all, limit, Duration::ZERO).unwrap();
    all.len()
}

fn chainer() -> Role {
    Role { group: "g".into(), sources: vec!["in".into()], fence: Fence::PerLane("origin".into()) }
}

#[test]
fn every_write_fails_in_every_way_it_is_told_to_and_only_that_one() {
    for (fault, kind, done) in [
        (Fault::NotDone, Kind::Away, 0),
        (Fault::Unheard, Kind::Away, 1),
        (Fault::Fenced, Kind::Lost, 0),
        (Fault::Full, Kind::Full, 0),
    ] {
        let memory = memory();
        let mut member = memory.join(&chainer()).unwrap();
        let mut claim = member.poll(Duration::ZERO).unwrap().unwrap();
        claim.commit(&one(0, "a"), &[]).unwrap();
        memory.fail(memory.writes(), fault);
        let position = [(Lane::new("in", 0), 9)];
        assert_eq!(claim.commit(&one(0, "b"), &position).unwrap_err().kind(), kind, "{fault:?}");
        assert_eq!(count(&memory, 0), 1 + done, "{fault:?}");
        assert_eq!(
            memory.positions(&chainer().group, &[position[0].0.clone()]).unwrap(),
            [(done == 1).then_some(9)],
            "{fault:?}"
        );
        assert_eq!(claim.commit(&one(0, "c"), &[]).unwrap_err().kind(), Kind::Lost, "the claim is dead");
        drop(claim);
        let mut claim = member.poll(Duration::ZERO).unwrap().expect("handed out again");
        claim.commit(&one(0, "d"), &[]).unwrap();
        memory.append(&one(0, "e")).unwrap();
        assert_eq!((count(&memory, 0), memory.writes()), (3 + done, 4), "{fault:?}");
    }
}

#[test]
fn an_append_fails_like_a_commit() {
    let memory = memory();
    memory.fail(1, Fault::Unheard);
    memory.fail(2, Fault::NotDone);
    memory.append(&one(1, "a")).unwrap();
    assert_eq!(memory.append(&one(1, "b")).unwrap_err().kind(), Kind::Away);
    assert_eq!(memory.append(&one(1, "c")).unwrap_err().kind(), Kind::Away);
    assert_eq!(count(&memory, 1), 2);
}

#[test]
fn a_lane_that_refuses_is_full_until_it_takes_again() {
    let memory = memory();
    memory.refuse(&Lane::new("out", 1), true);
    assert_eq!(memory.append(&one(1, "a")).unwrap_err().kind(), Kind::Full);
    memory.append(&one(0, "a")).unwrap();
    memory.refuse(&Lane::new("out", 1), false);
    memory.append(&one(1, "a")).unwrap();
    assert_eq!((count(&memory, 0), count(&memory, 1)), (1, 1));
}

#[test]
fn a_revoked_claim_is_lost_and_may_be_won_again() {
    let memory = memory();
    let mut member = memory.join(&chainer()).unwrap();
    let mut claim = member.poll(Duration::ZERO).unwrap().unwrap();
    memory.revoke(&Lane::new("in", 0));
    assert_eq!(claim.commit(&one(0, "a"), &[]).unwrap_err().kind(), Kind::Lost);
    assert!(member.poll(Duration::ZERO).unwrap().is_some());
    assert_eq!(count(&memory, 0), 0);
}

#[test]
fn the_records_outlive_the_stages_and_carry_the_clocks_time() {
    let memory = memory();
    let stage: Arc<dyn Stream> = Arc::new(memory.clone());
    stage.append(&one(0, "a")).unwrap();
    drop(stage);
    assert_eq!(memory.last(&Lane::new("out", 0)).unwrap().last().unwrap().time_ms, 7_000);
}

#[test]
fn a_commit_leaves_a_hole_and_a_trim_is_exact() {
    let memory = memory();
    let lane = Lane::new("out", 0);
    let mut member = memory.join(&chainer()).unwrap();
    let mut claim = member.poll(Duration::ZERO).unwrap().unwrap();
    claim.commit(&one(0, "a"), &[]).unwrap();
    claim.commit(&one(0, "b"), &[]).unwrap();
    assert_eq!(memory.last(&lane).unwrap().last().unwrap().offset, 2);
    memory.trim(&lane, 2).unwrap();
    let limit = Limit { records: 9, bytes: 99 };
    let kind = memory.read(&lane, 1, &mut Batch::new(), limit, Duration::ZERO).unwrap_err().kind();
    assert_eq!(kind, Kind::OutOfRange { start: 2, end: 4 });
    memory.trim(&lane, 4).unwrap();
    assert!(memory.last(&lane).unwrap().is_empty());
}
