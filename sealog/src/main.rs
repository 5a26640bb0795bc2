//! Sealog: audit events become evidence. One command; `cli` has a file for each of its verbs.

mod archive;
#[cfg(feature = "s3")]
mod bucket;
mod cli;
#[cfg(feature = "kafka")]
mod cluster;
mod config;
mod daemon;
mod doctor;
mod tiles;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command = match cli::Sealog::try_parse() {
        Ok(command) => command,
        Err(help_or_error) => {
            let _ = help_or_error.print();
            return ExitCode::from(if help_or_error.use_stderr() { 2 } else { 0 });
        }
    };
    match command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sealog: {error:#}");
            ExitCode::FAILURE
        }
    }
}
