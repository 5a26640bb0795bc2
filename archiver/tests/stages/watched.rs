//! A stream that tells where its readers start and how much is read, and in which things happen at the wrong moment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stream::memory::Memory;
use stream::{Batch, Claim, Error, Groups, Kind, Lane, Limit, Log, Member, Result, Role, topics};

/// The stream.
pub struct Watched {
    memory: Memory,
    seen: Arc<Seen>,
}

/// What was seen, and what is to happen.
#[derive(Default)]
struct Seen {
    starts: Mutex<Vec<u64>>,
    /// The archiver has just said where it starts, and has read nothing: then audit.sealed is trimmed up to here.
    trim_at_start: Mutex<Option<u64>>,
    reads: AtomicU64,
    no_positions: AtomicBool,
    no_trimming: AtomicBool,
}

impl Watched {
    pub fn over(memory: Memory) -> Watched {
        Watched { memory, seen: Arc::default() }
    }

    /// Where readers of audit.sealed started since this was asked last.
    pub fn starts(&self) -> Vec<u64> {
        std::mem::take(&mut self.seen.starts.lock().unwrap())
    }

    /// How often lanes were read without a claim since this was asked last.
    pub fn reads(&self) -> u64 {
        self.seen.reads.swap(0, SeqCst)
    }

    pub fn trim_at_next_start(&self, before: u64) {
        *self.seen.trim_at_start.lock().unwrap() = Some(before);
    }

    /// As when the broker let the group's positions expire.
    pub fn forget_positions(&self) {
        self.seen.no_positions.store(true, SeqCst);
    }

    /// As for an identity that may not delete records.
    pub fn refuse_trimming(&self) {
        self.seen.no_trimming.store(true, SeqCst);
    }

    /// The first offset that the lane holds.
    pub fn start_of(&self, lane: &Lane) -> u64 {
        match self.memory.read(lane, 0, &mut Batch::new(), Limit { records: 1, bytes: 1 }, Duration::ZERO) {
            Ok(()) => 0,
            Err(error) => match error.kind() {
                Kind::OutOfRange { start, .. } => start,
                _ => panic!("{error}"),
            },
        }
    }
}

impl Log for Watched {
    fn append(&self, records: &Batch) -> Result<()> {
        self.memory.append(records)
    }

    fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()> {
        self.seen.reads.fetch_add(1, SeqCst);
        self.memory.read(lane, from, into, limit, wait)
    }

    fn last(&self, lane: &Lane) -> Result<Batch> {
        self.memory.last(lane)
    }

    fn trim(&self, lane: &Lane, before: u64) -> Result<()> {
        match self.seen.no_trimming.load(SeqCst) {
            true => Err(Error::new(Kind::Refused, "Topic authorization failed")),
            false => self.memory.trim(lane, before),
        }
    }
}

impl Groups for Watched {
    fn join(&self, role: &Role) -> Result<Box<dyn Member>> {
        let (memory, seen) = (self.memory.clone(), self.seen.clone());
        Ok(Box::new(WatchedMember { member: self.memory.join(role)?, memory, seen }))
    }

    fn positions(&self, group: &str, lanes: &[Lane]) -> Result<Vec<Option<u64>>> {
        match self.seen.no_positions.load(SeqCst) {
            true => Ok(vec![None; lanes.len()]),
            false => self.memory.positions(group, lanes),
        }
    }
}

struct WatchedMember {
    member: Box<dyn Member>,
    memory: Memory,
    seen: Arc<Seen>,
}

impl Member for WatchedMember {
    fn poll(&mut self, wait: Duration) -> Result<Option<Box<dyn Claim>>> {
        let (memory, seen) = (self.memory.clone(), self.seen.clone());
        let claim = self.member.poll(wait)?;
        Ok(claim.map(|claim| Box::new(WatchedClaim { claim, memory, seen }) as Box<dyn Claim>))
    }

    fn is_settled(&self) -> bool {
        self.member.is_settled()
    }
}

struct WatchedClaim {
    claim: Box<dyn Claim>,
    memory: Memory,
    seen: Arc<Seen>,
}

impl Claim for WatchedClaim {
    fn lanes(&self) -> &[Lane] {
        self.claim.lanes()
    }

    fn start_at(&mut self, lane: &Lane, offset: u64) -> Result<()> {
        self.claim.start_at(lane, offset)?;
        if &*lane.topic == topics::SEALED {
            self.seen.starts.lock().unwrap().push(offset);
            if let Some(before) = self.seen.trim_at_start.lock().unwrap().take() {
                self.memory.trim(lane, before)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()> {
        self.claim.take(into, limit, wait)
    }

    fn commit(&mut self, outputs: &Batch, positions: &[(Lane, u64)]) -> Result<()> {
        self.claim.commit(outputs, positions)
    }
}
