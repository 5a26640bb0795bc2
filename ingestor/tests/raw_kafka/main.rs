//! The loop over raw topics on a real broker: what is kept of a record, and what becomes of it when topics are trimmed
//! or made anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

mod large;
mod site;
mod successors;

use schemas::derived_id;
use schemas::own_act::REJECTED;
use serde_json::{Value, json};
use stream::{Batch, Groups, Lane, Log, topics};

use site::Site;

fn of<'e>(events: &'e [Value], topic: &str, partition: u32, offset: u64) -> &'e Value {
    let place = (json!(topic), json!(partition), json!(offset));
    let from = |e: &Value| {
        let from = &e["received_from"];
        (from["topic"].clone(), from["partition"].clone(), from["offset"].clone()) == place
    };
    events.iter().find(|e| from(e)).unwrap_or_else(|| panic!("no event of {topic}/{partition} at {offset}"))
}

#[test]
fn events_of_many_topics_keep_all_that_kafka_knows_of_their_records() {
    let Some(site) = Site::new() else { return };
    let (first, second) = (site.raw("orders", 3), site.raw("payments", 2));
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut batch = Batch::new();
    let lane = batch.lane(&Lane::new(&first, 2));
    let headers = [("traceparent", Some(parent.as_bytes())), ("h", None), ("h", Some(&b""[..]))];
    let time_ms = 1_795_253_400_123;
    batch.push_taken(lane, (0, time_ms), Some(b"key"), headers, Some(br#"{"action":"a"}"#));
    batch.push_taken(lane, (0, time_ms), Some(b"key"), [], None);
    batch.push_taken(lane, (0, time_ms), None, [], Some(b""));
    batch.push_taken(lane, (0, time_ms), None, [], Some(b"broken"));
    site.kafka.append(&batch).unwrap();
    site.put(&first, 0, &["b"]);
    site.put(&second, 1, &["c"]);

    let ingestor = site.ingestor("one", &[&first, &second]);
    site.run(&ingestor, 6).unwrap();
    let events = site.events();
    assert_eq!(events.len(), 6);
    let event = of(&events, &first, 2, 0);
    assert_eq!(event["id"], derived_id(&[first.as_bytes(), b"2", b"0", b"0"]));
    assert_eq!((&event["producer"], &event["action"]), (&json!(format!("kafka:{first}")), &json!("a")));
    assert_eq!(event["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(
        event["received_from"],
        json!({"transport": "kafka", "topic": first, "partition": 2, "offset": 0,
            "broker_time": "2026-11-21T09:30:00.123000Z", "key": "key", "peer": null, "part": 0, "headers":
            [{"key": "traceparent", "value": parent}, {"key": "h", "value": null}, {"key": "h", "value": ""}]})
    );
    for (offset, reason) in [(1, "no_value"), (2, "empty"), (3, "not_json")] {
        let rejected = of(&events, &first, 2, offset);
        assert_eq!(
            (&rejected["action"], &rejected["attributes"][0]["value"]),
            (&json!(REJECTED), &json!(reason))
        );
    }
    assert_eq!(of(&events, &first, 2, 1)["received_from"]["key"], "key");
    assert_eq!(
        (&of(&events, &first, 0, 0)["action"], &of(&events, &second, 1, 0)["action"]),
        (&json!("b"), &json!("c"))
    );
    let queue = site.rejected();
    assert_eq!(queue.iter().map(|r| r.value.unwrap()).collect::<Vec<_>>(), [&b""[..], b"", b"broken"]);
    // With the very commit that brought the events, under the names of this installation alone.
    let lanes = [Lane::new(&first, 2), Lane::new(&first, 1), Lane::new(&second, 1)];
    assert_eq!(site.kafka.positions(ingestor::GROUP, &lanes).unwrap(), [Some(4), None, Some(1)]);
    assert_ne!(site.kafka.topic_name(topics::EVENTS), topics::EVENTS);
}

#[test]
fn a_restart_goes_on_where_it_was_also_when_nothing_has_come() {
    let Some(site) = Site::new() else { return };
    let raw = site.raw("restart", 2);
    for round in 0..4_usize {
        let action = format!("round {round}");
        // In between one that finds nothing new but the record that it has already.
        if round != 2 {
            site.put(&raw, 0, &[&action, &action]);
        }
        let expected = [2, 4, 4, 6][round];
        site.run(&site.ingestor("one", &[&raw]), expected).unwrap();
        assert_eq!(site.events().len(), expected, "round {round}");
    }
}
