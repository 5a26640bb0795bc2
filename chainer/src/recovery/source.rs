//! Where in audit.events a recovered chain goes on: behind the last archived event that came from there.

use std::collections::HashMap;
use std::time::Duration;

use runtime::Failure;
use schemas::event::{event_hash, event_schema_hash, event_shape};
use schemas::{Hash, Micros, SegmentFile, Seq, Trees, avro, derived_id, framing};
use store::{Notes, Store, read_trees, versions};
use stream::{Batch, Kind, Lane, Limit, Stream};

const READ: Limit = Limit { records: 10_000, bytes: 16 << 20 };
const PATIENCE: Duration = Duration::from_secs(10);
/// No segment is read that is larger.
const MAX_SEGMENT_BYTES: u64 = 4 << 30;
/// How far back in the archive it is looked for an event that still stands in audit.events.
const MOST_SEGMENTS: usize = 8;

/// Where the events come from, from here on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The offset to take first.
    pub position: u64,
    /// Of the record before it; none if no archived event was found there.
    pub hash: Hash,
}

/// An event of the archive, as far as it matters here.
pub struct Archived {
    /// Its event_hash.
    pub event: Hash,
    /// The hash of its link.
    pub link: Hash,
    /// When it was sealed.
    pub sealed_at: Micros,
    is_by_chainer: bool,
}

/// Behind the last archived event that came from `events`, where one of the newest still stands there; else its start.
pub fn source_after(
    stream: &dyn Stream,
    archive: &dyn Store,
    name: &str,
    newest: Option<Trees>,
    events: &Lane,
) -> Result<Source, Failure> {
    let start = start_of(stream, events)?;
    let notes = Notes::read(archive, name)?;
    // Newest first, so that the place in this list is how far back an event stands.
    let (mut archived, mut trees, mut segments) = (Vec::new(), newest, 0);
    while let Some(segment) = trees.take().filter(|_| segments < MOST_SEGMENTS) {
        archived.extend(events_of(archive, name, &segment)?.into_iter().rev());
        segments += 1;
        // Starts, heartbeats and the like were never in audit.events.
        let enough = archived.iter().any(|event| !event.is_by_chainer) && segments > 1;
        if segment.first_seq.0 > 0 && !enough {
            let before = notes.checkpoint_at(archive, name, segment.first_seq.0)?;
            trees = before.map(|before| read_trees(archive, &before)).transpose()?.map(|(_, trees)| trees);
        }
    }
    let found = find_newest(stream, events, start, &archived)?;
    Ok(found.unwrap_or(Source { position: start, hash: Hash::default() }))
}

/// Where the record of the newest of these events stands in `lane`. If it stands there more than once, the first
/// counts: an event that is sealed twice can be seen, one that is left out cannot.
fn find_newest(
    stream: &dyn Stream,
    lane: &Lane,
    start: u64,
    newest_first: &[Archived],
) -> Result<Option<Source>, Failure> {
    let ages: HashMap<Hash, usize> =
        newest_first.iter().enumerate().rev().map(|(age, event)| (event.event, age)).collect();
    let Some(end) = stream.last(lane)?.last().map(|last| last.offset + 1) else { return Ok(None) };
    let (mut next, mut batch, mut found) = (start, Batch::new(), None);
    while next < end {
        batch.clear(0);
        stream.read(lane, next, &mut batch, READ, PATIENCE)?;
        let Some(last) = batch.last() else {
            return Err(Failure::Retry(format!("{lane}: offset {next} could not be read in time")));
        };
        next = last.offset + 1;
        for record in batch.iter() {
            let value = record.value.unwrap_or_default();
            let schema = framing::schema_of(record.headers.get(framing::SCHEMA_HEADER)).unwrap_or_default();
            let Some(age) = ages.get(&event_hash(&schema, value)) else { continue };
            if found.is_none_or(|(newest, _)| *age < newest) {
                found = Some((*age, Source { position: record.offset + 1, hash: Hash::of(&[value]) }));
            }
        }
    }
    Ok(found.map(|(_, source)| source))
}

/// The first offset that the lane holds.
pub fn start_of(stream: &dyn Stream, lane: &Lane) -> Result<u64, Failure> {
    let one = Limit { records: 1, bytes: 1 };
    match stream.read(lane, 0, &mut Batch::new(), one, Duration::ZERO) {
        Ok(()) => Ok(0),
        Err(error) => match error.kind() {
            Kind::OutOfRange { start, .. } => Ok(start),
            _ => Err(error.into()),
        },
    }
}

/// The events of a segment whose bytes are those that were archived.
pub fn events_of(archive: &dyn Store, name: &str, trees: &Trees) -> Result<Vec<Archived>, Failure> {
    let key = format!("{name}/{}", trees.segment_key);
    let halt = |why: &str| Failure::Halt(format!("{key}: {why}. Run `sealog verify` on the archive"));
    let archived = versions::fitting(archive, &key, MAX_SEGMENT_BYTES, |object| {
        (Hash::of(&[&object.bytes]) == trees.segment_sha256).then_some(())
    })?;
    let Some((archived, ())) = archived else {
        return Err(halt("its bytes are not those that were archived"));
    };
    let bytes = archived.bytes;
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

/// Whether a chainer made it, by `Chain::link_own`: such an event was never in audit.events.
fn is_by_chainer(origin: &str, seq: Seq, event_bytes: &[u8]) -> bool {
    let mut input = avro::Input::new("AuditEvent", event_bytes);
    let Ok(event) = avro::to_json(event_shape(), &mut input) else { return false };
    let (Some(id), Some(action)) = (event["id"].as_str(), event["action"].as_str()) else { return false };
    id == derived_id(&[origin.as_bytes(), action.as_bytes(), seq.0.to_string().as_bytes()])
}
