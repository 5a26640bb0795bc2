//! Reading a segment strictly: the header must be the one that its own fields give, each block must end where the
//! rules say, each deflate stream at its last byte, each datum in its only spelling.

use flate2::{Decompress, FlushDecompress, Status};

use super::{BLOCK_BYTES, BLOCK_EVENTS, MAGIC, MAX_DATUM_BYTES, SegmentHeader, sync_marker};
use crate::avro::MAX_SCHEMA_BYTES;
use crate::avro::{Input, Shape};
use crate::checkpoint::decimal;
use crate::sealed::{SealedEvent, unwrap_schema};
use crate::{Hash, Malformed, Seq};

const FORMAT: &str = "segment";
/// The longest value of the metadata: nothing longer is copied. The largest is the schema in its wrapper.
const MAX_VALUE_BYTES: usize = MAX_SCHEMA_BYTES + 1024;

/// A segment's header, and where its blocks are.
#[derive(Clone, Debug)]
pub struct SegmentFile<'a> {
    /// What it says of itself.
    pub header: SegmentHeader,
    file: &'a [u8],
    blocks_at: usize,
}

impl<'a> SegmentFile<'a> {
    /// Reads the header of a whole file.
    pub fn parse(file: &'a [u8]) -> Result<SegmentFile<'a>, Malformed> {
        let mut input = Input::new(FORMAT, file);
        if &input.array()? != MAGIC {
            return Err(Malformed::new(FORMAT, 0, "does not begin as an Avro container file"));
        }
        if input.long()? != 9 {
            return Err(input.malformed("the metadata is not nine entries in one block"));
        }
        let mut values: [&[u8]; 9] = [&[]; 9];
        for value in &mut values {
            input.bytes()?;
            *value = input.bytes()?;
            if value.len() > MAX_VALUE_BYTES {
                return Err(input.malformed("a value in the header is longer than any may be"));
            }
        }
        let [schema, _, _, origin, first, last, prev, hash, checkpoint] = values;
        let bad = |what: &str| Malformed::new(FORMAT, 0, format!("{what} in the header cannot be read"));
        let text = |value| std::str::from_utf8(value).map_err(|_| bad("text"));
        let seq = |value| decimal(text(value)?).map(Seq).ok_or_else(|| bad("a seq"));
        let hex = |value| Hash::from_hex(text(value)?).ok_or_else(|| bad("a hash"));
        let header = SegmentHeader {
            event_schema: unwrap_schema(schema).ok_or_else(|| bad("the schema"))?.to_vec(),
            origin: text(origin)?.to_owned(),
            first_seq: seq(first)?,
            last_seq: seq(last)?,
            first_prev: hex(prev)?,
            last_hash: hex(hash)?,
            checkpoint: text(checkpoint)?.to_owned(),
        };
        let canonical = header.to_bytes();
        if !file.starts_with(&canonical) {
            let at = canonical.iter().zip(file).position(|(a, b)| a != b).unwrap_or(file.len());
            return Err(Malformed::new(FORMAT, at, "the header is not the one that its own fields give"));
        }
        if header.last_seq < header.first_seq {
            return Err(bad("a last seq before the first"));
        }
        Ok(SegmentFile { header, file, blocks_at: canonical.len() })
    }

    /// The blocks in order.
    pub fn blocks(&self) -> Blocks<'a> {
        Blocks {
            file: self.file,
            at: self.blocks_at,
            sync: sync_marker(&self.header.origin, self.header.first_seq),
            inflate: Decompress::new(false),
        }
    }

    /// Gives each SealedEvent with its datum to `each`, in order. `shape` is the event schema's. Checks all that can be
    /// seen without hashing: canonical datums and blocks, seqs without a gap from the first to the last.
    /// An error of the file comes as `Err`; `each` stops the walk by returning false.
    pub fn walk(
        &self,
        shape: &Shape,
        mut each: impl FnMut(&SealedEvent<'_>, &[u8]) -> bool,
    ) -> Result<(), Malformed> {
        let (mut next, mut before_bytes, mut plain) = (self.header.first_seq, 0, Vec::new());
        let mut blocks = self.blocks();
        while let Some(block) = blocks.next_into(&mut plain)? {
            let first_in_block = next;
            let bad = |what: &str| {
                Malformed::new(
                    FORMAT,
                    block.at,
                    format!("{what} (in the block that begins with seq {first_in_block})"),
                )
            };
            let mut input = Input::new(FORMAT, &plain);
            for n in 0..block.events {
                let start = input.at();
                let sealed = SealedEvent::read_prefix(&mut input).map_err(|e| bad(&e.to_string()))?;
                let event_at = input.at();
                shape.skip(&mut input).map_err(|e| bad(&e.to_string()))?;
                let (datum, event_bytes) = (&plain[start..input.at()], &plain[event_at..input.at()]);
                if next > self.header.last_seq {
                    return Err(bad("goes on behind the last seq"));
                }
                if sealed.seq != next {
                    return Err(bad(&format!("holds seq {} where {next} is due", sealed.seq)));
                }
                let overflows = |held: usize| held + datum.len() > BLOCK_BYTES;
                let boundary = next.0.is_multiple_of(BLOCK_EVENTS) || next == self.header.first_seq;
                if n == 0 && !boundary && !overflows(before_bytes) {
                    return Err(bad("a block ends where none should"));
                }
                if n > 0 && (boundary || overflows(start)) {
                    return Err(bad("a block goes on where it should end"));
                }
                if !each(&SealedEvent { event_bytes, ..sealed }, datum) {
                    return Ok(());
                }
                next = next.next();
            }
            input.end().map_err(|e| bad(&e.to_string()))?;
            if first_in_block == next {
                return Err(bad("a block without records"));
            }
            before_bytes = plain.len();
        }
        if next != self.header.last_seq.next() {
            return Err(Malformed::new(FORMAT, self.file.len(), format!("ends before seq {next}")));
        }
        Ok(())
    }
}

/// The blocks of a segment, inflated one by one.
#[derive(Debug)]
pub struct Blocks<'a> {
    file: &'a [u8],
    at: usize,
    sync: [u8; 16],
    inflate: Decompress,
}

/// A block's place and count.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// How many records.
    pub events: u64,
    /// Where in the file it begins.
    pub at: usize,
}

impl Blocks<'_> {
    /// Inflates the next block into `plain`, which never grows beyond one block; None at the end of the file.
    pub fn next_into(&mut self, plain: &mut Vec<u8>) -> Result<Option<Block>, Malformed> {
        let mut input = Input::new(FORMAT, self.file);
        input.take(self.at)?;
        if input.rest().is_empty() {
            return Ok(None);
        }
        let (events, packed) = (input.count()?, input.bytes()?);
        if events > BLOCK_EVENTS {
            return Err(input.malformed("a block of more than 256 records"));
        }
        self.inflate_into(packed, plain).map_err(|what| Malformed::new(FORMAT, self.at, what))?;
        if input.array()? != self.sync {
            return Err(input.malformed("the sync marker is another"));
        }
        let block = Block { events, at: self.at };
        self.at = input.at();
        Ok(Some(block))
    }

    /// Room is made as the stream fills it, up to one byte more than any block may hold: that byte convicts a bomb.
    fn inflate_into(&mut self, packed: &[u8], plain: &mut Vec<u8>) -> Result<(), &'static str> {
        self.inflate.reset(false);
        plain.clear();
        loop {
            let taken = self.inflate.total_in() as usize;
            if plain.len() == plain.capacity() {
                let more = plain.len().clamp(64 << 10, BLOCK_BYTES);
                plain.reserve_exact(more.min((MAX_DATUM_BYTES + 1).saturating_sub(plain.len())));
            }
            match self.inflate.decompress_vec(&packed[taken..], plain, FlushDecompress::Finish) {
                Ok(Status::StreamEnd) => break,
                _ if plain.len() > MAX_DATUM_BYTES => {
                    return Err("a block inflates to more than any may hold");
                }
                Ok(_) if plain.len() < plain.capacity() => return Err("a deflate stream is cut off"),
                Ok(_) => {}
                Err(_) => return Err("a deflate stream cannot be read"),
            }
        }
        if plain.len() > MAX_DATUM_BYTES {
            return Err("a block inflates to more than any may hold");
        }
        match self.inflate.total_in() as usize == packed.len() {
            true => Ok(()),
            false => Err("bytes behind the end of a deflate stream"),
        }
    }
}
