//! Locking a version for longer. Nothing here makes a lock shorter or weaker, whoever's credentials it is called with.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};

use super::S3;
use super::attempt::within;
use crate::{Error, Kind, Lock, Mode, Result, Store, Version};

impl S3 {
    /// Locks a version until `lock` says, rounded up to a whole second, and answers what it is locked with then, as
    /// the server says. Equal is done already. `Refused` if the lock that is there is stricter or ends later: it is
    /// read before and not touched. Needs the rights to read and to put retentions.
    pub fn extend(&self, key: &str, version: &Version, lock: Lock) -> Result<Lock> {
        let until_s = lock.until.0.div_euclid(1_000_000) + i64::from(lock.until.0 % 1_000_000 != 0);
        let wanted = Lock { until: schemas::Micros(until_s.saturating_mul(1_000_000)), ..lock };
        let has = self.get(key, Some(version), Some(0..0), 0)?.lock;
        match has {
            Some(has) if has == wanted => return Ok(has),
            Some(has) => refuse_less(key, has, wanted)?,
            None => {}
        }
        let mode = match wanted.mode {
            Mode::Compliance => ObjectLockRetentionMode::Compliance,
            Mode::Governance => ObjectLockRetentionMode::Governance,
        };
        let until = DateTime::from_secs(until_s);
        let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(until).build();
        let full_key = self.full_key(key)?;
        let done = self.ask(0, |time| {
            let request = self.client.put_object_retention().bucket(&self.options.bucket).key(&full_key);
            within(time, request.version_id(&version.0).retention(retention.clone()).send())
        });
        done.map_err(|fault| fault.into_error(key, "locking it for longer"))?;
        match self.get(key, Some(version), Some(0..0), 0)?.lock {
            Some(has) if refuse_less(key, wanted, has).is_ok() => Ok(has),
            has => {
                let what = format!("the server took the longer lock, and says now that it is {}", shown(has));
                Err(Error::new(Kind::Refused, key, what))
            }
        }
    }
}

/// Nobody asks for less by mistake.
fn refuse_less(key: &str, has: Lock, wanted: Lock) -> Result<()> {
    let is_weaker = has.mode == Mode::Compliance && wanted.mode == Mode::Governance;
    match is_weaker || wanted.until < has.until {
        false => Ok(()),
        true => {
            let what = format!(
                "it is {}, and a lock is never made shorter or weaker: {} was asked for",
                shown(Some(has)),
                shown(Some(wanted))
            );
            Err(Error::new(Kind::Refused, key, what))
        }
    }
}

fn shown(lock: Option<Lock>) -> String {
    match lock {
        None => "unlocked".to_owned(),
        Some(Lock { mode: Mode::Compliance, until }) => format!("compliance until {}", until.rfc3339()),
        Some(Lock { mode: Mode::Governance, until }) => format!("governance until {}", until.rfc3339()),
    }
}

#[cfg(test)]
mod tests {
    use schemas::Micros;

    use super::*;

    #[test]
    fn a_lock_is_never_made_shorter_or_weaker() {
        let (compliance, governance) = (Mode::Compliance, Mode::Governance);
        let lock = |mode, until| Lock { mode, until: Micros(until) };
        for (has, wanted, is_taken) in [
            (lock(compliance, 5), lock(compliance, 6), true),
            (lock(governance, 5), lock(compliance, 5), true),
            (lock(governance, 5), lock(governance, 6), true),
            (lock(compliance, 5), lock(compliance, 4), false),
            (lock(governance, 5), lock(governance, 4), false),
            (lock(compliance, 5), lock(governance, 5), false),
            (lock(compliance, 5), lock(governance, 9), false),
            (lock(governance, 5), lock(compliance, 4), false),
        ] {
            assert_eq!(refuse_less("a", has, wanted).is_ok(), is_taken, "{has:?} {wanted:?}");
        }
    }
}
