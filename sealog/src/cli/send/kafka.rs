//! A raw topic as `send` sees it: each batch goes to one partition, and is there when it is acknowledged.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use runtime::{Backoff, Stop};
use stream::kafka::Kafka;
use stream::{Batch, Kind, Lane, Log};

use super::lines::Line;
use crate::cluster;
use crate::config::{Config, Given};

/// Where to send.
pub struct RawTopic {
    kafka: Kafka,
    name: String,
    partitions: u32,
    retries: u32,
}

impl RawTopic {
    /// The topic on the brokers that the configuration names.
    pub fn open(config: &Path, name: &str, retries: u32) -> Result<RawTopic> {
        let toml = std::fs::read_to_string(config).with_context(|| config.display().to_string())?;
        let config = Config::read(Given::parse(
            &config.display().to_string(),
            &toml,
            crate::cli::given::environment(),
        )?)?;
        let Some(kafka) = &config.kafka else {
            bail!("--topic {name}: there is no [kafka] in the configuration")
        };
        let kafka = cluster::connect(kafka)?;
        let state = kafka.describe_topics(&[name])?;
        match state.first().and_then(|state| state.found.as_ref()) {
            Some(found) => {
                Ok(RawTopic { kafka, name: name.to_owned(), partitions: found.partitions, retries })
            }
            None => bail!("Kafka has no topic {name}: create it, or correct its name"),
        }
    }

    /// Sends one batch. What got no answer is sent again, and may then be there twice.
    pub fn send(&self, number: usize, lines: &[Line], notes: &mut dyn Write) -> Result<()> {
        let mut batch = Batch::new();
        let partition = number % self.partitions.max(1) as usize;
        let lane = batch.lane(&Lane::new(&self.name, partition as u32));
        lines.iter().for_each(|line| batch.push(lane, None, &[], &line.bytes));
        let mut backoff = Backoff::default();
        for left in (0..=self.retries).rev() {
            match self.kafka.append(&batch) {
                Ok(()) => return Ok(()),
                Err(error) if left > 0 && matches!(error.kind(), Kind::Away | Kind::Full) => {
                    writeln!(notes, "trying again: {error}")?;
                    Stop::new().wait(backoff.next_wait());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
