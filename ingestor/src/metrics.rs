//! What the ingestor counts, for each of its sources: `http`, which is the gateway, and `kafka`.

use std::collections::HashMap;

use prometheus::{Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::record::Reason;

/// Counters of one source. A clone counts into the same.
#[derive(Clone)]
pub struct Metrics {
    /// Items received, taken or not.
    pub(crate) received: IntCounter,
    pub(crate) received_bytes: IntCounter,
    /// Events that are on `audit.events`.
    pub(crate) events: IntCounter,
    /// What went to the stream: events and rejections.
    pub(crate) written_bytes: IntCounter,
    rejected: IntCounterVec,
    /// One append or commit.
    pub(crate) commit: Histogram,
    /// Items in one append or commit.
    pub(crate) commit_items: Histogram,
    /// From the stream's time of the last record taken to its commit; 0 when there is none waiting.
    pub(crate) lag_seconds: IntGauge,
}

/// From a tenth of a millisecond to half a minute.
pub(crate) const SECONDS: [f64; 12] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 30.0];
const ITEMS: [f64; 9] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0];

impl Metrics {
    /// Registers the counters of `source`: each may be registered once.
    pub fn register(registry: &Registry, source: &str) -> Result<Metrics, Error> {
        let labels = HashMap::from([("source".to_owned(), source.to_owned())]);
        let opts = |name: &str, help: &str| Opts::new(name, help).const_labels(labels.clone());
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::with_opts(opts(name, help))?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
            let histogram = Histogram::with_opts(opts)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, Error>(histogram)
        };
        let rejected = IntCounterVec::new(
            opts("sealog_ingestor_rejected_total", "Items that could not be taken."),
            &["reason"],
        )?;
        registry.register(Box::new(rejected.clone()))?;
        for reason in Reason::ALL {
            rejected.with_label_values(&[reason.word()]);
        }
        let lag_seconds = IntGauge::with_opts(opts(
            "sealog_ingestor_lag_seconds",
            "Age of the last raw record that was committed, at its commit.",
        ))?;
        registry.register(Box::new(lag_seconds.clone()))?;
        Ok(Metrics {
            received: counter("sealog_ingestor_received_total", "Items received, taken or not.")?,
            received_bytes: counter("sealog_ingestor_received_bytes_total", "Bytes of items received.")?,
            events: counter("sealog_ingestor_events_total", "Events written to audit.events.")?,
            written_bytes: counter("sealog_ingestor_written_bytes_total", "Bytes written to audit.*.")?,
            rejected,
            commit: histogram(
                "sealog_ingestor_commit_duration_seconds",
                "Time until one append or commit was durable.",
                &SECONDS,
            )?,
            commit_items: histogram(
                "sealog_ingestor_commit_items",
                "Items of one append or commit: more than one request's share a group commit.",
                &ITEMS,
            )?,
            lag_seconds,
        })
    }

    /// Counts a rejection.
    pub(crate) fn rejected(&self, reason: Reason) {
        self.rejected.with_label_values(&[reason.word()]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sources_fit_one_registry_and_neither_fits_twice() {
        let registry = Registry::new();
        let http = Metrics::register(&registry, "http").unwrap();
        Metrics::register(&registry, "kafka").unwrap();
        assert!(Metrics::register(&registry, "http").is_err());
        http.rejected(Reason::TooDeep);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(
            text.contains(r#"sealog_ingestor_rejected_total{reason="too_deep",source="http"} 1"#),
            "{text}"
        );
    }
}
