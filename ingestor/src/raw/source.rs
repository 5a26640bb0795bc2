//! The raw lanes of one claim: where each stands, and what of it is gone.

use std::collections::HashMap;

use runtime::Failure;
use schemas::event::Attribute;
use schemas::framing::SCHEMA_HEADER;
use schemas::own_act::{GAP, OwnAct};
use schemas::{Micros, derived_id, event_schema_hash};
use stream::{Batch, Error, Kind, Lane};

use crate::Lanes;
use crate::ids::route;

/// One raw lane while it is claimed.
pub(super) struct Source {
    pub lane: Lane,
    /// What its events name as their producer: the topic is all that Kafka vouches for.
    pub producer: String,
    /// A lane's events stay in order, so they stay on one chain.
    pub chain: u32,
    /// One past the last record that was committed or taken. None: nobody has read here yet.
    position: Option<u64>,
    /// Offsets that were gone before they were read: from, and up to but without. Not said on the chain yet.
    gap: Option<(u64, u64)>,
    /// Whether the position has moved since the last commit.
    moved: bool,
}

/// All of them.
pub(super) struct Sources {
    all: Vec<Source>,
    by_lane: HashMap<Lane, usize>,
}

impl Sources {
    /// These lanes, each with the group's position in it.
    pub fn new(lanes: &[Lane], positions: &[Option<u64>], chains: u32) -> Sources {
        let source = |(lane, position): (&Lane, &Option<u64>)| {
            let producer = format!("kafka:{}", lane.topic);
            let chain = route(&format!("{producer}/{}", lane.partition), chains);
            Source { lane: lane.clone(), producer, chain, position: *position, gap: None, moved: false }
        };
        let all = lanes.iter().zip(positions).map(source).collect();
        let by_lane = lanes.iter().enumerate().map(|(n, lane)| (lane.clone(), n)).collect();
        Sources { all, by_lane }
    }

    /// Where each of the lanes is to be read from.
    pub fn starts(&self) -> impl Iterator<Item = (&Lane, u64)> {
        self.all.iter().map(|source| (&source.lane, source.position.unwrap_or(0)))
    }

    /// The source of a lane that was taken from.
    pub fn of(&mut self, lane: &Lane) -> Option<&mut Source> {
        self.by_lane.get(lane).and_then(|n| self.all.get_mut(*n))
    }

    /// After an error of a take: the lane that is to be started anew, and where. Any error but that an offset is not
    /// there is the answer.
    pub fn skip(&mut self, error: Error) -> Result<(Lane, u64), Failure> {
        let (Kind::OutOfRange { start, end }, Some(lane)) = (error.kind(), error.lane()) else {
            return Err(error.into());
        };
        let Some(source) = self.of(lane) else { return Err(error.into()) };
        match source.position {
            // What was deleted before anyone read here was never ours.
            None => {}
            Some(at) if at < start => {
                // It may be overtaken a second time before the first is said.
                let from = source.gap.map_or(at, |(from, _)| from);
                source.gap = Some((from, start));
                source.position = Some(start);
                source.moved = true;
            }
            Some(at) => {
                return Err(Failure::Halt(format!(
                    "{lane} ends at {end}, but was read up to {at}: it is not the topic that it was. Give the new one \
                     another name, or set the position of this ingestor's group to where reading is to begin"
                )));
            }
        }
        Ok((source.lane.clone(), start))
    }

    /// Says on the chains that raw records were deleted before they could be read.
    pub fn push_gaps(&mut self, received_at: Micros, into: &mut Batch) {
        for source in &mut self.all {
            if let Some(gap) = source.gap.take() {
                push_gap(source, gap, received_at, into);
            }
        }
    }

    /// The positions that have moved since this was asked last.
    pub fn moved(&mut self) -> Vec<(Lane, u64)> {
        let moved = |source: &mut Source| {
            let moved = std::mem::take(&mut source.moved);
            source.position.filter(|_| moved).map(|position| (source.lane.clone(), position))
        };
        self.all.iter_mut().filter_map(moved).collect()
    }
}

impl Source {
    /// The record at `offset` was taken.
    pub fn took(&mut self, offset: u64) {
        self.position = Some(offset + 1);
        self.moved = true;
    }
}

fn push_gap(source: &Source, (from, to): (u64, u64), received_at: Micros, into: &mut Batch) {
    let [partition, from, to] = [u64::from(source.lane.partition), from, to].map(|n| n.to_string());
    let topic = &*source.lane.topic;
    let inputs = ["gap", topic, &partition, &from, &to].map(str::as_bytes);
    let event = OwnAct {
        action: GAP,
        id: &derived_id(&inputs),
        at: received_at,
        target: None,
        trouble: Some("raw records were deleted before they could be read"),
        attributes: &[
            Attribute::text("topic", topic),
            Attribute::number("partition", &partition),
            Attribute::number("from_offset", &from),
            Attribute::number("to_offset", &to),
        ],
    };
    let (lanes, schema_hash) = (Lanes::of(source.chain, into), event_schema_hash());
    into.push_with(lanes.events, None, &[(SCHEMA_HEADER, schema_hash.bytes())], |out| event.encode(out));
}
