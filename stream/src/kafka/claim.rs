//! What one owner holds: it takes from its lanes and commits for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer, ConsumerGroupMetadata};
use rdkafka::{Offset, TopicPartitionList};
use runtime::Deadline;

use super::feed::{Feed, Tap};
use super::group::GroupConsumer;
use super::hold::{Hold, Holds};
use super::records::{Room, check_sizes};
use super::transaction::{Failed, Transactions};
use crate::{Batch, Claim, Error, Kind, Lane, Limit, Result};

/// A bell that was missed is noticed after this.
const LOOK: Duration = Duration::from_millis(100);

/// See the module's text.
pub(super) struct KafkaClaim {
    hold: Arc<Hold>,
    holds: Arc<Holds>,
    /// Weak: the member's end is the end of its place in the group.
    group: Weak<GroupConsumer>,
    feed: Arc<Feed>,
    taps: Vec<Tap>,
    /// Which tap is served first; it goes round, so that no lane waits behind a long one.
    turn: usize,
    /// None for a reader, and after an error.
    producer: Option<Transactions>,
    is_reader: bool,
    /// As whom the last batch was read: the generation of the group at that time.
    read_as: Option<ConsumerGroupMetadata>,
    /// Where each lane stands: what was committed last, or where it was started. A commit that brings no position sends
    /// these once more, so that the group keeps out who has lost the lanes even then.
    stands_at: BTreeMap<Lane, u64>,
    /// How it ended, if by an error.
    ended: Option<Kind>,
}

impl KafkaClaim {
    /// Of lanes that are owned, with a producer that has fenced its predecessors.
    pub fn new(
        hold: Arc<Hold>,
        holds: Arc<Holds>,
        group: Weak<GroupConsumer>,
        feed: Arc<Feed>,
        producer: Option<Transactions>,
    ) -> KafkaClaim {
        let read_as = group.upgrade().and_then(|group| group.group_metadata());
        let is_reader = producer.is_none();
        KafkaClaim {
            hold,
            holds,
            group,
            feed,
            taps: Vec::new(),
            turn: 0,
            producer,
            is_reader,
            read_as,
            stands_at: BTreeMap::new(),
            ended: None,
        }
    }

    /// The group's client, while this claim is alive.
    fn alive(&self) -> Result<Arc<GroupConsumer>> {
        let lanes = self.names();
        if let Some(kind) = self.ended {
            return Err(Error::new(kind, format!("the claim on {lanes} ended with an error; drop it")));
        }
        match self.group.upgrade() {
            Some(group) if !self.hold.is_lost() && !group.assignment_lost() => Ok(group),
            _ => Err(Error::new(Kind::Lost, format!("{lanes} is another owner's now"))),
        }
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.hold.lanes.iter().map(Lane::to_string).collect();
        names.join(", ")
    }

    /// Ends the claim: nothing is read or written through it any more.
    fn end(&mut self, error: Error) -> Error {
        self.ended = Some(error.kind());
        self.taps.clear();
        self.producer = None;
        error
    }

    fn try_take(&mut self, into: &mut Batch, limit: Limit, deadline: Deadline) -> Result<()> {
        let group = self.alive()?;
        if self.taps.len() < self.hold.lanes.len() {
            let what = format!("not every lane of {} was given an offset to start at", self.names());
            return Err(Error::new(Kind::Refused, what));
        }
        // Before the first record: should a rebalance come between, the older generation is the one that is refused.
        self.read_as = group.group_metadata();
        drop(group);
        let mut room = Room::new(limit);
        loop {
            let heard = self.hold.bell.heard();
            let count = self.taps.len();
            for n in 0..count {
                self.taps[(self.turn + n) % count].fill(into, &mut room)?;
            }
            self.turn = (self.turn + 1) % count;
            self.alive()?;
            if room.taken() > 0 || deadline.passed() {
                return Ok(());
            }
            self.hold.bell.wait(heard, &Deadline::after(deadline.left().min(LOOK)));
        }
    }

    fn try_commit(&mut self, outputs: &Batch, positions: &[(Lane, u64)]) -> Result<()> {
        let group = self.alive()?;
        check_sizes(outputs)?;
        if outputs.is_empty() && positions.is_empty() {
            return Ok(());
        }
        for (lane, position) in positions {
            if !self.hold.lanes.contains(lane) {
                return Err(Error::new(Kind::Refused, format!("{lane} is not one of {}", self.names())));
            }
            self.stands_at.insert(lane.clone(), *position);
        }
        let mut list = TopicPartitionList::new();
        for (lane, position) in &self.stands_at {
            let offset = Offset::Offset(*position as i64);
            list.add_partition_offset(&lane.topic, lane.partition as i32, offset).map_err(|e| {
                Error::caused(Kind::Refused, format!("{position} is no position in {lane}"), e)
            })?;
        }
        if self.is_reader {
            if !outputs.is_empty() {
                return Err(Error::new(Kind::Refused, "a reader has no outputs"));
            }
            return group.commit(&list, CommitMode::Sync).map_err(|e| {
                group.context().ear().explain(format!("the position in {} was not kept", self.names()), e)
            });
        }
        let (Some(producer), Some(read_as)) = (&self.producer, &self.read_as) else {
            return Err(Error::new(Kind::Lost, format!("{} is another owner's now", self.names())));
        };
        producer.commit(outputs, &list, read_as).map_err(|Failed { error, fenced }| {
            if fenced {
                self.holds.set_fenced();
            }
            error
        })
    }
}

impl Claim for KafkaClaim {
    fn lanes(&self) -> &[Lane] {
        &self.hold.lanes
    }

    fn start_at(&mut self, lane: &Lane, offset: u64) -> Result<()> {
        self.alive()?;
        if !self.hold.lanes.contains(lane) {
            return Err(Error::new(Kind::Refused, format!("{lane} is not one of {}", self.names())));
        }
        // The old tap goes first: both would be on one queue.
        self.taps.retain(|tap| tap.lane() != lane);
        match self.feed.open(lane, offset, &self.hold.bell) {
            Ok(tap) => {
                self.taps.push(tap);
                self.stands_at.entry(lane.clone()).or_insert(offset);
                Ok(())
            }
            Err(error) => Err(self.end(error)),
        }
    }

    fn take(&mut self, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()> {
        self.try_take(into, limit, Deadline::after(wait)).map_err(|error| match error.kind() {
            Kind::OutOfRange { .. } => error,
            _ => self.end(error),
        })
    }

    /// The lanes stay with this member of the group until the call is over.
    fn commit(&mut self, outputs: &Batch, positions: &[(Lane, u64)]) -> Result<()> {
        let hold = Arc::clone(&self.hold);
        let _committing = hold.committing();
        self.try_commit(outputs, positions).map_err(|error| match error.kind() {
            Kind::TooLarge => error,
            _ => self.end(error),
        })
    }
}

impl Drop for KafkaClaim {
    /// Its lanes may be claimed again, once nothing is read for it and its producer is gone.
    fn drop(&mut self) {
        self.taps.clear();
        self.producer = None;
        self.hold.release();
    }
}
