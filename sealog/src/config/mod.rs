//! The configuration: one TOML file, each key with a default and an environment name. Read once, at start; this is the
//! only place that looks at the environment.

mod given;
mod quantity;
mod text;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

pub use given::Given;
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

/// `[kafka]`
#[derive(Clone, Debug)]
pub struct Kafka {
    /// host:port, comma separated.
    pub brokers: String,
    /// The topics that services produce to.
    pub raw_topics: Vec<String>,
    /// Any librdkafka property.
    pub properties: BTreeMap<String, String>,
}

/// `[archive]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Archive {
    /// A folder; None: `archive` in the data folder.
    Directory(Option<PathBuf>),
    /// A bucket and a prefix.
    S3(String),
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
    /// Ends when nothing has come for so long.
    pub max_idle_us: i64,
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
            kafka: Config::kafka(&mut given)?,
            archive: archive(&mut given)?,
            segment: Segment {
                max_events: given.number("segment.max_events", 50_000, 1..=10_000_000)?,
                max_bytes: given.size("segment.max_bytes", 64 * MIB, MIB..=1_024 * MIB)?,
                max_age_us: given.duration_us("segment.max_age", 60_000_000)?,
                max_idle_us: given.duration_us("segment.max_idle", 2_000_000)?,
            },
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

    fn kafka(given: &mut Given) -> Result<Option<Kafka>> {
        let brokers = given.text("kafka.brokers")?;
        let raw_topics = given.list("kafka.raw_topics")?;
        let properties = given.table("kafka.properties")?;
        match brokers {
            Some(brokers) => Ok(Some(Kafka { brokers, raw_topics, properties })),
            None if raw_topics.is_empty() && properties.is_empty() => Ok(None),
            None => anyhow::bail!(
                "kafka.brokers is missing: give host:port, or leave [kafka] out to run embedded"
            ),
        }
    }
}

fn archive(given: &mut Given) -> Result<Archive> {
    let Some(url) = given.text("archive.url")? else { return Ok(Archive::Directory(None)) };
    match url.split_once(':') {
        Some(("file", path)) if !path.is_empty() => {
            Ok(Archive::Directory(Some(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))))
        }
        Some(("s3", rest)) if rest.starts_with("//") => Ok(Archive::S3(url)),
        _ => Err(given.wrong("archive.url", &url, "file:DIR or s3://bucket/prefix")),
    }
}

fn check_origin(given: &Given, origin: String) -> Result<String> {
    match schemas::note::check_name(&origin) {
        Ok(()) => Ok(origin),
        Err(why) => {
            Err(given.wrong("origin", &origin, &format!("a name such as acme.example/audit ({})", why.what)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str, env: &[(&str, &str)]) -> Result<Config> {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::read(Given::parse("sealog.toml", toml, env)?)
    }

    fn error(toml: &str, env: &[(&str, &str)]) -> String {
        format!("{:#}", read(toml, env).unwrap_err())
    }

    #[test]
    fn nothing_given_is_a_whole_configuration() {
        let config = read("", &[]).unwrap();
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:7740");
        assert_eq!((config.segment.max_events, config.segment.max_age_us), (50_000, 60_000_000));
        assert_eq!(config.archive, Archive::Directory(None));
        assert!(config.kafka.is_none());
    }

    #[test]
    fn the_example_is_a_configuration_and_names_every_key() {
        let config = read(EXAMPLE, &[]).unwrap();
        assert_eq!(config.origin.as_deref(), Some("acme.example/audit"));
        let settings = EXAMPLE.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
        let is_setting = |line: &&str| {
            let name = line.split(" = ").next().unwrap_or_default();
            line.starts_with('[')
                || (line.contains(" = ") && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'))
        };
        let uncommented: Vec<&str> = settings.filter(is_setting).collect();
        let mut keys = Given::parse("example", &uncommented.join("\n"), []).unwrap().keys();
        keys.sort();
        let mut all: Vec<String> = text::KEYS.iter().map(|key| (*key).to_owned()).collect();
        all.sort();
        assert_eq!(keys, all);
    }

    #[test]
    fn the_environment_comes_before_the_file() {
        let config = read("[segment]\nmax_events = 7\n", &[("SEALOG_SEGMENT_MAX_EVENTS", "8")]).unwrap();
        assert_eq!(config.segment.max_events, 8);
        let config =
            read("", &[("SEALOG_KAFKA_BROKERS", "h:1"), ("SEALOG_KAFKA_PROPERTIES", "a.b=c,d=e")]).unwrap();
        assert_eq!(config.kafka.unwrap().properties["a.b"], "c");
    }

    #[test]
    fn an_error_names_the_key_and_says_what_would_be_right() {
        let e = error("[segment]\nmax_age = \"60 parsecs\"\n", &[]);
        assert!(e.contains("sealog.toml") && e.contains("segment.max_age") && e.contains("60s"), "{e}");
        let e = error("", &[("SEALOG_CHAINS", "none")]);
        assert!(e.contains("SEALOG_CHAINS") && e.contains("1 to 4096"), "{e}");
        let e = error("[segment]\nmax_event = 3\n", &[]);
        assert!(e.contains("segment.max_event") && e.contains("segment.max_events"), "{e}");
        let e = error("", &[("SEALOG_HTTP_LISTN", "x")]);
        assert!(e.contains("SEALOG_HTTP_LISTN") && e.contains("SEALOG_HTTP_LISTEN"), "{e}");
        let e = error("[archive]\nurl = \"ftp:x\"\n", &[]);
        assert!(e.contains("archive.url") && e.contains("file:DIR"), "{e}");
        let e = error("chains = 1\n[kafka]\nproperties = { \"sasl.password\" = \"hunter2 }\n", &[]);
        assert!(e.contains("sealog.toml, line 3") && !e.contains("hunter2"), "{e}");
        assert!(!error("[http]\ntokens = [\"hunter2\"]\n", &[]).contains("hunter2"));
    }
}
