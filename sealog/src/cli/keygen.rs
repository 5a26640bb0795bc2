//! `sealog keygen`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use crate::daemon::{make_key, read_key};

/// Make the key that signs, or show the public side of one.
///
/// The file is secret and readable by its owner only. What it prints is public: give it to your auditors.
#[derive(Debug, Args)]
pub struct Keygen {
    /// The key file to make.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The deployment's origin; the verifier key is that of its chain 0.
    #[arg(long, value_name = "NAME", default_value = "acme.example/audit")]
    origin: String,
    /// The file is there already: only print its public key.
    #[arg(long)]
    show: bool,
}

pub fn run(keygen: &Keygen) -> Result<ExitCode> {
    if let Err(why) = schemas::note::check_name(&keygen.origin) {
        bail!("--origin: {}", why.what);
    }
    if keygen.file.exists() && !keygen.show {
        bail!(
            "{} is there already, and a key is never overwritten: --show prints its public side",
            keygen.file.display()
        );
    }
    let signing = if keygen.show { read_key(&keygen.file)? } else { make_key(&keygen.file)? };
    println!("{}", signing.vkey(&chainer::chain_origin(&keygen.origin, 0)));
    Ok(ExitCode::SUCCESS)
}
