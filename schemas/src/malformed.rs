//! The error of every parser here.

use std::fmt;

/// Bytes that are not what they should be: which format, where in it, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The format that was read: "link", "segment", "checkpoint".
    pub format: &'static str,
    /// How many bytes in.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
}

impl Malformed {
    /// An error at byte `at` of `format`.
    pub fn new(format: &'static str, at: usize, what: impl Into<String>) -> Malformed {
        Malformed { format, at, what: what.into() }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a canonical {}: {} (at byte {})", self.format, self.what, self.at)
    }
}

impl std::error::Error for Malformed {}
