//! What the trimmer tells Prometheus.

use prometheus::{IntCounter, IntGaugeVec, Opts, Registry, Result};
use stream::Lane;

/// All chains of this process.
#[derive(Clone, Debug)]
pub struct TrimmerMetrics {
    trimmed: IntGaugeVec,
    held: IntGaugeVec,
    pub(super) passes: IntCounter,
    pub(super) failures: IntCounter,
}

impl TrimmerMetrics {
    /// Registers them.
    pub fn register(registry: &Registry) -> Result<TrimmerMetrics> {
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let trimmed =
            gauge("sealog_trimmer_trimmed_offset", "Records below it were let go of.", &["topic", "chain"])?;
        let held = gauge(
            "sealog_trimmer_held",
            "1 while this keeps more of audit.sealed than the window does: the archive, which does not hold what its \
             position says, or a group, by its name.",
            &["chain", "by"],
        )?;
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let passes = counter("sealog_trimmer_passes_total", "Looks at all chains that were finished.")?;
        let failures = counter("sealog_trimmer_failures_total", "Tries to trim that failed.")?;
        Ok(TrimmerMetrics { trimmed, held, passes, failures })
    }

    pub(super) fn trimmed(&self, lane: &Lane, before: u64) {
        self.trimmed.with_label_values(&[&*lane.topic, &lane.partition.to_string()]).set(before as i64);
    }

    pub(super) fn held(&self, chain: u32, by: &str, is_held: bool) {
        self.held.with_label_values(&[&*chain.to_string(), by]).set(i64::from(is_held));
    }
}
