//! A segment: what is built is read back, by us and by Avro's own reader, and nothing that is changed passes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite: to fail is to panic")]

mod support;

use apache_avro::types::Value;
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;
use schemas::event::event_shape;
use schemas::segment::{BLOCK_BYTES, BLOCK_EVENTS, MAX_DATUM_BYTES};
use schemas::{Malformed, SealedEvent, SegmentFile, event_schema_hash};
use support::chain::{Piece, event_of, noise};

/// The datums of a segment, in order.
fn datums(file: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut datums = Vec::new();
    SegmentFile::parse(file)?.walk(event_shape(), |_, datum| {
        datums.push(datum.to_vec());
        true
    })?;
    Ok(datums)
}

/// How many records each block has, and how large it is inflated.
fn blocks(file: &[u8]) -> Vec<(u64, usize)> {
    let segment = SegmentFile::parse(file).unwrap();
    let (mut blocks, mut plain, mut found) = (segment.blocks(), Vec::new(), Vec::new());
    while let Some(block) = blocks.next_into(&mut plain).unwrap() {
        found.push((block.events, plain.len()));
    }
    found
}

/// Built, read back, followed link by link.
fn is_read_back(piece: &Piece) -> Vec<u8> {
    let file = piece.segment();
    let segment = SegmentFile::parse(&file).unwrap();
    assert_eq!(segment.header, piece.header());
    assert!(datums(&file).unwrap() == piece.datums);
    let mut walk = piece.before.clone();
    segment
        .walk(event_shape(), |sealed, datum| {
            assert_eq!(SealedEvent::parse(datum).unwrap(), *sealed);
            walk.follow(sealed, &event_schema_hash()).unwrap();
            true
        })
        .unwrap();
    assert_eq!(walk, piece.after);
    file
}

#[test]
fn segments_of_every_count_around_a_block_are_read_back() {
    for first_seq in [0, 1, 255, 256, 300] {
        for count in [1, 2, 255, 256, 257, 600] {
            let file = is_read_back(&Piece::of_sizes(first_seq, &vec![20; count]));
            let mut expected = Vec::new();
            let end = first_seq + count as u64;
            let mut at = first_seq;
            while at < end {
                let next = ((at / BLOCK_EVENTS + 1) * BLOCK_EVENTS).min(end);
                expected.push(next - at);
                at = next;
            }
            let counts: Vec<u64> = blocks(&file).iter().map(|(events, _)| *events).collect();
            assert_eq!(counts, expected, "{count} events from {first_seq}");
        }
    }
}

#[test]
fn blocks_end_by_size() {
    let file = is_read_back(&Piece::of_sizes(300, &[600 << 10; 5]));
    assert!(blocks(&file).iter().all(|(events, _)| *events == 1), "no two of them fit into 1 MiB");
    let file = is_read_back(&Piece::of_sizes(300, &[300 << 10; 7]));
    assert_eq!(blocks(&file).iter().map(|(events, _)| *events).collect::<Vec<_>>(), [3, 3, 1]);
}

#[test]
fn a_block_may_be_exactly_full() {
    let prefix = Piece::of_sizes(7, &[400_000]).datums[0].len() - 400_000;
    for (over, expected) in [(0, vec![2]), (1, vec![1, 1])] {
        let file = is_read_back(&Piece::of_sizes(7, &[400_000, BLOCK_BYTES - 400_000 - 2 * prefix + over]));
        assert_eq!(blocks(&file).iter().map(|(events, _)| *events).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_datum_that_is_larger_than_a_block_stands_alone() {
    let largest = (4 << 20) - 2048;
    let file = is_read_back(&Piece::of_sizes(254, &[10, largest, 10, 10]));
    let found = blocks(&file);
    assert_eq!(found.iter().map(|(events, _)| *events).collect::<Vec<_>>(), [1, 1, 2]);
    assert!(found[1].1 > largest && found[1].1 <= MAX_DATUM_BYTES);
}

#[test]
fn avro_s_own_reader_reads_the_very_records() {
    let piece = Piece::of_sizes(300, &vec![40; 600]);
    let file = piece.segment();
    let reader = apache_avro::Reader::new(&file[..]).unwrap();
    let schema = reader.writer_schema().clone();
    assert_eq!(reader.user_metadata()["sealog.first_seq"], b"300");
    let mut records = 0;
    for (value, datum) in reader.zip(&piece.datums) {
        let value = value.unwrap();
        assert_eq!(value, apache_avro::from_avro_datum(&schema, &mut &datum[..], None).unwrap());
        let Value::Record(fields) = value else { panic!("a record") };
        assert_eq!(fields[0], ("seq".to_owned(), Value::Long(300 + records)));
        records += 1;
    }
    assert_eq!(records, 600);
}

#[test]
fn every_cut_is_refused() {
    let file = Piece::of_sizes(254, &[10; 4]).segment();
    for cut in 0..file.len() {
        assert!(datums(&file[..cut]).is_err(), "cut at {cut}");
    }
    assert!(datums(&[&file[..], &[0]].concat()).is_err());
}

/// A flip is refused, or breaks the links, or leaves every record and the header as they were: then it is in the
/// spelling of a deflate stream, which the digest in trees/ covers.
#[test]
fn every_flip_is_seen() {
    let piece = Piece::of_sizes(254, &[10; 4]);
    let file = piece.segment();
    let header_bytes = piece.header().to_bytes().len();
    let mut spellings = 0;
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(segment) = SegmentFile::parse(&flipped) else { continue };
        let mut walk = piece.before.clone();
        let mut follows = true;
        let read = segment.walk(event_shape(), |sealed, _| {
            follows = walk.follow(sealed, &event_schema_hash()).is_ok();
            follows
        });
        if read.is_err() || !follows {
            continue;
        }
        if bit / 8 < header_bytes {
            assert_ne!(segment.header, piece.header(), "bit {bit}");
            let fields_fit = segment.header.last_hash == walk.last_hash()
                && segment.header.first_prev == piece.before.last_hash()
                && segment.header.event_schema == piece.header().event_schema
                && segment.header.checkpoint == piece.checkpoint();
            assert!(!fields_fit, "bit {bit}: a header that nothing convicts");
        } else {
            assert_eq!(walk, piece.after, "bit {bit}");
            spellings += 1;
        }
    }
    assert!(spellings < 64, "only the bits behind the end of a stream are free, {spellings} were");
}

fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + 4096);
    Compress::new(Compression::best(), false).compress_vec(plain, &mut out, FlushCompress::Finish).unwrap();
    out
}

/// A segment's header with one block of these bytes behind it.
fn with_block(piece: &Piece, events: i64, packed: &[u8]) -> Vec<u8> {
    let mut file = piece.header().to_bytes();
    let sync = file[file.len() - 16..].to_vec();
    schemas::avro::put_long(&mut file, events);
    schemas::avro::put_bytes(&mut file, packed);
    file.extend_from_slice(&sync);
    file
}

/// Inflates the only block into a new buffer, and says how much room that took.
fn inflate(file: &[u8]) -> (Result<Vec<u8>, String>, usize) {
    let mut plain = Vec::new();
    let read = SegmentFile::parse(file).unwrap().blocks().next_into(&mut plain).map_err(|e| e.what);
    let room = plain.capacity();
    (read.map(|_| plain), room)
}

#[test]
fn a_deflate_bomb_is_refused_in_the_room_of_one_block() {
    let piece = Piece::of_sizes(0, &[10]);
    let bomb = deflated(&vec![0; 256 << 20]);
    assert!(bomb.len() < 300 << 10);
    let (read, room) = inflate(&with_block(&piece, 1, &bomb));
    assert_eq!(read.unwrap_err(), "a block inflates to more than any may hold");
    assert!(room <= MAX_DATUM_BYTES + 1, "{room}");
}

#[test]
fn a_stream_of_any_length_up_to_the_largest_block_inflates_and_none_that_is_cut_does() {
    let piece = Piece::of_sizes(0, &[10]);
    let lengths = [0, 1, 100, 65_535, 65_536, 65_537, 131_072, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1];
    for length in
        lengths.into_iter().chain([MAX_DATUM_BYTES - 1, MAX_DATUM_BYTES, MAX_DATUM_BYTES + 1, 8 << 20])
    {
        let plain = noise(length as u64, length);
        let packed = deflated(&plain);
        let (read, room) = inflate(&with_block(&piece, 1, &packed));
        assert!(room <= MAX_DATUM_BYTES + 1);
        if length > MAX_DATUM_BYTES {
            assert_eq!(read.unwrap_err(), "a block inflates to more than any may hold");
            continue;
        }
        assert!(read.unwrap() == plain, "{length} bytes");
        for cut in [0, 1, packed.len() / 2, packed.len() - 1] {
            let (read, _) = inflate(&with_block(&piece, 1, &packed[..cut]));
            assert_eq!(read.unwrap_err(), "a deflate stream is cut off", "{length} bytes cut at {cut}");
        }
        let (read, _) = inflate(&with_block(&piece, 1, &[&packed[..], &[0]].concat()));
        assert_eq!(read.unwrap_err(), "bytes behind the end of a deflate stream");
    }
    let (read, _) = inflate(&with_block(&piece, 1, &[0x07]));
    assert_eq!(read.unwrap_err(), "a deflate stream cannot be read");
}

#[test]
fn one_reader_goes_on_after_a_large_block_with_a_small_one() {
    let piece = Piece::of_sizes(255, &[4_000_000, 10, 1_100_000, 0]);
    is_read_back(&piece);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn segments_of_any_sizes_are_read_back(first_seq in 0u64..600, sizes in prop::collection::vec(
        prop_oneof![8 => 0usize..600, 2 => 0usize..200_000, 1 => 500_000usize..1_200_000], 1..80,
    )) {
        is_read_back(&Piece::of_sizes(first_seq, &sizes));
    }

    #[test]
    fn noise_in_a_segment_never_panics(at in 0.0..1.0f64, junk in prop::collection::vec(any::<u8>(), 1..40)) {
        let piece = Piece::sealing(3, [event_of(1, 60), event_of(2, 60)]);
        let mut file = piece.segment();
        let at = (file.len() as f64 * at) as usize;
        let end = (at + junk.len()).min(file.len());
        file[at..end].copy_from_slice(&junk[..end - at]);
        if let Ok(read) = datums(&file) {
            prop_assert_eq!(read.len(), piece.datums.len(), "the header says how many there are");
        }
    }
}
