//! Every key by name, and the example that documents them.

/// Every key there is, but for what stands below `kafka.properties`.
pub const KEYS: &[&str] = &[
    "origin",
    "chains",
    "http.listen",
    "http.tokens",
    "http.tls_cert",
    "http.tls_key",
    "http.behind_proxy",
    "kafka.brokers",
    "kafka.prefix",
    "kafka.raw_topics",
    "kafka.ingestor_id",
    "kafka.durability",
    "kafka.replicas",
    "kafka.properties",
    "archive.url",
    "archive.mode",
    "archive.retention",
    "archive.endpoint",
    "archive.region",
    "archive.path_style",
    "archive.ca",
    "archive.encryption",
    "archive.insecure",
    "segment.max_events",
    "segment.max_bytes",
    "segment.max_age",
    "segment.max_idle",
    "trimmer.enabled",
    "trimmer.after",
    "trimmer.retries",
    "trimmer.wait_for",
    "keys.chainer",
    "metrics.listen",
    "data.dir",
    "log.file_bytes",
    "log.max_bytes",
];

/// A whole configuration with every key at its default or at a likely value.
pub const EXAMPLE: &str = include_str!("../../sealog.example.toml");
