//! The chainer: takes AuditEvents, gives each its link, commits SealedEvents with a Head, cuts segments and signs
//! their Checkpoints. It alone holds the key.
//!
//! * `chain`: the pure core, from a Head to the next
//! * `owner`: the order of writes, in one function
//! * `opening`: what must hold before a claimed chain may go on
//! * `genesis`: how a chain begins
//! * `stage`: the loop around them

mod chain;
mod clock_watch;
mod genesis;
mod guard;
mod metrics;
mod opening;
mod owner;
mod recovery;
mod stage;

pub use chain::Policy;
pub use genesis::write_genesis;
pub use guard::Guard;
pub use metrics::Metrics;
pub use opening::{check_history, last_head, source_fits};
pub use recovery::{Plan, Recovering};
pub use stage::Chainer;

/// The group that chainers share lanes in.
pub const GROUP: &str = "sealog.chainer";

/// The role of chainers of that base origin, to the stream.
pub fn role(origin: &str) -> stream::Role {
    stream::Role {
        group: GROUP.to_owned(),
        sources: vec![stream::topics::EVENTS.to_owned()],
        fence: stream::Fence::PerLane(origin.to_owned()),
    }
}

/// The name of chain `n` for ever.
pub fn chain_origin(origin: &str, chain: u32) -> String {
    format!("{origin}/{chain}")
}
