//! The archiver is killed with SIGKILL between every two writes of its order: before a write has reached the server, and
//! after the server has done it and before the archiver knows. Whoever comes next finishes, and nothing shows.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use store::{Entry, Listing, Store};

use crate::harness::deployment::{Deployment, broker};
use crate::harness::process::Up;
use crate::harness::s3::Bucket;
use crate::harness::s3::proxy::Proxy;
use crate::harness::s3::server::{Make, Server};
use crate::harness::{is_long, wait_for};

/// A segment ends after 100 events, so these are two. A dead archiver is soon missed.
const EVENTS: usize = 150;
const QUICK: &str = "[segment]\nmax_events = 100\nmax_age = \"1h\"\n[kafka.properties]\n\
     \"session.timeout.ms\" = 1000\n\"heartbeat.interval.ms\" = 300\n";

/// When an archiver is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// It has sent the write, and the server knows nothing of it.
    Sent,
    /// The server has done it, and the archiver knows nothing of that.
    Done,
}

/// Stands before the server, lets a number of writes pass and stops at the next one, until whoever sent it is dead.
struct Trap {
    proxy: Proxy,
    /// Names the write that is in the trap.
    caught: Receiver<String>,
    /// Dropped: what is in the trap may go.
    _is_dead: Sender<()>,
}

impl Trap {
    fn new(url: &str, nth: usize, when: When) -> Trap {
        let (tell, caught) = channel();
        let (is_dead, killed) = channel::<()>();
        let (seen, killed) = (AtomicUsize::new(0), Mutex::new(killed));
        let proxy = Proxy::watched(url, move |head, answer| {
            let is_it = answer.is_some() == (when == When::Done) && head.starts_with("PUT ");
            if !is_it || seen.fetch_add(1, Ordering::SeqCst) != nth {
                return true;
            }
            let _ = tell.send(head.lines().next().unwrap_or_default().to_owned());
            let _ = killed.lock().unwrap().recv();
            false
        });
        Trap { proxy, caught, _is_dead: is_dead }
    }
}

/// A chain that is sealed and archived whole.
fn whole(broker: &str, bucket: &Bucket) -> Deployment {
    let deployment = Deployment::made_in(bucket, broker, 1, &[("app", 1)], QUICK);
    let up = deployment.start("up");
    let ids: Vec<String> = (0..EVENTS).map(|n| format!("{n:04}")).collect();
    let event = |id: &String| format!("{{\"id\":\"{id}\",\"action\":\"a\"}}");
    deployment.produce(&deployment.raw[0], 0, ids.iter().map(event));
    wait_for("all is sealed", 60, || (deployment.sealed(0) > EVENTS as u64).then_some(()));
    let (status, words) = up.stop();
    assert_eq!(status.code(), Some(0), "{words}");
    assert_eq!(deployment.ids(), ids);
    deployment
}

/// An archiver of that deployment, to another bucket.
fn archiver(deployment: &Deployment, bucket: &Bucket) -> Up {
    let (url, endpoint) = (bucket.url(), bucket.options.endpoint.as_deref().unwrap());
    deployment.start_with("archiver", &[("SEALOG_ARCHIVE_URL", &url), ("SEALOG_ARCHIVE_ENDPOINT", endpoint)])
}

/// What a bucket holds as evidence: each key once, and its bytes.
pub fn evidence(store: &dyn Store) -> BTreeMap<String, Vec<u8>> {
    let page = store.list("", "", Listing::Versions(1_000)).unwrap();
    assert!(!page.more);
    let mut evidence = BTreeMap::new();
    for Entry { key, version, .. } in page.entries.into_iter().filter(|e| !e.key.ends_with("/checkpoint")) {
        let bytes = store.get(&key, Some(&version), None, 1 << 20).unwrap().bytes;
        assert_eq!(evidence.insert(key.clone(), bytes), None, "{key} was written twice");
    }
    evidence
}

/// Kills an archiver at each of its writes, each time in a new bucket.
fn killed_at_every_write(make: Make, when: When) {
    let (Some(broker), Some(bucket)) = (broker(), Bucket::new(make)) else { return };
    let server = Server::shared(make);
    let deployment = whole(&broker, &bucket);
    let expected = evidence(deployment.archive());
    let size = deployment.archived() as f64;
    let is_archived = |up: &Up| (up.total("sealog_archiver_archived_size") == size).then_some(());
    let mut caught = Vec::new();
    loop {
        let bucket = Bucket::at(&server);
        let trap = Trap::new(&server.url, caught.len(), when);
        let first = archiver(&deployment, &bucket.through(&trap.proxy.url));
        let write = wait_for("a write is in the trap, or all are done", 60, || {
            let write = trap.caught.recv_timeout(Duration::from_millis(20)).ok();
            write.map(Some).or_else(|| is_archived(&first).map(|()| None))
        });
        let Some(write) = write else { break };
        first.kill();
        drop(trap);
        let second = archiver(&deployment, &bucket);
        wait_for(&format!("another finishes after {write}"), 60, || is_archived(&second));
        let (status, words) = second.stop();
        assert_eq!(status.code(), Some(0), "{write}: {words}");
        bucket.verified(&write);
        assert!(evidence(&bucket.store()) == expected, "{write}: it is another archive");
        caught.push(write);
    }
    let of = |part: &str| caught.iter().filter(|write| write.contains(part)).count();
    let written = ["/keys/", "/schemas/", "/segments/", "/trees/", "/checkpoints/"].map(of);
    assert_eq!(written, [1, 1, 2, 2, 3], "{caught:?}");
    assert_eq!(written.iter().sum::<usize>(), expected.len(), "each write was met");
    assert!(caught.len() > expected.len(), "and those of the hint: {caught:?}");
}

#[test]
fn an_archiver_killed_before_any_of_its_writes_is_followed_by_one_that_finishes() {
    killed_at_every_write(Make::Minio, When::Sent);
}

#[test]
fn an_archiver_killed_after_any_of_its_writes_is_followed_by_one_that_finishes() {
    killed_at_every_write(Make::Minio, When::Done);
}

#[test]
fn an_archiver_killed_at_any_of_its_writes_to_versitygw_is_followed_by_one_that_finishes() {
    if is_long() {
        [When::Sent, When::Done].into_iter().for_each(|when| killed_at_every_write(Make::Versitygw, when));
    }
}
