//! Walking over the records of one file, checking each. Reading, recovery and `last` are all this walk.

use std::io;

use super::disk::DiskFile;
use super::frame::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, Frame, RECORD_HEADER_BYTES, RecordHead, Seed};
use crate::batch::Shape;

/// A point between two records of a file, and what must be known to go on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The offset of the record that comes next.
    pub offset: u64,
    /// Where it begins, or its frame if `left` is 0.
    pub position: u64,
    /// How many records of the frame are still to come.
    pub left: u32,
    /// Where the frame ends.
    pub frame_end: u64,
    /// The frame's time.
    pub time_ms: i64,
}

impl Place {
    /// Before the first frame.
    pub fn start(first_offset: u64) -> Place {
        Place {
            offset: first_offset,
            position: FILE_HEADER_BYTES,
            left: 0,
            frame_end: FILE_HEADER_BYTES,
            time_ms: 0,
        }
    }
}

/// Why a walk cannot go on.
#[derive(Debug)]
pub(super) enum Flaw {
    /// The disk does not answer.
    Disk(io::Error),
    /// What stands in the frame that begins, or has its record, at `position` is not what was written.
    Bytes { position: u64, what: &'static str },
}

/// One record in the walk's buffer.
pub(super) struct Found {
    /// Where the walk was before it.
    pub at: Place,
    /// Where its body begins in the buffer.
    pub start: usize,
    pub shape: Shape,
}

/// A walk from a place on. The bytes are read behind what the buffer holds and stay there until `forget`.
pub(super) struct Walk<'a> {
    file: &'a dyn DiskFile,
    seed: Seed,
    /// What may be read of the file.
    end: u64,
    /// How much is read ahead at a time.
    ahead_bytes: usize,
    buffer: &'a mut Vec<u8>,
    /// The buffer holds the file from this position on, from this index on.
    origin: (u64, usize),
    place: Place,
}

impl<'a> Walk<'a> {
    pub fn new(
        (file, seed, end): (&'a dyn DiskFile, Seed, u64),
        place: Place,
        buffer: &'a mut Vec<u8>,
        ahead_bytes: usize,
    ) -> Walk<'a> {
        let origin = (place.position, buffer.len());
        Walk { file, seed, end, ahead_bytes, buffer, origin, place }
    }

    /// Where the walk is.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The buffer, in which a record found lies.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.buffer
    }

    /// Gives the buffer's memory back to what is still to come.
    pub fn forget(&mut self) {
        self.buffer.truncate(self.origin.1);
        self.origin.0 = self.place.position;
    }

    /// The next record, checked; None at the end.
    pub fn next(&mut self) -> Result<Option<Found>, Flaw> {
        if self.place.left == 0 && !self.enter_frame()? {
            return Ok(None);
        }
        let Place { offset, position, left, frame_end, .. } = self.place;
        let flaw = |what| Flaw::Bytes { position, what };
        if position + RECORD_HEADER_BYTES as u64 > frame_end {
            return Err(flaw("its frame ends within the record"));
        }
        let begin = self.fill(RECORD_HEADER_BYTES)?;
        let head = RecordHead::read(&self.buffer[begin..]).ok_or(flaw("the record is cut short"))?;
        let record_end = position + head.size_bytes as u64;
        if record_end > frame_end || (left == 1 && record_end != frame_end) {
            return Err(flaw("the record's lengths do not fit its frame"));
        }
        let begin = self.fill(head.size_bytes)?;
        if !RecordHead::holds(&self.buffer[begin..begin + head.size_bytes], self.seed, offset) {
            return Err(flaw("the record's CRC is wrong"));
        }
        let found = Found { at: self.place, start: begin + RECORD_HEADER_BYTES, shape: head.shape };
        self.place = Place { offset: offset + 1, position: record_end, left: left - 1, ..self.place };
        Ok(Some(found))
    }

    /// Reads the frame header that must stand here; false at the end.
    fn enter_frame(&mut self) -> Result<bool, Flaw> {
        let Place { offset, position, .. } = self.place;
        let flaw = |what| Flaw::Bytes { position, what };
        if position == self.end {
            return Ok(false);
        }
        if position + FRAME_HEADER_BYTES > self.end {
            return Err(flaw("the frame's header is cut short"));
        }
        let begin = self.fill(FRAME_HEADER_BYTES as usize)?;
        let frame = Frame::read(&self.buffer[begin..], self.seed).ok_or(flaw("no frame begins here"))?;
        if frame.first_offset != offset || frame.records == 0 {
            return Err(flaw("the frame belongs elsewhere"));
        }
        let position = position + FRAME_HEADER_BYTES;
        let frame_end = position.checked_add(frame.body_bytes).filter(|end| *end <= self.end);
        let frame_end = frame_end.ok_or(flaw("the frame is cut short"))?;
        self.place = Place { offset, position, left: frame.records, frame_end, time_ms: frame.time_ms };
        Ok(true)
    }

    /// Sees to it that the buffer holds so many bytes from the place on, and says where.
    fn fill(&mut self, bytes: usize) -> Result<usize, Flaw> {
        let (from, base) = self.origin;
        let begin = base + (self.place.position - from) as usize;
        let missing = (begin + bytes).saturating_sub(self.buffer.len());
        if missing > 0 {
            let position = from + (self.buffer.len() - base) as u64;
            let most = (missing.max(self.ahead_bytes) as u64).min(self.end.saturating_sub(position)) as usize;
            let got = self.file.read_at(self.buffer, most, position).map_err(Flaw::Disk)?;
            if got < missing {
                return Err(Flaw::Bytes { position: self.place.position, what: "the file ends too early" });
            }
        }
        Ok(begin)
    }
}
