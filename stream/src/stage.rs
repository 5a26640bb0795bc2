//! How a stage shares its lanes with its threads: one thread a claim, begun anew after a failure that may pass.

mod end;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope};
use std::time::Duration;

use runtime::{Backoff, Deadline, Ending, Failure, Stop, halt_on_panic};
use tracing::{error, info, warn};

pub use end::end_of;

use crate::{Claim, Error, Fence, Groups, Kind, Lane, Role};

const POLL: Duration = Duration::from_millis(100);
/// Who hands over leaves a lane that failed after so many polls, if it has not come back by then.
const POLLS_FOR_FAILED: usize = 50;
/// Once asked to stop, a stage tries no more than so often what failed: for about 20 s with the waits between.
const LAST_TRIES: usize = 10;
/// A body that ran so long before it failed was well: the next failure is waited out from the start again.
const WAS_WELL: Duration = Duration::from_secs(30);

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error.kind() {
            Kind::Away | Kind::Full => Failure::Retry(error.to_string()),
            Kind::Lost => Failure::Lost(error.to_string()),
            Kind::TooLarge | Kind::OutOfRange { .. } | Kind::Damaged | Kind::Refused => {
                Failure::Halt(error.to_string())
            }
        }
    }
}

/// A claim whose body has returned.
struct Ended {
    result: Result<(), Failure>,
    claim: Box<dyn Claim>,
    /// Which claim it was.
    turn: u64,
    was_well: bool,
}

/// What is known of the lanes of one claim.
#[derive(Default)]
struct Known {
    /// The last claim on them.
    turn: u64,
    /// How long the next body waits before it begins, once one has failed.
    backoff: Backoff,
    /// Why the last body failed, until they are claimed anew. A newer claim may be won before the end of the old one's
    /// body is heard of: then its failure is old news.
    failed: Option<Failure>,
}

/// What is known of the threads.
struct Threads {
    running: usize,
    tries_left: usize,
    halted: Option<Failure>,
    endings: Receiver<Ended>,
    /// How many claims there were.
    turns: u64,
    known: BTreeMap<Vec<Lane>, Known>,
    /// A claim whose body is done is kept, so that its lane is not handed out once more.
    done: Vec<Box<dyn Claim>>,
    /// Whether it ended before it was known which lanes were its own.
    in_doubt: bool,
}

/// What every thread of a stage is started with.
struct Crew<'a, 'scope, 'env, F> {
    role: &'a Role,
    ending: Ending,
    stop: &'env Stop,
    body: F,
    tell: Sender<Ended>,
    scope: &'scope Scope<'scope, 'env>,
}

/// Runs `body` on every claim that this process wins, until `stop` is set and every body has returned Ok, or one
/// says Halt: then the others are asked to stop as well and its reason is the answer. After a body says Retry its
/// lane is claimed anew. `body` must return Ok soon after `stop` is set, having finished its work.
///
/// With `Ending::Finish` it ends only when it is known that every lane of this process has been through that; with
/// `HandOver` others go on with what it has not begun. Err(Retry): it was asked to stop and what it had to finish
/// failed again and again, or was abandoned. All of it is where it was, for the next start.
pub fn run_claims<'env>(
    groups: &dyn Groups,
    role: &Role,
    ending: Ending,
    stop: &'env Stop,
    body: impl Fn(&mut dyn Claim) -> Result<(), Failure> + Sync + Copy + Send + 'env,
) -> Result<(), Failure> {
    let (tell, endings) = channel();
    let mut threads = Threads {
        running: 0,
        tries_left: LAST_TRIES,
        halted: None,
        endings,
        turns: 0,
        known: BTreeMap::new(),
        done: Vec::new(),
        in_doubt: false,
    };
    let ended = thread::scope(|scope| {
        let crew = Crew { role, ending, stop, body, tell, scope };
        let mut backoff = Backoff::default();
        // Joining again is for errors of the member itself; those of a claim end that claim alone.
        loop {
            let Err(failure) = crew.share(groups, &mut threads) else { return Ok(()) };
            warn!(stage = role.group, "{failure}");
            if let Failure::Halt(_) = failure {
                threads.halt(failure, stop);
                return Ok(());
            }
            if threads.give_up(stop) {
                return Err(Failure::Retry(failure.to_string()));
            }
            pause(stop, backoff.next_wait());
        }
    });
    // What ran on while the member failed has ended with the scope.
    threads.collect(stop);
    match threads.halted {
        Some(halt) => Err(halt),
        None => ended.and(threads.unfinished()),
    }
}

/// Waits before the next try. One that began before the stop is cut short by it, the last ones are not.
fn pause(stop: &Stop, time: Duration) {
    if stop.is_set() {
        stop.wait_patiently(time);
    } else {
        stop.wait(time);
    }
}

impl<'scope, 'env: 'scope, F> Crew<'_, 'scope, 'env, F>
where
    F: Fn(&mut dyn Claim) -> Result<(), Failure> + Sync + Copy + Send + 'env,
{
    /// One membership: hands out claims to threads until the stage may end.
    fn share(&self, groups: &dyn Groups, threads: &mut Threads) -> Result<(), Failure> {
        let mut member = groups.join(self.role)?;
        let mut quiet_polls = 0;
        loop {
            match member.poll(POLL)? {
                None => quiet_polls += 1,
                // After a halt nothing is begun: lanes that halt in turn would keep each other alive for ever. The
                // claim is kept, so that its lanes are not handed out once more.
                Some(claim) if threads.halted.is_some() => threads.done.push(claim),
                Some(claim) => {
                    let wait = threads.begin(claim.lanes(), &self.role.fence);
                    self.work_on(claim, threads.turns, wait)?;
                    threads.running += 1;
                }
            }
            if threads.running > 0 {
                quiet_polls = 0;
            }
            threads.collect(self.stop);
            if !self.stop.is_set() || threads.running > 0 {
                continue;
            }
            if member.is_settled() {
                threads.leave_to_others();
                return Ok(());
            }
            // What failed may come back, and what was not claimed yet may be this process's to finish.
            let hands_over = self.ending == Ending::HandOver;
            if hands_over && (!threads.has_failed() || quiet_polls >= POLLS_FOR_FAILED) {
                return Ok(());
            }
            if threads.no_try_left() || self.stop.is_abandoned() {
                threads.in_doubt = !hands_over;
                return Ok(());
            }
        }
    }

    /// Runs the body on a thread of its own, named for the first of its lanes, after this wait.
    fn work_on(&self, mut claim: Box<dyn Claim>, turn: u64, wait: Duration) -> Result<(), Failure> {
        let (stage, stop, body, tell) = (self.role.group.clone(), self.stop, self.body, self.tell.clone());
        let first = claim.lanes().first().map_or(0, |lane| lane.partition);
        let name = format!("{}-{first}", stage.trim_start_matches("sealog."));
        let work = move || {
            let lanes: Vec<String> = claim.lanes().iter().map(ToString::to_string).collect();
            let lanes = lanes.join(",");
            info!(stage, lanes, "claimed");
            pause(stop, wait);
            let well = Deadline::after(WAS_WELL);
            let result = halt_on_panic(&lanes, || body(&mut *claim));
            match &result {
                Err(Failure::Retry(why) | Failure::Lost(why)) => {
                    warn!(stage, lanes, "will try again: {why}");
                }
                Err(halt) => error!(stage, lanes, "{halt}"),
                Ok(()) => {}
            }
            let _ = tell.send(Ended { result, claim, turn, was_well: well.passed() });
        };
        let begun = thread::Builder::new().name(name).spawn_scoped(self.scope, work);
        begun.map(drop).map_err(|error| Failure::Retry(format!("no thread for a claim: {error}")))
    }
}

impl Threads {
    /// These lanes are claimed, and how they failed before is old news. A claim over all lanes of a process has others
    /// after each change of the group: what it had before and has no more is another process's to finish. Answers how
    /// long the body is to wait.
    fn begin(&mut self, lanes: &[Lane], fence: &Fence) -> Duration {
        self.turns += 1;
        if matches!(fence, Fence::Whole(_)) {
            self.known.retain(|before, _| before == lanes);
        }
        let known = self.known.entry(lanes.to_vec()).or_default();
        let wait = if known.turn == 0 { Duration::ZERO } else { known.backoff.next_wait() };
        (known.turn, known.failed) = (self.turns, None);
        wait
    }

    /// Takes in what has ended.
    fn collect(&mut self, stop: &Stop) {
        while let Ok(Ended { result, claim, turn, was_well }) = self.endings.try_recv() {
            self.running -= 1;
            let known = self.known.entry(claim.lanes().to_vec()).or_default();
            if was_well {
                known.backoff.reset();
            }
            match result {
                Ok(()) => self.done.push(claim),
                Err(halt @ Failure::Halt(_)) => self.halt(halt, stop),
                // Dropping the claim lets its lane be claimed anew.
                Err(passing) => {
                    if known.turn == turn {
                        known.failed = Some(passing);
                    }
                    self.count_try(stop);
                }
            }
        }
    }

    /// The first reason is the one to tell.
    fn halt(&mut self, why: Failure, stop: &Stop) {
        self.halted.get_or_insert(why);
        self.tries_left = 0;
        stop.set();
    }

    /// Counts a failure of the member itself; whether it was the last one.
    fn give_up(&mut self, stop: &Stop) -> bool {
        self.count_try(stop);
        stop.is_set() && (self.no_try_left() || stop.is_abandoned())
    }

    fn count_try(&mut self, stop: &Stop) {
        self.tries_left -= usize::from(stop.is_set() && self.tries_left > 0);
    }

    /// All lanes of this process have been claimed since they failed: what has not is another's to finish.
    fn leave_to_others(&mut self) {
        self.known.values_mut().for_each(|known| known.failed = None);
    }

    fn has_failed(&self) -> bool {
        self.known.values().any(|known| known.failed.is_some())
    }

    /// What this process had to finish and did not, or may not have.
    fn unfinished(self) -> Result<(), Failure> {
        match self.known.into_values().find_map(|known| known.failed) {
            Some(Failure::Retry(why) | Failure::Lost(why)) => Err(Failure::Retry(why)),
            Some(halt) => Err(halt),
            None if self.in_doubt => Err(Failure::Retry(
                "it is not known which lanes are this process's: the others were not heard of in time"
                    .to_owned(),
            )),
            None => Ok(()),
        }
    }

    fn no_try_left(&self) -> bool {
        self.tries_left == 0
    }
}

#[cfg(test)]
mod tests;
