//! The lanes of one claim, and what has come of each.

use std::collections::BTreeMap;

use rdkafka::message::{BorrowedMessage, Message};

use super::REMEDY;
use crate::kafka::mark::Mark;
use crate::kafka::positions::Committed;
use crate::kafka::records::Room;
use crate::{Batch, Error, Kind, Lane, Result};

/// The lanes, sorted.
pub(super) struct Inlets {
    pub all: Vec<Inlet>,
    /// By topic and partition, as Kafka knows them.
    pub by_name: BTreeMap<String, BTreeMap<i32, usize>>,
}

/// One lane.
pub(super) struct Inlet {
    pub lane: Lane,
    /// The same as Kafka knows it.
    pub place: Lane,
    pub at: At,
    /// What was committed last, or where it was started.
    pub stands: Option<Committed>,
    /// Whether the group has a position here at all.
    pub has_position: bool,
    /// Behind the last record that was taken.
    pub taken: Option<Committed>,
}

/// How far it is with a lane.
#[derive(Clone, Copy)]
pub(super) enum At {
    /// Nobody has said.
    Unknown,
    /// To be begun here. The bounds are those when it was last looked.
    Due { from: u64, bounds: Option<(u64, u64)> },
    /// Fetched. `next` is given out next; the record before it must have the mark, if there is one.
    Open { next: u64, expected: Option<Mark> },
}

impl Inlets {
    /// None of them begun; `places` are the same lanes as Kafka knows them.
    pub fn new(lanes: &[Lane], places: Vec<Lane>) -> Inlets {
        let mut by_name: BTreeMap<String, BTreeMap<i32, usize>> = BTreeMap::new();
        for (n, place) in places.iter().enumerate() {
            by_name.entry(place.topic.to_string()).or_default().insert(place.partition as i32, n);
        }
        let inlet = |(lane, place): (&Lane, Lane)| Inlet {
            lane: lane.clone(),
            place,
            at: At::Unknown,
            stands: None,
            has_position: false,
            taken: None,
        };
        Inlets { all: lanes.iter().zip(places).map(inlet).collect(), by_name }
    }

    /// The one of a lane, as stages know it.
    pub fn get(&self, lane: &Lane) -> Option<&Inlet> {
        let at = self.all.binary_search_by(|inlet| inlet.lane.cmp(lane)).ok()?;
        self.all.get(at)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, lane: &Lane) -> Option<&mut Inlet> {
        let at = self.all.binary_search_by(|inlet| inlet.lane.cmp(lane)).ok()?;
        self.all.get_mut(at)
    }

    /// Whether the group has a position in any of the topic's lanes that are here.
    pub fn has_position(&self, topic: &str) -> bool {
        let mut numbers = self.by_name.get(topic).into_iter().flat_map(BTreeMap::values);
        numbers.any(|n| self.all.get(*n).is_some_and(|inlet| inlet.has_position))
    }

    /// Those that are to be begun.
    pub fn due(&self) -> impl Iterator<Item = &Inlet> {
        self.all.iter().filter(|inlet| matches!(inlet.at, At::Due { .. }))
    }

    /// Gives the message out, unless it is the one that only its mark is wanted of.
    pub fn receive(
        &mut self,
        message: &BorrowedMessage,
        into: &mut Batch,
        spare: &mut Batch,
        room: &mut Room,
    ) -> Result<()> {
        let number = self.by_name.get(message.topic()).and_then(|lanes| lanes.get(&message.partition()));
        let Some(inlet) = number.and_then(|n| self.all.get_mut(*n)) else { return Ok(()) };
        let At::Open { next, expected } = &mut inlet.at else { return Ok(()) };
        let offset = message.offset() as u64;
        if let Some(expected) = expected.take()
            && offset + 1 == *next
            && Mark::of_message(message) != expected
        {
            let Lane { topic, partition } = &inlet.place;
            let what = format!(
                "{topic}/{partition} is not the lane that was read up to {next}: another record stands before that \
                 position now, so the topic was deleted and made anew, or has lost records. {REMEDY}"
            );
            return Err(Error::new(Kind::Refused, what).at(&inlet.lane));
        }
        if offset >= *next {
            *next = offset + 1;
            room.add(into, spare, &inlet.lane, message);
        }
        Ok(())
    }

    /// Remembers the last record of each lane, among those from `first` on, for the position behind it.
    pub fn keep_marks(&mut self, batch: &Batch, first: usize) {
        let mut records = (first..batch.len()).filter_map(|n| batch.get(n)).peekable();
        while let Some(record) = records.next() {
            // Records of one lane mostly come one behind the other.
            if records.peek().is_none_or(|next| next.lane_id != record.lane_id)
                && let Some(inlet) = self.get_mut(record.lane)
            {
                inlet.taken = Some(Committed { offset: record.offset + 1, mark: Some(Mark::of(&record)) });
            }
        }
    }
}
