//! The mark of a record: what a committed position remembers of the record before it, so that a topic that was deleted
//! and made anew is not taken for the one that was read.

use std::fmt::Write as _;

use rdkafka::message::{BorrowedMessage, Message};
use sha2::{Digest, Sha256};

use crate::Record;

/// Says that a position's metadata is a mark, and of which kind. Other tools leave there what they like.
const KIND: &str = "sealog/1:";
const BYTES: usize = 16;

/// The first 16 bytes of SHA-256 over the record's time, key and value. In Kafka as text, `sealog/1:` and their hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark([u8; BYTES]);

impl Mark {
    /// Of a record that was taken.
    pub fn of(record: &Record) -> Mark {
        Mark::over(record.time_ms, record.key, record.value)
    }

    /// Of a record as it comes from Kafka.
    pub fn of_message(message: &BorrowedMessage) -> Mark {
        let time_ms = message.timestamp().to_millis().unwrap_or_default();
        Mark::over(time_ms, message.key(), message.payload())
    }

    fn over(time_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Mark {
        let mut hash = Sha256::new().chain_update(time_ms.to_be_bytes());
        for part in [key, value] {
            // No value is another thing than an empty one.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hash.update(length.to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        let (mut mark, hash) = ([0; BYTES], hash.finalize());
        mark.copy_from_slice(&hash[..BYTES]);
        Mark(mark)
    }

    /// As it stands beside a position.
    pub fn text(self) -> String {
        self.0.iter().fold(KIND.to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// What stands beside a position, if it is a mark.
    pub fn parse(text: &str) -> Option<Mark> {
        let is_hex = |hex: &&str| hex.len() == 2 * BYTES && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let hex = text.strip_prefix(KIND).filter(is_hex)?;
        let mut mark = [0; BYTES];
        for (byte, at) in mark.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
        }
        Some(Mark(mark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_records_apart_and_goes_through_text() {
        let all = [
            Mark::over(1, None, None),
            Mark::over(2, None, None),
            Mark::over(1, Some(b""), None),
            Mark::over(1, None, Some(b"")),
            Mark::over(1, Some(b"a"), Some(b"b")),
            Mark::over(1, Some(b"ab"), Some(b"")),
        ];
        for (n, mark) in all.iter().enumerate() {
            assert_eq!(Mark::parse(&mark.text()), Some(*mark));
            assert!(!all[n + 1..].contains(mark));
        }
        // Positions that were committed keep their marks through every later version.
        assert_eq!(
            Mark::over(1_795_253_400_000, Some(b"k"), Some(b"v")).text(),
            "sealog/1:99e21cfbd6284a0abd93a5bd2cf200f5"
        );
    }

    #[test]
    fn what_other_tools_leave_beside_a_position_is_no_mark() {
        let zeros = "0".repeat(32);
        for text in ["", "lag=3", "sealog/1:", "sealog/1:00", &zeros, &format!("sealog/1:+{}", &zeros[1..])] {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }
}
