//! The road that ends in a bucket with Object Lock, on real Kafka and real S3: the archiver as a process that can die, the
//! server as one that can be away, slow, full or attacked. Each test has a bucket of its own on the servers that all
//! share, or a server of its own where that is what breaks; each ends with the verifier and an exact count.

mod away;
mod killed;
mod racing;
mod tampered;
mod whole;
