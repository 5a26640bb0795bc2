//! The stage: lanes of audit.sealed are claimed, each read by a thread of its own from where the archive ends.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime::{Clock, Ending, Failure, Stop};
use schemas::{Checkpoint, Layout, Micros, Place};
use store::Store;
use stream::{Batch, Claim, Kind, Lane, Limit, Stream, end_of, run_claims};
use tracing::info;

use crate::assembly::{Assembly, Ready, Segment, first_seq_of};
use crate::metrics::{ChainMetrics, Metrics};
use crate::opening;
use crate::resume::resume;
use crate::role;
use crate::writing::Writing;

const LOOK: Duration = Duration::from_millis(100);
/// How long a record that is there may take to be read.
const PATIENCE: Duration = Duration::from_secs(10);
const ONE: Limit = Limit { records: 1, bytes: 1 };
const TAKE: Limit = Limit { records: 10_000, bytes: 16 << 20 };
const KEEP_BYTES: usize = 4 << 20;
/// `checkpoint` is replaced no more often.
const HINT_EVERY_US: i64 = 60_000_000;

/// How far a chain is: links seen in audit.sealed, and links that the archive covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Links taken from audit.sealed.
    pub sealed: u64,
    /// Links in the archive, under a Checkpoint.
    pub archived: u64,
}

/// What archives the chains of one origin. Any number of them share the work.
pub struct Archiver {
    /// The seam to the other stages.
    pub stream: Arc<dyn Stream>,
    /// The archive.
    pub store: Arc<dyn Store>,
    /// The base origin: chain n is `<origin>/<n>`.
    pub origin: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether it lays what is due over junk that stands in its place, where otherwise it halts. Never over what the
    /// chain's key has signed. It takes the right to put without `If-None-Match`: not the archiver's own identity.
    pub lay_over: bool,
    /// What it does before it ends: with Finish everything that is signed by then is archived.
    pub ending: Ending,
    /// How far each chain is.
    pub progress: Mutex<BTreeMap<u32, Progress>>,
    /// What it tells Prometheus.
    pub metrics: Metrics,
}

/// One chain being archived.
struct Lag<'a> {
    archiver: &'a Archiver,
    claim: &'a mut dyn Claim,
    /// While a store is away it waits and keeps its place, until this is abandoned.
    stop: &'a Stop,
    lane: Lane,
    origin: String,
    layout: Layout,
    assembly: Assembly,
    hinted_at: Option<Micros>,
    /// A Checkpoint that `checkpoint` does not show yet.
    unhinted: Option<String>,
    /// Where audit.sealed ended when the stop was seen: up to there everything that is signed is archived.
    ends_at: Option<u64>,
    has_schema: Cell<bool>,
    metrics: ChainMetrics,
}

impl Archiver {
    /// Archives until `stop` is set and the ending is reached. Err(Halt): it halted, and why.
    /// Err(Retry): it was abandoned while something waited, which the next start archives.
    pub fn run(&self, stop: &Stop) -> Result<(), Failure> {
        run_claims(&*self.stream, &role(), self.ending, stop, |claim| self.own(claim, stop))
    }

    fn own(&self, claim: &mut dyn Claim, stop: &Stop) -> Result<(), Failure> {
        let lane = claim.lanes()[0].clone();
        let origin = format!("{}/{}", self.origin, lane.partition);
        let assembly = resume(&*self.store, &*self.stream, &lane, &origin, self.lay_over)?;
        let metrics = self.metrics.of(lane.partition);
        metrics.archived_size.set(assembly.size() as i64);
        let known = Progress { sealed: assembly.size(), archived: assembly.size() };
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).insert(lane.partition, known);
        info!(chain = origin, archived = assembly.size(), "goes on");
        let layout = Layout::of(&origin);
        Lag {
            archiver: self,
            claim,
            stop,
            lane,
            origin,
            layout,
            assembly,
            hinted_at: None,
            unhinted: None,
            ends_at: None,
            has_schema: Cell::new(false),
            metrics,
        }
        .run()
    }
}

impl Lag<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        if self.assembly.is_archived() {
            self.announce()?;
        }
        let mut next = self.start()?;
        let (mut taken, mut ready) = (Batch::new(), Vec::new());
        loop {
            taken.clear(KEEP_BYTES);
            self.claim.take(&mut taken, TAKE, LOOK).map_err(again_if_trimmed)?;
            for record in taken.iter() {
                next = record.offset + 1;
                self.assembly.take(&record, &mut ready).map_err(Failure::Halt)?;
                for item in ready.drain(..) {
                    self.write(item)?;
                }
            }
            self.tell();
            if self.may_end(next)? {
                return self.hint_if_due(true);
            }
            if taken.is_empty() {
                self.hint_if_due(false)?;
            }
        }
    }

    /// Whether it was asked to end, and what is left may be left. Others may go on sealing: what counts is what was
    /// there at the stop.
    fn may_end(&mut self, next: u64) -> Result<bool, Failure> {
        if !self.stop.is_set() || self.archiver.ending == Ending::HandOver {
            return Ok(self.stop.is_set());
        }
        if self.ends_at.is_none() {
            // The mark that ends the chainer's last commit may still be on its way.
            self.ends_at = end_of(&*self.archiver.stream, &self.lane)?;
        }
        let is_reached = self.ends_at.is_some_and(|ends_at| next >= ends_at);
        if !is_reached && self.stop.is_abandoned() {
            let origin = &self.origin;
            return Err(Failure::Retry(format!("{origin}: told to end before everything was archived")));
        }
        Ok(is_reached)
    }

    /// Sets the claim to where reading begins. From there everything archived is read and skipped, so a wrong hint
    /// costs time only.
    fn start(&mut self) -> Result<u64, Failure> {
        let first = self.first_record()?;
        let at = first.get(0).map_or(0, |record| record.offset);
        self.claim.start_at(&self.lane, at).map_err(again_if_trimmed)?;
        Ok(at)
    }

    /// The record to begin with: the last one if everything before it is archived, else the one at the hint if that is
    /// not past what is needed, else the lane's first. Empty if there is none.
    fn first_record(&self) -> Result<Batch, Failure> {
        let (stream, needs) = (&self.archiver.stream, self.assembly.needs());
        // While nothing is archived the genesis is needed, and Heads after it are of size 0 as well.
        if self.assembly.is_archived() {
            let last = stream.last(&self.lane)?;
            let size = last.last().and_then(|record| first_seq_of(&record));
            if size.is_some_and(|size| size <= needs) {
                return Ok(last);
            }
            let hints = stream.positions(&role().group, std::slice::from_ref(&self.lane))?;
            let first = self.first_from(hints[0].unwrap_or(0))?;
            if first.get(0).is_some_and(|record| first_seq_of(&record) <= Some(needs)) {
                return Ok(first);
            }
        }
        let first = self.first_from(0)?;
        if first.get(0).is_some_and(|record| first_seq_of(&record) > Some(needs)) {
            return Err(Failure::Halt(format!(
                "{}: begins after seq {needs}, which the archive of {} needs next. What lies between is lost here, unless \
                 notes that could not be read say that it is archived: `sealog verify` tells",
                self.lane, self.origin
            )));
        }
        Ok(first)
    }

    /// The first record at `from` or, if that is trimmed, at the lane's start. Empty if there is none.
    fn first_from(&self, from: u64) -> Result<Batch, Failure> {
        let (stream, mut first) = (&self.archiver.stream, Batch::new());
        if stream.last(&self.lane)?.last().is_none_or(|last| last.offset < from) {
            return Ok(first);
        }
        if let Err(error) = stream.read(&self.lane, from, &mut first, ONE, PATIENCE) {
            let Kind::OutOfRange { start, .. } = error.kind() else { return Err(error.into()) };
            stream.read(&self.lane, start, &mut first, ONE, PATIENCE).map_err(again_if_trimmed)?;
        }
        match first.is_empty() {
            false => Ok(first),
            true => {
                Err(Failure::Retry(format!("{}: what stands at {from} could not be read in time", self.lane)))
            }
        }
    }

    fn write(&mut self, ready: Ready) -> Result<(), Failure> {
        let writing = self.writing();
        let (note, checkpoint, segment, places) = match ready {
            Ready::Key { note, first_size } => {
                return writing.put(&Place::Key(first_size), note.as_bytes());
            }
            Ready::Checkpoint { note, checkpoint, segment, places } => (note, checkpoint, segment, places),
        };
        let timer = self.metrics.write_seconds.start_timer();
        writing.write(segment.as_deref(), &checkpoint, &note)?;
        timer.observe_duration();
        // If we die here, the hint is old: whoever comes next reads and skips more.
        if checkpoint.size == 0 {
            self.announce()?;
        }
        let now = self.archiver.clock.wall();
        match self.hinted_at {
            Some(at) if now.0 - at.0 < HINT_EVERY_US => self.unhinted = Some(note),
            _ => {
                self.writing().hint(&note)?;
                (self.hinted_at, self.unhinted) = (Some(now), None);
            }
        }
        self.claim.commit(&Batch::new(), &[(self.lane.clone(), places.head_offset + 1)])?;
        self.count(segment.as_deref(), &checkpoint);
        Ok(())
    }

    /// Chain 0 records the opening of every other chain, once that has its Checkpoint 0. `checkpoint` does not exist
    /// before this is done: if we die in between, whoever comes next does it again, with the same id.
    fn announce(&self) -> Result<(), Failure> {
        let writing = self.writing();
        if self.lane.partition == 0 || writing.has_hint()? {
            return Ok(());
        }
        let note = writing.read_checkpoint_0()?;
        opening::record(&*self.archiver.stream, &self.origin, &note, self.archiver.clock.wall())?;
        writing.hint(&note)
    }

    fn writing(&self) -> Writing<'_> {
        Writing {
            store: &*self.archiver.store,
            clock: &*self.archiver.clock,
            layout: &self.layout,
            vkey: self.assembly.vkey(),
            stop: self.stop,
            lay_over: self.archiver.lay_over,
            has_schema: &self.has_schema,
        }
    }

    fn hint_if_due(&mut self, stopping: bool) -> Result<(), Failure> {
        let now = self.archiver.clock.wall();
        let due = stopping || self.hinted_at.is_none_or(|at| now.0 - at.0 >= HINT_EVERY_US);
        if let Some(note) = self.unhinted.take_if(|_| due) {
            self.writing().hint(&note)?;
            self.hinted_at = Some(now);
        }
        Ok(())
    }

    fn count(&self, segment: Option<&Segment>, checkpoint: &Checkpoint) {
        if let Some(segment) = segment {
            self.metrics.segments.inc();
            self.metrics.events.inc_by(checkpoint.size - segment.first_seq.0);
            self.metrics.bytes.inc_by(segment.file.len() as u64);
            info!(
                chain = self.origin,
                size = checkpoint.size,
                bytes = segment.file.len(),
                "archived a segment"
            );
        }
        self.metrics.archived_size.set(checkpoint.size as i64);
        let mut progress = self.archiver.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.entry(self.lane.partition).or_default().archived = checkpoint.size;
    }

    fn tell(&self) {
        let oldest = self.assembly.oldest_waiting().map_or(0, |at| at.0 / 1_000_000);
        self.metrics.oldest_waiting.set(oldest);
        self.metrics.held_bytes.set(self.assembly.held_bytes() as i64);
        let mut progress = self.archiver.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let chain = progress.entry(self.lane.partition).or_default();
        chain.sealed = chain.sealed.max(self.assembly.size());
    }
}

/// What was to be read has been trimmed meanwhile. It is archived then, by whoever was faster: a new start sees that,
/// or halts.
fn again_if_trimmed(error: stream::Error) -> Failure {
    match error.kind() {
        Kind::OutOfRange { .. } => Failure::Retry(error.to_string()),
        _ => error.into(),
    }
}
