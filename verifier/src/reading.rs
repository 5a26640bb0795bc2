//! Reading objects, each within its bound.

use schemas::checkpoint::MAX_CHECKPOINT_BYTES;
use schemas::note::MAX_NOTE_BYTES;
use store::{Kind, Store};

use crate::{Check, Finding};

/// A segment that is larger is not looked at: this is what memory is bounded by.
pub(crate) const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// The trees file of eight million events.
pub(crate) const MAX_TREES_BYTES: u64 = 256 << 20;
pub(crate) const MAX_CHECKPOINT: u64 = MAX_CHECKPOINT_BYTES as u64;
pub(crate) const MAX_KEY_NOTE: u64 = MAX_NOTE_BYTES as u64;
pub(crate) const MAX_SCHEMA: u64 = 1 << 20;

/// Why an object was not read.
pub(crate) enum Unread {
    /// It is larger than anything of its kind may be.
    TooLarge(u64),
    /// The store did not give it. It was listed, so that says nothing about the evidence.
    Failed(String),
}

impl Unread {
    /// The finding for an object that must be read to say anything.
    pub(crate) fn finding(self, key: &str) -> Finding {
        let found = match self {
            Unread::TooLarge(max) => format!("larger than the {max} bytes that are looked at"),
            Unread::Failed(why) => why,
        };
        Finding::of(Check::Readable, "an object that can be read", found).at(key)
    }

    /// The finding for an object whose format bounds its size.
    pub(crate) fn finding_of_bounded(self, check: Check, key: &str) -> Finding {
        match self {
            Unread::TooLarge(max) => {
                Finding::of(check, format!("at most {max} bytes"), "a larger object").at(key)
            }
            failed @ Unread::Failed(_) => failed.finding(key),
        }
    }
}

pub(crate) fn read(store: &dyn Store, key: &str, max_bytes: u64) -> Result<Vec<u8>, Unread> {
    match store.get(key, None, None, max_bytes) {
        Ok(object) => Ok(object.bytes),
        Err(error) if error.kind() == Kind::TooLarge => Err(Unread::TooLarge(max_bytes)),
        Err(error) => Err(Unread::Failed(error.to_string())),
    }
}
