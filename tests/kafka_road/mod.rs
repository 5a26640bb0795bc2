//! The road on Kafka, its stages as processes that can die. Each test has topics of its own on the broker that all
//! share, or a broker of its own where that is what dies; each ends with the verifier and an exact count.

mod broker_died;
mod frozen;
mod killed;
pub mod load;
mod recovery;
mod rights;
mod services;
mod setup;
pub mod stages;
mod stopping;
mod waiting;
pub mod whole;

use std::io::Write;

use crate::harness::broker::Broker;
use crate::harness::is_long;

/// Whether this machine can run a broker of the test's own. Where it cannot, that is said loudly; in CI it must.
fn can_run_a_broker() -> bool {
    let Some(missing) = Broker::missing() else { return true };
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI tests on Kafka, but {missing}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: no broker of the test's own: {missing}");
    false
}
