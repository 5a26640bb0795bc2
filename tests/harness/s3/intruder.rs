//! Who goes past the seam, as an attacker does who has got somebody's keys, be it those of the one who may do everything.
//! The suites of other crates take this file as theirs by its path.

use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials as Keys, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockRetention, ObjectLockRetentionMode,
};
use schemas::Micros;
use store::s3::Credentials;
use store::{Mode, Version};

use super::server::Server;

/// At one bucket.
pub struct Intruder {
    client: Client,
    bucket: String,
    runtime: tokio::runtime::Runtime,
}

/// What was answered: nothing, or S3's name for why not.
pub type Answer = Result<(), String>;

impl Intruder {
    /// With the keys of the one who may do everything.
    pub fn as_root(server: &Server, bucket: &str) -> Intruder {
        Intruder::with(server, Keys::new(&server.access, &server.secret, None, None, "root"), bucket)
    }

    /// With these keys.
    pub fn with_keys_of(server: &Server, credentials: &Credentials, bucket: &str) -> Intruder {
        let Credentials::Given { access_key, secret, session } = credentials else {
            panic!("keys that can be stolen");
        };
        Intruder::with(server, Keys::new(access_key, secret, session.clone(), None, "stolen"), bucket)
    }

    fn with(server: &Server, keys: Keys, bucket: &str) -> Intruder {
        let config = aws_sdk_s3::config::Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(&server.url)
            .region(Region::new("us-east-1"))
            .force_path_style(true)
            .credentials_provider(keys);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Intruder { client: Client::from_conf(config.build()), bucket: bucket.to_owned(), runtime }
    }

    /// Makes the bucket as anybody would: without Object Lock.
    pub fn make_plain_bucket(&self) {
        self.run(self.client.create_bucket().bucket(&self.bucket).send()).unwrap();
    }

    /// Deletes a version; without one lays a delete marker over the key.
    pub fn delete(&self, key: &str, version: Option<&Version>, bypass: bool) -> Answer {
        let request = self.client.delete_object().bucket(&self.bucket).key(key);
        let request = request.set_version_id(version.map(|version| version.0.clone()));
        self.run(request.set_bypass_governance_retention(bypass.then_some(true)).send()).map(drop)
    }

    /// Locks a version otherwise than it is.
    pub fn retain(&self, key: &str, version: &Version, mode: Mode, until: Micros, bypass: bool) -> Answer {
        let mode = match mode {
            Mode::Compliance => ObjectLockRetentionMode::Compliance,
            Mode::Governance => ObjectLockRetentionMode::Governance,
        };
        let until = DateTime::from_secs(until.0 / 1_000_000);
        let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(until).build();
        let request = self.client.put_object_retention().bucket(&self.bucket).key(key).version_id(&version.0);
        let request = request.retention(retention).set_bypass_governance_retention(bypass.then_some(true));
        self.run(request.send()).map(drop)
    }

    /// Takes the lock off.
    pub fn unlock(&self, key: &str, version: &Version) -> Answer {
        let request = self.client.put_object_retention().bucket(&self.bucket).key(key).version_id(&version.0);
        let request = request.retention(ObjectLockRetention::builder().build());
        self.run(request.bypass_governance_retention(true).send()).map(drop)
    }

    /// Puts a legal hold on a version.
    pub fn hold(&self, key: &str, version: &Version) {
        let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On).build();
        let request =
            self.client.put_object_legal_hold().bucket(&self.bucket).key(key).version_id(&version.0);
        self.run(request.legal_hold(hold).send()).unwrap();
    }

    /// Lays a version over whatever is there.
    pub fn lay_over(&self, key: &str, bytes: &[u8]) -> Version {
        let request = self.client.put_object().bucket(&self.bucket).key(key);
        let written = self.run(request.body(ByteStream::from(bytes.to_vec())).send()).unwrap();
        // MinIO keeps no versions of what a console takes for a folder.
        Version(written.version_id().unwrap_or("null").to_owned())
    }

    pub fn head(&self, key: &str, version: &Version) -> HeadObjectOutput {
        let request = self.client.head_object().bucket(&self.bucket).key(key).version_id(&version.0);
        self.run(request.checksum_mode(aws_sdk_s3::types::ChecksumMode::Enabled).send()).unwrap()
    }

    fn run<T, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
        &self,
        request: impl Future<Output = Result<T, SdkError<E, R>>>,
    ) -> Result<T, String> {
        let patience = Duration::from_secs(20);
        let answer = self.runtime.block_on(async { tokio::time::timeout(patience, request).await });
        answer.expect("an answer").map_err(|error| match error.code() {
            Some(code) => code.to_owned(),
            None => format!("{error:?}"),
        })
    }
}
