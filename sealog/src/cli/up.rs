//! `sealog up`

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::config::{Config, EXAMPLE, Given};
use crate::daemon;

/// Run all stages in one process: take events, seal, archive.
///
/// With no configuration it needs nothing else: it makes its folder, its key and its first chain in ./sealog-data, and
/// listens on http://127.0.0.1:7740. Ctrl-C or SIGTERM ends it once everything acknowledged is archived.
#[derive(Debug, Args)]
pub struct Up {
    /// The configuration, TOML. Every key can also be set by environment: http.listen is SEALOG_HTTP_LISTEN.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder: key, logs, and the archive unless archive.url says otherwise [default: ./sealog-data].
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Where to take events [default: 127.0.0.1:7740]. Beyond loopback it needs http.tokens and TLS.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Print a configuration with every key and its default, and exit.
    #[arg(long)]
    example: bool,
}

pub fn run(up: &Up) -> Result<ExitCode> {
    if up.example {
        print!("{EXAMPLE}");
        return Ok(ExitCode::SUCCESS);
    }
    let environment: Vec<(String, String)> = environment();
    let log_filter =
        environment.iter().find(|(name, _)| name == "SEALOG_LOG").map(|(_, value)| value.as_str());
    daemon::begin_telemetry(log_filter)?;
    let (file, toml) = match &up.config {
        Some(path) => (
            path.display().to_string(),
            fs::read_to_string(path).with_context(|| path.display().to_string())?,
        ),
        None => ("sealog.toml".to_owned(), String::new()),
    };
    let mut given = Given::parse(&file, &toml, environment.clone())?;
    for (key, flag) in [("data.dir", &up.data), ("http.listen", &up.listen)] {
        if let Some(value) = flag {
            given.set(key, value.clone());
        }
    }
    daemon::up(&Config::read(given)?)
}

/// The environment, where it is text.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
