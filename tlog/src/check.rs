//! What a proof proves, for whoever has the file and the operator's public key, and nothing else.

use std::fmt;

use schemas::avro::{Input, Shape};
use schemas::{CONSISTENCY_PROOF, Checkpoint, ConsistencyProof, Link, Malformed, ProofData, TlogProof, Vkey};

use crate::consistency::is_consistent;
use crate::proof::root_from;

/// What holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// An event stands at its place in a chain.
    Inclusion(Box<Included>),
    /// One Checkpoint goes on from another.
    Consistency(Box<Consistent>),
}

/// An event, and the signed tree that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// Its link.
    pub link: Link,
    /// The AuditEvent schema that it is written in.
    pub schema: Vec<u8>,
    /// Its datum, which is canonical under that schema.
    pub event_bytes: Vec<u8>,
    /// The tree.
    pub checkpoint: Checkpoint,
    /// The pinned key that signed it.
    pub vkey: Vkey,
}

/// Two signed trees, the larger one of which begins with all of the smaller one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistent {
    /// The smaller one.
    pub old: Checkpoint,
    /// The larger one.
    pub new: Checkpoint,
    /// The pinned key that signed the larger one.
    pub vkey: Vkey,
}

/// Why a file proves nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProof {
    /// It is not in its one spelling, or what is in it is not.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Nobody can tell which event it is about.
    #[error("it holds no event: the line `extra` is missing")]
    NoEvent,
    /// The event is another's.
    #[error("its index is {index}, its event is seq {seq}")]
    Index {
        /// The place that the path is for.
        index: u64,
        /// The place that the link has.
        seq: u64,
    },
    /// The Checkpoint is not signed, or by another key than any that is pinned.
    #[error("the Checkpoint of {origin} is signed by none of the keys given: {why}")]
    Signature {
        /// Whose Checkpoint it says it is.
        origin: String,
        /// What is wrong, under the first of the keys.
        why: Malformed,
    },
    /// The tree does not have it.
    #[error("the path does not lead from seq {seq} to the root that was signed for {size} events")]
    Path {
        /// The place.
        seq: u64,
        /// The tree.
        size: u64,
    },
    /// They are of two chains.
    #[error("one Checkpoint is of {old}, the other of {new}")]
    Origins {
        /// The older one's.
        old: String,
        /// The newer one's.
        new: String,
    },
    /// They are of two histories, or the hashes are others.
    #[error("the hashes do not lead from the root that was signed for {old} events to the one for {new}")]
    NotConsistent {
        /// The older size.
        old: u64,
        /// The newer size.
        new: u64,
    },
}

/// Checks a proof of either kind against pinned keys, as `prove` writes it.
pub fn check(file: &[u8], pinned: &[Vkey]) -> Result<Checked, NoProof> {
    match file.starts_with(CONSISTENCY_PROOF.as_bytes()) {
        true => check_consistency(file, pinned).map(|held| Checked::Consistency(Box::new(held))),
        false => check_inclusion(file, pinned).map(|held| Checked::Inclusion(Box::new(held))),
    }
}

fn check_inclusion(file: &[u8], pinned: &[Vkey]) -> Result<Included, NoProof> {
    let proof = TlogProof::parse(file)?;
    let data = ProofData::parse(proof.extra.as_deref().ok_or(NoProof::NoEvent)?)?;
    let (link, index) = (data.link, proof.index);
    if index != link.seq.0 {
        return Err(NoProof::Index { index, seq: link.seq.0 });
    }
    let (checkpoint, vkey) = opened(proof.checkpoint.as_bytes(), pinned)?;
    if root_from(link.hash(), index, checkpoint.size, &proof.hashes) != Some(checkpoint.root) {
        return Err(NoProof::Path { seq: index, size: checkpoint.size });
    }
    let mut input = Input::new("AuditEvent", data.event_bytes);
    Shape::parse(data.schema)?.skip(&mut input)?;
    input.end()?;
    let (schema, event_bytes) = (data.schema.to_vec(), data.event_bytes.to_vec());
    Ok(Included { link, schema, event_bytes, checkpoint, vkey })
}

fn check_consistency(file: &[u8], pinned: &[Vkey]) -> Result<Consistent, NoProof> {
    let proof = ConsistencyProof::parse(file)?;
    let ((old, _), (new, vkey)) =
        (opened(proof.old.as_bytes(), pinned)?, opened(proof.new.as_bytes(), pinned)?);
    if old.origin != new.origin {
        return Err(NoProof::Origins { old: old.origin, new: new.origin });
    }
    match is_consistent((old.size, old.root), (new.size, new.root), &proof.hashes) {
        true => Ok(Consistent { old, new, vkey }),
        false => Err(NoProof::NotConsistent { old: old.size, new: new.size }),
    }
}

/// The Checkpoint in a note, and which of the keys signed it.
fn opened(note: &[u8], pinned: &[Vkey]) -> Result<(Checkpoint, Vkey), NoProof> {
    let (Checkpoint { origin, .. }, _) = Checkpoint::parse(note)?;
    let mut why = None;
    for vkey in Vkey::all_for(pinned, &origin) {
        match Checkpoint::open(note, &vkey) {
            Ok(checkpoint) => return Ok((checkpoint, vkey)),
            Err(malformed) => drop(why.get_or_insert(malformed)),
        }
    }
    let why = why.unwrap_or_else(|| Malformed::new("checkpoint", 0, "there is no key to check it with"));
    Err(NoProof::Signature { origin, why })
}

impl fmt::Display for Checked {
    /// What is proved, in one sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Checked::Inclusion(held) => {
                let Included { link, checkpoint: Checkpoint { origin, size, root }, vkey, .. } = &**held;
                let at = link.sealed_at.rfc3339();
                write!(
                    f,
                    "proved: this event is seq {} of chain {origin}, sealed at {at}, in the tree of {size} events with \
                     root {root} that {vkey} signed",
                    link.seq
                )
            }
            Checked::Consistency(held) => {
                let Consistent { old, new, vkey } = &**held;
                write!(
                    f,
                    "proved: the tree of {} events of chain {} with root {}, that {vkey} signed, begins with all {} \
                     events of the one with root {}",
                    new.size, new.origin, new.root, old.size, old.root
                )
            }
        }
    }
}
