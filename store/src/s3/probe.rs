//! Attacks on a lock, for whoever wants to see it hold. This alone asks a server to delete, to shorten or to weaken; it
//! is no part of the seam, and no stage knows of it. What an attack did is judged by reading the version again.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};

use super::S3;
use super::attempt::within;
use super::fault::{Fault, Meaning};
use crate::{Lock, Mode, Result, Version};

/// What is tried on a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// To delete it.
    Delete,
    /// To have it locked like this instead: for shorter, or in the weaker mode.
    Relock(Lock),
}

/// What the server said of it, which proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// That it was done.
    Done,
    /// That it was not, in S3's word.
    Refused(String),
}

impl S3 {
    /// Tries it on that very version. `bypass`: claims the right to bypass governance. Err(`Away`): there was no answer.
    ///
    /// What it is tried on may be gone afterwards: it is for objects that were written to be attacked.
    pub fn attack(&self, key: &str, version: &Version, attack: Attack, bypass: bool) -> Result<Answer> {
        let full_key = self.full_key(key)?;
        let answer = match attack {
            Attack::Delete => self.delete(&full_key, version, bypass),
            Attack::Relock(lock) => self.relock(&full_key, version, lock, bypass),
        };
        match answer {
            Ok(()) => Ok(Answer::Done),
            Err(fault) if fault.meaning == Meaning::Again => Err(fault.into_error(key, "probing its lock")),
            Err(fault) => Ok(Answer::Refused(fault.code)),
        }
    }

    fn delete(&self, full_key: &str, version: &Version, bypass: bool) -> Result<(), Fault> {
        let done = self.ask(0, |time| {
            let request = self.client.delete_object().bucket(&self.options.bucket).key(full_key);
            let request = request.version_id(&version.0);
            within(time, request.set_bypass_governance_retention(bypass.then_some(true)).send())
        });
        done.map(drop)
    }

    fn relock(&self, full_key: &str, version: &Version, lock: Lock, bypass: bool) -> Result<(), Fault> {
        let mode = match lock.mode {
            Mode::Compliance => ObjectLockRetentionMode::Compliance,
            Mode::Governance => ObjectLockRetentionMode::Governance,
        };
        let until = DateTime::from_secs(lock.until.0.div_euclid(1_000_000));
        let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(until).build();
        let done = self.ask(0, |time| {
            let request = self.client.put_object_retention().bucket(&self.options.bucket).key(full_key);
            let request = request.version_id(&version.0).retention(retention.clone());
            within(time, request.set_bypass_governance_retention(bypass.then_some(true)).send())
        });
        done.map(drop)
    }
}
