//! What an auditor brings to a check.

use schemas::{Micros, Vkey};

use crate::{Check, Known};

/// What an archive is checked against.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Keys that the auditor trusts. Empty: those of the archive are taken on trust.
    pub pinned: Vec<Vkey>,
    /// Checkpoints that the auditor kept.
    pub known: Vec<Known>,
    /// The auditor's clock.
    pub now: Micros,
    /// Checks that are switched off, so that a test can see what each is for. Empty in any other use.
    pub off: Vec<Check>,
}
