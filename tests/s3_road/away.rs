//! The server is away, held up in the middle of a write, busy, or out of room, while services send. The archiver waits and
//! keeps its place, its memory stays within bounds, everyone else goes on, and then everything arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use runtime::Deadline;
use store::{Keep, Store};

use crate::harness::deployment::{Deployment, broker};
use crate::harness::process::Up;
use crate::harness::s3::proxy::Proxy;
use crate::harness::s3::server::{Make, Server};
use crate::harness::s3::{Bucket, can_run_a_server, can_run_on_a_small_disk};
use crate::harness::{is_long, wait_for};
use crate::kafka_road::load::Load;
use crate::kafka_road::stages::{Stage, everything_arrived_once, start};

const CHAINS: u32 = 2;
const PARTITIONS: u32 = 2;
const RAW: [(&str, u32); 2] = [("orders", PARTITIONS), ("users", PARTITIONS)];
const QUICK: &str = "[segment]\nmax_age = \"1s\"\nmax_bytes = \"1MiB\"\n";
/// What an archiver of one chain holds at most, in a debug build: a segment, what Kafka sends ahead, and itself.
const MOST_MIB: u64 = 110;
/// What waits while the server is away: of this size, so many.
const LARGE_BYTES: usize = 100 << 10;
const BACKLOG: usize = 1_000;

/// The road as processes, which a server's trouble must not disturb.
struct Site {
    deployment: Deployment,
    ingestor: Up,
    chainer: Up,
    archiver: Up,
}

impl Site {
    fn start(broker: &str, bucket: &Bucket, chains: u32) -> Site {
        let deployment = Deployment::made_in(bucket, broker, chains, &RAW, QUICK);
        let [ingestor, chainer, archiver] =
            [Stage::Ingestor, Stage::Chainer, Stage::Archiver].map(|stage| start(&deployment, stage, 0));
        Site { deployment, ingestor, chainer, archiver }
    }

    /// Sends while `trouble` goes on, which may send more and tells the ids; then all that was sent is there once.
    fn comes_through(self, trouble: impl FnOnce(&Site) -> Vec<String>) {
        let load = Load::new(&self.deployment, PARTITIONS, [&self.ingestor]);
        let (more, mut ids) = load.during(|| {
            self.goes_on();
            let more = trouble(&self);
            self.goes_on();
            more
        });
        ids.extend(more);
        ids.sort();
        let Site { deployment, ingestor, chainer, archiver } = self;
        for up in [ingestor, chainer, archiver] {
            let (status, words) = up.stop();
            assert_eq!(status.code(), Some(0), "{words}");
        }
        everything_arrived_once(&deployment, PARTITIONS, &ids, "after the trouble");
    }

    /// More than an archiver may hold, while nothing can be archived. Answers the ids once it is sealed.
    fn sends_a_backlog(&self) -> Vec<String> {
        let ids: Vec<String> = (0..BACKLOG).map(|n| format!("large-{n:04}")).collect();
        let text = "x".repeat(LARGE_BYTES);
        let event = |id: &String| format!("{{\"id\":\"{id}\",\"action\":\"a\",\"note\":\"{text}\"}}");
        let sealed = || self.chainer.total("sealog_chainer_bytes_total");
        let all = sealed() + (BACKLOG * LARGE_BYTES) as f64;
        for (nth, some) in ids.chunks(50).enumerate() {
            self.deployment.produce(&self.deployment.raw[0], nth as u32 % PARTITIONS, some.iter().map(event));
        }
        wait_for("the backlog is sealed", 120, || (sealed() >= all).then_some(()));
        ids
    }

    /// With all that waited behind it.
    fn stays_small(&self) {
        let held_mib = self.archiver.peak_mib();
        eprintln!(
            "the archiver held {held_mib} MiB at the peak, behind {} MiB",
            (BACKLOG * LARGE_BYTES) >> 20
        );
        assert!(held_mib <= MOST_MIB, "the archiver held {held_mib} MiB");
    }

    fn archived(&self) -> f64 {
        self.archiver.total("sealog_archiver_archived_size")
    }

    /// Something more is archived.
    fn goes_on(&self) {
        let mark = self.archived();
        wait_for("more is archived", 120, || (self.archived() > mark).then_some(()));
    }

    /// For so long the archiver waits and keeps its place, and others go on.
    fn stands_still_for(&self, how_long: Duration) {
        let (over, sealed) = (Deadline::after(how_long), self.sealed());
        wait_for("sealing goes on", 60, || (self.sealed() > sealed).then_some(()));
        let archived = self.archived();
        wait_for("it has been away for long enough", 120, || over.passed().then_some(()));
        assert_eq!(self.archived(), archived, "nothing is archived meanwhile");
    }

    fn sealed(&self) -> u64 {
        (0..self.deployment.chains).map(|chain| self.deployment.sealed(chain)).sum()
    }
}

/// So long a server is away.
fn a_while() -> Duration {
    Duration::from_secs(if is_long() { 60 } else { 10 })
}

/// What a proxy before the server sees.
#[derive(Default)]
struct Seen {
    /// Writes that the server had no time or no room for.
    refused: AtomicUsize,
    /// At the next write of a segment the server is held up.
    is_armed: AtomicBool,
}

impl Seen {
    fn watch(self: &Arc<Seen>, server: &Arc<Server>) -> Proxy {
        let (seen, server) = (self.clone(), server.clone());
        Proxy::watched(&server.url.clone(), move |head, answer| {
            let is_write = head.starts_with("PUT ");
            let is_segment = is_write && head.lines().next().is_some_and(|line| line.contains("/segments/"));
            let status = answer.and_then(|answer| answer.split(' ').nth(1)).unwrap_or_default();
            if is_write && (status == "429" || status.starts_with('5')) {
                seen.refused.fetch_add(1, Ordering::SeqCst);
            }
            if is_segment && answer.is_none() && seen.is_armed.swap(false, Ordering::SeqCst) {
                server.freeze();
            }
            true
        })
    }

    fn wait_for_refusals(&self, least: usize) {
        let before = self.refused.load(Ordering::SeqCst);
        wait_for("the server refuses writes", 90, || {
            (self.refused.load(Ordering::SeqCst) >= before + least).then_some(())
        });
    }
}

/// Killed, and started again on its data. One chain: what an archiver holds, it holds for each.
fn is_away(make: Make) {
    let Some(broker) = broker().filter(|_| can_run_a_server(make)) else { return };
    let mut server = Server::start(make, &[], &[]);
    let bucket = Bucket::at(&server);
    Site::start(&broker, &bucket, 1).comes_through(|site| {
        server.kill();
        let sent = site.sends_a_backlog();
        site.stands_still_for(a_while());
        let sealed = site.sealed() as f64;
        server.restart();
        wait_for("what has waited is archived", 120, || (site.archived() >= sealed).then_some(()));
        site.stays_small();
        sent
    });
}

/// SIGSTOP reaches it when a write has come and is not done.
fn is_held_up(make: Make) {
    let Some(broker) = broker().filter(|_| can_run_a_server(make)) else { return };
    let server = Arc::new(Server::start(make, &[], &[]));
    let seen = Arc::<Seen>::default();
    let proxy = seen.watch(&server);
    let bucket = Bucket::at(&server).through(&proxy.url);
    Site::start(&broker, &bucket, CHAINS).comes_through(|site| {
        seen.is_armed.store(true, Ordering::SeqCst);
        wait_for("a write is under way", 60, || (!seen.is_armed.load(Ordering::SeqCst)).then_some(()));
        // Longer than one try waits for an answer: the write is sent again.
        site.stands_still_for(a_while() + Duration::from_secs(7));
        server.go_on();
        Vec::new()
    });
}

const WRITERS: u32 = 16;
const BODY_BYTES: usize = 1 << 20;

/// Others write as much as they can to a server that takes two requests at once, and refuses what does not get its turn.
fn is_busy(make: Make) {
    let Some(broker) = broker().filter(|_| can_run_a_server(make)) else { return };
    let server = Arc::new(Server::start(make, &[], &[("SEALOG_S3_MAX_REQUESTS", "2")]));
    let seen = Arc::<Seen>::default();
    let (proxy, others) = (seen.watch(&server), Bucket::at(&server));
    let bucket = Bucket::at(&server).through(&proxy.url);
    Site::start(&broker, &bucket, CHAINS).comes_through(|site| {
        let (is_quiet, others, body) = (AtomicBool::new(false), others.store(), vec![7; BODY_BYTES]);
        thread::scope(|threads| {
            for writer in 0..WRITERS {
                let (is_quiet, others, body) = (&is_quiet, &others, &body);
                threads.spawn(move || {
                    let mut names = (0..).map(|n| format!("noise/{writer}/{n}"));
                    while !is_quiet.load(Ordering::SeqCst) {
                        // Whether it is taken is another matter.
                        let _ = others.put_new(&names.next().unwrap(), body, Keep::Hint);
                    }
                });
            }
            let _quiet = AtLast(&is_quiet);
            seen.wait_for_refusals(10);
            site.goes_on();
        });
        Vec::new()
    });
}

/// Sets it also when the test fails.
struct AtLast<'a>(&'a AtomicBool);

impl Drop for AtLast<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Its disk is full, and then it is not.
fn has_no_room(make: Make) {
    let Some(broker) = broker().filter(|_| can_run_on_a_small_disk(make)) else { return };
    let server = Arc::new(Server::on_a_small_disk(make, 256));
    let seen = Arc::<Seen>::default();
    let proxy = seen.watch(&server);
    let bucket = Bucket::at(&server).through(&proxy.url);
    Site::start(&broker, &bucket, CHAINS).comes_through(|site| {
        server.fill();
        seen.wait_for_refusals(2);
        site.stands_still_for(a_while());
        server.make_room();
        Vec::new()
    });
}

#[test]
fn minio_that_is_away_costs_nothing() {
    is_away(Make::Minio);
}

#[test]
fn versitygw_that_is_away_costs_nothing() {
    if is_long() {
        is_away(Make::Versitygw);
    }
}

#[test]
fn minio_that_is_held_up_in_a_write_costs_nothing() {
    is_held_up(Make::Minio);
}

#[test]
fn versitygw_that_is_held_up_in_a_write_costs_nothing() {
    if is_long() {
        is_held_up(Make::Versitygw);
    }
}

#[test]
fn minio_with_too_much_to_do_costs_nothing() {
    if is_long() {
        is_busy(Make::Minio);
    }
}

#[test]
fn versitygw_with_too_much_to_do_costs_nothing() {
    is_busy(Make::Versitygw);
}

#[test]
fn minio_without_room_costs_nothing() {
    has_no_room(Make::Minio);
}

#[test]
fn versitygw_without_room_costs_nothing() {
    has_no_room(Make::Versitygw);
}
