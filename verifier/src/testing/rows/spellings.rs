//! Row 7: the same events under other bytes. Each digest in trees/ fits them.

use flate2::{Compress, Compression, FlushCompress};
use schemas::avro::{put_bytes, put_long, put_str};
use schemas::sealed::wrapper_schema;
use schemas::segment::{BLOCK_EVENTS, CODEC, sync_marker};
use schemas::{AuditEvent, SealedEvent, SegmentFile, SegmentHeader};

use super::history::behind_the_last;
use super::{Case, chain_0};
use crate::Check;
use crate::testing::{ChainBuilder, Record, event};

/// A block of a container.
#[derive(Clone)]
struct Block {
    events: usize,
    plain: Vec<u8>,
    /// What follows its deflate stream.
    behind: &'static [u8],
}

/// A container of these blocks.
fn container(header: &SegmentHeader, level: u32, blocks: &[Block]) -> Vec<u8> {
    let mut out = header.to_bytes();
    for block in blocks {
        let mut packed = Vec::with_capacity(block.plain.len() + 1_000);
        let mut deflate = Compress::new(Compression::new(level), false);
        // It has room for all of it, so it cannot end early.
        let _ = deflate.compress_vec(&block.plain, &mut packed, FlushCompress::Finish);
        packed.extend_from_slice(block.behind);
        put_long(&mut out, block.events as i64);
        put_bytes(&mut out, &packed);
        out.extend_from_slice(&sync_marker(&header.origin, header.first_seq));
    }
    out
}

fn datum(record: &Record) -> Vec<u8> {
    let mut datum = Vec::new();
    SealedEvent::splice(&mut datum, &record.link, &record.hash, &record.event);
    datum
}

/// The first segment in blocks of `width`.
fn blocks(chain: &ChainBuilder, width: usize) -> Vec<Block> {
    let blocks = chain.records_of(0).chunks(width);
    let block = |records: &[Record]| Block {
        events: records.len(),
        plain: records.iter().flat_map(datum).collect(),
        behind: b"",
    };
    blocks.map(block).collect()
}

fn header_of(file: &[u8]) -> Option<SegmentHeader> {
    Some(SegmentFile::parse(file).ok()?.header)
}

/// In the container, in its header and in an event.
pub fn row_07_the_same_events_under_other_bytes() -> Vec<Case> {
    let zero = chain_0();
    let (first, second) = (&zero.objects[&zero.segment_key(0)], &zero.objects[&zero.segment_key(1)]);
    let (Some(header), Some(small)) = (header_of(first), header_of(second)) else { return Vec::new() };
    let good = blocks(&zero, BLOCK_EVENTS as usize);
    let changed = |change: fn(&mut Vec<Block>)| {
        let mut blocks = good.clone();
        change(&mut blocks);
        blocks
    };
    let laid =
        |what: &str, nth: usize, file: Vec<u8>| Case::after(what, |zero| zero.lay_segment_file(nth, file));
    let mut cases = vec![laid("deflate at another level, and nothing else", 0, container(&header, 9, &good))];
    for (what, blocks, from) in [
        ("blocks cut elsewhere", blocks(&zero, 100), 100),
        ("one block", blocks(&zero, 300), 0),
        // seq 0 in two bytes.
        ("a padded varint", changed(|blocks| drop(blocks[0].plain.splice(0..1, [0x80, 0x00]))), 0),
        (
            "a block of no records",
            changed(|blocks| blocks.insert(1, Block { events: 0, plain: Vec::new(), behind: b"" })),
            256,
        ),
        ("bytes behind the end of a deflate stream", changed(|blocks| blocks[0].behind = b"x"), 0),
        (
            "a decompression bomb",
            changed(|blocks| blocks[1] = Block { events: 1, plain: vec![0; 16 << 20], behind: b"" }),
            256,
        ),
    ] {
        let case = laid(what, 0, container(&header, 3, &blocks));
        cases.push(case.broken(Check::SegmentForm, &zero.segment_key(0), (from, 299)));
    }
    let reordered = [reordered(&small), second[small.to_bytes().len()..].to_vec()].concat();
    let case = laid("metadata in another order", 1, reordered);
    cases.push(case.broken(Check::SegmentForm, &zero.segment_key(1), (300, 304)));
    // Even if the chainer sealed it.
    let sealed = Case::after("an array in several blocks", |zero| {
        zero.seal([event(1), in_two_blocks()]);
    });
    cases.push(sealed.broken(Check::SegmentForm, &behind_the_last(), (566, 566)));
    cases
}

/// The header with its first two entries the other way round.
fn reordered(header: &SegmentHeader) -> Vec<u8> {
    let mut out = b"Obj\x01".to_vec();
    put_long(&mut out, 9);
    put_str(&mut out, "avro.codec");
    put_str(&mut out, CODEC);
    put_str(&mut out, "avro.schema");
    put_bytes(&mut out, &wrapper_schema(&header.event_schema));
    let both_entries = out.len();
    out.extend_from_slice(&header.to_bytes()[both_entries..]);
    out
}

/// An event whose array of two marks comes in two blocks.
fn in_two_blocks() -> Vec<u8> {
    let mut event = Vec::new();
    AuditEvent { marks: &["one", "two"], ..AuditEvent::default() }.encode(&mut event);
    let of_one_block = b"\x04\x06one\x06two\x00";
    if let Some(at) = event.windows(of_one_block.len()).position(|bytes| bytes == of_one_block) {
        event.splice(at..at + of_one_block.len(), *b"\x02\x06one\x02\x06two\x00");
    }
    event
}
