//! What the auditor brings: a pinned key, and checkpoints kept from earlier.

use schemas::{Checkpoint, Malformed, Vkey};

use crate::keys::KeyRing;

/// A checkpoint that was kept outside the archive.
#[derive(Clone, Debug)]
pub struct Known {
    /// What the auditor calls it: its file.
    pub name: String,
    pub(crate) checkpoint: Checkpoint,
    note: Vec<u8>,
}

impl Known {
    /// Reads a kept checkpoint. It may carry signature lines of others beside the chain's own.
    pub fn parse(name: &str, note: &[u8]) -> Result<Known, Malformed> {
        let (checkpoint, _) = Checkpoint::parse(note)?;
        Ok(Known { name: name.to_owned(), checkpoint, note: note.to_vec() })
    }

    /// Reads a file of kept checkpoints, one behind the other, as `cat` joins them: each begins behind the signature
    /// lines of the one before. There is at least one.
    pub fn parse_all(name: &str, notes: &[u8]) -> Result<Vec<Known>, Malformed> {
        let (mut known, mut rest) = (Vec::new(), notes);
        loop {
            let (note, behind) = rest.split_at(end_of_note(rest));
            let name = match (known.len(), behind.is_empty()) {
                (0, true) => name.to_owned(),
                (nth, _) => format!("{name}#{}", nth + 1),
            };
            known.push(Known::parse(&name, note)?);
            // Between them there may be empty lines.
            rest = behind.trim_ascii_start();
            if rest.is_empty() {
                return Ok(known);
            }
        }
    }

    /// The chain that it is about.
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// The note as it was given.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.note).into_owned()
    }

    /// Whether the key in force at its size has signed it.
    pub(crate) fn is_signed_by(&self, ring: &KeyRing) -> bool {
        let Some(vkey) = ring.at(self.checkpoint.size) else { return false };
        let Ok((_, note)) = Checkpoint::parse(&self.note) else { return false };
        note.signatures.iter().any(|line| vkey.verify(note.text, line).is_ok())
    }
}

/// How long the first note is: up to the first line that is no signature line, behind one that is.
fn end_of_note(notes: &[u8]) -> usize {
    let (mut at, mut is_signed) = (0, false);
    for line in notes.split_inclusive(|byte| *byte == b'\n') {
        let is_signature = line.starts_with("\u{2014} ".as_bytes());
        if is_signed && !is_signature {
            return at;
        }
        is_signed |= is_signature;
        at += line.len();
    }
    at
}

/// Reads pinned keys: a verifier key a line; empty lines and lines that begin with `#` are passed over.
pub fn parse_keys(text: &str) -> Result<Vec<Vkey>, Malformed> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys = lines.map(Vkey::parse).collect::<Result<Vec<_>, _>>()?;
    match keys.is_empty() {
        true => Err(Malformed::new("verifier key", 0, "there is none: a line `name+id+key` is expected")),
        false => Ok(keys),
    }
}

/// Whether a pinned key's name says that a chain must be there that is not: other chains of its deployment are, and
/// none of its name. A name of another deployment says nothing, for a key may bear any name it is shown under.
pub(crate) fn misses(vkey: &Vkey, mut origins: impl Iterator<Item = String> + Clone) -> bool {
    let below = |folder: &str, origin: &str| {
        origin.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let deployment = vkey.name().rsplit_once('/').map_or(vkey.name(), |(deployment, _)| deployment);
    let is_there = origins.clone().any(|origin| below(vkey.name(), &origin));
    !is_there && origins.any(|origin| below(deployment, &origin))
}
