//! The command line: a file for each verb.

#[cfg(feature = "s3")]
mod archive;
mod cat;
mod check;
mod doctor;
mod export_tlog;
mod given;
#[cfg(any(feature = "kafka", feature = "s3"))]
mod init;
mod keygen;
#[cfg(feature = "s3")]
mod locks;
mod prove;
#[cfg(feature = "kafka")]
mod recover;
mod send;
mod serve_tlog;
#[cfg(feature = "kafka")]
mod stage;
mod up;
mod verdict;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[cfg(feature = "kafka")]
use crate::daemon::Stage;

/// Sealog turns the audit events of your services into evidence that a stranger can check.
///
/// Services send events over HTTP or Kafka. Each gets its place in a hash chain, is signed for, and ends in an archive that
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
    /// Take events, from raw topics and over HTTP, and write them to audit.events. Any number share the raw topics.
    #[cfg(feature = "kafka")]
    Ingestor(stage::Stage),
    /// Seal audit.events. Any number share the chains; each chain is sealed by one at a time.
    #[cfg(feature = "kafka")]
    Chainer(stage::Stage),
    /// Archive audit.sealed. Any number share the chains. It has no key, and deletes nothing.
    #[cfg(feature = "kafka")]
    Archiver(stage::Archiver),
    /// Let go of what is archived. It alone needs the right to delete records.
    #[cfg(feature = "kafka")]
    Trimmer(stage::Stage),
    #[cfg(any(feature = "kafka", feature = "s3"))]
    Init(init::Init),
    Doctor(doctor::Doctor),
    #[cfg(feature = "kafka")]
    Recover(recover::Recover),
    Send(send::Send),
    Verify(verify::Verify),
    Cat(cat::Cat),
    Prove(prove::Prove),
    Check(check::Check),
    ServeTlog(serve_tlog::ServeTlog),
    ExportTlog(export_tlog::ExportTlog),
    #[cfg(feature = "s3")]
    Locks(locks::Locks),
    #[cfg(feature = "s3")]
    Archive(archive::Archive),
    Keygen(keygen::Keygen),
}

impl Sealog {
    /// Does what was asked.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Up(up) => up::run(&up),
            #[cfg(feature = "kafka")]
            Command::Ingestor(stage) => stage::run(&stage, Stage::Ingestor),
            #[cfg(feature = "kafka")]
            Command::Chainer(stage) => stage::run(&stage, Stage::Chainer),
            #[cfg(feature = "kafka")]
            Command::Archiver(archiver) => stage::run_archiver(&archiver),
            #[cfg(feature = "kafka")]
            Command::Trimmer(stage) => stage::run(&stage, Stage::Trimmer),
            #[cfg(any(feature = "kafka", feature = "s3"))]
            Command::Init(init) => init::run(&init),
            Command::Doctor(doctor) => doctor::run(&doctor),
            #[cfg(feature = "kafka")]
            Command::Recover(recover) => recover::run(recover),
            Command::Send(send) => send::run(send),
            Command::Verify(verify) => verify::run(verify),
            Command::Cat(cat) => cat::run(cat),
            Command::Prove(prove) => prove::run(&prove),
            Command::Check(check) => check::run(&check),
            Command::ServeTlog(serve) => serve_tlog::run(&serve),
            Command::ExportTlog(export) => export_tlog::run(&export),
            #[cfg(feature = "s3")]
            Command::Locks(locks) => locks::run(&locks),
            #[cfg(feature = "s3")]
            Command::Archive(archive) => archive::run(&archive),
            Command::Keygen(keygen) => keygen::run(&keygen),
        }
    }
}
