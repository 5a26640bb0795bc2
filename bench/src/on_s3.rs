//! The archiver on an S3 server with Object Lock: how fast it empties a backlog, what it holds, and what it asks the
//! server.

use std::path::Path;

use anyhow::Result;
use runtime::{Clock, SystemClock};

use crate::counting::{Counting, Counts};
use crate::deployment::{Deployment, S3, wait_for};
use crate::load::EVENT_BYTES;

/// What a segment holds at most.
const SEGMENTS_MIB: [u64; 2] = [8, 64];
const ARCHIVED: &str = "sealog_archiver_archived_size";

/// Events a second from audit.sealed to archived, and the peak memory of the archiver, for small and large segments.
pub fn throughput(sealog: &Path, on: &Path, broker: &str, s3: &S3, events: u64) -> Result<()> {
    for mib in SEGMENTS_MIB {
        let deployment = sealed(sealog, on, broker, s3, events, mib)?;
        let start = SystemClock.boot().0;
        let archiver = deployment.start("archiver")?;
        wait_for(&archiver, ARCHIVED, events as f64)?;
        let seconds = (SystemClock.boot().0 - start) as f64 / 1e6;
        let rate = events as f64 / seconds;
        let stored = archiver.metric("sealog_archiver_bytes_total")?;
        println!(
            "S3       {events} events of {EVENT_BYTES} B in {:.0} segments of at most {mib} MiB, 1 chain: archived \
             {rate:.0}/s ({:.1} MB/s of events, {:.1} MB/s stored)",
            archiver.metric("sealog_archiver_segments_total")?,
            rate * EVENT_BYTES as f64 / 1e6,
            stored / seconds / 1e6
        );
        let (peak, cpu) = (archiver.peak_mib()?, archiver.cpu_seconds()?);
        println!("memory   {peak:.0} MiB at the peak, cpu {cpu:.1} s");
        println!("stop     {:.2} s", archiver.stop()?);
        print!("{}", deployment.verify()?);
    }
    Ok(())
}

/// What the server is asked for so many events, by the archiver and then by the verifier. They are slower meanwhile:
/// each byte takes another turn.
pub fn requests(sealog: &Path, on: &Path, broker: &str, s3: &S3, events: u64) -> Result<()> {
    let counting = Counting::before(&s3.url)?;
    let counted = S3 { url: counting.url.clone(), ..s3.clone() };
    for mib in SEGMENTS_MIB {
        let deployment = sealed(sealog, on, broker, &counted, events, mib)?;
        counting.take();
        let archiver = deployment.start("archiver")?;
        wait_for(&archiver, ARCHIVED, events as f64)?;
        let segments = archiver.metric("sealog_archiver_segments_total")?;
        archiver.stop()?;
        print("archiver", events, segments, mib, &counting.take());
        deployment.verify()?;
        print("verify", events, segments, mib, &counting.take());
    }
    Ok(())
}

fn print(who: &str, events: u64, segments: f64, mib: u64, counts: &Counts) {
    let kinds: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let kinds = kinds.join(", ");
    println!("requests {who}, {events} events in {segments:.0} segments of at most {mib} MiB: {kinds}");
}

/// Everything is sealed and signed, and nothing is archived.
fn sealed(sealog: &Path, on: &Path, broker: &str, s3: &S3, events: u64, mib: u64) -> Result<Deployment> {
    let segments = format!(
        "[segment]\nmax_bytes = \"{mib}MiB\"\nmax_events = 10000000\nmax_age = \"1h\"\nmax_idle = \"2s\"\n"
    );
    let deployment = Deployment::make(sealog, on, broker, 1, Some(s3), &segments)?;
    let (ingestor, chainer) = (deployment.start("ingestor")?, deployment.start("chainer")?);
    deployment.produce_all(0..events)?;
    wait_for(&chainer, "sealog_chainer_last_seq", events as f64)?;
    // What is left is cut when nothing has come for a while.
    let cuts = chainer.metric("sealog_chainer_cuts_total")?;
    wait_for(&chainer, "sealog_chainer_cuts_total", cuts + 1.0)?;
    ingestor.stop()?;
    chainer.stop()?;
    Ok(deployment)
}
