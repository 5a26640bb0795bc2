//! How a stage ends when what it has to finish cannot be finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime::{Failure, Stop, SystemClock};

use crate::memory::Memory;
use crate::{Error, Fence, Groups, Kind, Lane, Member, Result, Role, run_claims};

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
