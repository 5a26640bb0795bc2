//! The embedded log: lanes as files of one machine, for running without Kafka. docs/LOG.md has its format.
//!
//! Offsets are contiguous from 0. A commit is durable on each lane by itself, in the order of the lanes' numbers in
//! the batch: what a stage must find again after a crash belongs into the lane that is written last. Positions are
//! kept in memory only, for they are a hint.

mod disk;
mod file;
mod frame;
mod lane;
mod lock;
mod recover;
mod walk;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runtime::Clock;

use self::disk::{Disk, SystemDisk};
use self::lane::OpenLane;
use self::writer::Bounds;
use crate::owners::{self, Owners, Shelf};
use crate::{Batch, Error, Groups, Kind, Lane, LaneId, Limit, Log, Member, Result, Role, topics};

/// What an embedded log is made of.
#[derive(Clone)]
pub struct Options {
    /// The topics, each with its number of partitions. What is not there is made.
    pub lanes: Vec<(String, u32)>,
    /// A file is full at this size; a commit is never split.
    pub file_bytes: u64,
    /// What a lane may take on the disk. A write that would pass it is `Full` until something is trimmed.
    pub max_lane_bytes: u64,
    /// The largest record, key and headers included.
    pub max_record_bytes: usize,
    /// Where the records' times come from.
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// Files of 64 MiB, lanes of 16 GiB, the topics' record limit.
    pub fn new(lanes: &[(&str, u32)], clock: Arc<dyn Clock>) -> Options {
        Options {
            lanes: lanes.iter().map(|(topic, partitions)| ((*topic).to_owned(), *partitions)).collect(),
            file_bytes: 64 << 20,
            max_lane_bytes: 16 << 30,
            max_record_bytes: topics::MAX_RECORD_BYTES,
            clock,
        }
    }
}

/// The log of one folder. A clone is the same log.
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

struct Inner {
    lanes: BTreeMap<Lane, OpenLane>,
    max_record_bytes: usize,
    owners: Owners,
    /// Held as long as anyone uses the log; tests on a disk of their own have none.
    _lock: Option<File>,
}

impl Embedded {
    /// Opens the log in `dir`, which is made if it is not there: cuts off what a crash has left unfinished, and
    /// refuses (`Damaged`) what no crash can have left. One process at a time may have it open.
    pub fn open(dir: &Path, options: Options) -> Result<Embedded> {
        let disk = Arc::new(SystemDisk);
        disk.make_dir(dir)
            .map_err(|e| Error::caused(Kind::Refused, format!("cannot make {}", dir.display()), e))?;
        let lock = lock::take(dir)?;
        Embedded::open_on(disk, dir, options, Some(lock))
    }

    fn open_on(disk: Arc<dyn Disk>, dir: &Path, options: Options, lock: Option<File>) -> Result<Embedded> {
        let bounds = Bounds { file_bytes: options.file_bytes, max_lane_bytes: options.max_lane_bytes };
        let mut lanes = BTreeMap::new();
        for (topic, partitions) in &options.lanes {
            check_name(topic)?;
            for partition in 0..*partitions {
                let (name, folder) = (Lane::new(topic, partition), dir.join(format!("{topic}-{partition}")));
                let place = (disk.clone(), folder, options.clock.clone());
                lanes.insert(name.clone(), OpenLane::open(name, place, bounds)?);
            }
        }
        let max_record_bytes = options.max_record_bytes;
        Ok(Embedded(Arc::new(Inner { lanes, max_record_bytes, owners: Owners::default(), _lock: lock })))
    }
}

/// A topic's name becomes a folder's.
fn check_name(topic: &str) -> Result<()> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.is_empty() || topic.starts_with('.') || !topic.chars().all(sound) {
        let what = format!("{topic:?} cannot name a topic: use letters, digits, '.', '_' and '-'");
        return Err(Error::new(Kind::Refused, what));
    }
    Ok(())
}

impl Inner {
    fn lane(&self, lane: &Lane) -> Result<&OpenLane> {
        let what =
            || Error::new(Kind::Refused, format!("the log has no lane {lane}: name it when it is opened"));
        self.lanes.get(lane).ok_or_else(what)
    }

    /// Each lane's records durable together, lane after lane. Whatever can be refused is refused before any.
    fn write(&self, records: &Batch) -> Result<()> {
        self.check_sizes(records)?;
        let ids: Vec<LaneId> = records.lane_ids().collect();
        let mut lanes = Vec::new();
        for (id, name) in ids.into_iter().zip(records.lanes()) {
            let lane = self.lane(name)?;
            lane.check(records, id)?;
            lanes.push((id, lane));
        }
        let mut written = false;
        for (id, lane) in lanes {
            match lane.write(records, id) {
                Ok(any) => written |= any,
                // On the lanes before, it stays written: so it may not be said that nothing was.
                Err(e) if written && e.kind() == Kind::Full => {
                    return Err(Error::caused(Kind::Away, "only a part of the lanes was written", e));
                }
                Err(e) => return Err(e),
            }
            self.owners.bell.ring();
        }
        Ok(())
    }

    fn check_sizes(&self, records: &Batch) -> Result<()> {
        let size = |index| records.packed(index).map_or(0, |packed| packed.body.len());
        match (0..records.len()).find(|index| size(*index) > self.max_record_bytes) {
            Some(index) => {
                let (size, most) = (size(index), self.max_record_bytes);
                let what =
                    format!("record {index} of the batch has {size} bytes; {most} are the most that fit");
                Err(Error::new(Kind::TooLarge, what))
            }
            None => Ok(()),
        }
    }
}

impl Shelf for Inner {
    fn owners(&self) -> &Owners {
        &self.owners
    }

    fn lanes(&self, topic: &str) -> Result<Vec<Lane>> {
        let lanes: Vec<_> = self.lanes.keys().filter(|lane| &*lane.topic == topic).cloned().collect();
        if lanes.is_empty() {
            return Err(Error::new(
                Kind::Refused,
                format!("the log has no topic {topic}: name it when it is opened"),
            ));
        }
        Ok(lanes)
    }

    fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit) -> Result<()> {
        self.lane(lane)?.read(from, into, limit)
    }

    fn commit(&self, outputs: &Batch, beside: &mut dyn FnMut()) -> Result<()> {
        self.write(outputs)?;
        beside();
        Ok(())
    }
}

impl Log for Embedded {
    fn append(&self, records: &Batch) -> Result<()> {
        self.0.write(records)
    }

    fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()> {
        owners::read(&*self.0, (lane, from), into, limit, wait)
    }

    fn last(&self, lane: &Lane) -> Result<Batch> {
        self.0.lane(lane)?.last()
    }

    fn trim(&self, lane: &Lane, before: u64) -> Result<()> {
        self.0.lane(lane)?.trim(before)
    }
}

impl Groups for Embedded {
    fn join(&self, role: &Role) -> Result<Box<dyn Member>> {
        owners::join(&self.0, role)
    }

    fn positions(&self, group: &str, lanes: &[Lane]) -> Result<Vec<Option<u64>>> {
        Ok(lanes.iter().map(|lane| self.0.owners.position(group, lane)).collect())
    }
}

#[cfg(test)]
mod tests;
