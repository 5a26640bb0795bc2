//! What one claim reads: where each of its lanes stands, from the offset that it was given to the last record taken.
//!
//! `start_at` only notes the offset. Before the next record is given out, all lanes that are due are begun together:
//! their bounds are asked (so that an offset that is not there is known by its lane), then the group's positions, then
//! they are fetched. A thousand lanes are three requests.
//!
//! A lane that starts where its group stands is fetched from one record earlier, and that record is compared with the
//! mark beside the position: it is the one thing that tells a topic from its successor of the same name.

mod inlets;
mod successors;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use runtime::Deadline;

use super::failure::Ear;
use super::feed::{Feed, Turn, listed};
use super::group::GroupConsumer;
use super::known::Known;
use super::positions::Committed;
use super::records::Room;
use crate::{Batch, Error, Kind, Lane, Result, topics};
use inlets::{At, Inlet, Inlets};

/// What to do about a topic that is not the one that was read.
const REMEDY: &str =
    "Give the new topic another name, or set the group's position to where reading is to begin";

/// See the module's text.
pub(super) struct Intake {
    inlets: Inlets,
    /// One record that did not fit into the batch it was to go to.
    spare: Batch,
    number: u64,
    turn: Arc<Mutex<Turn>>,
    has_begun: bool,
    /// The only lane's own. None: the client's, for all lanes.
    queue: Option<PartitionQueue<Ear>>,
    /// The group's name, to Kafka.
    group: String,
    /// Whether this is a claim over topics of others, who may delete them.
    is_foreign: bool,
    /// The topics that the group has read.
    known: Known,
    /// Whether it has got a position in a lane where it had none.
    has_news: bool,
    /// Dropped after the queue, which must not be the last to hold the client.
    feed: Arc<Feed>,
}

impl Intake {
    /// Of these lanes, none of them begun.
    pub fn new(feed: Arc<Feed>, group: String, lanes: &[Lane]) -> Intake {
        let places: Vec<Lane> = lanes.iter().map(|lane| feed.settings.names.lane(lane)).collect();
        let (number, turn) = feed.turn_for(&places);
        Intake {
            inlets: Inlets::new(lanes, places),
            spare: Batch::new(),
            number,
            turn,
            has_begun: false,
            queue: None,
            group,
            is_foreign: feed.is_whole() && lanes.iter().all(|lane| !topics::is_own(&lane.topic)),
            known: Known::default(),
            has_news: false,
            feed,
        }
    }

    /// `Claim::start_at`. False if the lane is none of these.
    pub fn start_at(&mut self, lane: &Lane, from: u64) -> bool {
        let Some(inlet) = self.inlets.get_mut(lane) else { return false };
        let bounds = match inlet.at {
            // A lane may have grown since.
            At::Due { bounds, .. } => bounds.filter(|(start, end)| (*start..=*end).contains(&from)),
            At::Unknown | At::Open { .. } => None,
        };
        inlet.at = At::Due { from, bounds };
        if self.spare.last().is_some_and(|record| record.lane == lane) {
            self.spare.clear(0);
        }
        true
    }

    /// Begins what is due. `OutOfRange`: one lane does not hold the offset that it is to start at; then none was begun.
    pub fn begin(&mut self, group: &GroupConsumer) -> Result<()> {
        if let Some(unknown) = self.inlets.all.iter().find(|inlet| matches!(inlet.at, At::Unknown)) {
            let what = format!("nobody said where to start on {}: call start_at first", unknown.lane);
            return Err(Error::new(Kind::Refused, what));
        }
        if self.inlets.due().next().is_none() {
            return Ok(());
        }
        self.ask_bounds()?;
        for inlet in self.inlets.due() {
            if let At::Due { from, bounds: Some(bounds) } = inlet.at
                && !(bounds.0..=bounds.1).contains(&from)
            {
                return Err(Error::out_of_range(&inlet.place, from, bounds).at(&inlet.lane));
            }
        }
        self.ask_positions(group)?;
        let lock = Arc::clone(&self.turn);
        let mut turn = Turn::of(&lock);
        self.take_turn(&mut turn)?;
        self.feed.leave(&mut turn, self.inlets.due().map(|inlet| &inlet.place))?;
        if self.queue.is_none() {
            // Before it is fetched, or the first records would go to the queue that all lanes share.
            self.queue = self.feed.queue_of(&self.inlets.all[0].place)?;
        }
        let mut from = Vec::new();
        for inlet in &mut self.inlets.all {
            let At::Due { from: next, bounds } = inlet.at else { continue };
            let start = bounds.map_or(next, |(start, _)| start);
            let stands = *inlet.stands.get_or_insert(Committed { offset: next, mark: None });
            let expected = stands.mark.filter(|_| stands.offset == next && next > start);
            from.push((inlet.place.clone(), next - u64::from(expected.is_some())));
            inlet.at = At::Open { next, expected };
        }
        self.feed.fetch(&mut turn, &from)
    }

    /// The first time whoever had the queue is put out; later this one may have been.
    fn take_turn(&mut self, turn: &mut Turn) -> Result<()> {
        if !self.has_begun {
            self.has_begun = true;
            turn.owner = self.number;
            return self.feed.leave_all(turn);
        }
        if turn.owner == self.number { Ok(()) } else { Err(self.lost()) }
    }

    fn lost(&self) -> Error {
        let names = listed(self.inlets.all.iter().map(|inlet| &inlet.lane));
        Error::new(Kind::Lost, format!("{names}: another claim reads here now"))
    }

    /// For the lanes that are due and not looked at yet.
    fn ask_bounds(&mut self) -> Result<()> {
        let unknown = |inlet: &&mut Inlet| matches!(inlet.at, At::Due { bounds: None, .. });
        let mut inlets: Vec<&mut Inlet> = self.inlets.all.iter_mut().filter(unknown).collect();
        let places: Vec<&Lane> = inlets.iter().map(|inlet| &inlet.place).collect();
        let found = self.feed.bounds(&places)?;
        for (inlet, found) in inlets.iter_mut().zip(found) {
            if let At::Due { bounds, .. } = &mut inlet.at {
                *bounds = Some(found);
            }
        }
        Ok(())
    }

    /// For the lanes that are begun for the first time: whether they start where the group stands.
    fn ask_positions(&mut self, group: &GroupConsumer) -> Result<()> {
        let new = |inlet: &&mut Inlet| inlet.stands.is_none();
        let places: Vec<Lane> =
            self.inlets.all.iter_mut().filter(new).map(|inlet| inlet.place.clone()).collect();
        if places.is_empty() {
            return Ok(());
        }
        let found = self.positions_of(group, &places)?;
        for (inlet, found) in self.inlets.all.iter_mut().filter(new).zip(found) {
            let At::Due { from, .. } = inlet.at else { continue };
            inlet.has_position = found.is_some();
            inlet.stands = found.filter(|found| found.offset == from);
        }
        if self.is_foreign { self.check_topics(group) } else { Ok(()) }
    }

    /// Adds the next records, as far as there is room, waiting until the deadline for a first one. `OutOfRange` only if
    /// nothing was added.
    pub fn fill(
        &mut self,
        group: &GroupConsumer,
        into: &mut Batch,
        room: &mut Room,
        deadline: &Deadline,
    ) -> Result<()> {
        let lock = Arc::clone(&self.turn);
        let turn = Turn::of(&lock);
        if turn.owner != self.number {
            return Err(self.lost());
        }
        room.add_spare(into, &mut self.spare);
        while self.spare.is_empty() && !room.is_full() {
            let wait = if room.taken() > 0 { Duration::ZERO } else { deadline.left() };
            let polled = match &self.queue {
                Some(queue) => queue.poll(wait),
                None => self.feed.consumer.poll(wait),
            };
            let error = match polled {
                None if room.taken() > 0 || deadline.passed() => break,
                // An event that was no record.
                None => continue,
                Some(Ok(message)) => {
                    self.inlets.receive(&message, into, &mut self.spare, room)?;
                    continue;
                }
                Some(Err(error)) => error,
            };
            if error.rdkafka_error_code() == Some(Code::AutoOffsetReset) {
                // No reset is allowed, so this is how it says that an offset is not there; but not on which lane.
                self.find_overtaken(error)?;
                drop(turn);
                return if room.taken() > 0 { Ok(()) } else { self.begin(group) };
            }
            self.judge(error)?;
        }
        Ok(())
    }

    /// Errors that pass are waited out; librdkafka tries again by itself.
    fn judge(&self, error: KafkaError) -> Result<()> {
        let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        let names = listed(self.inlets.all.iter().map(|inlet| &inlet.place));
        let error = self.feed.ear.explain(format!("reading {names} failed"), error);
        if error.kind() == Kind::Away && !is_fatal {
            tracing::debug!(%error, "kafka");
            return Ok(());
        }
        Err(error)
    }

    /// Lanes whose next offset has been trimmed are due again, and those where only the record with the mark has been.
    fn find_overtaken(&mut self, error: KafkaError) -> Result<()> {
        let places: Vec<&Lane> = self.inlets.all.iter().map(|inlet| &inlet.place).collect();
        let found = self.feed.bounds(&places)?;
        let mut any = false;
        for (inlet, bounds) in self.inlets.all.iter_mut().zip(found) {
            let At::Open { next, expected } = inlet.at else { continue };
            let fetched_from = next - u64::from(expected.is_some());
            if !(bounds.0..=bounds.1).contains(&fetched_from) {
                any = true;
                inlet.at = At::Due { from: next, bounds: Some(bounds) };
            }
        }
        if any {
            return Ok(());
        }
        let names = listed(self.inlets.all.iter().map(|inlet| &inlet.place));
        Err(Error::caused(Kind::Away, format!("{names} could not be read on"), error))
    }

    /// Remembers the last record of each lane, among those from `first` on, for the position behind it.
    pub fn keep_marks(&mut self, batch: &Batch, first: usize) {
        self.inlets.keep_marks(batch, first);
    }

    /// The position as it is to be committed, with the lane as Kafka knows it. None if the lane is none of these.
    pub fn position(&mut self, lane: &Lane, offset: u64) -> Option<(&Lane, Committed)> {
        let inlet = self.inlets.get_mut(lane)?;
        let mark = inlet.taken.filter(|taken| taken.offset == offset).and_then(|taken| taken.mark);
        let position = Committed { offset, mark };
        inlet.stands = Some(position);
        self.has_news |= !std::mem::replace(&mut inlet.has_position, true);
        Some((&inlet.place, position))
    }

    /// Where any lane stands, for a commit that brings no position.
    pub fn any_position(&self) -> Option<(&Lane, Committed)> {
        self.inlets.all.iter().find_map(|inlet| Some((&inlet.place, inlet.stands?)))
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        let lock = Arc::clone(&self.turn);
        let mut turn = Turn::of(&lock);
        if turn.owner == self.number {
            turn.owner = 0;
            // Fails only when the client is at its end, and then it reads nothing anyway.
            let _ = self.feed.leave_all(&mut turn);
        }
    }
}
