//! Single records of audit.sealed, as whoever asks where an archive stands looks at them.

use std::time::Duration;

use runtime::Failure;
use schemas::Head;
use schemas::framing::{Framing, SCHEMA_HEADER, schema_of};
use schemas::head::head_schema_hash;
use stream::{Batch, Kind, Lane, Limit, Log, Record};

/// How long a record that is there may take to be read.
const PATIENCE: Duration = Duration::from_secs(10);
const ONE: Limit = Limit { records: 1, bytes: 1 };

/// A batch of the first record of `lane` at `from` or after it. None: `from` has been trimmed, and the lane starts
/// there.
pub(crate) fn record_at(log: &dyn Log, lane: &Lane, from: u64) -> Result<Result<Batch, u64>, Failure> {
    let mut batch = Batch::new();
    match log.read(lane, from, &mut batch, ONE, PATIENCE) {
        Err(error) => match error.kind() {
            Kind::OutOfRange { start, .. } if start > from => Ok(Err(start)),
            _ => Err(error.into()),
        },
        Ok(()) if batch.is_empty() => {
            Err(Failure::Retry(format!("{lane}: what stands at {from} could not be read in time")))
        }
        Ok(()) => Ok(Ok(batch)),
    }
}

/// The Head that this record is, if it is one.
pub(crate) fn head_of(record: &Record<'_>) -> Option<Head> {
    let schema = schema_of(record.headers.get(SCHEMA_HEADER)).ok()?;
    let datum = Framing::Bare.datum(record.value?).ok()?;
    (schema == head_schema_hash()).then(|| Head::parse(datum).ok())?
}

/// The Head that this record is, if it cuts.
pub(crate) fn cut_head(record: &Record<'_>) -> Option<Head> {
    head_of(record).filter(|head| head.cut)
}
