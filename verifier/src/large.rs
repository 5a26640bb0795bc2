//! Reading what may be large: in parts, side by side, and one at a time where no list says how large it is.

use std::ops::{ControlFlow, Deref};

use store::{Error, Kind, Object, Version};

use crate::Ahead;
use crate::ahead::Held;
use crate::reading::{Source, UNKNOWN_SIZE_BYTES, Unread, cap};

/// Parts of one object that are on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// An object that may be large, and the room that it takes beyond what was set aside for it.
pub(crate) struct Large<'a> {
    object: Object,
    _held: Option<Held<'a>>,
}

impl Deref for Large<'_> {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.object
    }
}

impl<'a> Source<'a> {
    /// One version of what stands at `key`, in parts if it is large. `size_bytes`: so many a list says it has, 0 if it
    /// does not say; more are not taken. Of those of which no list says it, one at a time may be large.
    pub(crate) fn read_large(
        &self,
        key: &str,
        version: Option<&Version>,
        size_bytes: u64,
        max_bytes: u64,
    ) -> Result<Large<'a>, Unread> {
        if size_bytes > 0 || max_bytes <= UNKNOWN_SIZE_BYTES {
            let object = self.read_in_parts(key, version, size_bytes, max_bytes)?;
            return Ok(Large { object, _held: None });
        }
        match self.store.get(key, version, None, UNKNOWN_SIZE_BYTES) {
            Ok(object) => return Ok(Large { object, _held: None }),
            Err(error) if error.kind() == Kind::TooLarge => {}
            Err(error) => return Err(Unread::of(&error, max_bytes)),
        }
        let held = self.reading.ahead.room_for_one();
        let object = self.store.get(key, version, None, max_bytes);
        let object = object.map_err(|error| Unread::of(&error, max_bytes))?;
        Ok(Large { object, _held: Some(held) })
    }

    fn read_in_parts(
        &self,
        key: &str,
        version: Option<&Version>,
        size_bytes: u64,
        max_bytes: u64,
    ) -> Result<Object, Unread> {
        let cap_bytes = cap(size_bytes, max_bytes)?;
        let unread = |error: Error| Unread::of(&error, max_bytes).or_not_as_listed(key, cap_bytes);
        let Some(part) = self.reading.part_bytes.filter(|part| size_bytes > *part) else {
            return self.store.get(key, version, None, cap_bytes).map_err(unread);
        };
        let mut object = self.store.get(key, version, Some(0..part), part).map_err(unread)?;
        if object.size_bytes > cap_bytes {
            return Err(Unread::TooLarge(max_bytes).or_not_as_listed(key, cap_bytes));
        }
        let rest = usize::try_from(object.size_bytes.div_ceil(part).saturating_sub(1)).unwrap_or(usize::MAX);
        let version = Some(object.version.clone());
        let get = |nth: usize| {
            let from = part * (nth as u64 + 1);
            let got = self.store.get(key, version.as_ref(), Some(from..from + part), part);
            got.map_err(unread)
        };
        let mut failed = None;
        Ahead::new(PARTS_AT_ONCE, u64::MAX).in_order(
            rest,
            |_| 0,
            get,
            |_, got| match got {
                Ok(next) if next.tag == object.tag && next.size_bytes == object.size_bytes => {
                    object.bytes.extend_from_slice(&next.bytes);
                    ControlFlow::Continue(())
                }
                Ok(_) => {
                    failed = Some(Unread::Failed(format!("{key}: it was replaced while it was read")));
                    ControlFlow::Break(())
                }
                Err(unread) => {
                    failed = Some(unread);
                    ControlFlow::Break(())
                }
            },
        );
        match failed {
            Some(unread) => Err(unread),
            None => Ok(object),
        }
    }
}
