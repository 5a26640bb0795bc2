//! `sealog locks`

mod longer;
mod print;
mod walk;

use std::io::{self, BufWriter};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use runtime::{Clock, SystemClock};
use schemas::Micros;
use store::s3::S3;
use store::{Lock, Retention, Version};

use super::verify::locked;
use crate::archive::{AtS3, Place};
use crate::config::period;
use longer::{Least, Longer};
use print::Printer;
use walk::{Class, Rules, pages, walk};

/// See what holds each object of an archive in its place, version by version, and lock it for longer.
///
/// Lists mode, end and legal hold of every version, the delete markers, and what lies over what. What is not locked, or
/// for less than was promised, what is hidden, laid over something, or nothing of Sealog's is a finding. It reads no
/// content: whether a version is evidence, and which, `sealog verify` says.
///
/// Exit codes: 0 no findings; 1 findings; 2 usage; 3 something could not be read or locked.
#[derive(Debug, Args)]
pub struct Locks {
    /// The archive: s3://bucket/prefix.
    #[arg(value_name = "ARCHIVE")]
    archive: String,
    #[command(flatten)]
    at: AtS3,
    /// What each object was to be locked with from when it was written, as compliance:7y or governance:90d. Without it,
    /// what the bucket's default retention says.
    #[arg(long, value_name = "MODE:PERIOD", value_parser = locked)]
    locked: Option<Retention>,
    /// Lock what is locked for less than this, from when it was written, for so long. Nothing is locked for less than it
    /// is. Without --yes it is only said what would be done.
    #[arg(long, value_name = "PERIOD", conflicts_with = "until")]
    extend: Option<String>,
    /// The same until a date, such as 2036-11-21 (in UTC, as it begins) or 2036-11-21T09:30:00Z.
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Do it. What is locked in compliance mode cannot be given up before its time, by nobody.
    #[arg(long)]
    yes: bool,
    /// List only versions with findings, and those to be locked for longer.
    #[arg(long)]
    findings: bool,
    /// Print JSON: a line for each version, and one with the summary.
    #[arg(long)]
    json: bool,
}

const FINDINGS: u8 = 1;
const USAGE: u8 = 2;
const NOT_READ: u8 = 3;
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Never `Err`: its exit code would read as findings.
pub fn run(args: &Locks) -> Result<ExitCode> {
    let asked = match Asked::read(args, SystemClock.wall()) {
        Ok(asked) => asked,
        Err(error) => return Ok(said(USAGE, &error)),
    };
    Ok(match look(args, &asked) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(FINDINGS),
        Err(error) => said(NOT_READ, &error),
    })
}

fn said(code: u8, error: &anyhow::Error) -> ExitCode {
    eprintln!("sealog locks: {error:#}");
    ExitCode::from(code)
}

/// What was asked for, once it makes sense.
struct Asked {
    place: Place,
    least: Option<Least>,
}

impl Asked {
    fn read(args: &Locks, now: Micros) -> Result<Asked> {
        let least = match (&args.extend, &args.until) {
            (Some(text), _) => Some(Least::Period(period_of(text).context("--extend")?)),
            (None, Some(text)) => Some(Least::Until(date(text, now).context("--until")?)),
            (None, None) if args.yes => bail!("--yes to what? Give --extend or --until"),
            (None, None) => None,
        };
        let place = Place::of(&args.archive, &args.at)?;
        match place {
            Place::Bucket(_) => Ok(Asked { place, least }),
            Place::Folder(_) if least.is_none() => Ok(Asked { place, least }),
            Place::Folder(_) => bail!("{} is a folder, and a folder locks nothing", args.archive),
            #[cfg(feature = "http")]
            Place::Web(..) => bail!("{}: a web server shows no locks: give the bucket itself", args.archive),
        }
    }
}

fn period_of(text: &str) -> Result<Duration> {
    let period = period(text).filter(|period| (Duration::from_secs(1)..=LONGEST).contains(period));
    period.with_context(|| format!("{text:?}: give a period such as 7y (of 365 days) or 90d, 1s to 100y"))
}

fn date(text: &str, now: Micros) -> Result<Micros> {
    let at = Micros::parse_rfc3339(text)
        .with_context(|| format!("{text:?}: give a date such as 2036-11-21, or 2036-11-21T09:30:00Z"))?;
    let last = now.0.saturating_add(LONGEST.as_micros() as i64);
    match (now.0..=last).contains(&at.0) {
        true => Ok(at),
        false => bail!("{text} is not within the next 100 years"),
    }
}

/// How many findings there are.
fn look(args: &Locks, asked: &Asked) -> Result<u64> {
    if let Some(store) = asked.place.bucket()? {
        return look_at_bucket(args, asked, &store);
    }
    eprintln!(
        "sealog locks: {} is a folder, and a folder locks nothing: whoever may write there can delete the evidence. Archive \
         to a bucket with Object Lock",
        args.archive
    );
    let rules = Rules { promise: None, now: SystemClock.wall(), longer: None };
    let mut printer = Printer::new(BufWriter::new(io::stdout().lock()), args.json, args.findings);
    let store = asked.place.open()?;
    let walked = walk(&*store, &|take| pages(&*store, take), &rules, |found| Ok(printer.line(found, false)?));
    let summary = printer.end(walked.is_ok(), None)?;
    walked.and_then(|()| summary.verdict())
}

fn look_at_bucket(args: &Locks, asked: &Asked, store: &S3) -> Result<u64> {
    let promise = match args.locked {
        Some(told) => Some(told),
        None => promise_of(store)?,
    };
    let lock_with = |key: &str, version: &Version, lock: Lock| store.extend(key, version, lock);
    let longer = match asked.least {
        None => None,
        Some(least) => {
            let Some(Retention { mode, .. }) = promise else {
                bail!("the bucket's default retention says no mode to lock in: give --locked");
            };
            Some(Longer { least, mode, lock_with: args.yes.then_some(&lock_with as _) })
        }
    };
    let rules = Rules { promise, now: SystemClock.wall(), longer };
    let mut printer = Printer::new(BufWriter::new(io::stdout().lock()), args.json, args.findings);
    let mut sees_locks = false;
    let walked = walk(store, &|take| store.each_version("", take), &rules, |found| {
        // What is hidden from us would read as if it were not there, of every object.
        let is_looked_at = found.refused.is_none() && found.class != Class::Unknown;
        if !sees_locks && is_looked_at && !found.kept.delete_marker && found.kept.lock.is_none() {
            if !store.may_see_lock(found.key, &found.kept.version)? {
                bail!(
                    "this identity may not see locks: give it s3:GetObjectRetention, as deploy/iam/auditor.json does"
                );
            }
            sees_locks = true;
        }
        Ok(printer.line(found, args.yes)?)
    });
    let summary = printer.end(walked.is_ok(), promise)?;
    walked?;
    if summary.keys == 0 {
        bail!("{}: nothing is there: is this the archive's root?", args.archive);
    }
    summary.verdict()
}

/// What the bucket promises by itself.
fn promise_of(store: &S3) -> Result<Option<Retention>> {
    match store.look_at_bucket() {
        Ok(bucket) if !bucket.object_lock => {
            bail!("the bucket has no Object Lock: nothing in it can be locked")
        }
        Ok(bucket) => Ok(bucket.default_retention),
        // Any lock is taken for good then, and that is said.
        Err(error) if error.kind() == store::Kind::Refused => {
            eprintln!("sealog locks: what the bucket promises is not known, give --locked: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
