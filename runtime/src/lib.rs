//! The one door to what is not a function of its arguments: time, waiting, stopping, randomness.
#![allow(clippy::disallowed_methods)]

mod clock;
mod failure;
mod host;
mod instruments;
mod random;
mod stop;

pub use clock::{Clock, Deadline, ManualClock, SystemClock};
pub use failure::{Backoff, Failure, halt_on_panic};
pub use host::host_name;
pub use instruments::Instruments;
pub use random::{random_bytes, uuid_v7};
pub use stop::{Ending, Stop};
