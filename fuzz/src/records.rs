//! Records of the topics and of proofs: links, sealed events, heads, events, proof data.

use schemas::avro::{Input, to_json};
use schemas::event::{check_event, event_shape};
use schemas::framing::{Framing, schema_of};
use schemas::{Hash, Head, LINK_BYTES, Link, ProofData, SealedEvent, event_hash};

use crate::golden;

/// A link.
pub(crate) fn link(bytes: &[u8]) -> bool {
    let Ok(link) = Link::parse(bytes) else { return false };
    assert_eq!(link.to_bytes(), bytes, "a link has one spelling");
    true
}

pub(crate) fn link_seeds() -> Vec<Vec<u8>> {
    vec![golden::LINK.to_vec()]
}

/// A SealedEvent: what stands before its event.
pub(crate) fn sealed_event(bytes: &[u8]) -> bool {
    let Ok(sealed) = SealedEvent::parse(bytes) else { return false };
    let mut again = Vec::new();
    SealedEvent::splice(&mut again, &sealed.link(&Hash::default()), &sealed.hash, sealed.event_bytes);
    assert_eq!(again, bytes, "a sealed event has one spelling");
    true
}

pub(crate) fn sealed_event_seeds() -> Vec<Vec<u8>> {
    vec![golden::SEALED_EVENT.to_vec()]
}

/// A record's value in either framing, and as the value of its header.
pub(crate) fn framing(bytes: &[u8]) -> bool {
    assert_eq!(Framing::Bare.datum(bytes), Ok(bytes));
    assert_eq!(schema_of(Some(bytes)).is_ok(), bytes.len() == 32);
    let Ok(datum) = Framing::Confluent(0).datum(bytes) else { return false };
    let id = u32::from_be_bytes(std::array::from_fn(|n| bytes[1 + n]));
    let mut again = Vec::new();
    Framing::Confluent(id).begin(&mut again);
    again.extend_from_slice(datum);
    assert_eq!(again, bytes, "a framed datum has one spelling");
    true
}

pub(crate) fn framing_seeds() -> Vec<Vec<u8>> {
    vec![b"\x00\x00\x00\x00\x07datum".to_vec(), vec![9; 32]]
}

/// A Head.
pub(crate) fn head(bytes: &[u8]) -> bool {
    let Ok(head) = Head::parse(bytes) else { return false };
    let mut again = Vec::new();
    head.encode(&mut again);
    assert_eq!(again, bytes, "a Head has one spelling");
    assert!(head.open_events() <= head.size());
    true
}

pub(crate) fn head_seeds() -> Vec<Vec<u8>> {
    let head = Head::parse(golden::HEAD).unwrap();
    let mut without_notes = Vec::new();
    Head { checkpoint: None, key_note: None, ..head }.encode(&mut without_notes);
    vec![golden::HEAD.to_vec(), without_notes]
}

/// An event under the schema of this program.
pub(crate) fn event(bytes: &[u8]) -> bool {
    if check_event(bytes).is_err() {
        return false;
    }
    let mut input = Input::new("AuditEvent", bytes);
    let shown = to_json(event_shape(), &mut input).unwrap();
    assert!(
        input.end().is_ok() && shown.is_object(),
        "what is canonical can be shown, and ends where it does"
    );
    true
}

pub(crate) fn event_seeds() -> Vec<Vec<u8>> {
    vec![golden::EVENT.to_vec(), verifier::testing::event(1), verifier::testing::opening("a/1")]
}

/// Proof data: as it is, and about the event that it holds, for nobody guesses a hash.
pub(crate) fn proof_data(bytes: &[u8]) -> bool {
    let is_whole = is_proof_data(bytes);
    let mut fitting = bytes.to_vec();
    if let Some(hash) = hash_held(bytes) {
        fitting[4 + LINK_BYTES - 32..4 + LINK_BYTES].copy_from_slice(hash.bytes());
    }
    is_proof_data(&fitting) || is_whole
}

fn is_proof_data(bytes: &[u8]) -> bool {
    let Ok(data) = ProofData::parse(bytes) else { return false };
    assert_eq!(data.to_bytes(), bytes, "proof data has one spelling");
    assert_eq!(Some(data.link.event_hash), hash_held(bytes), "it is about the event that it holds");
    true
}

/// The hash of the event in it, if it is long enough to hold one.
fn hash_held(bytes: &[u8]) -> Option<Hash> {
    let mut input = Input::new("proof data", bytes);
    input.take(4 + LINK_BYTES).ok()?;
    let schema_bytes = u32::from_be_bytes(input.array().ok()?);
    let schema = input.take(schema_bytes as usize).ok()?;
    Some(event_hash(&Hash::of(&[schema]), input.rest()))
}

pub(crate) fn proof_data_seeds() -> Vec<Vec<u8>> {
    let data = ProofData::parse(golden::PROOF_DATA).unwrap();
    let small = ProofData { schema: b"\"string\"", event_bytes: b"\x02a", ..data };
    vec![golden::PROOF_DATA.to_vec(), small.to_bytes()]
}
