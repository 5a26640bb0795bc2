//! Segment: one Avro object container file with a contiguous run of SealedEvents.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `Obj` 0x01 |
//! | map | metadata, one block, in this order: avro.schema, avro.codec, sealog.format, sealog.origin, sealog.first_seq, sealog.last_seq, sealog.first_prev, sealog.last_hash, sealog.checkpoint |
//! | 16 | sync marker |
//! | blocks | count, compressed size, one raw deflate stream, sync marker |
//!
//! A block ends before each seq divisible by 256 and before a datum that would take it past 1 MiB uncompressed.
//! Every byte but the spelling of the deflate streams is a function of the records.

mod build;
mod read;

pub use build::SegmentBuilder;
pub use read::{Blocks, SegmentFile};

use crate::avro::{put_bytes, put_long, put_str};
use crate::{Hash, Seq};

/// The codec of every block.
pub const CODEC: &str = "deflate";
/// A block ends before each seq that this divides.
pub const BLOCK_EVENTS: u64 = 256;
/// A block ends before a datum that would take it past this, uncompressed.
pub const BLOCK_BYTES: usize = 1 << 20;
/// No single datum is larger.
pub const MAX_DATUM_BYTES: usize = 4 << 20;
const MAGIC: &[u8; 4] = b"Obj\x01";
const FORMAT_VERSION: &str = "1";

/// What a segment says of itself before its first block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The AuditEvent schema of its events, exact bytes.
    pub event_schema: Vec<u8>,
    /// The chain.
    pub origin: String,
    /// The first seq.
    pub first_seq: Seq,
    /// The last seq.
    pub last_seq: Seq,
    /// prev of the first link.
    pub first_prev: Hash,
    /// Hash of the last link.
    pub last_hash: Hash,
    /// The signed Checkpoint at its end.
    pub checkpoint: String,
}

impl SegmentHeader {
    /// The file's bytes up to the first block.
    pub fn to_bytes(&self) -> Vec<u8> {
        let schema = crate::sealed::wrapper_schema(&self.event_schema);
        let (first, last) = (self.first_seq.to_string(), self.last_seq.to_string());
        let (prev, hash) = (self.first_prev.to_string(), self.last_hash.to_string());
        let metadata: [(&str, &[u8]); 9] = [
            ("avro.schema", &schema),
            ("avro.codec", CODEC.as_bytes()),
            ("sealog.format", FORMAT_VERSION.as_bytes()),
            ("sealog.origin", self.origin.as_bytes()),
            ("sealog.first_seq", first.as_bytes()),
            ("sealog.last_seq", last.as_bytes()),
            ("sealog.first_prev", prev.as_bytes()),
            ("sealog.last_hash", hash.as_bytes()),
            ("sealog.checkpoint", self.checkpoint.as_bytes()),
        ];
        let mut out = MAGIC.to_vec();
        put_long(&mut out, metadata.len() as i64);
        for (key, value) in metadata {
            put_str(&mut out, key);
            put_bytes(&mut out, value);
        }
        out.push(0);
        out.extend_from_slice(&sync_marker(&self.origin, self.first_seq));
        out
    }
}

/// The sync marker of the segment that begins there.
pub fn sync_marker(origin: &str, first_seq: Seq) -> [u8; 16] {
    let hash =
        Hash::of(&[b"sealog/v1/sync\n", origin.as_bytes(), b"\n", first_seq.to_string().as_bytes(), b"\n"]);
    let mut marker = [0; 16];
    marker.copy_from_slice(&hash.0[..16]);
    marker
}
