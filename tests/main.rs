//! The whole pipeline under test, as one binary. Each suite ends with the verifier walking the archive that it made.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

mod harness;

#[cfg(all(feature = "kafka", feature = "s3"))]
mod deploy;
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
#[cfg(feature = "s3")]
mod parts;
mod proofs;
mod readers;
mod recoveries;
mod retried;
#[cfg(all(feature = "kafka", feature = "s3"))]
mod s3_identities;
#[cfg(all(feature = "kafka", feature = "s3"))]
mod s3_jammed;
#[cfg(feature = "s3")]
mod s3_locks;
#[cfg(feature = "s3")]
mod s3_reading;
#[cfg(all(feature = "kafka", feature = "s3"))]
mod s3_road;
#[cfg(all(feature = "kafka", feature = "s3"))]
mod s3_setup;
mod stock;
mod tampered;
mod trimmed;
mod waited;
