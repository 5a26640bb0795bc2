//! How a stage ends when what it has to finish cannot be finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runtime::{Deadline, Ending, Failure, Stop, SystemClock};

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
    let (result, tries) = abandoned_at_the_third(&gone.joins, |stop| {
        run_claims(&gone, &role(), Ending::Finish, stop, |_| Ok(()))
    });
    assert_eq!(result, Err(Failure::Retry("no broker answers".into())));
    assert!(tries <= 4, "it does not spin: {tries}");
}

#[test]
fn a_stage_whose_work_fails_when_it_is_to_end_does_not_say_that_it_is_done() {
    let (memory, tries) = (memory(), AtomicUsize::new(0));
    let (result, tries) = abandoned_at_the_third(&tries, |stop| {
        run_claims(&memory, &role(), Ending::Finish, stop, |_| {
            tries.fetch_add(1, Ordering::SeqCst);
            Err(Failure::Retry("the guard cannot be written".into()))
        })
    });
    assert_eq!(result, Err(Failure::Retry("the guard cannot be written".into())));
    assert!(tries <= 4, "it does not spin: {tries}");
}

#[test]
fn work_that_fails_and_then_succeeds_is_done_and_a_commit_that_was_refused_is_not_anothers_work_yet() {
    let (memory, tries) = (memory(), AtomicUsize::new(0));
    let stop = Stop::new();
    stop.set();
    let second_time_well =
        run_claims(&memory, &role(), Ending::Finish, &stop, |_| match tries.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Failure::Retry("not yet".into())),
            _ => Ok(()),
        });
    assert_eq!(second_time_well, Ok(()));
    let tries = AtomicUsize::new(0);
    let (result, _) = abandoned_at_the_third(&tries, |stop| {
        run_claims(&memory, &role(), Ending::Finish, stop, |_| {
            tries.fetch_add(1, Ordering::SeqCst);
            Err(Failure::Lost("the lanes were shared anew".into()))
        })
    });
    assert_eq!(result, Err(Failure::Retry("the lanes were shared anew".into())));
}

/// A group that gives these partitions in one claim, and when that was dropped, those in the next. Then it has settled,
/// or has not, and who waits for it is told to end.
struct Given(Vec<Vec<u32>>, bool, Stop);

struct Giving {
    left: Vec<Vec<u32>>,
    settles: bool,
    stop: Stop,
    dropped: Arc<AtomicUsize>,
    given: usize,
}

impl Groups for Given {
    fn join(&self, _: &Role) -> Result<Box<dyn Member>> {
        let left = self.0.iter().rev().cloned().collect();
        Ok(Box::new(Giving {
            left,
            settles: self.1,
            stop: self.2.clone(),
            dropped: Arc::default(),
            given: 0,
        }))
    }

    fn positions(&self, _: &str, lanes: &[Lane]) -> Result<Vec<Option<u64>>> {
        Ok(vec![None; lanes.len()])
    }
}

impl Member for Giving {
    fn poll(&mut self, wait: Duration) -> Result<Option<Box<dyn Claim>>> {
        let nothing = self.left.is_empty() || self.dropped.load(Ordering::SeqCst) < self.given;
        if self.left.is_empty() {
            self.stop.abandon();
        }
        if nothing {
            Stop::new().wait(wait / 20);
            return Ok(None);
        }
        self.given += 1;
        let lanes = self.left.pop().unwrap_or_default().iter().map(|n| Lane::new("in", *n)).collect();
        Ok(Some(Box::new(Lanes { lanes, dropped: self.dropped.clone() })))
    }

    fn is_settled(&self) -> bool {
        self.left.is_empty() && self.settles
    }
}

struct Lanes {
    lanes: Vec<Lane>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Claim for Lanes {
    fn lanes(&self) -> &[Lane] {
        &self.lanes
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

/// How a stage ends that is told to leave what it cannot finish, and fails with what it is given first.
fn fails_first(ending: Ending, fence: Fence, given: &[&[u32]], settles: bool) -> Result<(), String> {
    let (stop, tries) = (Stop::new(), AtomicUsize::new(0));
    stop.set();
    let given = Given(given.iter().map(|claim| claim.to_vec()).collect(), settles, stop.clone());
    let role = Role { fence, ..role() };
    let body = |_: &mut dyn Claim| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Failure::Retry("the broker was slow".into())),
        _ => Ok(()),
    };
    run_claims(&given, &role, ending, &stop, body).map_err(|failure| failure.to_string())
}

#[test]
fn a_lane_that_failed_is_anothers_to_finish_once_the_group_has_settled_without_it() {
    let slow = |result: Result<(), String>| result.is_err_and(|why| why.contains("the broker was slow"));
    let finish = |given, settles| fails_first(Ending::Finish, Fence::Reader, given, settles);
    assert!(slow(finish(&[&[1]], false)));
    assert!(slow(finish(&[&[1], &[0]], false)));
    assert_eq!(finish(&[&[1]], true), Ok(()));
    assert_eq!(finish(&[&[1], &[0]], true), Ok(()));
    let whole = |given, settles| fails_first(Ending::Finish, Fence::Whole("one".into()), given, settles);
    assert!(slow(whole(&[&[1, 3]], false)));
    assert_eq!(whole(&[&[1, 3], &[0, 1, 2, 3]], true), Ok(()));
}

#[test]
fn a_stage_that_was_not_given_its_lanes_yet_does_not_say_that_it_is_done_unless_it_hands_over() {
    let nothing_given = |ending| fails_first(ending, Fence::Reader, &[], false);
    assert!(nothing_given(Ending::Finish).is_err_and(|why| why.contains("not known which lanes")));
    assert_eq!(nothing_given(Ending::HandOver), Ok(()));
    assert_eq!(fails_first(Ending::Finish, Fence::Reader, &[], true), Ok(()));
}

#[test]
fn a_halt_is_the_answer_whatever_else_failed() {
    let memory = Memory::new(&[("in", 2)], Arc::new(SystemClock));
    let stop = Stop::new();
    let result =
        run_claims(&memory, &role(), Ending::Finish, &stop, |claim| match claim.lanes()[0].partition {
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

#[test]
fn lanes_that_halt_in_turn_do_not_keep_each_other_alive() {
    let (memory, begun) = (Memory::new(&[("in", 2)], Arc::new(SystemClock)), AtomicUsize::new(0));
    let result = run_claims(&memory, &role(), Ending::Finish, &Stop::new(), |claim| {
        begun.fetch_add(1, Ordering::SeqCst);
        // Lane 1 runs for as long as it takes to begin lane 0 once more, if that were done.
        let long_enough = Deadline::after(Duration::from_secs(2));
        while claim.lanes()[0].partition == 1 && begun.load(Ordering::SeqCst) < 3 && !long_enough.passed() {
            std::thread::yield_now();
        }
        Err(Failure::Halt("a right is missing".into()))
    });
    assert_eq!(result, Err(Failure::Halt("a right is missing".into())));
    assert!(begun.load(Ordering::SeqCst) <= 2, "a lane that halted is not begun again");
}
