//! The stages on a broker: how fast, and what a chain costs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use runtime::{Clock, Deadline, Stop, SystemClock};
use stream::kafka::{Kafka, Options, Topic};
use stream::{Batch, Lane, Log};
use tempfile::TempDir;

use crate::load::{EVENT_BYTES, event};
use crate::server::{Server, verify};

const PARTITIONS: u32 = 6;
const BATCH: u64 = 5_000;
const PATIENCE: Duration = Duration::from_secs(600);
/// How much each chain has sealed before it is weighed.
const EVENTS_A_CHAIN: u64 = 2_000;

/// A deployment of its own on the broker.
struct Deployment {
    sealog: PathBuf,
    folder: TempDir,
    config: PathBuf,
    kafka: Kafka,
    raw: String,
}

impl Deployment {
    fn make(sealog: &Path, on: &Path, broker: &str, chains: u32) -> Result<Deployment> {
        let folder = tempfile::tempdir_in(on)?;
        let prefix = format!("bench-{}.", runtime::uuid_v7(SystemClock.wall()));
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
        std::fs::create_dir(data.join("archive"))?;
        let toml = format!(
            "origin = \"bench/{prefix}\"\nchains = {chains}\n[kafka]\nbrokers = \"{broker}\"\nprefix = \"{prefix}\"\n\
             raw_topics = [\"{raw}\"]\ndurability = \"single-broker\"\n[archive]\nurl = \"file:{}\"\n[data]\n\
             dir = \"{}\"\n[segment]\nmax_age = \"10s\"\n",
            data.join("archive").display(),
            data.join("data").display()
        );
        std::fs::write(&config, toml)?;
        let deployment = Deployment { sealog: sealog.to_owned(), folder, config, kafka, raw };
        let init = deployment.command("init").output()?;
        ensure!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        Ok(deployment)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.sealog);
        command.args([verb, "--config"]).arg(&self.config);
        command
    }

    fn produce(&self, partition: u32, events: std::ops::Range<u64>) -> Result<()> {
        let mut batch = Batch::new();
        let lane = batch.lane(&Lane::new(&self.raw, partition));
        events.for_each(|n| batch.push(lane, None, &[], event(n).as_bytes()));
        Ok(self.kafka.append(&batch)?)
    }
}

fn wait_for(server: &Server, metric: &str, least: f64) -> Result<()> {
    let deadline = Deadline::after(PATIENCE);
    while server.metric(metric)? < least {
        ensure!(!deadline.passed(), "{metric} did not reach {least}");
        Stop::new().wait(Duration::from_millis(50));
    }
    Ok(())
}

/// Events a second from raw topics to archived, one `sealog up` with two chains, this process producing.
pub fn throughput(sealog: &Path, on: &Path, broker: &str, events: u64) -> Result<()> {
    let deployment = Deployment::make(sealog, on, broker, 2)?;
    let server = Server::run(deployment.command("up"))?;
    let metric = "sealog_archiver_archived_size";
    deployment.produce(0, 0..1)?;
    wait_for(&server, "sealog_chainer_last_seq", 1.0)?;
    let start = SystemClock.boot().0;
    for (nth, first) in (1..events).step_by(BATCH as usize).enumerate() {
        deployment.produce(nth as u32 % PARTITIONS, first..events.min(first + BATCH))?;
    }
    let produced = (SystemClock.boot().0 - start) as f64 / 1e6;
    wait_for(&server, "sealog_chainer_last_seq", events as f64)?;
    let sealed = (SystemClock.boot().0 - start) as f64 / 1e6;
    wait_for(&server, metric, events as f64)?;
    let archived = (SystemClock.boot().0 - start) as f64 / 1e6;
    let rate = |seconds: f64| events as f64 / seconds;
    println!(
        "Kafka    {events} events of {EVENT_BYTES} B over {PARTITIONS} raw partitions, 2 chains, one process: produced \
         {:.0}/s, sealed {:.0}/s, archived {:.0}/s ({:.1} MB/s)",
        rate(produced),
        rate(sealed),
        rate(archived),
        rate(archived) * EVENT_BYTES as f64 / 1e6
    );
    println!("memory   {:.0} MiB at the peak, cpu {:.1} s", server.peak_mib()?, server.cpu_seconds()?);
    println!("stop     {:.2} s", server.stop()?);
    print!("{}", verify(sealog, deployment.folder.path())?);
    Ok(())
}

/// What a chain costs: each stage by itself, with so many chains, after each chain has sealed some.
pub fn chains(sealog: &Path, on: &Path, broker: &str, counts: &[u32]) -> Result<()> {
    for &count in counts {
        let deployment = Deployment::make(sealog, on, broker, count)?;
        let stages = ["ingestor", "chainer", "archiver"].map(|stage| Server::run(deployment.command(stage)));
        let [ingestor, chainer, archiver] = stages;
        let (ingestor, chainer, archiver) = (ingestor?, chainer?, archiver?);
        for partition in 0..PARTITIONS.max(count) {
            let first = u64::from(partition) * EVENTS_A_CHAIN;
            deployment.produce(partition, first..first + EVENTS_A_CHAIN)?;
        }
        let all = f64::from(PARTITIONS.max(count)) * EVENTS_A_CHAIN as f64;
        wait_for(&archiver, "sealog_archiver_archived_size", all)?;
        for (name, stage) in [("ingestor", &ingestor), ("chainer", &chainer), ("archiver", &archiver)] {
            let (mib, threads) = stage.mib_and_threads()?;
            println!(
                "chains   {count}: {name} {mib:.0} MiB, {:.0} at the peak, {threads} threads",
                stage.peak_mib()?
            );
        }
        let stopped = [ingestor.stop()?, chainer.stop()?, archiver.stop()?];
        println!("chains   {count}: stopped in {stopped:.2?} s");
    }
    Ok(())
}
