//! Measures `sealog up` from outside: `cargo build --release && cargo run --release -p bench`.
//!
//! Prints events/s from NDJSON to archived, single POSTs a second over many connections with their p99, and the
//! peak memory of the process. With `--features kafka -- --kafka HOST:PORT` the stages run on that broker: events/s from
//! raw topics to archived, and what a chain costs in memory and threads. With `--s3 URL ACCESS SECRET` besides, the
//! archiver empties a backlog into a bucket of that server: events/s, its peak memory, and its requests by kind.

#[cfg(feature = "kafka")]
mod counting;
#[cfg(feature = "kafka")]
mod deployment;
mod http;
mod load;
#[cfg(feature = "kafka")]
mod on_kafka;
#[cfg(feature = "kafka")]
mod on_s3;
mod server;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// How fast the road is, end to end, on this machine.
#[derive(Parser)]
struct Bench {
    /// The command to measure.
    #[arg(long, default_value = "target/release/sealog")]
    sealog: PathBuf,
    /// Where its data goes while it runs; the file system that is measured.
    #[arg(long, default_value = "target")]
    on: PathBuf,
    /// Events of the NDJSON part.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Events in one request.
    #[arg(long, default_value_t = 2_000)]
    batch: u64,
    /// Connections of the NDJSON part.
    #[arg(long, default_value_t = 4)]
    senders: usize,
    /// Requests of the single part.
    #[arg(long, default_value_t = 100_000)]
    singles: u64,
    /// Connections of the single part.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Measure the stages on this broker instead.
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// With --kafka: measure the archiver alone, on this S3 server.
    #[cfg(feature = "kafka")]
    #[arg(long, num_args = 3, value_names = ["URL", "ACCESS", "SECRET"], requires = "kafka")]
    s3: Option<Vec<String>>,
}

fn main() -> Result<()> {
    let bench = Bench::parse();
    #[cfg(feature = "kafka")]
    if let Some(broker) = &bench.kafka {
        if let Some([url, access, secret]) = bench.s3.as_deref() {
            let s3 = deployment::S3 { url: url.clone(), access: access.clone(), secret: secret.clone() };
            on_s3::throughput(&bench.sealog, &bench.on, broker, &s3, bench.events)?;
            return on_s3::requests(&bench.sealog, &bench.on, broker, &s3, bench.events);
        }
        on_kafka::throughput(&bench.sealog, &bench.on, broker, bench.events)?;
        return on_kafka::chains(&bench.sealog, &bench.on, broker, &[1, 8, 64]);
    }
    let folder = tempfile::tempdir_in(&bench.on)?;
    let server = server::Server::start(&bench.sealog, folder.path())?;

    let bulk = load::bulk(&server, bench.events, bench.batch, bench.senders)?;
    println!(
        "NDJSON   {} events of {} B, {} a request, {} connections: acknowledged {:.0}/s, archived {:.0}/s ({:.1} MB/s)",
        bench.events,
        load::EVENT_BYTES,
        bench.batch,
        bench.senders,
        bulk.acknowledged,
        bulk.archived,
        bulk.archived * load::EVENT_BYTES as f64 / 1e6,
    );
    println!("memory   {:.0} MiB at the peak", server.peak_mib()?);
    let singles = load::singles(&server, bench.singles, bench.connections)?;
    println!(
        "single   {} POSTs, {} connections: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, slowest {:.1} ms",
        bench.singles,
        bench.connections,
        singles.per_second,
        singles.p50_ms,
        singles.p99_ms,
        singles.slowest_ms,
    );
    println!("memory   {:.0} MiB at the peak, cpu {:.1} s", server.peak_mib()?, server.cpu_seconds()?);
    let took = server.stop()?;
    println!("stop     {took:.2} s until everything was archived");
    print!("{}", server::verify(&bench.sealog, folder.path())?);
    Ok(())
}
