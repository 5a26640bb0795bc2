//! Fills the window from what `audit.events` holds: at the start, and after an append of which nobody knows whether
//! it was done.

use std::time::Duration;

use schemas::avro::{Input, Shape};
use schemas::event::event_shape;
use schemas::framing::{SCHEMA_HEADER, schema_of};
use schemas::own_act::{REJECTED, SEALOG};
use schemas::{Hash, Malformed, event_schema_hash};
use stream::{Batch, Error, Kind, Limit, Log, topics};

use super::window::{Sent, Window};

/// The header of received_from under which an event keeps the key that it was sent with.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

const LIMIT: Limit = Limit { records: 5_000, bytes: 8 << 20 };
const WAIT: Duration = Duration::from_millis(500);
/// How long requests wait for what a dead process has left open; then they are told to come again.
const SETTLE: Duration = Duration::from_secs(5);
/// How many reads in a row may bring nothing before the stream counts as away.
const PATIENCE: usize = 10;

/// Remembers what the lane of `chain` holds from `from` on, or its last `most` records if nothing was read yet.
/// Answers where to go on.
pub(super) fn recall(
    log: &dyn Log,
    chain: u32,
    from: Option<u64>,
    window: &mut Window,
    most: usize,
) -> Result<u64, Error> {
    let lane = topics::events(chain);
    // What is hidden now may be what is about to be sent again.
    log.settle(&lane, SETTLE)?;
    let Some(last) = log.last(&lane)?.last().map(|record| record.offset) else {
        return Ok(from.unwrap_or(0));
    };
    let mut next = from.unwrap_or((last + 1).saturating_sub(most as u64));
    let mut batch = Batch::new();
    let mut idle = 0;
    while next <= last {
        batch.clear(LIMIT.bytes);
        match log.read(&lane, next, &mut batch, LIMIT, WAIT) {
            Ok(()) => {}
            Err(e) => match e.kind() {
                Kind::OutOfRange { start, .. } if start > next => {
                    next = start;
                    continue;
                }
                _ => return Err(e),
            },
        }
        for record in batch.iter() {
            // Events of another schema are another version's; it keeps no items of ours.
            let ours = schema_of(record.headers.get(SCHEMA_HEADER)) == Ok(event_schema_hash());
            if let Some(sent) = record.value.filter(|_| ours).and_then(|datum| sent_by(datum).ok()).flatten()
            {
                window.see(sent);
            }
            next = record.offset + 1;
        }
        idle = if batch.is_empty() { idle + 1 } else { 0 };
        if idle == PATIENCE {
            let what = format!("{lane} gives nothing from {next} on, though it holds {last}");
            return Err(Error::new(Kind::Away, what));
        }
    }
    window.keep();
    Ok(next)
}

/// What the sender of an event would call it, if it was sent with an Idempotency-Key.
pub(super) fn sent_by(datum: &[u8]) -> Result<Option<Sent>, Malformed> {
    let mut input = Input::new("AuditEvent", datum);
    let (mut action, mut producer, mut claimed, mut key, mut part) = ("", "", None, None, 0);
    let mut sha256 = None;
    let Shape::Record(fields) = event_shape() else { return Ok(None) };
    for (name, shape) in fields.iter() {
        match name.as_str() {
            "action" => action = input.str()?,
            "producer" => producer = input.str()?,
            "claimed_producer" => claimed = input.opt(|i| i.str())?,
            "received_from" => (key, part) = came_with(shape, &mut input)?,
            "attributes" => input.array_of(|i| {
                let (name, value) = (i.str()?, i.str()?);
                i.str()?;
                if name == "sha256" {
                    sha256 = Hash::from_hex(value);
                }
                Ok(())
            })?,
            "original" => {
                input.str()?;
                let rejected = producer == SEALOG && action == REJECTED;
                let bytes = input.bytes()?;
                let (producer, sha256) = match (rejected, claimed, sha256) {
                    (true, Some(claimed), Some(sha256)) => (claimed, sha256),
                    _ => (producer, Hash::of(&[bytes])),
                };
                return Ok(key.map(|key| Sent::new(producer, key, part, &sha256)));
            }
            _ => shape.skip(&mut input)?,
        }
    }
    Ok(None)
}

/// The Idempotency-Key and the place in the request.
fn came_with<'a>(shape: &Shape, input: &mut Input<'a>) -> Result<(Option<&'a str>, usize), Malformed> {
    let (mut key, mut part) = (None, 0);
    let Shape::Record(fields) = shape else { return Ok((key, part)) };
    for (name, shape) in fields.iter() {
        match name.as_str() {
            "headers" => input.array_of(|i| {
                let (name, value) = (i.str()?, i.opt(|i| i.bytes())?);
                if name == IDEMPOTENCY_KEY {
                    key = value.and_then(|v| std::str::from_utf8(v).ok());
                }
                Ok(())
            })?,
            "part" => part = input.count()? as usize,
            _ => shape.skip(input)?,
        }
    }
    Ok((key, part))
}
