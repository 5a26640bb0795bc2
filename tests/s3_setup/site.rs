//! A configuration that names a bucket, and the commands that are given it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use store::{Kind, Mode, Retention};
use tempfile::TempDir;

use crate::harness::process::{Up, said};
use crate::harness::s3::Bucket;
use crate::harness::s3::intruder::Intruder;
use crate::harness::s3::server::{Make, Server};

pub const ORIGIN: &str = "acme.example/audit";
pub const DAY: Duration = Duration::from_secs(86_400);

/// The bucket may not be there.
pub struct Site {
    pub bucket: Bucket,
    pub folder: Arc<TempDir>,
}

impl Site {
    /// None where no server can be had.
    pub fn new(make: Make, mode: Mode, days: u32) -> Option<Site> {
        Bucket::new(make)?;
        Some(Site::at(Bucket::named_at(&Server::shared(make)), mode, days))
    }

    pub fn at(bucket: Bucket, mode: Mode, days: u32) -> Site {
        let mut bucket = bucket;
        bucket.options.retention = Some(Retention { mode, period: DAY * days });
        Site { bucket, folder: Arc::new(tempfile::tempdir().unwrap()) }
    }

    /// The same bucket and data, configured otherwise.
    pub fn with(&self, mode: Mode, days: u32) -> Site {
        Site { folder: self.folder.clone(), ..Site::at(self.bucket.clone(), mode, days) }
    }

    /// Runs a command with the configuration, and `more` at its end.
    pub fn run_with(&self, args: &[&str], more: &str, env: &[(&str, &str)]) -> (Option<i32>, String) {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_sealog"))
            .args(args)
            .arg("--config")
            .arg(self.config(more))
            .envs(self.bucket.env())
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), said(&output) + &String::from_utf8(output.stderr).unwrap())
    }

    pub fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        self.run_with(args, "", &[])
    }

    /// Starts a command that runs on; what it said if it ended instead.
    pub fn start(&self, command: &str, more: &str, env: &[(&str, &str)]) -> Result<Up, String> {
        let config = self.config(more);
        let own = self.bucket.env();
        let all: Vec<(&str, &str)> = own
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(env.iter().copied())
            .collect();
        Up::try_run(&[command, "--config", config.to_str().unwrap()], &all)
    }

    fn config(&self, more: &str) -> PathBuf {
        let path = self.folder.path().join("sealog.toml");
        let data = self.folder.path().join("data");
        let toml = format!(
            "origin = \"{ORIGIN}\"\n{}[data]\ndir = \"{}\"\n[segment]\nmax_age = \"1s\"\n{more}",
            self.bucket.toml(),
            data.display()
        );
        std::fs::write(&path, toml).unwrap();
        path
    }

    /// What the bucket promises; None: there is none.
    pub fn promises(&self) -> Option<store::s3::Bucket> {
        match self.bucket.store().look_at_bucket() {
            Ok(promises) => Some(promises),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Missing, "{error}");
                None
            }
        }
    }

    pub fn as_root(&self, server: &Server) -> Intruder {
        Intruder::as_root(server, &self.bucket.options.bucket)
    }
}

/// The test, on each make of server.
pub fn each(test: impl Fn(Make)) {
    [Make::Minio, Make::Versitygw].into_iter().for_each(test);
}
