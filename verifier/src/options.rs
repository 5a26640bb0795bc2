//! What an auditor brings to a check.

use schemas::{Micros, Vkey};
use store::Retention;

use crate::{Check, Known, Reading};

/// What an archive is checked against.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Keys that the auditor trusts. Empty: those of the archive are taken on trust.
    pub pinned: Vec<Vkey>,
    /// Checkpoints that the auditor kept.
    pub known: Vec<Known>,
    /// The auditor's clock.
    pub now: Micros,
    /// What the store is held to. None: it locks nothing, as a folder, and its clock is nobody's witness.
    pub custody: Option<Promise>,
    /// How the store is read.
    pub reading: Reading,
    /// Checks that are switched off, so that a test can see what each is for. Empty in any other use.
    pub off: Vec<Check>,
}

/// What each piece of evidence is to be locked with from the moment of writing, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The auditor does.
    Told(Retention),
    /// The bucket does, by its default.
    OfTheBucket(Retention),
    /// Nobody: any lock will do that has not ended.
    Nobody,
    /// Locks cannot be seen, so nothing can be said of them.
    Unseen,
}

impl Promise {
    /// What is promised, if anything is.
    pub fn retention(self) -> Option<Retention> {
        match self {
            Promise::Told(retention) | Promise::OfTheBucket(retention) => Some(retention),
            Promise::Nobody | Promise::Unseen => None,
        }
    }
}
