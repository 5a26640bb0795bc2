//! Records on their way: from a batch into a producer, from a consumer into a batch.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Headers as _, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::util::IntoOpaque;

use crate::{Batch, Error, Kind, Lane, Limit, Record, Result, topics};

/// Refuses a batch with a record that no topic of ours takes, before anything of it is sent.
pub(super) fn check_sizes(batch: &Batch) -> Result<()> {
    match batch.iter().find(|r| size_bytes(r) > topics::MAX_RECORD_BYTES) {
        None => Ok(()),
        Some(record) => Err(Error::new(
            Kind::TooLarge,
            format!(
                "a record of {} bytes for {} is larger than {} bytes",
                size_bytes(&record),
                record.lane,
                topics::MAX_RECORD_BYTES
            ),
        )),
    }
}

/// Key, headers and value.
fn size_bytes(record: &Record) -> usize {
    let headers: usize = record.headers.iter().map(|(n, v)| n.len() + v.map_or(0, <[u8]>::len)).sum();
    record.key.map_or(0, <[u8]>::len) + headers + record.value.map_or(0, <[u8]>::len)
}

/// As librdkafka takes it, for a topic as Kafka knows it. A time that the record has is kept, else it is now.
pub(super) fn outgoing<'a, D: IntoOpaque>(
    record: &Record<'a>,
    topic: &'a str,
    opaque: D,
) -> BaseRecord<'a, [u8], [u8], D> {
    let mut out = BaseRecord::with_opaque_to(topic, opaque);
    out = out.partition(record.lane.partition as i32);
    if let Some(key) = record.key {
        out = out.key(key);
    }
    if let Some(value) = record.value {
        out = out.payload(value);
    }
    if record.time_ms != 0 {
        out = out.timestamp(record.time_ms);
    }
    let mut headers = record.headers.iter().peekable();
    if headers.peek().is_some() {
        let all = headers.fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value }));
        out = out.headers(all);
    }
    out
}

/// Stands for a header that cannot be read: its name is no text. Its value is not given either.
pub const UNREADABLE_HEADER: &str = "\u{fffd}";

/// Adds a message to a batch, as it is.
pub(super) fn push(into: &mut Batch, lane: &Lane, message: &BorrowedMessage) {
    let id = into.lane(lane);
    let place = (message.offset() as u64, message.timestamp().to_millis().unwrap_or_default());
    let (key, value) = (message.key(), message.payload());
    match message.headers() {
        None => into.push_taken(id, place, key, [], value),
        Some(headers) if headers_bytes(headers).is_some() => {
            into.push_taken(id, place, key, headers.iter().map(|h| (h.key, h.value)), value);
        }
        Some(headers) => {
            let readable = |n| guarded(|| headers.try_get(n)).flatten();
            let all = (0..headers.count())
                .map(|n| readable(n).map_or((UNREADABLE_HEADER, None), |h| (h.key, h.value)));
            into.push_taken(id, place, key, all, value);
        }
    }
}

/// What the headers weigh in a batch. None: one of them has a name that is no text.
fn headers_bytes(headers: &BorrowedHeaders) -> Option<usize> {
    guarded(|| headers.iter().map(|h| 8 + h.key.len() + h.value.map_or(0, <[u8]>::len)).sum())
}

/// rdkafka panics at the name of a header that is not UTF-8, and whoever may write to a raw topic could stop the
/// stage that way, for good. Works where a panic unwinds, so no profile that we ship may set `panic = "abort"`.
fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// Adds a record of one batch to another.
fn copy(into: &mut Batch, record: &Record) {
    let id = into.lane(record.lane);
    let place = (record.offset, record.time_ms);
    into.push_taken(id, place, record.key, record.headers.iter(), record.value);
}

/// What is left of a limit while a batch is filled. A message that is one too many has left its queue already: it is
/// kept here until the next call.
pub(super) struct Room {
    limit: Limit,
    records: usize,
    bytes: usize,
}

impl Room {
    /// All of `limit`.
    pub fn new(limit: Limit) -> Room {
        Room { limit, records: 0, bytes: 0 }
    }

    /// Records added so far.
    pub fn taken(&self) -> usize {
        self.records
    }

    /// Whether no further record may be added, whatever its size.
    pub fn is_full(&self) -> bool {
        self.records >= self.limit.records || (self.records > 0 && self.bytes >= self.limit.bytes)
    }

    /// Adds the record kept in `spare`, which holds one or none.
    pub fn add_spare(&mut self, into: &mut Batch, spare: &mut Batch) {
        if let Some(record) = spare.last()
            && self.fits(spare.size_bytes())
        {
            copy(into, &record);
            spare.clear(0);
        }
    }

    /// Adds the message, or keeps it in `spare`, which must be empty; false then, and the batch is full.
    pub fn add(
        &mut self,
        into: &mut Batch,
        spare: &mut Batch,
        lane: &Lane,
        message: &BorrowedMessage,
    ) -> bool {
        let headers = message.headers().map_or(0, |headers| headers_bytes(headers).unwrap_or_default());
        if self.fits(headers + message.key_len() + message.payload_len()) {
            push(into, lane, message);
            return true;
        }
        push(spare, lane, message);
        false
    }

    /// Takes the room for a record of that size, if there is.
    fn fits(&mut self, bytes: usize) -> bool {
        let fits = !self.is_full() && (self.records == 0 || self.bytes + bytes <= self.limit.bytes);
        if fits {
            self.records += 1;
            self.bytes += bytes;
        }
        fits
    }
}
