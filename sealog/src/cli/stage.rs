//! `sealog ingestor`, `chainer`, `archiver`, `trimmer`: one stage, for a cluster.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::given::From;
use crate::daemon;

/// What each of them takes.
#[derive(Debug, Args)]
pub struct Stage {
    #[command(flatten)]
    from: From,
    /// Where /metrics is served, and where the ingestor takes events.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub fn run(stage: &Stage, which: daemon::Stage) -> Result<ExitCode> {
    daemon::stage(&stage.from.read(&[])?, which, stage.listen)
}
