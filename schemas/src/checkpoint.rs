//! Checkpoint (C2SP tlog-checkpoint): what the operator signs about a chain. Three lines and one signature, no
//! extension lines:
//!
//! ```text
//! <origin>
//! <size, decimal>
//! <base64: RFC 6962 root over the links>
//!
//! — <origin> <base64: key id ‖ signature>
//! ```

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::note::{Note, Signing, Vkey};
use crate::{Hash, Malformed};

/// Origin, size and root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The chain's name.
    pub origin: String,
    /// How many links it covers.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// No checkpoint in this form is longer.
pub const MAX_CHECKPOINT_BYTES: usize = 1 << 10;

fn malformed(what: impl Into<String>) -> Malformed {
    Malformed::new("checkpoint", 0, what)
}

impl Checkpoint {
    /// The signed note.
    pub fn sign(&self, signing: &Signing) -> String {
        let text = self.text();
        let line = signing.sign(&self.origin, &text);
        format!("{text}\n{line}")
    }

    /// Reads a note that this key alone has signed, in exactly the form that [`Checkpoint::sign`] writes.
    pub fn open(note: &[u8], vkey: &Vkey) -> Result<Checkpoint, Malformed> {
        let (checkpoint, note) = Checkpoint::parse(note)?;
        let [line] = note.signatures.as_slice() else {
            return Err(malformed(format!(
                "{} signature lines, there is exactly one",
                note.signatures.len()
            )));
        };
        if checkpoint.origin != vkey.name() {
            return Err(malformed(format!("origin is {}, should be {}", checkpoint.origin, vkey.name())));
        }
        vkey.verify(note.text, line)?;
        Ok(checkpoint)
    }

    /// Reads the text and leaves the question of who signed it to the caller.
    pub fn parse(note: &[u8]) -> Result<(Checkpoint, Note<'_>), Malformed> {
        if note.len() > MAX_CHECKPOINT_BYTES {
            return Err(malformed("longer than 1 KiB"));
        }
        let note = Note::parse(note)?;
        Ok((Checkpoint::parse_text(note.text)?, note))
    }

    /// Reads the text of a checkpoint without its signature.
    pub fn parse_text(text: &str) -> Result<Checkpoint, Malformed> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("not three lines: origin, size, root"));
        };
        crate::note::check_name(origin)?;
        let size = decimal(size).ok_or_else(|| malformed("the size is not a plain decimal"))?;
        let root = STANDARD.decode(root).ok().and_then(|r| Hash::from_slice(&r));
        let root = root.ok_or_else(|| malformed("the root is not base64 of 32 bytes"))?;
        Ok(Checkpoint { origin: origin.to_owned(), size, root })
    }

    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.bytes()))
    }
}

/// A number without sign or padding, within what an Avro long holds.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty()
        && text.bytes().all(|c| c.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten().filter(|n| *n <= i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> (Checkpoint, Signing, String) {
        let checkpoint =
            Checkpoint { origin: "acme.example/audit/0".into(), size: 70_000, root: Hash([3; 32]) };
        let signing = Signing::from_seed(&[7; 32]);
        let note = checkpoint.sign(&signing);
        (checkpoint, signing, note)
    }

    #[test]
    fn a_checkpoint_is_opened_by_its_key_alone() {
        let (checkpoint, signing, note) = signed();
        assert_eq!(Checkpoint::open(note.as_bytes(), &signing.vkey("acme.example/audit/0")), Ok(checkpoint));
        assert!(Checkpoint::open(note.as_bytes(), &signing.vkey("acme.example/audit/1")).is_err());
    }

    #[test]
    fn another_implementation_reads_it() {
        let (checkpoint, _, note) = signed();
        let text = note.split("\n\n").next().unwrap().to_owned() + "\n";
        let other = tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).unwrap();
        assert_eq!((other.origin(), other.size()), (checkpoint.origin.as_str(), checkpoint.size));
        assert_eq!(other.hash().0, checkpoint.root.0);
    }

    #[test]
    fn any_flip_or_cut_is_refused() {
        let (_, signing, note) = signed();
        let vkey = signing.vkey("acme.example/audit/0");
        for bit in 0..note.len() * 8 {
            let mut bytes = note.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Checkpoint::open(&bytes, &vkey).is_err(), "bit {bit}");
            assert!(Checkpoint::open(&note.as_bytes()[..bit / 8], &vkey).is_err());
        }
        let line = note.lines().last().unwrap();
        for bad in
            [format!("{note}{line}\n"), note.replace("70000", "070000"), note.replace("\n\n", "\nmore\n\n")]
        {
            assert!(Checkpoint::open(bad.as_bytes(), &vkey).is_err(), "{bad}");
        }
    }
}
