//! The configuration as every command takes it: a file, and the environment over it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::config::{Config, Given};
use crate::daemon;

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct From {
    /// The configuration, TOML. Every key can also be set by environment: http.listen is SEALOG_HTTP_LISTEN.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder: key, guards, and without Kafka the logs [default: ./sealog-data].
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
}

impl From {
    /// Turns logging on, then reads the configuration with `flags` over it.
    pub fn read(&self, flags: &[(&str, Option<&str>)]) -> Result<Config> {
        let environment = environment();
        let log_filter = environment.iter().find(|(name, _)| name == "SEALOG_LOG");
        daemon::begin_telemetry(log_filter.map(|(_, value)| value.as_str()))?;
        let (file, toml) = match &self.config {
            Some(path) => (
                path.display().to_string(),
                fs::read_to_string(path).with_context(|| path.display().to_string())?,
            ),
            None => ("sealog.toml".to_owned(), String::new()),
        };
        let mut given = Given::parse(&file, &toml, environment)?;
        for (key, flag) in [("data.dir", self.data.as_deref())].iter().chain(flags) {
            if let Some(value) = flag {
                given.set(key, (*value).to_owned());
            }
        }
        Config::read(given)
    }
}

/// The environment, where it is text.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
