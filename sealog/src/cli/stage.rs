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

/// What the archiver takes besides.
#[derive(Debug, Args)]
pub struct Archiver {
    #[command(flatten)]
    stage: Stage,
    /// Where somebody has put junk at the key of what is due next, lay what is due over it. Without it the archiver halts
    /// there. For once, under an administrator's identity: the archiver's own may not write over anything.
    #[arg(long)]
    lay_over_junk: bool,
}

pub fn run_archiver(archiver: &Archiver) -> Result<ExitCode> {
    run(&archiver.stage, daemon::Stage::Archiver { lay_over: archiver.lay_over_junk })
}
