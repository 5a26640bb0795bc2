//! A stop finds all that was acknowledged: also before the group has given its lanes, and behind what another process
//! has begun and not ended.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use stream::topics;

use crate::harness::broker::Broker;
use crate::harness::deployment::{Deployment, broker};
use crate::harness::wait_for;

const RAW: [(&str, u32); 1] = [("orders", 1)];
const CALL: Duration = Duration::from_secs(30);

#[test]
fn a_stop_before_the_group_has_given_its_lanes_waits_for_them() {
    if !super::can_run_a_broker() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // As brokers are by default: whoever joins first waits for others.
    let broker = Broker::start(folder.path(), &[("group.initial.rebalance.delay.ms", "5000")]);
    let deployment = Deployment::made_apart(broker.address(), 2, &RAW, "");
    let up = deployment.start("up");
    assert_eq!(up.post(r#"{"id":"early"}"#).0, 202);
    let (status, words) = up.stop();
    assert_eq!(status.code(), Some(0), "{words}");
    assert_eq!(deployment.ids(), ["early"], "{words}");
    deployment.verified("a stop before the first claim");
}

#[test]
fn a_stop_waits_for_what_an_open_transaction_hides() {
    let Some(broker) = broker() else { return };
    let deployment = Deployment::made_apart(&broker, 1, &RAW, "");
    let up = deployment.start("up");
    assert_eq!(up.post(r#"{"id":"before"}"#).0, 202);
    wait_for("it is sealed", 60, || (deployment.sealed(0) >= 2).then_some(()));

    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker)
        .set("transactional.id", format!("{}another", deployment.prefix))
        // Then the broker ends it, as it does for a process that died.
        .set("transaction.timeout.ms", "5000")
        .create()
        .unwrap();
    producer.init_transactions(CALL).unwrap();
    producer.begin_transaction().unwrap();
    let topic = deployment.kafka.topic_name(topics::EVENTS);
    producer.send(BaseRecord::<(), str>::to(&topic).partition(0).payload("never committed")).unwrap();
    producer.flush(CALL).unwrap();

    assert_eq!(up.post(r#"{"id":"hidden"}"#).0, 202);
    let (status, words) = up.stop();
    assert_eq!(status.code(), Some(0), "{words}");
    assert_eq!(deployment.ids(), ["before", "hidden"], "{words}");
    deployment.verified("a stop behind an open transaction");
}
