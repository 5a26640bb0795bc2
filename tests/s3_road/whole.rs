//! What is in the bucket is what was sent: every event once, byte for byte, and the same as without Kafka and S3.

use std::process::Output;

use serde_json::Value;

use crate::harness::deployment::{Deployment, broker};
use crate::harness::process::{Up, said, sealog};
use crate::harness::s3::Bucket;
use crate::harness::s3::server::Make;
use crate::harness::wait_for;
use crate::kafka_road::whole::{RAW, everything_arrives};

const QUICK: &str = "[segment]\nmax_age = \"2s\"\n";

#[test]
fn a_hundred_thousand_events_arrive_on_minio_as_they_were_sent() {
    let (Some(broker), Some(bucket)) = (broker(), Bucket::new(Make::Minio)) else { return };
    everything_arrives(&Deployment::made_in(&bucket, &broker, 2, &RAW, QUICK), 100_000, 180);
}

#[test]
fn a_thousand_events_arrive_on_versitygw_as_they_were_sent() {
    let (Some(broker), Some(bucket)) = (broker(), Bucket::new(Make::Versitygw)) else { return };
    everything_arrives(&Deployment::made_in(&bucket, &broker, 2, &RAW, QUICK), 1_000, 60);
}

const EVENTS: usize = 10_000;

/// As services write them: some fields always, some now and then, one in another spelling.
fn event(n: usize) -> String {
    let mut event = format!(
        "{{\"id\":\"e-{n:05}\",\"action\":\"order.{}\",\"time\":\"2026-11-21T09:{:02}:{:02}.{:03}Z\"",
        ["paid", "sent", "read"][n % 3],
        n / 60 % 60,
        n % 60,
        n % 1_000
    );
    let optional = [
        (2, format!(",\"actor\":{{\"id\":\"user-{}\",\"type\":\"user\"}}", n % 97)),
        (3, format!(",\"target\":{{\"id\":\"order-{n}\",\"type\":\"order\"}},\"outcome\":\"failure\"")),
        (5, format!(",\"ip\":\"10.0.{}.{}\",\"host\":\"shop-{}\"", n % 250, n % 199, n % 7)),
        (7, format!(",\"amount\":{}.5,\"note\":\"f\\u00fcr \u{1f512} {}\"", n, "x".repeat(n % 300))),
        (11, ",\"tenant\":\"acme\",\"tags\":[\"a\",{\"b\":null}]".to_owned()),
    ];
    for (each, field) in optional {
        if n.is_multiple_of(each) {
            event.push_str(&field);
        }
    }
    event + "}"
}

/// The events that services sent, by id, without when and where they were received. Who sent is known by that place where
/// nobody gives a name: each event must say the right one.
fn events_of(cat: &Output, topic: &str) -> Vec<Value> {
    assert!(cat.status.success(), "{}", String::from_utf8_lossy(&cat.stderr));
    let all = said(cat);
    let events = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut sent: Vec<Value> = events.filter(|event| event["producer"] != "sealog").collect();
    for event in &mut sent {
        let fields = event.as_object_mut().unwrap();
        assert!(fields.remove("received_at").is_some());
        let from = fields.remove("received_from").unwrap();
        let by = if from["topic"] == topic { format!("kafka:{topic}") } else { "anonymous".to_owned() };
        assert_eq!(fields.remove("producer"), Some(Value::from(by)), "{from}");
    }
    sent.sort_by_key(|event| event["id"].as_str().unwrap().to_owned());
    sent
}

/// In requests of a thousand events.
fn post(up: &Up, events: std::ops::Range<usize>) {
    for first in events.step_by(1_000) {
        let body: String = (first..first + 1_000).map(|n| event(n) + "\n").collect();
        assert_eq!(up.post(&body).0, 202);
    }
}

#[test]
fn the_same_events_come_out_of_the_embedded_road_and_of_kafka_and_s3() {
    let (Some(broker), Some(bucket)) = (broker(), Bucket::new(Make::Minio)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    post(&up, 0..EVENTS);
    assert_eq!(up.stop().0.code(), Some(0));
    let archive = folder.path().join("archive");
    let cat = sealog(&["cat", archive.to_str().unwrap(), "--fields", "event"]);
    let embedded = events_of(&cat, "none");

    // Half of them through a raw topic, half through the gateway.
    let deployment = Deployment::made_in(&bucket, &broker, 1, &[("app", 1)], QUICK);
    let up = deployment.start("up");
    deployment.produce(&deployment.raw[0], 0, (0..EVENTS / 2).map(event));
    post(&up, EVENTS / 2..EVENTS);
    wait_for("everything is archived", 120, || {
        (up.total("sealog_archiver_archived_size") >= EVENTS as f64).then_some(())
    });
    assert_eq!(up.stop().0.code(), Some(0));
    deployment.verified("as on the embedded road");
    let whole = events_of(&deployment.read("cat", &["--fields", "event"]), &deployment.raw[0]);
    assert_eq!((embedded.len(), whole.len()), (EVENTS, EVENTS), "each once");
    for (one, other) in embedded.iter().zip(&whole) {
        assert_eq!(one, other);
    }
}
