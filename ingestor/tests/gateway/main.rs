//! The gateway on real sockets, in front of a stream in memory that can be held and made to fail.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

mod client;
mod commit;
mod contract;
mod embedded;
mod idempotency;
mod limits;
mod pages;
mod places;
mod robustness;
mod site;
mod statuses;
mod stopping;
mod tls;
