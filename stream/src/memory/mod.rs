//! The stream of tests: lanes in memory, which outlive the stages that use them, and faults on demand.
//!
//! It keeps the promises to the letter where a stage might rely on more: each claim's commit leaves a hole in the
//! offsets, as Kafka's markers do, and a trim lets go of exactly what it was told to.

mod faults;
mod lane;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::Clock;

use self::lane::MemoryLane;
use crate::owners::{self, Owners, Shelf};
use crate::{Batch, Error, Groups, Kind, Lane, Limit, Log, Member, Result, Role, topics};

pub use faults::Fault;

/// Lanes in memory. A clone is the same stream: a test drops every stage and starts new ones on it.
#[derive(Clone)]
pub struct Memory(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    max_record_bytes: usize,
    lanes: Mutex<Lanes>,
    owners: Owners,
}

/// All lanes under one lock, so that a write is seen on all of them at once.
struct Lanes {
    by_name: BTreeMap<Lane, MemoryLane>,
    faults: faults::Plan,
}

impl Memory {
    /// Empty topics, each with its number of partitions.
    pub fn new(topics: &[(&str, u32)], clock: Arc<dyn Clock>) -> Memory {
        let lanes =
            topics.iter().flat_map(|(topic, partitions)| (0..*partitions).map(|p| Lane::new(topic, p)));
        let by_name = lanes.map(|lane| (lane, MemoryLane::default())).collect();
        let lanes = Mutex::new(Lanes { by_name, faults: faults::Plan::default() });
        let max_record_bytes = topics::MAX_RECORD_BYTES;
        Memory(Arc::new(Inner { clock, max_record_bytes, lanes, owners: Owners::default() }))
    }

    /// How many writes were asked for so far: each `append` and each `commit` is one, whatever came of it.
    pub fn writes(&self) -> u64 {
        self.0.lanes().faults.writes()
    }

    /// Lets write number `write` fail, counted from 0 as `writes` counts. So a test that ran once without faults
    /// knows all that there are, and runs again with each of them failing.
    pub fn fail(&self, write: u64, fault: Fault) {
        self.0.lanes().faults.fail(write, fault);
    }

    /// From now on the lane answers every write with `Full`, or takes them again.
    pub fn refuse(&self, lane: &Lane, refuse: bool) {
        self.0.lanes().faults.refuse(lane, refuse);
    }

    /// Ends every claim on the lane, as a broker does that has not heard from the owner. The newest member of each
    /// group may win it again.
    pub fn revoke(&self, lane: &Lane) {
        self.0.owners.revoke(lane);
    }
}

impl Inner {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One write: nothing of it or all of it, whatever the plan says about the answer.
    fn write(&self, records: &Batch, marker: bool, beside: &mut dyn FnMut()) -> Result<()> {
        let time_ms = self.clock.wall().0 / 1_000;
        let mut lanes = self.lanes();
        let fault = lanes.faults.next_write();
        for record in records.iter() {
            lanes.get(record.lane)?;
        }
        for (index, record) in records.iter().enumerate() {
            let size = records.packed(index).map_or(0, |p| p.body.len());
            if size > self.max_record_bytes {
                let what = format!("a record of {size} bytes is larger than {} takes", record.lane);
                return Err(Error::new(Kind::TooLarge, what));
            }
        }
        lanes.faults.check(fault, records)?;
        for lane in records.lanes() {
            if let Some(memory) = lanes.by_name.get_mut(lane) {
                memory.write(records, lane, time_ms, marker);
            }
        }
        beside();
        drop(lanes);
        self.owners.bell.ring();
        match fault {
            Some(Fault::Unheard) => Err(faults::unheard()),
            _ => Ok(()),
        }
    }
}

impl Lanes {
    fn get(&self, lane: &Lane) -> Result<&MemoryLane> {
        let what =
            || Error::new(Kind::Refused, format!("this stream has no lane {lane}: name it in Memory::new"));
        self.by_name.get(lane).ok_or_else(what)
    }
}

impl Shelf for Inner {
    fn owners(&self) -> &Owners {
        &self.owners
    }

    fn lanes(&self, topic: &str) -> Result<Vec<Lane>> {
        let lanes: Vec<_> =
            Inner::lanes(self).by_name.keys().filter(|l| &*l.topic == topic).cloned().collect();
        if lanes.is_empty() {
            return Err(Error::new(
                Kind::Refused,
                format!("this stream has no topic {topic}: name it in Memory::new"),
            ));
        }
        Ok(lanes)
    }

    fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit) -> Result<()> {
        Inner::lanes(self).get(lane)?.read(lane, from, into, limit)
    }

    fn commit(&self, outputs: &Batch, beside: &mut dyn FnMut()) -> Result<()> {
        self.write(outputs, true, beside)
    }
}

impl Log for Memory {
    fn append(&self, records: &Batch) -> Result<()> {
        self.0.write(records, false, &mut || {})
    }

    fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()> {
        owners::read(&*self.0, (lane, from), into, limit, wait)
    }

    fn last(&self, lane: &Lane) -> Result<Batch> {
        self.0.lanes().get(lane)?.last(lane)
    }

    fn trim(&self, lane: &Lane, before: u64) -> Result<()> {
        let mut lanes = self.0.lanes();
        lanes.get(lane)?;
        if let Some(memory) = lanes.by_name.get_mut(lane) {
            memory.trim(before);
        }
        Ok(())
    }
}

impl Groups for Memory {
    fn join(&self, role: &Role) -> Result<Box<dyn Member>> {
        owners::join(&self.0, role)
    }

    fn positions(&self, group: &str, lanes: &[Lane]) -> Result<Vec<Option<u64>>> {
        Ok(lanes.iter().map(|lane| self.0.owners.position(group, lane)).collect())
    }
}

#[cfg(test)]
mod tests;
