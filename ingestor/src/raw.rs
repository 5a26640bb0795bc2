//! The loop over raw topics: takes RawRecords, commits their events and rejections together with the positions.
//!
//! It keeps no state of its own: where it is, the stream says with the last commit. So it needs a stream that keeps
//! positions, as Kafka does; the embedded log has no raw topics.

mod source;

use std::sync::Arc;
use std::time::Duration;

use runtime::{Clock, Ending, Failure, Stop};
use schemas::Micros;
use schemas::event::{ReceivedFrom, Transport};
use stream::{Batch, Claim, Fence, Kind, Limit, Record, Role, Stream, run_claims};

use self::source::Sources;
use crate::metrics::Metrics;
use crate::record::{FallbackId, Limits, RawRecord, Reason, Rejection};
use crate::{Lanes, Normalizer};

/// The group that ingestors share raw lanes in.
pub const GROUP: &str = "sealog.ingestor";
/// What one commit is made of. Its outputs hold each byte at most twice (the original and an attribute, or the queue and
/// the event that says so) and about 2 KB more a record: never more than 16 MiB. A single record that is larger than
/// this comes alone.
const LIMIT: Limit = Limit { records: 2_000, bytes: 4 << 20 };
const WAIT: Duration = Duration::from_millis(250);
const KEEP_BYTES: usize = 16 << 20;
/// What is longer is no media type (RFC 6838), and is kept with the other headers alone.
const MAX_CONTENT_TYPE_BYTES: usize = 255;
const DEFAULT_CONTENT_TYPE: &str = "application/json";

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

impl Ingestor {
    /// Its role, to the stream.
    pub fn role(&self) -> Role {
        Role { group: GROUP.to_owned(), sources: self.topics.clone(), fence: Fence::Whole(self.id.clone()) }
    }

    /// Runs until `stop` is set, or the stream says that nothing may go on.
    pub fn run(&self, stop: &Stop) -> Result<(), Failure> {
        // Raw records that were not taken yet stay where they are.
        run_claims(&*self.stream, &self.role(), Ending::HandOver, stop, |claim| self.work(claim, stop))
    }

    /// The work on one claim. Whatever fails, the claim is dropped with all that was read through it, and the next
    /// one begins where the last commit ended.
    fn work(&self, claim: &mut dyn Claim, stop: &Stop) -> Result<(), Failure> {
        let positions = self.stream.positions(GROUP, claim.lanes())?;
        let mut sources = Sources::new(claim.lanes(), &positions, self.chains);
        for (lane, start) in sources.starts() {
            claim.start_at(lane, start)?;
        }
        let mut normalizer = Normalizer::new(self.limits);
        let (mut taken, mut outputs) = (Batch::new(), Batch::new());
        while !stop.is_set() {
            taken.clear(KEEP_BYTES);
            if let Err(error) = claim.take(&mut taken, LIMIT, WAIT) {
                let (lane, start) = sources.skip(error)?;
                claim.start_at(&lane, start)?;
                continue;
            }
            outputs.clear(KEEP_BYTES);
            sources.push_gaps(self.clock.wall(), &mut outputs);
            let counted = self.normalize(&mut normalizer, &taken, &mut sources, &mut outputs);
            let moved = sources.moved();
            if moved.is_empty() {
                continue;
            }
            let started = self.clock.boot();
            // If we die before this, the next claim takes the same records; if after, the records behind them.
            claim.commit(&outputs, &moved).map_err(|error| match error.kind() {
                Kind::TooLarge => Failure::Halt(format!(
                    "{error}. Let audit.events and audit.rejected take records of 4 MiB (max.message.bytes)"
                )),
                _ => error.into(),
            })?;
            self.count(&taken, &outputs, &counted, self.clock.boot().0 - started.0);
        }
        Ok(())
    }

    /// Turns what was taken into what is to be committed. Gives back why records were rejected.
    fn normalize(
        &self,
        normalizer: &mut Normalizer,
        taken: &Batch,
        sources: &mut Sources,
        outputs: &mut Batch,
    ) -> Vec<Reason> {
        let received_at = self.clock.wall();
        let (mut rejected, mut headers, mut run) = (Vec::new(), Vec::new(), None);
        for record in taken.iter() {
            let Some(source) = sources.of(record.lane) else { continue };
            // Records of one lane come one behind the other.
            let lanes = match run {
                Some((lane, lanes)) if lane == record.lane_id => lanes,
                _ => Lanes::of(source.chain, outputs),
            };
            run = Some((record.lane_id, lanes));
            headers.clear();
            headers.extend(record.headers.iter());
            let raw = raw_record(&record, &source.producer, &headers);
            let result = if record.value.is_some() {
                normalizer.take(&raw, received_at, outputs, lanes)
            } else {
                let rejection = Rejection::new(Reason::NoValue, "the record has no value: it is a tombstone");
                normalizer.reject(&rejection, &raw, received_at, outputs, lanes);
                Err(rejection)
            };
            rejected.extend(result.err().map(|rejection| rejection.reason));
            source.took(record.offset);
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
        // Where only a gap was committed there is none.
        if let Some(last) = taken.last() {
            metrics.lag_seconds.set((self.clock.wall().0 / 1_000 - last.time_ms).max(0) / 1_000);
        }
    }
}

fn raw_record<'a>(
    record: &Record<'a>,
    producer: &'a str,
    headers: &'a [(&'a str, Option<&'a [u8]>)],
) -> RawRecord<'a> {
    let content_type = headers.iter().rfind(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let content_type = content_type.and_then(|(_, value)| std::str::from_utf8((*value)?).ok());
    let content_type = content_type.filter(|text| text.len() <= MAX_CONTENT_TYPE_BYTES);
    RawRecord {
        content_type: content_type.unwrap_or(DEFAULT_CONTENT_TYPE),
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
