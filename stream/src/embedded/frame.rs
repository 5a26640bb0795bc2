//! The bytes of a log file, made and read here and nowhere else. docs/LOG.md tells them in words.
//!
//! | file header, 32 bytes | | frame header, 36 bytes | | record, 16 bytes and its body | |
//! |---|---|---|---|---|---|
//! | 0 | `SLL1` | 0 | `SLF1` | 0 | CRC of salt, offset (u64), bytes 4.. |
//! | 4 | CRC of the lane's folder name | 4 | records u32 | 4 | bytes of headers u32 |
//! | 8 | first offset u64 | 8 | first offset u64 | 8 | bytes of key u32; all ones: none |
//! | 16 | salt, 8 random bytes | 16 | time in ms i64 | 12 | bytes of value u32; all ones: none |
//! | 24 | zero u32 | 24 | bytes of records u64 | 16 | headers, key, value |
//! | 28 | CRC of bytes 0..28 | 32 | CRC of salt, bytes 0..32 | | |
//!
//! All numbers are little endian, each CRC is CRC-32C.

use crc32c::{crc32c, crc32c_append};

use crate::batch::{Packed, Shape};

pub(super) const FILE_HEADER_BYTES: u64 = 32;
pub(super) const FRAME_HEADER_BYTES: u64 = 36;
pub(super) const RECORD_HEADER_BYTES: usize = 16;
const FILE_MAGIC: [u8; 4] = *b"SLL1";
const FRAME_MAGIC: [u8; 4] = *b"SLF1";
const NONE: u32 = u32::MAX;

/// What every CRC in a file starts from: its salt. So nothing that was written elsewhere, or sent by somebody, is
/// ever taken for a part of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seed(u32);

impl Seed {
    fn of(salt: &[u8]) -> Seed {
        Seed(crc32c(salt))
    }
}

/// What is wrong with a file's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadFile {
    /// Not the bytes of a header.
    Broken,
    /// A header of another version of the format.
    OtherVersion,
    /// A header of another lane or another place in the lane.
    Misplaced,
}

/// The header of a file that starts at `first_offset`.
pub(super) fn file_header(folder: &str, first_offset: u64, salt: [u8; 8]) -> ([u8; 32], Seed) {
    let mut h = [0; 32];
    h[..4].copy_from_slice(&FILE_MAGIC);
    h[4..8].copy_from_slice(&crc32c(folder.as_bytes()).to_le_bytes());
    h[8..16].copy_from_slice(&first_offset.to_le_bytes());
    h[16..24].copy_from_slice(&salt);
    let crc = crc32c(&h[..28]);
    h[28..].copy_from_slice(&crc.to_le_bytes());
    (h, Seed::of(&salt))
}

/// Checks a header against where the file lies.
pub(super) fn read_file_header(h: &[u8], folder: &str, first_offset: u64) -> Result<Seed, BadFile> {
    let h: &[u8; 32] = h.first_chunk().ok_or(BadFile::Broken)?;
    if h[..3] != FILE_MAGIC[..3] || number(h, 28) != crc32c(&h[..28]) {
        return Err(BadFile::Broken);
    }
    if h[3] != FILE_MAGIC[3] {
        return Err(BadFile::OtherVersion);
    }
    if number(h, 4) != crc32c(folder.as_bytes()) || long(h, 8) != first_offset {
        return Err(BadFile::Misplaced);
    }
    Ok(Seed::of(&h[16..24]))
}

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub first_offset: u64,
    pub records: u32,
    pub time_ms: i64,
    /// Of the records, with their headers.
    pub body_bytes: u64,
}

impl Frame {
    /// The header, if these are the bytes of one.
    pub fn read(h: &[u8], seed: Seed) -> Option<Frame> {
        let h: &[u8; FRAME_HEADER_BYTES as usize] = h.first_chunk()?;
        let sound = h[..4] == FRAME_MAGIC && number(h, 32) == crc32c_append(seed.0, &h[..32]);
        sound.then(|| Frame {
            first_offset: long(h, 8),
            records: number(h, 4),
            time_ms: long(h, 16) as i64,
            body_bytes: long(h, 24),
        })
    }

    /// How far the frame goes, from its header's first byte on.
    pub fn size_bytes(&self) -> u64 {
        self.body_bytes.saturating_add(FRAME_HEADER_BYTES)
    }

    fn write(&self, h: &mut [u8], seed: Seed) {
        h[..4].copy_from_slice(&FRAME_MAGIC);
        h[4..8].copy_from_slice(&self.records.to_le_bytes());
        h[8..16].copy_from_slice(&self.first_offset.to_le_bytes());
        h[16..24].copy_from_slice(&self.time_ms.to_le_bytes());
        h[24..32].copy_from_slice(&self.body_bytes.to_le_bytes());
        let crc = crc32c_append(seed.0, &h[..32]);
        h[32..36].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Where the next frame header in `bytes` begins, sound or not yet checked.
pub(super) fn find_magic(bytes: &[u8]) -> Option<usize> {
    bytes.windows(FRAME_MAGIC.len()).position(|w| w == FRAME_MAGIC)
}

/// Adds a record to a frame that is being put together. Its CRC comes with `seal`.
pub(super) fn put_record(frame: &mut Vec<u8>, record: &Packed<'_>) {
    let length = |part: Option<usize>| part.map_or(NONE, |n| n as u32);
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&(record.shape.headers_bytes as u32).to_le_bytes());
    frame.extend_from_slice(&length(record.shape.key_bytes).to_le_bytes());
    frame.extend_from_slice(&length(record.shape.value_bytes).to_le_bytes());
    frame.extend_from_slice(record.body);
}

/// Gives the frame its place: writes its header (36 bytes are left for it) and the CRC of each record. `at` hears
/// where each record begins.
pub(super) fn seal(
    bytes: &mut [u8],
    seed: Seed,
    (first_offset, time_ms): (u64, i64),
    mut at: impl FnMut(usize),
) -> Frame {
    let mut begin = FRAME_HEADER_BYTES as usize;
    let mut records = 0;
    while let Some(head) = bytes.get(begin..).and_then(RecordHead::read) {
        at(begin);
        let record = &mut bytes[begin..begin + head.size_bytes];
        let crc = record_crc(seed, first_offset + u64::from(records), &record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        (begin, records) = (begin + head.size_bytes, records + 1);
    }
    let body_bytes = bytes.len() as u64 - FRAME_HEADER_BYTES;
    let frame = Frame { first_offset, records, time_ms, body_bytes };
    frame.write(&mut bytes[..FRAME_HEADER_BYTES as usize], seed);
    frame
}

/// The first 16 bytes of a record. Nothing in it is proven before `holds`.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordHead {
    pub shape: Shape,
    /// Of the record, these 16 included.
    pub size_bytes: usize,
}

impl RecordHead {
    /// What the lengths say; None if there are fewer than 16 bytes.
    pub fn read(record: &[u8]) -> Option<RecordHead> {
        let h: &[u8; RECORD_HEADER_BYTES] = record.first_chunk()?;
        let part = |at| Some(number(h, at)).filter(|n| *n != NONE).map(|n| n as usize);
        let shape = Shape { headers_bytes: number(h, 4) as usize, key_bytes: part(8), value_bytes: part(12) };
        Some(RecordHead { shape, size_bytes: RECORD_HEADER_BYTES + shape.size_bytes() })
    }

    /// Whether these bytes are what was written as record `offset` of the file.
    pub fn holds(record: &[u8], seed: Seed, offset: u64) -> bool {
        record.len() >= RECORD_HEADER_BYTES && number(record, 0) == record_crc(seed, offset, &record[4..])
    }
}

fn record_crc(seed: Seed, offset: u64, rest: &[u8]) -> u32 {
    crc32c_append(crc32c_append(seed.0, &offset.to_le_bytes()), rest)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}
