//! The contract between the stages: every byte that leaves a process, every path of the archive, and the walk
//! over links. Nothing here does I/O, reads a clock or knows Kafka, S3 or HTTP.

mod units;

pub use units::{Hash, Micros, Seq, hex, unhex};
