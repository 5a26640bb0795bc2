//! Stages are killed at random moments under load, and started again: nothing is missing and nothing is there twice.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use runtime::{Clock, Stop, SystemClock};
use schemas::Micros;
use stream::topics;

use super::load::Load;
use super::stages::{Stage, everything_arrived_once, members, progress, random, start};
use crate::harness::deployment::{Deployment, broker};
use crate::harness::process::{Up, post_with_key};
use crate::harness::wait_for;

/// Of each stage, in one run.
const KILLS: usize = 10;
const CHAINS: u32 = 2;
/// Of each raw topic.
const PARTITIONS: u32 = 2;
/// Two of each stage, but for the trimmer.
const HOSTS: usize = 2;

const QUICK: &str = "[segment]\nmax_age = \"1s\"\n[trimmer]\nafter = \"0s\"\nretries = \"0s\"\n";

/// Each stage `KILLS` times, in an order that nobody knows.
fn shuffled() -> Vec<Stage> {
    let mut left: Vec<Stage> = Stage::ALL.into_iter().flat_map(|stage| [stage; KILLS]).collect();
    (0..left.len()).map(|_| left.swap_remove(random(left.len() as u64) as usize)).collect()
}

/// The processes of a deployment.
struct Site<'a> {
    deployment: &'a Deployment,
    ups: Vec<(Stage, usize, Option<Up>)>,
    /// How far each stage was when it was killed last.
    marks: Vec<(Stage, u64)>,
}

impl<'a> Site<'a> {
    fn start(deployment: &'a Deployment) -> Site<'a> {
        let hosts = |stage| if stage == Stage::Trimmer { 1 } else { HOSTS };
        let pairs = Stage::ALL.into_iter().flat_map(|stage| (0..hosts(stage)).map(move |host| (stage, host)));
        let ups = pairs.map(|(stage, host)| (stage, host, Some(start(deployment, stage, host)))).collect();
        let marks = Stage::ALL.map(|stage| (stage, progress(deployment, stage))).to_vec();
        Site { deployment, ups, marks }
    }

    fn up(&self, stage: Stage, host: usize) -> &Up {
        let found = self.ups.iter().find(|(s, h, _)| (*s, *h) == (stage, host));
        found.and_then(|(.., up)| up.as_ref()).unwrap()
    }

    fn kill(&mut self, stage: Stage, host: usize) {
        let found = self.ups.iter_mut().find(|(s, h, _)| (*s, *h) == (stage, host)).unwrap();
        found.2.take().unwrap().kill();
        found.2 = Some(start(self.deployment, stage, host));
    }

    /// Until the stage, by whichever process, has done something since it was killed last.
    fn wait_for_work_of(&mut self, stage: Stage) {
        let mark = self.marks.iter_mut().find(|(s, _)| *s == stage).unwrap();
        mark.1 = wait_for(&format!("the {} goes on", stage.name()), 60, || {
            Some(progress(self.deployment, stage)).filter(|now| *now > mark.1)
        });
    }
}

#[test]
fn each_stage_killed_ten_times_under_load_loses_and_doubles_nothing() {
    let Some(broker) = broker() else { return };
    let more = format!("{QUICK}[kafka.properties]\n\"session.timeout.ms\" = 3000\n");
    let raw = ["orders", "users", "billing"].map(|name| (name, PARTITIONS));
    let deployment = Deployment::made_apart(&broker, CHAINS, &raw, &more);
    let mut site = Site::start(&deployment);
    let gateways: Vec<&Up> = (0..HOSTS).map(|host| site.up(Stage::Ingestor, host)).collect();
    let load = Load::new(&deployment, PARTITIONS, gateways);
    let ((), ids) = load.during(|| {
        for stage in shuffled() {
            site.wait_for_work_of(stage);
            Stop::new().wait(Duration::from_millis(random(200)));
            let host = random(if stage == Stage::Trimmer { 1 } else { HOSTS as u64 }) as usize;
            if stage == Stage::Ingestor {
                // A gateway knows after a start what audit.events still holds; so while a request is without its
                // answer, nothing is trimmed.
                site.up(Stage::Trimmer, 0).freeze();
                site.kill(stage, host);
                let answered = load.answered(host);
                load.moved(host, site.up(stage, host));
                wait_for("what got no answer has one", 60, || (load.answered(host) > answered).then_some(()));
                site.up(Stage::Trimmer, 0).go_on();
            } else {
                site.kill(stage, host);
            }
        }
        Stage::ALL.into_iter().for_each(|stage| site.wait_for_work_of(stage));
    });
    for (stage, host, up) in site.ups {
        let (status, words) = up.unwrap().stop();
        assert_eq!(status.code(), Some(0), "{stage:?} on host {host}: {words}");
    }
    assert!(ids.len() > 1_000, "only {} were sent", ids.len());
    everything_arrived_once(&deployment, PARTITIONS, &ids, "killed forty times");
}

/// Whoever stands by takes over once Kafka has missed the dead one for `session_ms`. Says how long it took.
fn the_dead_are_followed(session_ms: u64) {
    let Some(broker) = broker() else { return };
    let more = format!("{QUICK}[kafka.properties]\n\"session.timeout.ms\" = {session_ms}\n");
    let deployment = Deployment::made_apart(&broker, 1, &[("app", 1)], &more);
    let stages = [
        (Stage::Ingestor, "sealog_ingestor_events_total{source=\"kafka\"}"),
        (Stage::Chainer, "sealog_chainer_events_total"),
        (Stage::Archiver, "sealog_archiver_events_total"),
    ];
    let owners = stages.map(|(stage, _)| start(&deployment, stage, 0));
    let load = Load::new(&deployment, 1, []);
    let (standing_by, ids) = load.during(|| {
        wait_for("they work", 60, || (progress(&deployment, Stage::Archiver) > 0).then_some(()));
        let standing_by = stages.map(|(stage, _)| start(&deployment, stage, 1));
        for ((stage, output), (owner, next)) in stages.into_iter().zip(owners.into_iter().zip(&standing_by)) {
            wait_for("two are in the group", 60, || (members(&deployment, stage).len() == 2).then_some(()));
            assert_eq!(next.metric(output), 0.0, "{stage:?}: one lane, one owner");
            owner.kill();
            let since = Elapsed::now();
            wait_for("the other takes over", 60, || (next.metric(output) > 0.0).then_some(()));
            let took_ms = since.ms();
            // What a dead ingestor left open hides what others commit behind it, for a while.
            let mark = progress(&deployment, stage);
            wait_for("its work is seen", 60, || (progress(&deployment, stage) > mark).then_some(()));
            let seen_ms = since.ms();
            eprintln!(
                "session.timeout.ms={session_ms}: {} killed, first output of the other after {took_ms} ms, seen after \
                 {seen_ms} ms",
                stage.name()
            );
            assert!(took_ms < session_ms + 10_000, "{stage:?}: {took_ms} ms");
        }
        standing_by
    });
    for up in standing_by {
        let (status, words) = up.stop();
        assert_eq!(status.code(), Some(0), "{words}");
    }
    everything_arrived_once(&deployment, 1, &ids, "after each was followed");
}

/// Time that has passed.
struct Elapsed(Micros);

impl Elapsed {
    fn now() -> Elapsed {
        Elapsed(SystemClock.boot())
    }

    fn ms(&self) -> u64 {
        ((SystemClock.boot().0 - self.0.0) / 1_000) as u64
    }
}

#[test]
fn the_dead_are_followed_within_a_short_session_timeout() {
    the_dead_are_followed(3_000);
}

#[test]
fn the_dead_are_followed_within_the_session_timeout_that_is_default() {
    if super::is_long() {
        the_dead_are_followed(10_000);
    }
}

#[test]
fn a_request_is_known_again_though_a_transaction_that_is_open_hides_its_events() {
    let Some(broker) = broker() else { return };
    let deployment = Deployment::made_apart(&broker, 1, &[("app", 1)], QUICK);
    let gateway = start(&deployment, Stage::Ingestor, 0);
    // It has read back what there was before anything is hidden.
    let first = post_with_key(&gateway.url, "zero", "{\"id\":\"first\",\"action\":\"a\"}");
    assert_eq!(first.unwrap().0, 202);
    let topic = deployment.kafka.topic_name(topics::EVENTS);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &deployment.broker);
    config.set("transactional.id", format!("{}another", deployment.prefix));
    let other: BaseProducer = config.create().unwrap();
    other.init_transactions(Duration::from_secs(10)).unwrap();
    other.begin_transaction().unwrap();
    other.send(BaseRecord::<[u8], [u8]>::to(&topic).partition(0).payload(b"of a process that died")).unwrap();
    wait_for("it is in the log", 10, || {
        other.poll(Duration::ZERO);
        (other.in_flight_count() == 0).then_some(())
    });
    let (key, body) = ("one", "{\"id\":\"once\",\"action\":\"a\"}");
    assert_eq!(post_with_key(&gateway.url, key, body).unwrap().0, 202);
    // The answer was lost, says the service, and the gateway with it.
    gateway.kill();
    let gateway = start(&deployment, Stage::Ingestor, 0);
    let again = std::thread::scope(|scope| {
        let again = scope.spawn(|| post_with_key(&gateway.url, key, body).unwrap().0);
        wait_for("it is known again, or waits for the end of the transaction", 10, || {
            (again.is_finished() || gateway.logged("reading back what was sent") > 0).then_some(())
        });
        other.abort_transaction(Duration::from_secs(10)).unwrap();
        again.join().unwrap()
    });
    assert!(again == 202 || again == 503, "{again}");
    assert_eq!(gateway.stop().0.code(), Some(0));
    let sent = ["first".to_owned(), "once".to_owned()];
    everything_arrived_once(&deployment, 1, &sent, "sent twice under one key");
}
