//! `[kafka]`

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::Given;

/// How to reach Kafka, and what is asked of it.
// Without the client it is read, and refused by who would use it.
#[cfg_attr(not(feature = "kafka"), allow(dead_code))]
#[derive(Clone, Debug)]
pub struct Kafka {
    /// host:port, comma separated.
    pub brokers: String,
    /// Stands before the names of Sealog's own topics and groups.
    pub prefix: String,
    /// The topics that services produce to.
    pub raw_topics: Vec<String>,
    /// What this ingestor is called: two of one name fence each other.
    pub ingestor_id: String,
    /// What a broker's death may cost.
    pub durability: Durability,
    /// On how many brokers `init` has each topic kept.
    pub replicas: u16,
    /// Any librdkafka property.
    pub properties: BTreeMap<String, String>,
}

/// What a broker's death may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: what is acknowledged is on two brokers at least.
    Replicated,
    /// A trial, on one broker.
    SingleBroker,
}

const REPLICATED: &str = "replicated";
const SINGLE_BROKER: &str = "single-broker";
/// Characters that Kafka takes in the name of a topic.
const MAX_PREFIX_CHARS: usize = 100;

impl Kafka {
    pub(super) fn read(given: &mut Given) -> Result<Option<Kafka>> {
        let is_given = given.names("kafka.");
        let brokers = given.text("kafka.brokers")?;
        let durability = match given.word("kafka.durability", &[REPLICATED, SINGLE_BROKER])? {
            SINGLE_BROKER => Durability::SingleBroker,
            _ => Durability::Replicated,
        };
        let default_replicas = if durability == Durability::SingleBroker { 1 } else { 3 };
        let kafka = Kafka {
            brokers: brokers.clone().unwrap_or_default(),
            prefix: given.text("kafka.prefix")?.unwrap_or_default(),
            raw_topics: given.list("kafka.raw_topics")?,
            ingestor_id: given.text("kafka.ingestor_id")?.unwrap_or_else(runtime::host_name),
            durability,
            replicas: given.number("kafka.replicas", default_replicas, 1..=100)? as u16,
            properties: given.table("kafka.properties")?,
        };
        if brokers.is_none() {
            if is_given {
                bail!("kafka.brokers is missing: give host:port, or leave [kafka] out to run embedded");
            }
            return Ok(None);
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if kafka.prefix.len() > MAX_PREFIX_CHARS || !kafka.prefix.chars().all(fits) {
            return Err(given.wrong(
                "kafka.prefix",
                &kafka.prefix,
                "up to 100 letters, digits, dots or dashes",
            ));
        }
        if durability == Durability::Replicated && kafka.replicas < 2 {
            return Err(given.wrong(
                "kafka.replicas",
                &kafka.replicas.to_string(),
                "2 or more, or kafka.durability = \"single-broker\" for a trial",
            ));
        }
        let own = kafka.raw_topics.iter().find(|topic| topic.starts_with(&format!("{}audit.", kafka.prefix)));
        if let Some(own) = own.filter(|own| stream::topics::is_own(&own[kafka.prefix.len()..])) {
            return Err(given.wrong("kafka.raw_topics", own, "topics of services, not Sealog's own"));
        }
        Ok(Some(kafka))
    }
}
