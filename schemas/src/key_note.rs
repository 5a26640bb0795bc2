//! Key note: from which size on which key signs a chain. Signed by the key itself and, above size 0, by its
//! predecessor, in this order.
//!
//! ```text
//! sealog/key/v1
//! <origin>
//! <first size, decimal>
//! <vkey>
//!
//! — <origin> <signature of the key>
//! — <origin> <signature of its predecessor, above size 0>
//! ```

use crate::Malformed;
use crate::checkpoint::decimal;
use crate::note::{Note, Signing, Vkey};

/// A key and where it comes into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyNote {
    /// The first size that this key may sign.
    pub first_size: u64,
    /// The key, under the chain's origin.
    pub vkey: Vkey,
}

const KIND: &str = "sealog/key/v1";

fn malformed(what: impl Into<String>) -> Malformed {
    Malformed::new("key note", 0, what)
}

impl KeyNote {
    /// The signed note. `predecessor` is the key in force before; None at size 0 only.
    pub fn sign(&self, signing: &Signing, predecessor: Option<&Signing>) -> String {
        let origin = self.vkey.name();
        let text = format!("{KIND}\n{origin}\n{}\n{}\n", self.first_size, self.vkey);
        let second = predecessor.map(|p| p.sign(origin, &text)).unwrap_or_default();
        format!("{text}\n{}{second}", signing.sign(origin, &text))
    }

    /// Reads a note and checks all its signatures. `predecessor`: the key in force before, None at size 0.
    pub fn open(note: &[u8], predecessor: Option<&Vkey>) -> Result<KeyNote, Malformed> {
        let note = Note::parse(note)?;
        let lines: Vec<&str> = note.text.split('\n').collect();
        let [KIND, origin, first_size, vkey, ""] = lines.as_slice() else {
            return Err(malformed("not four lines: sealog/key/v1, origin, first size, vkey"));
        };
        let vkey = Vkey::parse(vkey)?;
        let first_size =
            decimal(first_size).ok_or_else(|| malformed("the first size is not a plain decimal"))?;
        if vkey.name() != *origin {
            return Err(malformed(format!("the key is named {}, the origin is {origin}", vkey.name())));
        }
        match (note.signatures.as_slice(), first_size, predecessor) {
            ([own], 0, None) => vkey.verify(note.text, own)?,
            ([own, old], 1.., Some(predecessor)) => {
                vkey.verify(note.text, own)?;
                predecessor.verify(note.text, old)?;
            }
            _ => return Err(malformed("signatures: its own at size 0, its own and its predecessor's above")),
        }
        Ok(KeyNote { first_size, vkey })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_note_holds_only_with_all_its_signatures() {
        let (old, new) = (Signing::from_seed(&[1; 32]), Signing::from_seed(&[2; 32]));
        let first = KeyNote { first_size: 0, vkey: old.vkey("a/0") };
        let note = first.sign(&old, None);
        assert_eq!(KeyNote::open(note.as_bytes(), None), Ok(first.clone()));
        assert!(KeyNote::open(note.as_bytes(), Some(&first.vkey)).is_err());

        let second = KeyNote { first_size: 9, vkey: new.vkey("a/0") };
        let note = second.sign(&new, Some(&old));
        assert_eq!(KeyNote::open(note.as_bytes(), Some(&first.vkey)), Ok(second.clone()));
        assert!(KeyNote::open(note.as_bytes(), Some(&second.vkey)).is_err(), "not signed by its predecessor");
        assert!(KeyNote::open(second.sign(&new, None).as_bytes(), Some(&first.vkey)).is_err());
        for bit in 0..note.len() * 8 {
            let mut bytes = note.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(KeyNote::open(&bytes, Some(&first.vkey)).is_err(), "bit {bit}");
        }
    }
}
