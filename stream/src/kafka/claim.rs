//! What one owner holds: it takes from its lanes and commits for them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use runtime::Deadline;

use super::feed::{Feed, listed};
use super::group::GroupConsumer;
use super::hold::{Hold, Holds};
use super::intake::Intake;
use super::records::{Room, check_sizes};
use super::transaction::{Failed, Transactions};
use crate::{Batch, Claim, Error, Kind, Lane, Limit, Result};

/// A loss is noticed after this by a take that waits.
const LOOK: Duration = Duration::from_millis(100);

/// See the module's text.
pub(super) struct KafkaClaim {
    hold: Arc<Hold>,
    holds: Arc<Holds>,
    /// Weak: the member's end is the end of its place in the group.
    group: Weak<GroupConsumer>,
    /// None after an error.
    intake: Option<Intake>,
    /// None for a reader, and after an error.
    producer: Option<Transactions>,
    is_reader: bool,
    /// As whom the last batch was read: the generation of the group at that time.
    read_as: Option<ConsumerGroupMetadata>,
    /// How it ended, if by an error.
    ended: Option<Kind>,
}

impl KafkaClaim {
    /// Of lanes that are owned, with a producer that has fenced its predecessors. `name` is the group's, to Kafka.
    pub fn new(
        hold: Arc<Hold>,
        holds: Arc<Holds>,
        (group, name): (&Arc<GroupConsumer>, &str),
        feed: &Arc<Feed>,
        producer: Option<Transactions>,
    ) -> KafkaClaim {
        let intake = Intake::new(Arc::clone(feed), name.to_owned(), &hold.lanes);
        KafkaClaim {
            hold,
            holds,
            group: Arc::downgrade(group),
            intake: Some(intake),
            is_reader: producer.is_none(),
            producer,
            read_as: group.group_metadata(),
            ended: None,
        }
    }

    /// What is read, and the group's client, while this claim is alive.
    fn alive(&mut self) -> Result<(&mut Intake, Arc<GroupConsumer>)> {
        let lanes = &self.hold.lanes;
        if let Some(kind) = self.ended {
            let what = format!("the claim on {} ended with an error; drop it", listed(lanes.iter()));
            return Err(Error::new(kind, what));
        }
        match (&mut self.intake, self.group.upgrade()) {
            (Some(intake), Some(group)) if !self.hold.is_lost() && !group.assignment_lost() => {
                Ok((intake, group))
            }
            _ => Err(Error::new(Kind::Lost, format!("{} is another owner's now", listed(lanes.iter())))),
        }
    }

    fn not_ours(&self, lane: &Lane) -> Error {
        Error::new(Kind::Refused, format!("{lane} is not one of {}", listed(self.hold.lanes.iter())))
    }

    /// Ends the claim: nothing is read or written through it any more.
    fn end(&mut self, error: Error) -> Error {
        self.ended = Some(error.kind());
        self.intake = None;
        self.producer = None;
        error
    }

    fn try_take(&mut self, into: &mut Batch, limit: Limit, deadline: Deadline) -> Result<()> {
        let before = into.len();
        // Before the first record: should a rebalance come between, the older generation is the one that is refused.
        let read_as = self.alive()?.1.group_metadata();
        self.read_as = read_as;
        let mut room = Room::new(limit);
        loop {
            let (intake, group) = self.alive()?;
            intake.begin(&group)?;
            let look = Deadline::after(deadline.left().min(LOOK));
            intake.fill(&group, into, &mut room, &look)?;
            drop(group);
            let (intake, _) = self.alive()?;
            if room.taken() > 0 || deadline.passed() || limit.records == 0 {
                intake.keep_marks(into, before);
                return Ok(());
            }
        }
    }

    /// The positions as Kafka is told of them, each with its mark.
    fn listed(&mut self, positions: &[(Lane, u64)]) -> Result<TopicPartitionList> {
        let (intake, _) = self.alive()?;
        let refused = |lane: &Lane, offset: u64, e: KafkaError| {
            Error::caused(Kind::Refused, format!("{offset} is no position in {lane}"), e)
        };
        let mut list = TopicPartitionList::with_capacity(positions.len().max(1));
        for (lane, offset) in positions {
            let Some((place, position)) = intake.position(lane, *offset) else {
                return Err(self.not_ours(lane));
            };
            position.put(&mut list, place).map_err(|e| refused(place, *offset, e))?;
        }
        // Without one, one is repeated, so that the group keeps out who has lost the lanes even then.
        if let Some((place, position)) = intake.any_position().filter(|_| positions.is_empty()) {
            position.put(&mut list, place).map_err(|e| refused(place, position.offset, e))?;
        }
        Ok(list)
    }

    fn try_commit(&mut self, outputs: &Batch, positions: &[(Lane, u64)]) -> Result<()> {
        let (intake, group) = self.alive()?;
        check_sizes(outputs)?;
        if outputs.is_empty() && positions.is_empty() {
            return Ok(());
        }
        let had_position = intake.with_position(positions);
        let list = self.listed(positions)?;
        if self.is_reader {
            if !outputs.is_empty() {
                return Err(Error::new(Kind::Refused, "a reader has no outputs"));
            }
            let names = listed(self.hold.lanes.iter());
            return group.commit(&list, CommitMode::Sync).map_err(|e| {
                group.context().ear().explain(format!("the position in {names} was not kept"), e)
            });
        }
        let (Some(producer), Some(read_as)) = (&self.producer, &self.read_as) else {
            let names = listed(self.hold.lanes.iter());
            return Err(Error::new(Kind::Lost, format!("{names} is another owner's now")));
        };
        let check =
            || self.intake.iter().try_for_each(|intake| intake.check_positions(&group, &had_position));
        producer.commit(outputs, (&list, read_as), check).map_err(|Failed { error, fenced }| {
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
        if self.alive()?.0.start_at(lane, offset) { Ok(()) } else { Err(self.not_ours(lane)) }
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
        })?;
        if let (Some(intake), Some(group)) = (&mut self.intake, self.group.upgrade()) {
            intake.committed(&group);
        }
        Ok(())
    }
}

impl Drop for KafkaClaim {
    /// Its lanes may be claimed again, once nothing is read for it and its producer is gone.
    fn drop(&mut self) {
        self.intake = None;
        self.producer = None;
        self.hold.release();
    }
}
