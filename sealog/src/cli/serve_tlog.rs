//! `sealog serve-tlog`

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Args;
use ingestor::gateway::PagesServer;
use runtime::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::given::environment;
use crate::archive::{AtS3, Place};
use crate::daemon;
use crate::tiles::TlogPages;

/// Serve an archive's chains as transparency logs, so that stock clients read them (C2SP tlog-tiles).
///
/// Each chain is a log at http://ADDR/ORIGIN: checkpoint, tile/... and tile/entries/..., whose entries are the links. A link
/// holds numbers, times and hashes, and nothing of what happened. Only what leads to the signed root is served, and nothing
/// is written. `sealog up` serves the same at /tlog/ORIGIN.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeTlog {
    /// The archive: a folder, such as sealog-data/archive, a bucket as s3://bucket/prefix, or a copy behind a web server
    /// that lists its folders, as https://host/path.
    #[arg(value_name = "ARCHIVE")]
    archive: String,
    #[command(flatten)]
    at: AtS3,
    /// Where to serve it. There is no TLS, for clients check signatures and hashes; a proxy in front may add it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7744")]
    listen: SocketAddr,
}

const EXAMPLES: &str = "Examples:
  sealog serve-tlog sealog-data/archive
  curl http://127.0.0.1:7744/
  curl http://127.0.0.1:7744/acme.example/audit/0/checkpoint";

pub fn run(args: &ServeTlog) -> Result<ExitCode> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let log_filter = environment().into_iter().find(|(name, _)| name == "SEALOG_LOG");
    daemon::begin_telemetry(log_filter.as_ref().map(|(_, value)| value.as_str()))?;
    let store = Place::of(&args.archive, &args.at)?.open()?;
    let origins = verifier::origins(store.as_ref()).with_context(|| args.archive.clone())?;
    if origins.is_empty() {
        bail!("{}: there is no chain: is this the archive's root?", args.archive);
    }
    let listener = TcpListener::bind(args.listen).with_context(|| {
        format!(
            "{} cannot be listened on: give another address with --listen, or port 0 for any",
            args.listen
        )
    })?;
    let address = listener.local_addr()?;
    let searched = store.clone();
    let pages = TlogPages::new(store, move || verifier::origins(searched.as_ref()));
    let stop = Stop::new();
    let stop_it = stop.clone();
    thread::spawn(move || signals.forever().take(1).for_each(|_| stop_it.set()));
    greet(&origins, address);
    PagesServer { pages }.serve(listener, &stop)?;
    Ok(ExitCode::SUCCESS)
}

/// Whoever started us may have closed our output; that is no failure.
fn greet(origins: &[String], address: SocketAddr) {
    const SHOWN: usize = 10;
    let mut out = std::io::stdout();
    for origin in origins.iter().take(SHOWN) {
        let _ = writeln!(out, "  log      http://{address}/{origin}");
    }
    if origins.len() > SHOWN {
        let _ = writeln!(out, "  and {} more: http://{address}/ lists them", origins.len() - SHOWN);
    }
    let _ = writeln!(out, "Stop with Ctrl-C.");
}
