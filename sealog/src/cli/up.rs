//! `sealog up`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::given::From;
use crate::config::EXAMPLE;
use crate::daemon;

/// Run all stages in one process: take events, seal, archive.
///
/// With no configuration it needs nothing else: it makes its folder, its key and its first chain in ./sealog-data, and
/// listens on http://127.0.0.1:7740. Ctrl-C or SIGTERM ends it once everything acknowledged is archived. With [kafka] in
/// the configuration it takes the raw topics as well, and shares the work with other processes.
#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    from: From,
    /// Where to take events [default: 127.0.0.1:7740]. Beyond loopback it needs http.tokens and TLS.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where somebody has put junk at the key of what is due next in the bucket, lay what is due over it. Without it the
    /// archiver halts there. For once, under an administrator's identity: the archiver's own may not write over anything.
    #[arg(long)]
    lay_over_junk: bool,
    /// Print a configuration with every key and its default, and exit.
    #[arg(long)]
    example: bool,
}

pub fn run(up: &Up) -> Result<ExitCode> {
    if up.example {
        print!("{EXAMPLE}");
        return Ok(ExitCode::SUCCESS);
    }
    daemon::up(&up.from.read(&[("http.listen", up.listen.as_deref())])?, up.lay_over_junk)
}
