//! Whether a bucket keeps what it is given: what it promises, held against the configuration.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use store::s3::{self, Versioning};
use store::{Kind, Mode, Retention};

use super::open_for;
use crate::config::{Bucket, period_in_words};

/// Something that the bucket does not promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Whatever is laid over something replaces it.
    Versions(Versioning),
    /// Nothing in it can be locked.
    Lock,
    /// By itself it locks nothing, or less than is configured.
    Default { is: Option<Retention>, wanted: Retention },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Versions(how) => {
                let how = if *how == Versioning::Suspended { "suspended" } else { "off" };
                write!(
                    f,
                    "its versioning is {how}, so what is laid over an object replaces it: run `sealog init --yes`"
                )
            }
            Wrong::Lock => write!(
                f,
                "it has no Object Lock, so whoever may delete can delete evidence. It cannot be turned on here: give \
                 archive.url a bucket that does not exist yet, and run `sealog init`, which makes it (on AWS, support can \
                 turn it on)"
            ),
            Wrong::Default { is: None, wanted } => write!(
                f,
                "it has no default retention, but {} is configured: run `sealog init --yes`",
                in_words(*wanted)
            ),
            Wrong::Default { is: Some(is), wanted } => write!(
                f,
                "its default retention is {}, but {} is configured: run `sealog init --yes`",
                in_words(*is),
                in_words(*wanted)
            ),
        }
    }
}

/// `compliance for 7 years`.
pub fn in_words(retention: Retention) -> String {
    format!("{} for {}", mode_name(retention.mode), period_in_words(retention.period))
}

/// As the configuration has it.
pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Compliance => "compliance",
        Mode::Governance => "governance",
    }
}

/// What is wrong with the bucket for evidence that is to be kept like this.
pub fn wrong_with(bucket: &s3::Bucket, wanted: Retention) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if bucket.versioning != Versioning::On {
        wrong.push(Wrong::Versions(bucket.versioning));
    }
    if !bucket.object_lock {
        wrong.push(Wrong::Lock);
        return wrong;
    }
    let is_enough = |is: &Retention| {
        is.period >= wanted.period && (is.mode == Mode::Compliance || wanted.mode == Mode::Governance)
    };
    if !bucket.default_retention.as_ref().is_some_and(is_enough) {
        wrong.push(Wrong::Default { is: bucket.default_retention, wanted });
    }
    wrong
}

/// What is to be known where the bucket does more by itself than is configured: what is archived is then found to have
/// too little, by whoever holds it against the default.
pub fn more_by_default(bucket: &Bucket, default: Option<Retention>) -> Option<String> {
    let default = default.filter(|is| {
        is.period > bucket.retention.period
            || (is.mode == Mode::Compliance && bucket.retention.mode == Mode::Governance)
    })?;
    Some(format!(
        "the bucket {} locks by default with {}, what is archived is locked with {}: `sealog verify` and `locks` hold it \
         against the default, unless they are told --locked {}:{}s",
        bucket.name,
        in_words(default),
        in_words(bucket.retention),
        mode_name(bucket.retention.mode),
        bucket.retention.period.as_secs()
    ))
}

/// What the bucket promises. None: it did not answer within `patience`, and may later. Err: there is none, or this
/// identity may not look at it.
pub fn look(bucket: &Bucket, patience: Duration) -> Result<Option<s3::Bucket>> {
    match open_for(bucket, patience)?.look_at_bucket() {
        Ok(promises) => Ok(Some(promises)),
        Err(error) if error.kind() == Kind::Away => {
            tracing::warn!("the bucket of {bucket} does not answer; it is asked again: {error}");
            Ok(None)
        }
        Err(error) => Err(explain(bucket, error)),
    }
}

/// What a person does about a bucket that cannot be looked at.
pub fn explain(bucket: &Bucket, error: store::Error) -> anyhow::Error {
    match error.kind() {
        Kind::Missing => anyhow!(
            "{bucket}: there is no bucket {}: run `sealog init`, which makes it, or correct archive.url",
            bucket.name
        ),
        Kind::Away => anyhow!("{bucket}: the bucket cannot be looked at: {error}"),
        _ => anyhow!(
            "{bucket}: the bucket cannot be looked at: {error}. It takes an identity with the rights \
             s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration on the bucket"
        ),
    }
}

/// Whoever writes evidence refuses a bucket that would not keep it.
pub fn refuse(bucket: &Bucket, promises: &s3::Bucket) -> Result<()> {
    let wrong: Vec<String> =
        wrong_with(promises, bucket.retention).iter().map(|wrong| format!("\n  {wrong}")).collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => bail!("the bucket of {bucket} does not keep evidence as it must:{}", wrong.concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn retention(mode: Mode, days: u32) -> Retention {
        Retention { mode, period: DAY * days }
    }

    fn right() -> s3::Bucket {
        s3::Bucket {
            versioning: Versioning::On,
            object_lock: true,
            default_retention: Some(retention(Mode::Compliance, 365)),
            public_access_blocked: None,
        }
    }

    #[test]
    fn a_bucket_that_keeps_as_much_or_more_is_right() {
        for wanted in [
            retention(Mode::Compliance, 365),
            retention(Mode::Governance, 365),
            retention(Mode::Compliance, 1),
            Retention { mode: Mode::Compliance, period: Duration::from_secs(3_600) },
        ] {
            assert_eq!(wrong_with(&right(), wanted), []);
        }
    }

    #[test]
    fn whatever_is_less_is_named_with_what_to_do() {
        let wanted = retention(Mode::Compliance, 365);
        let said = |change: &dyn Fn(&mut s3::Bucket)| {
            let mut bucket = right();
            change(&mut bucket);
            wrong_with(&bucket, wanted).iter().map(|wrong| format!("{wrong}\n")).collect::<String>()
        };
        assert!(said(&|b| b.versioning = Versioning::Suspended).contains("suspended"));
        assert!(said(&|b| b.versioning = Versioning::Never).contains("is off"));
        assert!(said(&|b| b.object_lock = false).contains("a bucket that does not exist yet"));
        assert!(
            said(&|b| b.default_retention = None).contains("no default retention, but compliance for 1 year")
        );
        let short = said(&|b| b.default_retention = Some(retention(Mode::Compliance, 364)));
        assert!(short.contains("364 days") && short.contains("sealog init --yes"), "{short}");
        assert!(
            said(&|b| b.default_retention = Some(retention(Mode::Governance, 9_999))).contains("governance")
        );
    }
}
