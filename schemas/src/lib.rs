//! The contract between the stages: every byte that leaves a process, every path of the archive, and the walk
//! over links. Nothing here does I/O, reads a clock or knows Kafka, S3 or HTTP.
//!
//! A module a format; each opens with the layout of its bytes.

pub mod avro;
pub mod checkpoint;
mod consistency_proof;
pub mod event;
pub mod framing;
pub mod head;
mod ids;
pub mod key_note;
pub mod layout;
mod link;
mod malformed;
pub mod note;
pub mod own_act;
mod proof_data;
pub mod sealed;
pub mod segment;
pub mod tiles;
mod tlog_proof;
mod tree;
mod trees;
mod trees_parts;
mod units;
mod walk;

pub use checkpoint::Checkpoint;
pub use consistency_proof::{CONSISTENCY_PROOF, ConsistencyProof};
pub use event::{AuditEvent, event_hash, event_schema_hash};
pub use head::{Head, OpenSegment};
pub use ids::derived_id;
pub use key_note::KeyNote;
pub use layout::{Layout, Place};
pub use link::{LINK_BYTES, Link, first_prev};
pub use malformed::Malformed;
pub use note::{Signing, Vkey};
pub use proof_data::ProofData;
pub use sealed::SealedEvent;
pub use segment::{SegmentBuilder, SegmentFile, SegmentHeader};
pub use tiles::Tiles;
pub use tlog_proof::{MAX_PROOF_BYTES, TLOG_PROOF, TlogProof};
pub use tree::{Tree, node_hash};
pub use trees::Trees;
pub use trees_parts::{MAX_TREES_BEGINNING_BYTES, TreesParts};
pub use units::{Hash, Hashing, Micros, Seq, hex, unhex};
pub use walk::{Misfit, Walk};
