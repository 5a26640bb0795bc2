//! Buckets with Object Lock: each test has its own, on a server that all share or on one that it may break.

pub mod identity;
pub mod intruder;
pub mod proxy;
pub mod server;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use runtime::SystemClock;
use store::s3::{Credentials, Options, S3};
use store::{Mode, Retention};

use super::process;
use server::{Make, Server};

/// What evidence is locked with in a test's bucket, unless the test says otherwise: nobody can lift it.
const LOCKED: Retention = Retention { mode: Mode::Compliance, period: Duration::from_secs(24 * 60 * 60) };

/// A bucket of a test's own, and the one who comes to it: its server's root, unless said otherwise.
#[derive(Clone)]
pub struct Bucket {
    /// What a store in it is opened with.
    pub options: Options,
    /// Lives as long as a test uses it.
    _shared: Option<Arc<Server>>,
}

impl Bucket {
    /// A new one, on the server that all tests share. None, said loudly, where there is none; with CI=true that is a
    /// failure.
    pub fn new(make: Make) -> Option<Bucket> {
        can_run(make, Server::missing(make)).then(|| {
            let server = Server::shared(make);
            Bucket { _shared: Some(server.clone()), ..Bucket::at(&server) }
        })
    }

    /// A new one on this server.
    pub fn at(server: &Server) -> Bucket {
        let bucket = Bucket::named_at(server);
        assert!(bucket.store().make_bucket().unwrap());
        bucket
    }

    /// The name of one that is not there yet.
    pub fn named_at(server: &Server) -> Bucket {
        let unique = u64::from_be_bytes(runtime::random_bytes());
        let options = Options {
            prefix: "evidence".to_owned(),
            endpoint: Some(server.url.clone()),
            path_style: true,
            ca_pem: server.ca_pem.clone(),
            retention: Some(LOCKED),
            credentials: Credentials::Given {
                access_key: server.access.clone(),
                secret: server.secret.clone(),
                session: None,
            },
            ..Options::new(&format!("test-{unique:016x}"))
        };
        Bucket { options, _shared: None }
    }

    /// The same bucket, reached at another URL, as through a proxy.
    pub fn through(&self, url: &str) -> Bucket {
        let options = Options { endpoint: Some(url.to_owned()), ..self.options.clone() };
        Bucket { options, ..self.clone() }
    }

    /// The same bucket, to which another comes.
    pub fn with(&self, credentials: Credentials) -> Bucket {
        Bucket { options: Options { credentials, ..self.options.clone() }, ..self.clone() }
    }

    /// A store in it.
    pub fn store(&self) -> S3 {
        S3::open(self.options.clone(), Arc::new(SystemClock)).unwrap()
    }

    /// As the archive in a configuration.
    pub fn toml(&self) -> String {
        let Retention { mode, period } = self.options.retention.expect("a retention");
        let mode = match mode {
            Mode::Compliance => "compliance",
            Mode::Governance => "governance",
        };
        format!(
            "[archive]\nurl = \"{}\"\nmode = \"{mode}\"\nretention = \"{}d\"\nendpoint = \"{}\"\n",
            self.url(),
            period.as_secs() / (24 * 60 * 60),
            self.endpoint()
        )
    }

    /// The archive, for a command that reads it.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.options.bucket, self.options.prefix)
    }

    /// The same, and how to get there.
    pub fn place(&self) -> Vec<String> {
        vec![self.url(), "--endpoint".to_owned(), self.endpoint().to_owned()]
    }

    /// The archive in it is whole, and kept as was promised, as the command says.
    pub fn verified(&self, what: &str) {
        process::is_whole(&self.place(), &self.env(), what);
    }

    /// What is in the environment of whoever comes to it, and nowhere else.
    pub fn env(&self) -> Vec<(String, String)> {
        let Credentials::Given { access_key, secret, session } = &self.options.credentials else {
            return Vec::new();
        };
        let mut env = vec![
            ("AWS_ACCESS_KEY_ID".to_owned(), access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), secret.clone()),
            ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
        ];
        env.extend(session.clone().map(|session| ("AWS_SESSION_TOKEN".to_owned(), session)));
        env
    }

    fn endpoint(&self) -> &str {
        self.options.endpoint.as_deref().expect("an endpoint")
    }
}

/// Whether this machine can run a server of the test's own. Where it cannot, that is said loudly; in CI it must.
pub fn can_run_a_server(make: Make) -> bool {
    can_run(make, Server::own_missing(make))
}

/// The same for one on a small disk.
pub fn can_run_on_a_small_disk(make: Make) -> bool {
    can_run(make, Server::own_missing(make).or_else(Server::small_disk_missing))
}

fn can_run(make: Make, missing: Option<String>) -> bool {
    let Some(missing) = missing else { return true };
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "CI tests on S3, but there is no {make:?}: {missing}"
    );
    let _ = writeln!(std::io::stderr(), "SKIPPED: no {make:?}: {missing}");
    false
}

/// Tests that take the server they run on, on each of the two.
macro_rules! on_both_servers {
    ($($test:ident,)*) => {
        mod on_minio {
            $(#[test]
            fn $test() {
                super::$test(super::Make::Minio);
            })*
        }
        mod on_versitygw {
            $(#[test]
            fn $test() {
                super::$test(super::Make::Versitygw);
            })*
        }
    };
}

pub(crate) use on_both_servers;
