//! Topics, settings, and what is said when something is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use stream::kafka::{Kafka, Options, Topic};
use stream::{Fence, Groups, Kind, Lane, Log, Role};

use super::Site;

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
