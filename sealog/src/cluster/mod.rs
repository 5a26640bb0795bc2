//! Kafka as Sealog needs it: what its topics must be, how they are made, and what is said when they are not right.

mod doctor;
mod init;
mod recover;
mod topics;

use anyhow::{Context, Result, bail};
use stream::kafka::{self, Kafka};

use crate::config::{self, Config, Durability};

pub use doctor::look;
pub use init::{Consent, init};
pub use recover::{Recovery, recover};
use topics::{Finding, Required};

/// The brokers, once one has answered.
pub fn connect(kafka: &config::Kafka) -> Result<Kafka> {
    let mut options = kafka::Options::new(&kafka.brokers);
    options.properties = kafka.properties.clone();
    options.prefix = kafka.prefix.clone();
    Kafka::connect(options).context("kafka.brokers")
}

/// A cluster that answers.
pub struct Cluster {
    kafka: Kafka,
    origin: String,
    chains: u32,
    durability: Durability,
    replicas: u16,
}

impl Cluster {
    /// Connects to what the configuration names.
    pub fn connect(config: &Config) -> Result<Cluster> {
        let Some(kafka) = &config.kafka else {
            bail!(
                "there is no [kafka] in the configuration: embedded, `sealog up` makes all it needs by itself"
            );
        };
        let Some(origin) = config.origin.clone() else {
            bail!(
                "origin is missing: on Kafka a deployment is given its name, for ever, such as \
                 origin = \"acme.example/audit\""
            );
        };
        let stream = connect(kafka)?;
        Ok(Cluster {
            kafka: stream,
            origin,
            chains: config.chains,
            durability: kafka.durability,
            replicas: kafka.replicas,
        })
    }

    /// The base origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The seam between the stages.
    pub fn into_stream(self) -> Kafka {
        self.kafka
    }

    /// Sealog's topics as they must be.
    fn required(&self) -> Vec<Required> {
        topics::required(self.chains, self.durability)
    }

    /// What is wrong with Sealog's topics, among those that `wanted` says.
    fn findings(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Finding>> {
        let required: Vec<Required> = self.required().into_iter().filter(|r| wanted(r.name())).collect();
        let names: Vec<&str> = required.iter().map(Required::name).collect();
        let states = self.kafka.describe_topics(&names)?;
        let compared = required.iter().zip(&states);
        let findings = compared.flat_map(|(required, state)| required.compare(state, self.durability));
        let called = |finding: Finding| Finding { called: self.kafka.topic_name(&finding.topic), ..finding };
        Ok(findings.map(called).collect())
    }

    /// An ingestor does not begin without what it is to read.
    pub fn refuse_missing_raw(&self, raw_topics: &[String]) -> Result<()> {
        let names: Vec<&str> = raw_topics.iter().map(String::as_str).collect();
        let states = if names.is_empty() { Vec::new() } else { self.kafka.describe_topics(&names)? };
        match states.iter().find(|state| state.found.is_none()) {
            None => Ok(()),
            Some(state) => bail!(
                "the raw topic {} is missing: create it, or take it out of kafka.raw_topics",
                state.name
            ),
        }
    }

    /// A stage does not begin on topics that could lose what it relies on. `wanted`: the topics that it uses.
    pub fn refuse_wrong_topics(&self, wanted: &[&str]) -> Result<()> {
        let findings = self.findings(|name| wanted.contains(&name))?;
        if findings.is_empty() {
            return Ok(());
        }
        let said: Vec<String> = findings.iter().map(|finding| format!("\n  {finding}")).collect();
        bail!("Kafka is not as it must be:{}", said.concat());
    }
}
