//! The trimmer: lets go of what is archived. It holds no state: the archiver's committed position says how far the
//! archive is, and the Head before it how far that took audit.events.

use std::sync::Arc;
use std::time::Duration;

use runtime::{Failure, Stop};
use schemas::Head;
use schemas::framing::{Framing, SCHEMA_HEADER, schema_of};
use schemas::head::head_schema_hash;
use stream::{Batch, Kind, Limit, Stream, topics};
use tracing::{debug, warn};

use crate::role;

const EVERY: Duration = Duration::from_secs(2);
/// How long a record that is there may take to be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Trims audit.sealed and audit.events of `chains` chains.
pub struct Trimmer {
    /// The seam.
    pub stream: Arc<dyn Stream>,
    /// How many chains there are.
    pub chains: u32,
    /// How many of the last rejections of each chain stay in audit.rejected, the queue for replay. None: its own
    /// retention sees to it. All of them are in the archive.
    pub keep_rejected: Option<u64>,
}

impl Trimmer {
    /// Trims now and then until `stop` is set, and once more then. Err: it halted, and why.
    pub fn run(&self, stop: &Stop) -> Result<(), Failure> {
        loop {
            let stopping = stop.wait(EVERY);
            for chain in 0..self.chains {
                match self.trim(chain).and_then(|()| self.trim_rejected(chain)) {
                    Err(Failure::Retry(why)) => warn!(chain, "not trimmed, will try again: {why}"),
                    other => other?,
                }
            }
            if stopping {
                return Ok(());
            }
        }
    }

    /// The Head that ends what is archived stays, and in audit.events the record that it hashes: without them the
    /// chain could not be opened.
    fn trim(&self, chain: u32) -> Result<(), Failure> {
        let sealed = topics::sealed(chain);
        let Some(position) = self.stream.positions(&role().group, std::slice::from_ref(&sealed))?[0]
            .filter(|position| *position > 0)
        else {
            return Ok(());
        };
        let mut batch = Batch::new();
        match self.stream.read(&sealed, position - 1, &mut batch, Limit { records: 1, bytes: 1 }, PATIENCE) {
            // Trimmed further by somebody else already.
            Err(error) if matches!(error.kind(), Kind::OutOfRange { .. }) => return Ok(()),
            other => other?,
        }
        let Some(record) = batch.get(0).filter(|record| record.offset == position - 1) else { return Ok(()) };
        let is_head =
            schema_of(record.headers.get(SCHEMA_HEADER)).is_ok_and(|schema| schema == head_schema_hash());
        let datum = Framing::Bare.datum(record.value.unwrap_or_default());
        let head = datum.and_then(Head::parse).ok().filter(|head| is_head && head.cut);
        let Some(head) = head else {
            return Err(Failure::Halt(format!(
                "{sealed}: offset {} is not the Head that ends what is archived",
                position - 1
            )));
        };
        self.stream.trim(&sealed, position - 1)?;
        if head.source_position > 0 {
            self.stream.trim(&topics::events(chain), head.source_position - 1)?;
        }
        debug!(chain, sealed = position - 1, events = head.source_position, "trimmed");
        Ok(())
    }

    fn trim_rejected(&self, chain: u32) -> Result<(), Failure> {
        let lane = topics::rejected(chain);
        let Some(keep) = self.keep_rejected else { return Ok(()) };
        let last = self.stream.last(&lane)?;
        match last.last().and_then(|record| record.offset.checked_sub(keep)) {
            Some(before) => Ok(self.stream.trim(&lane, before)?),
            None => Ok(()),
        }
    }
}
