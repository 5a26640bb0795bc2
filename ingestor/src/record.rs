//! RawRecord: what was received, before anything is known about it; and why one cannot be taken.

use std::fmt;

use schemas::event::ReceivedFrom;

/// One item as it was received, with what Sealog itself saw of where it came from.
#[derive(Clone, Debug)]
pub struct RawRecord<'a> {
    /// The media type of `bytes`, as the sender or the transport says.
    pub content_type: &'a str,
    /// Exactly what was received.
    pub bytes: &'a [u8],
    /// Where it came from.
    pub received_from: ReceivedFrom<'a>,
    /// Who sent it, as authenticated.
    pub producer: &'a str,
    /// Its id if it has none of its own.
    pub fallback_id: FallbackId<'a>,
}

/// The id of an event whose producer gave none.
#[derive(Clone, Copy, Debug)]
pub enum FallbackId<'a> {
    /// Derived from topic, partition, offset and part.
    Position,
    /// This one.
    Given(&'a str),
}

/// What an item may weigh and hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one item.
    pub item_bytes: usize,
    /// How deep objects and arrays may be nested; the item itself is 1.
    pub depth: usize,
    /// Attributes of one event; also what bounds its targets.
    pub attributes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { item_bytes: 1 << 20, depth: 64, attributes: 1_000 }
    }
}

/// The longest id that a producer may give, in bytes.
pub const MAX_ID_BYTES: usize = 200;

/// Why an item cannot be taken: a word for programs, a sentence for people. Neither holds bytes of the item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The kind.
    pub reason: Reason,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// Kinds of rejection; each is a word in answers, headers, events and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// More bytes than an item may have.
    TooLarge,
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// Nested too deep.
    TooDeep,
    /// More members than an event can hold.
    TooMany,
    /// A Kafka record without a value: a tombstone.
    NoValue,
    /// A value of no bytes.
    Empty,
}

impl Reason {
    /// Each of them.
    pub const ALL: [Reason; 8] = [
        Reason::TooLarge,
        Reason::NotUtf8,
        Reason::NotJson,
        Reason::NotAnObject,
        Reason::TooDeep,
        Reason::TooMany,
        Reason::NoValue,
        Reason::Empty,
    ];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Reason::TooLarge => "too_large",
            Reason::NotUtf8 => "not_utf8",
            Reason::NotJson => "not_json",
            Reason::NotAnObject => "not_an_object",
            Reason::TooDeep => "too_deep",
            Reason::TooMany => "too_many",
            Reason::NoValue => "no_value",
            Reason::Empty => "empty",
        }
    }
}

impl Rejection {
    /// With its sentence.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Rejection {
        Rejection { reason, detail: detail.into() }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}
