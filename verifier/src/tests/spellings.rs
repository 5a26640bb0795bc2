//! The same event under other bytes: rows 1 and 7.

use flate2::{Compress, Compression, FlushCompress};
use schemas::avro::{put_bytes, put_long, put_str};
use schemas::sealed::wrapper_schema;
use schemas::segment::{BLOCK_EVENTS, CODEC, sync_marker};
use schemas::{AuditEvent, SealedEvent, SegmentFile, SegmentHeader, Seq};

use super::{assert_broken, chain_0, check_zero};
use crate::testing::{ChainBuilder, Record};
use crate::{Check, Verdict};

/// A container of these blocks: count, uncompressed bytes, what follows the deflate stream.
fn container(header: &SegmentHeader, level: u32, blocks: &[(usize, Vec<u8>, &[u8])]) -> Vec<u8> {
    let mut out = header.to_bytes();
    for (count, plain, behind) in blocks {
        let mut packed = Vec::with_capacity(plain.len() + 1_000);
        let mut deflate = Compress::new(Compression::new(level), false);
        deflate.compress_vec(plain, &mut packed, FlushCompress::Finish).unwrap();
        packed.extend_from_slice(behind);
        put_long(&mut out, *count as i64);
        put_bytes(&mut out, &packed);
        out.extend_from_slice(&sync_marker(&header.origin, header.first_seq));
    }
    out
}

fn header_of(chain: &ChainBuilder, nth: usize) -> SegmentHeader {
    SegmentFile::parse(&chain.objects[&chain.segment_key(nth)]).unwrap().header
}

fn datum(record: &Record) -> Vec<u8> {
    let mut datum = Vec::new();
    SealedEvent::splice(&mut datum, &record.link, &record.hash, &record.event);
    datum
}

/// The first segment in blocks of `width`.
fn blocks(chain: &ChainBuilder, width: usize) -> Vec<(usize, Vec<u8>, &'static [u8])> {
    let blocks = chain.records_of(0).chunks(width);
    blocks.map(|block| (block.len(), block.iter().flat_map(datum).collect(), &b""[..])).collect()
}

/// Row 1: what respells deflate is found by the digest; who changes the digest with it has changed no evidence.
#[test]
fn another_spelling_of_deflate_is_found_by_its_digest_alone() {
    let mut zero = chain_0();
    let (header, key) = (header_of(&zero, 0), zero.segment_key(0));
    let respelled = container(&header, 9, &blocks(&zero, BLOCK_EVENTS as usize));
    assert_ne!(respelled, zero.objects[&key]);
    zero.objects.insert(key.clone(), respelled.clone());
    assert_broken(&check_zero(&zero), Check::SegmentDigest, &key, (0, 299));
    zero.lay_segment_file(0, respelled);
    assert_eq!(check_zero(&zero).verdict, Verdict::Unanchored);
}

/// Row 7.
#[test]
fn a_container_in_another_spelling_is_not_canonical() {
    let zero = chain_0();
    let header = header_of(&zero, 0);
    let good = blocks(&zero, BLOCK_EVENTS as usize);
    let mut padded = good.clone();
    // seq 0 in two bytes.
    padded[0].1.splice(0..1, [0x80, 0x00]);
    let mut with_empty = good.clone();
    with_empty.insert(1, (0, Vec::new(), b""));
    let mut behind = good.clone();
    behind[0].2 = b"x";
    let mut bomb = good.clone();
    bomb[1] = (1, vec![0; 64 << 20], b"");
    for (wrong, from) in [
        (blocks(&zero, 100), 100),
        (blocks(&zero, 300), 0),
        (padded, 0),
        (with_empty, 256),
        (behind, 0),
        (bomb, 256),
    ] {
        let mut zero = chain_0();
        zero.lay_segment_file(0, container(&header, 3, &wrong));
        assert_broken(&check_zero(&zero), Check::SegmentForm, &zero.segment_key(0), (from, 299));
    }
}

/// Row 7.
#[test]
fn metadata_in_another_order_is_not_canonical() {
    let mut zero = chain_0();
    let header = header_of(&zero, 1);
    let canonical = header.to_bytes();
    let mut reordered = b"Obj\x01".to_vec();
    put_long(&mut reordered, 9);
    put_str(&mut reordered, "avro.codec");
    put_str(&mut reordered, CODEC);
    put_str(&mut reordered, "avro.schema");
    put_bytes(&mut reordered, &wrapper_schema(&header.event_schema));
    let both_entries = reordered.len();
    reordered.extend_from_slice(&canonical[both_entries..]);
    let file = zero.objects[&zero.segment_key(1)].clone();
    reordered.extend_from_slice(&file[canonical.len()..]);
    assert_eq!(reordered.len(), file.len());
    zero.lay_segment_file(1, reordered);
    assert_broken(&check_zero(&zero), Check::SegmentForm, &zero.segment_key(1), (300, 304));
}

/// Row 7: even if the chainer sealed it.
#[test]
fn an_array_in_several_blocks_is_not_canonical() {
    let mut event = Vec::new();
    AuditEvent { marks: &["one", "two"], ..AuditEvent::default() }.encode(&mut event);
    let at = event.windows(10).position(|bytes| bytes == b"\x04\x06one\x06two\x00").unwrap();
    event.splice(at..at + 10, *b"\x02\x06one\x02\x06two\x00");
    let mut zero = chain_0();
    zero.seal([crate::testing::event(1), event]);
    assert_broken(&check_zero(&zero), Check::SegmentForm, &zero.segment_key(3), (566, 566));
    assert_eq!(zero.records_of(3)[1].link.seq, Seq(566));
}
