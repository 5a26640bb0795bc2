//! Proof data: what travels beside an inclusion proof so that the file alone gives back the event.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `SLP1` |
//! | 84 | the link |
//! | 4 | length of the schema, big endian |
//! | n | the AuditEvent schema's JSON |
//! | rest | event_bytes |

use crate::avro::Input;
use crate::link::LINK_BYTES;
use crate::{Hash, Link, Malformed, event_hash};

const MAGIC: &[u8; 4] = b"SLP1";

/// A link with the schema and the event that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofData<'a> {
    /// The link.
    pub link: Link,
    /// The schema's JSON.
    pub schema: &'a [u8],
    /// The event's datum.
    pub event_bytes: &'a [u8],
}

impl<'a> ProofData<'a> {
    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = (self.schema.len() as u32).to_be_bytes();
        [MAGIC, self.link.to_bytes().as_slice(), &length, self.schema, self.event_bytes].concat()
    }

    /// Reads it; refuses an event or a schema other than the link's.
    pub fn parse(bytes: &'a [u8]) -> Result<ProofData<'a>, Malformed> {
        let mut input = Input::new("proof data", bytes);
        if &input.array()? != MAGIC {
            return Err(Malformed::new("proof data", 0, "does not begin with SLP1"));
        }
        let link = Link::parse(input.take(LINK_BYTES)?)?;
        let length = u32::from_be_bytes(input.array()?);
        let schema = input.take(length as usize)?;
        let event_bytes = input.rest();
        match event_hash(&Hash::of(&[schema]), event_bytes) == link.event_hash {
            true => Ok(ProofData { link, schema, event_bytes }),
            false => Err(input.malformed("the link is about another event, or the schema is another")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Micros, Seq};

    #[test]
    fn proof_data_holds_its_own_event_only() {
        let event_hash = event_hash(&Hash::of(&[b"schema"]), b"event");
        let link = Link { seq: Seq(1), sealed_at: Micros(2), prev: Hash::default(), event_hash };
        let data = ProofData { link, schema: b"schema", event_bytes: b"event" };
        assert_eq!(ProofData::parse(&data.to_bytes()), Ok(data));
        for change in [
            ProofData { event_bytes: b"evenT", ..data },
            ProofData { schema: b"schem", event_bytes: b"aevent", ..data },
        ] {
            assert!(ProofData::parse(&change.to_bytes()).is_err());
        }
        for cut in 0..data.to_bytes().len() {
            assert!(ProofData::parse(&data.to_bytes()[..cut]).is_err());
        }
    }
}
