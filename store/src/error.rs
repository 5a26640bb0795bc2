//! What can go wrong at the seam, as kinds that tell a caller what to do.

use std::fmt;

/// The result of every verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller does about an error depends on this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `put_new`: something is there already.
    Exists,
    /// `replace_if`: what is there is not what was expected.
    Changed,
    /// No such object.
    Missing,
    /// More bytes than the caller takes.
    TooLarge,
    /// Not reached, not in time, no room. Whether a write was done is unknown; try again.
    Away,
    /// More versions lie at a key than are looked into, and none of those was the right one: whether it is among the
    /// others is not known. Somebody has to look who laid them there.
    Crowded,
    /// A right is missing or a key is not one; trying again cannot help.
    Refused,
}

/// An error of the seam: its kind, the key, and a sentence for a person.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    key: String,
    what: String,
    is_hidden: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// `what` says what happened to the object at `key`.
    pub fn new(kind: Kind, key: &str, what: impl Into<String>) -> Error {
        Error { kind, key: key.to_owned(), what: what.into(), is_hidden: false, source: None }
    }

    /// `Missing`, because a delete marker lies over the key.
    pub fn hidden(key: &str) -> Error {
        Error { is_hidden: true, ..Error::new(Kind::Missing, key, "a delete marker lies over it") }
    }

    /// With the error below it.
    pub fn caused(
        kind: Kind,
        key: &str,
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error { source: Some(source.into()), ..Error::new(kind, key, what) }
    }

    /// What a caller decides by.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is `Missing` because a delete marker lies over the key, as far as the store says so. Each that lets
    /// anything be put over a marker says so also of a range of no bytes.
    pub fn is_hidden(&self) -> bool {
        self.is_hidden
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
