//! What can go wrong at the seam, as kinds that tell a stage's loop what to do.

use std::fmt;

use crate::Lane;

/// The result of every verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a loop does about an error depends on this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not reached, or not in time. What was asked may have been done: a stage drops its claim and claims anew, the
    /// gateway says 503.
    Away,
    /// Another owner holds the lane now. Nothing of the call that says so is or will be committed.
    Lost,
    /// No room behind the seam. Nothing was written; slow down and ask again.
    Full,
    /// A record is larger than its topic takes. Nothing was written.
    TooLarge,
    /// The lane does not hold the offset asked for: trimmed, or not written yet.
    OutOfRange {
        /// The first offset that the lane holds.
        start: u64,
        /// One past the last.
        end: u64,
    },
    /// What is stored cannot be right. Nothing may go on from here.
    Damaged,
    /// A setting or a right is missing; trying again cannot help.
    Refused,
}

/// An error of the seam: its kind, and a sentence for a person.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    /// In a box: most errors are about none, and every result has the room.
    lane: Option<Box<Lane>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// `what` says what happened, to which lane or file.
    pub fn new(kind: Kind, what: impl Into<String>) -> Error {
        Error { kind, what: what.into(), lane: None, source: None }
    }

    /// With the error below it.
    pub fn caused(
        kind: Kind,
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error { kind, what: what.into(), lane: None, source: Some(source.into()) }
    }

    /// The same, known to be about this lane.
    #[must_use]
    pub fn at(self, lane: &Lane) -> Error {
        Error { lane: Some(Box::new(lane.clone())), ..self }
    }

    /// An offset that the lane does not hold.
    pub(crate) fn out_of_range(lane: &Lane, offset: u64, (start, end): (u64, u64)) -> Error {
        let what = format!("{lane} holds {start} to {end}, not {offset}");
        Error::new(Kind::OutOfRange { start, end }, what).at(lane)
    }

    /// What a loop decides by.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Which lane it is about. `OutOfRange` always says it.
    pub fn lane(&self) -> Option<&Lane> {
        self.lane.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
