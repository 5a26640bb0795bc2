//! What comes out is what went in: every event once, byte for byte, with all that Kafka said of it.

use std::collections::BTreeMap;

use serde_json::Value;
use stream::{Batch, Lane, Log};

use crate::harness::deployment::{Deployment, broker};
use crate::harness::{archive, wait_for};

const QUICK: &str = "[segment]\nmax_age = \"2s\"\n";

/// The raw topics, and how many partitions each has.
pub const RAW: [(&str, u32); 3] = [("orders", 3), ("users", 2), ("billing", 1)];

/// Sends `count` events to the three raw topics, from ten services, and has one `sealog up` archive them.
pub fn everything_arrives(deployment: &Deployment, count: usize, seconds: u64) {
    let value = |n: usize| {
        format!("{{\"id\":\"n-{n:06}\",\"action\":\"order.paid\",\"actor\":\"service-{}\"}}", n % 10)
    };
    let up = deployment.start("up");
    for (first, topic) in (0..count).step_by(2_000).zip((0..3).cycle()) {
        let (name, partitions) = (&deployment.raw[topic], RAW[topic].1);
        let partition = (first / 6_000) as u32 % partitions;
        deployment.produce(name, partition, (first..count.min(first + 2_000)).map(value));
    }
    wait_for("everything is archived", seconds, || {
        (up.total("sealog_archiver_archived_size") >= count as f64).then_some(())
    });
    let (status, words) = up.stop();
    assert_eq!(status.code(), Some(0), "{words}");
    deployment.verified("what came from raw topics");

    let events = deployment.events();
    let originals: BTreeMap<&str, &str> = events
        .iter()
        .map(|event| (event["id"].as_str().unwrap(), event["original"]["bytes"].as_str().unwrap()))
        .collect();
    assert_eq!((events.len(), originals.len()), (count, count), "each once");
    for n in 0..count {
        assert_eq!(originals[format!("n-{n:06}").as_str()], value(n));
    }
}

#[test]
fn a_thousand_events_arrive_as_they_were_sent() {
    let Some(broker) = broker() else { return };
    everything_arrives(&Deployment::made(&broker, 2, &RAW, QUICK), 1_000, 60);
}

#[test]
fn a_hundred_thousand_events_arrive_as_they_were_sent() {
    let Some(broker) = broker() else { return };
    everything_arrives(&Deployment::made(&broker, 2, &RAW, QUICK), 100_000, 180);
}

#[test]
fn what_kafka_says_of_a_record_is_kept_beside_it_and_what_cannot_be_read_is_on_the_record() {
    let Some(broker) = broker() else { return };
    let deployment = Deployment::made(&broker, 1, &[("app", 1)], QUICK);
    let up = deployment.start("up");
    let mut batch = Batch::new();
    let lane = batch.lane(&Lane::new(&deployment.raw[0], 0));
    let trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    batch.push(lane, Some(b"k-1"), &[("traceparent", trace), ("h", b"v")], br#"{"id":"a","action":"x"}"#);
    batch.push(lane, None, &[], b"this is no JSON");
    batch.push(lane, None, &[], b"");
    deployment.kafka.append(&batch).unwrap();
    let posted = up.post(r#"{"id":"b","action":"y"}"#);
    assert_eq!(posted.0, 202, "the gateway is the ingestor's other source");
    let origin = format!("{}/0", crate::harness::deployment::ORIGIN);
    let all = |name: &str| -> Vec<Value> {
        let events = archive::events(deployment.archive(), &origin);
        events.into_iter().filter(|event| event["action"] == name).collect()
    };
    wait_for("all of it is archived", 30, || {
        (all("sealog.rejected").len() >= 2 && all("x").len() + all("y").len() >= 2).then_some(())
    });
    assert_eq!(up.stop().0.code(), Some(0));
    let event = &all("x")[0];
    let from = &event["received_from"];
    assert_eq!(event["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(
        (&from["topic"], &from["partition"]),
        (&Value::from(deployment.raw[0].as_str()), &Value::from(0))
    );
    assert_eq!((&from["offset"], &from["key"]), (&Value::from(0), &Value::from("k-1")));
    assert!(from["broker_time"].as_str().is_some_and(|time| time.starts_with("20")), "{from}");
    let headers = serde_json::to_string(&from["headers"]).unwrap();
    assert!(headers.contains("traceparent") && headers.contains("\"h\""), "{headers}");
    assert_eq!(all("sealog.rejected").len(), 2);
    deployment.verified("with rejections");
}

#[test]
fn the_stages_share_the_work_as_processes_of_their_own() {
    let Some(broker) = broker() else { return };
    let deployment = Deployment::made(
        &broker,
        2,
        &[("app", 4)],
        "[segment]\nmax_age = \"2s\"\n[trimmer]\nafter = \"0s\"\nretries = \"0s\"\n",
    );
    let ingestors =
        ["one", "two"].map(|id| deployment.start_with("ingestor", &[("SEALOG_KAFKA_INGESTOR_ID", id)]));
    let data = tempfile::tempdir().unwrap();
    let key = deployment.folder.path().join("data/chainer.key");
    let other_host =
        [("SEALOG_DATA_DIR", data.path().to_str().unwrap()), ("SEALOG_KEYS_CHAINER", key.to_str().unwrap())];
    let chainers = [deployment.start("chainer"), deployment.start_with("chainer", &other_host)];
    let others = ["archiver", "archiver", "trimmer"].map(|stage| deployment.start(stage));
    for partition in 0..4 {
        let value = |n| format!("{{\"id\":\"{partition}-{n:04}\",\"action\":\"a\"}}");
        deployment.produce(&deployment.raw[0], partition, (0..500).map(value));
    }
    assert_eq!(ingestors[1].post(r#"{"id":"4-0000","action":"a"}"#).0, 202);
    wait_for("all of it is archived", 60, || (deployment.archived() >= 2_001 + 2).then_some(()));
    let trimmer = &others[2];
    wait_for("what is archived is trimmed", 60, || {
        (trimmer.metric("sealog_trimmer_trimmed_offset") > 0.0).then_some(())
    });
    for process in ingestors.into_iter().chain(chainers).chain(others) {
        let (status, words) = process.stop();
        assert_eq!(status.code(), Some(0), "{words}");
    }
    // A chainer that hands over leaves its segment open; whoever comes next ends it.
    let up = deployment.start("up");
    assert_eq!(up.stop().0.code(), Some(0));
    let expected: Vec<String> = (0..4)
        .flat_map(|p| (0..500).map(move |n| format!("{p}-{n:04}")))
        .chain(["4-0000".to_owned()])
        .collect();
    assert_eq!(deployment.ids(), expected);
    deployment.verified("of seven processes");
}
