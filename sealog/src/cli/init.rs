//! `sealog init`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::given::From;
use crate::cluster::{self, Consent};

/// Make what a deployment on Kafka needs: topics with the right settings, the key, and the beginning of each chain.
///
/// Says what it made. It is safe to repeat: what is there is left as it is, and what is there and differs is an error
/// that says what to do.
#[derive(Debug, Args)]
pub struct Init {
    #[command(flatten)]
    from: From,
    /// Set those settings of topics that are there and differ.
    #[arg(long)]
    yes: bool,
    /// Add chains, up to `chains`. Stop all stages before: a producer's events may go to another chain than before, and
    /// every chain records it.
    #[arg(long)]
    grow: bool,
}

pub fn run(init: &Init) -> Result<ExitCode> {
    cluster::init(&init.from.read(&[])?, Consent { settings: init.yes, grow: init.grow })
}
