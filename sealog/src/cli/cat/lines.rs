//! The output: one JSON line an event that passes the conditions, up to the limit.

use std::io::{self, BufWriter, Write};

use anyhow::Result;
use schemas::SealedEvent;
use schemas::avro::{Input, Shape, to_json};
use serde::Serialize;
use serde_json::Value;

use super::condition::Condition;
use super::{Cat, Fields};

/// Where lines go.
pub struct Lines<W: Write> {
    out: BufWriter<W>,
    conditions: Vec<Condition>,
    fields: Fields,
    left: Option<u64>,
}

/// What a line has of an event, whichever command shows it.
#[derive(Serialize)]
pub struct Line<'a> {
    pub seq: u64,
    pub sealed_at: String,
    pub hash: String,
    pub chain: &'a str,
    pub event: &'a Value,
}

impl<W: Write> Lines<W> {
    pub fn to(out: W, cat: &Cat) -> Lines<W> {
        let out = BufWriter::with_capacity(256 << 10, out);
        Lines { out, conditions: cat.conditions.clone(), fields: cat.fields, left: cat.limit }
    }

    /// Whether the limit is reached.
    pub fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// Prints the event if all conditions hold.
    pub fn print(&mut self, chain: &str, sealed: &SealedEvent<'_>, shape: &Shape) -> Result<()> {
        let event = to_json(shape, &mut Input::new("AuditEvent", sealed.event_bytes))?;
        if self.is_done() || !self.conditions.iter().all(|condition| condition.holds(&event)) {
            return Ok(());
        }
        match self.fields {
            Fields::Event => serde_json::to_writer(&mut self.out, &event).map_err(io::Error::from)?,
            Fields::All => {
                let (sealed_at, hash) = (sealed.sealed_at.rfc3339(), sealed.hash.to_string());
                let line = Line { seq: sealed.seq.0, sealed_at, hash, chain, event: &event };
                serde_json::to_writer(&mut self.out, &line).map_err(io::Error::from)?;
            }
        }
        self.out.write_all(b"\n")?;
        self.left = self.left.map(|left| left - 1);
        Ok(())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
