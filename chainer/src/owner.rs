//! The owner of one chain. `commit` is the order of writes; each line says what a death there leaves behind.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use runtime::{Clock, Ending, Failure, Stop};
use schemas::event::Attribute;
use schemas::{Checkpoint, Head, Micros, Signing, own_act};
use stream::{Batch, Claim, Lane, LaneId, Limit, Stream, end_of, topics};
use tracing::{error, info};

use crate::chain::{COMMIT_BYTES, COMMIT_EVENTS, Chain, Policy, push_head};
use crate::clock_watch::ClockWatch;
use crate::guard::Guard;
use crate::metrics::ChainMetrics;
use crate::opening::is_unsigned_cut;

/// How long a look for new events may take: so soon a stop or a due cut is seen.
const LOOK: Duration = Duration::from_millis(100);
/// Few events wait so long for more, so that many small appends do not become many small commits.
const LINGER: Duration = Duration::from_millis(20);
const FEW: usize = 1_000;
/// What a chain keeps of its two arenas while it has little to do.
const KEEP_BYTES: usize = 4 << 20;

/// What an owner works with; the same for all chains of a process.
pub(crate) struct Tools<'a> {
    pub stream: &'a dyn Stream,
    pub clock: &'a dyn Clock,
    /// Of the whole process: a claim that comes anew must not believe a clock that the last one did not.
    pub watch: &'a Mutex<ClockWatch>,
    /// The chains whose record tells of this process.
    pub started: &'a Mutex<BTreeSet<u32>>,
    pub signing: &'a Signing,
    pub policy: &'a Policy,
    pub ending: Ending,
}

/// One chain, owned.
pub(crate) struct Owner<'a> {
    tools: Tools<'a>,
    claim: &'a mut dyn Claim,
    source: Lane,
    chain: Chain,
    guard: Guard,
    /// A cut that is committed and whose Checkpoint no Head carries yet: the next one does.
    unsigned: Option<Checkpoint>,
    taken: Batch,
    /// How many of `taken` are linked.
    linked: usize,
    out: Batch,
    idle_since: Micros,
    /// Where the source ended when the stop was seen: up to there everything is sealed before the end.
    ends_at: Option<u64>,
    metrics: ChainMetrics,
}

/// How a segment ends, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    No,
    /// With the events of this commit.
    WithEvents,
    /// By a Head alone, over a size that is committed.
    Alone,
}

impl<'a> Owner<'a> {
    pub(crate) fn new(
        tools: Tools<'a>,
        claim: &'a mut dyn Claim,
        chain: Chain,
        head: &Head,
        guard: Guard,
        metrics: ChainMetrics,
    ) -> Owner<'a> {
        let source = claim.lanes()[0].clone();
        let unsigned = is_unsigned_cut(head).then(|| chain.checkpoint());
        let wall = tools.clock.wall();
        Owner {
            source,
            chain,
            guard,
            unsigned,
            taken: Batch::new(),
            linked: 0,
            out: Batch::new(),
            idle_since: wall,
            ends_at: None,
            metrics,
            tools,
            claim,
        }
    }

    /// Seals until `stop` is set and the ending that was chosen is reached. `start`: what to say of
    /// this process in the chain's record, if it has not been said.
    pub(crate) fn run(&mut self, stop: &Stop, start: Option<&[Attribute<'_>]>) -> Result<(), Failure> {
        if self.unsigned.is_some() {
            self.commit(Cut::No)?;
        }
        let mut start = start;
        loop {
            // Asked before more is taken: others may append without end.
            let nothing_in_hand = self.linked == self.taken.len() && self.unsigned.is_none();
            if stop.is_set() && start.is_none() && nothing_in_hand && self.may_end()? {
                return self.finish();
            }
            if stop.is_abandoned() {
                let origin = self.chain.origin();
                return Err(Failure::Retry(format!("{origin}: told to end before everything was sealed")));
            }
            self.take(stop)?;
            // The very reading that was checked is the one that is sealed with: the clock may move at any moment.
            let now = self.tools.clock.wall();
            if !self.clock_is_believed(now) {
                if stop.wait(Duration::from_secs(1)) {
                    return Err(Failure::Halt(
                        "stopped while the clock was not believed: events wait unsealed".into(),
                    ));
                }
                continue;
            }
            if self.chain.must_cut_before(now) {
                self.commit(Cut::Alone)?;
            } else if let Some(about) = start.take() {
                self.own_act(own_act::START, about, now)?;
                // At once: the next claim may be won before this one hears that it is lost.
                let mut started = self.tools.started.lock().unwrap_or_else(PoisonError::into_inner);
                started.insert(self.source.partition);
            } else if self.linked < self.taken.len() {
                self.seal_taken(now)?;
            } else if self.unsigned.is_some() {
                self.commit(Cut::No)?;
            } else if self.chain.cut_is_due(now, self.idle_since, self.tools.policy) {
                self.commit(Cut::Alone)?;
            } else if now.0 - self.chain.last_sealed_at().0 >= self.tools.policy.heartbeat_us {
                self.own_act(own_act::HEARTBEAT, &[], now)?;
            }
        }
    }

    /// The order of writes of one commit.
    fn commit(&mut self, cut: Cut) -> Result<(), Failure> {
        let lane = self.lane();
        // A size is signed only when it is known to be committed: a signature in a transaction that then aborts would
        // be seen, and would convict an honest operator of two histories.
        let due = if cut == Cut::Alone { Some(self.chain.checkpoint()) } else { self.unsigned.take() };
        // If we die here, the last Head still says that this signature is due; Ed25519 gives the same one again.
        let checkpoint = due.map(|due| self.sign(&due)).transpose()?;
        let head = self.chain.head(cut != Cut::No, checkpoint);
        push_head(&mut self.out, lane, &head);
        let timer = self.metrics.commit_seconds.start_timer();
        // If we die here, nothing of this commit is seen and the next owner takes the same records again. If we die in
        // it, it is seen whole or not at all, and the last Head says which. Any error: drop the claim and all state.
        self.claim.commit(&self.out, &[(self.source.clone(), self.chain.source_position())])?;
        timer.observe_duration();
        // If we die here, a last Head that cuts without its Checkpoint is what the next owner signs first.
        self.unsigned = (cut == Cut::WithEvents).then(|| self.chain.checkpoint());
        self.count(&head);
        self.out.clear(KEEP_BYTES);
        Ok(())
    }

    /// Signs a size that is committed, with the guard on disk before the signature exists.
    fn sign(&self, checkpoint: &Checkpoint) -> Result<String, Failure> {
        // If we die before this, the guard is one cut behind: it forbids less than it could, and nothing false.
        self.guard.store(checkpoint)?;
        Ok(checkpoint.sign(self.tools.signing))
    }

    fn seal_taken(&mut self, now: Micros) -> Result<(), Failure> {
        let lane = self.lane();
        let rest = self.taken.iter().skip(self.linked);
        let linked = self
            .chain
            .link(rest, now, self.tools.policy, &mut self.out, lane)
            .map_err(|why| Failure::Halt(format!("{}: {why}", self.source)))?;
        self.linked += linked.taken;
        self.metrics.rejected.inc_by(linked.rejected as u64);
        self.idle_since = now;
        let cut = self.chain.is_full(self.tools.policy) || self.chain.cut_is_due(now, now, self.tools.policy);
        self.commit(if cut { Cut::WithEvents } else { Cut::No })
    }

    fn own_act(&mut self, action: &str, about: &[Attribute<'_>], now: Micros) -> Result<(), Failure> {
        let lane = self.lane();
        self.chain.link_own(action, about, now, &mut self.out, lane);
        self.idle_since = now;
        self.commit(Cut::No)
    }

    /// Fills `taken` when all of it is linked.
    fn take(&mut self, stop: &Stop) -> Result<(), Failure> {
        if self.linked < self.taken.len() {
            return Ok(());
        }
        self.taken.clear(KEEP_BYTES);
        self.linked = 0;
        let records = self.chain.room_events(self.tools.policy).clamp(1, COMMIT_EVENTS);
        let limit = Limit { records, bytes: self.chain.room_bytes(self.tools.policy).min(COMMIT_BYTES) };
        let wait = match (&self.unsigned, stop.is_set()) {
            (Some(_), _) => Duration::ZERO,
            (None, true) => LINGER,
            (None, false) => LOOK,
        };
        self.claim.take(&mut self.taken, limit, wait)?;
        if (1..FEW.min(records)).contains(&self.taken.len()) && !stop.wait(LINGER) {
            let left = Limit {
                records: records - self.taken.len(),
                bytes: limit.bytes.saturating_sub(self.taken.size_bytes()).max(1),
            };
            self.claim.take(&mut self.taken, left, Duration::ZERO)?;
        }
        if let Some(last) = self.taken.last() {
            let waited_ms = (self.tools.clock.wall().0 / 1_000 - last.time_ms).max(0);
            self.metrics.lag_seconds.set(waited_ms as f64 / 1e3);
        }
        Ok(())
    }

    /// Whether something may be sealed at the time that the clock showed.
    fn clock_is_believed(&mut self, wall: Micros) -> bool {
        let boot = self.tools.clock.boot();
        let mut watch = self.tools.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = watch.check(wall, boot, self.chain.last_sealed_at());
        drop(watch);
        let was_believed = self.metrics.clock_refused.get() == 0;
        self.metrics.clock_refused.set(i64::from(refused.is_some()));
        if let (Some(why), true) = (&refused, was_believed) {
            error!(
                chain = self.chain.origin(),
                "nothing is sealed: {why}. Set the clock right, or start anew"
            );
        }
        refused.is_none()
    }

    /// Whether what is left may be left. Others may go on appending: what counts is what was there at the stop.
    fn may_end(&mut self) -> Result<bool, Failure> {
        if self.tools.ending == Ending::HandOver {
            return Ok(true);
        }
        if self.ends_at.is_none() {
            // What a dead process's open transaction hides was acknowledged too.
            self.ends_at = end_of(self.tools.stream, &self.source)?;
        }
        Ok(self.ends_at.is_some_and(|ends_at| self.chain.source_position() >= ends_at))
    }

    /// Cuts what is open, unless others go on with it; a Head alone carries its own Checkpoint, so nothing is left to
    /// sign.
    fn finish(&mut self) -> Result<(), Failure> {
        if self.tools.ending == Ending::Finish && !self.chain.is_cut() {
            self.commit(Cut::Alone)?;
        }
        info!(chain = self.chain.origin(), size = self.chain.size(), "what was begun is sealed and signed");
        Ok(())
    }

    fn lane(&mut self) -> LaneId {
        self.out.lane(&topics::sealed(self.source.partition))
    }

    fn count(&self, head: &Head) {
        let events = self.out.len() as u64 - 1;
        self.metrics.events.inc_by(events);
        self.metrics.bytes.inc_by(self.out.size_bytes() as u64);
        self.metrics.commit_events.observe(events as f64);
        self.metrics.cuts.inc_by(u64::from(head.cut));
        self.metrics.last_seq.set(head.size() as i64 - 1);
        self.metrics.last_sealed_at.set(head.last_sealed_at.0 / 1_000_000);
    }
}
