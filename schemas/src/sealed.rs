//! SealedEvent: a link's own fields, then event_bytes verbatim.
//!
//! | Avro | field |
//! |---|---|
//! | long | seq |
//! | long, timestamp-micros | sealed_at |
//! | fixed(32) | prev |
//! | fixed(32) | hash |
//! | record | event: Avro nests records without framing, so event_bytes follow as they are |

use crate::avro::{Input, put_long};
use crate::{Hash, Link, Malformed, Micros, Seq, event_hash};

/// What comes before the event in the wrapper schema's JSON, and after it.
const WRAPPER: (&str, &str) = (
    r#"{"type":"record","name":"SealedEvent","namespace":"sealog.v1","fields":[{"name":"seq","type":"long"},{"name":"sealed_at","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"prev","type":{"type":"fixed","name":"Prev","size":32}},{"name":"hash","type":{"type":"fixed","name":"Hash","size":32}},{"name":"event","type":"#,
    "}]}",
);

/// A datum taken apart: the prefix, and the event's bytes as they stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedEvent<'a> {
    /// Its place.
    pub seq: Seq,
    /// When it was sealed.
    pub sealed_at: Micros,
    /// The hash of the link before.
    pub prev: Hash,
    /// The hash of its own link.
    pub hash: Hash,
    /// The event's datum.
    pub event_bytes: &'a [u8],
}

impl<'a> SealedEvent<'a> {
    /// Splices: the prefix of `link`, then `event_bytes`.
    pub fn splice(out: &mut Vec<u8>, link: &Link, hash: &Hash, event_bytes: &[u8]) {
        put_long(out, link.seq.0 as i64);
        put_long(out, link.sealed_at.0);
        out.extend_from_slice(link.prev.bytes());
        out.extend_from_slice(hash.bytes());
        out.extend_from_slice(event_bytes);
    }

    /// Reads a prefix; what follows it is taken as event_bytes, and not looked at.
    pub fn parse(datum: &'a [u8]) -> Result<SealedEvent<'a>, Malformed> {
        let mut input = Input::new("SealedEvent", datum);
        let sealed = SealedEvent::read_prefix(&mut input)?;
        Ok(SealedEvent { event_bytes: input.rest(), ..sealed })
    }

    /// Reads a prefix and leaves `input` at the event. Its event_bytes are empty.
    pub fn read_prefix(input: &mut Input<'a>) -> Result<SealedEvent<'a>, Malformed> {
        let seq = Seq(input.count()?);
        let sealed_at = Micros(input.long()?);
        if !(0..=Micros::MAX.0).contains(&sealed_at.0) {
            return Err(input.malformed("sealed_at is absurd"));
        }
        let (prev, hash) = (Hash(input.array()?), Hash(input.array()?));
        Ok(SealedEvent { seq, sealed_at, prev, hash, event_bytes: &[] })
    }

    /// The link that these fields and this event make. Whether its hash is the one in the record is the walk's question.
    pub fn link(&self, schema_hash: &Hash) -> Link {
        Link {
            seq: self.seq,
            sealed_at: self.sealed_at,
            prev: self.prev,
            event_hash: event_hash(schema_hash, self.event_bytes),
        }
    }
}

/// The `avro.schema` of a segment: the frozen wrapper around an AuditEvent schema's exact bytes.
pub fn wrapper_schema(event_schema: &[u8]) -> Vec<u8> {
    [WRAPPER.0.as_bytes(), event_schema, WRAPPER.1.as_bytes()].concat()
}

/// The AuditEvent schema's bytes inside a wrapper, if it is one.
pub fn unwrap_schema(wrapper: &[u8]) -> Option<&[u8]> {
    wrapper.strip_prefix(WRAPPER.0.as_bytes())?.strip_suffix(WRAPPER.1.as_bytes())
}

#[cfg(test)]
mod tests {
    use apache_avro::types::Value;

    use super::*;
    use crate::event::{Attribute, AttributeType, AuditEvent, EVENT_SCHEMA, Outcome, Party, ReceivedFrom};

    fn an_event() -> Vec<u8> {
        let mut out = Vec::new();
        let headers = [("h", None), ("i", Some(&b"\xff"[..]))];
        AuditEvent {
            id: "e-1",
            source_seq: Some(-7),
            action: "user.login",
            occurred_at: Some(Micros(1)),
            actor: Some(Party { id: "alice", kind: None, name: Some("Alice") }),
            targets: &[Party::default(), Party { id: "door", kind: Some("thing"), name: None }],
            outcome: Outcome::Denied,
            received_from: ReceivedFrom {
                partition: Some(3),
                key: Some(b"k"),
                headers: &headers,
                ..Default::default()
            },
            attributes: &[Attribute { key: "n", value: "1.5", kind: AttributeType::Number }],
            marks: &["skewed"],
            content_type: "application/json",
            original: b"{\"a\":\xff}",
            ..AuditEvent::default()
        }
        .encode(&mut out);
        out
    }

    #[test]
    fn a_spliced_datum_decodes_with_another_avro_to_the_very_event_that_went_in() {
        let event_bytes = an_event();
        let event_schema =
            apache_avro::Schema::parse_str(std::str::from_utf8(EVENT_SCHEMA).unwrap()).unwrap();
        let alone = apache_avro::from_avro_datum(&event_schema, &mut &event_bytes[..], None).unwrap();

        let link =
            Link { seq: Seq(300), sealed_at: Micros(9), prev: Hash([1; 32]), event_hash: Hash([2; 32]) };
        let mut datum = Vec::new();
        SealedEvent::splice(&mut datum, &link, &link.hash(), &event_bytes);
        let wrapper = String::from_utf8(wrapper_schema(EVENT_SCHEMA)).unwrap();
        let schema = apache_avro::Schema::parse_str(&wrapper).unwrap();
        let Value::Record(fields) = apache_avro::from_avro_datum(&schema, &mut &datum[..], None).unwrap()
        else {
            panic!("a SealedEvent is a record")
        };
        assert_eq!(fields[0].1, Value::Long(300));
        assert_eq!(fields[1].1, Value::TimestampMicros(9));
        assert_eq!(fields[3].1, Value::Fixed(32, link.hash().0.to_vec()));
        assert_eq!(fields[4].1, alone);
        assert_eq!(
            apache_avro::to_avro_datum(&event_schema, alone).unwrap(),
            event_bytes,
            "and encodes to our bytes"
        );
    }

    #[test]
    fn a_datum_is_taken_apart_where_it_was_spliced() {
        let event_bytes = an_event();
        let link = Link { seq: Seq(0), sealed_at: Micros(9), prev: Hash([1; 32]), event_hash: Hash([2; 32]) };
        let mut datum = Vec::new();
        SealedEvent::splice(&mut datum, &link, &link.hash(), &event_bytes);
        let sealed = SealedEvent::parse(&datum).unwrap();
        assert_eq!(sealed.event_bytes, event_bytes);
        assert_eq!(sealed.hash, link.hash());
        for cut in 0..66 {
            assert!(SealedEvent::parse(&datum[..cut]).is_err());
        }
    }

    #[test]
    fn the_wrapper_comes_off_as_it_went_on() {
        assert_eq!(unwrap_schema(&wrapper_schema(EVENT_SCHEMA)), Some(EVENT_SCHEMA));
        assert_eq!(unwrap_schema(EVENT_SCHEMA), None);
    }
}
