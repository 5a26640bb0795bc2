//! What stays of audit.events although it is archived: a gateway that was killed before it answered fills its memory of
//! requests from there when it comes back, and answers their retries as the first time.

use std::time::Duration;

use runtime::Failure;
use schemas::Hash;
use stream::{Batch, Kind, Lane, Limit, Log, Record};

use super::{Archived, Known, Trimmer, look_again_after, window};
use crate::heads::record_at;

/// How much of audit.events stays, of each chain: what holds least counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepEvents {
    /// What is younger stays.
    pub time: Duration,
    /// But no more records than this: gateways remember no more.
    pub records: u64,
    /// And no more bytes than about this. None: they are not counted.
    pub bytes: Option<u64>,
}

/// Bytes are estimated from so many places, and so many records at each.
const PLACES: u64 = 16;
const SAMPLE: Limit = Limit { records: 64, bytes: 8 << 20 };
/// How long a record that is there may take to be read.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a record takes beside its value, about.
const FRAME_BYTES: u64 = 100;

impl Trimmer {
    /// Some: why nothing of audit.events is trimmed.
    pub(super) fn trim_events(
        &self,
        known: &mut Known,
        archived: &Archived,
    ) -> Result<Option<String>, Failure> {
        // Below the source position less one nothing is read again to seal, whoever opens the chain.
        let is_known = archived.source_hash != Hash::default();
        let Some(until) = archived.source_position.checked_sub(1).filter(|_| is_known) else {
            return Ok(None);
        };
        let start = known.events_start.unwrap_or(0);
        let rested = known.events_window.as_ref().filter(|(_, rest)| !rest.passed()).map(|(start, _)| *start);
        let least = self.keep_events.as_ref().map_or(until, |keep| until.saturating_sub(keep.records));
        let is_counted = self.keep_events.as_ref().is_some_and(|keep| keep.bytes.is_some());
        let is_new = is_counted && known.events_until != Some(until);
        if start >= until || rested.is_some_and(|rested| start >= rested.max(least) && !is_new) {
            return Ok(None);
        }
        if !self.is_the_source(known, archived, until)? {
            return Ok(Some(another_source(&known.events, until)));
        }
        let before = match &self.keep_events {
            None => until,
            Some(keep) => self.start_of_kept(known, keep, (rested, start, until))?.max(least),
        };
        known.events_until = Some(until);
        self.let_go(&known.events, before, &mut known.events_start)?;
        Ok(None)
    }

    /// Where that of audit.events begins which is young enough to stay, and not too much.
    fn start_of_kept(
        &self,
        known: &mut Known,
        keep: &KeepEvents,
        (rested, start, until): (Option<u64>, u64, u64),
    ) -> Result<u64, Failure> {
        let (log, events) = (&*self.stream, &known.events);
        let young = match rested {
            Some(young) => young,
            None => window::first_young(log, events, (start, until), self.since_ms(keep.time))?,
        };
        if rested.is_none() {
            known.events_window = Some((young, look_again_after(keep.time)));
        }
        let Some(bytes) = keep.bytes else { return Ok(young) };
        let from = young.max(until.saturating_sub(keep.records)).max(start);
        start_of_last(log, events, (from, until), bytes)
    }

    /// Whether audit.events is the topic that the cut was made from. An offset in one that was made anew would let go of
    /// what nobody has sealed.
    fn is_the_source(&self, known: &Known, archived: &Archived, at: u64) -> Result<bool, Failure> {
        let Ok(batch) = record_at(&*self.stream, &known.events, at)? else {
            // Trimmed further by somebody else already.
            return Ok(true);
        };
        let is_it = |record: Record<'_>| {
            record.offset == at && Hash::of(&[record.value.unwrap_or_default()]) == archived.source_hash
        };
        Ok(batch.get(0).is_some_and(is_it))
    }
}

/// Where the last `bytes` of `lane` before `until` begin, or `from` if that is later. Both must be offsets that the
/// lane has. An estimate: where sizes differ much, it may be off by as much.
fn start_of_last(log: &dyn Log, lane: &Lane, (from, until): (u64, u64), bytes: u64) -> Result<u64, Failure> {
    let (mut seen_records, mut seen_bytes, mut batch) = (0, 0, Batch::new());
    let step = until.saturating_sub(from).div_ceil(PLACES).max(1);
    for at in (from..until).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        batch.clear(SAMPLE.bytes);
        match log.read(lane, at, &mut batch, SAMPLE, PATIENCE) {
            // Trimmed by another trimmer meanwhile.
            Err(error) if matches!(error.kind(), Kind::OutOfRange { .. }) => continue,
            other => other?,
        }
        let sampled = || batch.iter().take_while(|record| record.offset < at.saturating_add(step).min(until));
        seen_records += sampled().count() as u64;
        seen_bytes += sampled().map(|record| size_of(&record)).sum::<u64>();
    }
    let fitting = u128::from(bytes) * u128::from(seen_records) / u128::from(seen_bytes.max(1));
    match seen_bytes {
        0 => Ok(from),
        _ => Ok(until.saturating_sub(u64::try_from(fitting).unwrap_or(u64::MAX)).max(from)),
    }
}

fn size_of(record: &Record<'_>) -> u64 {
    let key = record.key.map_or(0, <[u8]>::len);
    (key + record.value.map_or(0, <[u8]>::len)) as u64 + FRAME_BYTES
}

fn another_source(events: &Lane, at: u64) -> String {
    format!(
        "{events}: offset {at} does not hold the event that was sealed last from there, so it is another topic than \
         before. Nothing of it is trimmed"
    )
}
