//! What the chainer tells Prometheus.

use prometheus::{
    Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result,
};
use runtime::Instruments;

/// All chains of this process.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) events: IntCounterVec,
    pub(crate) bytes: IntCounterVec,
    pub(crate) rejected: IntCounterVec,
    pub(crate) cuts: IntCounterVec,
    pub(crate) commit_seconds: Histogram,
    pub(crate) commit_events: Histogram,
    pub(crate) last_seq: IntGaugeVec,
    pub(crate) last_sealed_at: IntGaugeVec,
    pub(crate) lag_seconds: GaugeVec,
    pub(crate) clock_refused: IntGaugeVec,
}

/// The same for one chain, looked up once.
#[derive(Clone, Debug)]
pub(crate) struct ChainMetrics {
    pub events: IntCounter,
    pub bytes: IntCounter,
    pub rejected: IntCounter,
    pub cuts: IntCounter,
    pub commit_seconds: Histogram,
    pub commit_events: Histogram,
    pub last_seq: IntGauge,
    pub last_sealed_at: IntGauge,
    pub lag_seconds: Gauge,
    pub clock_refused: IntGauge,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &Registry) -> Result<Metrics> {
        let make = Instruments(registry);
        let events = [1.0, 10.0, 100.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0];
        Ok(Metrics {
            events: make.chain_counter("sealog_chainer_events_total", "Events sealed.")?,
            bytes: make.chain_counter("sealog_chainer_bytes_total", "Bytes of SealedEvents committed.")?,
            rejected: make.chain_counter(
                "sealog_chainer_rejected_total",
                "Records of audit.events that were no events.",
            )?,
            cuts: make.chain_counter("sealog_chainer_cuts_total", "Segments ended.")?,
            commit_seconds: make.seconds("sealog_chainer_commit_seconds", "Time of a commit.")?,
            commit_events: make.histogram("sealog_chainer_commit_events", "Events in a commit.", &events)?,
            last_seq: make.chain_gauge(
                "sealog_chainer_last_seq",
                "Seq of the last event sealed; -1 before the first.",
            )?,
            last_sealed_at: make.chain_gauge(
                "sealog_chainer_last_sealed_at_seconds",
                "When the last event was sealed, in seconds since 1970.",
            )?,
            lag_seconds: make
                .chain_seconds("sealog_chainer_lag_seconds", "How long the last event taken had waited.")?,
            clock_refused: make.chain_gauge(
                "sealog_chainer_clock_refused",
                "1 while the wall clock is not believed and nothing is sealed.",
            )?,
        })
    }

    pub(crate) fn of(&self, chain: u32) -> ChainMetrics {
        let label = chain.to_string();
        let label = &[label.as_str()];
        ChainMetrics {
            events: self.events.with_label_values(label),
            bytes: self.bytes.with_label_values(label),
            rejected: self.rejected.with_label_values(label),
            cuts: self.cuts.with_label_values(label),
            commit_seconds: self.commit_seconds.clone(),
            commit_events: self.commit_events.clone(),
            last_seq: self.last_seq.with_label_values(label),
            last_sealed_at: self.last_sealed_at.with_label_values(label),
            lag_seconds: self.lag_seconds.with_label_values(label),
            clock_refused: self.clock_refused.with_label_values(label),
        }
    }
}
