//! The stage: chains are claimed, opened and owned, each by a thread of its own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::{Clock, Ending, Failure, Stop};
use schemas::event::Attribute;
use schemas::{Head, Signing};
use store::Store;
use stream::{Claim, Stream, run_claims, topics};
use tracing::info;

use crate::chain::{Chain, Policy};
use crate::clock_watch::ClockWatch;
use crate::guard::Guard;
use crate::metrics::Metrics;
use crate::owner::{Owner, Tools};
use crate::{chain_origin, opening, role};

/// What seals the chains of one origin. Any number of them share the work.
pub struct Chainer {
    /// The seam to the other stages.
    pub stream: Arc<dyn Stream>,
    /// The archive, of which it reads notes only.
    pub archive: Arc<dyn Store>,
    /// The folder of the guards.
    pub guards: PathBuf,
    /// The key.
    pub signing: Signing,
    /// The base origin: chain n is `<origin>/<n>`.
    pub origin: String,
    /// When segments end.
    pub policy: Policy,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What it does before it ends: with Finish what is open is cut, else the next owner goes on with it.
    pub ending: Ending,
    /// What this process says of itself in the record of each chain when it begins.
    pub about: Vec<(String, String)>,
    /// What it tells Prometheus.
    pub metrics: Metrics,
}

impl Chainer {
    /// Seals until `stop` is set and the ending is reached. Err: it halted, or could not reach it, and why.
    pub fn run(&self, stop: &Stop) -> Result<(), Failure> {
        let started: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
        let watch = Mutex::new(ClockWatch::begin(self.clock.wall(), self.clock.boot()));
        let role = role(&self.origin);
        run_claims(&*self.stream, &role, self.ending, stop, |claim| self.own(claim, stop, (&started, &watch)))
    }

    fn own(
        &self,
        claim: &mut dyn Claim,
        stop: &Stop,
        (started, watch): (&Mutex<BTreeSet<u32>>, &Mutex<ClockWatch>),
    ) -> Result<(), Failure> {
        let chain = claim.lanes()[0].partition;
        let name = chain_origin(&self.origin, chain);
        let vkey = self.signing.vkey(&name);
        let guard = Guard::of(&self.guards, chain);

        let head: Head = opening::last_head(&*self.stream, &topics::sealed(chain))?;
        opening::check_history(&head, &vkey, &guard, &*self.archive)?;
        opening::check_source(claim, &head)?;
        info!(chain = name, size = head.size(), "goes on");

        let about: Vec<Attribute<'_>> =
            self.about.iter().map(|(key, value)| Attribute::text(key, value)).collect();
        let is_said = started.lock().unwrap_or_else(PoisonError::into_inner).contains(&chain);
        let tools = Tools {
            stream: &*self.stream,
            clock: &*self.clock,
            watch,
            started,
            signing: &self.signing,
            policy: &self.policy,
            ending: self.ending,
        };
        let chain_state = Chain::resume(&name, vkey, &head);
        let metrics = self.metrics.of(chain);
        let mut owner = Owner::new(tools, claim, chain_state, &head, guard, metrics);
        owner.run(stop, (!is_said).then_some(about.as_slice()))
    }
}

#[cfg(test)]
mod tests;
