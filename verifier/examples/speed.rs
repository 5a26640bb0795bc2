//! How fast a check of an archive is, and what memory it takes, beside inflating and hashing the same bytes and nothing
//! else: a folder with 100,000 events and one with a million, on one thread and on two.
//!
//! `cargo run --release -p verifier --features testing --example speed`

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use runtime::{Clock, SystemClock};
use schemas::event::{Attribute, AttributeType, Party};
use schemas::{AuditEvent, Hash, Micros, SegmentFile};
use store::directory::{Directory, Options as DirectoryOptions};
use store::{Listing, Store};
use verifier::testing::{ChainBuilder, store_objects};
use verifier::{Ahead, Options, Reading, Scope, verify};

const EVENTS_A_SEGMENT: u64 = 50_000;

/// An event of about 600 bytes, a third of them its original; as much of it repeats as in real ones.
fn event(n: u64) -> Vec<u8> {
    let random = schemas::hex(&Hash::of(&[&n.to_be_bytes()]).0);
    let (user, door) = (format!("user-{}", n % 977), format!("door-{}", n % 131));
    let original = format!(
        "{{\"id\":\"{}\",\"action\":\"door.open\",\"actor\":\"{user}\",\"target\":\"{door}\",\"session\":\"{}\",\
         \"ip\":\"10.1.{}.{}\",\"agent\":\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\",\"n\":{n}}}",
        &random[..32],
        &random[32..],
        n % 256,
        n % 251
    );
    let attributes = [
        Attribute { key: "session", value: &random[32..], kind: AttributeType::String },
        Attribute { key: "agent", value: "Mozilla/5.0 (X11; Linux x86_64)", kind: AttributeType::String },
    ];
    let mut out = Vec::new();
    AuditEvent {
        id: &random[..32],
        source: "door-controller",
        dialect: "json/1",
        action: "door.open",
        category: Some("access"),
        occurred_at: Some(Micros(1_795_253_400_000_000 + n as i64)),
        received_at: Micros(1_795_253_400_000_000 + n as i64),
        actor: Some(Party { id: &user, kind: Some("user"), name: None }),
        targets: &[Party { id: &door, kind: Some("door"), name: None }],
        producer: "doors",
        attributes: &attributes,
        content_type: "application/json",
        original: original.as_bytes(),
        ..AuditEvent::default()
    }
    .encode(&mut out);
    out
}

/// What this process is to do. Each measurement is a process of its own, so that its peak of memory is its own.
enum Task {
    All,
    Build { folder: PathBuf, events: u64 },
    Inflate { folder: PathBuf, threads: usize },
    Verify { folder: PathBuf, threads: usize, scope: Scope },
}

impl Task {
    fn of(args: &[String]) -> Option<Task> {
        let number = |nth: usize| args.get(nth)?.parse::<u64>().ok();
        let folder = || Some(PathBuf::from(args.get(1)?));
        let threads = || number(2).map(|threads| threads as usize);
        Some(match args.first().map(String::as_str) {
            None => Task::All,
            Some("build") => Task::Build { folder: folder()?, events: number(2)? },
            Some("inflate") => Task::Inflate { folder: folder()?, threads: threads()? },
            Some("verify") => Task::Verify { folder: folder()?, threads: threads()?, scope: Scope::Full },
            Some("quick") => {
                let scope = Scope::Quick { sample: 1, seed: 7 };
                Task::Verify { folder: folder()?, threads: threads()?, scope }
            }
            Some(_) => return None,
        })
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match Task::of(&args).expect("no arguments, or those of a part of it") {
        Task::All => [100_000, 1_000_000].into_iter().for_each(measure),
        Task::Build { folder, events } => build(&folder, events),
        Task::Inflate { folder, threads } => inflate(&folder, threads),
        Task::Verify { folder, threads, scope } => check(&folder, threads, scope),
    }
}

/// Makes an archive in a folder, and lets each part run on one thread and on two.
fn measure(events: u64) {
    let folder = tempfile::tempdir().expect("a folder to work in");
    let path = folder.path().to_str().expect("a path that is text");
    run(&["build", path, &events.to_string()]);
    for threads in ["1", "2"] {
        for what in ["inflate", "verify", "quick"] {
            run(&[what, path, threads]);
        }
    }
}

fn run(args: &[&str]) {
    let itself = std::env::current_exe().expect("this program");
    let ended = Command::new(itself).args(args).status().expect("it starts again");
    assert!(ended.success(), "{args:?}: {ended}");
}

/// An archive of one chain. Of its events no more than a segment is in memory at a time.
fn build(folder: &Path, events: u64) {
    let store = Directory::open(folder, DirectoryOptions { make_root: true }).expect("a folder");
    let mut chain = ChainBuilder::begin("acme.example/audit/0", 7);
    let (mut plain_bytes, mut packed_bytes) = (0, 0);
    for first in (0..events).step_by(EVENTS_A_SEGMENT as usize) {
        chain.seal((first..events.min(first + EVENTS_A_SEGMENT)).map(event));
        plain_bytes += chain.records.drain(..).map(|record| record.event.len()).sum::<usize>();
        let mut written = std::mem::take(&mut chain.objects);
        written.retain(|key, _| first == 0 || !(key.contains("/schemas/") || key.ends_with("/checkpoint")));
        packed_bytes +=
            written.iter().filter(|(key, _)| is_segment(key)).map(|one| one.1.len()).sum::<usize>();
        store_objects(&written, &store).expect("a folder takes everything");
    }
    println!(
        "{events} events, {:.1} MB of event bytes ({} each), {:.1} MB of segments of {EVENTS_A_SEGMENT} events",
        plain_bytes as f64 / 1e6,
        plain_bytes as u64 / events,
        packed_bytes as f64 / 1e6,
    );
}

fn is_segment(key: &str) -> bool {
    key.ends_with(".avro")
}

/// What no verifier can do without: inflating every block and hashing what comes out.
fn inflate(folder: &Path, threads: usize) {
    let store = Directory::open_read_only(folder).expect("the archive");
    let page = store.list("", "", Listing::Newest(usize::MAX)).expect("its list");
    let keys: Vec<String> =
        page.entries.into_iter().map(|entry| entry.key).filter(|key| is_segment(key)).collect();
    let next = AtomicUsize::new(0);
    timed("inflate + SHA-256", threads, || {
        thread::scope(|scope| {
            let work = || {
                let (mut plain, mut events) = (Vec::new(), 0);
                while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let bytes = store.get(key, None, None, u64::MAX).expect("a segment").bytes;
                    let mut blocks = SegmentFile::parse(&bytes).expect("a good segment").blocks();
                    while let Some(block) = blocks.next_into(&mut plain).expect("a good block") {
                        Hash::of(&[&plain]);
                        events += block.events;
                    }
                }
                events
            };
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().map(|worker| worker.join().expect("no panic")).sum()
        })
    });
}

fn check(folder: &Path, threads: usize, scope: Scope) {
    let store = Directory::open_read_only(folder).expect("the archive");
    let reading = Reading { ahead: Ahead::new(threads, 256 << 20), ..Reading::default() };
    let what = if scope.is_full() { "verify" } else { "quick check" };
    let options = Options { reading, scope, now: SystemClock.wall(), ..Options::default() };
    timed(what, threads, || {
        let report = verify(&store, &options);
        assert_eq!(report.exit_code(false), 0, "{report}");
        report.chains[0].size.expect("a checkpoint")
    });
}

/// Says how long `work` takes for as many events as it returns, and what this process has held at most.
fn timed(what: &str, threads: usize, work: impl FnOnce() -> u64) {
    let start = SystemClock.boot();
    let events = work();
    let seconds = (SystemClock.boot().0 - start.0) as f64 / 1e6;
    let threads = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
    let rate = events as f64 / seconds;
    println!("{what:>18}, {threads:>9}: {seconds:>7.3} s, {rate:>9.0} events/s, peak {}", peak());
}

/// The most memory that this process has held, as Linux says it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}
