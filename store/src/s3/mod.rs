//! An archive in a bucket of AWS S3 or of a server that speaks it. With Object Lock each object is held in its place
//! from the moment it is written: nobody can delete or replace that version, and whoever lays another over it leaves
//! it to be seen in the list of versions.
//!
//! One object is one PutObject with its SHA-256, never a multipart upload. Conditions (`If-None-Match`, `If-Match`)
//! keep the promises of the seam. What may work later is asked again here, for as long as [`Timeouts`] say; then the
//! answer is `Away`. So `Exists` and `Changed` may mean an earlier try of the same call, whose answer was lost.
//!
//! Where servers differ:
//! * A key under a delete marker is free on AWS and MinIO. versitygw says that it is not.
//! * versitygw tells a lock apart from the object. So an object that seems to have none is asked about once more, and
//!   one whose lock is not ours to see has none for us.
//! * An object under somebody's own key (SSE-C) cannot be looked at. What the list says of it is enough to lay another
//!   over it; on MinIO that write goes without its condition, which is compared before.
//! * When an object was written is told in whole seconds: no server says more of it in every answer.
//! * A list out of order, or with keys that were not asked for, is refused: what is missing from it would look as if
//!   it were not there.
//!
//! A bucket without versions and Object Lock proves nothing: [`S3::look_at_bucket`] says what it has. Nothing
//! but `probe` deletes, shortens a lock or bypasses one.

mod attempt;
mod bucket;
mod checkup;
mod connect;
mod extend;
mod fault;
mod get;
mod list;
mod options;
mod probe;
mod put;
mod veiled;
mod versions;

use std::ops::Range;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::DateTime;
use runtime::Clock;
use schemas::Micros;
use tokio::runtime::Runtime;

pub use bucket::{Bucket, Versioning};
pub use options::{Credentials, Encryption, Options, Timeouts};
pub use probe::{Answer, Attack};

use crate::{Error, Keep, Kind, Listing, Object, Page, Result, Retention, Store, Tag, Version, key};

/// The store over a bucket. Its verbs block, and must not be called on a thread that runs futures.
pub struct S3 {
    client: Client,
    options: Options,
    /// What stands before each key: empty, or with a slash at its end.
    prefix: String,
    clock: Arc<dyn Clock>,
    /// Last, so that what still hangs on a connection ends after those who wait for it.
    runtime: Runtime,
}

impl S3 {
    /// Makes the client. The bucket is not asked yet, only where the region or the credentials must be found.
    pub fn open(options: Options, clock: Arc<dyn Clock>) -> Result<S3> {
        let prefix = match options.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        key::check_prefix(&prefix)?;
        options.check()?;
        let runtime = connect::runtime(&options)?;
        let client = runtime.block_on(connect::client(&options, clock.clone()))?;
        Ok(S3 { client, options, prefix, clock, runtime })
    }

    /// The key in the bucket.
    fn full_key(&self, key: &str) -> Result<String> {
        key::check(key)?;
        let full = format!("{}{key}", self.prefix);
        match full.len() <= key::MAX_KEY_BYTES {
            true => Ok(full),
            false => Err(Error::new(Kind::Refused, key, "with the prefix it is longer than 1024 bytes")),
        }
    }
}

/// A server says nothing of versions where a bucket has none, or `null`: the same.
fn version_of(said: Option<&str>) -> Version {
    Version(said.unwrap_or("null").to_owned())
}

/// All that a server says of one object in every answer.
fn whole_seconds(time: &DateTime) -> Micros {
    Micros(time.secs().saturating_mul(1_000_000))
}

impl Store for S3 {
    fn put_new(&self, key: &str, body: &[u8], keep: Keep) -> Result<Version> {
        self.put(key, body, keep, put::Condition::Absent).map_err(|error| match error.kind() {
            Kind::Changed => Error::new(Kind::Exists, key, "something is there already"),
            _ => error,
        })
    }

    fn replace_if(&self, key: &str, expected: Option<&Tag>, body: &[u8], keep: Keep) -> Result<Version> {
        let condition = expected.map_or(put::Condition::Absent, put::Condition::Is);
        self.put(key, body, keep, condition)
    }

    fn get(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        self.read(key, version, range, max_bytes)
    }

    fn retention(&self) -> Option<Retention> {
        self.options.retention
    }

    fn list(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page> {
        key::check_prefix(prefix)?;
        match listing {
            Listing::Newest(limit) => self.list_newest(prefix, after, limit.max(1)),
            Listing::Versions(limit) => self.list_versions(prefix, after, limit.max(1)),
        }
    }
}
