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

    /// The chain that it is about.
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// The note as it was given.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.note).into_owned()
    }

    /// Whether the key in force at its size has signed it.
    pub(crate) fn is_signed_by(&self, ring: &KeyRing) -> bool {
        let Some(vkey) = ring.at(self.checkpoint.size) else { return false };
        let Ok((_, note)) = Checkpoint::parse(&self.note) else { return false };
        note.signatures.iter().any(|line| vkey.verify(note.text, line).is_ok())
    }
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

/// The pinned keys as keys of `origin`: those that bear its name, or else all of them under its name, since one seed
/// signs for every chain of a deployment.
pub(crate) fn pinned_for(pinned: &[Vkey], origin: &str) -> Vec<Vkey> {
    let own: Vec<Vkey> = pinned.iter().filter(|vkey| vkey.name() == origin).cloned().collect();
    match own.is_empty() {
        true => pinned.iter().map(|vkey| vkey.renamed(origin)).collect(),
        false => own,
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
