//! A broker alone that its cluster takes for dead again and again, while it lives and answers: no partition has a leader
//! then, there is no broker to go to, and a client may be left with none for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use runtime::{Deadline, Stop};
use stream::kafka::{Kafka, Options, Topic};
use stream::{Batch, Claim, Error, Fence, Groups, Kind, Lane, Log, Member, Role};

use super::own_broker::Broker;
use super::{AMPLE, PATIENCE, Site, all, batch, has_own_broker, texts};

/// It is heard of every twelve seconds, and believed to live for nine of them.
const SELDOM_HEARD_OF: [(&str, &str); 2] =
    [("broker.session.timeout.ms", "9000"), ("broker.heartbeat.interval.ms", "12000")];

/// How long it goes on so, before it is well again, and how many records are to be appended meanwhile.
const TROUBLE: Duration = Duration::from_secs(40);
const RECORDS: usize = 10;

/// The lanes, made while the cluster knows a broker to put them on.
fn lanes(kafka: &Kafka, names: [String; 2]) -> [Lane; 2] {
    let deadline = Deadline::after(PATIENCE);
    let topic = |name: String| Topic { name, partitions: 1, replicas: Some(1), config: BTreeMap::new() };
    while let Err(error) = kafka.create_topics(&names.clone().map(topic)) {
        assert!(!deadline.passed(), "{error}");
        Stop::new().wait(Duration::from_millis(50));
    }
    names.map(|name| Lane::new(&name, 0))
}

/// Whether nobody leads the lane now, as somebody sees it who has just come.
fn is_without_leader(site: &Site, lane: &Lane) -> bool {
    let found = site.bystander("onlooker").fetch_metadata(Some(&lane.topic), PATIENCE).unwrap();
    found.topics()[0].partitions().iter().any(|partition| partition.leader() < 0)
}

/// What passes is tried again; anything else would have halted the stage.
fn passes(result: Result<(), Error>) -> bool {
    if let Err(error) = &result {
        assert!(matches!(error.kind(), Kind::Away | Kind::Lost), "{:?}: {error}", error.kind());
    }
    result.is_ok()
}

/// The offset that was copied last, plus one.
fn copied(kafka: &Kafka, output: &Lane) -> Result<u64, Error> {
    Ok(texts(&kafka.last(output)?).first().map_or(0, |last| last.parse::<u64>().unwrap() + 1))
}

/// Copies what is not copied yet, as a stage does that knows by its last output how far it is.
fn copy(kafka: &Kafka, claim: &mut dyn Claim, output: &Lane) -> Result<(), Error> {
    let source = claim.lanes()[0].clone();
    claim.start_at(&source, copied(kafka, output)?)?;
    let mut taken = Batch::new();
    claim.take(&mut taken, AMPLE, Duration::from_millis(200))?;
    let Some(last) = taken.last() else { return Ok(()) };
    let offsets: Vec<String> = taken.iter().map(|record| record.offset.to_string()).collect();
    let offsets: Vec<&str> = offsets.iter().map(String::as_str).collect();
    claim.commit(&batch(output, &offsets), &[(source, last.offset + 1)])
}

/// A stage in small, and everything else that a stage asks of a stream. Each is answered, or fails so that it is tried
/// again; and in the end nothing is missing and nothing is there twice.
#[test]
fn a_broker_that_is_taken_for_dead_for_moments_stops_nobody() {
    if !has_own_broker() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(data.path(), &SELDOM_HEARD_OF);
    // What cannot be answered is given up sooner than a stage would.
    let options = Options { patience: Duration::from_secs(5), ..Options::new(broker.address()) };
    let site =
        Site { broker: broker.address().to_owned(), kafka: Arc::new(Kafka::connect(options).unwrap()) };
    let kafka = &*site.kafka;
    let [source, output] = lanes(kafka, ["fenced-in", "fenced-out"].map(|name| site.name(name)));
    let sources = vec![source.topic.to_string()];
    let role = Role { group: site.name("group"), sources, fence: Fence::PerLane(site.name("origin")) };
    let (mut member, mut claim) = (None::<Box<dyn Member>>, None::<Box<dyn Claim>>);
    let (mut lapses, mut appended, mut failed, mut is_well) = (0, 0, 0, false);
    let (trouble, deadline) = (Deadline::after(TROUBLE), Deadline::after(PATIENCE * 10));
    loop {
        lapses += usize::from(is_without_leader(&site, &source));
        if !is_well && trouble.passed() && lapses > 0 && appended >= RECORDS {
            drop(broker);
            broker = Broker::start(data.path(), &[]);
            is_well = true;
        }
        let end = kafka.last(&source).map(|last| last.last().map_or(0, |record| record.offset + 1));
        let done = copied(kafka, &output);
        if is_well && matches!((&end, &done), (Ok(end), Ok(done)) if end == done) {
            break;
        }
        assert!(
            !deadline.passed(),
            "{lapses} times without a leader, {appended} appended, {done:?} of {end:?} copied"
        );
        let mut attempts = vec![
            end.map(drop),
            done.map(drop),
            kafka.settle(&source, Duration::ZERO),
            kafka.read(&source, 0, &mut Batch::new(), AMPLE, Duration::ZERO),
            kafka.trim(&source, 0),
            kafka.positions(&role.group, std::slice::from_ref(&source)).map(drop),
        ];
        if !is_well {
            attempts.push(kafka.append(&batch(&source, &["x"])).inspect(|()| appended += 1));
        }
        failed += attempts.into_iter().map(passes).filter(|passed| !passed).count();
        let polled = match &mut member {
            Some(member) => member.poll(Duration::from_millis(100)),
            None => kafka.join(&role).map(|joined| {
                member = Some(joined);
                None
            }),
        };
        match polled {
            Ok(won) => claim = won.or(claim),
            // What a stage does about it: it leaves, and joins anew.
            Err(error) => {
                assert!(!passes(Err(error)));
                (claim, member) = (None, None);
            }
        }
        if let Some(owner) = &mut claim
            && !passes(copy(kafka, &mut **owner, &output))
        {
            claim = None;
        }
    }
    drop((claim, member));
    eprintln!("{lapses} times without a leader, {appended} appended, {failed} calls to be tried again");
    let end = copied(kafka, &output).unwrap();
    let expected: Vec<String> = (0..end).map(|offset| offset.to_string()).collect();
    assert_eq!(all(kafka, &output), expected);
}
