//! `sealog doctor`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::given::From;
use crate::doctor;

/// Look at every part that the configuration names, and say what to do about what is not right.
///
/// Changes nothing, but for what --probe writes. Exit 0: nothing is wrong; 1: something is.
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    from: From,
    /// Write an object into the archive's bucket, locked for a day, and try to delete it, to shorten its lock, to weaken it
    /// and to lay another over it. Run it under an administrator's identity: others prove nothing about the lock.
    #[arg(long)]
    probe: bool,
}

pub fn run(doctor: &Doctor) -> Result<ExitCode> {
    doctor::doctor(&doctor.from.read(&[])?, doctor.probe)
}
