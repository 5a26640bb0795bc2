//! The bucket itself: what it promises, and making one that promises enough.

use std::time::Duration;

use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, DefaultRetention,
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode, ObjectLockRule,
    PublicAccessBlockConfiguration, VersioningConfiguration,
};

use super::S3;
use super::attempt::within;
use super::fault::{Fault, Meaning};
use crate::{Error, Kind, Mode, Result, Retention};

/// What a bucket does by itself with each object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Whether what is laid over stays.
    pub versioning: Versioning,
    /// Whether versions can be locked.
    pub object_lock: bool,
    /// What a version is locked with, if its writer says nothing.
    pub default_retention: Option<Retention>,
    /// Whether nobody can make it public. None: the server does not know of it, or does not say it to us.
    pub public_access_blocked: Option<bool>,
}

/// Whether a bucket keeps versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// It does.
    On,
    /// It did: the versions from then are there, new ones replace each other.
    Suspended,
    /// It never has.
    Never,
}

const DAY_S: u64 = 24 * 60 * 60;

impl S3 {
    /// What the bucket promises. `Missing` if there is none. It needs the rights to read its versioning and its Object
    /// Lock configuration.
    pub fn look_at_bucket(&self) -> Result<Bucket> {
        let name = &self.options.bucket;
        let versioning =
            self.ask(0, |time| within(time, self.client.get_bucket_versioning().bucket(name).send()));
        let versioning = versioning.map_err(|fault| self.bucket_error(fault, "looking at its versioning"))?;
        let versioning = match versioning.status() {
            Some(BucketVersioningStatus::Enabled) => Versioning::On,
            Some(_) => Versioning::Suspended,
            None => Versioning::Never,
        };
        let (object_lock, default_retention) = self.lock_configuration()?;
        let public_access_blocked = self.public_access_blocked()?;
        Ok(Bucket { versioning, object_lock, default_retention, public_access_blocked })
    }

    /// Makes the bucket, with Object Lock, and secures it. False if it is ours and there already: then nothing is
    /// changed, for it may hold another's evidence.
    pub fn make_bucket(&self) -> Result<bool> {
        let name = &self.options.bucket;
        let made = self.ask(0, |time| {
            let request = self.client.create_bucket().bucket(name).object_lock_enabled_for_bucket(true);
            within(time, request.set_create_bucket_configuration(self.place()).send())
        });
        match made {
            Ok(_) => self.secure_bucket().map(|()| true),
            Err(fault) if fault.code == "BucketAlreadyOwnedByYou" => Ok(false),
            Err(fault) => Err(self.bucket_error(fault, "making it")),
        }
    }

    /// Turns versions on, closes the bucket to the public where the server knows of it, and lets it lock by default at
    /// least as the store was opened to, in whole days rounded up. For a bucket with Object Lock; it takes nothing away
    /// and can be repeated.
    pub fn secure_bucket(&self) -> Result<()> {
        self.turn_on_versions()?;
        self.block_public_access()?;
        let Some(wanted) = self.options.retention else { return Ok(()) };
        let default = self.lock_configuration()?.1;
        match default.map_or(wanted, |default| stricter(default, wanted)) {
            set if Some(set) == default => Ok(()),
            set => self.set_default_retention(set),
        }
    }

    /// AWS wants to be told where, but for its first region.
    fn place(&self) -> Option<CreateBucketConfiguration> {
        let region = self.client.config().region()?.as_ref();
        let is_told = self.options.endpoint.is_none() && region != "us-east-1";
        is_told.then(|| {
            let place = BucketLocationConstraint::from(region);
            CreateBucketConfiguration::builder().location_constraint(place).build()
        })
    }

    fn lock_configuration(&self) -> Result<(bool, Option<Retention>)> {
        let name = &self.options.bucket;
        let answer =
            self.ask(0, |time| within(time, self.client.get_object_lock_configuration().bucket(name).send()));
        let answer = match answer {
            Ok(answer) => answer,
            Err(fault) if fault.meaning == Meaning::Unknown => return Ok((false, None)),
            Err(fault) => return Err(self.bucket_error(fault, "looking at its Object Lock")),
        };
        let Some(configuration) = answer.object_lock_configuration() else { return Ok((false, None)) };
        let is_on = configuration.object_lock_enabled() == Some(&ObjectLockEnabled::Enabled);
        let default = configuration.rule().and_then(|rule| rule.default_retention());
        Ok((is_on, default.and_then(retention_of)))
    }

    fn public_access_blocked(&self) -> Result<Option<bool>> {
        let name = &self.options.bucket;
        let answer =
            self.ask(0, |time| within(time, self.client.get_public_access_block().bucket(name).send()));
        match answer {
            Ok(answer) => Ok(answer.public_access_block_configuration().map(|block| {
                let all = [
                    block.block_public_acls(),
                    block.ignore_public_acls(),
                    block.block_public_policy(),
                    block.restrict_public_buckets(),
                ];
                all.iter().all(|part| *part == Some(true))
            })),
            Err(fault) if fault.code == "NoSuchPublicAccessBlockConfiguration" => Ok(Some(false)),
            Err(fault) if fault.meaning == Meaning::Again => {
                Err(self.bucket_error(fault, "looking who may read it"))
            }
            Err(_) => Ok(None),
        }
    }

    /// With Object Lock they are on by themselves, unless a server thinks otherwise.
    fn turn_on_versions(&self) -> Result<()> {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let done = self.ask(0, |time| {
            let request = self.client.put_bucket_versioning().bucket(&self.options.bucket);
            within(time, request.versioning_configuration(on.clone()).send())
        });
        done.map(drop).map_err(|fault| self.bucket_error(fault, "turning its versions on"))
    }

    /// Only where the server knows what it is asked: MinIO takes the request for another one. New buckets of AWS are
    /// closed.
    fn block_public_access(&self) -> Result<()> {
        if self.public_access_blocked()? != Some(false) {
            return Ok(());
        }
        let all = PublicAccessBlockConfiguration::builder().block_public_acls(true).ignore_public_acls(true);
        let all = all.block_public_policy(true).restrict_public_buckets(true).build();
        let done = self.ask(0, |time| {
            let request = self.client.put_public_access_block().bucket(&self.options.bucket);
            within(time, request.public_access_block_configuration(all.clone()).send())
        });
        done.map(drop).map_err(|fault| self.bucket_error(fault, "closing it to the public"))
    }

    fn set_default_retention(&self, retention: Retention) -> Result<()> {
        let mode = match retention.mode {
            Mode::Compliance => ObjectLockRetentionMode::Compliance,
            Mode::Governance => ObjectLockRetentionMode::Governance,
        };
        let days = retention.period.as_secs().div_ceil(DAY_S).max(1) as i32;
        let default = DefaultRetention::builder().mode(mode).days(days).build();
        let rule = ObjectLockRule::builder().default_retention(default).build();
        let whole = ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled);
        let whole = whole.rule(rule).build();
        let done = self.ask(0, |time| {
            let request = self.client.put_object_lock_configuration().bucket(&self.options.bucket);
            within(time, request.object_lock_configuration(whole.clone()).send())
        });
        done.map(drop).map_err(|fault| self.bucket_error(fault, "setting its default retention"))
    }

    fn bucket_error(&self, fault: Fault, doing: &str) -> Error {
        let name = &self.options.bucket;
        match fault.meaning {
            Meaning::NoBucket | Meaning::Missing => {
                Error::new(Kind::Missing, name, "there is no such bucket")
            }
            _ => fault.into_error(name, doing),
        }
    }
}

/// The stricter mode of the two, and the longer period.
fn stricter(a: Retention, b: Retention) -> Retention {
    let mode = if a.mode == Mode::Compliance { a.mode } else { b.mode };
    Retention { mode, period: a.period.max(b.period) }
}

/// None if it says nothing that we know.
fn retention_of(default: &DefaultRetention) -> Option<Retention> {
    let mode = match default.mode()? {
        ObjectLockRetentionMode::Compliance => Mode::Compliance,
        ObjectLockRetentionMode::Governance => Mode::Governance,
        _ => return None,
    };
    // A server may give both, and 0 for the one that is not set.
    let days = default.days().unwrap_or_default().max(0).unsigned_abs();
    let years = default.years().unwrap_or_default().max(0).unsigned_abs();
    let days = u64::from(days) + 365 * u64::from(years);
    (days > 0).then(|| Retention { mode, period: Duration::from_secs(days * DAY_S) })
}
