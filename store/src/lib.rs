//! The seam to the archive. A store keeps objects under keys: put once, or replaced by compare-and-swap where the
//! archive's layout allows it. `seam` states the contract, `conformance` checks it against every implementation.

mod error;
mod key;
mod notes;
mod seam;
mod tail;
mod wanted;

pub mod conformance;
pub mod custody;
pub mod directory;
#[cfg(feature = "http")]
pub mod http;
pub mod memory;
#[cfg(feature = "s3")]
pub mod s3;
pub mod versions;

pub use error::{Error, Kind, Result};
pub use notes::{Notes, NotesError, Unsigned, keys_after};
pub use seam::{Entry, Keep, Listing, Lock, Mode, Object, Page, Retention, Store, Tag, Version};
pub use tail::{MAX_TREES_BYTES, Tail, fits as trees_fit, read_trees};
