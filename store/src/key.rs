//! What a key is: relative, at most 1,024 bytes, parts of 1 to 255 bytes between single slashes. The same for every
//! store, so that an archive can be copied from any one to any other.

use crate::{Error, Kind, Result};

/// What S3 takes.
pub(crate) const MAX_KEY_BYTES: usize = 1_024;
/// What file systems take for one name.
pub(crate) const MAX_PART_BYTES: usize = 255;
/// The folder of a directory's temporaries. No key lies in it.
pub(crate) const TEMPORARIES: &str = ".tmp";

/// Refuses what is not a key.
pub(crate) fn check(key: &str) -> Result<()> {
    match fault_of(key, true) {
        None => Ok(()),
        Some(fault) => {
            Err(Error::new(Kind::Refused, &key.escape_debug().to_string(), format!("not a key: {fault}")))
        }
    }
}

/// Refuses what no key can begin with. The last part may be a part of a name, or empty.
pub(crate) fn check_prefix(prefix: &str) -> Result<()> {
    match fault_of(prefix, false) {
        None => Ok(()),
        Some(fault) => {
            let shown = prefix.escape_debug().to_string();
            Err(Error::new(Kind::Refused, &shown, format!("not the beginning of a key: {fault}")))
        }
    }
}

fn fault_of(text: &str, is_whole: bool) -> Option<&'static str> {
    if text.len() > MAX_KEY_BYTES {
        return Some("it is longer than 1024 bytes");
    }
    if text.contains('\0') {
        return Some("it holds a NUL");
    }
    let mut parts = text.split('/').peekable();
    let mut is_first = true;
    while let Some(part) = parts.next() {
        if part.len() > MAX_PART_BYTES {
            return Some("a part of it is longer than 255 bytes");
        }
        // The last part of a prefix can still grow: `a/.` begins `a/.b`.
        if is_whole || parts.peek().is_some() {
            match part {
                "" => return Some("a part of it is empty"),
                "." | ".." => return Some("a part of it is `.` or `..`"),
                TEMPORARIES if is_first => return Some("`.tmp` is kept for temporaries"),
                _ => {}
            }
        }
        is_first = false;
    }
    None
}
