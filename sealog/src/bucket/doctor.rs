//! What `sealog doctor` looks at in a bucket. Everything here only reads.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use schemas::{Layout, Micros, Place};
use store::s3::{self, S3};
use store::{Entry, Kind, Listing, Store};

use super::fit::{Wrong, explain, in_words, more_by_default, wrong_with};
use super::{open_for, probe};
use crate::config::{Bucket, Encryption};
use crate::doctor::Findings;

const PATIENCE: Duration = Duration::from_secs(10);
/// Locks are dated by this machine's clock.
const MAX_SKEW_US: i64 = 60_000_000;
/// A whole number of seconds is all that a server says.
const SECOND_US: i64 = 1_000_000;

/// Looks at the bucket, for the chains of `origin` where it is known. Answers the archive if it can be read.
pub fn examine(
    findings: &mut Findings,
    bucket: &Bucket,
    origin: Option<&str>,
    probes: bool,
) -> Option<Arc<dyn Store>> {
    let s3 = match open_for(bucket, PATIENCE) {
        Ok(s3) => s3,
        Err(error) => {
            findings.wrong(format_args!("archive.url: {error:#}"));
            return None;
        }
    };
    let layout = origin.map(|origin| Layout::of(&chainer::chain_origin(origin, 0)));
    let promises = match s3.look_at_bucket() {
        Ok(promises) => Some(promises),
        Err(error) => {
            let kind = error.kind();
            findings.wrong(explain(bucket, error));
            // Whoever may only read can still see the rest.
            if kind != Kind::Refused || list(&s3, layout.as_ref()).is_err() {
                return None;
            }
            None
        }
    };
    let mut is_locking = false;
    if let Some(promises) = &promises {
        findings.right(format_args!("{bucket}: the bucket answers, and knows these credentials"));
        is_locking = look_at_promises(findings, bucket, promises);
    }
    look_at_clock(findings, &s3, layout.as_ref());
    let newest = look_at_rights(findings, &s3, layout.as_ref())?;
    look_at_encryption(findings, &s3, bucket, newest.as_ref());
    match (probes, origin) {
        (false, _) => {}
        (true, None) => findings.wrong("not probed: the origin is not known: give it in the configuration"),
        (true, Some(_)) if !is_locking => {
            findings.wrong("not probed: the bucket must have versions and Object Lock first");
        }
        (true, Some(origin)) => {
            if let Err(error) = probe::probe(findings, bucket, origin) {
                findings.wrong(format_args!("the probe could not be ended: {error:#}"));
            }
        }
    }
    Some(Arc::new(s3))
}

/// Whether what is written there can be locked.
fn look_at_promises(findings: &mut Findings, bucket: &Bucket, promises: &s3::Bucket) -> bool {
    let wrong = wrong_with(promises, bucket.retention);
    let has = |kind: fn(&Wrong) -> bool| wrong.iter().any(kind);
    let (no_versions, no_lock) =
        (has(|wrong| matches!(wrong, Wrong::Versions(_))), has(|wrong| matches!(wrong, Wrong::Lock)));
    if !no_versions {
        findings.right("versioning: on");
    }
    if !no_lock {
        findings.right("Object Lock: on");
    }
    if let Some(default) =
        promises.default_retention.filter(|_| !has(|wrong| matches!(wrong, Wrong::Default { .. })))
    {
        findings.right(format_args!(
            "default retention: {}; configured: {}",
            in_words(default),
            in_words(bucket.retention)
        ));
    }
    if let Some(more) = more_by_default(bucket, promises.default_retention) {
        findings.note(more);
    }
    wrong.iter().for_each(|wrong| findings.wrong(format_args!("the bucket {}: {wrong}", bucket.name)));
    match promises.public_access_blocked {
        Some(true) => findings.right("public access: blocked"),
        Some(false) => findings.wrong(format_args!(
            "the bucket {}: nothing keeps it from being made public: run `sealog init --yes`",
            bucket.name
        )),
        None => findings.note(
            "public access: the server does not say. See that no policy of the bucket lets everybody read it",
        ),
    }
    !no_versions && !no_lock
}

fn look_at_clock(findings: &mut Findings, s3: &S3, layout: Option<&Layout>) {
    let prefix = layout.map(Layout::checkpoints).unwrap_or_default();
    match s3.server_time(&prefix) {
        // That it may not list is said elsewhere.
        Err(_) | Ok(None) => findings.note("clock: the server does not say what time it is"),
        Ok(Some((before, server, after))) => match skew_us(before, server, after) {
            skew if skew.abs() > MAX_SKEW_US => findings.wrong(format_args!(
                "clock: this machine is {} s {} the server: set both by NTP. Locks are dated by this clock, and a server \
                 refuses requests that are 15 minutes off",
                skew.abs() / SECOND_US,
                if skew < 0 { "behind" } else { "ahead of" }
            )),
            _ => findings.right("clock: within a minute of the server's"),
        },
    }
}

/// How far we are ahead, at least: the answer was dated at some time between the two, to a whole second.
fn skew_us(before: Micros, server: Micros, after: Micros) -> i64 {
    if before.0 > server.0 + SECOND_US {
        before.0 - server.0 - SECOND_US
    } else if after.0 < server.0 {
        after.0 - server.0
    } else {
        0
    }
}

fn list(s3: &S3, layout: Option<&Layout>) -> Result<Option<Entry>> {
    let folders = match layout {
        None => vec![String::new()],
        Some(layout) => vec![layout.keys(), layout.checkpoints()],
    };
    let mut newest = None;
    for folder in folders {
        let page = s3.list(&folder, "", Listing::Newest(1))?;
        newest = page.entries.into_iter().next().or(newest);
    }
    Ok(newest)
}

/// Whether what is there may be listed and read. Answers None if not, else something that is there, if anything is.
fn look_at_rights(findings: &mut Findings, s3: &S3, layout: Option<&Layout>) -> Option<Option<Entry>> {
    let may_list = "list: needs the right s3:ListBucket on the bucket";
    let found = match list(s3, layout) {
        Ok(found) => found,
        Err(error) => {
            findings.wrong(format_args!("{may_list}: {error:#}"));
            return None;
        }
    };
    let folder = layout.map(Layout::checkpoints).unwrap_or_default();
    if let Err(error) = s3.list(&folder, "", Listing::Versions(1)) {
        findings.wrong(format_args!(
            "list versions: needs the right s3:ListBucketVersions on the bucket: {error}"
        ));
    }
    let key = found.as_ref().map(|entry| entry.key.clone());
    let key =
        key.unwrap_or_else(|| layout.map_or("checkpoint".to_owned(), |layout| layout.key(&Place::Hint)));
    match s3.get(&key, None, Some(0..1), 1) {
        Ok(object) => {
            findings.right("rights: what is there may be listed and read");
            match s3.may_see_lock(&key, &object.version) {
                Ok(true) => findings.right("rights: locks may be seen"),
                Ok(false) => findings.wrong(
                    "rights: locks may not be seen, and whoever archives or audits must: s3:GetObjectRetention",
                ),
                Err(error) => findings.wrong(error),
            }
        }
        Err(error) if error.kind() == Kind::Missing => {
            findings.right("rights: it may be listed and read; nothing is archived yet");
        }
        Err(error) => findings
            .wrong(format_args!("read: needs the rights s3:GetObject and s3:GetObjectVersion: {error}")),
    }
    Some(found)
}

fn look_at_encryption(findings: &mut Findings, s3: &S3, bucket: &Bucket, found: Option<&Entry>) {
    let is = match found.map(|entry| s3.encryption_of(&entry.key)) {
        None if bucket.encryption == Encryption::Bucket => return,
        None => {
            return findings
                .note("encryption: nothing is archived yet; each write is checked, and --probe tries one");
        }
        Some(Err(error)) => return findings.wrong(format_args!("encryption: {error}")),
        Some(Ok(is)) => is,
    };
    let words = match &is {
        s3::Encryption::OfTheBucket => "none that the server tells of".to_owned(),
        s3::Encryption::ServerKeys => "keys of the server".to_owned(),
        s3::Encryption::KmsKey(key) => format!("KMS key {}", key.as_deref().unwrap_or("of the account")),
    };
    match is_as_configured(&is, &bucket.encryption) {
        true => findings.right(format_args!("encryption: {words}")),
        false => findings.wrong(format_args!(
            "encryption: what was archived first has {words}, but archive.encryption says otherwise: it was changed, or \
             the server does not do it"
        )),
    }
}

fn is_as_configured(is: &s3::Encryption, configured: &Encryption) -> bool {
    match (configured, is) {
        (Encryption::Bucket, _) => true,
        (Encryption::S3, s3::Encryption::ServerKeys) => true,
        (Encryption::Kms(None), s3::Encryption::KmsKey(_)) => true,
        (Encryption::Kms(Some(name)), s3::Encryption::KmsKey(Some(key))) => key.ends_with(name.as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_only_by_what_an_answer_in_whole_seconds_proves() {
        let at = |us: i64| Micros(1_000 * SECOND_US + us);
        assert_eq!(skew_us(at(100), at(0), at(200)), 0, "the server cut its fraction");
        assert_eq!(skew_us(at(-500_000), at(0), at(100)), 0);
        assert_eq!(skew_us(at(-10 * SECOND_US), at(0), at(-5 * SECOND_US)), -5 * SECOND_US);
        assert_eq!(skew_us(at(91 * SECOND_US), at(0), at(92 * SECOND_US)), 90 * SECOND_US);
    }
}
