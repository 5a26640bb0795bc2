//! Reading lanes that nobody has to own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use runtime::{Deadline, Stop};

use super::bounds::bounds;
use super::failure::Ear;
use super::partition;
use super::records::{Room, push};
use super::settings::Settings;
use crate::{Batch, Error, Kind, Lane, Limit, Result};

/// librdkafka wants a group's name for a reader. It is never joined, and needs no right of its own.
const NO_GROUP: &str = "sealog-readers";
/// Readers that are kept for the next call: who reads a lane from start to end finds the records waiting.
const MOST_KEPT: usize = 2;

/// Makes and keeps the readers.
pub(super) struct Readers {
    settings: Arc<Settings>,
    ear: Ear,
    kept: Mutex<Vec<Reader>>,
    /// For `last`, which looks at one lane's end after another. Making and closing a client takes 100 ms.
    tail: Mutex<Option<BaseConsumer<Ear>>>,
}

/// A lane that is being read, up to `next`.
struct Reader {
    consumer: BaseConsumer<Ear>,
    /// As stages know it.
    lane: Lane,
    next: u64,
    /// A client that has brought nothing for so long may have none to ask any more (see `pulse`).
    quiet: Deadline,
    /// One record that did not fit into the batch it was to go to.
    spare: Batch,
}

impl Readers {
    /// None yet.
    pub fn new(settings: Arc<Settings>, ear: Ear) -> Readers {
        Readers { settings, ear, kept: Mutex::default(), tail: Mutex::default() }
    }

    /// `Log::read`.
    pub fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()> {
        let mut reader = match self.kept_at(lane, from) {
            Some(reader) => reader,
            None => self.begin(lane, from)?,
        };
        let before = into.len();
        self.fill(&mut reader, into, limit, Deadline::after(wait))?;
        if into.len() > before {
            reader.quiet = Deadline::after(self.settings.patience);
        } else if reader.quiet.passed() {
            return Ok(());
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (kept.len() >= MOST_KEPT).then(|| kept.remove(0));
        kept.push(reader);
        drop(kept);
        drop(oldest);
        Ok(())
    }

    fn kept_at(&self, lane: &Lane, from: u64) -> Option<Reader> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(|r| r.lane == *lane && r.next == from)?;
        Some(kept.remove(found))
    }

    fn begin(&self, lane: &Lane, from: u64) -> Result<Reader> {
        let place = self.settings.names.lane(lane);
        let failed = |e| self.ear.explain(format!("reading {place} was not begun"), e);
        let consumer =
            self.settings.reader(NO_GROUP).create_with_context(self.ear.clone()).map_err(failed)?;
        let bounds = bounds(&consumer, &self.ear, &place, self.settings.patience)?;
        if !(bounds.0..=bounds.1).contains(&from) {
            return Err(Error::out_of_range(&place, from, bounds).at(lane));
        }
        consumer.assign(&partition(&place, Offset::Offset(from as i64))).map_err(failed)?;
        let quiet = Deadline::after(self.settings.patience);
        Ok(Reader { consumer, lane: lane.clone(), next: from, quiet, spare: Batch::new() })
    }

    fn fill(&self, reader: &mut Reader, into: &mut Batch, limit: Limit, deadline: Deadline) -> Result<()> {
        let mut room = Room::new(limit);
        room.add_spare(into, &mut reader.spare);
        while reader.spare.is_empty() && !room.is_full() {
            let wait = if room.taken() > 0 { Duration::ZERO } else { deadline.left() };
            match reader.consumer.poll(wait) {
                None if room.taken() > 0 || deadline.passed() => break,
                // An event that was no record.
                None => {}
                Some(Ok(message)) => {
                    room.add(into, &mut reader.spare, &reader.lane, &message);
                }
                Some(Err(error)) => self.judge(reader, error)?,
            }
        }
        // What is kept as spare comes next; the place to go on is behind what was given.
        reader.next = match room.taken() {
            0 => reader.next,
            _ => into.last().map_or(reader.next, |r| r.offset + 1),
        };
        Ok(())
    }

    /// Errors that pass are waited out, as far as the call waits.
    fn judge(&self, reader: &Reader, error: KafkaError) -> Result<()> {
        let place = self.settings.names.lane(&reader.lane);
        if error.rdkafka_error_code() == Some(Code::AutoOffsetReset) {
            let bounds = bounds(&reader.consumer, &self.ear, &place, self.settings.patience)?;
            return Err(Error::out_of_range(&place, reader.next, bounds).at(&reader.lane));
        }
        if is_about_the_group(&error) {
            return Ok(());
        }
        match self.ear.explain(format!("reading {place} failed"), error) {
            passing if passing.kind() == Kind::Away => Ok(()),
            error => Err(error),
        }
    }

    /// `Log::settle`: what is committed for sure must reach what stands in the lane now.
    pub fn settle(&self, lane: &Lane, wait: Duration) -> Result<()> {
        let failed = |e| self.ear.explain(format!("the end of {lane} was not read"), e);
        let deadline = Deadline::after(wait);
        let mut all = self.settings.reader(NO_GROUP);
        all.set("isolation.level", "read_uncommitted");
        let all: BaseConsumer<Ear> = all.create_with_context(self.ear.clone()).map_err(failed)?;
        let committed = self.settings.reader(NO_GROUP);
        let committed: BaseConsumer<Ear> = committed.create_with_context(self.ear.clone()).map_err(failed)?;
        let (_, end) = bounds(&all, &self.ear, lane, self.settings.patience)?;
        loop {
            let (_, visible) = bounds(&committed, &self.ear, lane, self.settings.patience)?;
            if visible >= end {
                return Ok(());
            }
            if deadline.passed() {
                let what = format!("{lane}: an open transaction hides what stands at {visible} to {end}");
                return Err(Error::new(Kind::Away, what));
            }
            Stop::new().wait(Duration::from_millis(50));
        }
    }

    /// `Log::last`. What stands at the end of a lane may be no records: the marks of transactions, and what was
    /// aborted. So it steps back twice as far each time until a record comes, and reads from there to the end.
    pub fn last(&self, lane: &Lane) -> Result<Batch> {
        let place = self.settings.names.lane(lane);
        let failed = |e| self.ear.explain(format!("the end of {place} was not read"), e);
        let kept = self.tail.lock().unwrap_or_else(PoisonError::into_inner).take();
        let consumer = match kept {
            Some(consumer) => consumer,
            None => {
                self.settings.tail_reader(NO_GROUP).create_with_context(self.ear.clone()).map_err(failed)?
            }
        };
        let (start, end) = bounds(&consumer, &self.ear, &place, self.settings.patience)?;
        let (mut last, mut back) = (Batch::new(), 2);
        loop {
            let from = start.max(end.saturating_sub(back));
            if from < end {
                consumer.assign(&partition(&place, Offset::Offset(from as i64))).map_err(failed)?;
                self.scan(&consumer, lane, end, &mut last)?;
            }
            if !last.is_empty() || from == start {
                consumer.unassign().map_err(failed)?;
                *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = Some(consumer);
                return Ok(last);
            }
            back *= 2;
        }
    }

    /// Reads on to `end` and leaves the last record before it in `last`.
    fn scan(&self, consumer: &BaseConsumer<Ear>, lane: &Lane, end: u64, last: &mut Batch) -> Result<()> {
        let mut deadline = Deadline::after(self.settings.patience);
        loop {
            match consumer.poll(deadline.left()) {
                Some(Ok(message)) if message.offset() as u64 >= end => return Ok(()),
                Some(Ok(message)) => {
                    last.clear(0);
                    push(last, lane, &message);
                    if message.offset() as u64 + 1 == end {
                        return Ok(());
                    }
                    // However long the lane: it is the silence that is bounded.
                    deadline = Deadline::after(self.settings.patience);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) if is_about_the_group(&error) => {}
                Some(Err(error)) => {
                    let error = self.ear.explain(format!("the end of {lane} was not read"), error);
                    if error.kind() != Kind::Away {
                        return Err(error);
                    }
                }
                None if deadline.passed() => {
                    return Err(self.ear.timeout(format!("the end of {lane} was not read in time")));
                }
                None => {}
            }
        }
    }
}

/// A reader that is in no group may lack the right to look for its coordinator, and needs none.
fn is_about_the_group(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed)
}
