//! A thousand partitions under one ingestor, and under two: how soon it begins, what memory it takes, and that each
//! record becomes one event whoever reads it. A process of its own, for its memory is measured.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

#[path = "../raw_kafka/site.rs"]
#[allow(dead_code, reason = "the other suite uses all of it")]
mod site;

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use ingestor::{Ingestor, Metrics};
use prometheus::Registry;
use runtime::{Clock, Deadline, Stop, SystemClock};
use stream::{Batch, Groups, Lane, Log};

use site::{PATIENCE, Site};

const LANES: u32 = 1_000;
/// Small files: a thousand partitions are some thousand.
const SMALL: &[(&str, &str)] = &[("segment.index.bytes", "4096"), ("segment.bytes", "16777216")];

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// The same number of records on each lane, of so many bytes, their actions `<round>-<lane>-<n>`.
fn put(site: &Site, raw: &str, round: &str, each: usize, bytes: usize) {
    let pad = "x".repeat(bytes);
    let mut batch = Batch::new();
    for partition in 0..LANES {
        let lane = batch.lane(&Lane::new(raw, partition));
        for n in 0..each {
            let event = format!("{{\"action\":\"{round}-{partition}-{n}\",\"pad\":\"{pad}\"}}");
            batch.push(lane, None, &[], event.as_bytes());
        }
        if batch.size_bytes() > 1 << 20 || partition + 1 == LANES {
            site.kafka.append(&batch).unwrap();
            batch.clear(0);
        }
    }
}

/// How many records of the topic are done.
fn done(site: &Site, raw: &str) -> u64 {
    let lanes: Vec<_> = (0..LANES).map(|partition| Lane::new(raw, partition)).collect();
    site.kafka.positions(ingestor::GROUP, &lanes).unwrap().into_iter().flatten().sum()
}

struct Watch(i64);

impl Watch {
    fn start() -> Watch {
        Watch(SystemClock.boot().0)
    }

    fn ms(&self) -> i64 {
        (SystemClock.boot().0 - self.0) / 1_000
    }
}

/// An ingestor, and where it counts.
fn counted(site: &Site, id: &str, raw: &str) -> (Ingestor, Registry) {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry, "kafka").unwrap();
    (Ingestor { metrics, ..site.ingestor(id, &[raw]) }, registry)
}

fn count(registry: &Registry) -> u64 {
    let families = registry.gather();
    let events = families.iter().find(|family| family.name() == "sealog_ingestor_events_total").unwrap();
    events.get_metric()[0].get_counter().get_value() as u64
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Deadline::after(PATIENCE);
    while !is_so() && !deadline.passed() {
        Stop::new().wait(Duration::from_millis(5));
    }
    let came = !deadline.passed();
    if !came {
        eprintln!("{what}: not within {PATIENCE:?}");
    }
    came
}

#[test]
fn a_thousand_partitions_are_read_soon_in_small_memory_and_shared() {
    let Some(site) = Site::new() else { return };
    let raw = site.name("thousand");
    site.make(&raw, LANES, SMALL);
    let lanes = u64::from(LANES);

    put(&site, &raw, "first", 1, 10);
    let (alone, counter) = counted(&site, "one", &raw);
    let (watch, mut first_ms) = (Watch::start(), None);
    site.run_until(&alone, || {
        if first_ms.is_none() && count(&counter) > 0 {
            first_ms = Some(watch.ms());
        }
        count(&counter) == lanes
    })
    .unwrap();
    println!("alone: first commit after {} ms, all lanes after {} ms", first_ms.unwrap(), watch.ms());

    put(&site, &raw, "again", 1, 10);
    let watch = Watch::start();
    site.run_until(&site.ingestor("one", &[&raw]), || done(&site, &raw) == 2 * lanes).unwrap();
    println!("started again with positions: all lanes after {} ms", watch.ms());

    let expected = share(&site, &raw);
    assert!(wait_for("the events are read", || site.events().len() as u64 >= expected));
    let events = site.events();
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(
        (events.len() as u64, ids.len() as u64),
        (expected, expected),
        "events, and events that differ"
    );

    let (each, bytes) = (10, 16 << 10);
    put(&site, &raw, "backlog", each, bytes);
    let (before, mut most, watch) = (resident_mib(), 0, Watch::start());
    let expected = expected + each as u64 * lanes;
    site.run_until(&site.ingestor("one", &[&raw]), || {
        most = most.max(resident_mib());
        done(&site, &raw) == expected
    })
    .unwrap();
    let backlog_mib = (each * bytes * LANES as usize) >> 20;
    println!(
        "backlog of {backlog_mib} MiB: {} ms, resident {before} MiB before and {most} at most",
        watch.ms()
    );
    assert!(most < before + 130, "resident: {before} MiB before and {most} at most");
}

/// Two share the lanes while records come, then one leaves. Answers how many records there are in all by then.
fn share(site: &Site, raw: &str) -> u64 {
    let lanes = u64::from(LANES);
    let mut expected = 2 * lanes;
    let ((one, one_count), (two, two_count)) = (counted(site, "one", raw), counted(site, "two", raw));
    let (stop_one, stop_two) = (Stop::new(), Stop::new());
    thread::scope(|scope| {
        let first = scope.spawn(|| one.run(&stop_one));
        put(site, raw, "one", 1, 10);
        expected += lanes;
        let mut fine = wait_for("one alone reads all", || done(site, raw) == expected);

        let watch = Watch::start();
        let second = scope.spawn(|| two.run(&stop_two));
        // Each round meets the lanes wherever they are on their way.
        let mut rounds = 0;
        while fine && count(&two_count) == 0 && watch.ms() < PATIENCE.as_millis() as i64 {
            put(site, raw, &format!("moving-{rounds}"), 1, 10);
            (rounds, expected) = (rounds + 1, expected + lanes);
        }
        println!("the second commits after {} ms", watch.ms());
        fine &= wait_for("both read all", || done(site, raw) == expected);
        println!("both have caught up after {} ms and {rounds} rounds", watch.ms());

        let before = (count(&one_count), count(&two_count));
        let watch = Watch::start();
        put(site, raw, "settled", 1, 10);
        expected += lanes;
        fine &= wait_for("both read all once settled", || done(site, raw) == expected);
        let shares = (count(&one_count) - before.0, count(&two_count) - before.1);
        println!("settled: a round in {} ms, shared {shares:?}", watch.ms());

        stop_two.set();
        let watch = Watch::start();
        put(site, raw, "left", 1, 10);
        expected += lanes;
        fine &= wait_for("the first reads all again", || done(site, raw) == expected);
        println!("one has left: all lanes after {} ms", watch.ms());
        stop_one.set();
        let ended = (first.join().unwrap(), second.join().unwrap());
        assert_eq!(ended, (Ok(()), Ok(())));
        assert!(fine);
        assert!(shares.0 > lanes / 3 && shares.1 > lanes / 3, "not shared: {shares:?}");
    });
    expected
}
