//! Sealog's own acts as events, from producer `sealog`: what it did stands in the record as well.

use crate::Micros;
use crate::event::{Attribute, AuditEvent, Environment, Outcome, Party, ReceivedFrom};

/// The producer, source and actor of every own act. No token and no topic may give this name to anyone else.
pub const SEALOG: &str = "sealog";
/// The dialect of own acts.
pub const DIALECT: &str = "sealog/1";

/// The process began to work on a chain.
pub const START: &str = "sealog.start";
/// The chain was idle for an hour and is alive.
pub const HEARTBEAT: &str = "sealog.heartbeat";
/// Another chain was opened; its origin is the target.
pub const CHAIN_OPENED: &str = "sealog.chain_opened";
/// The number of chains grew: from here on a producer's events may go to another chain.
pub const CHAINS_GREW: &str = "sealog.chains_grew";
/// The chain goes on from its archive, or from another source than before: what was between is not in it.
pub const RECOVERED: &str = "sealog.recovered";
/// Records were deleted before they could be read.
pub const GAP: &str = "sealog.gap";
/// A record could not be taken as an event.
pub const REJECTED: &str = "sealog.rejected";

/// An own act about to be written.
#[derive(Clone, Debug)]
pub struct OwnAct<'a> {
    /// One of the actions above.
    pub action: &'a str,
    /// Derived from what the act is about, so that a repeat has the same id.
    pub id: &'a str,
    /// When.
    pub at: Micros,
    /// What it is about: an origin.
    pub target: Option<&'a str>,
    /// What went wrong, if the act tells of something that did.
    pub trouble: Option<&'a str>,
    /// More about it.
    pub attributes: &'a [Attribute<'a>],
}

impl OwnAct<'_> {
    /// Writes event_bytes behind what is in `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let target = self.target.map(|id| Party { id, kind: Some("chain"), name: None });
        AuditEvent {
            id: self.id,
            action: self.action,
            occurred_at: Some(self.at),
            received_at: self.at,
            actor: Some(Party { id: SEALOG, kind: Some("service"), name: None }),
            targets: target.as_slice(),
            outcome: if self.trouble.is_some() { Outcome::Failure } else { Outcome::Success },
            reason: self.trouble,
            environment: Environment { service: Some(SEALOG), ..Environment::default() },
            attributes: self.attributes,
            ..by_sealog()
        }
        .encode(out);
    }
}

/// A record that could not be taken, about to be written as a `sealog.rejected` event.
#[derive(Clone, Debug)]
pub struct Rejected<'a> {
    /// Derived from where the record came from.
    pub id: &'a str,
    /// When it was received.
    pub at: Micros,
    /// Why it could not be taken, as a word to count by.
    pub reason: &'a str,
    /// The same as a sentence.
    pub detail: &'a str,
    /// Who sent it, as authenticated; empty where nobody knows.
    pub producer: &'a str,
    /// Where it came from.
    pub received_from: ReceivedFrom<'a>,
    /// Its content type, as claimed.
    pub content_type: &'a str,
    /// SHA-256 of all its bytes, in hex.
    pub sha256: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// How many of them to keep.
    pub keep_bytes: usize,
}

impl Rejected<'_> {
    /// Writes event_bytes behind what is in `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let size_bytes = self.bytes.len().to_string();
        AuditEvent {
            id: self.id,
            action: REJECTED,
            received_at: self.at,
            outcome: Outcome::Failure,
            reason: Some(self.detail),
            claimed_producer: Some(self.producer).filter(|producer| !producer.is_empty()),
            received_from: self.received_from.clone(),
            attributes: &[
                Attribute::text("reason", self.reason),
                Attribute::text("sha256", self.sha256),
                Attribute::number("size_bytes", &size_bytes),
            ],
            content_type: self.content_type,
            original: &self.bytes[..self.bytes.len().min(self.keep_bytes)],
            ..by_sealog()
        }
        .encode(out);
    }
}

/// What all of them have in common.
fn by_sealog<'a>() -> AuditEvent<'a> {
    AuditEvent { source: SEALOG, dialect: DIALECT, producer: SEALOG, ..AuditEvent::default() }
}
