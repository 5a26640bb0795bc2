//! What the gateway counts of HTTP; what it takes in is counted by the ingestor's metrics, as source `http`.

use axum::http::StatusCode;
use prometheus::{Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::metrics::SECONDS;

/// Counters and gauges of one gateway.
#[derive(Clone)]
pub(super) struct HttpMetrics {
    requests: IntCounterVec,
    duration: Histogram,
    pub repeated: IntCounter,
    pub waiting_bytes: IntGauge,
    pub connections: IntGauge,
    pub looked_for: IntGauge,
}

impl HttpMetrics {
    pub fn register(registry: &Registry) -> Result<HttpMetrics, Error> {
        let name = "sealog_gateway_requests_total";
        let requests = IntCounterVec::new(Opts::new(name, "Answers to POST /v1/events."), &["status"])?;
        registry.register(Box::new(requests.clone()))?;
        let opts = HistogramOpts::new(
            "sealog_gateway_request_duration_seconds",
            "From a request's head to its answer; for what is taken, until it is durable or what its wait= asked for.",
        );
        let duration = Histogram::with_opts(opts.buckets(SECONDS.to_vec()))?;
        registry.register(Box::new(duration.clone()))?;
        let repeated = IntCounter::new(
            "sealog_gateway_repeated_total",
            "Items that were not written because their Idempotency-Key was used before.",
        )?;
        registry.register(Box::new(repeated.clone()))?;
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, Error>(gauge)
        };
        Ok(HttpMetrics {
            requests,
            duration,
            repeated,
            waiting_bytes: gauge(
                "sealog_gateway_waiting_bytes",
                "Bytes of requests that wait for their answer.",
            )?,
            connections: gauge("sealog_gateway_connections", "Open connections.")?,
            looked_for: gauge(
                "sealog_gateway_looked_for",
                "Items whose place in the chain somebody waits for (?wait=).",
            )?,
        })
    }

    pub fn answered(&self, status: StatusCode, took_us: i64) {
        self.requests.with_label_values(&[status.as_str()]).inc();
        self.duration.observe(took_us as f64 / 1e6);
    }
}
