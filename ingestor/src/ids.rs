//! Ids for events whose producer gave none, and the chain that a producer's events go to.

use schemas::event::ReceivedFrom;
use schemas::{Hash, Micros, derived_id};

/// The id of an event from Kafka: a function of its place, so that reading it again gives the same.
pub fn position_id(from: &ReceivedFrom<'_>) -> String {
    let [partition, offset] =
        [from.partition.map(i64::from), from.offset].map(|n| n.unwrap_or_default().to_string());
    let topic = from.topic.unwrap_or_default().as_bytes();
    derived_id(&[topic, partition.as_bytes(), offset.as_bytes(), from.part.to_string().as_bytes()])
}

/// The id of the event at `index` of a request that came with an Idempotency-Key.
pub fn keyed_id(producer: &str, key: &str, index: usize) -> String {
    derived_id(&[producer.as_bytes(), key.as_bytes(), index.to_string().as_bytes()])
}

/// The chain of a producer, or of whatever else must stay in order: the first 8 bytes of SHA-256(name), big endian,
/// modulo the number of chains. Never changes: an event's chain can be told from outside.
pub fn route(name: &str, chains: u32) -> u32 {
    let hash = Hash::of(&[name.as_bytes()]).0;
    let first = hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    (first % u64::from(chains.max(1))) as u32
}

/// UUIDv7s (RFC 9562) for the events of one request: the time, 74 random bits, and the index added to them.
#[derive(Clone, Copy, Debug)]
pub struct FreshIds {
    first: u128,
}

/// How long a UUID is as text.
pub const UUID_CHARS: usize = 36;

impl FreshIds {
    /// From the time and randomness of one request.
    pub fn new(now: Micros, random: [u8; 16]) -> FreshIds {
        let ms = (now.0.max(0) / 1_000) as u128 & 0xffff_ffff_ffff;
        let random = u128::from_be_bytes(random);
        // The counter's highest bit starts at 0, so that no index carries into the variant.
        let low = random & 0x1fff_ffff_ffff_ffff;
        let high = (random >> 64) & 0xfff;
        FreshIds { first: ms << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low }
    }

    /// The id at `index`, written into `out`.
    pub fn get(self, index: usize, out: &mut [u8; UUID_CHARS]) -> &str {
        let id = self.first + index as u128;
        let mut at = 0;
        for nibble in 0..32 {
            if matches!(nibble, 8 | 12 | 16 | 20) {
                out[at] = b'-';
                at += 1;
            }
            let digit = (id >> (124 - 4 * nibble)) as u8 & 15;
            out[at] = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
            at += 1;
        }
        std::str::from_utf8(out).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_of_a_producer_never_changes() {
        let chains: Vec<_> = ["billing", "anonymous", "kafka:app.audit/0"].map(|p| route(p, 16)).into();
        assert_eq!(chains, [7, 3, 10]);
        assert_eq!(route("billing", 1), 0);
    }

    #[test]
    fn ids_are_a_function_of_where_the_event_came_from() {
        let from =
            ReceivedFrom { topic: Some("t"), partition: Some(3), offset: Some(9), ..Default::default() };
        assert_eq!(position_id(&from), derived_id(&[b"t", b"3", b"9", b"0"]));
        assert_eq!(keyed_id("p", "k", 4), derived_id(&[b"p", b"k", b"4"]));
    }

    #[test]
    fn fresh_ids_are_version_7_and_differ_by_their_index() {
        let ids = FreshIds::new(Micros(1_795_253_400_000_000), [0xff; 16]);
        let mut text = [0; UUID_CHARS];
        assert_eq!(ids.get(0, &mut text), "01a1fd70-f1c0-7fff-9fff-ffffffffffff");
        assert_eq!(ids.get(1, &mut text), "01a1fd70-f1c0-7fff-a000-000000000000");
    }
}
