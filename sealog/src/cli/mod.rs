//! The command line: a file for each verb.

mod cat;
mod keygen;
mod send;
mod up;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Sealog turns the audit events of your services into evidence that a stranger can check.
///
/// Services send events over HTTP. Each gets its place in a hash chain, is signed for, and ends in an archive that
/// anyone can verify with the public key and nothing else.
#[derive(Debug, Parser)]
#[command(name = "sealog", version, propagate_version = true, max_term_width = 100, after_help = FIRST_STEPS)]
pub struct Sealog {
    #[command(subcommand)]
    command: Command,
}

const FIRST_STEPS: &str = "First steps:
  sealog up                               everything in one process, data in ./sealog-data
  echo '{\"action\":\"user.login\",\"actor\":\"alice\"}' | sealog send -
  sealog verify sealog-data/archive       about five seconds later
  sealog cat sealog-data/archive          the events as JSON lines

Exit codes: 0 done, 1 failed (verify: broken), 2 usage, 3 inconclusive, 4 the verifier failed.";

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Up),
    Send(send::Send),
    Verify(verify::Verify),
    Cat(cat::Cat),
    Keygen(keygen::Keygen),
}

impl Sealog {
    /// Does what was asked.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Up(up) => up::run(&up),
            Command::Send(send) => send::run(send),
            Command::Verify(verify) => verify::run(verify),
            Command::Cat(cat) => cat::run(cat),
            Command::Keygen(keygen) => keygen::run(&keygen),
        }
    }
}
