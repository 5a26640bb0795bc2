//! The loop over raw topics: takes RawRecords, commits their events and rejections together with the positions.
//!
//! It keeps no state of its own: where it is, the stream says with the last commit. So it needs a stream that keeps
//! positions, as Kafka does; the embedded log has no raw topics.

use std::sync::Arc;
use std::time::Duration;

use runtime::{Clock, Failure, Stop};
use schemas::event::{Attribute, ReceivedFrom, Transport};
use schemas::framing::SCHEMA_HEADER;
use schemas::own_act::{GAP, OwnAct};
use schemas::{Micros, derived_id, event_schema_hash};
use stream::{Batch, Claim, Fence, Kind, Lane, Limit, Record, Role, Stream, run_claims};

use crate::ids::route;
use crate::metrics::Metrics;
use crate::record::{FallbackId, Limits, RawRecord, Reason, Rejection};
use crate::{Lanes, Normalizer};

/// The group that ingestors share raw lanes in.
pub const GROUP: &str = "sealog.ingestor";
const LIMIT: Limit = Limit { records: 2_000, bytes: 4 << 20 };
const WAIT: Duration = Duration::from_millis(250);
const KEEP_BYTES: usize = 16 << 20;

/// The ingestor of raw topics.
pub struct Ingestor {
    /// Where it takes from and commits to.
    pub stream: Arc<dyn Stream>,
    /// Where received_at comes from.
    pub clock: Arc<dyn Clock>,
    /// What it counts, as source `kafka`.
    pub metrics: Metrics,
    /// The topics that services write.
    pub topics: Vec<String>,
    /// Its name in the configuration: two processes of one name fence each other.
    pub id: String,
    /// How many chains there are.
    pub chains: u32,
    /// What an item may weigh and hold.
    pub limits: Limits,
}

/// One raw lane while it is claimed.
struct Source {
    lane: Lane,
    /// What its events name as their producer: the topic is all that Kafka vouches for.
    producer: String,
    /// A lane's events stay in order, so they stay on one chain.
    chain: u32,
    /// Offsets that were gone before they were read: from, and up to but without.
    gap: Option<(u64, u64)>,
    /// One past the last record taken since the last commit.
    done: Option<u64>,
}

impl Ingestor {
    /// Its role, to the stream.
    pub fn role(&self) -> Role {
        Role { group: GROUP.to_owned(), sources: self.topics.clone(), fence: Fence::Whole(self.id.clone()) }
    }

    /// Runs until `stop` is set, or the stream says that nothing may go on.
    pub fn run(&self, stop: &Stop) -> Result<(), Failure> {
        run_claims(&*self.stream, &self.role(), stop, |claim| self.work(claim, stop))
    }

    /// The work on one claim. Whatever fails, the claim is dropped with all that was read through it, and the next
    /// one begins where the last commit ended.
    fn work(&self, claim: &mut dyn Claim, stop: &Stop) -> Result<(), Failure> {
        let mut sources = Vec::new();
        for lane in claim.lanes().to_vec() {
            let (start, source) = self.open(lane)?;
            claim.start_at(&source.lane, start)?;
            sources.push(source);
        }
        let mut normalizer = Normalizer::new(self.limits);
        let (mut taken, mut outputs) = (Batch::new(), Batch::new());
        while !stop.is_set() {
            taken.clear(KEEP_BYTES);
            match claim.take(&mut taken, LIMIT, WAIT) {
                Ok(()) if taken.is_empty() => continue,
                Ok(()) => {}
                // Records were deleted while this was reading: `open` finds out where, and says so.
                Err(e) if matches!(e.kind(), Kind::OutOfRange { .. }) => {
                    return Err(Failure::Retry(e.to_string()));
                }
                Err(e) => return Err(e.into()),
            }
            outputs.clear(KEEP_BYTES);
            let counted = self.normalize(&mut normalizer, &taken, &mut sources, &mut outputs);
            let positions: Vec<_> =
                sources.iter_mut().filter_map(|s| Some((s.lane.clone(), s.done.take()?))).collect();
            let started = self.clock.boot();
            // If we die before this, the next claim takes the same records; if after, the records behind them.
            claim.commit(&outputs, &positions).map_err(|error| match error.kind() {
                Kind::TooLarge => Failure::Halt(format!(
                    "{error}. Let audit.events and audit.rejected take records of 4 MiB (max.message.bytes)"
                )),
                _ => error.into(),
            })?;
            self.count(&taken, &outputs, &counted, self.clock.boot().0 - started.0);
        }
        Ok(())
    }

    /// Where a lane goes on, and what of it is gone.
    fn open(&self, lane: Lane) -> Result<(u64, Source), Failure> {
        let position = self.stream.positions(GROUP, std::slice::from_ref(&lane))?[0];
        let one = Limit { records: 1, bytes: 1 };
        let probe = self.stream.read(&lane, position.unwrap_or(0), &mut Batch::new(), one, Duration::ZERO);
        let (start, gap) = match (probe.map_err(|e| (e.kind(), e)), position) {
            (Ok(()), position) => (position.unwrap_or(0), None),
            // What was deleted before anyone read here was never ours.
            (Err((Kind::OutOfRange { start, .. }, _)), None) => (start, None),
            (Err((Kind::OutOfRange { start, .. }, _)), Some(at)) if at < start => (start, Some((at, start))),
            (Err((Kind::OutOfRange { end, .. }, _)), Some(at)) => {
                return Err(Failure::Halt(format!(
                    "{lane} ends at {end}, but was read up to {at}: it is not the topic that it was. Give the new one another name"
                )));
            }
            (Err((_, error)), _) => return Err(error.into()),
        };
        let producer = format!("kafka:{}", lane.topic);
        let chain = route(&format!("{producer}/{}", lane.partition), self.chains);
        Ok((start, Source { lane, producer, chain, gap, done: None }))
    }

    /// Turns what was taken into what is to be committed. Gives back why records were rejected.
    fn normalize(
        &self,
        normalizer: &mut Normalizer,
        taken: &Batch,
        sources: &mut [Source],
        outputs: &mut Batch,
    ) -> Vec<Reason> {
        let received_at = self.clock.wall();
        let (mut rejected, mut headers, mut at) = (Vec::new(), Vec::new(), 0);
        for record in taken.iter() {
            // Records of one lane come one behind the other.
            if sources.get(at).is_none_or(|source| source.lane != *record.lane) {
                at = sources.iter().position(|source| source.lane == *record.lane).unwrap_or(at);
            }
            let Some(source) = sources.get_mut(at) else { continue };
            let lanes = Lanes::of(source.chain, outputs);
            if let Some(gap) = source.gap.take() {
                push_gap(source, gap, received_at, outputs, lanes);
            }
            headers.clear();
            headers.extend(record.headers.iter());
            let raw = raw_record(&record, &source.producer, &headers);
            let result = if record.value.is_some() {
                normalizer.take(&raw, received_at, outputs, lanes)
            } else {
                let rejection = Rejection::new(Reason::NoValue, "the record has no value");
                normalizer.reject(&rejection, &raw, received_at, outputs, lanes);
                Err(rejection)
            };
            rejected.extend(result.err().map(|rejection| rejection.reason));
            source.done = Some(record.offset + 1);
        }
        rejected
    }

    fn count(&self, taken: &Batch, outputs: &Batch, rejected: &[Reason], took_us: i64) {
        let metrics = &self.metrics;
        metrics.received.inc_by(taken.len() as u64);
        metrics.received_bytes.inc_by(taken.iter().map(|r| r.value.unwrap_or_default().len() as u64).sum());
        metrics.events.inc_by(taken.len() as u64);
        metrics.written_bytes.inc_by(outputs.size_bytes() as u64);
        rejected.iter().for_each(|reason| metrics.rejected(*reason));
        metrics.commit.observe(took_us as f64 / 1e6);
        metrics.commit_items.observe(taken.len() as f64);
        let last_ms = taken.last().map_or(0, |record| record.time_ms);
        metrics.lag_seconds.set((self.clock.wall().0 / 1_000 - last_ms).max(0) / 1_000);
    }
}

fn raw_record<'a>(
    record: &Record<'a>,
    producer: &'a str,
    headers: &'a [(&'a str, Option<&'a [u8]>)],
) -> RawRecord<'a> {
    let content_type = headers.iter().rfind(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let content_type = content_type.and_then(|(_, value)| std::str::from_utf8((*value)?).ok());
    RawRecord {
        content_type: content_type.unwrap_or("application/json"),
        bytes: record.value.unwrap_or_default(),
        received_from: ReceivedFrom {
            transport: Transport::Kafka,
            topic: Some(&record.lane.topic),
            partition: i32::try_from(record.lane.partition).ok(),
            offset: i64::try_from(record.offset).ok(),
            broker_time: (record.time_ms > 0).then_some(Micros(record.time_ms.saturating_mul(1_000))),
            key: record.key,
            headers,
            ..ReceivedFrom::default()
        },
        producer,
        fallback_id: FallbackId::Position,
    }
}

/// Says on the chain that raw records were deleted before they could be read.
fn push_gap(source: &Source, (from, to): (u64, u64), received_at: Micros, into: &mut Batch, lanes: Lanes) {
    let [partition, from, to] = [u64::from(source.lane.partition), from, to].map(|n| n.to_string());
    let topic = &*source.lane.topic;
    let inputs = ["gap", topic, &partition, &from, &to].map(str::as_bytes);
    let event = OwnAct {
        action: GAP,
        id: &derived_id(&inputs),
        at: received_at,
        target: None,
        trouble: Some("raw records were deleted before they could be read"),
        attributes: &[
            Attribute::text("topic", topic),
            Attribute::number("partition", &partition),
            Attribute::number("from_offset", &from),
            Attribute::number("to_offset", &to),
        ],
    };
    let schema_hash = event_schema_hash();
    into.push_with(lanes.events, None, &[(SCHEMA_HEADER, schema_hash.bytes())], |out| event.encode(out));
}
