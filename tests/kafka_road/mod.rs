//! The road on Kafka, its stages as processes that can die. Each test has topics of its own on the broker that all
//! share, or a broker of its own where that is what dies; each ends with the verifier and an exact count.

mod recovery;
mod setup;
mod whole;
