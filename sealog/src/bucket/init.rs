//! `sealog init`, the bucket's part: makes it, or sees that the one that is there keeps evidence as configured.

use std::time::Duration;

use anyhow::{Result, bail};
use runtime::{Clock, SystemClock};
use schemas::Micros;
use store::s3::{self, S3};
use store::{Kind, Mode};

use super::fit::{Wrong, explain, in_words, more_by_default, refuse, wrong_with};
use super::open_for;
use crate::config::Bucket;

const PATIENCE: Duration = Duration::from_secs(20);

/// Makes what is missing and says what it made. `consent`: it may change what is there, and lock in compliance mode.
/// True if it changed anything.
pub fn init(bucket: &Bucket, consent: bool) -> Result<bool> {
    let s3 = open_for(bucket, PATIENCE)?;
    let changed = match s3.look_at_bucket() {
        Ok(promises) => mend(bucket, &s3, &promises, consent)?,
        Err(error) if error.kind() == Kind::Missing => {
            make(bucket, &s3, consent)?;
            true
        }
        Err(error) => return Err(explain(bucket, error)),
    };
    let promises = s3.look_at_bucket()?;
    refuse(bucket, &promises)?;
    if promises.public_access_blocked.is_none() {
        println!(
            "bucket {}: the server does not say who may read it: see that no policy makes it public",
            bucket.name
        );
    }
    if let Some(more) = more_by_default(bucket, promises.default_retention) {
        println!("{more}");
    }
    println!("{}", what_it_means(bucket, SystemClock.wall()));
    Ok(changed)
}

fn make(bucket: &Bucket, s3: &S3, consent: bool) -> Result<()> {
    refuse_compliance(bucket, consent)?;
    if s3.make_bucket()? {
        println!(
            "made bucket {}: versions, Object Lock, by default {}",
            bucket.name,
            s3.look_at_bucket()?.default_retention.map_or("nothing".to_owned(), in_words)
        );
    }
    Ok(())
}

/// What differs is touched only if it was asked for, and a bucket without Object Lock not even then.
fn mend(bucket: &Bucket, s3: &S3, promises: &s3::Bucket, consent: bool) -> Result<bool> {
    let wrong = wrong_with(promises, bucket.retention);
    let is_open = promises.public_access_blocked == Some(false);
    let mut said: Vec<String> = wrong.iter().map(|wrong| format!("\n  {wrong}")).collect();
    if is_open {
        said.push("\n  nothing keeps it from being made public: run `sealog init --yes`".to_owned());
    }
    if wrong.contains(&Wrong::Lock) || (!said.is_empty() && !consent) {
        bail!(
            "the bucket {} differs from what is configured, and nothing was touched:{}",
            bucket.name,
            said.concat()
        );
    }
    if said.is_empty() {
        let default = promises.default_retention.map_or("nothing".to_owned(), in_words);
        println!("bucket {} is there: versions, Object Lock, by default {default}", bucket.name);
        return Ok(false);
    }
    s3.secure_bucket()?;
    let now = s3.look_at_bucket()?;
    if now.versioning != promises.versioning {
        println!("set on bucket {}: versions are on", bucket.name);
    }
    if let Some(default) =
        now.default_retention.filter(|default| Some(*default) != promises.default_retention)
    {
        println!("set on bucket {}: default retention {}", bucket.name, in_words(default));
    }
    if now.public_access_blocked != promises.public_access_blocked {
        println!("set on bucket {}: public access is blocked", bucket.name);
    }
    Ok(true)
}

/// Nobody locks for years by mistake.
fn refuse_compliance(bucket: &Bucket, consent: bool) -> Result<()> {
    if bucket.retention.mode == Mode::Governance || consent {
        return Ok(());
    }
    bail!(
        "archive.mode is compliance. {}. Nobody can take that back: not the owner of the account, and not its provider; \
         the bucket cannot be deleted either, and its costs run as long. If this is meant, run `sealog init --yes`; for a \
         trial set archive.mode = \"governance\" or a short archive.retention. Nothing was made",
        what_it_means(bucket, SystemClock.wall())
    );
}

/// Until when what is written cannot be deleted, and who could lift that.
fn what_it_means(bucket: &Bucket, now: Micros) -> String {
    let period_us = i64::try_from(bucket.retention.period.as_micros()).unwrap_or(i64::MAX);
    let until = Micros(now.0.saturating_add(period_us)).rfc3339();
    let who = match bucket.retention.mode {
        Mode::Compliance => "and nobody can lift that",
        Mode::Governance => "unless somebody with the right s3:BypassGovernanceRetention lifts it",
    };
    format!(
        "What is archived in {bucket} is kept in {}: what is written now cannot be deleted before {until}, {who}",
        in_words(bucket.retention)
    )
}
