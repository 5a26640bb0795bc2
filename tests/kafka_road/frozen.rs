//! One of two hosts is frozen with all its stages, for longer than Kafka waits for it. The other goes on with the work;
//! when it wakes, nothing that it had in hand is committed, its stages join again, and both stay with what they own.

use std::time::Duration;

use runtime::{Deadline, Stop};

use super::load::Load;
use super::stages::{Stage, everything_arrived_once, members, progress, random, start};
use crate::harness::broker::Broker;
use crate::harness::deployment::{Deployment, broker};
use crate::harness::process::Up;
use crate::harness::wait_for;

const CHAINS: u32 = 2;
const PARTITIONS: u32 = 2;
const RAW: [(&str, u32); 3] = [("orders", PARTITIONS), ("users", PARTITIONS), ("billing", PARTITIONS)];
const HOSTS: usize = 2;
/// Those that share lanes.
const SHARED: [Stage; 3] = [Stage::Ingestor, Stage::Chainer, Stage::Archiver];
/// What Kafka waits for a silent process, and a little more.
const SILENCE: Duration = Duration::from_millis(4_500);
/// So long nothing changes hands where owners are settled.
const SETTLED: Duration = Duration::from_secs(5);

const IMPATIENT: &str = "[segment]\nmax_age = \"1s\"\n[kafka.properties]\n\"session.timeout.ms\" = 3000\n\
     \"max.poll.interval.ms\" = 6000\n\"transaction.timeout.ms\" = 4000\n\"socket.timeout.ms\" = 3500\n";

/// The processes of one stage, a host each.
struct Pair {
    stage: Stage,
    ups: [Up; HOSTS],
}

impl Pair {
    fn start(deployment: &Deployment, stage: Stage) -> Pair {
        Pair { stage, ups: [0, 1].map(|host| start(deployment, stage, host)) }
    }

    fn count(&self, words: &str) -> usize {
        self.ups.iter().map(|up| up.logged(words)).sum()
    }

    /// Both own lanes and keep them, and the work goes on.
    fn wait_until_settled(&self, deployment: &Deployment) {
        let name = self.stage.name();
        wait_for(&format!("both {name}s own lanes"), 60, || {
            (members(deployment, self.stage) == [true; HOSTS]).then_some(())
        });
        let (mut claimed, mut since) = (self.count("claimed"), Deadline::after(SETTLED));
        wait_for(&format!("the {name}s are settled"), 120, || {
            let now = self.count("claimed");
            if now != claimed {
                (claimed, since) = (now, Deadline::after(SETTLED));
            }
            since.passed().then_some(())
        });
        let mark = progress(deployment, self.stage);
        wait_for(&format!("the {name}s go on"), 60, || {
            (progress(deployment, self.stage) > mark).then_some(())
        });
    }
}

fn settled(pairs: &[Pair], deployment: &Deployment) {
    pairs.iter().for_each(|pair| pair.wait_until_settled(deployment));
}

/// Freezes the processes of a host, each at a moment that nobody knows. Answers how often each had failed by then.
fn freeze(pairs: &[Pair], host: usize) -> Vec<usize> {
    let freeze = |pair: &Pair| {
        let up = &pair.ups[host];
        Stop::new().wait(Duration::from_millis(random(200)));
        up.freeze();
        up.logged("will try again")
    };
    pairs.iter().map(freeze).collect()
}

/// The processes of the other host have all the lanes, and what they do is seen.
fn others_go_on(pairs: &[Pair], deployment: &Deployment) {
    for Pair { stage, .. } in pairs {
        let name = stage.name();
        wait_for(&format!("the {name}s do without it"), 60, || {
            (members(deployment, *stage) == [true; HOSTS - 1]).then_some(())
        });
        let mark = progress(deployment, *stage);
        wait_for(&format!("the other {name} goes on"), 60, || {
            (progress(deployment, *stage) > mark).then_some(())
        });
    }
}

/// Lets them go on. Whatever each had in hand fails.
fn wake(pairs: &[Pair], host: usize, failures: Vec<usize>) {
    pairs.iter().for_each(|pair| pair.ups[host].go_on());
    for (pair, failures) in pairs.iter().zip(failures) {
        let what = format!("the {} finds that it is fenced", pair.stage.name());
        wait_for(&what, 60, || (pair.ups[host].logged("will try again") > failures).then_some(()));
    }
}

#[test]
fn a_frozen_host_is_followed_wakes_fenced_and_shares_the_work_again() {
    let Some(broker) = broker() else { return };
    let deployment = Deployment::made_apart(&broker, CHAINS, &RAW, IMPATIENT);
    let mut pairs = SHARED.map(|stage| Pair::start(&deployment, stage));
    let load = Load::new(&deployment, PARTITIONS, &pairs[0].ups);
    let rounds = if super::is_long() { 5 } else { 1 };
    let ((), ids) = load.during(|| {
        settled(&pairs, &deployment);
        for round in 0..rounds * HOSTS {
            let failures = freeze(&pairs, round % HOSTS);
            let silence = Deadline::after(SILENCE);
            others_go_on(&pairs, &deployment);
            wait_for("every timeout is over", 60, || silence.passed().then_some(()));
            wake(&pairs, round % HOSTS, failures);
            settled(&pairs, &deployment);
        }
    });
    for Pair { stage, ups } in &mut pairs {
        assert!(ups.iter_mut().all(Up::is_running), "every {} lives", stage.name());
    }
    ended(pairs);
    everything_arrived_once(&deployment, PARTITIONS, &ids, "one of two frozen");
}

fn ended(pairs: impl IntoIterator<Item = Pair>) {
    for Pair { stage, ups } in pairs {
        for up in ups {
            let (status, words) = up.stop();
            assert_eq!(status.code(), Some(0), "{stage:?}: {words}");
        }
    }
}

#[test]
fn a_host_that_wakes_when_kafka_has_forgotten_its_transactional_ids_commits_nothing() {
    if !super::can_run_a_broker() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Longer than an owner waits that has failed before, or it would never come to work.
    let forgetful = [
        ("transactional.id.expiration.ms", "10000"),
        ("transaction.remove.expired.transaction.cleanup.interval.ms", "500"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
    ];
    let broker = Broker::start(folder.path(), &forgetful);
    let deployment = Deployment::made_apart(broker.address(), CHAINS, &RAW, IMPATIENT);
    let pairs = [Stage::Ingestor, Stage::Chainer].map(|stage| Pair::start(&deployment, stage));
    let archiver = start(&deployment, Stage::Archiver, 0);
    let load = Load::new(&deployment, PARTITIONS, &pairs[0].ups);
    let rounds = if super::is_long() { 5 } else { 1 };
    let ((), ids) = load.during(|| {
        settled(&pairs, &deployment);
        for round in 0..rounds * HOSTS {
            let failures = freeze(&pairs, round % HOSTS);
            others_go_on(&pairs, &deployment);
            // Idle owners lose their ids too: then nothing is left that knows of the frozen ones.
            load.pause();
            wait_for("every transactional id is forgotten", 60, || {
                transactional_ids(&broker).is_empty().then_some(())
            });
            wake(&pairs, round % HOSTS, failures);
            load.resume();
            settled(&pairs, &deployment);
        }
    });
    ended(pairs);
    assert_eq!(archiver.stop().0.code(), Some(0));
    everything_arrived_once(&deployment, PARTITIONS, &ids, "ids that were forgotten");
}

/// Those that a broker knows, a line each.
fn transactional_ids(broker: &Broker) -> Vec<String> {
    let mut tool = broker.tool("org.apache.kafka.tools.TransactionsCommand");
    let output = tool.args(["--bootstrap-server", broker.address(), "list"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // The first line names the columns.
    let mut lines = said.lines().skip_while(|line| !line.starts_with("TransactionalId"));
    assert!(lines.next().is_some(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    lines.map(str::to_owned).collect()
}
