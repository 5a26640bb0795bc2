//! Records as large as a broker takes.

use ingestor::CHUNK_BYTES;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use schemas::Hash;
use schemas::own_act::REJECTED;
use serde_json::json;
use stream::Record;

use super::site::{PATIENCE, Site};

const TOPIC_BYTES: usize = 12 << 20;
/// What Kafka itself puts around a record's value.
const FRAMING_BYTES: usize = 200;

/// Our own seam takes no record of that size: those of raw topics come from others.
fn put(site: &Site, topic: &str, key: &[u8], value: &[u8]) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &site.address).set("message.max.bytes", TOPIC_BYTES.to_string());
    let producer: BaseProducer = config.create().unwrap();
    producer.send(BaseRecord::to(topic).partition(0).key(key).payload(value)).unwrap();
    producer.flush(PATIENCE).unwrap();
    assert_eq!(producer.in_flight_count(), 0);
}

#[test]
fn a_record_of_the_brokers_limit_is_rejected_with_all_its_bytes_and_the_next_is_taken() {
    let Some(site) = Site::new() else { return };
    let raw = site.name("large");
    site.make(&raw, 1, &[("max.message.bytes", &TOPIC_BYTES.to_string())]);
    let large: Vec<u8> = (0..TOPIC_BYTES - FRAMING_BYTES).map(|n| (n * 7) as u8).collect();
    let key = vec![b'k'; 10 << 20];
    put(&site, &raw, b"small", &large);
    put(&site, &raw, &key, br#"{"action":"of a large key"}"#);
    put(&site, &raw, &key, b"broken");
    site.put(&raw, 0, &["next"]);
    site.run(&site.ingestor("one", &[&raw]), 4).unwrap();
    let events = site.events();
    let actions: Vec<_> = events.iter().map(|event| event["action"].clone()).collect();
    // A key that no event can hold leaves what can be said of its record.
    assert_eq!(actions, [json!(REJECTED), json!(REJECTED), json!(REJECTED), json!("next")]);
    let reasons: Vec<_> = events[..3].iter().map(|event| event["attributes"][0]["value"].clone()).collect();
    assert_eq!(reasons, [json!("too_large"), json!("too_large"), json!("not_json")]);
    assert_eq!(events[0]["attributes"][1]["value"], Hash::of(&[&large]).to_string());

    let queue = site.rejected();
    let is_chunk = |record: &Record| record.headers.get("sealog.chunk").is_some();
    let (chunks, whole): (Vec<_>, Vec<_>) = queue.iter().partition(is_chunk);
    assert_eq!(chunks.len(), large.len().div_ceil(CHUNK_BYTES));
    assert!(chunks.iter().flat_map(|record| record.value.unwrap()).eq(&large), "the bytes are others");
    assert_eq!(
        whole.iter().map(|r| r.value.unwrap()).collect::<Vec<_>>(),
        [&br#"{"action":"of a large key"}"#[..], b"broken"]
    );
}

/// More than a client queues at once, in records that are large beside it: all come, and in order.
#[test]
fn many_large_records_pass_through_small_memory() {
    let Some(site) = Site::new() else { return };
    let raw = site.raw("bulk", 2);
    let pad = "x".repeat(900 << 10);
    let actions: Vec<_> = (0..48).map(|n| format!("{n:02} {pad}")).collect();
    for (n, action) in actions.iter().enumerate() {
        site.put(&raw, n as u32 % 2, &[action]);
    }
    site.run(&site.ingestor("one", &[&raw]), actions.len()).unwrap();
    assert_eq!(site.actions(), actions);
}
