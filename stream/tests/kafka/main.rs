//! The seam on a real broker: its promises, and what only Kafka can do wrong.
//!
//! SEALOG_TEST_KAFKA=host:port names the broker; `tests/run` starts one and sets it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken promise ends the test with a sentence")]

mod fenced;
mod fences;
mod installations;
#[path = "../../../tests/harness/broker.rs"]
mod own_broker;
mod records;
mod restart;
mod secured;
mod topics;
mod turns;
mod wire;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use runtime::Deadline;
use stream::conformance::{CASES, Case, Fixture, Ground};
use stream::kafka::{Kafka, MAX_MESSAGE_BYTES, Options, Topic};
use stream::{Batch, Claim, Lane, Limit, Log, Member};

/// The broker, or None where the test is to be skipped.
#[allow(clippy::disallowed_methods, reason = "which broker to test against is the environment's to say")]
fn broker() -> Option<String> {
    let given = std::env::var("SEALOG_TEST_KAFKA").ok().filter(|given| !given.is_empty());
    if given.is_none() {
        skip("no Kafka broker; run tests/run, or set SEALOG_TEST_KAFKA");
    }
    given
}

/// Whether a test can start a broker that it may kill. Where there is none for the others, it is skipped like them.
fn has_own_broker() -> bool {
    let missing = own_broker::Broker::missing();
    if let Some(missing) = &missing {
        skip(&format!("no broker of its own: {missing}"));
    }
    missing.is_none() && broker().is_some()
}

/// Says so past the harness, which would keep it to itself. CI tests everything.
#[allow(clippy::disallowed_methods, reason = "whether this is CI is the environment's to say")]
fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI tests everything, but here is {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

fn connect(broker: &str, properties: &[(&str, &str)]) -> Kafka {
    let properties = properties.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    Kafka::connect(Options { properties, ..Options::new(broker) }).unwrap()
}

/// Fresh topics for one case, and the stream to them.
struct Site {
    broker: String,
    kafka: Arc<Kafka>,
}

static SITES: AtomicUsize = AtomicUsize::new(0);

impl Site {
    fn new() -> Option<Site> {
        let broker = broker()?;
        let kafka = Arc::new(connect(&broker, &[]));
        Some(Site { broker, kafka })
    }

    /// A name that no earlier run on the same broker has used.
    fn name(&self, what: &str) -> String {
        let unique: [u8; 4] = runtime::random_bytes();
        let number = SITES.fetch_add(1, Ordering::SeqCst);
        format!("{what}.{number}.{:08x}", u32::from_be_bytes(unique))
    }

    fn topic(&self, what: &str, partitions: u32) -> String {
        let name = self.name(what);
        let config = BTreeMap::from([("max.message.bytes".into(), MAX_MESSAGE_BYTES.to_string())]);
        let topic = Topic { name: name.clone(), partitions, replicas: Some(1), config };
        assert_eq!(self.kafka.create_topics(std::slice::from_ref(&topic)).unwrap(), [name.as_str()]);
        name
    }

    fn lane(&self, what: &str) -> Lane {
        Lane::new(&self.topic(what, 1), 0)
    }

    /// A client in a group's name that is not in it.
    fn bystander(&self, group: &str) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.broker).set("group.id", group).create().unwrap()
    }

    /// What stands beside a group's position.
    fn beside_position(&self, group: &str, lane: &Lane) -> String {
        let mut list = TopicPartitionList::new();
        list.add_partition(&lane.topic, lane.partition as i32);
        let found = self.bystander(group).committed_offsets(list, PATIENCE).unwrap();
        found.elements()[0].metadata().to_owned()
    }

    /// Sets a group's position while nobody is in the group.
    fn put_position(&self, group: &str, lane: &Lane, offset: i64, beside: &str) {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(&lane.topic, lane.partition as i32);
        element.set_offset(Offset::Offset(offset)).unwrap();
        element.set_metadata(beside);
        self.bystander(group).commit(&list, CommitMode::Sync).unwrap();
    }

    /// A producer that does not keep our rules.
    fn stranger(&self, id: &str) -> BaseProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.broker).set("transactional.id", id);
        config.set("transaction.timeout.ms", "60000");
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer
    }
}

impl Fixture for Site {
    fn ground(&self, case: &str, partitions: u32) -> Ground {
        let (source, output) = (self.topic(case, partitions), self.topic(case, partitions));
        Ground { stream: self.kafka.clone(), source, output }
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
const AMPLE: Limit = Limit { records: 10_000, bytes: 64 << 20 };

fn batch(lane: &Lane, values: &[&str]) -> Batch {
    let mut batch = Batch::new();
    let id = batch.lane(lane);
    values.iter().for_each(|value| batch.push(id, None, &[], value.as_bytes()));
    batch
}

fn texts(batch: &Batch) -> Vec<&str> {
    batch.iter().map(|r| std::str::from_utf8(r.value.unwrap_or(b"(null)")).unwrap_or("(bytes)")).collect()
}

fn win(member: &mut dyn Member) -> Box<dyn Claim> {
    let deadline = Deadline::after(PATIENCE);
    while !deadline.passed() {
        if let Some(claim) = member.poll(Duration::from_millis(100)).unwrap() {
            return claim;
        }
    }
    panic!("no claim came within {PATIENCE:?}")
}

fn take_one(claim: &mut dyn Claim) -> (String, u64) {
    let mut got = Batch::new();
    claim.take(&mut got, Limit { records: 1, ..AMPLE }, PATIENCE).unwrap();
    let record = got.last().expect("a record comes in time");
    (String::from_utf8(record.value.unwrap().to_vec()).unwrap(), record.offset)
}

/// Everything that the lane holds, known to be all by a record appended behind it.
fn all(kafka: &Kafka, lane: &Lane) -> Vec<String> {
    kafka.append(&batch(lane, &["(end)"])).unwrap();
    let (mut got, mut at, deadline) = (Batch::new(), 0, Deadline::after(PATIENCE));
    while texts(&got).last() != Some(&"(end)") {
        assert!(!deadline.passed(), "the end of {lane} was not read: {:?}", texts(&got));
        kafka.read(lane, at, &mut got, AMPLE, Duration::from_millis(100)).unwrap();
        at = got.last().map_or(0, |r| r.offset + 1);
    }
    texts(&got).iter().map(|t| t.to_string()).filter(|t| t != "(end)").collect()
}

/// Several at a time: most of a case is waiting for a group.
#[test]
fn kafka_keeps_the_promises_of_the_seam() {
    let Some(site) = Site::new() else { return };
    let left: Mutex<Vec<&Case>> = Mutex::new(CASES.iter().rev().collect());
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                while let Some((name, case)) = { left.lock().unwrap().pop() } {
                    let start = Deadline::after(PATIENCE * 10);
                    eprintln!("conformance: {name}");
                    case(&site);
                    eprintln!("conformance: {name} took {:?}", PATIENCE * 10 - start.left());
                }
            });
        }
    });
}
