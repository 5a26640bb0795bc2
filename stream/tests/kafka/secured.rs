//! A broker that asks who comes: what the right login and the right ACLs are enough for, and what is said about others.

use std::time::Duration;

use stream::kafka::{Kafka, Options, Topic};
use stream::{Batch, Claim, Error, Fence, Groups, Kind, Lane, Log, Member, Result, Role};

use super::own_broker::Broker;
use super::{AMPLE, PATIENCE, batch, has_own_broker, take_one, texts};

/// Who does a stage's work, and who only looks.
const WORKER: (&str, &str) = ("worker", "of-tests");
const LOOKER: (&str, &str) = ("looker", "of-tests-too");

/// What a stage needs that takes from `raw.*` and commits to `audit.events`, and somebody who looks at everything.
const RIGHTS_OF_EACH: &str = "
    allow worker topic:raw.* read
    allow worker topic:audit.events read,write
    allow worker group:sealog.worker read
    allow worker transactional-id:acme/* write
    allow looker topic:* describe,describe-configs
    allow looker cluster describe-configs
";

#[test]
fn a_secured_broker_lets_in_whom_it_knows_and_says_clearly_what_is_missing() {
    if !has_own_broker() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let broker = Broker::secure(data.path(), &[WORKER, LOOKER], &[]);
    logins(&broker);
    let admin = connect(&broker, broker.login("admin", "admin")).unwrap();
    let topic = |name: &str| Topic {
        name: name.to_owned(),
        partitions: 1,
        replicas: None,
        config: [("retention.ms".to_owned(), "-1".to_owned())].into(),
    };
    admin.create_topics(&["raw.orders", "audit.events", "hidden"].map(topic)).unwrap();
    admin.append(&batch(&Lane::new("raw.orders", 0), &["an event"])).unwrap();
    without_rights(&broker, &topic("raw.new"));
    with_rights(&broker);
}

fn connect(broker: &Broker, login: Vec<(String, String)>) -> Result<Kafka> {
    let properties = login.into_iter().collect();
    // As long as a request without an answer is waited for below.
    let patience = Duration::from_secs(3);
    Kafka::connect(Options { properties, patience, ..Options::new(broker.address()) })
}

/// The login with one property changed.
fn but(broker: &Broker, name: &str, value: &str) -> Vec<(String, String)> {
    let mut login = broker.login(WORKER.0, WORKER.1);
    login.retain(|(n, _)| n != name);
    login.push((name.to_owned(), value.to_owned()));
    login
}

fn refused<T>(what: Result<T>, says: &[&str]) {
    failed(what, Kind::Refused, says);
}

fn failed<T>(what: Result<T>, kind: Kind, says: &[&str]) {
    let error: Error = what.map(|_| ()).expect_err("it is not allowed");
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in says {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

fn logins(broker: &Broker) {
    connect(broker, broker.login(WORKER.0, WORKER.1)).unwrap();
    refused(
        connect(broker, but(broker, "sasl.password", "wrong")),
        &["invalid credentials", "correct sasl.username"],
    );
    refused(
        connect(broker, but(broker, "sasl.username", "nobody")),
        &["invalid credentials", "make this user known"],
    );
    refused(connect(broker, but(broker, "sasl.mechanism", "PLAIN")), &["SCRAM-SHA-512", "sasl.mechanism"]);
    // Whoever the machine itself trusts has not signed this broker's certificate.
    let mut of_machine = broker.login(WORKER.0, WORKER.1);
    of_machine.retain(|(name, _)| name != "ssl.ca.location");
    refused(connect(broker, of_machine), &["certificate could not be verified", "ssl.ca.location"]);
    refused(connect(broker, but(broker, "ssl.ca.location", "/missing.pem")), &["ssl.ca.location failed"]);
    // What is no TLS is hung up on; that may pass, and the sentence says what else it can be.
    failed(connect(broker, Vec::new()), Kind::Away, &["closed by peer", "security.protocol"]);
}

/// Each verb names the thing and the right that is missing.
fn without_rights(broker: &Broker, new: &Topic) {
    let connected = || connect(broker, broker.login(WORKER.0, WORKER.1)).unwrap();
    let (kafka, raw, events) = (connected(), Lane::new("raw.orders", 0), Lane::new("audit.events", 0));
    refused(kafka.describe_topics(&["audit.events"]), &["audit.events", "Describe"]);
    refused(kafka.create_topics(std::slice::from_ref(new)), &["raw.new", "an ACL of the topic"]);
    // Its producer goes on asking, and would explain what others wait for.
    refused(connected().append(&batch(&events, &["x"])), &["audit.events/0", "an ACL of the topic"]);
    refused(kafka.read(&raw, 0, &mut Batch::new(), AMPLE, PATIENCE), &["raw.orders/0", "an ACL to Describe"]);
    refused(kafka.last(&events), &["audit.events/0", "an ACL to Describe"]);
    refused(kafka.positions("sealog.worker", &[raw]), &["sealog.worker", "an ACL to Read the group"]);

    broker.acls("allow worker topic:raw.* read\n allow looker topic:* describe");
    refused(claim(&kafka), &["sealog.worker", "an ACL to Read the group"]);
    broker.acls("allow worker group:sealog.worker read");
    refused(claim(&kafka), &["acme/audit", "an ACL to Write the transactional id"]);
    broker.acls("allow worker transactional-id:acme/* write");
    let (_member, mut owner) = claim(&kafka).unwrap();
    refused(owner.commit(&batch(&events, &["x"]), &[]), &["TopicAuthorizationFailed", "an ACL of the topic"]);

    // Looking changes nothing, and settings need a right of their own.
    let kafka = connect(broker, broker.login(LOOKER.0, LOOKER.1)).unwrap();
    let found = kafka.describe_topics(&["raw.orders", "raw.none"]).unwrap();
    assert_eq!(found[0].found.as_ref().unwrap().partitions, 1);
    assert_eq!(found[0].found.as_ref().unwrap().settings, None);
    assert!(found[1].found.is_none());
    let settings = [("retention.ms".to_owned(), "1".to_owned())].into();
    refused(kafka.set_topic("raw.orders", &settings), &["raw.orders", "DescribeConfigs"]);
    refused(kafka.add_partitions("raw.orders", 2), &["raw.orders", "an ACL of the topic"]);
    refused(kafka.trim(&Lane::new("raw.orders", 0), 1), &["raw.orders/0", "an ACL of the topic"]);
    let cluster = kafka.describe_brokers().unwrap();
    assert!(cluster.id.is_some());
    assert_eq!(cluster.brokers[0].address, broker.address());
    let settings = cluster.brokers.into_iter().map(|b| b.settings).collect::<Result<Vec<_>>>();
    refused(settings, &["broker 1", "DescribeConfigs"]);
}

/// And what is written in the rules is enough.
fn with_rights(broker: &Broker) {
    broker.acls(RIGHTS_OF_EACH);
    let kafka = connect(broker, broker.login(WORKER.0, WORKER.1)).unwrap();
    let (_member, mut owner) = claim(&kafka).unwrap();
    let (lane, events) = (owner.lanes()[0].clone(), Lane::new("audit.events", 0));
    owner.start_at(&lane, 0).unwrap();
    let (event, at) = take_one(&mut *owner);
    owner.commit(&batch(&events, &[&event]), &[(lane, at + 1)]).unwrap();
    let mut got = Batch::new();
    kafka.read(&events, 0, &mut got, AMPLE, PATIENCE).unwrap();
    assert_eq!(texts(&got), ["an event"]);

    let kafka = connect(broker, broker.login(LOOKER.0, LOOKER.1)).unwrap();
    let found = kafka.describe_topics(&["raw.orders"]).unwrap().remove(0).found.unwrap();
    let retention = &found.settings.unwrap()["retention.ms"];
    assert_eq!((retention.value.as_deref(), retention.own), (Some("-1"), true));
    let change = [("retention.ms".to_owned(), "1".to_owned())].into();
    refused(kafka.set_topic("raw.orders", &change), &["retention.ms", "AlterConfigs"]);
    broker.acls("allow looker topic:raw.* alter-configs");
    kafka.set_topic("raw.orders", &change).unwrap();
    assert_eq!(kafka.describe_brokers().unwrap().brokers[0].settings.as_ref().unwrap()["node.id"], "1");
}

fn claim(kafka: &Kafka) -> Result<(Box<dyn Member>, Box<dyn Claim>)> {
    let role = Role {
        group: "sealog.worker".to_owned(),
        sources: vec!["raw.orders".to_owned()],
        fence: Fence::PerLane("acme/audit".to_owned()),
    };
    let mut member = kafka.join(&role)?;
    for _ in 0..100 {
        if let Some(claim) = member.poll(Duration::from_millis(100))? {
            return Ok((member, claim));
        }
    }
    panic!("neither a claim nor an error came");
}
