//! Link, 84 bytes, big endian: an event's place in its chain.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic `SLG1` |
//! | 8 | seq |
//! | 8 | sealed_at, microseconds since 1970 |
//! | 32 | prev: hash of the link before; of the first one see [`first_prev`] |
//! | 32 | event_hash |
//!
//! Its hash is SHA-256(0x00 ‖ link): the prev of the next link and the RFC 6962 leaf hash at once.

use crate::avro::Input;
use crate::{Hash, Malformed, Micros, Seq};

/// The size of a link.
pub const LINK_BYTES: usize = 84;
const MAGIC: &[u8; 4] = b"SLG1";

/// One link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its place.
    pub seq: Seq,
    /// When it was sealed; later than the one before.
    pub sealed_at: Micros,
    /// The hash of the one before.
    pub prev: Hash,
    /// What it says about its event.
    pub event_hash: Hash,
}

impl Link {
    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; LINK_BYTES] {
        let mut b = [0; LINK_BYTES];
        b[..4].copy_from_slice(MAGIC);
        b[4..12].copy_from_slice(&self.seq.0.to_be_bytes());
        b[12..20].copy_from_slice(&(self.sealed_at.0 as u64).to_be_bytes());
        b[20..52].copy_from_slice(self.prev.bytes());
        b[52..].copy_from_slice(self.event_hash.bytes());
        b
    }

    /// Reads exactly one link.
    pub fn parse(bytes: &[u8]) -> Result<Link, Malformed> {
        let mut input = Input::new("link", bytes);
        if &input.array()? != MAGIC {
            return Err(Malformed::new("link", 0, "does not begin with SLG1"));
        }
        let seq = Seq(u64::from_be_bytes(input.array()?));
        let sealed_at = u64::from_be_bytes(input.array()?);
        if sealed_at > Micros::MAX.0 as u64 || seq.0 > i64::MAX as u64 {
            return Err(Malformed::new("link", 4, "seq or sealed_at is absurd"));
        }
        let (prev, event_hash) = (Hash(input.array()?), Hash(input.array()?));
        input.end()?;
        Ok(Link { seq, sealed_at: Micros(sealed_at as i64), prev, event_hash })
    }

    /// The link's hash.
    pub fn hash(&self) -> Hash {
        let mut leaf = [0; LINK_BYTES + 1];
        leaf[1..].copy_from_slice(&self.to_bytes());
        Hash::of(&[&leaf])
    }
}

/// The prev of seq 0: a chain can pass neither for another nor for another key's.
pub fn first_prev(origin: &str, first_vkey: &str) -> Hash {
    Hash::of(&[b"sealog/v1\n", origin.as_bytes(), b"\n", first_vkey.as_bytes(), b"\n"])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_link_is_read_back_and_any_flip_is_seen(seq in 0..i64::MAX as u64, at in 0..Micros::MAX.0, prev: [u8; 32], event: [u8; 32], bit in 0..LINK_BYTES * 8) {
            let link = Link { seq: Seq(seq), sealed_at: Micros(at), prev: Hash(prev), event_hash: Hash(event) };
            let mut bytes = link.to_bytes();
            prop_assert_eq!(Link::parse(&bytes), Ok(link));
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Link::parse(&bytes).map_or(true, |other| other.hash() != link.hash()));
            prop_assert!(Link::parse(&bytes[..bit / 8]).is_err());
        }
    }
}
