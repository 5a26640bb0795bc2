//! How a stage shares its lanes with its threads: one thread a claim, begun anew after a failure that may pass.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope};
use std::time::Duration;

use runtime::{Backoff, Deadline, Failure, Stop, halt_on_panic};
use tracing::{error, info, warn};

use crate::{Claim, Error, Groups, Kind, Lane, Role};

const POLL: Duration = Duration::from_millis(100);
/// Once asked to stop, a stage ends when so many polls in a row brought no lane and nothing runs.
const QUIET_POLLS: usize = 3;
/// Once asked to stop, a stage tries no more than so often what failed.
const LAST_TRIES: usize = 8;
/// A body that ran so long before it failed was well: the next failure is waited out from the start again.
const WAS_WELL: Duration = Duration::from_secs(30);

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error.kind() {
            Kind::Away | Kind::Lost | Kind::Full => Failure::Retry(error.to_string()),
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
    was_well: bool,
}

/// What is known of the threads.
struct Threads {
    running: usize,
    tries_left: usize,
    halted: Option<Failure>,
    endings: Receiver<Ended>,
    /// How long each lane that failed waits before it is claimed anew.
    pauses: BTreeMap<Vec<Lane>, Backoff>,
    /// A claim whose body is done is kept, so that its lane is not handed out once more.
    done: Vec<Box<dyn Claim>>,
}

/// What every thread of a stage is started with.
struct Crew<'a, 'scope, 'env, F> {
    role: &'a Role,
    stop: &'env Stop,
    body: F,
    tell: Sender<Ended>,
    scope: &'scope Scope<'scope, 'env>,
}

/// Runs `body` on every claim that this process wins, until `stop` is set and every body has returned Ok, or one
/// says Halt: then the others are asked to stop as well and its reason is the answer. After a body says Retry its
/// lane is claimed anew. `body` must return Ok soon after `stop` is set, having finished its work.
pub fn run_claims<'env>(
    groups: &dyn Groups,
    role: &Role,
    stop: &'env Stop,
    body: impl Fn(&mut dyn Claim) -> Result<(), Failure> + Sync + Copy + Send + 'env,
) -> Result<(), Failure> {
    let (tell, endings) = channel();
    let mut threads = Threads {
        running: 0,
        tries_left: LAST_TRIES,
        halted: None,
        endings,
        pauses: BTreeMap::new(),
        done: Vec::new(),
    };
    thread::scope(|scope| {
        let crew = Crew { role, stop, body, tell, scope };
        let mut backoff = Backoff::default();
        // Joining again is for errors of the member itself; those of a claim end that claim alone.
        while let Err(failure) = crew.share(groups, &mut threads) {
            let wait = backoff.next_wait();
            let hopeless = matches!(failure, Failure::Halt(_)) || (stop.is_set() && threads.no_try_left());
            warn!(stage = role.group, "{failure}");
            if hopeless {
                threads.halt(failure, stop);
                return;
            }
            stop.wait(wait);
        }
    });
    match threads.halted {
        Some(halt @ Failure::Halt(_)) => Err(halt),
        _ => Ok(()),
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
                Some(claim) => {
                    quiet_polls = 0;
                    let pause = threads.pauses.entry(claim.lanes().to_vec()).or_default().next_wait();
                    self.work_on(claim, pause)?;
                    threads.running += 1;
                }
            }
            threads.collect(self.stop);
            let idle = threads.running == 0 && quiet_polls >= QUIET_POLLS;
            if self.stop.is_set() && (idle || threads.running == 0 && threads.no_try_left()) {
                return Ok(());
            }
        }
    }

    /// Runs the body on a thread of its own, named for the first of its lanes.
    fn work_on(&self, mut claim: Box<dyn Claim>, pause: Duration) -> Result<(), Failure> {
        let (stage, stop, body, tell) = (self.role.group.clone(), self.stop, self.body, self.tell.clone());
        let first = claim.lanes().first().map_or(0, |lane| lane.partition);
        let name = format!("{}-{first}", stage.trim_start_matches("sealog."));
        let work = move || {
            let lanes: Vec<String> = claim.lanes().iter().map(ToString::to_string).collect();
            let lanes = lanes.join(",");
            info!(stage, lanes, "claimed");
            let well = Deadline::after(WAS_WELL);
            let result = halt_on_panic(&lanes, || body(&mut *claim));
            match &result {
                Err(Failure::Retry(why)) => {
                    warn!(stage, lanes, "will try again: {why}");
                    stop.wait(pause);
                }
                Err(halt) => error!(stage, lanes, "{halt}"),
                Ok(()) => {}
            }
            let _ = tell.send(Ended { result, claim, was_well: well.passed() });
        };
        let begun = thread::Builder::new().name(name).spawn_scoped(self.scope, work);
        begun.map(drop).map_err(|error| Failure::Retry(format!("no thread for a claim: {error}")))
    }
}

impl Threads {
    /// Takes in what has ended.
    fn collect(&mut self, stop: &Stop) {
        while let Ok(Ended { result, claim, was_well }) = self.endings.try_recv() {
            self.running -= 1;
            if was_well {
                self.pauses.remove(claim.lanes());
            }
            match result {
                Ok(()) => self.done.push(claim),
                // Dropping the claim lets its lane be claimed anew.
                Err(Failure::Retry(_)) if stop.is_set() => {
                    self.tries_left = self.tries_left.saturating_sub(1)
                }
                Err(Failure::Retry(_)) => {}
                Err(halt) => self.halt(halt, stop),
            }
        }
    }

    /// The first reason is the one to tell.
    fn halt(&mut self, why: Failure, stop: &Stop) {
        self.halted.get_or_insert(why);
        self.tries_left = 0;
        stop.set();
    }

    fn no_try_left(&self) -> bool {
        self.tries_left == 0
    }
}
