//! What the core makes of originals.

use proptest::prelude::*;
use schemas::avro::{Input, to_json};
use schemas::event::{ReceivedFrom, Transport, check_event, event_shape};
use schemas::framing::schema_of;
use serde_json::{Value, json};
use stream::topics;

use super::*;

/// 2026-11-21T09:30:00Z.
const NOW: Micros = Micros(1_795_253_400_000_000);

fn record(bytes: &[u8]) -> RawRecord<'_> {
    RawRecord {
        content_type: "application/json",
        bytes,
        received_from: ReceivedFrom { transport: Transport::Http, part: 3, ..ReceivedFrom::default() },
        producer: "billing",
        fallback_id: FallbackId::Given("made-up"),
    }
}

fn event_of(record: &RawRecord<'_>, limits: Limits) -> Result<Value, Rejection> {
    let mut batch = Batch::new();
    let lane = batch.lane(&topics::events(0));
    Normalizer::new(limits).normalize(record, NOW, &mut batch, lane)?;
    let written = batch.last().unwrap();
    assert_eq!(schema_of(written.headers.get(SCHEMA_HEADER)), Ok(event_schema_hash()));
    let datum = written.value.unwrap();
    check_event(datum).unwrap();
    let event = to_json(event_shape(), &mut Input::new("event", datum)).unwrap();
    assert_eq!(event["original"]["bytes"], std::str::from_utf8(record.bytes).unwrap());
    Ok(event)
}

fn event(original: &str) -> Value {
    event_of(&record(original.as_bytes()), Limits::default()).unwrap()
}

fn rejected(original: &str) -> Option<Reason> {
    event_of(&record(original.as_bytes()), Limits::default()).err().map(|r| r.reason)
}

fn attribute(key: &str, value: &str, kind: &str) -> Value {
    json!({"key": key, "value": value, "type": kind})
}

#[test]
fn an_action_and_an_actor_are_an_event() {
    let event = event(r#"{"action":"user.login","actor":"alice"}"#);
    assert_eq!(event["action"], "user.login");
    assert_eq!(event["actor"], json!({"id": "alice", "type": null, "name": null}));
    assert_eq!(event["id"], "made-up");
    assert_eq!(event["producer"], "billing");
    assert_eq!(event["dialect"], "json/1");
    assert_eq!(event["outcome"], "unknown");
    assert_eq!(event["received_at"], "2026-11-21T09:30:00.000000Z");
    assert_eq!(event["received_from"]["part"], 3);
    assert_eq!((&event["attributes"], &event["marks"]), (&json!([]), &json!([])));
}

#[test]
fn every_field_is_found_under_its_names() {
    let event = event(
        r#"{"event_id":"e-1","source":"iam","seq":7,"event_type":"role.grant","category":"access",
        "timestamp":1795253399,"user":{"sub":"u1","kind":"person","name":"Al\u0069ce"},
        "on_behalf_of":"bob","client":{"ip":"10.0.0.1"},"resource":[{"id":"r1","type":"role"},"r2",3],
        "status":403,"reason":"no","service":{"name":"iam-api"},"host.name":"h1","region":"eu","env":"prod",
        "container":{"image":"i:1"},"tenant_id":42,"producer":"billing",
        "traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#,
    );
    let party = |id, kind, name| json!({"id": id, "type": kind, "name": name});
    let none = None::<&str>;
    let expected = json!({
        "id": "e-1", "source": "iam", "source_seq": 7, "action": "role.grant", "category": "access",
        "occurred_at": "2026-11-21T09:29:59.000000Z", "actor": party("u1", Some("person"), Some("Alice")),
        "on_behalf_of": party("bob", none, none), "source_address": "10.0.0.1",
        "targets": [party("r1", Some("role"), none), party("r2", none, none), party("3", none, none)],
        "outcome": "denied", "reason": "no",
        "environment": {"service": "iam-api", "host": "h1", "region": "eu", "deployment": "prod", "image": "i:1"},
        "tenant": "42", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "claimed_producer": "billing", "marks": [],
        "attributes": [attribute("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "string")],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&event[field], value, "{field}");
    }
}

#[test]
fn what_has_no_field_becomes_an_attribute() {
    let event = event(
        r#"{"action":"a","s":"x\ny","n":1.50,"b":true,"z":null,"l":[1, 2],"o":{"deep":{"er":1}},
        "actor":{"id":"u","email":"u@x","mfa":true},"targets":[{"id":"t","size":9}],
        "source":{"ip":"::1","port":5},"client":{"port":1},"verb":"late"}"#,
    );
    assert_eq!(
        event["attributes"],
        json!([
            attribute("actor.email", "u@x", "string"),
            attribute("actor.mfa", "true", "boolean"),
            attribute("targets[0].size", "9", "number"),
            attribute("s", "x\ny", "string"),
            attribute("n", "1.50", "number"),
            attribute("b", "true", "boolean"),
            attribute("z", "null", "null"),
            attribute("l", "[1, 2]", "array"),
            attribute("o", r#"{"deep":{"er":1}}"#, "object"),
            attribute("client", r#"{"port":1}"#, "object"),
            attribute("verb", "late", "string"),
            attribute("source.port", "5", "number"),
        ])
    );
    assert_eq!((&event["source_address"], &event["marks"]), (&json!("::1"), &json!([])));
}

#[test]
fn what_cannot_be_read_as_meant_stays_and_marks_the_event() {
    for (original, key, kind) in [
        (r#"{"time":"yesterday"}"#, "time", "string"),
        (r#"{"action":["a"]}"#, "action", "array"),
        (r#"{"id":7}"#, "id", "number"),
        (r#"{"id":""}"#, "id", "string"),
        (r#"{"outcome":"perhaps"}"#, "outcome", "string"),
        (r#"{"actor":true}"#, "actor", "boolean"),
        (r#"{"actor":{"shoe":1}}"#, "actor", "object"),
        (r#"{"targets":["a",{"id":"b","x":1},null]}"#, "targets", "array"),
        (r#"{"seq":1.5}"#, "seq", "number"),
    ] {
        let event = event(original);
        assert_eq!(event["marks"], json!([UNPARSED]), "{original}");
        let attributes = event["attributes"].as_array().unwrap();
        assert_eq!(attributes.len(), 1, "{original}");
        assert_eq!((&attributes[0]["key"], &attributes[0]["type"]), (&json!(key), &json!(kind)));
    }
    assert_eq!(event(r#"{"note":"\ud800"}"#)["marks"], json!([UNPARSED]));
    assert_eq!(event(r#"{"actor":null,"time":null}"#)["marks"], json!([]));
}

#[test]
fn names_of_parts_fill_what_the_whole_leaves_open() {
    let parties = |original| (event(original)["actor"].clone(), event(original)["targets"].clone());
    let party = |id, kind, name| json!({"id": id, "type": kind, "name": name});
    let none = None::<&str>;
    assert_eq!(parties(r#"{"user_id":7}"#), (party("7", none, none), json!([])));
    assert_eq!(parties(r#"{"user":"alice","user_id":7}"#).0, party("7", none, Some("alice")));
    assert_eq!(
        parties(r#"{"resource":"doc","resource_type":"file"}"#),
        (Value::Null, json!([party("doc", Some("file"), none)]))
    );
    let both = event(r#"{"actor":{"id":"a","name":"A"},"user_id":"b"}"#);
    assert_eq!(both["actor"], party("a", none, Some("A")));
    assert_eq!(both["attributes"], json!([attribute("user_id", "b", "string")]));
}

#[test]
fn contradictions_are_marked() {
    for original in [
        r#"{"a":1,"\u0061":2}"#,
        r#"{"actor":{"id":1,"id":2}}"#,
        r#"{"client":{"ip":"a","ip":"b"}}"#,
        r#"{"producer":"other"}"#,
    ] {
        assert_eq!(event(original)["marks"], json!([CONFLICT]), "{original}");
    }
    let anonymous = RawRecord { producer: ANONYMOUS, ..record(br#"{"producer":"other"}"#) };
    assert_eq!(event_of(&anonymous, Limits::default()).unwrap()["marks"], json!([]));
    // Both values are kept.
    let event = event(r#"{"action":"one","action":"two"}"#);
    assert_eq!(event["action"], "one");
    assert_eq!(event["attributes"], json!([attribute("action", "two", "string")]));
}

#[test]
fn a_time_too_far_ahead_is_marked() {
    let at = |us: i64| event(&format!(r#"{{"time":{}}}"#, NOW.0 + us))["marks"].clone();
    assert_eq!(at(5 * 60 * 1_000_000), json!([]));
    assert_eq!(at(5 * 60 * 1_000_000 + 1), json!([SKEWED]));
}

#[test]
fn limits_hold_to_the_byte_and_the_item() {
    let limits = Limits { item_bytes: 20, depth: 3, attributes: 2 };
    let reason = |original: &str| event_of(&record(original.as_bytes()), limits).err().map(|r| r.reason);
    assert_eq!(reason(r#"{"a":"01234567890"} "#), None);
    assert_eq!(reason(r#"{"a":"01234567890"}  "#), Some(Reason::TooLarge));
    assert_eq!(reason(r#"{"a":[[]]}"#), None);
    assert_eq!(reason(r#"{"a":[[[]]]}"#), Some(Reason::TooDeep));
    assert_eq!(reason(r#"{"a":1,"b":2}"#), None);
    assert_eq!(reason(r#"{"a":1,"b":2,"c":3}"#), Some(Reason::TooMany));
    let many = (0..1100).map(|i| format!(r#""k{i}":0"#)).collect::<Vec<_>>().join(",");
    assert_eq!(rejected(&format!("{{{many}}}")), Some(Reason::TooMany));
    assert_eq!(event(&format!(r#"{{"id":"{}"}}"#, "x".repeat(MAX_ID_BYTES)))["marks"], json!([]));
    assert_eq!(event(&format!(r#"{{"id":"{}"}}"#, "x".repeat(MAX_ID_BYTES + 1)))["id"], "made-up");
}

#[test]
fn an_event_that_would_outgrow_its_topic_is_too_large() {
    let mut huge = record(br#"{"action":"a"}"#);
    let header = vec![0; MAX_EVENT_BYTES];
    let headers = [("h", Some(header.as_slice()))];
    huge.received_from.headers = &headers;
    assert_eq!(event_of(&huge, Limits::default()).unwrap_err().reason, Reason::TooLarge);
}

#[test]
fn what_is_no_object_is_rejected_and_writes_nothing() {
    assert_eq!((rejected(""), rejected(" ")), (Some(Reason::Empty), Some(Reason::NotJson)));
    assert_eq!(rejected("[{}]"), Some(Reason::NotAnObject));
    assert_eq!(rejected("{\"a\":"), Some(Reason::NotJson));
    let mut batch = Batch::new();
    let lane = batch.lane(&topics::events(0));
    let mut normalizer = Normalizer::new(Limits::default());
    let rejection = normalizer.normalize(&record(b"{\"a\xff\":1}"), NOW, &mut batch, lane).unwrap_err();
    assert_eq!((rejection.reason, normalizer.id(), batch.len()), (Reason::NotUtf8, "made-up", 0));
}

#[test]
fn a_trace_in_a_header_counts_where_the_event_names_none() {
    let parent = |trace: &str| format!("00-{trace}-00f067aa0ba902b7-01");
    let (first, second, own) = ("1".repeat(32), "2".repeat(32), "3".repeat(32));
    let (first, second, broken) = (parent(&first), parent(&second), parent("xyz"));
    let trace = |original: &str, parents: &[&str]| {
        let headers: Vec<_> = parents.iter().map(|p| ("traceparent", Some(p.as_bytes()))).collect();
        let mut record = record(original.as_bytes());
        record.received_from.headers = &headers;
        let event = event_of(&record, Limits::default()).unwrap();
        (event["trace_id"].clone(), event["marks"].clone())
    };
    assert_eq!(trace("{}", &[&first]), (json!("1".repeat(32)), json!([])));
    assert_eq!(trace("{}", &[&first, &second]).0, "2".repeat(32));
    assert_eq!(trace("{}", &[&broken]), (Value::Null, json!([])));
    let named = format!(r#"{{"trace_id":"{own}"}}"#);
    assert_eq!(trace(&named, &[&first]), (json!(own), json!([])));
    let with_parent = format!(r#"{{"traceparent":"{second}"}}"#);
    assert_eq!(trace(&with_parent, &[&first]).0, "2".repeat(32));
    let with_broken = format!(r#"{{"traceparent":"{broken}"}}"#);
    assert_eq!(trace(&with_broken, &[&first]), (json!("1".repeat(32)), json!([UNPARSED])));
}

#[test]
fn a_record_of_kafka_gets_an_id_from_its_place() {
    let from = ReceivedFrom {
        transport: Transport::Kafka,
        topic: Some("app.audit"),
        partition: Some(2),
        offset: Some(99),
        ..ReceivedFrom::default()
    };
    let id = position_id(&from);
    let placed = RawRecord { received_from: from, fallback_id: FallbackId::Position, ..record(b"{}") };
    assert_eq!(event_of(&placed, Limits::default()).unwrap()["id"], id);
}

/// JSON objects with names that the dialect knows, in and out of their meaning.
fn originals() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("actor".to_owned()),
        Just("targets".to_owned()),
        Just("id".to_owned()),
        Just("time".to_owned()),
        Just("source".to_owned()),
        Just("ip".to_owned()),
        ".{0,6}",
    ];
    let value = leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..5)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    });
    prop::collection::vec((".{0,6}|actor|target|time|id|client|event", value), 0..8)
        .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into())
}

proptest! {
    #[test]
    fn any_object_is_an_event(original in originals()) {
        event(&original.to_string());
    }

    #[test]
    fn memory_that_was_used_before_changes_nothing(one in originals(), two in originals()) {
        let texts = [one.to_string(), two.to_string()];
        let mut normalizer = Normalizer::new(Limits::default());
        let mut batch = Batch::new();
        let lane = batch.lane(&topics::events(0));
        for text in &texts {
            normalizer.normalize(&record(text.as_bytes()), NOW, &mut batch, lane).unwrap();
        }
        let mut fresh = Batch::new();
        let lane = fresh.lane(&topics::events(0));
        Normalizer::new(Limits::default()).normalize(&record(texts[1].as_bytes()), NOW, &mut fresh, lane).unwrap();
        prop_assert_eq!(batch.last().unwrap().value, fresh.last().unwrap().value);
    }

    #[test]
    fn any_bytes_are_an_event_or_a_rejection(bytes: Vec<u8>) {
        let mut batch = Batch::new();
        let lane = batch.lane(&topics::events(0));
        let _ = Normalizer::new(Limits::default()).normalize(&record(&bytes), NOW, &mut batch, lane);
    }
}
