//! The stage: lanes of audit.sealed are claimed, each read by a thread of its own from where the archive ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime::{Clock, Failure, Stop};
use schemas::event::Attribute;
use schemas::own_act::{CHAIN_OPENED, OwnAct};
use schemas::{Checkpoint, Layout, Micros, Place, derived_id, event_schema_hash, framing::SCHEMA_HEADER};
use store::Store;
use stream::{Batch, Claim, Kind, Lane, Limit, Stream, run_claims, topics};
use tracing::info;

use crate::assembly::{Assembly, Ready, Segment, first_seq_of};
use crate::metrics::{ChainMetrics, Metrics};
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
    /// Set when waiting for a store that is away has gone on for too long.
    pub abandon: Stop,
    /// How far each chain is.
    pub progress: Mutex<BTreeMap<u32, Progress>>,
    /// What it tells Prometheus.
    pub metrics: Metrics,
}

/// One chain being archived.
struct Lag<'a> {
    archiver: &'a Archiver,
    claim: &'a mut dyn Claim,
    lane: Lane,
    origin: String,
    layout: Layout,
    assembly: Assembly,
    hinted_at: Option<Micros>,
    /// A Checkpoint that `checkpoint` does not show yet.
    unhinted: Option<String>,
    metrics: ChainMetrics,
}

impl Archiver {
    /// Archives until `stop` is set and everything signed by then is archived. Err: it halted, and why.
    pub fn run(&self, stop: &Stop) -> Result<(), Failure> {
        run_claims(&*self.stream, &role(), stop, |claim| self.own(claim, stop))
    }

    fn own(&self, claim: &mut dyn Claim, stop: &Stop) -> Result<(), Failure> {
        let lane = claim.lanes()[0].clone();
        let origin = format!("{}/{}", self.origin, lane.partition);
        let assembly = resume(&*self.store, &origin)?;
        let metrics = self.metrics.of(lane.partition);
        metrics.archived_size.set(assembly.size() as i64);
        info!(chain = origin, archived = assembly.size(), "goes on");
        let layout = Layout::of(&origin);
        Lag {
            archiver: self,
            claim,
            lane,
            origin,
            layout,
            assembly,
            hinted_at: None,
            unhinted: None,
            metrics,
        }
        .run(stop)
    }
}

impl Lag<'_> {
    fn run(&mut self, stop: &Stop) -> Result<(), Failure> {
        if self.assembly.is_archived() {
            self.announce()?;
        }
        let mut next = self.start()?;
        let (mut taken, mut ready) = (Batch::new(), Vec::new());
        loop {
            taken.clear(KEEP_BYTES);
            self.claim.take(&mut taken, TAKE, LOOK)?;
            for record in taken.iter() {
                next = record.offset + 1;
                self.assembly.take(&record, &mut ready).map_err(Failure::Halt)?;
                for item in ready.drain(..) {
                    self.write(item)?;
                }
            }
            self.tell();
            if taken.is_empty() {
                self.hint_if_due(stop.is_set())?;
                if stop.is_set() && self.is_drained(next)? {
                    return Ok(());
                }
            }
        }
    }

    /// Sets the claim to where reading begins: the hint if what stands there is not past what is needed, else the
    /// lane's start. From there everything archived is read and skipped, so a wrong hint costs time only.
    fn start(&mut self) -> Result<u64, Failure> {
        let needed = Some(self.assembly.needs());
        let hint =
            self.archiver.stream.positions(&role().group, std::slice::from_ref(&self.lane))?[0].unwrap_or(0);
        let mut first = self.first_from(hint)?;
        if first.get(0).is_none_or(|record| first_seq_of(&record) > needed) {
            first = self.first_from(0)?;
        }
        if first.get(0).is_some_and(|record| first_seq_of(&record) > needed) {
            return Err(Failure::Halt(format!(
                "{}: begins after seq {}, which the archive of {} needs next. What lies between is lost here",
                self.lane,
                self.assembly.needs(),
                self.origin
            )));
        }
        let at = first.get(0).map_or(0, |record| record.offset);
        self.claim.start_at(&self.lane, at)?;
        Ok(at)
    }

    /// The first record at `from` or, if that is trimmed, at the lane's start. Empty if there is none.
    fn first_from(&mut self, from: u64) -> Result<Batch, Failure> {
        let (stream, mut first) = (&self.archiver.stream, Batch::new());
        if stream.last(&self.lane)?.last().is_none_or(|last| last.offset < from) {
            return Ok(first);
        }
        if let Err(error) = stream.read(&self.lane, from, &mut first, ONE, PATIENCE) {
            let Kind::OutOfRange { start, .. } = error.kind() else { return Err(error.into()) };
            stream.read(&self.lane, start, &mut first, ONE, PATIENCE)?;
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
                return writing.put_equal(&Place::Key(first_size), note.as_bytes());
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
        let note = writing.read_note(&Place::Checkpoint(0))?;
        let id = derived_id(&[self.origin.as_bytes(), CHAIN_OPENED.as_bytes()]);
        let attributes = [Attribute::text("checkpoint", &note)];
        let act = OwnAct {
            action: CHAIN_OPENED,
            id: &id,
            at: self.archiver.clock.wall(),
            target: Some(&self.origin),
            trouble: None,
            attributes: &attributes,
        };
        let mut opening = Batch::new();
        let lane = opening.lane(&topics::events(0));
        opening.push_with(lane, None, &[(SCHEMA_HEADER, event_schema_hash().bytes())], |value| {
            act.encode(value)
        });
        self.archiver.stream.append(&opening)?;
        writing.hint(&note)
    }

    fn writing(&self) -> Writing<'_> {
        Writing { store: &*self.archiver.store, layout: &self.layout, abandon: &self.archiver.abandon }
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

    /// Whether nothing that is committed has been left unread.
    fn is_drained(&self, next: u64) -> Result<bool, Failure> {
        let last = self.archiver.stream.last(&self.lane)?;
        Ok(last.last().is_none_or(|record| record.offset < next))
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
