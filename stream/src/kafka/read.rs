//! Reading lanes that nobody has to own.

mod kept;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kept::Kept;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset};
use runtime::{Deadline, Stop};

use super::bounds::bounds;
use super::failure::Ear;
use super::partition;
use super::records::{Room, push};
use super::settings::Settings;
use crate::{Batch, Error, Kind, Lane, Limit, Result};

/// librdkafka wants a group's name for a reader. It is never joined, and needs no right of its own.
const NO_GROUP: &str = "sealog-readers";
/// Readers that are kept for the next call: who reads a lane from start to end, or follows several in turn, finds the
/// records waiting.
const MOST_KEPT: usize = 64;
/// How long one is kept that is not used.
const UNUSED: Duration = Duration::from_secs(30);
/// What a reader queues, and one answer of 2 MiB more. It is this times those kept that bounds the memory.
const QUEUE_KBYTES: u64 = 1_024;
/// What a reader asked for last is answered before it can be moved: that must not wait long for records to come.
const FETCH_WAIT_MS: u64 = 100;
/// A reader that does not answer within this is not moved: a new one is made.
const ANSWERS: Duration = Duration::from_secs(1);

/// Makes and keeps the readers.
pub(super) struct Readers {
    settings: Arc<Settings>,
    ear: Ear,
    kept: Kept<Reader>,
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
        Readers { settings, ear, kept: Kept::new(MOST_KEPT, UNUSED), tail: Mutex::default() }
    }

    /// `Log::read`.
    pub fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()> {
        let mut reader = self.reader_at(lane, from)?;
        let before = into.len();
        self.fill(&mut reader, into, limit, Deadline::after(wait))?;
        if into.len() > before {
            reader.quiet = Deadline::after(self.settings.patience);
        } else if reader.quiet.passed() {
            return Ok(());
        }
        self.kept.keep(reader.lane.clone(), reader.next, reader);
        Ok(())
    }

    /// The one that stands there, else one that is moved there, else a new one.
    fn reader_at(&self, lane: &Lane, from: u64) -> Result<Reader> {
        match self.kept.take(lane, from) {
            Some(reader) if reader.next == from => return Ok(reader),
            Some(reader) => match self.moved(reader, from) {
                Err(error) if !matches!(error.kind(), Kind::OutOfRange { .. }) => {
                    tracing::debug!(%lane, %error, "a reader is given up");
                }
                moved => return moved,
            },
            None => {}
        }
        tracing::debug!(%lane, "making a reader");
        let consumer = self.config().create_with_context(self.ear.clone());
        let consumer = consumer.map_err(|e| self.ear.explain(format!("reading {lane} was not begun"), e))?;
        self.begin(consumer, lane, from, self.settings.patience)
    }

    /// Err: that one is of no use any more; a new one may be (see `pulse`).
    fn moved(&self, Reader { consumer, lane, .. }: Reader, from: u64) -> Result<Reader> {
        let failed = |e| self.ear.explain(format!("reading {lane} was not begun"), e);
        // It asks for no more records, so that what is asked next need not wait behind them.
        consumer.unassign().map_err(failed)?;
        self.begin(consumer, &lane, from, self.settings.patience.min(ANSWERS))
    }

    fn begin(
        &self,
        consumer: BaseConsumer<Ear>,
        lane: &Lane,
        from: u64,
        patience: Duration,
    ) -> Result<Reader> {
        let place = self.settings.names.lane(lane);
        let bounds = bounds(&consumer, &self.ear, &place, patience)?;
        if !(bounds.0..=bounds.1).contains(&from) {
            return Err(Error::out_of_range(&place, from, bounds).at(lane));
        }
        let assigned = consumer.assign(&partition(&place, Offset::Offset(from as i64)));
        assigned.map_err(|e| self.ear.explain(format!("reading {place} was not begun"), e))?;
        let quiet = Deadline::after(self.settings.patience);
        Ok(Reader { consumer, lane: lane.clone(), next: from, quiet, spare: Batch::new() })
    }

    /// A reader's. What users set lower stays so.
    fn config(&self) -> ClientConfig {
        let mut config = self.settings.reader(NO_GROUP);
        for (name, most) in
            [("queued.max.messages.kbytes", QUEUE_KBYTES), ("fetch.wait.max.ms", FETCH_WAIT_MS)]
        {
            let is_lower =
                config.get(name).and_then(|set| set.parse::<u64>().ok()).is_some_and(|set| set <= most);
            if !is_lower {
                config.set(name, most.to_string());
            }
        }
        config
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
