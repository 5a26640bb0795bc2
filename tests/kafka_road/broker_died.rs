//! The broker itself is killed, in the middle of transactions, and comes back on its data: every process goes on by
//! itself. And whoever is ended while it is away says that it could not finish.

use std::thread;
use std::time::Duration;

use runtime::{Clock, Stop, SystemClock};

use super::load::Load;
use super::stages::{Stage, everything_arrived_once, progress, random, start};
use crate::harness::broker::Broker;
use crate::harness::deployment::Deployment;
use crate::harness::process::Up;
use crate::harness::wait_for;

const CHAINS: u32 = 2;
const PARTITIONS: u32 = 2;
const RAW: [(&str, u32); 3] = [("orders", PARTITIONS), ("users", PARTITIONS), ("billing", PARTITIONS)];

/// A request whose outcome the broker's death has hidden is looked for in audit.events when the broker is back: none of
/// it is to be trimmed by then.
const QUICK: &str = "[segment]\nmax_age = \"1s\"\n[trimmer]\nenabled = false\n";

/// Kills the broker under load again and again, while these processes, of which the first takes requests, work.
fn the_broker_dies(begin: impl FnOnce(&Deployment) -> Vec<Up>) {
    if !super::can_run_a_broker() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(folder.path(), &[]);
    let deployment = Deployment::made_apart(broker.address(), CHAINS, &RAW, QUICK);
    let mut ups = begin(&deployment);
    let load = Load::new(&deployment, PARTITIONS, &ups[..1]);
    let ((), ids) = load.during(|| {
        let go_on = || {
            for stage in [Stage::Ingestor, Stage::Chainer, Stage::Archiver] {
                let mark = progress(&deployment, stage);
                let what = format!("the {} goes on", stage.name());
                wait_for(&what, 120, || (progress(&deployment, stage) > mark).then_some(()));
            }
            let answered = load.answered(0);
            wait_for("requests are answered", 60, || (load.answered(0) > answered).then_some(()));
        };
        go_on();
        for _ in 0..if super::is_long() { 10 } else { 3 } {
            Stop::new().wait(Duration::from_millis(random(500)));
            broker.kill();
            Stop::new().wait(Duration::from_millis(random(3_000)));
            broker.restart();
            go_on();
        }
    });
    for mut up in ups.drain(..) {
        assert!(up.is_running(), "it lives: {}", up.all());
        let (status, words) = up.stop();
        assert_eq!(status.code(), Some(0), "{words}");
    }
    everything_arrived_once(&deployment, PARTITIONS, &ids, "a broker that died");
}

#[test]
fn a_broker_that_is_killed_under_load_and_comes_back_costs_up_nothing() {
    the_broker_dies(|deployment| vec![deployment.start("up")]);
}

#[test]
fn a_broker_that_is_killed_under_load_and_comes_back_costs_the_stages_nothing() {
    let stages = [Stage::Ingestor, Stage::Chainer, Stage::Archiver];
    if super::is_long() {
        the_broker_dies(|deployment| stages.map(|stage| start(deployment, stage, 0)).into());
    }
}

#[test]
fn whoever_is_ended_while_the_broker_is_away_says_that_it_could_not_finish() {
    if !super::can_run_a_broker() {
        return;
    }
    const EVENTS: usize = 50_000;
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(folder.path(), &[]);
    let [alone, shared] = [(), ()].map(|()| Deployment::made_apart(broker.address(), CHAINS, &RAW, QUICK));
    let (up, ingestor, chainer) =
        (alone.start("up"), start(&shared, Stage::Ingestor, 0), start(&shared, Stage::Chainer, 0));
    let id = |n: usize| format!("n-{n:06}");
    let send = |deployment: &Deployment| {
        for first in (0..EVENTS).step_by(5_000) {
            let event = |n| format!("{{\"id\":\"{}\",\"action\":\"a\"}}", id(n));
            let partition = (first / 5_000) as u32 % PARTITIONS;
            deployment.produce(&deployment.raw[0], partition, (first..first + 5_000).map(event));
        }
    };
    thread::scope(|services| {
        services.spawn(|| send(&alone));
        send(&shared);
    });
    for deployment in [&alone, &shared] {
        wait_for("sealing has begun", 60, || (progress(deployment, Stage::Chainer) > 1_000).then_some(()));
    }
    broker.kill();
    for process in [&up, &chainer] {
        process.terminate();
    }
    let began = SystemClock.boot();
    for (name, process) in [("up", up), ("chainer", chainer)] {
        let (status, words) = process.ends(60);
        let took_s = (SystemClock.boot().0 - began.0) / 1_000_000;
        eprintln!("{name}: ended {took_s} s after SIGTERM, the broker being away");
        assert!(took_s <= 35, "{name}: {took_s} s");
        assert_eq!(status.code(), Some(1), "{name}: {words}");
        assert!(
            words.contains("could not finish") && !words.contains("Stopped. What this process"),
            "{name}: {words}"
        );
    }
    drop(ingestor);
    broker.restart();
    let all: Vec<String> = (0..EVENTS).map(id).collect();
    for deployment in [&alone, &shared] {
        let sealed = progress(deployment, Stage::Chainer);
        assert!(sealed < EVENTS as u64, "it had something to finish: {sealed} were sealed");
        everything_arrived_once(deployment, PARTITIONS, &all, "ended while the broker was away");
    }
}
