//! Two archivers race on one bucket: both own the same chain, each on a Kafka of its own, as after a move of the log that
//! forgot to end the old archiver. Each write has one winner, the loser adopts it, and both go on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use stream::{Batch, Limit, Log, topics};

use crate::harness::deployment::{Deployment, broker};
use crate::harness::s3::Bucket;
use crate::harness::s3::proxy::Proxy;
use crate::harness::s3::server::{Make, Server};
use crate::harness::wait_for;
use crate::kafka_road::stages::{Stage, start};
use crate::s3_road::killed::evidence;

const EVENTS: usize = 2_000;
const SEGMENTS: usize = EVENTS / 100;
/// So that there are many writes to race for.
const SMALL: &str = "[segment]\nmax_events = 100\n[trimmer]\nenabled = false\n";

/// A record that is there is read within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Copies a chain, as it was sealed, to the Kafka of another deployment.
fn mirror(from: &Deployment, to: &Deployment) {
    let lane = topics::sealed(0);
    let end = from.kafka.last(&lane).unwrap().last().unwrap().offset;
    let mut next = 0;
    while next <= end {
        let mut batch = Batch::new();
        from.kafka.read(&lane, next, &mut batch, Limit { records: 1_000, bytes: 1 << 20 }, PATIENCE).unwrap();
        next = batch.last().expect("more").offset + 1;
        to.kafka.append(&batch).unwrap();
    }
}

/// Where two who want to write the same object wait for each other, so that neither is ahead.
#[derive(Default)]
struct StartingLine {
    /// How many have come to write each object.
    come: Mutex<BTreeMap<String, usize>>,
    moved: Condvar,
    is_over: AtomicBool,
}

impl StartingLine {
    fn wait(&self, write: &str) {
        if self.is_over.load(Ordering::SeqCst) {
            return;
        }
        let mut come = self.come.lock().unwrap();
        *come.entry(write.to_owned()).or_default() += 1;
        self.moved.notify_all();
        // One who has been given the chain sooner, or asks again, does not wait for ever.
        let is_alone = |come: &mut BTreeMap<String, usize>| come[write] < 2;
        let _ = self.moved.wait_timeout_while(come, Duration::from_secs(3), is_alone).unwrap();
    }
}

fn two_archivers_race(make: Make) {
    let (Some(broker), Some(bucket)) = (broker(), Bucket::new(make)) else { return };
    let line = Arc::<StartingLine>::default();
    let proxy = Proxy::watched(&Server::shared(make).url, {
        let line = line.clone();
        move |head, answer| {
            let write = head.lines().next().unwrap_or_default();
            if answer.is_none() && write.starts_with("PUT ") && write.contains("/segments/") {
                line.wait(write);
            }
            true
        }
    });
    let bucket = bucket.through(&proxy.url);
    let one = Deployment::made_in(&bucket, &broker, 1, &[("app", 1)], SMALL);
    let stages = [Stage::Ingestor, Stage::Chainer].map(|stage| start(&one, stage, 0));
    let ids: Vec<String> = (0..EVENTS).map(|n| format!("{n:05}")).collect();
    let event = |id: &String| format!("{{\"id\":\"{id}\",\"action\":\"a\"}}");
    one.produce(&one.raw[0], 0, ids.iter().map(event));
    wait_for("all is sealed", 60, || (one.sealed(0) > EVENTS as u64).then_some(()));
    for stage in stages {
        assert_eq!(stage.stop().0.code(), Some(0));
    }
    let other = one.twin(&bucket, SMALL);
    mirror(&one, &other);

    let archivers = [&one, &other].map(|deployment| deployment.start("archiver"));
    let all = (SEGMENTS * 100) as f64;
    wait_for("both have seen all of it archived", 120, || {
        archivers.iter().all(|up| up.total("sealog_archiver_archived_size") >= all).then_some(())
    });
    line.is_over.store(true, Ordering::SeqCst);
    let adopted = archivers.each_ref().map(|up| up.logged("adopted a segment that was there already"));
    for up in archivers {
        let (status, words) = up.stop();
        assert_eq!(status.code(), Some(0), "{words}");
    }
    // One may have been behind for a while, as when the other had been given the chain sooner.
    let races: usize = adopted.iter().sum();
    assert!(races >= SEGMENTS / 2, "{adopted:?} of {SEGMENTS} segments were lost to the other");
    evidence(&bucket.store());

    // Whoever seals next ends what is left open.
    let up = one.start("up");
    assert_eq!(up.stop().0.code(), Some(0));
    assert_eq!(one.ids(), ids);
    one.verified("of two that raced");
}

#[test]
fn two_archivers_race_on_minio_and_nothing_is_written_twice() {
    two_archivers_race(Make::Minio);
}

#[test]
fn two_archivers_race_on_versitygw_and_nothing_is_written_twice() {
    two_archivers_race(Make::Versitygw);
}
