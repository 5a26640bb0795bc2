//! What the claims of one member read: one client, a queue for each lane.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Message, Offset};

use super::failure::Ear;
use super::records::Room;
use super::settings::Settings;
use super::{bounds, out_of_range, partition};
use crate::bell::Bell;
use crate::{Batch, Error, Kind, Lane, Result};

/// The client. Not in the group, though it bears its name: its lanes are assigned by hand.
pub(super) struct Feed {
    consumer: Arc<BaseConsumer<Ear>>,
    ear: Ear,
    patience: Duration,
    /// Which tap has the lane now; a lane can be opened again before its old tap is gone.
    open: Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    taps: BTreeMap<Lane, u64>,
    count: u64,
}

/// One lane that is being read, from an offset on.
pub(super) struct Tap {
    lane: Lane,
    from: u64,
    number: u64,
    /// One record that did not fit into the batch it was to go to.
    spare: Batch,
    queue: PartitionQueue<Ear>,
    /// Dropped after the queue, which must not be the last to hold the client.
    feed: Arc<Feed>,
}

impl Feed {
    /// Reads nothing yet.
    pub fn new(settings: &Settings, ear: &Ear, group: &str) -> Result<Feed> {
        let consumer = settings
            .reader(group)
            .create_with_context(ear.clone())
            .map_err(|e| ear.explain("the Kafka consumer could not be made", e))?;
        let (ear, patience) = (ear.clone(), settings.patience);
        Ok(Feed { consumer: Arc::new(consumer), ear, patience, open: Mutex::default() })
    }

    /// Takes the client's events. Records come by the lanes' own queues.
    pub fn serve(&self) {
        while let Some(event) = self.consumer.poll(Duration::ZERO) {
            if let Err(error) = event {
                tracing::debug!(%error, "kafka");
            }
        }
    }

    /// Begins to read `lane` at `offset`; `bell` rings when there is something. Whoever read it before reads no more.
    pub fn open(self: &Arc<Feed>, lane: &Lane, from: u64, bell: &Arc<Bell>) -> Result<Tap> {
        let failed = |e| self.ear.explain(format!("reading {lane} was not begun"), e);
        let mut open = self.opened();
        if open.taps.remove(lane).is_some() {
            self.consumer.incremental_unassign(&partition(lane, Offset::Invalid)).map_err(failed)?;
        }
        // Split before it is assigned, or the first records would go to the queue that all lanes share.
        let queue = self.consumer.split_partition_queue(&lane.topic, lane.partition as i32);
        let mut queue = queue.ok_or_else(|| failed(KafkaError::Global(Code::UnknownPartition)))?;
        let rings = Arc::clone(bell);
        queue.set_nonempty_callback(move || rings.ring());
        self.consumer.incremental_assign(&partition(lane, Offset::Offset(from as i64))).map_err(failed)?;
        open.count += 1;
        let number = open.count;
        open.taps.insert(lane.clone(), number);
        Ok(Tap { lane: lane.clone(), from, number, spare: Batch::new(), queue, feed: Arc::clone(self) })
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap {
    /// The lane it reads.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Adds what is there, as far as there is room.
    pub fn fill(&mut self, into: &mut Batch, room: &mut Room) -> Result<()> {
        room.add_spare(into, &mut self.spare);
        while self.spare.is_empty() && !room.is_full() {
            match self.queue.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    self.from = message.offset() as u64 + 1;
                    room.add(into, &mut self.spare, &self.lane, &message);
                }
                Some(Err(error)) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    fn failed(&self, error: KafkaError) -> Error {
        let (feed, lane) = (&self.feed, &self.lane);
        if error.rdkafka_error_code() == Some(Code::AutoOffsetReset) {
            // No reset is allowed, so this is how it says that the offset is not there.
            return match bounds(&feed.consumer, &feed.ear, lane, feed.patience) {
                Ok(bounds) if (bounds.0..=bounds.1).contains(&self.from) => {
                    Error::caused(Kind::Away, format!("{lane} could not be read at {}", self.from), error)
                }
                Ok(bounds) => out_of_range(lane, self.from, bounds),
                Err(error) => error,
            };
        }
        feed.ear.explain(format!("reading {lane} failed"), error)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let mut open = self.feed.opened();
        if open.taps.get(&self.lane) == Some(&self.number) {
            open.taps.remove(&self.lane);
            // Fails only when the client is at its end, and then it reads nothing anyway.
            let _ = self.feed.consumer.incremental_unassign(&partition(&self.lane, Offset::Invalid));
        }
    }
}
