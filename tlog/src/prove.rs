//! Proofs out of an archive. Each is checked as whoever gets it will, before it is given.

use schemas::{ConsistencyProof, ProofData, Seq, TlogProof};

use crate::check::{Checked, check};
use crate::consistency::consistency;
use crate::proof::inclusion;
use crate::{Chain, Error, Result, Sealed, Signed};

impl Chain {
    /// The proof (C2SP tlog-proof) that the tree of `at` has an event at `seq`: a file that gives the event back to
    /// whoever has the chain's key. `NotThere` if that tree is smaller.
    pub fn prove(&self, seq: Seq, at: &Signed) -> Result<String> {
        let checkpoint = &at.checkpoint;
        let Sealed { link, schema, event_bytes } = self.event(checkpoint, seq)?;
        let extra = ProofData { link, schema: &schema, event_bytes: &event_bytes }.to_bytes();
        let path =
            inclusion(checkpoint.size, seq.0, &mut |height, index| self.node(checkpoint, height, index))?;
        let hashes = path.ok_or_else(|| self.not_covered(seq.0))?;
        let proof = TlogProof { extra: Some(extra), index: seq.0, hashes, checkpoint: at.note.clone() };
        self.checked(proof.to_text(), checkpoint.size)
    }

    /// The proof that the tree of `new` begins with all of the tree of `old`. A `Misfit` is of the gravest kind: the key
    /// has signed two histories, or `old` is not of this archive's.
    pub fn prove_consistency(&self, old: &Signed, new: &Signed) -> Result<String> {
        let sizes = (old.checkpoint.size, new.checkpoint.size);
        let path =
            consistency(sizes.0, sizes.1, &mut |height, index| self.node(&new.checkpoint, height, index))?;
        let hashes = path.ok_or_else(|| {
            Error::NotThere(format!(
                "{}: the older Checkpoint is of {} events, the newer one of {}: give them in this order, or a newer \
                 archive",
                self.origin(),
                sizes.0,
                sizes.1
            ))
        })?;
        let proof = ConsistencyProof { old: old.note.clone(), hashes, new: new.note.clone() };
        self.checked(proof.to_text(), sizes.1)
    }

    fn checked(&self, proof: String, size: u64) -> Result<String> {
        let pinned: Vec<_> = self.keys().into_iter().map(|note| note.vkey).collect();
        match check(proof.as_bytes(), &pinned) {
            Ok(Checked::Inclusion(_) | Checked::Consistency(_)) => Ok(proof),
            Err(why) => {
                let key = self.layout.key(&schemas::Place::Checkpoint(size));
                Err(Error::misfit(&key, format!("what is archived gives no proof that leads there: {why}")))
            }
        }
    }
}
