//! The seam between stages. A stage takes records from lanes and commits records to lanes; whether a lane is a
//! Kafka partition, a file set of the embedded log or a vector in memory, it does not see.
//!
//! `seam` states the contract, `conformance` checks it against every implementation.

mod batch;
mod bell;
mod error;
mod owners;
mod seam;
mod stage;

pub mod conformance;
pub mod embedded;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;

pub use batch::{Batch, Headers, LaneId, Record};
pub use error::{Error, Kind, Result};
pub use seam::{Claim, Fence, Groups, Lane, Limit, Log, Member, Role, Stream, topics};
pub use stage::{end_of, run_claims};
