//! `sealog archive repair`

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use archiver::repair::{Plan, carry_out, plan};
use clap::{Args, Subcommand};
use runtime::SystemClock;
use store::s3::{Options, S3};
use store::{Retention, Store};

use super::verify::locked;
use crate::archive::{AtS3, Place};
use crate::bucket::in_words;

/// Put an archive right that somebody has written to.
#[derive(Debug, Args)]
pub struct Archive {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Repair(Repair),
}

/// Lay the right version over what somebody laid over it, or hid.
///
/// Shows what would be done; with --yes does it, and says what was. What is right, the signed history says: the key's
/// own versions are looked through for the one that fits. Nothing is deleted: what was laid over stays, and `sealog
/// verify` and `sealog locks` go on reporting it. It needs an identity that may write over evidence, as
/// deploy/iam/administrator.json says.
///
/// Exit codes: 0 nothing is hidden any more; 1 something is, or has no right version left; 2 usage; 3 it could not be
/// looked at or done.
#[derive(Debug, Args)]
struct Repair {
    /// The archive: s3://bucket/prefix.
    #[arg(value_name = "ARCHIVE")]
    archive: String,
    #[command(flatten)]
    at: AtS3,
    /// What the versions that are laid over are locked with, as compliance:7y or governance:90d. Without it, as the
    /// bucket's default retention says.
    #[arg(long, value_name = "MODE:PERIOD", value_parser = locked)]
    locked: Option<Retention>,
    /// Do it.
    #[arg(long)]
    yes: bool,
}

const HIDDEN: u8 = 1;
const USAGE: u8 = 2;
const NOT_DONE: u8 = 3;

/// Never `Err`: its exit code would read as something hidden.
pub fn run(archive: &Archive) -> Result<ExitCode> {
    let Verb::Repair(args) = &archive.verb;
    let options = match bucket(args) {
        Ok(options) => options,
        Err(error) => return Ok(said(USAGE, &error)),
    };
    Ok(match repair(args, options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(HIDDEN),
        Err(error) => said(NOT_DONE, &error),
    })
}

fn said(code: u8, error: &anyhow::Error) -> ExitCode {
    eprintln!("sealog archive repair: {error:#}");
    ExitCode::from(code)
}

fn bucket(args: &Repair) -> Result<Options> {
    match Place::of(&args.archive, &args.at)? {
        Place::Bucket(options) => Ok(*options),
        _ => bail!(
            "{}: it keeps one version of each key, so there is nothing below to lay over it",
            args.archive
        ),
    }
}

/// Whether nothing is hidden, or not any more.
fn repair(args: &Repair, options: Options) -> Result<bool> {
    let store = open_to_write(args, options)?;
    let origins = verifier::origins(&store)?;
    if origins.is_empty() {
        bail!("{}: there is no chain in it: is this the archive's root?", args.archive);
    }
    let mut is_right = true;
    for origin in origins {
        let plan = plan(&store, &origin)?;
        show(&plan);
        is_right &= plan.lost.is_empty();
        if plan.steps.is_empty() {
            continue;
        }
        if !args.yes {
            is_right = false;
            continue;
        }
        let mut done = 0;
        let carried_out = carry_out(&store, &SystemClock, &plan, |step| {
            done += 1;
            println!("  done: {}", step.key);
        });
        println!("  {done} of {} done", plan.steps.len());
        carried_out?;
    }
    if !args.yes && !is_right {
        println!("nothing was written. Repeat it with --yes to write it");
    }
    if let (true, Some(retention)) = (args.yes, store.retention()) {
        println!("what was written is locked as {}", in_words(retention));
    }
    Ok(is_right)
}

/// What is laid over evidence is evidence, and locked as such.
fn open_to_write(args: &Repair, mut options: Options) -> Result<S3> {
    let open = |options: &Options| S3::open(options.clone(), Arc::new(SystemClock));
    options.retention = match args.locked {
        Some(told) => Some(told),
        None => open(&options)?.look_at_bucket()?.default_retention,
    };
    match options.retention {
        Some(_) => Ok(open(&options)?),
        None => Err(anyhow!("the bucket has no default retention to lock with: give --locked")),
    }
}

fn show(plan: &Plan) {
    println!("chain {}", plan.chain);
    if plan.steps.is_empty() && plan.lost.is_empty() {
        println!("  nothing hides what is signed");
    }
    plan.steps.iter().for_each(|step| println!("  {}", step.say()));
    for lost in &plan.lost {
        println!("  CANNOT BE PUT RIGHT {}: {}", lost.key, lost.why);
    }
    for key in &plan.uncovered {
        println!("  not covered by a Checkpoint yet, so left to the archiver: {key}");
    }
}
