//! The golden files: what the pipeline writes, to begin from, and keys that have signed nothing else.

use schemas::{Signing, Vkey};

/// The chain of the golden files.
pub(crate) const ORIGIN: &str = "acme.example/audit/0";

macro_rules! golden {
    ($($name:ident = $file:literal,)*) => {
        $(pub(crate) const $name: &[u8] = include_bytes!($file);)*
    };
}

golden! {
    CHECKPOINT = "../../tests/golden/v1/checkpoint.note",
    KEY_0 = "../../tests/golden/v1/key-0.note",
    KEY_N = "../../tests/golden/v1/key-N.note",
    VKEY = "../../tests/golden/v1/vkey.txt",
    LINK = "../../tests/golden/v1/link.bin",
    SEALED_EVENT = "../../tests/golden/v1/sealed.bin",
    HEAD = "../../tests/golden/v1/head.bin",
    EVENT = "../../tests/golden/v1/event.bin",
    EVENT_SCHEMA = "../../tests/golden/v1/AuditEvent.avsc",
    HEAD_SCHEMA = "../../tests/golden/v1/Head.avsc",
    PROOF_DATA = "../../tests/golden/v1/proof.slp",
    SEGMENT = "../../tests/golden/v1/segment.avro",
    TREES = "../../tests/golden/v1/trees.tiles",
}

/// The chain's key from its genesis on.
pub(crate) fn first_key() -> Signing {
    Signing::from_seed(&[7; 32])
}

/// The key that follows it.
pub(crate) fn next_key() -> Signing {
    Signing::from_seed(&[8; 32])
}

/// The public half of [`first_key`].
pub(crate) fn first_vkey() -> Vkey {
    first_key().vkey(ORIGIN)
}

/// The text of a note, without its signatures.
pub(crate) fn text_of(note: &[u8]) -> Vec<u8> {
    let end = note.windows(2).rposition(|pair| pair == b"\n\n").unwrap();
    note[..=end].to_vec()
}
