//! What an auditor brings to a check.

use std::sync::Arc;

use schemas::{Micros, Vkey};
use store::Retention;

use crate::{Check, Known, Reading, Scope, Watch};

/// What an archive is checked against.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the auditor calls the archive: its path or URL.
    pub archive: String,
    /// Keys that the auditor trusts. Empty: those of the archive are taken on trust.
    pub pinned: Vec<Vkey>,
    /// Keys that were stolen or lost, each with the size from which on what it signed counts by itself no more. The size
    /// is one of the chain whose name the key bears; on a chain that none of these is named for the key is revoked from
    /// size 0 on.
    pub revoked: Vec<(Vkey, u64)>,
    /// Checkpoints that the auditor kept.
    pub known: Vec<Known>,
    /// The auditor's clock.
    pub now: Micros,
    /// What the store is held to. None: it locks nothing, as a folder, and its clock is nobody's witness.
    pub custody: Option<Promise>,
    /// How the store is read.
    pub reading: Reading,
    /// How much is walked.
    pub scope: Scope,
    /// Who is told how far it has come.
    pub watch: Option<Arc<dyn Watch>>,
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
