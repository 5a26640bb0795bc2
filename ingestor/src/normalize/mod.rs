//! The core: a RawRecord in, the datum of one AuditEvent out, or why not. A function of its arguments alone.
//!
//! * `members`, `text`: the JSON of the original, its strings as text
//! * `reading`, `parties`, `values`: which member is which field
//!
//! Memory is kept from event to event; nothing is allocated for one but an id that has to be derived.

mod members;
mod parties;
mod reading;
mod text;
mod values;

use schemas::event::{AuditEvent, Environment, MAX_EVENT_BYTES, Outcome};
use schemas::framing::SCHEMA_HEADER;
use schemas::{Micros, event_schema_hash};
use stream::{Batch, LaneId};

use self::members::Unread;
use self::reading::{Reading, Sheets};
use self::text::Ink;
use crate::dialect::{Dialect, Field};
use crate::ids::position_id;
use crate::record::{FallbackId, Limits, MAX_ID_BYTES, RawRecord, Reason, Rejection};

/// The producer of events that came without anyone's name being asked.
pub const ANONYMOUS: &str = "anonymous";
/// How far ahead of our clock an event may claim to have happened before it is marked.
const MAX_AHEAD_US: i64 = 5 * 60 * 1_000_000;

/// What the mark says: occurred_at is more than five minutes ahead of received_at.
pub const SKEWED: &str = "skewed";
/// What the mark says: a name stands twice, or the event claims another producer than the one that sent it.
pub const CONFLICT: &str = "conflict";
/// What the mark says: something was there and could not be read as meant; an attribute has it.
pub const UNPARSED: &str = "unparsed";

/// Reads originals. One a thread: it holds the memory that they are read in.
pub struct Normalizer {
    limits: Limits,
    sheets: Sheets<'static>,
    ink: Vec<u8>,
    id: String,
}

impl Normalizer {
    /// With these limits.
    pub fn new(limits: Limits) -> Normalizer {
        Normalizer { limits, sheets: Sheets::default(), ink: vec![0; 4096], id: String::new() }
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The id of the event that was normalized last, or that a rejection of the record should have.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Adds the event to `into`, or nothing.
    pub fn normalize(
        &mut self,
        record: &RawRecord<'_>,
        received_at: Micros,
        into: &mut Batch,
        lane: LaneId,
    ) -> Result<(), Rejection> {
        self.id.clear();
        let original = self.check(record).inspect_err(|_| self.fall_back(record))?;
        loop {
            let mut ink = std::mem::take(&mut self.ink);
            let sheets = std::mem::take(&mut self.sheets).recycle();
            let mut reading = Reading::new(Dialect::json_1(), self.limits, Ink::new(&mut ink), sheets);
            let done = self.write(&mut reading, record, original, received_at, into, lane);
            self.sheets = reading.sheets.recycle();
            self.ink = ink;
            match done {
                Ok(()) => return Ok(()),
                Err(Unread::OutOfInk) => self.ink.resize(self.ink.len() * 2, 0),
                Err(Unread::Rejected(rejection)) => {
                    self.fall_back(record);
                    return Err(rejection);
                }
            }
        }
    }

    fn check<'a>(&self, record: &RawRecord<'a>) -> Result<&'a str, Rejection> {
        if record.bytes.is_empty() {
            return Err(Rejection::new(Reason::Empty, "no bytes at all: an event is {…}"));
        }
        let (size, most) = (record.bytes.len(), self.limits.item_bytes);
        if size > most {
            let detail = format!("{size} bytes, and an event may have {most}");
            return Err(Rejection::new(Reason::TooLarge, detail));
        }
        std::str::from_utf8(record.bytes)
            .map_err(|e| Rejection::new(Reason::NotUtf8, format!("not UTF-8 at byte {}", e.valid_up_to())))
    }

    /// Sets the id that does not come from the original.
    pub(crate) fn fall_back(&mut self, record: &RawRecord<'_>) {
        self.id.clear();
        match record.fallback_id {
            FallbackId::Given(id) => self.id.push_str(id),
            FallbackId::Position => self.id.push_str(&position_id(&record.received_from)),
        }
    }

    fn write<'a>(
        &mut self,
        reading: &mut Reading<'a>,
        record: &RawRecord<'a>,
        original: &'a str,
        received_at: Micros,
        into: &mut Batch,
        lane: LaneId,
    ) -> Result<(), Unread> {
        let mut event = read(reading, original)?;
        if event.id.is_empty() {
            self.fall_back(record);
        } else {
            self.id.clear();
            self.id.push_str(event.id);
        }
        event.id = &self.id;
        event.received_at = received_at;
        event.producer = record.producer;
        // What the event says of itself counts; the header may tell of the one that sent it on.
        event.trace_id = event.trace_id.or_else(|| trace_of_headers(record));
        event.received_from = record.received_from.clone();
        event.content_type = record.content_type;
        event.original = record.bytes;
        event.targets = &reading.sheets.targets;
        event.attributes = &reading.sheets.attributes;

        let skewed = event.occurred_at.is_some_and(|at| at.0 - received_at.0 > MAX_AHEAD_US);
        let other = |claimed| record.producer != ANONYMOUS && claimed != record.producer;
        let conflict = reading.conflict || event.claimed_producer.is_some_and(other);
        let mut marks = [""; 3];
        let mut count = 0;
        for (mark, set) in [(SKEWED, skewed), (CONFLICT, conflict), (UNPARSED, reading.unparsed)] {
            if set {
                marks[count] = mark;
                count += 1;
            }
        }
        event.marks = &marks[..count];

        if most_bytes(&event) > MAX_EVENT_BYTES {
            let detail =
                "what the event says, its record's headers and its original are more than an event holds";
            return Err(Unread::Rejected(Rejection::new(Reason::TooLarge, detail)));
        }
        let schema_hash = event_schema_hash();
        into.push_with(lane, None, &[(SCHEMA_HEADER, schema_hash.bytes())], |out| event.encode(out));
        Ok(())
    }
}

/// The trace that a record's header names, the last of that name. One that cannot be read is passed over: it stands in
/// the event with the other headers.
fn trace_of_headers<'a>(record: &RawRecord<'a>) -> Option<&'a str> {
    let headers = record.received_from.headers.iter();
    let (_, value) = headers.rev().find(|(name, _)| name.eq_ignore_ascii_case("traceparent"))?;
    values::trace_of(std::str::from_utf8((*value)?).ok()?)
}

/// What the original says. Targets and attributes are in the reading's sheets.
fn read<'a>(reading: &mut Reading<'a>, original: &'a str) -> Result<AuditEvent<'a>, Unread> {
    reading.open(original)?;
    let id = reading.parsed(Field::Id, |r, text| {
        let fits = !text.is_empty() && text.len() <= MAX_ID_BYTES;
        (fits && r.is_string(Field::Id)).then_some(text)
    })?;
    let source = reading.text(Field::Source)?;
    let source_seq = reading.parsed(Field::SourceSeq, |_, text| text.parse().ok())?;
    let action = reading.text(Field::Action)?;
    let category = reading.text(Field::Category)?;
    let occurred_at = reading.parsed(Field::OccurredAt, |_, text| values::time(text))?;
    let actor = reading.party(Field::Actor)?;
    let actor = reading.with_parts(actor, [Field::ActorId, Field::ActorType, Field::ActorName])?;
    let on_behalf_of = reading.party(Field::OnBehalfOf)?;
    let source_address = reading.text(Field::SourceAddress)?;
    reading.targets()?;
    let outcome = reading.parsed(Field::Outcome, |r, text| values::outcome(r.dialect, text))?;
    let reason = reading.text(Field::Reason)?;
    let environment = Environment {
        service: reading.text(Field::Service)?,
        host: reading.text(Field::Host)?,
        region: reading.text(Field::Region)?,
        deployment: reading.text(Field::Deployment)?,
        image: reading.text(Field::Image)?,
    };
    let tenant = reading.text(Field::Tenant)?;
    let mut trace_id = reading.text(Field::TraceId)?;
    if trace_id.is_none()
        && let Some((_, parent)) = reading.member(Field::TraceParent)
    {
        // The traceparent stays an attribute: it says more than the trace.
        trace_id = reading.scalar(parent.value)?.and_then(values::trace_of);
        reading.unparsed |= trace_id.is_none();
    }
    let claimed_producer = reading.text(Field::Producer)?;
    reading.keep_the_rest()?;
    Ok(AuditEvent {
        id: id.unwrap_or_default(),
        source: source.or(environment.service).unwrap_or_default(),
        source_seq,
        dialect: &reading.dialect.name,
        action: action.unwrap_or_default(),
        category,
        occurred_at,
        actor,
        on_behalf_of,
        source_address,
        outcome: outcome.unwrap_or(Outcome::Unknown),
        reason,
        environment,
        tenant,
        trace_id,
        claimed_producer,
        ..AuditEvent::default()
    })
}

/// No datum of the event is larger: every text, and room for each length, number and branch.
fn most_bytes(event: &AuditEvent<'_>) -> usize {
    const FIXED: usize = 1024;
    const EACH: usize = 16;
    let parties = event.actor.iter().chain(event.on_behalf_of.iter()).chain(event.targets);
    let of_party = |p: &schemas::event::Party<'_>| {
        EACH + p.id.len() + p.kind.unwrap_or_default().len() + p.name.unwrap_or_default().len()
    };
    let place = &event.environment;
    let from = &event.received_from;
    let texts = [event.category, event.source_address, event.reason, event.tenant, event.trace_id]
        .into_iter()
        .chain([place.service, place.host, place.region, place.deployment, place.image])
        .chain([event.claimed_producer, from.topic, from.peer]);
    FIXED
        + event.original.len()
        + [event.id, event.source, event.dialect, event.action, event.producer, event.content_type]
            .iter()
            .map(|text| text.len())
            .sum::<usize>()
        + texts.map(|text| text.unwrap_or_default().len()).sum::<usize>()
        + parties.map(of_party).sum::<usize>()
        + event.attributes.iter().map(|a| EACH + a.key.len() + a.value.len()).sum::<usize>()
        + from.key.unwrap_or_default().len()
        + from.headers.iter().map(|(k, v)| EACH + k.len() + v.unwrap_or_default().len()).sum::<usize>()
}

#[cfg(test)]
mod tests;
