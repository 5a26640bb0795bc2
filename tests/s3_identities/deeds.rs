//! Everything that somebody could try in a bucket with an identity's credentials, one request each, past the store.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials as Keys, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, DefaultRetention, ExpirationStatus,
    LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, ObjectLockConfiguration, ObjectLockEnabled,
    ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockMode, ObjectLockRetention,
    ObjectLockRetentionMode, ObjectLockRule, VersioningConfiguration,
};
use runtime::{Clock, SystemClock};
use schemas::hex;
use store::s3::{Credentials, Options};
use store::{Mode, Version};

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Reads an object of that folder of the chain; `checkpoint` is the hint.
    Read(&'static str),
    /// The same by its version.
    ReadVersion(&'static str),
    SeeLock(&'static str),
    SeeHold,
    /// Lists that folder of the chain.
    List(&'static str),
    ListVersions(&'static str),
    /// Lists what is no archive of ours.
    ListElsewhere,
    LookAtVersioning,
    LookAtObjectLock,
    /// Puts a new object into that folder, if nothing is there.
    PutNew(&'static str),
    /// Lays a version over an object there.
    PutOver(&'static str),
    PutUnknown,
    PutElsewhere,
    CopyOver,
    BeginMultipart,
    Lengthen,
    Shorten(Mode),
    Downgrade,
    Hold,
    /// Lays a delete marker over a segment.
    Hide,
    DeleteVersion(Mode),
    DeleteProbe,
    SuspendVersions,
    ChangeDefault,
    SetPolicy,
    SetLifecycle,
    DeleteBucket,
    MakeAnotherBucket,
}

const FOLDERS: [&str; 5] = ["segments", "trees", "checkpoints", "keys", "schemas"];

impl Deed {
    /// Each, in each folder where that may make a difference.
    pub fn all() -> Vec<Deed> {
        use Deed::*;
        let mut all =
            vec![SeeHold, ListElsewhere, LookAtVersioning, LookAtObjectLock, PutUnknown, PutElsewhere];
        for folder in FOLDERS.into_iter().chain(["checkpoint"]) {
            all.extend([Read(folder), ReadVersion(folder), SeeLock(folder), List(folder)]);
            all.extend([ListVersions(folder), PutOver(folder)]);
        }
        all.extend(FOLDERS.map(PutNew));
        all.extend([
            List(""),
            ListVersions(""),
            PutNew("probe"),
            CopyOver,
            BeginMultipart,
            Lengthen,
            Hold,
            Hide,
        ]);
        for mode in [Mode::Compliance, Mode::Governance] {
            all.extend([Shorten(mode), DeleteVersion(mode)]);
        }
        all.extend([Downgrade, DeleteProbe, SuspendVersions, ChangeDefault, SetPolicy, SetLifecycle]);
        all.extend([DeleteBucket, MakeAnotherBucket]);
        all
    }
}

/// Whoever has these credentials, at one bucket. The chain is `chain` below the prefix.
pub struct Actor {
    client: Client,
    options: Options,
    chain: String,
    runtime: tokio::runtime::Runtime,
}

/// S3's name for why not.
pub type Refused = String;

impl Actor {
    pub fn new(options: &Options, chain: &str) -> Actor {
        let Credentials::Given { access_key, secret, session } = &options.credentials else { panic!("keys") };
        let config = aws_sdk_s3::config::Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(options.endpoint.clone().unwrap())
            .region(Region::new("us-east-1"))
            .force_path_style(true)
            .credentials_provider(Keys::new(access_key, secret, session.clone(), None, "stolen"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (options, chain) = (options.clone(), chain.to_owned());
        Actor { client: Client::from_conf(config.build()), options, chain, runtime }
    }

    /// The key in the bucket of what stands in that folder.
    pub fn key(&self, folder: &str, name: &str) -> String {
        let name = if folder == "checkpoint" { String::new() } else { format!("/{name}") };
        format!("{}/{}/{folder}{name}", self.options.prefix, self.chain)
    }

    /// Puts what is to be read and attacked, under a lock of that mode, and answers its version.
    pub fn put(&self, key: &str, mode: Option<Mode>) -> Version {
        let request = self.client.put_object().bucket(&self.options.bucket).key(key);
        let mode = mode.map(|mode| match mode {
            Mode::Compliance => ObjectLockMode::Compliance,
            Mode::Governance => ObjectLockMode::Governance,
        });
        let until = mode.is_some().then(|| after_hours(24));
        let request = request.set_object_lock_mode(mode).set_object_lock_retain_until_date(until);
        let written = self.run(request.body(ByteStream::from_static(b"evidence")).send()).unwrap();
        Version(written.version_id().unwrap().to_owned())
    }

    /// Does it. `victims`: what it is done to.
    pub fn tries(&self, deed: Deed, victims: &Victims) -> Result<(), Refused> {
        let (client, bucket) = (&self.client, self.options.bucket.as_str());
        let fresh = hex(&runtime::random_bytes::<8>());
        let victim = |folder: &str| victims.version(folder);
        let segment = self.key("segments", "0");
        match deed {
            Deed::Read(folder) => {
                self.done(client.get_object().bucket(bucket).key(self.key(folder, "0")).send())
            }
            Deed::ReadVersion(folder) => {
                let request = client.get_object().bucket(bucket).key(self.key(folder, "0"));
                self.done(request.version_id(victim(folder)).send())
            }
            Deed::SeeLock(folder) => {
                let request = client.get_object_retention().bucket(bucket).key(self.key(folder, "0"));
                self.done(request.version_id(victim(folder)).send())
            }
            Deed::SeeHold => match self
                .done(client.get_object_legal_hold().bucket(bucket).key(segment).send())
            {
                // There is none.
                Err(code) if code == "InvalidRequest" || code == "NoSuchObjectLockConfiguration" => Ok(()),
                answer => answer,
            },
            Deed::List(folder) => {
                self.done(client.list_objects_v2().bucket(bucket).prefix(self.prefix(folder)).send())
            }
            Deed::ListVersions(folder) => {
                self.done(client.list_object_versions().bucket(bucket).prefix(self.prefix(folder)).send())
            }
            Deed::ListElsewhere => {
                self.done(client.list_objects_v2().bucket(bucket).prefix("elsewhere/").send())
            }
            Deed::LookAtVersioning => self.done(client.get_bucket_versioning().bucket(bucket).send()),
            Deed::LookAtObjectLock => self.done(client.get_object_lock_configuration().bucket(bucket).send()),
            Deed::PutNew(folder) => {
                let request =
                    client.put_object().bucket(bucket).key(self.key(folder, &fresh)).if_none_match("*");
                let request = request.object_lock_mode(ObjectLockMode::Compliance);
                self.done(request.object_lock_retain_until_date(after_hours(1)).send())
            }
            Deed::PutOver(folder) => {
                self.done(client.put_object().bucket(bucket).key(self.key(folder, "0")).send())
            }
            Deed::PutUnknown => {
                self.done(client.put_object().bucket(bucket).key(self.key("README", "0")).send())
            }
            Deed::PutElsewhere => self.done(client.put_object().bucket(bucket).key("elsewhere/0").send()),
            Deed::CopyOver => {
                let request = client.copy_object().bucket(bucket).key(&segment);
                self.done(request.copy_source(format!("{bucket}/{}", self.key("trees", "0"))).send())
            }
            Deed::BeginMultipart => self
                .done(client.create_multipart_upload().bucket(bucket).key(self.key("trees", "junk")).send()),
            Deed::Lengthen => self.relock(Mode::Compliance, ObjectLockRetentionMode::Compliance, 48, victims),
            Deed::Shorten(mode) => {
                let kept = match mode {
                    Mode::Compliance => ObjectLockRetentionMode::Compliance,
                    Mode::Governance => ObjectLockRetentionMode::Governance,
                };
                self.relock(mode, kept, 1, victims)
            }
            Deed::Downgrade => {
                self.relock(Mode::Compliance, ObjectLockRetentionMode::Governance, 48, victims)
            }
            Deed::Hold => {
                let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On).build();
                self.done(client.put_object_legal_hold().bucket(bucket).key(segment).legal_hold(hold).send())
            }
            Deed::Hide => self.done(client.delete_object().bucket(bucket).key(segment).send()),
            Deed::DeleteVersion(mode) => {
                let (key, version) = victims.locked(mode);
                let request = client.delete_object().bucket(bucket).key(key).version_id(version);
                self.done(request.bypass_governance_retention(true).send())
            }
            Deed::DeleteProbe => {
                let (key, version) = &victims.probe;
                self.done(client.delete_object().bucket(bucket).key(key).version_id(&version.0).send())
            }
            Deed::SuspendVersions => {
                let off =
                    VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
                self.done(client.put_bucket_versioning().bucket(bucket).versioning_configuration(off).send())
            }
            Deed::ChangeDefault => {
                let default = DefaultRetention::builder().mode(ObjectLockRetentionMode::Compliance).days(1);
                let rule = ObjectLockRule::builder().default_retention(default.build()).build();
                let whole =
                    ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled);
                let request = client.put_object_lock_configuration().bucket(bucket);
                self.done(request.object_lock_configuration(whole.rule(rule).build()).send())
            }
            Deed::SetPolicy => {
                let policy = format!(
                    "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":\"*\",\
                     \"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::{bucket}/*\"}}]}}"
                );
                self.done(client.put_bucket_policy().bucket(bucket).policy(policy).send())
            }
            Deed::SetLifecycle => {
                let rule = LifecycleRule::builder()
                    .id("junk")
                    .status(ExpirationStatus::Enabled)
                    .filter(LifecycleRuleFilter::builder().prefix("").build())
                    .expiration(LifecycleExpiration::builder().days(1).build())
                    .build()
                    .unwrap();
                let rules = BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
                let request = client.put_bucket_lifecycle_configuration().bucket(bucket);
                self.done(request.lifecycle_configuration(rules).send())
            }
            Deed::DeleteBucket => self.done(client.delete_bucket().bucket(bucket).send()),
            Deed::MakeAnotherBucket => {
                self.done(client.create_bucket().bucket(format!("test-{fresh}")).send())
            }
        }
    }

    fn prefix(&self, folder: &str) -> String {
        match folder {
            "" => format!("{}/", self.options.prefix),
            "checkpoint" => self.key("checkpoint", ""),
            folder => self.key(folder, ""),
        }
    }

    /// Of a version that is locked in that mode, until so many hours from now.
    fn relock(
        &self,
        of: Mode,
        mode: ObjectLockRetentionMode,
        hours: i64,
        victims: &Victims,
    ) -> Result<(), Refused> {
        let (key, version) = victims.locked(of);
        let retention =
            ObjectLockRetention::builder().mode(mode).retain_until_date(after_hours(hours)).build();
        let request = self.client.put_object_retention().bucket(&self.options.bucket).key(key);
        let request = request.version_id(version).retention(retention).bypass_governance_retention(true);
        self.done(request.send())
    }

    fn done<T, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
        &self,
        request: impl Future<Output = Result<T, SdkError<E, R>>>,
    ) -> Result<(), Refused> {
        self.run(request).map(drop)
    }

    fn run<T, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
        &self,
        request: impl Future<Output = Result<T, SdkError<E, R>>>,
    ) -> Result<T, Refused> {
        let patience = Duration::from_secs(20);
        let answer = self.runtime.block_on(async { tokio::time::timeout(patience, request).await });
        answer.expect("an answer").map_err(|error| match error.code() {
            Some(code) => code.to_owned(),
            None => format!("{error:?}"),
        })
    }
}

/// What stands in the bucket to be read and attacked.
pub struct Victims {
    /// By folder.
    pub versions: Vec<(&'static str, Version)>,
    pub compliance: (String, Version),
    pub governance: (String, Version),
    /// It is not locked.
    pub probe: (String, Version),
}

impl Victims {
    /// Put by root.
    pub fn put(root: &Actor) -> Victims {
        let put = |key: String, mode| {
            let version = root.put(&key, mode);
            (key, version)
        };
        let folders = FOLDERS.into_iter().chain(["checkpoint"]);
        Victims {
            versions: folders
                .map(|folder| (folder, root.put(&root.key(folder, "0"), Some(Mode::Compliance))))
                .collect(),
            compliance: put(root.key("segments", "1"), Some(Mode::Compliance)),
            governance: put(root.key("segments", "2"), Some(Mode::Governance)),
            probe: put(root.key("probe", "0"), None),
        }
    }

    fn version(&self, folder: &str) -> String {
        self.versions.iter().find(|(of, _)| *of == folder).unwrap().1.0.clone()
    }

    fn locked(&self, mode: Mode) -> (&str, &str) {
        let (key, version) = if mode == Mode::Compliance { &self.compliance } else { &self.governance };
        (key, &version.0)
    }
}

fn after_hours(hours: i64) -> DateTime {
    DateTime::from_secs(SystemClock.wall().0 / 1_000_000 + hours * 3_600)
}
