//! Stages as processes of their own, as if on two hosts, and how far each stage has come.

use std::fs;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use stream::{Groups, Lane, Limit, Log, topics};

use crate::harness::deployment::Deployment;
use crate::harness::process::Up;
use crate::harness::wait_for;

/// One stage. Their order is the road's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Ingestor,
    Chainer,
    Archiver,
    Trimmer,
}

impl Stage {
    pub const ALL: [Stage; 4] = [Stage::Ingestor, Stage::Chainer, Stage::Archiver, Stage::Trimmer];

    /// Its command.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Ingestor => "ingestor",
            Stage::Chainer => "chainer",
            Stage::Archiver => "archiver",
            Stage::Trimmer => "trimmer",
        }
    }
}

/// A number that nobody knows.
pub fn random(below: u64) -> u64 {
    u64::from_le_bytes(runtime::random_bytes::<8>()) % below
}

/// The members of the group of a stage, as Kafka counts them: whether each has been given a lane.
pub fn members(deployment: &Deployment, stage: Stage) -> Vec<bool> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &deployment.broker);
    let client: BaseConsumer = config.create().unwrap();
    let group = format!("{}sealog.{}", deployment.prefix, stage.name());
    let found = client.fetch_group_list(Some(&group), Duration::from_secs(10)).unwrap();
    let members = found.groups().iter().flat_map(|group| group.members());
    // An assignment is a version of two bytes, the number of topics, and the topics.
    let has_lanes = |given: &[u8]| given.get(2..6).is_some_and(|topics| topics != [0; 4]);
    members.map(|member| member.assignment().is_some_and(has_lanes)).collect()
}

/// Starts the process of a stage on the host of this number.
pub fn start(deployment: &Deployment, stage: Stage, host: usize) -> Up {
    let data = deployment.folder.path().join(format!("host-{host}"));
    fs::create_dir_all(&data).unwrap();
    let key = deployment.folder.path().join("data/chainer.key");
    let env = [
        ("SEALOG_KAFKA_INGESTOR_ID", &*format!("host-{host}")),
        ("SEALOG_DATA_DIR", data.to_str().unwrap()),
        ("SEALOG_KEYS_CHAINER", key.to_str().unwrap()),
    ];
    deployment.start_with(stage.name(), &env)
}

/// A number that grows with whatever this stage brings about, by whichever of its processes.
pub fn progress(deployment: &Deployment, stage: Stage) -> u64 {
    let chains = 0..deployment.chains;
    match stage {
        // Behind a transaction that a dead process left open nothing is seen.
        Stage::Ingestor => chains.map(|chain| end(deployment, &topics::events(chain))).sum(),
        Stage::Chainer => chains.map(|chain| deployment.sealed(chain)).sum(),
        Stage::Archiver => deployment.archived(),
        Stage::Trimmer => chains.map(|chain| beginning(deployment, &topics::sealed(chain))).sum(),
    }
}

/// 0 as well while a broker that was killed is not there yet.
fn end(deployment: &Deployment, lane: &Lane) -> u64 {
    deployment.kafka.last(lane).ok().and_then(|last| Some(last.last()?.offset)).unwrap_or(0)
}

fn beginning(deployment: &Deployment, lane: &Lane) -> u64 {
    let limit = Limit { records: 1, bytes: 1 };
    let read = deployment.kafka.read(lane, 0, &mut stream::Batch::new(), limit, Duration::ZERO);
    match read.map_err(|error| error.kind()) {
        Err(stream::Kind::OutOfRange { start, .. }) => start,
        other => other.map(|()| 0).unwrap(),
    }
}

/// Waits until all that services sent to the raw topics, of so many partitions each, has been taken.
fn wait_until_ingested(deployment: &Deployment, partitions: u32, seconds: u64) {
    let of = |topic: &String| (0..partitions).map(|n| Lane::new(topic, n)).collect::<Vec<_>>();
    let lanes: Vec<Lane> = deployment.raw.iter().flat_map(of).collect();
    let ends: Vec<u64> = lanes.iter().map(|lane| last_of(deployment, lane)).collect();
    wait_for("all that was sent is taken", seconds, || {
        let positions = deployment.kafka.positions("sealog.ingestor", &lanes).unwrap();
        positions.iter().zip(&ends).all(|(position, end)| position.unwrap_or(0) >= *end).then_some(())
    });
}

fn last_of(deployment: &Deployment, lane: &Lane) -> u64 {
    deployment.kafka.last(lane).unwrap().last().map_or(0, |record| record.offset + 1)
}

/// Ends what is left of the road in one process, so that everything is sealed and archived; then each of `ids` is in
/// the archive once, nothing else is, and the archive is whole.
pub fn everything_arrived_once(deployment: &Deployment, partitions: u32, ids: &[String], what: &str) {
    let up = deployment.start("up");
    wait_until_ingested(deployment, partitions, 120);
    // What a process does not own when it is asked to end, it does not finish.
    for stage in ["chainer", "archiver"] {
        wait_for("it owns every chain", 60, || {
            let claimed = format!("\"claimed\",\"stage\":\"sealog.{stage}\"");
            (up.logged(&claimed) >= deployment.chains as usize).then_some(())
        });
    }
    let (status, words) = up.stop();
    assert_eq!(status.code(), Some(0), "{what}: {words}");
    let archived = deployment.ids();
    let twice: Vec<&String> =
        archived.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    let lacks = |all: &[String], id: &String| all.binary_search(id).is_err();
    let missing: Vec<&String> = ids.iter().filter(|id| lacks(&archived, id)).collect();
    let invented: Vec<&String> = archived.iter().filter(|id| lacks(ids, id)).collect();
    let some = |these: &[&String]| format!("{}, as {:?}", these.len(), &these[..these.len().min(3)]);
    assert!(
        twice.is_empty() && missing.is_empty() && invented.is_empty(),
        "{what}: of {} events twice: {}, missing: {}, invented: {}",
        ids.len(),
        some(&twice),
        some(&missing),
        some(&invented)
    );
    deployment.verified(what);
}
