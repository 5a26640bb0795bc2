//! A deployment of its own on a broker: topics, a configuration, and an archive in a folder or in a bucket.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Result, ensure};
use runtime::{Clock, Deadline, Stop, SystemClock};
use stream::kafka::{Kafka, Options, Topic};
use stream::{Batch, Lane, Log};
use tempfile::TempDir;

use crate::load::event;
use crate::server::Server;

/// Of the raw topic, at least.
pub const PARTITIONS: u32 = 6;
const BATCH: u64 = 5_000;
const PATIENCE: Duration = Duration::from_secs(600);

/// An S3 server, and its root.
#[derive(Clone, Debug)]
pub struct S3 {
    /// Its URL.
    pub url: String,
    /// The access key.
    pub access: String,
    /// The secret that belongs to it.
    pub secret: String,
}

/// What is measured.
pub struct Deployment {
    sealog: PathBuf,
    /// Its data, and the archive if it is a folder. They go with it.
    _folder: TempDir,
    config: PathBuf,
    kafka: Kafka,
    raw: String,
    /// Where the archive is, as the commands take it that read one.
    place: Vec<String>,
    s3: Option<S3>,
}

impl Deployment {
    /// Makes it, with the archive in a new bucket of `s3`, or in a folder. `more` is TOML at the configuration's end.
    pub fn make(
        sealog: &Path,
        on: &Path,
        broker: &str,
        chains: u32,
        s3: Option<&S3>,
        more: &str,
    ) -> Result<Deployment> {
        let folder = tempfile::tempdir_in(on)?;
        let name = format!("bench-{}", runtime::uuid_v7(SystemClock.wall()));
        let prefix = format!("{name}.");
        let mut options = Options::new(broker);
        options.prefix = prefix.clone();
        let kafka = Kafka::connect(options)?;
        let raw = format!("{prefix}raw");
        let topic = Topic {
            name: raw.clone(),
            partitions: PARTITIONS.max(chains),
            replicas: Some(1),
            config: BTreeMap::new(),
        };
        kafka.create_topics(&[topic])?;
        let config = folder.path().join("sealog.toml");
        let data = folder.path().canonicalize()?;
        let (archive, place) = match s3 {
            None => {
                let path = data.join("archive").display().to_string();
                std::fs::create_dir(&path)?;
                (format!("url = \"file:{path}\"\n"), vec![path])
            }
            // Governance, so that whoever owns the server can throw it away.
            Some(S3 { url: endpoint, .. }) => {
                let url = format!("s3://{name}/archive");
                let lock = "mode = \"governance\"\nretention = \"1d\"\n";
                let toml = format!("url = \"{url}\"\nendpoint = \"{endpoint}\"\n{lock}");
                (toml, vec![url, "--endpoint".to_owned(), endpoint.clone()])
            }
        };
        let toml = format!(
            "origin = \"bench/{prefix}\"\nchains = {chains}\n[kafka]\nbrokers = \"{broker}\"\nprefix = \"{prefix}\"\n\
             raw_topics = [\"{raw}\"]\ndurability = \"single-broker\"\n[archive]\n{archive}[data]\ndir = \"{}\"\n{more}",
            data.join("data").display()
        );
        std::fs::write(&config, toml)?;
        let sealog = sealog.to_owned();
        let deployment = Deployment { sealog, _folder: folder, config, kafka, raw, place, s3: s3.cloned() };
        done(deployment.command("init").arg("--yes").output()?)?;
        Ok(deployment)
    }

    /// One of its commands.
    pub fn command(&self, verb: &str) -> Command {
        let mut command = self.bare(verb);
        command.arg("--config").arg(&self.config);
        command
    }

    fn bare(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.sealog);
        command.arg(verb);
        if let Some(s3) = &self.s3 {
            command.env("AWS_ACCESS_KEY_ID", &s3.access).env("AWS_SECRET_ACCESS_KEY", &s3.secret);
        }
        command
    }

    /// Starts one that runs on.
    pub fn start(&self, verb: &str) -> Result<Server> {
        Server::run(self.command(verb))
    }

    /// Sends events over a raw partition.
    pub fn produce(&self, partition: u32, events: std::ops::Range<u64>) -> Result<()> {
        let mut batch = Batch::new();
        let lane = batch.lane(&Lane::new(&self.raw, partition));
        events.for_each(|n| batch.push(lane, None, &[], event(n).as_bytes()));
        Ok(self.kafka.append(&batch)?)
    }

    /// Sends events over all raw partitions.
    pub fn produce_all(&self, events: std::ops::Range<u64>) -> Result<()> {
        for (nth, first) in events.clone().step_by(BATCH as usize).enumerate() {
            self.produce(nth as u32 % PARTITIONS, first..events.end.min(first + BATCH))?;
        }
        Ok(())
    }

    /// What the verifier says of what came out, and how long it took.
    pub fn verify(&self) -> Result<String> {
        let start = SystemClock.boot().0;
        let words = done(self.bare("verify").args(&self.place).output()?)?;
        let seconds = (SystemClock.boot().0 - start) as f64 / 1e6;
        Ok(format!("verify   {seconds:.2} s: {}\n", words.lines().last().unwrap_or_default()))
    }
}

/// What a command said that ended well.
fn done(output: Output) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

/// Waits until a metric, summed over all chains, is at least this.
pub fn wait_for(server: &Server, metric: &str, least: f64) -> Result<()> {
    let deadline = Deadline::after(PATIENCE);
    while server.metric(metric)? < least {
        ensure!(!deadline.passed(), "{metric} did not reach {least}");
        Stop::new().wait(Duration::from_millis(50));
    }
    Ok(())
}
