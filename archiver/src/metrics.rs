//! What the archiver tells Prometheus.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result,
};

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
        let counter = |name: &str, help: &str| -> Result<IntCounterVec> {
            let metric = IntCounterVec::new(Opts::new(name, help), &["chain"])?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGaugeVec> {
            let metric = IntGaugeVec::new(Opts::new(name, help), &["chain"])?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let seconds = vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
        let options =
            HistogramOpts::new("sealog_archiver_write_seconds", "Time to write and read back a segment.");
        let write_seconds = Histogram::with_opts(options.buckets(seconds))?;
        registry.register(Box::new(write_seconds.clone()))?;
        Ok(Metrics {
            segments: counter("sealog_archiver_segments_total", "Segments archived.")?,
            events: counter("sealog_archiver_events_total", "Events archived.")?,
            bytes: counter("sealog_archiver_bytes_total", "Bytes of segments archived, compressed.")?,
            write_seconds,
            archived_size: gauge("sealog_archiver_archived_size", "Links that the archive covers.")?,
            oldest_waiting: gauge(
                "sealog_archiver_oldest_waiting_seconds",
                "When the oldest event that is not archived was sealed, in seconds since 1970; 0 if none waits.",
            )?,
            held_bytes: gauge(
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
