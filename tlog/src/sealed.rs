//! An event as it comes out of a segment.

use schemas::Link;

/// No segment is read that is larger.
pub(crate) const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// An event with its link, bound to the root that it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its link.
    pub link: Link,
    /// The AuditEvent schema that it is written in.
    pub schema: Vec<u8>,
    /// Its datum.
    pub event_bytes: Vec<u8>,
}
