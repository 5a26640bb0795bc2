//! How a stage ends when what it has to finish cannot be finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runtime::{Failure, Stop, SystemClock};

use crate::memory::Memory;
use crate::{Batch, Claim, Error, Fence, Groups, Kind, Lane, Limit, Member, Result, Role, run_claims};

/// A broker that never answers.
#[derive(Default)]
struct Gone {
    joins: AtomicUsize,
}

impl Groups for Gone {
    fn join(&self, _: &Role) -> Result<Box<dyn Member>> {
        self.joins.fetch_add(1, Ordering::SeqCst);
        Err(Error::new(Kind::Away, "no broker answers"))
    }

    fn positions(&self, _: &str, _: &[Lane]) -> Result<Vec<Option<u64>>> {
        Err(Error::new(Kind::Away, "no broker answers"))
    }
}

fn role() -> Role {
    Role { group: "stage".into(), sources: vec!["in".into()], fence: Fence::PerLane("stage".into()) }
}

fn memory() -> Memory {
    Memory::new(&[("in", 1)], Arc::new(SystemClock))
}

/// Runs `stage`, which counts its tries, and abandons it at the third. Answers its result, and how often it tried.
fn abandoned_at_the_third(
    tries: &AtomicUsize,
    stage: impl FnOnce(&Stop) -> Result<(), Failure> + Send,
) -> (Result<(), Failure>, usize) {
    let stop = Stop::new();
    stop.set();
    let result = std::thread::scope(|scope| {
        let running = scope.spawn(|| stage(&stop));
        while tries.load(Ordering::SeqCst) < 3 && !running.is_finished() {
            std::thread::yield_now();
        }
        stop.abandon();
        running.join().unwrap()
    });
    (result, tries.load(Ordering::SeqCst))
}

#[test]
fn a_stage_that_cannot_join_waits_between_its_last_tries_and_says_why_it_gave_up() {
    let gone = Gone::default();
    let (result, tries) =
        abandoned_at_the_third(&gone.joins, |stop| run_claims(&gone, &role(), stop, |_| Ok(())));
    assert_eq!(result, Err(Failure::Retry("no broker answers".into())));
    assert!(tries <= 4, "it does not spin: {tries}");
}

#[test]
fn a_stage_whose_work_fails_when_it_is_to_end_does_not_say_that_it_is_done() {
    let (memory, tries) = (memory(), AtomicUsize::new(0));
    let (result, tries) = abandoned_at_the_third(&tries, |stop| {
        run_claims(&memory, &role(), stop, |_| {
            tries.fetch_add(1, Ordering::SeqCst);
            Err(Failure::Retry("the guard cannot be written".into()))
        })
    });
    assert_eq!(result, Err(Failure::Retry("the guard cannot be written".into())));
    assert!(tries <= 4, "it does not spin: {tries}");
}

#[test]
fn work_that_fails_and_then_succeeds_is_done_and_lost_work_is_for_others_to_finish() {
    let (memory, tries) = (memory(), AtomicUsize::new(0));
    let stop = Stop::new();
    stop.set();
    let second_time_well =
        run_claims(&memory, &role(), &stop, |_| match tries.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Failure::Retry("not yet".into())),
            _ => Ok(()),
        });
    assert_eq!(second_time_well, Ok(()));
    let tries = AtomicUsize::new(0);
    let (result, _) = abandoned_at_the_third(&tries, |stop| {
        run_claims(&memory, &role(), stop, |_| {
            tries.fetch_add(1, Ordering::SeqCst);
            Err(Failure::Lost("it is another's".into()))
        })
    });
    assert_eq!(result, Ok(()));
}

/// A group that gives these partitions in one claim, then those in the next.
struct Given(Vec<Vec<u32>>);

impl Groups for Given {
    fn join(&self, _: &Role) -> Result<Box<dyn Member>> {
        Ok(Box::new(Given(self.0.iter().rev().cloned().collect())))
    }

    fn positions(&self, _: &str, lanes: &[Lane]) -> Result<Vec<Option<u64>>> {
        Ok(vec![None; lanes.len()])
    }
}

impl Member for Given {
    fn poll(&mut self, _: Duration) -> Result<Option<Box<dyn Claim>>> {
        let lanes = self.0.pop().map(|claim| claim.iter().map(|n| Lane::new("in", *n)).collect::<Vec<_>>());
        Ok(lanes.map(|lanes| Box::new(Lanes(lanes)) as Box<dyn Claim>))
    }
}

struct Lanes(Vec<Lane>);

impl Claim for Lanes {
    fn lanes(&self) -> &[Lane] {
        &self.0
    }

    fn start_at(&mut self, _: &Lane, _: u64) -> Result<()> {
        Ok(())
    }

    fn take(&mut self, _: &mut Batch, _: Limit, _: Duration) -> Result<()> {
        Ok(())
    }

    fn commit(&mut self, _: &Batch, _: &[(Lane, u64)]) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_claim_over_all_lanes_failed_with_is_old_news_once_there_is_another() {
    let result = |fence: Fence| {
        let stop = Stop::new();
        stop.set();
        let given = Given(vec![vec![1, 3], vec![0, 1, 2, 3], vec![2]]);
        run_claims(&given, &Role { fence, ..role() }, &stop, |claim| match claim.lanes() {
            [first, third] if (first.partition, third.partition) == (1, 3) => {
                Err(Failure::Retry("the group has changed".into()))
            }
            _ => Ok(()),
        })
    };
    assert_eq!(result(Fence::Whole("one".into())), Ok(()));
    assert_eq!(result(Fence::Reader), Err(Failure::Retry("the group has changed".into())));
}

#[test]
fn a_halt_is_the_answer_whatever_else_failed() {
    let memory = Memory::new(&[("in", 2)], Arc::new(SystemClock));
    let stop = Stop::new();
    let result = run_claims(&memory, &role(), &stop, |claim| match claim.lanes()[0].partition {
        0 => Err(Failure::Halt("it does not fit".into())),
        _ => {
            while !stop.is_set() {
                std::thread::yield_now();
            }
            Ok(())
        }
    });
    assert_eq!(result, Err(Failure::Halt("it does not fit".into())));
    assert!(stop.is_set(), "the others were asked to end");
}
