//! How a chain goes on when Kafka is gone: from its archive, which holds all that was ever signed for, or from its last
//! Head onto another source. Its first event says so.

use std::collections::HashMap;
use std::time::Duration;

use runtime::{Clock, Failure};
use schemas::event::{Attribute, event_hash, event_schema_hash, event_shape};
use schemas::own_act::RECOVERED;
use schemas::{Hash, Head, Micros, OpenSegment, SegmentFile, Seq, Signing, Trees, derived_id};
use schemas::{avro, framing};
use store::{Store, Tail, read_trees};
use stream::{Batch, Claim, Kind, Lane, Limit, Stream, topics};

use crate::chain::{Chain, push_head};
use crate::clock_watch::ClockWatch;
use crate::guard::Guard;
use crate::{chain_origin, opening};

const READ: Limit = Limit { records: 10_000, bytes: 16 << 20 };
const PATIENCE: Duration = Duration::from_secs(10);
/// No segment is read that is larger.
const MAX_SEGMENT_BYTES: u64 = 4 << 30;

/// What a recovery works with.
pub struct Recovering<'a> {
    /// The seam, with whatever is left of the topics.
    pub stream: &'a dyn Stream,
    /// The archive.
    pub archive: &'a dyn Store,
    /// The key in force.
    pub signing: &'a Signing,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The base origin.
    pub origin: &'a str,
    /// Goes on without a guard, although more may have been signed than is archived.
    pub without_guard: bool,
    /// Goes on from the last Head with the source as it is now, from its start.
    pub new_source: bool,
}

/// Where the events come from, from here on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Source {
    position: u64,
    /// Of the record before the position; none if the source is another one than before.
    hash: Hash,
}

impl Recovering<'_> {
    /// Lets the claimed chain go on, and says how in a sentence. None: there is nothing to do, it has a Head.
    pub fn recover(&self, claim: &mut dyn Claim, guard: &Guard) -> Result<Option<String>, Failure> {
        let events = claim.lanes()[0].clone();
        let sealed = topics::sealed(events.partition);
        let name = chain_origin(self.origin, events.partition);
        let has_head = !self.stream.last(&sealed)?.is_empty();
        if has_head && !self.new_source {
            return Ok(None);
        }
        let (head, source, why) = if has_head {
            let head = opening::last_head(self.stream, &sealed)?;
            opening::check_history(&head, &self.signing.vkey(&name), guard, self.archive)?;
            let source = Source { position: self.start_of(&events)?, hash: Hash::default() };
            (head, source, "another source")
        } else {
            let (head, tail) = self.head_from_archive(&name, guard)?;
            (head, self.source_after(&name, tail, &events)?, "the archive")
        };
        self.check_clock(&head)?;
        let (size, position) = (head.size().to_string(), source.position.to_string());
        let known = if source.hash == Hash::default() { "another topic" } else { "the same topic" };
        let guarded = if self.without_guard { "not looked at" } else { "fits" };
        let attributes = [
            Attribute::text("from", why),
            Attribute::number("size", &size),
            Attribute::text("source", known),
            Attribute::number("source_position", &position),
            Attribute::text("guard", guarded),
        ];
        let head = Head { source_position: source.position, source_hash: source.hash, ..head };
        let mut chain = Chain::resume(&name, self.signing.vkey(&name), &head);
        let mut out = Batch::new();
        let lane = out.lane(&sealed);
        chain.link_own(RECOVERED, &attributes, self.clock.wall(), &mut out, lane);
        push_head(&mut out, lane, &chain.head(false, None));
        // If we die here, nothing happened. After it the chain has a Head, and a second recovery finds nothing to do.
        claim.commit(&out, &[])?;
        Ok(Some(format!(
            "{name} goes on from {why} at size {size}, events from {known} at offset {position}"
        )))
    }

    /// What was the last Head of a cut, as the archive knows it.
    fn head_from_archive(&self, name: &str, guard: &Guard) -> Result<(Head, Tail), Failure> {
        let halt = |why: String| Err(Failure::Halt(format!("{name} cannot be recovered: {why}")));
        let Some(tail) = Tail::read(self.archive, name)? else {
            return halt(
                "its archive holds no Checkpoint. A chain that never was begins with `sealog init`".into(),
            );
        };
        let own = self.signing.vkey(name);
        if tail.vkey != own {
            return halt(format!("it is signed by key {}, but the configured key is {own}", tail.vkey));
        }
        let archived = &tail.checkpoint;
        match guard.load()? {
            None if !self.without_guard => {
                return halt(
                    "its guard is missing, so it cannot be seen whether more was signed than is archived. Put the \
                     guards folder back, or give --without-guard, which stands in the record"
                        .into(),
                );
            }
            Some(signed) if signed.size > archived.size => {
                return halt(format!(
                    "the guard shows that size {} was signed, but the archive ends at {}: going on would make two \
                     histories. Begin under a new origin, with `sealog recover --continues {}`",
                    signed.size, archived.size, self.origin
                ));
            }
            Some(signed) if signed.size == archived.size && signed.root != archived.root => {
                return halt(format!("at size {} guard and archive have different roots", signed.size));
            }
            _ => {}
        }
        let last_sealed_at = match &tail.trees {
            None => Micros(0),
            Some(trees) => match self.events_of(name, trees)?.last() {
                // The time is in the link, so this hash vouches for it.
                Some(last) if last.link == tail.last_hash => last.sealed_at,
                _ => return halt(format!("{} does not end with the last link", trees.segment_key)),
            },
        };
        let head = Head {
            tree: tail.tiles.tree(),
            last_hash: tail.last_hash,
            last_sealed_at,
            source_position: 0,
            source_hash: Hash::default(),
            schema_hash: if archived.size == 0 { Hash::default() } else { event_schema_hash() },
            vkey: own.to_string(),
            open: OpenSegment { first_seq: Seq(archived.size), ..OpenSegment::default() },
            cut: true,
            checkpoint: None,
            key_note: None,
        };
        Ok((head, tail))
    }

    /// Behind the last archived event that came from `events`, where that still stands there; else its start.
    fn source_after(&self, name: &str, tail: Tail, events: &Lane) -> Result<Source, Failure> {
        let from_the_start = Source { position: self.start_of(events)?, hash: Hash::default() };
        let mut trees = tail.trees;
        while let Some(segment) = trees {
            let archived = self.events_of(name, &segment)?;
            if let Some(found) = self.find_last(events, from_the_start.position, &archived)? {
                return Ok(found);
            }
            if archived.iter().any(|event| !event.is_by_chainer) {
                break;
            }
            // Nothing but starts and heartbeats: what came from the source stands further back.
            trees = match segment.first_seq.0 {
                0 => None,
                size => Some(read_trees(self.archive, name, size)?.1),
            };
        }
        Ok(from_the_start)
    }

    /// Where the record of the highest of these events stands in `lane`.
    fn find_last(&self, lane: &Lane, start: u64, archived: &[Archived]) -> Result<Option<Source>, Failure> {
        let places: HashMap<Hash, usize> =
            archived.iter().enumerate().rev().map(|(place, event)| (event.event, place)).collect();
        let Some(end) = self.stream.last(lane)?.last().map(|last| last.offset + 1) else { return Ok(None) };
        let (mut next, mut batch, mut found) = (start, Batch::new(), None);
        while next < end {
            batch.clear(0);
            self.stream.read(lane, next, &mut batch, READ, PATIENCE)?;
            let Some(last) = batch.last() else {
                return Err(Failure::Retry(format!("{lane}: offset {next} could not be read in time")));
            };
            next = last.offset + 1;
            for record in batch.iter() {
                let value = record.value.unwrap_or_default();
                let schema =
                    framing::schema_of(record.headers.get(framing::SCHEMA_HEADER)).unwrap_or_default();
                let Some(place) = places.get(&event_hash(&schema, value)) else { continue };
                if found.is_none_or(|(highest, _)| *place > highest) {
                    found = Some((*place, Source { position: record.offset + 1, hash: Hash::of(&[value]) }));
                }
            }
        }
        Ok(found.map(|(_, source)| source))
    }

    /// The first offset that the lane holds.
    fn start_of(&self, lane: &Lane) -> Result<u64, Failure> {
        let one = Limit { records: 1, bytes: 1 };
        match self.stream.read(lane, 0, &mut Batch::new(), one, Duration::ZERO) {
            Ok(()) => Ok(0),
            Err(error) => match error.kind() {
                Kind::OutOfRange { start, .. } => Ok(start),
                _ => Err(error.into()),
            },
        }
    }

    fn events_of(&self, name: &str, trees: &Trees) -> Result<Vec<Archived>, Failure> {
        let key = format!("{name}/{}", trees.segment_key);
        let halt = |why: &str| Failure::Halt(format!("{key}: {why}. Run `sealog verify` on the archive"));
        let bytes = self.archive.get(&key, None, None, MAX_SEGMENT_BYTES)?.bytes;
        if Hash::of(&[&bytes]) != trees.segment_sha256 {
            return Err(halt("its bytes are not those that were archived"));
        }
        let file = SegmentFile::parse(&bytes).map_err(|why| halt(&why.to_string()))?;
        let (mut events, schema) = (Vec::new(), event_schema_hash());
        let walked = file.walk(event_shape(), |sealed, _| {
            events.push(Archived {
                event: event_hash(&schema, sealed.event_bytes),
                link: sealed.link(&schema).hash(),
                sealed_at: sealed.sealed_at,
                is_by_chainer: is_by_chainer(name, sealed.seq, sealed.event_bytes),
            });
            true
        });
        walked.map_err(|why| halt(&why.to_string()))?;
        Ok(events)
    }

    fn check_clock(&self, head: &Head) -> Result<(), Failure> {
        let (wall, boot) = (self.clock.wall(), self.clock.boot());
        match ClockWatch::begin(wall, boot).check(wall, boot, head.last_sealed_at) {
            None => Ok(()),
            Some(why) => Err(Failure::Halt(format!("nothing was recovered: {why}. Set the clock right"))),
        }
    }
}

/// An event of the archive, as far as it matters here.
struct Archived {
    event: Hash,
    link: Hash,
    sealed_at: Micros,
    is_by_chainer: bool,
}

/// Whether a chainer made it, by `Chain::link_own`: such an event was never in audit.events.
fn is_by_chainer(origin: &str, seq: Seq, event_bytes: &[u8]) -> bool {
    let mut input = avro::Input::new("AuditEvent", event_bytes);
    let Ok(event) = avro::to_json(event_shape(), &mut input) else { return false };
    let (Some(id), Some(action)) = (event["id"].as_str(), event["action"].as_str()) else { return false };
    id == derived_id(&[origin.as_bytes(), action.as_bytes(), seq.0.to_string().as_bytes()])
}
