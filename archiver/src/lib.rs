//! The archiver: takes commits of audit.sealed up to a cut whose signed Checkpoint has arrived, checks them, and puts
//! the segment into the archive. It holds no key and deletes nothing. It keeps no state of its own: what is archived
//! says where to go on.
//!
//! * `assembly`: the pure core, from records to segments
//! * `writing`: the order of writes, in one function
//! * `resume`: where to go on
//! * `cut`: whether a segment, its trees and their Checkpoint stand there and fit
//! * `repair`: puts right what somebody laid over
//! * `stage`: the loop around them
//! * `heads`: single records of audit.sealed
//! * `trimmer`: lets go of what is archived; in a cluster it is an identity of its own

mod assembly;
mod cut;
mod heads;
mod metrics;
mod opening;
mod resume;
mod stage;
mod trimmer;
mod writing;

pub mod repair;

pub use metrics::Metrics;
pub use opening::announce_again;
pub use stage::{Archiver, Progress};
pub use trimmer::{KeepEvents, Trimmer, TrimmerMetrics};

/// The group that archivers share lanes in.
pub const GROUP: &str = "sealog.archiver";

/// The role of archivers, to the stream.
pub fn role() -> stream::Role {
    stream::Role {
        group: GROUP.to_owned(),
        sources: vec![stream::topics::SEALED.to_owned()],
        fence: stream::Fence::Reader,
    }
}
