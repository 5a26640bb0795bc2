//! The archive's bucket as Sealog needs it: how it is opened, what it must promise, and what is said if it does not.

mod doctor;
mod fit;
mod init;
mod probe;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use runtime::SystemClock;
use store::Retention;
use store::s3::{self, S3};

use crate::config::{Bucket, Encryption};

pub use doctor::examine;
pub use fit::{in_words, look, refuse};
pub use init::init;

/// The store over the bucket, for every stage. The bucket is not asked yet.
pub fn open(bucket: &Bucket) -> Result<S3> {
    open_with(bucket, s3::Timeouts::default(), bucket.retention)
}

/// The same, with another lock for what is written.
pub fn open_with_retention(bucket: &Bucket, retention: Retention) -> Result<S3> {
    open_with(bucket, s3::Timeouts::default(), retention)
}

/// The same, for who does not wait for longer than this.
pub fn open_for(bucket: &Bucket, patience: Duration) -> Result<S3> {
    let timeouts = s3::Timeouts { connect: patience, attempt: patience, whole: patience };
    open_with(bucket, timeouts, bucket.retention)
}

fn open_with(bucket: &Bucket, timeouts: s3::Timeouts, retention: Retention) -> Result<S3> {
    let read =
        |path: &PathBuf| std::fs::read(path).with_context(|| format!("archive.ca: {}", path.display()));
    let mut options = s3::Options::new(&bucket.name);
    options.prefix = bucket.prefix.clone();
    options.endpoint = bucket.endpoint.clone();
    options.region = bucket.region.clone();
    options.path_style = bucket.path_style;
    options.ca_pem = bucket.ca.as_ref().map(read).transpose()?;
    options.retention = Some(retention);
    options.encryption = match &bucket.encryption {
        Encryption::Bucket => s3::Encryption::OfTheBucket,
        Encryption::S3 => s3::Encryption::ServerKeys,
        Encryption::Kms(key) => s3::Encryption::KmsKey(key.clone()),
    };
    options.timeouts = timeouts;
    Ok(S3::open(options, Arc::new(SystemClock))?)
}
