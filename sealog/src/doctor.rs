//! `sealog doctor`: looks at every part that the configuration names, and says what to do about each thing that is not
//! right. It changes nothing, unless it is asked to try a lock.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use schemas::Signing;
use store::Store;

use crate::config::{Archive, Config};
use crate::daemon::{look_at_gateway, open_archive, read_key};

/// What was found, as it is told.
#[derive(Default)]
pub struct Findings {
    wrong: usize,
}

impl Findings {
    /// Something is as it must be.
    pub fn right(&self, what: impl Display) {
        println!("ok     {what}");
    }

    /// Something that is to be known.
    pub fn note(&self, what: impl Display) {
        println!("note   {what}");
    }

    /// Something is wrong; `what` also says what to do.
    pub fn wrong(&mut self, what: impl Display) {
        self.wrong += 1;
        println!("WRONG  {what}");
    }

    /// What it is if it is right; else what is wrong.
    pub fn either<T>(&mut self, result: Result<T>, right: impl FnOnce(&T) -> String) -> Option<T> {
        match result {
            Ok(value) => {
                self.right(right(&value));
                Some(value)
            }
            Err(error) => {
                self.wrong(format_args!("{error:#}"));
                None
            }
        }
    }
}

/// Exit 0: nothing is wrong. `probes`: also tries to break a lock, on an object that is written for it.
pub fn doctor(config: &Config, probes: bool) -> Result<ExitCode> {
    if probes && matches!(config.archive, Archive::Directory(_)) {
        bail!(
            "--probe tries the locks of a bucket, but the archive is a folder, which locks nothing: leave it out"
        );
    }
    let mut findings = Findings::default();
    let key = look_at_key(&mut findings, config);
    findings.either(look_at_gateway(config), |address| format!("gateway: may listen on {address}"));
    let archive = look_at_archive(&mut findings, config, probes);
    match config.kafka {
        None => findings.note("no [kafka]: embedded, `sealog up` makes the rest by itself"),
        #[cfg(feature = "kafka")]
        Some(_) => crate::cluster::look(&mut findings, config, key.as_ref(), archive.as_deref()),
        #[cfg(not(feature = "kafka"))]
        Some(_) => findings
            .wrong("this build has no Kafka client: build with --features kafka, or leave [kafka] out"),
    }
    #[cfg(not(feature = "kafka"))]
    drop((key, archive));
    match findings.wrong {
        0 => println!("Nothing is wrong."),
        1 => println!("1 thing is wrong."),
        many => println!("{many} things are wrong."),
    }
    Ok(if findings.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn look_at_key(findings: &mut Findings, config: &Config) -> Option<Signing> {
    let path = config.chainer_key.clone().unwrap_or_else(|| config.data_dir.join("chainer.key"));
    match path.exists() {
        true => findings.either(read_key(&path).context("keys.chainer"), |_| {
            format!("key {}: readable, and by its owner alone", path.display())
        }),
        false => {
            findings.note(format_args!("no key at {}: only a chainer needs one", path.display()));
            None
        }
    }
}

/// The archive, if it answers.
#[cfg_attr(not(feature = "s3"), allow(unused_variables))]
fn look_at_archive(findings: &mut Findings, config: &Config, probes: bool) -> Option<Arc<dyn Store>> {
    #[cfg(feature = "s3")]
    if let Archive::S3(bucket) = &config.archive {
        let origin = match crate::daemon::kept_origin(config) {
            Ok(origin) => origin,
            Err(error) => {
                findings.wrong(format_args!("{error:#}"));
                None
            }
        };
        return crate::bucket::examine(findings, bucket, origin.as_deref(), probes);
    }
    let archive = open_archive(config).context("archive.url");
    findings.either(archive, |(_, place)| format!("archive {place}: reachable")).map(|(store, _)| store)
}
