//! The whole pipeline under test, as one binary. Each suite ends with the verifier walking the archive that it made.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

mod harness;

mod embedded_road;
mod fixtures;
mod help;
#[cfg(feature = "kafka")]
mod kafka_road;
mod killed;
mod lost_writes;
mod odd_chains;
#[cfg(feature = "kafka")]
mod on_kafka;
mod recoveries;
mod trimmed;
