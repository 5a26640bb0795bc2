//! Segments: whole files, and files made around blocks whose records the fuzzer writes, for it writes no deflate.

use flate2::{Compress, Compression, FlushCompress};
use schemas::avro::{Input, Shape, put_bytes, put_long};
use schemas::segment::{BLOCK_BYTES, MAX_DATUM_BYTES, sync_marker};
use schemas::{Hash, Micros, SealedEvent, SegmentBuilder, SegmentFile, SegmentHeader, Seq, Walk, event_hash};
use verifier::testing;

use crate::golden::{self, ORIGIN};

/// A segment file.
pub(crate) fn segment(bytes: &[u8]) -> bool {
    let Ok(file) = SegmentFile::parse(bytes) else { return false };
    let header = &file.header;
    assert!(bytes.starts_with(&header.to_bytes()), "a header has one spelling");
    let mut plain = Vec::new();
    let mut blocks = file.blocks();
    while let Ok(Some(_)) = blocks.next_into(&mut plain) {
        assert!(
            plain.len() <= MAX_DATUM_BYTES && plain.capacity() <= MAX_DATUM_BYTES + 1,
            "a block is bounded"
        );
    }
    let Ok(shape) = Shape::parse(&header.event_schema) else { return false };
    let mut again =
        SegmentBuilder::new(&header.origin, &header.event_schema, header.first_seq, header.first_prev);
    let walked = file.walk(&shape, |_, datum| {
        again.push(datum);
        true
    });
    if walked.is_err() {
        return false;
    }
    let again = again.finish(header.last_hash, &header.checkpoint);
    assert_same_blocks(&file, &SegmentFile::parse(&again).unwrap());
    true
}

/// Two files are one but for the spelling of their streams.
fn assert_same_blocks(one: &SegmentFile<'_>, other: &SegmentFile<'_>) {
    assert_eq!(one.header, other.header);
    let (mut ones, mut others) = (one.blocks(), other.blocks());
    let (mut plain, mut other_plain) = (Vec::new(), Vec::new());
    loop {
        let block = ones.next_into(&mut plain).unwrap();
        let other_block = others.next_into(&mut other_plain).unwrap();
        assert_eq!(
            block.map(|block| block.events),
            other_block.map(|block| block.events),
            "blocks have one cut"
        );
        if block.is_none() {
            return;
        }
        assert!(plain == other_plain, "records have one spelling");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let of = |events: u64| {
        let mut chain = testing::ChainBuilder::begin(ORIGIN, 7);
        chain.seal(testing::events(0..events));
        chain.objects.remove(&chain.segment_key(0)).unwrap()
    };
    let with_small_schema = {
        let header = SegmentHeader { event_schema: br#""string""#.to_vec(), ..header(Seq(0), 1) };
        file_of(&header, &[(1, sealed_events(Seq(0), &[b"\x02a"]))])
    };
    vec![golden::SEGMENT.to_vec(), of(1), of(257), with_small_schema]
}

/// As often as this makes a bomb: a block larger than any may be. It takes long, so nothing else does.
const BOMB: u16 = 0xb0b0;
const BOMB_BYTES: usize = MAX_DATUM_BYTES + BLOCK_BYTES;
/// No other block is made larger by repetition.
const MAX_REPEATED_BYTES: usize = 64 << 10;

/// A segment file of blocks whose plain bytes are in the input: first seq, how many seqs follow it, then for each block
/// how many records it claims, how often its bytes are repeated, its bytes behind their length.
pub(crate) fn blocks(bytes: &[u8]) -> bool {
    let mut input = Input::new("blocks", bytes);
    let (Ok(first_seq), Ok(more)) = (input.array(), input.array()) else { return false };
    let first_seq = Seq(u64::from_be_bytes(first_seq) & (u64::MAX >> 2));
    let header = header(first_seq, 1 + u64::from(u16::from_be_bytes(more)));
    let mut blocks = Vec::new();
    while let (Ok(events), Ok(times), Ok(plain)) = (input.array(), input.array(), input.bytes()) {
        let (events, times) = (u64::from(u16::from_be_bytes(events)), u16::from_be_bytes(times));
        let max_bytes = if times == BOMB { BOMB_BYTES } else { MAX_REPEATED_BYTES };
        let times = (usize::from(times) + 1).min(max_bytes / plain.len().max(1)).max(1);
        blocks.push((events, plain.repeat(times)));
        if blocks.len() == 8 || max_bytes == BOMB_BYTES {
            break;
        }
    }
    segment(&file_of(&header, &blocks))
}

fn header(first_seq: Seq, events: u64) -> SegmentHeader {
    SegmentHeader {
        event_schema: golden::EVENT_SCHEMA.to_vec(),
        origin: ORIGIN.to_owned(),
        first_seq,
        last_seq: Seq(first_seq.0 + events - 1),
        first_prev: Hash::default(),
        last_hash: Hash::default(),
        checkpoint: String::new(),
    }
}

fn file_of(header: &SegmentHeader, blocks: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut file = header.to_bytes();
    for (events, plain) in blocks {
        let mut packed = Vec::with_capacity(plain.len() + plain.len() / 100 + 64);
        let mut deflate = Compress::new(Compression::fast(), false);
        deflate.compress_vec(plain, &mut packed, FlushCompress::Finish).unwrap();
        put_long(&mut file, *events as i64);
        put_bytes(&mut file, &packed);
        file.extend_from_slice(&sync_marker(&header.origin, header.first_seq));
    }
    file
}

pub(crate) fn block_seeds() -> Vec<Vec<u8>> {
    let input = |first_seq: u64, more: u16, blocks: &[(u16, u16, Vec<u8>)]| {
        let mut out = [first_seq.to_be_bytes().as_slice(), &more.to_be_bytes()].concat();
        for (events, times, plain) in blocks {
            out.extend_from_slice(&events.to_be_bytes());
            out.extend_from_slice(&times.to_be_bytes());
            put_bytes(&mut out, plain);
        }
        out
    };
    let events = [testing::event(0), testing::event(1), testing::opening("a/1")];
    let three = |first: u64| sealed_events(Seq(first), &events.each_ref().map(Vec::as_slice));
    vec![
        input(0, 2, &[(3, 0, three(0))]),
        // Over a boundary of blocks.
        input(254, 5, &[(2, 0, sealed_events(Seq(254), &[&events[0], &events[1]])), (3, 0, three(256))]),
        input(0, 0, &[(1, BOMB, vec![0; 128])]),
        input(0, 0, &[(1, 300, vec![0; 128])]),
    ]
}

/// The records of these events, one behind the other.
fn sealed_events(first_seq: Seq, events: &[&[u8]]) -> Vec<u8> {
    let mut walk = Walk::begin(Hash::default());
    let mut out = Vec::new();
    for (n, event) in events.iter().enumerate() {
        let (mut link, _) = walk.extend(event_hash(&schemas::event_schema_hash(), event), Micros(1));
        link.seq = Seq(first_seq.0 + n as u64);
        SealedEvent::splice(&mut out, &link, &link.hash(), event);
    }
    out
}
