//! The openings of chains, as chain 0 records them: a whole chain cannot vanish unseen.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use schemas::Seq;
use schemas::avro::{Input, Shape, to_json};
use schemas::note::check_name;
use schemas::own_act::{CHAIN_OPENED, SEALOG};

/// Chain 0 says that a chain was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The chain that was opened.
    pub origin: String,
    /// Where the opening stands.
    pub seq: Seq,
    /// In which object.
    pub key: String,
}

static ACTION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(CHAIN_OPENED));

/// Whether a chain records the openings of others.
pub(crate) fn records_openings(origin: &str) -> bool {
    origin.ends_with("/0")
}

/// The chain that this event says was opened, if it is such an event. Most are not, and cost one search.
pub(crate) fn opened_in(shape: &Shape, event_bytes: &[u8]) -> Option<String> {
    ACTION.find(event_bytes)?;
    let event = to_json(shape, &mut Input::new("AuditEvent", event_bytes)).ok()?;
    if event["action"] != CHAIN_OPENED || event["producer"] != SEALOG {
        return None;
    }
    let origin = event["targets"][0]["id"].as_str()?;
    check_name(origin).ok().map(|()| origin.to_owned())
}
