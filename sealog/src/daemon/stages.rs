//! The stages of one process: prepared, run side by side, and ended in the order of the road.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, Scope};
use std::time::Duration;

use anyhow::Result;
use archiver::{Archiver, Trimmer};
use chainer::{Chainer, Policy};
use ingestor::gateway::{Gateway, GatewayConfig};
use runtime::{Clock, Deadline, Failure, Stop, halt_on_panic};
use schemas::Signing;
use signal_hook::iterator::Signals;
use store::Store;
use stream::Stream;
use tracing::{error, info};

use crate::config::Config;

/// Everything acknowledged is to be archived within this time after a stop; then what still waits is told.
const ARCHIVE_WITHIN: Duration = Duration::from_secs(25);
/// How many rejections of a chain the embedded log keeps for replay.
const KEEP_REJECTED: u64 = 1_000;
const HEARTBEAT_US: i64 = 3_600_000_000;

/// All stages, ready to run.
pub struct Stages {
    gateway: Gateway,
    chainer: Chainer,
    archiver: Archiver,
    trimmer: Trimmer,
}

/// What the stages stand on.
pub struct Ground {
    /// The seam between them.
    pub stream: Arc<dyn Stream>,
    /// The archive.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The base origin.
    pub origin: String,
    /// The chainer's key.
    pub signing: Signing,
    /// The folder of its guards.
    pub guards: PathBuf,
}

/// What the main thread waits for.
enum News {
    /// A signal came.
    Stop,
    /// A stage ended, of itself or because it was asked to.
    Ended(&'static str, Result<(), Failure>),
}

/// A stage's name and how it is asked to stop, in the order of the road.
type Road<'a> = [(&'static str, &'a Stop); 4];

impl Stages {
    /// Puts the stages together. Nothing runs yet.
    pub fn prepare(config: &Config, gateway: GatewayConfig, ground: Ground) -> Result<Stages> {
        let Ground { stream, store, clock, origin, signing, guards } = ground;
        let registry = prometheus::Registry::new();
        let segment = &config.segment;
        let policy = Policy {
            max_events: segment.max_events,
            max_bytes: segment.max_bytes,
            max_age_us: segment.max_age_us,
            max_idle_us: Some(segment.max_idle_us),
            heartbeat_us: HEARTBEAT_US,
        };
        let about = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("chains", config.chains.to_string()),
            ("segment.max_events", segment.max_events.to_string()),
            ("segment.max_bytes", segment.max_bytes.to_string()),
            ("segment.max_age_us", segment.max_age_us.to_string()),
            ("segment.max_idle_us", segment.max_idle_us.to_string()),
        ];
        let about = about.map(|(key, value)| (key.to_owned(), value)).to_vec();
        Ok(Stages {
            trimmer: Trimmer {
                stream: stream.clone(),
                chains: config.chains,
                keep_rejected: Some(KEEP_REJECTED),
            },
            archiver: Archiver {
                stream: stream.clone(),
                store: store.clone(),
                origin: origin.clone(),
                clock: clock.clone(),
                abandon: Stop::new(),
                progress: Mutex::new(BTreeMap::new()),
                metrics: archiver::Metrics::register(&registry)?,
            },
            chainer: Chainer {
                stream: stream.clone(),
                archive: store,
                guards,
                signing,
                origin,
                policy,
                clock: clock.clone(),
                about,
                metrics: chainer::Metrics::register(&registry)?,
            },
            gateway: Gateway::new(gateway, stream, clock, &registry)?,
        })
    }

    /// Runs until a signal comes or a stage halts, then ends all in the order of the road.
    pub fn run(self, listener: TcpListener, mut signals: Signals) -> Result<ExitCode> {
        let Stages { gateway, chainer, archiver, trimmer } = self;
        let stops: [Stop; 4] = Default::default();
        let [gateway_stop, chainer_stop, archiver_stop, trimmer_stop] = &stops;
        let road: Road<'_> = [
            ("gateway", gateway_stop),
            ("chainer", chainer_stop),
            ("archiver", archiver_stop),
            ("trimmer", trimmer_stop),
        ];
        let handle = signals.handle();
        let (tell, news) = mpsc::channel();
        let halted = thread::scope(|scope| {
            let told = tell.clone();
            scope.spawn(move || signals.forever().for_each(|_| drop(told.send(News::Stop))));
            run("trimmer", scope, &tell, || trimmer.run(trimmer_stop));
            run("archiver", scope, &tell, || archiver.run(archiver_stop));
            run("chainer", scope, &tell, || chainer.run(chainer_stop));
            let serve =
                move || gateway.serve(listener, gateway_stop).map_err(|e| Failure::Halt(e.to_string()));
            run("gateway", scope, &tell, serve);
            let halted = wait(&news, &road, &archiver.abandon);
            handle.close();
            halted
        });
        Ok(say_how_it_ended(&archiver, halted))
    }
}

/// A stage on a thread of its own, which tells when it has ended.
fn run<'scope>(
    name: &'static str,
    scope: &'scope Scope<'scope, '_>,
    tell: &mpsc::Sender<News>,
    stage: impl FnOnce() -> Result<(), Failure> + Send + 'scope,
) {
    let tell = tell.clone();
    scope.spawn(move || tell.send(News::Ended(name, halt_on_panic(name, stage))));
}

/// Waits for the end, stopping one stage after the other. The first halt is the answer.
fn wait(news: &mpsc::Receiver<News>, road: &Road<'_>, abandon: &Stop) -> Option<Failure> {
    let (mut ended, mut halted) = (Vec::new(), None);
    let mut stopping: Option<Deadline> = None;
    while ended.len() < road.len() {
        if let Some(deadline) = &stopping {
            // The first stage that still runs is the one to end; those behind it still have its output to take.
            if let Some((_, stop)) = road.iter().find(|(name, _)| !ended.contains(name)) {
                stop.set();
            }
            if deadline.passed() {
                abandon.set();
            }
        }
        match news.recv_timeout(Duration::from_millis(200)) {
            Ok(News::Stop) if stopping.is_some() => abandon.set(),
            Ok(News::Stop) => {
                info!("stopping: what was acknowledged is sealed and archived first");
                stopping = Some(Deadline::after(ARCHIVE_WITHIN));
            }
            Ok(News::Ended(name, result)) => {
                ended.push(name);
                if let Err(failure) = result {
                    error!(stage = name, "{failure}");
                    halted.get_or_insert(failure);
                }
                stopping.get_or_insert_with(|| Deadline::after(ARCHIVE_WITHIN));
            }
            Err(_) => {}
        }
    }
    halted
}

fn say_how_it_ended(archiver: &Archiver, halted: Option<Failure>) -> ExitCode {
    let progress = archiver.progress.lock().unwrap_or_else(PoisonError::into_inner);
    let archived: u64 = progress.values().map(|p| p.archived).sum();
    let waiting: u64 = progress.values().map(|p| p.sealed.saturating_sub(p.archived)).sum();
    if let Some(failure) = halted {
        eprintln!("sealog: {failure}");
        return ExitCode::FAILURE;
    }
    let words = if waiting > 0 || archiver.abandon.is_set() {
        format!(
            "Stopped. The archive could not be reached. Events that wait, sealed and durable: {waiting}; they are \
             archived at the next start."
        )
    } else {
        format!("Stopped. Everything is sealed and archived. Events in all: {archived}.")
    };
    // Whoever started us may have closed our output; that is no failure.
    let _ = writeln!(std::io::stdout(), "{words}");
    ExitCode::SUCCESS
}
