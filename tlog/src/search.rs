//! Where in a segment an event stands.
//!
//! It is looked for where it should be if all events were of one size: the sync marker shows where blocks begin in what
//! came, and each block says which seqs it has. Two or three requests get an event out of a segment of any size.
//!
//! A guess can be led astray: whoever sends an event chooses bytes of it, and can spell a marker and a block in them. So
//! an event counts only if it leads to its leaf, and where guessing finds none that does, the segment is followed block
//! by block from its header on. There no byte of an event is taken for anything else.

use std::ops::Range;

use schemas::avro::{Input, Shape};
use schemas::segment::{BLOCK_EVENTS, MAX_DATUM_BYTES, sync_marker};
use schemas::{Hash, SealedEvent, SegmentFile, SegmentHeader, Seq, TreesParts};

use crate::laid::{Parts, Unfit};
use crate::sealed::{MAX_SEGMENT_BYTES, Sealed};

/// No header is longer: a schema in its wrapper, and a little more.
const MAX_HEADER_BYTES: u64 = (1 << 20) + (64 << 10);
/// So often it is guessed where a block stands, as if all events were of one size; after that what may hold it is halved.
const GUESSES: u32 = 3;
/// Enough to halve the largest segment down to one look.
const LOOKS: u32 = 16;
/// No block is larger: one of the largest datum, which cannot be packed, and what stands before and behind it.
const MAX_BLOCK_BYTES: u64 = MAX_DATUM_BYTES as u64 + (64 << 10);
/// No more is read at once. It holds a whole block wherever it begins.
const WINDOW_BYTES: u64 = 2 * MAX_BLOCK_BYTES + 64;
/// What is read before and behind a guess at least.
const MARGIN_BYTES: u64 = 8 << 10;
/// So much is inflated for guesses; after that the blocks are followed from the header, which inflates one of them.
const MAX_INFLATED_BYTES: usize = 512 << 20;

/// The event with that seq whose link has the hash `leaf`, out of the segment that `trees` names.
pub(crate) fn find(
    origin: &str,
    parts: &Parts<'_>,
    trees: &TreesParts,
    seq: Seq,
    leaf: &Hash,
) -> Result<Sealed, Unfit> {
    let mut search = Search::begin(origin, parts, trees, seq)?;
    if let Some(sealed) = search.guessed(leaf)? {
        return Ok(sealed);
    }
    let sealed = search.followed()?;
    match sealed.link.hash() == *leaf {
        true => Ok(sealed),
        false => Err(misfit(format!("its seq {seq} is another than the one that was signed"))),
    }
}

/// A place in a segment where a block begins, and the seq that it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Boundary {
    at: u64,
    seq: u64,
}

struct Search<'a> {
    parts: &'a Parts<'a>,
    header: SegmentHeader,
    header_bytes: Vec<u8>,
    sync: [u8; 16],
    seq: u64,
    /// As far as the guesses know, the block stands between these two.
    low: Boundary,
    high: Boundary,
    /// Where the block that begins at `low` ends, once that is known.
    low_ends: Option<u64>,
    inflated_bytes: usize,
}

/// What a look brought.
enum Look {
    Found(Box<Sealed>),
    /// It may have narrowed the search.
    Passed,
    /// What was taken for a block before is none.
    Astray,
}

/// Where the seq that is looked for stands, seen from a block.
enum Block {
    Here(Box<Sealed>),
    /// Behind the block, whose next one begins with this seq.
    Before(u64),
    /// Before the block, which begins with this seq.
    Behind(u64),
}

impl<'a> Search<'a> {
    fn begin(origin: &str, parts: &'a Parts<'a>, trees: &TreesParts, seq: Seq) -> Result<Search<'a>, Unfit> {
        if parts.size_bytes() > MAX_SEGMENT_BYTES {
            return Err(misfit(format!("has {} bytes, more than any segment", parts.size_bytes())));
        }
        let header = header(parts)?;
        if header.origin != origin
            || header.first_seq != trees.first_seq
            || header.last_seq.0.checked_add(1) != Some(trees.size)
        {
            return Err(misfit("its header is that of another segment"));
        }
        let header_bytes = header.to_bytes();
        let sync = sync_marker(&header.origin, header.first_seq);
        let low = Boundary { at: header_bytes.len() as u64, seq: header.first_seq.0 };
        let high = Boundary { at: parts.size_bytes(), seq: trees.size };
        let (seq, low_ends, inflated_bytes) = (seq.0, None, 0);
        Ok(Search { parts, header, header_bytes, sync, seq, low, high, low_ends, inflated_bytes })
    }

    /// The event, if guesses lead to it. None says nothing about the segment.
    fn guessed(&mut self, leaf: &Hash) -> Result<Option<Sealed>, Unfit> {
        for look in 0..LOOKS {
            let (range, known) = (self.guess(look), (self.low, self.high, self.low_ends));
            let bytes = match self.parts.read(range.clone()) {
                Err(Unfit::Misfit(_)) => return Ok(None),
                read => read?,
            };
            match self.look(range.start, &bytes, leaf) {
                Look::Found(sealed) => return Ok(Some(*sealed)),
                Look::Passed => {}
                Look::Astray => return Ok(None),
            }
            // A window that must hold a block brings some knowledge, or none where somebody misled the guesses before.
            let is_stuck = look >= GUESSES && known == (self.low, self.high, self.low_ends);
            if is_stuck || self.inflated_bytes > MAX_INFLATED_BYTES {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Where to look next. The first guesses take what a block of events of one size would have, and wider each time.
    fn guess(&self, guess: u32) -> Range<u64> {
        let (low, high) = (self.low, self.high);
        if let Some(end) = self.low_ends {
            return low.at..end.min(high.at);
        }
        let window = |start: u64| start..high.at.min(start + WINDOW_BYTES);
        if guess >= GUESSES {
            let spare = high.at.saturating_sub(low.at).saturating_sub(WINDOW_BYTES);
            return window(low.at + spare / 2);
        }
        let (bytes, events) = (high.at.saturating_sub(low.at), (high.seq.saturating_sub(low.seq)).max(1));
        let of =
            |events_before: u64| (u128::from(bytes) * u128::from(events_before) / u128::from(events)) as u64;
        let first = (self.seq - self.seq % BLOCK_EVENTS).max(low.seq);
        let margin = (of(BLOCK_EVENTS.min(events)) / 2).max(MARGIN_BYTES).saturating_mul(1 << guess);
        let start = low.at + of(first - low.seq).saturating_sub(margin);
        let end =
            low.at + of((first - low.seq).saturating_add(BLOCK_EVENTS).min(events)).saturating_add(margin);
        match end.min(high.at).saturating_sub(start) > WINDOW_BYTES {
            // Blocks of large events have fewer of them: the event's own place says more than where 256 would begin.
            true => window(low.at + of(self.seq - low.seq).saturating_sub(WINDOW_BYTES / 2)),
            false => start..end.min(high.at),
        }
    }

    /// Looks through the blocks that begin in `bytes`, which stand at `at`. What they say narrows the search.
    fn look(&mut self, at: u64, bytes: &[u8], leaf: &Hash) -> Look {
        let mut next = (at == self.low.at).then_some(0).or_else(|| behind_sync(bytes, 0, &self.sync));
        while let Some(start) = next.filter(|next| *next < bytes.len()) {
            if self.inflated_bytes > MAX_INFLATED_BYTES {
                break;
            }
            let is_boundary = at + start as u64 == self.low.at;
            let length = frame(&bytes[start..]).map(|frame| frame.length);
            if let (Some(length), true) = (length, is_boundary)
                && length > (bytes.len() - start) as u64
            {
                self.low_ends = Some(at + start as u64 + length);
                break;
            }
            let length = length.and_then(|length| usize::try_from(length).ok());
            let block = length.and_then(|length| bytes.get(start..start + length));
            match block.and_then(|block| self.open(block, leaf)) {
                Some(Block::Here(sealed)) => return Look::Found(sealed),
                Some(Block::Before(seq)) => {
                    let end = start + block.map_or(0, <[u8]>::len);
                    self.low = Boundary { at: at + end as u64, seq };
                    self.low_ends = None;
                    next = Some(end);
                }
                Some(Block::Behind(seq)) => {
                    self.high = Boundary { at: at + start as u64, seq };
                    break;
                }
                None if is_boundary => return Look::Astray,
                None => next = behind_sync(bytes, start, &self.sync),
            }
        }
        Look::Passed
    }

    /// What a block says of the seq that is looked for. None: it is no block that can stand there.
    fn open(&mut self, block: &[u8], leaf: &Hash) -> Option<Block> {
        if !block.ends_with(&self.sync) {
            return None;
        }
        let (events, plain) = self.inflate(block).ok()?;
        let first = SealedEvent::read_prefix(&mut Input::new("segment", &plain)).ok()?.seq.0;
        let behind = first.checked_add(events)?;
        if first < self.low.seq || behind > self.high.seq {
            return None;
        }
        if self.seq < first {
            return Some(Block::Behind(first));
        }
        if self.seq >= behind {
            return Some(Block::Before(behind));
        }
        let sealed = self.take(&plain, first).ok()?;
        (sealed.link.hash() == *leaf).then(|| Block::Here(Box::new(sealed)))
    }

    /// The event, in the block that has it if the blocks are counted from the header on. Only that one is inflated.
    fn followed(&mut self) -> Result<Sealed, Unfit> {
        let (mut at, mut seq) = (self.header_bytes.len() as u64, self.header.first_seq.0);
        loop {
            let end = self.parts.size_bytes().min(at + WINDOW_BYTES);
            let window = self.parts.read(at..end)?;
            let mut read = 0;
            while let Some(Frame { events, length }) = frame(&window[read..]) {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let Some(block) = window[read..].get(..length) else { break };
                if events == 0 || events > BLOCK_EVENTS || !block.ends_with(&self.sync) {
                    return Err(misfit(format!("no block is where the one with seq {seq} should begin")));
                }
                if self.seq < seq + events {
                    let (_, plain) = self.inflate(block)?;
                    return self.take(&plain, seq);
                }
                (read, seq) = (read + length, seq + events);
            }
            // A window is larger than any block, so what it does not hold whole is none, or is cut off.
            if read == 0 {
                return Err(misfit(format!("its seq {} is not found in it: it ends at seq {seq}", self.seq)));
            }
            at += read as u64;
        }
    }

    /// How many records a block has, and these.
    fn inflate(&mut self, block: &[u8]) -> Result<(u64, Vec<u8>), Unfit> {
        let file = [&self.header_bytes, block].concat();
        let mut plain = Vec::new();
        let inflated = SegmentFile::parse(&file)?.blocks().next_into(&mut plain);
        self.inflated_bytes += file.len() + plain.len();
        match inflated? {
            Some(block) if block.events > 0 => Ok((block.events, plain)),
            _ => Err(misfit("a block without records")),
        }
    }

    /// The event, out of the records of a block that begins with the seq `first`.
    fn take(&self, plain: &[u8], first: u64) -> Result<Sealed, Unfit> {
        let shape = Shape::parse(&self.header.event_schema)?;
        let mut input = Input::new("segment", plain);
        for seq in first..=self.seq {
            let prefix = SealedEvent::read_prefix(&mut input)?;
            let event_at = input.at();
            shape.skip(&mut input)?;
            if prefix.seq.0 != seq {
                return Err(misfit(format!("has seq {} where {seq} should stand", prefix.seq)));
            }
            if seq == self.seq {
                let sealed = SealedEvent { event_bytes: &plain[event_at..input.at()], ..prefix };
                let link = sealed.link(&Hash::of(&[&self.header.event_schema]));
                let (schema, event_bytes) = (self.header.event_schema.clone(), sealed.event_bytes.to_vec());
                return Ok(Sealed { link, schema, event_bytes });
            }
        }
        Err(misfit("a block that ends too early"))
    }
}

fn misfit(what: impl Into<String>) -> Unfit {
    Unfit::Misfit(what.into())
}

fn header(parts: &Parts<'_>) -> Result<SegmentHeader, Unfit> {
    match SegmentFile::parse(&parts.beginning) {
        Ok(file) => Ok(file.header),
        Err(malformed) if (parts.beginning.len() as u64) < parts.size_bytes().min(MAX_HEADER_BYTES) => {
            let more = parts.read(0..parts.size_bytes().min(MAX_HEADER_BYTES))?;
            SegmentFile::parse(&more).map(|file| file.header).map_err(|_| malformed.into())
        }
        Err(malformed) => Err(malformed.into()),
    }
}

/// Where the first sync marker at `from` or behind it ends.
fn behind_sync(bytes: &[u8], from: usize, sync: &[u8; 16]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let at = rest.windows(sync.len()).position(|window| window == sync)?;
    Some(from + at + sync.len())
}

/// What stands before a block's stream.
struct Frame {
    events: u64,
    /// Of the whole block, its sync marker included.
    length: u64,
}

/// Of the block that begins here. None if it cannot be told.
fn frame(bytes: &[u8]) -> Option<Frame> {
    let mut input = Input::new("segment", bytes);
    let events = input.count().ok()?;
    let packed = input.count().ok().filter(|packed| *packed <= MAX_BLOCK_BYTES - 32)?;
    Some(Frame { events, length: input.at() as u64 + packed + 16 })
}
