//! Making and registering what a stage tells Prometheus, each chain under its own label.

use prometheus::{GaugeVec, Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry, Result};

/// A registry that instruments are made in.
#[derive(Clone, Copy, Debug)]
pub struct Instruments<'a>(pub &'a Registry);

/// Buckets for the time of a write, in seconds.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

impl Instruments<'_> {
    /// A counter for each chain.
    pub fn chain_counter(&self, name: &str, help: &str) -> Result<IntCounterVec> {
        let counter = IntCounterVec::new(Opts::new(name, help), &["chain"])?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    /// A gauge for each chain.
    pub fn chain_gauge(&self, name: &str, help: &str) -> Result<IntGaugeVec> {
        let gauge = IntGaugeVec::new(Opts::new(name, help), &["chain"])?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    /// A time for each chain.
    pub fn chain_seconds(&self, name: &str, help: &str) -> Result<GaugeVec> {
        let gauge = GaugeVec::new(Opts::new(name, help), &["chain"])?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    /// How long a write takes.
    pub fn seconds(&self, name: &str, help: &str) -> Result<Histogram> {
        self.histogram(name, help, &SECONDS)
    }

    /// How often what lies in which bucket.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram> {
        let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
        self.0.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }
}
