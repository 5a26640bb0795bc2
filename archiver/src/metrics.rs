//! What the archiver tells Prometheus.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result};
use runtime::Instruments;

/// All chains of this process.
#[derive(Clone, Debug)]
pub struct Metrics {
    segments: IntCounterVec,
    events: IntCounterVec,
    bytes: IntCounterVec,
    write_seconds: Histogram,
    archived_size: IntGaugeVec,
    oldest_waiting: IntGaugeVec,
    held_bytes: IntGaugeVec,
}

/// The same for one chain, looked up once.
#[derive(Clone, Debug)]
pub(crate) struct ChainMetrics {
    pub segments: IntCounter,
    pub events: IntCounter,
    pub bytes: IntCounter,
    pub write_seconds: Histogram,
    pub archived_size: IntGauge,
    pub oldest_waiting: IntGauge,
    pub held_bytes: IntGauge,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &Registry) -> Result<Metrics> {
        let make = Instruments(registry);
        Ok(Metrics {
            segments: make.chain_counter("sealog_archiver_segments_total", "Segments archived.")?,
            events: make.chain_counter("sealog_archiver_events_total", "Events archived.")?,
            bytes: make.chain_counter("sealog_archiver_bytes_total", "Bytes of segments archived, compressed.")?,
            write_seconds: make.seconds("sealog_archiver_write_seconds", "Time to write and read back a segment.")?,
            archived_size: make.chain_gauge("sealog_archiver_archived_size", "Links that the archive covers.")?,
            oldest_waiting: make.chain_gauge(
                "sealog_archiver_oldest_waiting_seconds",
                "When the oldest event that is not archived was sealed, in seconds since 1970; 0 if none waits.",
            )?,
            held_bytes: make.chain_gauge(
                "sealog_archiver_held_bytes",
                "Memory held for segments that are not written.",
            )?,
        })
    }

    pub(crate) fn of(&self, chain: u32) -> ChainMetrics {
        let label = chain.to_string();
        let label = &[label.as_str()];
        ChainMetrics {
            segments: self.segments.with_label_values(label),
            events: self.events.with_label_values(label),
            bytes: self.bytes.with_label_values(label),
            write_seconds: self.write_seconds.clone(),
            archived_size: self.archived_size.with_label_values(label),
            oldest_waiting: self.oldest_waiting.with_label_values(label),
            held_bytes: self.held_bytes.with_label_values(label),
        }
    }
}
