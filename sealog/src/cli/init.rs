//! `sealog init`

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use super::given::From;
use crate::config::{Archive, Config};

/// Make what a deployment on Kafka or with a bucket needs: the bucket with its locks, topics with the right settings,
/// the key, and the beginning of each chain.
///
/// Says what it made. It is safe to repeat: what is there is left as it is, and what is there and differs is an error
/// that says what to do.
#[derive(Debug, Args)]
pub struct Init {
    #[command(flatten)]
    from: From,
    /// Set those settings of the bucket and of topics that are there and differ, and make a bucket in compliance mode.
    #[arg(long)]
    yes: bool,
    /// Add chains, up to `chains`. Stop all stages before: a producer's events may go to another chain than before, and
    /// every chain records it.
    #[arg(long)]
    grow: bool,
}

pub fn run(init: &Init) -> Result<ExitCode> {
    let config = init.from.read(&[])?;
    let changed = init_bucket(&config, init.yes)?;
    #[cfg(feature = "kafka")]
    if config.kafka.is_some() {
        let consent = crate::cluster::Consent { settings: init.yes, grow: init.grow };
        return crate::cluster::init(&config, consent, changed);
    }
    if config.kafka.is_some() {
        bail!("this build has no Kafka client: build with --features kafka, or leave [kafka] out");
    }
    if matches!(config.archive, Archive::Directory(_)) {
        bail!(
            "there is no [kafka] in the configuration and no bucket: embedded, `sealog up` makes all it needs by itself"
        );
    }
    if !changed {
        println!("Everything was there already; nothing was changed.");
    }
    println!("Without [kafka], `sealog up` makes the rest by itself.");
    Ok(ExitCode::SUCCESS)
}

/// The bucket comes first: chains are begun in an archive that keeps them. True if anything was changed.
#[cfg_attr(not(feature = "s3"), allow(unused_variables))]
fn init_bucket(config: &Config, consent: bool) -> Result<bool> {
    match &config.archive {
        Archive::Directory(_) => Ok(false),
        #[cfg(feature = "s3")]
        Archive::S3(bucket) => crate::bucket::init(bucket, consent),
        #[cfg(not(feature = "s3"))]
        Archive::S3(_) => crate::daemon::open_archive(config).map(|_| false),
    }
}
