//! Building a segment as its datums arrive: each block is compressed when it is full, so what is held is the
//! compressed part and one block.

use flate2::{Compress, Compression, FlushCompress, Status};

use super::{BLOCK_BYTES, BLOCK_EVENTS, SegmentHeader, sync_marker};
use crate::avro::put_long;
use crate::{Hash, Seq};

/// A segment being built. Datums come in the order of their seqs, without a gap.
#[derive(Debug)]
pub struct SegmentBuilder {
    origin: String,
    event_schema: Vec<u8>,
    first_seq: Seq,
    first_prev: Hash,
    next_seq: Seq,
    sync: [u8; 16],
    blocks: Vec<u8>,
    block: Vec<u8>,
    block_events: u64,
    deflate: Compress,
    packed: Vec<u8>,
}

impl SegmentBuilder {
    /// The segment of `origin` whose first record has that seq and prev.
    pub fn new(origin: &str, event_schema: &[u8], first_seq: Seq, first_prev: Hash) -> SegmentBuilder {
        SegmentBuilder {
            origin: origin.to_owned(),
            event_schema: event_schema.to_vec(),
            first_seq,
            first_prev,
            next_seq: first_seq,
            sync: sync_marker(origin, first_seq),
            blocks: Vec::new(),
            block: Vec::with_capacity(BLOCK_BYTES / 4),
            block_events: 0,
            deflate: Compress::new(Compression::new(LEVEL), false),
            packed: Vec::new(),
        }
    }

    /// The first seq.
    pub fn first_seq(&self) -> Seq {
        self.first_seq
    }

    /// The seq that the next datum has.
    pub fn next_seq(&self) -> Seq {
        self.next_seq
    }

    /// What it holds in memory.
    pub fn held_bytes(&self) -> usize {
        self.blocks.len() + self.block.len()
    }

    /// Adds the SealedEvent datum of the next seq.
    pub fn push(&mut self, datum: &[u8]) {
        let full =
            self.next_seq.0.is_multiple_of(BLOCK_EVENTS) || self.block.len() + datum.len() > BLOCK_BYTES;
        if full && self.block_events > 0 {
            self.end_block();
        }
        self.block.extend_from_slice(datum);
        self.block_events += 1;
        self.next_seq = self.next_seq.next();
    }

    /// The whole file. `checkpoint` is the signed Checkpoint at the segment's end. There must have been a datum.
    pub fn finish(mut self, last_hash: Hash, checkpoint: &str) -> Vec<u8> {
        self.end_block();
        let header = SegmentHeader {
            event_schema: self.event_schema,
            origin: self.origin,
            first_seq: self.first_seq,
            last_seq: Seq(self.next_seq.0.saturating_sub(1)),
            first_prev: self.first_prev,
            last_hash,
            checkpoint: checkpoint.to_owned(),
        };
        let mut file = header.to_bytes();
        file.reserve_exact(self.blocks.len());
        file.extend_from_slice(&self.blocks);
        file
    }

    fn end_block(&mut self) {
        self.packed.clear();
        self.deflate.reset();
        deflate(&mut self.deflate, &self.block, &mut self.packed);
        put_long(&mut self.blocks, self.block_events as i64);
        put_long(&mut self.blocks, self.packed.len() as i64);
        self.blocks.extend_from_slice(&self.packed);
        self.blocks.extend_from_slice(&self.sync);
        self.block.clear();
        self.block_events = 0;
    }
}

/// Measured over JSON events of 589 bytes, 1080 as datums (`--example deflate_levels`, one core): level 1 takes 475 MB/s
/// of datums and leaves 282 bytes an event, level 2 293 and 228, this one 221 and 217, level 4 183 and 213, level 6 104
/// and 204. WORM is paid for years, and 200,000 events a second and core are more than any stage before brings.
const LEVEL: u32 = 3;

/// One raw deflate stream over `plain`, appended to `out`.
fn deflate(compress: &mut Compress, plain: &[u8], out: &mut Vec<u8>) {
    loop {
        let taken = compress.total_in() as usize;
        out.reserve((plain.len() - taken) / 2 + 4096);
        match compress.compress_vec(&plain[taken..], out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => return,
            Ok(Status::Ok | Status::BufError) => {}
            Err(impossible) => unreachable!("deflate into memory: {impossible}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_room_there_is_does_not_change_a_stream() {
        let plain: Vec<u8> =
            (0..40_000u64).flat_map(|n| Hash::of(&[&(n / 7).to_be_bytes()]).0[..9].to_vec()).collect();
        let stream = |room: usize| {
            let mut out = Vec::with_capacity(room);
            deflate(&mut Compress::new(Compression::new(LEVEL), false), &plain, &mut out);
            out
        };
        let in_one_go = stream(2 * plain.len());
        for room in [0, 1, 5_000, 100_000] {
            assert!(stream(room) == in_one_go, "room for {room} bytes at first");
        }
    }
}
