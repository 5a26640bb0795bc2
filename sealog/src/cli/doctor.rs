//! `sealog doctor`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::given::From;
use crate::cluster;

/// Look at every part that the configuration names, and say what to do about what is not right.
///
/// Changes nothing. Exit 0: nothing is wrong; 1: something is.
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    from: From,
}

pub fn run(doctor: &Doctor) -> Result<ExitCode> {
    cluster::doctor(&doctor.from.read(&[])?)
}
