//! The stages on a broker: how fast, and what a chain costs.

use std::path::Path;

use anyhow::Result;
use runtime::{Clock, SystemClock};

use crate::deployment::{Deployment, PARTITIONS, wait_for};
use crate::load::EVENT_BYTES;

const QUICK: &str = "[segment]\nmax_age = \"10s\"\n";
/// How much each chain has sealed before it is weighed.
const EVENTS_A_CHAIN: u64 = 2_000;

/// Events a second from raw topics to archived, one `sealog up` with two chains, this process producing.
pub fn throughput(sealog: &Path, on: &Path, broker: &str, events: u64) -> Result<()> {
    let deployment = Deployment::make(sealog, on, broker, 2, None, QUICK)?;
    let server = deployment.start("up")?;
    let metric = "sealog_archiver_archived_size";
    deployment.produce(0, 0..1)?;
    wait_for(&server, "sealog_chainer_last_seq", 1.0)?;
    let start = SystemClock.boot().0;
    deployment.produce_all(1..events)?;
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
    print!("{}", deployment.verify()?);
    Ok(())
}

/// What a chain costs: each stage by itself, with so many chains, after each chain has sealed some.
pub fn chains(sealog: &Path, on: &Path, broker: &str, counts: &[u32]) -> Result<()> {
    for &count in counts {
        let deployment = Deployment::make(sealog, on, broker, count, None, QUICK)?;
        let stages = ["ingestor", "chainer", "archiver"].map(|stage| deployment.start(stage));
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
