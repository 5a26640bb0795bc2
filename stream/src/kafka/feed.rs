//! The client that the claims of one member read with, and whose turn it is to read.
//!
//! A claim on one lane has that lane's queue. A claim over all lanes reads the client's own queue, into which all lanes
//! flow: however many they are, the memory of one queue bounds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::bounds::{asked_until_known, not_read};
use super::failure::Ear;
use super::settings::Settings;
use crate::{Lane, Result};

/// The client. Not in the group, though it bears its name: its lanes are assigned by hand. Lanes are given as Kafka
/// knows them.
pub(super) struct Feed {
    pub consumer: Arc<BaseConsumer<Ear>>,
    pub settings: Arc<Settings>,
    pub ear: Ear,
    /// One queue over all lanes, instead of one a lane.
    whole: bool,
    turns: Mutex<Turns>,
}

#[derive(Default)]
struct Turns {
    count: u64,
    /// By lane, or one for all.
    by_queue: BTreeMap<Option<Lane>, Arc<Mutex<Turn>>>,
}

/// Who reads a queue. A claim that was lost may still be about to take a record when the next one has begun on the same
/// lanes; that record would be missing there. So a queue is read under this lock, and only by its owner.
#[derive(Default)]
pub(super) struct Turn {
    /// 0: nobody.
    pub owner: u64,
    /// What is fetched into the queue for the owner.
    pub lanes: BTreeSet<Lane>,
}

impl Turn {
    /// Waits until nobody reads the queue.
    pub fn of(turn: &Mutex<Turn>) -> MutexGuard<'_, Turn> {
        turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// Reads nothing yet. `group` is named as Kafka knows it.
    pub fn new(settings: Arc<Settings>, ear: &Ear, group: &str, whole: bool) -> Result<Feed> {
        let consumer = settings
            .reader(group)
            .create_with_context(ear.clone())
            .map_err(|e| ear.explain("the Kafka consumer could not be made", e))?;
        Ok(Feed { consumer: Arc::new(consumer), settings, ear: ear.clone(), whole, turns: Mutex::default() })
    }

    /// Whether its claim covers all lanes.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Takes the client's events. Where its queue has the records too, their reader takes both.
    pub fn serve(&self) {
        let turn = self.whole.then(|| self.turn(&None).1);
        let nobody = match &turn {
            None => None,
            Some(turn) => match turn.try_lock() {
                Ok(turn) if turn.owner == 0 => Some(turn),
                _ => return,
            },
        };
        while let Some(event) = self.consumer.poll(Duration::ZERO) {
            if let Err(error) = event {
                tracing::debug!(%error, "kafka");
            }
        }
        drop(nobody);
    }

    /// For a claim on these lanes: its number, and the turn that it may take.
    pub fn turn_for(&self, lanes: &[Lane]) -> (u64, Arc<Mutex<Turn>>) {
        self.turn(&lanes.first().filter(|_| !self.whole).cloned())
    }

    fn turn(&self, queue: &Option<Lane>) -> (u64, Arc<Mutex<Turn>>) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.count += 1;
        (turns.count, Arc::clone(turns.by_queue.entry(queue.clone()).or_default()))
    }

    /// The queue of a lane's own. None for a claim over all lanes.
    pub fn queue_of(&self, lane: &Lane) -> Result<Option<PartitionQueue<Ear>>> {
        if self.whole {
            return Ok(None);
        }
        let queue = self.consumer.split_partition_queue(&lane.topic, lane.partition as i32);
        let no_queue = || {
            self.ear
                .explain(format!("reading {lane} was not begun"), KafkaError::Global(Code::UnknownPartition))
        };
        queue.ok_or_else(no_queue).map(Some)
    }

    /// Begins to fetch these lanes, each from its offset.
    pub fn fetch(&self, turn: &mut Turn, from: &[(Lane, u64)]) -> Result<()> {
        let failed = |e| {
            self.ear
                .explain(format!("reading {} was not begun", listed(from.iter().map(|(lane, _)| lane))), e)
        };
        let mut list = TopicPartitionList::with_capacity(from.len());
        for (lane, offset) in from {
            let offset = Offset::Offset(*offset as i64);
            list.add_partition_offset(&lane.topic, lane.partition as i32, offset).map_err(failed)?;
        }
        self.consumer.incremental_assign(&list).map_err(failed)?;
        turn.lanes.extend(from.iter().map(|(lane, _)| lane.clone()));
        Ok(())
    }

    /// Ends fetching those of these lanes that are fetched; what has come of them and was not read is forgotten.
    pub fn leave<'l>(&self, turn: &mut Turn, lanes: impl Iterator<Item = &'l Lane>) -> Result<()> {
        let mut list = TopicPartitionList::new();
        for lane in lanes {
            if turn.lanes.remove(lane) {
                list.add_partition(&lane.topic, lane.partition as i32);
            }
        }
        if list.count() == 0 {
            return Ok(());
        }
        self.consumer.incremental_unassign(&list).map_err(|e| self.ear.explain("reading was not ended", e))
    }

    /// Ends fetching all of them.
    pub fn leave_all(&self, turn: &mut Turn) -> Result<()> {
        let all = turn.lanes.clone();
        self.leave(turn, all.iter())
    }

    /// What each of the lanes holds, in two requests a broker: its first offset, and one past the last that is committed
    /// for sure.
    pub fn bounds(&self, lanes: &[&Lane]) -> Result<Vec<(u64, u64)>> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let ask = |what| {
            asked_until_known(&self.consumer, lanes, self.settings.patience, |wait| {
                self.offsets(lanes, what, wait)
            })
            .map_err(|error| not_read(&self.ear, listed(lanes.iter().copied()), error))
        };
        let (starts, ends) = (ask(Offset::Beginning)?, ask(Offset::End)?);
        Ok(starts.into_iter().zip(ends).collect())
    }

    /// The first offset of each lane, or the one behind its last.
    fn offsets(&self, lanes: &[&Lane], what: Offset, wait: Duration) -> Result<Vec<u64>, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(lanes.len());
        for lane in lanes {
            list.add_partition_offset(&lane.topic, lane.partition as i32, what)?;
        }
        // Kafka knows the times before all records and behind all.
        let found = self.consumer.offsets_for_times(list, wait)?;
        let offset = |element: &TopicPartitionListElem| {
            element.error()?;
            match element.offset() {
                Offset::Offset(offset) => Ok(offset as u64),
                _ => Err(KafkaError::Global(Code::NoOffset)),
            }
        };
        found.elements().iter().map(offset).collect()
    }
}

/// The names of lanes in a message: the first few, and how many there are besides.
pub(super) fn listed<'l>(lanes: impl ExactSizeIterator<Item = &'l Lane>) -> String {
    const FEW: usize = 3;
    let more = lanes.len().saturating_sub(FEW);
    let names = lanes.take(FEW).map(Lane::to_string).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{names} and {more} more") } else { names }
}
