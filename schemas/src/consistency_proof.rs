//! Proof of consistency as a file: that one Checkpoint's tree begins with all of another's. Lines, each ended by a
//! newline, in this one spelling:
//!
//! ```text
//! sealog/consistency-proof/v1
//! old <base64: the older Checkpoint's note>
//! <base64: a hash of the RFC 6962 consistency proof; a line each>
//!
//! <the newer Checkpoint's note, verbatim>
//! ```
//!
//! With `old <size>` in place of the first two lines it is what a C2SP tlog-witness is asked to cosign.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::Hash;
use crate::Malformed;
use crate::checkpoint::MAX_CHECKPOINT_BYTES;
use crate::tlog_proof::{Lines, hash_lines};

/// The first line, which says what the file is.
pub const CONSISTENCY_PROOF: &str = "sealog/consistency-proof/v1";
/// No proof is longer: one hash for the end of the old tree, and one for each level above.
pub const MAX_CONSISTENCY_HASHES: usize = 64;

const FORMAT: &str = "consistency proof";
const MAX_BYTES: usize = 16 << 10;

/// A proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The older Checkpoint's note.
    pub old: String,
    /// As RFC 6962 orders them.
    pub hashes: Vec<Hash>,
    /// The newer Checkpoint's note.
    pub new: String,
}

impl ConsistencyProof {
    /// The file.
    pub fn to_text(&self) -> String {
        let old = STANDARD.encode(&self.old);
        format!("{CONSISTENCY_PROOF}\nold {old}\n{}\n{}", hash_lines(&self.hashes), self.new)
    }

    /// Reads a file. Whether it proves anything is not asked yet: neither hashes nor signatures are looked at.
    pub fn parse(file: &[u8]) -> Result<ConsistencyProof, Malformed> {
        let mut lines = Lines::of(FORMAT, file, MAX_BYTES)?;
        if lines.next()? != CONSISTENCY_PROOF {
            return Err(Malformed::new(FORMAT, 0, format!("the first line is not {CONSISTENCY_PROOF}")));
        }
        let old = lines.next()?.strip_prefix("old ");
        let old = lines.base64(old.ok_or_else(|| lines.malformed("no line `old`"))?)?;
        let old = String::from_utf8(old).ok().filter(|old| old.len() <= MAX_CHECKPOINT_BYTES);
        let old = old.ok_or_else(|| lines.malformed("`old` is no Checkpoint"))?;
        let hashes = lines.hashes(MAX_CONSISTENCY_HASHES)?;
        Ok(ConsistencyProof { old, hashes, new: lines.note()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_read_back_and_other_spellings_are_refused() {
        let proof =
            ConsistencyProof { old: "old\n".into(), hashes: vec![Hash([1; 32])], new: "new\n".into() };
        let text = proof.to_text();
        assert_eq!(
            text,
            format!("sealog/consistency-proof/v1\nold b2xkCg==\n{}\n\nnew\n", STANDARD.encode([1; 32]))
        );
        assert_eq!(ConsistencyProof::parse(text.as_bytes()), Ok(proof));
        for (part, other) in [("v1", "v2"), ("old ", "old"), ("Cg==", "Cg"), ("Cg==", "Ch=="), ("\n\n", "\n")]
        {
            assert!(ConsistencyProof::parse(text.replacen(part, other, 1).as_bytes()).is_err(), "{part}");
        }
        for cut in 0..text.find("new").unwrap() {
            assert!(ConsistencyProof::parse(&text.as_bytes()[..cut]).is_err());
        }
    }
}
