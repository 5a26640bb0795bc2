//! The configuration: one TOML file, each key with a default and an environment name. Read once, at start; this is the
//! only place that looks at the environment.

mod archive;
mod given;
mod kafka;
mod quantity;
mod text;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

pub use archive::Archive;
#[cfg(feature = "s3")]
pub use archive::{Bucket, Encryption};
pub use given::Given;
#[cfg(feature = "kafka")]
pub use kafka::Durability;
pub use kafka::Kafka;
pub use quantity::period;
#[cfg(feature = "s3")]
pub use quantity::period_in_words;
pub use text::EXAMPLE;

/// All keys, read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The base origin; None: made up once, embedded.
    pub origin: Option<String>,
    /// How many chains.
    pub chains: u32,
    /// The gateway.
    pub http: Http,
    /// Kafka; None: the embedded log.
    pub kafka: Option<Kafka>,
    /// Where the archive is.
    pub archive: Archive,
    /// When segments end.
    pub segment: Segment,
    /// What is let go of, and when.
    pub trimmer: Trimmer,
    /// Where a stage without a gateway shows its metrics; None: 7741 and up on loopback.
    #[cfg_attr(not(feature = "kafka"), allow(dead_code))]
    pub metrics_listen: Option<SocketAddr>,
    /// The key file; None: `chainer.key` in the data folder.
    pub chainer_key: Option<PathBuf>,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The embedded log.
    pub log: EmbeddedLog,
}

/// `[http]`
#[derive(Clone, Debug)]
pub struct Http {
    /// Where the gateway listens.
    pub listen: SocketAddr,
    /// Who may send: a token and a producer's name a line.
    pub tokens: Option<PathBuf>,
    /// Certificate chain and key, PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Something in front terminates TLS.
    pub behind_proxy: bool,
}

/// `[segment]`
#[derive(Clone, Debug)]
pub struct Segment {
    /// Events at most.
    pub max_events: u64,
    /// Bytes of datums at most.
    pub max_bytes: u64,
    /// Age of its first event at most.
    pub max_age_us: i64,
    /// Ends when nothing has come for so long. None: that alone ends no segment.
    pub max_idle_us: Option<i64>,
}

/// `[trimmer]`
#[derive(Clone, Debug)]
pub struct Trimmer {
    /// Whether `sealog up` trims at all.
    pub enabled: bool,
    /// What is archived stays in audit.sealed for so long after it was sealed.
    pub after_us: i64,
    /// What is archived stays in audit.events for so long after it was received, so that retries are known.
    pub retries_us: i64,
    /// Consumer groups that read audit.sealed: what they have not read stays.
    pub wait_for: Vec<String>,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct EmbeddedLog {
    /// A file of the log is ended at this size.
    pub file_bytes: u64,
    /// A lane takes no more beyond this: the gateway then answers 503.
    pub max_bytes: u64,
}

const MIB: u64 = 1 << 20;

impl Config {
    /// Reads what was given; what was not has its default. The first thing that is wrong is the error.
    pub fn read(mut given: Given) -> Result<Config> {
        let kafka = Kafka::read(&mut given)?;
        let embedded = kafka.is_none();
        let config = Config {
            origin: given.text("origin")?.map(|origin| check_origin(&given, origin)).transpose()?,
            chains: given.number("chains", 1, 1..=4_096)? as u32,
            http: Http {
                listen: given.address("http.listen", "127.0.0.1:7740")?,
                tokens: given.path("http.tokens")?,
                tls: match (given.path("http.tls_cert")?, given.path("http.tls_key")?) {
                    (Some(cert), Some(key)) => Some((cert, key)),
                    (None, None) => None,
                    _ => anyhow::bail!("http.tls_cert and http.tls_key go together: give both, or neither"),
                },
                behind_proxy: given.switch("http.behind_proxy", false)?,
            },
            kafka,
            archive: Archive::read(&mut given)?,
            segment: Segment {
                max_events: given.number("segment.max_events", 50_000, 1..=10_000_000)?,
                max_bytes: given.size("segment.max_bytes", 64 * MIB, MIB..=1_024 * MIB)?,
                max_age_us: given.duration_us("segment.max_age", 60_000_000)?,
                // On Kafka many services rarely fall silent together, and each segment costs four writes.
                max_idle_us: given.duration_us_or_off("segment.max_idle", embedded.then_some(2_000_000))?,
            },
            trimmer: Trimmer {
                enabled: given.switch("trimmer.enabled", true)?,
                after_us: given.period_us("trimmer.after", if embedded { 0 } else { 86_400_000_000 })?,
                retries_us: given.period_us("trimmer.retries", 600_000_000)?,
                wait_for: given.list("trimmer.wait_for")?,
            },
            metrics_listen: given.address_if_given("metrics.listen")?,
            chainer_key: given.path("keys.chainer")?,
            data_dir: given.path("data.dir")?.unwrap_or_else(|| PathBuf::from("./sealog-data")),
            log: EmbeddedLog {
                file_bytes: given.size("log.file_bytes", 64 * MIB, MIB..=4_096 * MIB)?,
                max_bytes: given.size("log.max_bytes", 4_096 * MIB, 16 * MIB..=1_048_576 * MIB)?,
            },
        };
        given.end()?;
        Ok(config)
    }
}

fn check_origin(given: &Given, origin: String) -> Result<String> {
    let wrong = |right: &str| given.wrong("origin", &origin, right);
    if let Err(why) = schemas::note::check_name(&origin) {
        return Err(wrong(&format!("a name such as acme.example/audit ({})", why.what)));
    }
    if has_probes_place(&origin) {
        return Err(wrong(
            "a name without `0/probe` in it: below that stands what `sealog doctor --probe` tries to delete, and an \
             administrator may delete there (deploy/iam)",
        ));
    }
    Ok(origin)
}

/// Whether evidence of this origin would stand where policies take everything for probes. A policy that names the origin
/// could tell them apart, but those that are attached already do not.
fn has_probes_place(origin: &str) -> bool {
    let mut parts = origin.split('/').peekable();
    while let Some(part) = parts.next() {
        if part == "0" && parts.peek() == Some(&"probe") {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
