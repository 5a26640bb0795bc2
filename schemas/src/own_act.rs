//! Sealog's own acts as events, from producer `sealog`: what it did stands in the record as well.

use crate::event::{Attribute, AttributeType, AuditEvent, Environment, Outcome, Party, ReceivedFrom};
use crate::{Hash, Micros};

/// The producer, source and actor of every own act. No token and no topic may give this name to anyone else.
pub const SEALOG: &str = "sealog";
/// The dialect of own acts.
const DIALECT: &str = "sealog/1";

/// The process began to work on a chain.
pub const START: &str = "sealog.start";
/// The chain was idle for an hour and is alive.
pub const HEARTBEAT: &str = "sealog.heartbeat";
/// Another chain was opened; its origin is the target.
pub const CHAIN_OPENED: &str = "sealog.chain_opened";
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
    /// More about it, as text.
    pub attributes: &'a [(&'a str, &'a str)],
}

impl OwnAct<'_> {
    /// Writes event_bytes behind what is in `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let attributes: Vec<Attribute<'_>> = self.attributes.iter().map(text).collect();
        let target = self.target.map(|id| Party { id, kind: Some("chain"), name: None });
        AuditEvent {
            id: self.id,
            source: SEALOG,
            dialect: DIALECT,
            action: self.action,
            occurred_at: Some(self.at),
            received_at: self.at,
            actor: Some(Party { id: SEALOG, kind: Some("service"), name: None }),
            targets: target.as_slice(),
            outcome: Outcome::Success,
            environment: Environment { service: Some(SEALOG), ..Environment::default() },
            producer: SEALOG,
            attributes: &attributes,
            ..AuditEvent::default()
        }
        .encode(out);
    }
}

/// A record that could not be taken, about to be written as a `sealog.rejected` event.
#[derive(Clone, Debug)]
pub struct Rejection<'a> {
    /// Derived from where the record came from.
    pub id: &'a str,
    /// When it was received.
    pub at: Micros,
    /// Why it could not be taken.
    pub reason: &'a str,
    /// Who sent it, as authenticated.
    pub producer: &'a str,
    /// Where it came from.
    pub received_from: ReceivedFrom<'a>,
    /// Its content type, as claimed.
    pub content_type: &'a str,
    /// Its bytes, all of them: their hash is taken here.
    pub bytes: &'a [u8],
    /// How many of them to keep.
    pub keep_bytes: usize,
}

impl Rejection<'_> {
    /// Writes event_bytes behind what is in `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (sha256, size) = (Hash::of(&[self.bytes]).to_string(), self.bytes.len().to_string());
        let attributes = [("sha256", sha256.as_str()), ("size_bytes", size.as_str())];
        AuditEvent {
            id: self.id,
            source: SEALOG,
            dialect: DIALECT,
            action: REJECTED,
            received_at: self.at,
            outcome: Outcome::Failure,
            reason: Some(self.reason),
            producer: SEALOG,
            claimed_producer: Some(self.producer),
            received_from: self.received_from.clone(),
            attributes: &attributes.each_ref().map(text),
            content_type: self.content_type,
            original: &self.bytes[..self.bytes.len().min(self.keep_bytes)],
            ..AuditEvent::default()
        }
        .encode(out);
    }
}

fn text<'a>((key, value): &(&'a str, &'a str)) -> Attribute<'a> {
    Attribute { key, value, kind: AttributeType::String }
}
