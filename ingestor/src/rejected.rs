//! What cannot be taken: an event that says so on the chain, and the bytes on `audit.rejected`, the queue for replay.
//!
//! | header of `audit.rejected` | |
//! |---|---|
//! | those of a Kafka record | as they came |
//! | sealog.reason, sealog.detail | why, as a word and a sentence |
//! | sealog.id | the id of the `sealog.rejected` event |
//! | sealog.producer, sealog.content_type | who sent it, and as what |
//! | sealog.position | topic/partition/offset, for what came from Kafka |
//! | sealog.sha256 | of all its bytes, in hex |
//! | sealog.chunk | `1/3`: which part of the bytes this record holds, where one record cannot hold all |

use schemas::event::ReceivedFrom;
use schemas::framing::SCHEMA_HEADER;
use schemas::own_act::Rejected;
use schemas::{Hash, Micros, event_schema_hash};
use stream::Batch;

use crate::Lanes;
use crate::record::{RawRecord, Rejection};

/// The bytes of one record of `audit.rejected`; with key and headers it stays well below what the topic takes.
pub const CHUNK_BYTES: usize = 2 << 20;

/// Adds both to `into`. The event holds the bytes up to the item limit, the queue all of them.
pub fn push_rejected(
    rejection: &Rejection,
    record: &RawRecord<'_>,
    (id, received_at): (&str, Micros),
    item_bytes: usize,
    into: &mut Batch,
    lanes: Lanes,
) {
    let sha256 = Hash::of(&[record.bytes]).to_string();
    let mut clipped = record.clone();
    if beside_bytes(&record.received_from) > MAX_BESIDE_BYTES {
        (clipped.received_from.key, clipped.received_from.headers) = (None, &[]);
    }
    let record = &clipped;
    push_queued(rejection, record, (id, &sha256), into, lanes);

    let event = Rejected {
        id,
        at: received_at,
        reason: rejection.reason.word(),
        detail: &rejection.detail,
        producer: record.producer,
        received_from: record.received_from.clone(),
        content_type: record.content_type,
        sha256: &sha256,
        bytes: record.bytes,
        keep_bytes: item_bytes.min(CHUNK_BYTES),
    };
    let schema_hash = event_schema_hash();
    into.push_with(lanes.events, None, &[(SCHEMA_HEADER, schema_hash.bytes())], |out| event.encode(out));
}

/// A rejected record's key and headers are left out where they are larger: no record could hold them.
const MAX_BESIDE_BYTES: usize = 1 << 20;

fn beside_bytes(from: &ReceivedFrom<'_>) -> usize {
    let header = |(name, value): &(&str, Option<&[u8]>)| 16 + name.len() + value.unwrap_or_default().len();
    from.key.unwrap_or_default().len() + from.headers.iter().map(header).sum::<usize>()
}

fn push_queued(
    rejection: &Rejection,
    record: &RawRecord<'_>,
    (id, sha256): (&str, &str),
    into: &mut Batch,
    lanes: Lanes,
) {
    let from = &record.received_from;
    let position = from.topic.map(|topic| {
        format!("{topic}/{}/{}", from.partition.unwrap_or_default(), from.offset.unwrap_or_default())
    });
    let chunks = record.bytes.len().div_ceil(CHUNK_BYTES).max(1);
    for chunk in 0..chunks {
        let name = format!("{}/{chunks}", chunk + 1);
        let mut headers: Vec<(&str, &[u8])> = Vec::new();
        headers.extend(from.headers.iter().map(|(key, value)| (*key, value.unwrap_or_default())));
        headers.extend([
            ("sealog.reason", rejection.reason.word().as_bytes()),
            ("sealog.detail", rejection.detail.as_bytes()),
            ("sealog.id", id.as_bytes()),
            ("sealog.producer", record.producer.as_bytes()),
            ("sealog.content_type", record.content_type.as_bytes()),
            ("sealog.sha256", sha256.as_bytes()),
        ]);
        headers.extend(position.as_ref().map(|p| ("sealog.position", p.as_bytes())));
        if chunks > 1 {
            headers.push(("sealog.chunk", name.as_bytes()));
        }
        let start = chunk * CHUNK_BYTES;
        let end = record.bytes.len().min(start + CHUNK_BYTES);
        into.push(lanes.rejected, from.key, &headers, &record.bytes[start..end]);
    }
}

#[cfg(test)]
mod tests {
    use schemas::avro::{Input, to_json};
    use schemas::event::{check_event, event_shape};
    use stream::topics;

    use super::*;
    use crate::record::{FallbackId, Reason};

    fn rejected(bytes: &[u8]) -> Batch {
        let mut batch = Batch::new();
        let lanes = Lanes::of(0, &mut batch);
        let headers = [("h", Some(&b"v"[..])), ("null", None)];
        let received_from = ReceivedFrom {
            topic: Some("raw"),
            partition: Some(1),
            offset: Some(2),
            key: Some(b"k"),
            headers: &headers,
            ..ReceivedFrom::default()
        };
        let record = RawRecord {
            content_type: "text/x",
            bytes,
            received_from,
            producer: "p",
            fallback_id: FallbackId::Position,
        };
        let rejection = Rejection::new(Reason::NotJson, "not JSON: a detail");
        push_rejected(&rejection, &record, ("the-id", Micros(1)), 4, &mut batch, lanes);
        batch
    }

    #[test]
    fn a_rejection_is_queued_and_said_on_the_chain() {
        let batch = rejected(b"broken");
        assert_eq!(batch.lanes(), [topics::rejected(0), topics::events(0)]);
        let queued = batch.get(0).unwrap();
        assert_eq!(queued.lane, &topics::rejected(0));
        assert_eq!((queued.key, queued.value), (Some(&b"k"[..]), Some(&b"broken"[..])));
        let header = |name| queued.headers.get(name).map(|v| std::str::from_utf8(v).unwrap());
        assert_eq!(header("sealog.reason"), Some("not_json"));
        assert_eq!(header("sealog.position"), Some("raw/1/2"));
        assert_eq!((header("h"), header("sealog.chunk")), (Some("v"), None));

        let event = batch.last().unwrap();
        assert_eq!(event.lane, &topics::events(0));
        check_event(event.value.unwrap()).unwrap();
        let event = to_json(event_shape(), &mut Input::new("event", event.value.unwrap())).unwrap();
        let sha256 = Hash::of(&[b"broken"]).to_string();
        assert_eq!((&event["id"], &event["action"]), (&"the-id".into(), &"sealog.rejected".into()));
        assert_eq!((&event["producer"], &event["claimed_producer"]), (&"sealog".into(), &"p".into()));
        assert_eq!(event["attributes"][1]["value"], *sha256);
        assert_eq!(event["original"]["bytes"], "brok");
        assert_eq!(event["received_from"]["offset"], 2);
    }

    #[test]
    fn what_no_record_can_hold_is_queued_in_chunks() {
        let bytes: Vec<u8> = (0..CHUNK_BYTES * 2 + 1).map(|i| i as u8).collect();
        let batch = rejected(&bytes);
        let queued: Vec<_> = batch.iter().filter(|r| r.lane == &topics::rejected(0)).collect();
        let chunks: Vec<_> = queued.iter().filter_map(|r| r.headers.get("sealog.chunk")).collect();
        assert_eq!(chunks, [b"1/3", b"2/3", b"3/3"]);
        assert_eq!(queued.iter().flat_map(|r| r.value.unwrap()).copied().collect::<Vec<_>>(), bytes);
    }
}
