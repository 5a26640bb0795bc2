//! AuditEvent: what every event is once it is normalized. Its bytes are one Avro datum of schemas/avro/AuditEvent.avsc.
//!
//! | field | Avro | |
//! |---|---|---|
//! | id … protected | as in the schema | in the order of the schema |
//! | outcome, transport, type | text, not an Avro enum, and no type is named twice: readers such as Polars know neither inside of a record |
//! | original | record {content_type, bytes} | last, so that the exact bytes received are the tail of the datum |

use std::sync::LazyLock;

use crate::avro::{Input, Shape, put_array, put_bytes, put_long, put_opt, put_str};
use crate::{Hash, Malformed, Micros};

/// The schema's exact JSON bytes. Their hash is part of every event's hash.
pub const EVENT_SCHEMA: &[u8] = include_bytes!("../avro/AuditEvent.avsc");

/// The largest event_bytes: what an `audit.*` record takes, less room for the SealedEvent's prefix and headers.
pub const MAX_EVENT_BYTES: usize = (4 << 20) - 1024;

static SCHEMA_HASH: LazyLock<Hash> = LazyLock::new(|| Hash::of(&[EVENT_SCHEMA]));
static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    Shape::parse(EVENT_SCHEMA).expect("the schema that is compiled in parses: a test reads it")
});

/// SHA-256 of [`EVENT_SCHEMA`].
pub fn event_schema_hash() -> Hash {
    *SCHEMA_HASH
}

/// The schema as a tree.
pub fn event_shape() -> &'static Shape {
    &SHAPE
}

/// event_hash: what a link says about its event.
pub fn event_hash(schema_hash: &Hash, event_bytes: &[u8]) -> Hash {
    Hash::of(&[schema_hash.bytes(), event_bytes])
}

/// Whether the bytes are exactly one event in its canonical spelling.
pub fn check_event(event_bytes: &[u8]) -> Result<(), Malformed> {
    let mut input = Input::new("AuditEvent", event_bytes);
    event_shape().skip(&mut input)?;
    input.end()
}

/// An event about to be written. It borrows all it can from the bytes received.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // the schema documents the fields
pub struct AuditEvent<'a> {
    pub id: &'a str,
    pub source: &'a str,
    pub source_seq: Option<i64>,
    pub dialect: &'a str,
    pub action: &'a str,
    pub category: Option<&'a str>,
    pub occurred_at: Option<Micros>,
    pub received_at: Micros,
    pub actor: Option<Party<'a>>,
    pub on_behalf_of: Option<Party<'a>>,
    pub source_address: Option<&'a str>,
    pub targets: &'a [Party<'a>],
    pub outcome: Outcome,
    pub reason: Option<&'a str>,
    pub environment: Environment<'a>,
    pub tenant: Option<&'a str>,
    pub trace_id: Option<&'a str>,
    pub producer: &'a str,
    pub claimed_producer: Option<&'a str>,
    pub received_from: ReceivedFrom<'a>,
    pub attributes: &'a [Attribute<'a>],
    pub marks: &'a [&'a str],
    pub protected: &'a [Protected<'a>],
    pub content_type: &'a str,
    pub original: &'a [u8],
}

/// Who did something, or what it was done to.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Party<'a> {
    pub id: &'a str,
    pub kind: Option<&'a str>,
    pub name: Option<&'a str>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Outcome {
    #[default]
    Unknown,
    Success,
    Failure,
    Denied,
}

impl Outcome {
    /// As it stands in the event.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Unknown => "unknown",
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Denied => "denied",
        }
    }
}

/// Where the source runs.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Environment<'a> {
    pub service: Option<&'a str>,
    pub host: Option<&'a str>,
    pub region: Option<&'a str>,
    pub deployment: Option<&'a str>,
    pub image: Option<&'a str>,
}

/// How it came to Sealog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Transport {
    #[default]
    Internal,
    Http,
    Kafka,
}

impl Transport {
    /// As it stands in the event.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Internal => "internal",
            Transport::Http => "http",
            Transport::Kafka => "kafka",
        }
    }
}

/// Where it came from, as Sealog saw it.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct ReceivedFrom<'a> {
    pub transport: Transport,
    pub topic: Option<&'a str>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub broker_time: Option<Micros>,
    pub key: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    pub peer: Option<&'a str>,
    pub part: i32,
}

/// Something the event says that has no field of its own.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Attribute<'a> {
    pub key: &'a str,
    pub value: &'a str,
    pub kind: AttributeType,
}

impl<'a> Attribute<'a> {
    /// One that is text.
    pub fn text(key: &'a str, value: &'a str) -> Attribute<'a> {
        Attribute { key, value, kind: AttributeType::String }
    }

    /// One that is a number, in its decimal spelling.
    pub fn number(key: &'a str, value: &'a str) -> Attribute<'a> {
        Attribute { key, value, kind: AttributeType::Number }
    }
}

/// What an attribute's value was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AttributeType {
    String,
    Number,
    Boolean,
    Null,
    Array,
    Object,
}

impl AttributeType {
    /// As it stands in the event.
    pub fn name(self) -> &'static str {
        match self {
            AttributeType::String => "string",
            AttributeType::Number => "number",
            AttributeType::Boolean => "boolean",
            AttributeType::Null => "null",
            AttributeType::Array => "array",
            AttributeType::Object => "object",
        }
    }
}

/// A field that only the holder of its subject's key can read.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Protected<'a> {
    pub path: &'a str,
    pub subject: &'a str,
    pub key_id: &'a str,
    pub ciphertext: &'a [u8],
}

impl AuditEvent<'_> {
    /// Writes event_bytes behind what is in `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, self.id);
        put_str(out, self.source);
        put_opt(out, self.source_seq, put_long);
        put_str(out, self.dialect);
        put_str(out, self.action);
        put_opt(out, self.category, put_str);
        put_opt(out, self.occurred_at, put_micros);
        put_micros(out, self.received_at);
        put_opt(out, self.actor.as_ref(), put_party);
        put_opt(out, self.on_behalf_of.as_ref(), put_party);
        put_opt(out, self.source_address, put_str);
        put_array(out, self.targets.iter(), put_party);
        put_str(out, self.outcome.name());
        put_opt(out, self.reason, put_str);
        let place = &self.environment;
        for part in [place.service, place.host, place.region, place.deployment, place.image] {
            put_opt(out, part, put_str);
        }
        put_opt(out, self.tenant, put_str);
        put_opt(out, self.trace_id, put_str);
        put_str(out, self.producer);
        put_opt(out, self.claimed_producer, put_str);
        self.received_from.encode(out);
        put_array(out, self.attributes.iter(), |out, a| {
            put_str(out, a.key);
            put_str(out, a.value);
            put_str(out, a.kind.name());
        });
        put_array(out, self.marks.iter(), |out, mark| put_str(out, mark));
        put_array(out, self.protected.iter(), |out, p| {
            for part in [p.path, p.subject, p.key_id] {
                put_str(out, part);
            }
            put_bytes(out, p.ciphertext);
        });
        put_str(out, self.content_type);
        put_bytes(out, self.original);
    }
}

impl ReceivedFrom<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, self.transport.name());
        put_opt(out, self.topic, put_str);
        put_opt(out, self.partition.map(i64::from), put_long);
        put_opt(out, self.offset, put_long);
        put_opt(out, self.broker_time, put_micros);
        put_opt(out, self.key, put_bytes);
        put_array(out, self.headers.iter(), |out, (key, value)| {
            put_str(out, key);
            put_opt(out, *value, put_bytes);
        });
        put_opt(out, self.peer, put_str);
        put_long(out, i64::from(self.part));
    }
}

fn put_micros(out: &mut Vec<u8>, at: Micros) {
    put_long(out, at.0);
}

fn put_party(out: &mut Vec<u8>, party: &Party<'_>) {
    put_str(out, party.id);
    put_opt(out, party.kind, put_str);
    put_opt(out, party.name, put_str);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_canonical_under_the_schema() {
        let mut bytes = Vec::new();
        AuditEvent { id: "a", action: "user.login", original: b"{}", ..AuditEvent::default() }
            .encode(&mut bytes);
        check_event(&bytes).unwrap();
        bytes.push(0);
        assert!(check_event(&bytes).is_err());
    }
}
