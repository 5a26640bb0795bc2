//! Logs: for people on a terminal, JSON elsewhere. On standard error, so that standard output stays for results.

use std::io::IsTerminal;

use anyhow::Result;
use tracing_subscriber::EnvFilter;

/// Turns logging on. `filter` is what `SEALOG_LOG` says: a level, or targets with levels.
pub fn begin(filter: Option<&str>) -> Result<()> {
    let filter = EnvFilter::try_new(filter.unwrap_or("info"))
        .map_err(|why| anyhow::anyhow!("SEALOG_LOG: {why}: give error, warn, info, debug or trace"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.compact().with_target(false).init();
    } else {
        logs.json().flatten_event(true).init();
    }
    Ok(())
}
