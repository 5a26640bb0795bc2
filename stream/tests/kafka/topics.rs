//! Topics and brokers: made, looked at, changed, and what is said when something is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use stream::kafka::{Kafka, Options, Topic};
use stream::{Batch, Fence, Groups, Kind, Lane, Log, Role, topics};

use super::own_broker::Broker;
use super::{AMPLE, PATIENCE, Site, all, batch, has_own_broker, texts};

#[test]
fn topics_are_made_once_and_a_missing_one_is_said() {
    let Some(site) = Site::new() else { return };
    let config = BTreeMap::from([("segment.bytes".to_owned(), (128 << 20).to_string())]);
    let mut topic = Topic { name: site.name("made"), partitions: 3, replicas: None, config };
    assert_eq!(site.kafka.create_topics(&[topic.clone()]).unwrap(), [topic.name.as_str()]);
    assert!(site.kafka.create_topics(&[topic.clone()]).unwrap().is_empty());
    assert!(site.kafka.last(&Lane::new(&topic.name, 2)).unwrap().is_empty());
    topic.name = site.name("bad");
    topic.config.insert("no.such.setting".into(), "1".into());
    assert_eq!(site.kafka.create_topics(&[topic]).unwrap_err().kind(), Kind::Refused);

    let sources = vec![site.name("missing")];
    let role = Role { group: site.name("group"), sources, fence: Fence::Reader };
    let error = site.kafka.join(&role).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
}

#[test]
fn a_topic_is_described_as_it_was_made() {
    let Some(site) = Site::new() else { return };
    let name = site.topic("described", 3);
    let (missing, again) = (site.name("missing"), site.topic("described", 1));
    let states = site.kafka.describe_topics(&[&name, &missing, &again]).unwrap();
    assert_eq!(states.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), [&name, &missing, &again]);
    let found = states[0].found.as_ref().unwrap();
    assert_eq!((found.partitions, found.replicas, found.in_sync), (3, 1, 1));
    assert!(found.offline.is_empty());
    let settings = found.settings.as_ref().unwrap();
    let setting = |name: &str| (settings[name].value.as_deref().unwrap(), settings[name].own);
    assert_eq!(setting("max.message.bytes"), (stream::kafka::MAX_MESSAGE_BYTES.to_string().as_str(), true));
    assert_eq!(setting("cleanup.policy"), ("delete", false));
    assert!(states[1].found.is_none());
    assert_eq!(states[2].found.as_ref().unwrap().partitions, 1);
    assert!(site.kafka.describe_topics(&[]).unwrap().is_empty());
}

#[test]
fn a_setting_is_changed_and_the_others_stay() {
    let Some(site) = Site::new() else { return };
    let own = |name: &str| -> BTreeMap<String, String> {
        let found = site.kafka.describe_topics(&[name]).unwrap().remove(0).found.unwrap();
        let own = found.settings.unwrap().into_iter().filter(|(_, setting)| setting.own);
        own.map(|(name, setting)| (name, setting.value.unwrap())).collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    let name = site.name("set");
    let config = pairs(&[("retention.ms", "1000"), ("segment.bytes", "1048576")]);
    site.kafka.create_topics(&[Topic { name: name.clone(), partitions: 1, replicas: None, config }]).unwrap();
    let change = pairs(&[("retention.ms", "-1"), ("retention.bytes", "-1")]);
    site.kafka.set_topic(&name, &change).unwrap();
    let expected = pairs(&[("retention.bytes", "-1"), ("retention.ms", "-1"), ("segment.bytes", "1048576")]);
    assert_eq!(own(&name), expected);
    // The next change stands upon this one, however soon it comes.
    site.kafka.set_topic(&name, &pairs(&[("segment.bytes", "2097152")])).unwrap();
    site.kafka.set_topic(&name, &pairs(&[("retention.bytes", "7")])).unwrap();
    let expected = pairs(&[("retention.bytes", "7"), ("retention.ms", "-1"), ("segment.bytes", "2097152")]);
    assert_eq!(own(&name), expected);

    for (setting, value) in [("no.such.setting", "1"), ("retention.ms", "for ever")] {
        let error = site.kafka.set_topic(&name, &pairs(&[(setting, value)])).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        assert!(error.to_string().contains(setting), "{error}");
    }
    assert_eq!(own(&name), expected);
    let error = site.kafka.set_topic(&site.name("missing"), &change).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.to_string().contains("make it first"), "{error}");
}

#[test]
fn topics_of_two_installations_stand_side_by_side() {
    let Some(site) = Site::new() else { return };
    let installation = || {
        let prefix = format!("{}.", site.name("installed"));
        let kafka = Kafka::connect(Options { prefix: prefix.clone(), ..Options::new(&site.broker) }).unwrap();
        (prefix, kafka)
    };
    let ((prefix, one), (_, other)) = (installation(), installation());
    let config = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
    let topic = Topic { name: topics::EVENTS.to_owned(), partitions: 1, replicas: None, config };
    assert_eq!(one.create_topics(std::slice::from_ref(&topic)).unwrap(), [topics::EVENTS]);
    assert!(one.create_topics(&[topic]).unwrap().is_empty());
    one.add_partitions(topics::EVENTS, 2).unwrap();
    one.set_topic(topics::EVENTS, &BTreeMap::from([("retention.ms".to_owned(), "7".to_owned())])).unwrap();
    let seen = |kafka: &Kafka, name: &str| {
        let state = kafka.describe_topics(&[name]).unwrap().remove(0);
        assert_eq!(state.name, name);
        state
            .found
            .map(|found| (found.partitions, found.settings.unwrap()["retention.ms"].value.clone().unwrap()))
    };
    let changed = Some((2, "7".to_owned()));
    assert_eq!(seen(&one, topics::EVENTS), changed);
    assert_eq!(seen(&site.kafka, &format!("{prefix}{}", topics::EVENTS)), changed);
    assert_eq!(seen(&other, topics::EVENTS), None);
    let error = other.add_partitions(topics::EVENTS, 2).unwrap_err();
    assert!(error.to_string().contains(&other.topic_name(topics::EVENTS)), "{error}");
}

#[test]
fn a_topic_grows_and_never_shrinks() {
    let Some(site) = Site::new() else { return };
    let name = site.topic("grown", 2);
    site.kafka.add_partitions(&name, 5).unwrap();
    let lane = Lane::new(&name, 4);
    assert_eq!(all(&site.kafka, &lane), Vec::<String>::new());
    site.kafka.add_partitions(&name, 5).unwrap();
    let error = site.kafka.add_partitions(&name, 4).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("has 5"), "{error}");
    let found = site.kafka.describe_topics(&[&name]).unwrap().remove(0).found.unwrap();
    assert_eq!(found.partitions, 5);
    let error = site.kafka.add_partitions(&site.name("missing"), 5).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
}

/// The broker is one that makes whatever topic a client asks about, unless the client says otherwise.
#[test]
fn looking_makes_no_topic_and_a_broker_tells_its_settings() {
    if !has_own_broker() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let settings = [("auto.create.topics.enable", "true"), ("offsets.retention.minutes", "4321")];
    let mut broker = Broker::start(data.path(), &settings);
    let options = Options { patience: Duration::from_secs(3), ..Options::new(broker.address()) };
    let kafka = Kafka::connect(options).unwrap();
    for _ in 0..2 {
        assert!(kafka.describe_topics(&["raw.orders"]).unwrap()[0].found.is_none());
        assert_eq!(kafka.add_partitions("raw.orders", 2).unwrap_err().kind(), Kind::Refused);
    }
    let cluster = kafka.describe_brokers().unwrap();
    assert!(cluster.id.is_some_and(|id| !id.is_empty()));
    assert_eq!(
        cluster.brokers.iter().map(|b| (b.id, b.address.as_str())).collect::<Vec<_>>(),
        [(1, broker.address())]
    );
    assert_eq!(cluster.brokers[0].settings.as_ref().unwrap()["offsets.retention.minutes"], "4321");

    // What Kafka's own tool has sent is there, also after the broker was killed; and one that hangs is Away.
    let lane = Lane::new("raw.orders", 0);
    let topic = Topic { name: "raw.orders".into(), partitions: 1, replicas: None, config: BTreeMap::new() };
    kafka.create_topics(&[topic]).unwrap();
    broker.console_producer(
        "raw.orders",
        &["who:me\tk\tone", "who:me\tk\ttwo"],
        &["parse.key=true", "parse.headers=true"],
    );
    broker.restart();
    let mut got = Batch::new();
    kafka.read(&lane, 0, &mut got, AMPLE, PATIENCE).unwrap();
    assert_eq!(texts(&got), ["one", "two"]);
    let record = got.last().unwrap();
    assert_eq!((record.key, record.headers.get("who")), (Some(&b"k"[..]), Some(&b"me"[..])));
    let held_up = broker.stopped_while(|| kafka.describe_topics(&["raw.orders"]).unwrap_err());
    assert_eq!(held_up.kind(), Kind::Away, "{held_up}");
    kafka.append(&batch(&lane, &["three"])).unwrap();
    assert_eq!(all(&kafka, &lane), ["one", "two", "three"]);
}

#[test]
fn what_correctness_fixes_cannot_be_set_and_a_silent_broker_is_away() {
    let with = |name: &str, value: &str, broker: &str| {
        let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let patience = Duration::from_millis(300);
        Kafka::connect(Options { properties, patience, ..Options::new(broker) }).map(|_| ()).unwrap_err()
    };
    // The discard port of the machine: nobody listens there.
    let nobody = "127.0.0.1:9";
    for (name, value) in [("acks", "1"), ("isolation.level", "read_uncommitted"), ("no.such.property", "1")] {
        let error = with(name, value, nobody);
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let error = with("client.id", "test", nobody);
    assert_eq!(error.kind(), Kind::Away, "{error}");
    let text = error.to_string();
    assert!(text.contains(nobody) && text.contains("refused"), "{error}");
}
