//! Takes one RawRecord into a batch: as an event, or as its rejection.

use schemas::Micros;
use stream::{Batch, LaneId, topics};

use crate::normalize::Normalizer;
use crate::record::{RawRecord, Rejection};
use crate::rejected::push_rejected;

/// Where one chain's records go, within one batch.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    pub(crate) rejected: LaneId,
    pub(crate) events: LaneId,
}

impl Lanes {
    /// The lanes of `chain`. A stream writes lanes in the order of their numbers, so the queue comes first: an item
    /// that is queued twice is harmless, one that the chain says was rejected and nobody has is lost.
    pub fn of(chain: u32, batch: &mut Batch) -> Lanes {
        let rejected = batch.lane(&topics::rejected(chain));
        Lanes { rejected, events: batch.lane(&topics::events(chain)) }
    }
}

impl Normalizer {
    /// Adds the record's event to `into`, or what its rejection leaves; says why if it was rejected. Its id is then
    /// [`Normalizer::id`].
    pub fn take(
        &mut self,
        record: &RawRecord<'_>,
        received_at: Micros,
        into: &mut Batch,
        lanes: Lanes,
    ) -> Result<(), Rejection> {
        self.normalize(record, received_at, into, lanes.events).inspect_err(|rejection| {
            self.push_rejection(rejection, record, received_at, into, lanes);
        })
    }

    /// Adds what the rejection of a record leaves that was not even normalized.
    pub fn reject(
        &mut self,
        rejection: &Rejection,
        record: &RawRecord<'_>,
        received_at: Micros,
        into: &mut Batch,
        lanes: Lanes,
    ) {
        self.fall_back(record);
        self.push_rejection(rejection, record, received_at, into, lanes);
    }

    fn push_rejection(
        &self,
        rejection: &Rejection,
        record: &RawRecord<'_>,
        received_at: Micros,
        into: &mut Batch,
        lanes: Lanes,
    ) {
        let item_bytes = self.limits().item_bytes;
        push_rejected(rejection, record, (self.id(), received_at), item_bytes, into, lanes);
    }
}
