//! The contract. Three narrow traits: a `Log` of lanes that anyone may append to and read, `Groups` through which
//! the processes of a stage share its lanes, and the `Claim` that one owner holds on what it won.
//!
//! What every implementation promises, and `conformance` checks:
//!
//! 1. A lane is a sequence of records with rising offsets. Offsets may have holes (Kafka's markers); two reads of
//!    an offset give the same bytes.
//! 2. What `append` or `commit` acknowledged survives the death of any process and is seen by every later read.
//! 3. All records of one `commit`, on all their lanes, are seen by readers or none are, with the same answer for
//!    the positions given beside them. (The embedded log does this for each lane alone, in the order of the
//!    batch: its stages keep their positions in the outputs.)
//! 4. `read`, `take` and `last` see committed records only.
//! 5. Winning a claim on a lane ends every earlier claim on it: once `Member::poll` has handed out the new one, no
//!    commit of the old one succeeds, and nothing that it left half done becomes visible later.
//! 6. After an error a claim is dead, but for `OutOfRange` and `TooLarge`: drop it with all state read through it.
//!    While the member still owns the lanes, `poll` hands out a new claim, and the truth is what `last` says then.
//! 7. No verb waits for ever: `wait` bounds those that have it, the implementation's own timeouts the others.
//! 8. A claim that starts at the position that its group committed goes on behind the very record that was taken
//!    there. Where a lane can be deleted and made anew under its name, the stream keeps a mark of that record beside
//!    the position and looks whether the lane still has it; `take` gives nothing of a lane that has another one in
//!    its place: `Refused`. What has been trimmed since cannot be looked at, and is no reason to refuse.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Batch, Result};

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition; for `audit.*` it is the chain's number.
    pub partition: u32,
}

impl Lane {
    /// The lane `partition` of `topic`.
    pub fn new(topic: &str, partition: u32) -> Lane {
        Lane { topic: topic.into(), partition }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// The topics between the stages.
pub mod topics {
    use super::Lane;

    /// Normalized events, waiting to be sealed.
    pub const EVENTS: &str = "audit.events";
    /// What could not be read, for replay.
    pub const REJECTED: &str = "audit.rejected";
    /// SealedEvents and Heads.
    pub const SEALED: &str = "audit.sealed";
    /// The largest record that the `audit.*` topics take, key and headers included.
    pub const MAX_RECORD_BYTES: usize = 4 << 20;

    /// Whether a topic is one of these.
    pub fn is_own(topic: &str) -> bool {
        [EVENTS, REJECTED, SEALED].contains(&topic)
    }

    /// `audit.events` of a chain.
    pub fn events(chain: u32) -> Lane {
        Lane::new(EVENTS, chain)
    }

    /// `audit.rejected` of a chain.
    pub fn rejected(chain: u32) -> Lane {
        Lane::new(REJECTED, chain)
    }

    /// `audit.sealed` of a chain.
    pub fn sealed(chain: u32) -> Lane {
        Lane::new(SEALED, chain)
    }
}

/// How much one call may bring. One record always may come, whatever its size.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Records at most.
    pub records: usize,
    /// Bytes of arena at most, but for a single record.
    pub bytes: usize,
}

/// Lanes that anyone may append to and read, without owning them.
pub trait Log: Send + Sync {
    /// Makes the records durable in the order of the batch and answers when all of them are; lanes are written in the
    /// order of their numbers in the batch. After an error any part of them may have been written.
    fn append(&self, records: &Batch) -> Result<()>;

    /// Adds to `into` what `lane` holds from `from` on, up to `limit`, waiting up to `wait` for a first record.
    /// Nothing new in that time is no error. `from` before the lane's start or behind its end: `OutOfRange`.
    fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()>;

    /// The last committed record of the lane, in a batch of one; empty if it holds none.
    fn last(&self, lane: &Lane) -> Result<Batch>;

    /// Answers once all that was appended before the call can be read; `Away` if that takes longer than `wait`. A
    /// transaction that a dead process left open hides what others appended behind it, until it is ended. Where
    /// nothing is ever hidden there is nothing to wait for.
    fn settle(&self, _lane: &Lane, _wait: Duration) -> Result<()> {
        Ok(())
    }

    /// Lets go of records below `before`. Storage may keep them a while longer; reads below may then still succeed.
    fn trim(&self, lane: &Lane, before: u64) -> Result<()>;
}

/// The lanes of a stage, shared by however many processes run it.
pub trait Groups: Send + Sync {
    /// Joins the processes of `role`.
    fn join(&self, role: &Role) -> Result<Box<dyn Member>>;

    /// The positions last committed for each of `lanes` by the processes of `group`, where the stream keeps one. A
    /// hint: a stage's truth is in its outputs.
    fn positions(&self, group: &str, lanes: &[Lane]) -> Result<Vec<Option<u64>>>;
}

/// A stream is both.
pub trait Stream: Log + Groups {}

impl<T: Log + Groups> Stream for T {}

/// What a stage is, to the stream.
#[derive(Clone, Debug)]
pub struct Role {
    /// The group's name: its members share the lanes.
    pub group: String,
    /// The topics that it takes from.
    pub sources: Vec<String>,
    /// How commits of a dead or replaced owner are kept out.
    pub fence: Fence,
}

/// What a claim covers, and the name under which its commits are fenced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fence {
    /// A claim a lane, fenced under `<name>/<partition>`: the chainer, its name the origin.
    PerLane(String),
    /// One claim over all the lanes won, fenced under this name: an ingestor.
    Whole(String),
    /// A claim a lane, without outputs: the archiver. Its commits only keep positions.
    Reader,
}

/// A member of a group.
pub trait Member: Send {
    /// Waits up to `wait` for a claim won: lanes newly owned, or still owned after their claim was dropped. Must be
    /// called again within a few seconds, also by a member that holds all it wants: it is what keeps it in the group.
    fn poll(&mut self, wait: Duration) -> Result<Option<Box<dyn Claim>>>;

    /// Whether every lane that the group gives this member is in a claim that was handed out and lives: what it has
    /// not, others have. False while the group shares its lanes anew, while a claim is being made, and while this
    /// member is cut off and cannot know it.
    fn is_settled(&self) -> bool;
}

/// What one owner holds, until it is lost, fails or is dropped. Dropping the member ends its claims.
pub trait Claim: Send {
    /// The lanes it covers; one, but for `Fence::Whole`.
    fn lanes(&self) -> &[Lane];

    /// The next `take` of `lane` starts at `offset`. Must be called for each lane before the first `take`.
    fn start_at(&mut self, lane: &Lane, offset: u64) -> Result<()>;

    /// Adds to `into` the next records of its lanes, up to `limit`, waiting up to `wait` for a first one. `Lost` as
    /// soon as the lanes are another's. An offset that a lane does not hold: `OutOfRange`, and `Error::lane` says which
    /// lane. Nothing has been added then; `start_at` moves that lane, and the others go on where they were.
    fn take(&mut self, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()>;

    /// Commits `outputs`, in their order, together with the positions up to which the sources are done (each one
    /// past the last record taken, or where `start_at` has moved the lane), or nothing of either. Either may be empty.
    /// Only records and positions of lanes that were read through this very claim may be given.
    fn commit(&mut self, outputs: &Batch, positions: &[(Lane, u64)]) -> Result<()>;
}
