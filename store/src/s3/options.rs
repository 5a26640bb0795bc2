//! What a store in a bucket is opened with.

use std::fmt;
use std::time::Duration;

use crate::{Error, Kind, Result, Retention};

/// Which bucket, where it is, and how it is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// The bucket's name.
    pub bucket: String,
    /// Where in the bucket the archive begins, without a slash at either end. Empty: at the bucket's root.
    pub prefix: String,
    /// The server's URL. None: AWS.
    pub endpoint: Option<String>,
    /// None: with an endpoint `us-east-1`, which servers other than AWS take; without one what the environment, the
    /// profile or the instance says.
    pub region: Option<String>,
    /// The bucket in the path, not in the host name.
    pub path_style: bool,
    /// The authorities, as PEM, that the endpoint's certificate may come from. None: those that the system trusts.
    pub ca_pem: Option<Vec<u8>>,
    /// What each object is locked with. None: with nothing but what the bucket does by itself.
    pub retention: Option<Retention>,
    /// How objects are encrypted at rest.
    pub encryption: Encryption,
    /// Who we are.
    pub credentials: Credentials,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl Options {
    /// For a bucket of AWS, with all else as found.
    pub fn new(bucket: &str) -> Options {
        Options {
            bucket: bucket.to_owned(),
            prefix: String::new(),
            endpoint: None,
            region: None,
            path_style: false,
            ca_pem: None,
            retention: None,
            encryption: Encryption::OfTheBucket,
            credentials: Credentials::Found,
            timeouts: Timeouts::default(),
        }
    }
}

impl Options {
    /// Refuses what no server takes.
    pub(super) fn check(&self) -> Result<()> {
        let refused = |what: String| Err(Error::new(Kind::Refused, &self.bucket, what));
        if self.bucket.is_empty() {
            return refused("the bucket has no name: set it".to_owned());
        }
        if let Some(endpoint) = &self.endpoint
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("https://")
        {
            return refused(format!(
                "the endpoint {endpoint:?} is no URL: begin it with https:// or http://"
            ));
        }
        match self.retention {
            Some(Retention { period, .. }) if !(SHORTEST..=LONGEST).contains(&period) => {
                refused("the retention period must be between a second and 100 years".to_owned())
            }
            _ => Ok(()),
        }
    }
}

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// Who encrypts at rest, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Nothing is asked for: what the bucket does by itself.
    OfTheBucket,
    /// With keys of the server (SSE-S3).
    ServerKeys,
    /// With a key of the key management service (SSE-KMS), by its name. None: with the account's own.
    KmsKey(Option<String>),
}

/// Where the access key comes from.
#[derive(Clone)]
pub enum Credentials {
    /// From where AWS's own tools look: environment variables, a profile's files, a web identity token, the container,
    /// the instance. They are looked for again when they expire.
    Found,
    /// These.
    Given {
        /// The access key's name.
        access_key: String,
        /// The secret that belongs to it.
        secret: String,
        /// Of a session that ends, the token.
        session: Option<String>,
    },
}

/// Without the secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Found => f.write_str("Found"),
            Credentials::Given { access_key, .. } => write!(f, "Given({access_key})"),
        }
    }
}

/// How long a verb waits before it answers `Away`: for `whole`, and one more attempt that was under way by then. What
/// moves many bytes gets a second more for each MiB.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the answer to one request.
    pub attempt: Duration,
    /// For an answer that says more than to try again.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let seconds = Duration::from_secs;
        Timeouts { connect: seconds(5), attempt: seconds(15), whole: seconds(60) }
    }
}
