//! A segment has one spelling. Each other one that a lenient Avro reader would take is made here by hand, and refused
//! for its own reason.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite: to fail is to panic")]

mod support;

use flate2::{Compress, Compression, FlushCompress};
use schemas::avro::{put_bytes, put_long, put_str};
use schemas::event::event_shape;
use schemas::segment::sync_marker;
use schemas::{SegmentFile, SegmentHeader};
use support::chain::{ORIGIN, Piece, event_of};

/// A segment in parts that can be set wrong one by one.
#[derive(Clone)]
struct ByHand {
    header: Vec<u8>,
    blocks: Vec<Block>,
    sync: [u8; 16],
}

#[derive(Clone)]
struct Block {
    events: Vec<u8>,
    packed: Vec<u8>,
    sync: [u8; 16],
}

fn long(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    put_long(&mut out, value);
    out
}

/// The same number in one byte more.
fn padded(value: i64) -> Vec<u8> {
    let mut out = long(value);
    *out.last_mut().unwrap() |= 0x80;
    out.push(0);
    out
}

fn deflated(plain: &[u8], level: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + 4096);
    Compress::new(Compression::new(level), false)
        .compress_vec(plain, &mut out, FlushCompress::Finish)
        .unwrap();
    out
}

fn block(piece: &Piece, datums: &[Vec<u8>]) -> Block {
    let packed = deflated(&datums.concat(), 9);
    Block { events: long(datums.len() as i64), packed, sync: sync_marker(ORIGIN, piece.first_seq()) }
}

impl ByHand {
    /// Blocks of that many records each.
    fn cut(piece: &Piece, counts: &[usize]) -> ByHand {
        let mut datums = &piece.datums[..];
        let mut blocks = Vec::new();
        for count in counts {
            let (these, rest) = datums.split_at(*count);
            blocks.push(block(piece, these));
            datums = rest;
        }
        assert!(datums.is_empty());
        ByHand { header: piece.header().to_bytes(), blocks, sync: sync_marker(ORIGIN, piece.first_seq()) }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut file = self.header.clone();
        for block in &self.blocks {
            file.extend_from_slice(&block.events);
            put_bytes(&mut file, &block.packed);
            file.extend_from_slice(&block.sync);
        }
        file
    }
}

/// Walks a file to its end; the error in words.
fn read(file: &[u8]) -> Result<usize, String> {
    let mut events = 0;
    let segment = SegmentFile::parse(file).map_err(|e| e.to_string())?;
    let walked = segment.walk(event_shape(), |_, _| {
        events += 1;
        true
    });
    walked.map(|()| events).map_err(|e| e.to_string())
}

#[track_caller]
fn refused(file: &[u8], why: &str) {
    let error = read(file).expect_err(why);
    assert!(error.contains(why), "refused, but for another reason: {error}");
}

fn piece() -> Piece {
    Piece::of_sizes(300, &[30; 400])
}

#[test]
fn made_by_hand_and_cut_where_it_should_be_it_is_read() {
    let by_hand = ByHand::cut(&piece(), &[212, 188]);
    assert_eq!(read(&by_hand.bytes()), Ok(400));
    let one = Piece::sealing(0, [event_of(1, 30)]);
    let mut other_spelling = ByHand::cut(&one, &[1]);
    other_spelling.blocks[0].packed = deflated(&one.datums[0], 0);
    assert_eq!(read(&other_spelling.bytes()), Ok(1), "how a stream is spelled is the digest's business");
}

#[test]
fn a_block_cut_elsewhere_is_refused() {
    let piece = piece();
    for counts in [&[100, 112, 188][..], &[211, 1, 188], &[212, 100, 88], &[212, 187, 1]] {
        refused(&ByHand::cut(&piece, counts).bytes(), "a block ends where none should");
    }
    for counts in [&[213, 187][..], &[250, 150]] {
        refused(&ByHand::cut(&piece, counts).bytes(), "a block goes on where it should end");
    }
    refused(&ByHand::cut(&piece, &[400]).bytes(), "a block of more than 256 records");
    let large = Piece::of_sizes(300, &[400_000, 400_000, 400_000]);
    assert_eq!(read(&ByHand::cut(&large, &[2, 1]).bytes()), Ok(3));
    refused(&ByHand::cut(&large, &[1, 2]).bytes(), "a block ends where none should");
    refused(&ByHand::cut(&large, &[3]).bytes(), "a block goes on where it should end");
    let alone = Piece::of_sizes(300, &[1_200_000, 10]);
    refused(&ByHand::cut(&alone, &[2]).bytes(), "a block goes on where it should end");
}

#[test]
fn a_block_of_no_records_is_refused() {
    let piece = piece();
    for at in [0, 1, 2] {
        let mut by_hand = ByHand::cut(&piece, &[212, 188]);
        by_hand.blocks.insert(at, block(&piece, &[]));
        refused(&by_hand.bytes(), "a block without records");
    }
}

#[test]
fn a_count_that_is_not_the_records_is_refused() {
    let piece = piece();
    let with_count = |events: Vec<u8>| {
        let mut by_hand = ByHand::cut(&piece, &[212, 188]);
        by_hand.blocks[1].events = events;
        by_hand.bytes()
    };
    refused(&with_count(long(187)), "bytes behind the end");
    refused(&with_count(long(189)), "ends inside a number");
    refused(&with_count(long(-188)), "a count is negative");
    refused(&with_count(long(i64::MAX)), "a block of more than 256 records");
    refused(&with_count(padded(188)), "a number is padded");
}

#[test]
fn bytes_behind_a_stream_and_a_second_stream_are_refused() {
    let piece = piece();
    for tail in [vec![0], deflated(&[], 9), deflated(b"more", 9)] {
        let mut by_hand = ByHand::cut(&piece, &[212, 188]);
        by_hand.blocks[0].packed.extend_from_slice(&tail);
        refused(&by_hand.bytes(), "bytes behind the end of a deflate stream");
    }
}

#[test]
fn a_block_s_size_in_a_longer_number_is_refused() {
    let by_hand = ByHand::cut(&piece(), &[212, 188]);
    let first = &by_hand.blocks[0];
    let mut file = by_hand.header.clone();
    file.extend_from_slice(&first.events);
    file.extend_from_slice(&padded(first.packed.len() as i64));
    file.extend_from_slice(&first.packed);
    file.extend_from_slice(&first.sync);
    refused(&file, "a number is padded");
}

#[test]
fn another_sync_marker_is_refused() {
    let mut by_hand = ByHand::cut(&piece(), &[212, 188]);
    by_hand.blocks[1].sync = [9; 16];
    refused(&by_hand.bytes(), "the sync marker is another");
    let mut whole = ByHand::cut(&piece(), &[212, 188]);
    let end = whole.header.len();
    whole.header[end - 16..].copy_from_slice(&[9; 16]);
    whole.blocks.iter_mut().for_each(|block| block.sync = [9; 16]);
    refused(&whole.bytes(), "the header is not the one that its own fields give");
}

#[test]
fn another_last_seq_is_refused() {
    let piece = piece();
    for (last_seq, why) in [(698, "goes on behind the last seq"), (700, "ends before seq 700")] {
        let mut by_hand = ByHand::cut(&piece, &[212, 188]);
        by_hand.header = SegmentHeader { last_seq: schemas::Seq(last_seq), ..piece.header() }.to_bytes();
        refused(&by_hand.bytes(), why);
    }
    let mut by_hand = ByHand::cut(&piece, &[212, 188]);
    by_hand.header = SegmentHeader { last_seq: schemas::Seq(299), ..piece.header() }.to_bytes();
    refused(&by_hand.bytes(), "a last seq before the first");
}

#[test]
fn a_seq_left_out_or_doubled_is_refused() {
    for (n, found) in [(5, "holds seq 306 where 305 is due"), (399, "ends before seq 699")] {
        let mut piece = piece();
        piece.datums.remove(n);
        let counts = if n < 212 { [211, 188] } else { [212, 187] };
        refused(&ByHand::cut(&piece, &counts).bytes(), found);
    }
    let mut piece = piece();
    piece.datums.insert(5, piece.datums[4].clone());
    refused(&ByHand::cut(&piece, &[213, 188]).bytes(), "holds seq 304 where 305 is due");
}

/// The header's entries, to be written in another way.
fn entries(piece: &Piece) -> Vec<(String, Vec<u8>)> {
    let header = piece.header().to_bytes();
    let mut input = schemas::avro::Input::new("header", &header[4..]);
    assert_eq!(input.long(), Ok(9));
    let mut found = Vec::new();
    for _ in 0..9 {
        found.push((input.str().unwrap().to_owned(), input.bytes().unwrap().to_vec()));
    }
    found
}

fn header_of(piece: &Piece, map: &[u8]) -> Vec<u8> {
    let mut by_hand = ByHand::cut(piece, &[212, 188]);
    by_hand.header = [b"Obj\x01", map, &by_hand.sync].concat();
    by_hand.bytes()
}

fn entry(out: &mut Vec<u8>, (key, value): &(String, Vec<u8>)) {
    put_str(out, key);
    put_bytes(out, value);
}

#[test]
fn metadata_written_in_another_way_is_refused() {
    let piece = piece();
    let entries = entries(&piece);
    let map = |entries: &[(String, Vec<u8>)]| {
        let mut out = long(entries.len() as i64);
        entries.iter().for_each(|e| entry(&mut out, e));
        out.push(0);
        out
    };
    assert_eq!(read(&header_of(&piece, &map(&entries))), Ok(400), "as it should be");

    let own = "the header is not the one that its own fields give";
    let mut swapped = entries.clone();
    swapped.swap(2, 3);
    refused(&header_of(&piece, &map(&swapped)), own);
    swapped.swap(2, 3);
    swapped.swap(4, 5);
    assert!(read(&header_of(&piece, &map(&swapped))).is_err());
    for (n, (key, value)) in
        [(1, ("avro.codec", "null")), (2, ("sealog.format", "2")), (2, ("sealog.more", "1"))]
    {
        let mut other = entries.clone();
        other[n] = (key.to_owned(), value.as_bytes().to_vec());
        refused(&header_of(&piece, &map(&other)), own);
    }
    let mut zero = entries.clone();
    zero[4].1 = b"0300".to_vec();
    refused(&header_of(&piece, &map(&zero)), "a seq in the header cannot be read");
    let mut upper = entries.clone();
    upper[7].1.make_ascii_uppercase();
    refused(&header_of(&piece, &map(&upper)), "a hash in the header cannot be read");
    let mut unwrapped = entries.clone();
    unwrapped[0].1 = piece.header().event_schema;
    refused(&header_of(&piece, &map(&unwrapped)), "the schema in the header cannot be read");

    let nine = "the metadata is not nine entries in one block";
    refused(&header_of(&piece, &map(&entries[..8])), nine);
    let mut ten = entries.clone();
    ten.push(("sealog.more".to_owned(), b"1".to_vec()));
    refused(&header_of(&piece, &map(&ten)), nine);
    let mut in_two = long(8);
    entries[..8].iter().for_each(|e| entry(&mut in_two, e));
    in_two.extend_from_slice(&long(1));
    entry(&mut in_two, &entries[8]);
    in_two.push(0);
    refused(&header_of(&piece, &in_two), nine);
    let mut sized = Vec::new();
    entries.iter().for_each(|e| entry(&mut sized, e));
    let negative = [long(-9), long(sized.len() as i64), sized.clone(), vec![0]].concat();
    refused(&header_of(&piece, &negative), nine);
    refused(&header_of(&piece, &[padded(9), sized, vec![0]].concat()), "a number is padded");
}

/// One event whose datum was spelled in another way; the links are right for that spelling.
fn spelled(event_bytes: Vec<u8>) -> Vec<u8> {
    let piece = Piece::sealing(0, [event_bytes]);
    ByHand::cut(&piece, &[1]).bytes()
}

/// `bytes` with the part that is `old` replaced.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|part| part == old).expect("the part is there");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

#[test]
fn a_datum_in_another_spelling_is_refused() {
    let event_bytes = event_of(1, 30);
    assert_eq!(read(&spelled(event_bytes.clone())), Ok(1));
    let party = |id: &str| {
        let mut out = Vec::new();
        put_str(&mut out, id);
        [out, vec![0, 0]].concat()
    };
    let both = [party("doc-1"), party("doc-2")].concat();
    let targets = [long(2), both.clone(), long(0)].concat();

    let in_two = [long(1), party("doc-1"), long(1), party("doc-2"), long(0)].concat();
    refused(&spelled(replaced(&event_bytes, &targets, &in_two)), "an array stands in several blocks");
    let sized = [long(-2), long(both.len() as i64), both.clone(), long(0)].concat();
    refused(&spelled(replaced(&event_bytes, &targets, &sized)), "an array is not one positive block");
    let counted = [padded(2), both, long(0)].concat();
    refused(&spelled(replaced(&event_bytes, &targets, &counted)), "a number is padded");

    let mut documents = Vec::new();
    put_str(&mut documents, "documents");
    let long_length = [padded(9), b"documents".to_vec()].concat();
    refused(&spelled(replaced(&event_bytes, &documents, &long_length)), "a number is padded");
    let not_utf8 = [long(9), vec![0xff; 9]].concat();
    refused(&spelled(replaced(&event_bytes, &documents, &not_utf8)), "a string is not UTF-8");
    let absent = [documents.clone(), long(0)].concat();
    let no_branch = [documents.clone(), long(2)].concat();
    refused(&spelled(replaced(&event_bytes, &absent, &no_branch)), "no such branch or symbol");
    refused(&spelled([event_bytes, vec![0]].concat()), "bytes behind the end");
}

#[test]
fn a_prefix_in_another_spelling_is_refused() {
    let mut piece = Piece::sealing(0, [event_of(1, 30)]);
    piece.datums[0].splice(..1, [0x80, 0x00]);
    refused(&ByHand::cut(&piece, &[1]).bytes(), "a number is padded");
}
