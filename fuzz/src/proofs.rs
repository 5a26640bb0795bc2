//! Proofs that travel as files: of inclusion, of consistency.

use schemas::{ConsistencyProof, Hash, TlogProof};

use crate::golden;

/// A proof of inclusion.
pub(crate) fn tlog_proof(bytes: &[u8]) -> bool {
    let Ok(proof) = TlogProof::parse(bytes) else { return false };
    assert_eq!(proof.to_text().as_bytes(), bytes, "a proof has one spelling");
    true
}

pub(crate) fn tlog_proof_seeds() -> Vec<Vec<u8>> {
    let proof = TlogProof {
        extra: Some(golden::PROOF_DATA.to_vec()),
        index: 0,
        hashes: vec![Hash::default(), Hash::of(&[])],
        checkpoint: checkpoint(),
    };
    let bare = TlogProof { extra: None, index: 70_000, hashes: Vec::new(), checkpoint: checkpoint() };
    [proof, bare].map(|proof| proof.to_text().into_bytes()).to_vec()
}

/// A proof of consistency.
pub(crate) fn consistency_proof(bytes: &[u8]) -> bool {
    let Ok(proof) = ConsistencyProof::parse(bytes) else { return false };
    assert_eq!(proof.to_text().as_bytes(), bytes, "a proof has one spelling");
    true
}

pub(crate) fn consistency_proof_seeds() -> Vec<Vec<u8>> {
    let proof = ConsistencyProof { old: checkpoint(), hashes: vec![Hash::default()], new: checkpoint() };
    vec![proof.to_text().into_bytes()]
}

fn checkpoint() -> String {
    String::from_utf8(golden::CHECKPOINT.to_vec()).unwrap()
}
