//! Walks a whole archive, finds what is wrong, and names it: which chain, which seqs, which object, what should be
//! there and what is.
//!
//! `archive` lists the store and goes through its chains; `chain` reads what one chain has, in order; `segment` checks
//! one segment and is a pure function of bytes, so that segments can be checked apart from each other; `check` is the
//! table of all checks; `report` is what comes out, as JSON, and `text` the same for people.

mod archive;
mod chain;
mod check;
mod finding;
mod inventory;
mod keys;
mod known;
mod leaves;
mod openings;
mod options;
mod outside;
mod plan;
mod position;
mod reading;
mod report;
mod segment;
mod span;
mod text;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use archive::verify;
pub use check::{Check, Effect};
pub use finding::Finding;
pub use inventory::origins;
pub use known::{Known, parse_keys};
pub use options::Options;
pub use position::Position;
pub use report::{ChainReport, KeyReport, KnownReport, Notice, Report, Trust, Uncovered, Verdict};
pub use segment::{SegmentInput, SegmentSummary, check_segment};
