//! Framing: how a record's value holds its datum. Never part of a hash.
//!
//! | value | when |
//! |---|---|
//! | the datum | no schema registry is configured |
//! | 0x00, schema id u32 big endian, the datum | Confluent wire format |
//!
//! Which schema it is says the record's header `sealog.schema`: the schema's SHA-256, 32 bytes.

use crate::{Hash, Malformed};

/// The name of the header.
pub const SCHEMA_HEADER: &str = "sealog.schema";

/// How values are framed on a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// The bare datum.
    #[default]
    Bare,
    /// Confluent wire format, with the id that the registry gave the schema.
    Confluent(u32),
}

impl Framing {
    /// Writes what comes before the datum.
    pub fn begin(self, out: &mut Vec<u8>) {
        if let Framing::Confluent(id) = self {
            out.push(0);
            out.extend_from_slice(&id.to_be_bytes());
        }
    }

    /// The datum in a value.
    pub fn datum(self, value: &[u8]) -> Result<&[u8], Malformed> {
        match self {
            Framing::Bare => Ok(value),
            Framing::Confluent(_) => match value {
                [0, _, _, _, _, datum @ ..] => Ok(datum),
                _ => Err(Malformed::new("framing", 0, "not in Confluent wire format")),
            },
        }
    }
}

/// The schema that a `sealog.schema` header names.
pub fn schema_of(header: Option<&[u8]>) -> Result<Hash, Malformed> {
    let hash = header.and_then(Hash::from_slice);
    hash.ok_or_else(|| Malformed::new("record", 0, "no sealog.schema header of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datum_comes_out_of_either_framing() {
        for framing in [Framing::Bare, Framing::Confluent(7)] {
            let mut value = Vec::new();
            framing.begin(&mut value);
            value.extend_from_slice(b"datum");
            assert_eq!(framing.datum(&value), Ok(&b"datum"[..]));
        }
        assert!(Framing::Confluent(7).datum(b"\x00\x00").is_err());
        assert!(schema_of(Some(b"short")).is_err() && schema_of(None).is_err());
    }
}
