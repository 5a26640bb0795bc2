//! Walks a whole archive, finds what is wrong, and names it: which chain, which seqs, which object, what should be
//! there and what is.
//!
//! `archive` lists the store and goes through its chains; `chain` reads what one chain has, in order; `segment` checks
//! one segment and is a pure function of bytes, so that segments can be checked apart from each other; `span_read` does
//! that on several threads, with what `reading` brings, and `span` joins it in order; `custody` is about how objects are
//! kept, not what they are; `check` is the table of all checks; `report` is what comes out, as JSON, and `text` the same
//! for people.

mod ahead;
mod archive;
mod chain;
mod check;
mod custody;
mod evidence;
mod finding;
mod glance;
mod hint;
mod inventory;
mod keys;
mod known;
mod large;
mod leaves;
mod noted;
mod openings;
mod options;
mod outside;
mod part;
mod plan;
mod position;
mod reading;
mod report;
mod revoked;
mod scope;
mod segment;
mod span;
mod span_choice;
mod span_end;
mod span_read;
mod text;
mod watch;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use ahead::Ahead;
pub use archive::verify;
pub use check::{Check, Effect};
pub use custody::Locks;
pub use evidence::{Choice, Evidence};
pub use finding::Finding;
pub use inventory::{origins, place_of};
pub use known::{Known, parse_keys};
pub use options::{Options, Promise};
pub use position::Position;
pub use reading::Reading;
pub use report::{
    ChainReport, Compared, CustodyReport, KeyReport, KnownReport, Notice, Report, RevokedReport, Trust,
    Uncovered, Verdict,
};
pub use scope::{Bound, Scope, ScopeReport};
pub use segment::{SegmentInput, SegmentSummary, check_segment};
pub use watch::Watch;
