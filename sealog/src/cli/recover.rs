//! `sealog recover`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::given::From;
use crate::cluster::{self, Recovery};

/// Let the chains go on from their archive when Kafka is gone.
///
/// For each chain whose audit.sealed is empty it makes a Head from the archive, and an event that says so is the first
/// that is sealed. Where audit.events is still there it goes on behind the last event that was archived. Refused if the
/// guard shows that more was signed than is archived: then begin under a new origin with --continues. Run `sealog
/// verify` on the archive first. Topics that are missing are made.
#[derive(Debug, Args)]
pub struct Recover {
    #[command(flatten)]
    from: From,
    /// The guards are lost as well: go on although more may have been signed than is archived. It stands in the record.
    #[arg(long)]
    without_guard: bool,
    /// audit.sealed is there, but audit.events is another topic than before: go on from its start.
    #[arg(long)]
    new_source: bool,
    /// The configured origin is new; record on its chains that they continue those of this one, as far as archived.
    #[arg(long, value_name = "ORIGIN", conflicts_with_all = ["without_guard", "new_source"])]
    continues: Option<String>,
}

pub fn run(recover: Recover) -> Result<ExitCode> {
    let recovery = Recovery {
        without_guard: recover.without_guard,
        new_source: recover.new_source,
        continues: recover.continues,
    };
    cluster::recover(&recover.from.read(&[])?, &recovery)
}
