//! The OpenAPI document against what is answered: each status that it lists is produced, each that is produced is
//! listed, with its shape and its headers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ingestor::gateway::{GatewayConfig, Tokens};
use ingestor::{Limits, Reason};
use serde_json::Value;
use stream::memory::Fault;
use stream::topics;

use crate::client::{Answer, connect, post, post_json, post_keyed, post_lines};
use crate::site::{Gated, Site, site, site_with, until};

fn document() -> Value {
    let (site, _) = site();
    connect(site.address).ask("GET /v1/openapi", &[], b"").json()
}

/// Follows a reference.
fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(path) => document.pointer(path.trim_start_matches('#')).unwrap_or_else(|| panic!("no {path}")),
        None => schema,
    }
}

/// As much of JSON Schema as the document uses; anything else in it is an error, so that nothing goes unchecked.
fn conforms(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolve(document, schema);
    let known = ["type", "required", "additionalProperties", "properties", "items", "enum", "description"];
    if let Some(other) = schema.as_object().unwrap().keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("the test does not know {other}"));
    }
    let fits = match schema["type"].as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        other => return Err(format!("the test does not know type {other}")),
    };
    if !fits || schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        return Err(format!("{value} is not {schema}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        value.get(name.as_str().unwrap()).ok_or_else(|| format!("{value} has no {name}"))?;
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(property) => conforms(document, property, member)?,
            None if schema["additionalProperties"] == Value::Bool(false) => {
                return Err(format!("{name} is not listed"));
            }
            None => {}
        }
    }
    value.as_array().into_iter().flatten().try_for_each(|item| conforms(document, &schema["items"], item))
}

/// Checks an answer against the document and gives back its status as the document writes it.
fn check(document: &Value, method: &str, path: &str, answer: &Answer) -> String {
    let status = answer.status.to_string();
    let listed = &document["paths"][path][method]["responses"][&status];
    assert!(listed.is_object(), "{method} {path} answers {status}, which is not listed");
    for (header, _) in listed["headers"].as_object().into_iter().flatten() {
        assert!(answer.header(header).is_some(), "{status} came without {header}");
    }
    let content = listed["content"].as_object().unwrap();
    let kind = answer.header("content-type").unwrap().split(';').next().unwrap();
    let schema = &content.get(kind).unwrap_or_else(|| panic!("{status} came as {kind}"))["schema"];
    if kind == "application/json" {
        conforms(document, schema, &answer.json()).unwrap_or_else(|e| panic!("{status}: {e}"));
    }
    status
}

/// Answers of every kind to POST /v1/events, however they are to be had.
fn answers() -> Vec<Answer> {
    let (usual, stream) = site();
    let mut answers = vec![
        post_json(usual.address, "{}"),
        post_lines(usual.address, "{}\n1\nbroken\n{\"a\":\"\\ud800\"}"),
        post_json(usual.address, "[1]"),
        post_json(usual.address, "nothing"),
        post(usual.address, "text/plain", &[], b"{}"),
        post(usual.address, "application/json", &[("idempotency-key", "a b")], b"{}"),
        post_keyed(usual.address, "k", "{\"n\":1}"),
        post_keyed(usual.address, "k", "{\"n\":2}"),
        post(usual.address, "application/jsonl", &[], b"\xff\n{}"),
    ];
    let key = [("content-type", "application/json"), ("idempotency-key", "k")];
    stream.seal();
    answers.push(connect(usual.address).ask("POST /v1/events?wait=sealed", &key, b"{\"n\":1}"));
    answers.push(connect(usual.address).ask("POST /v1/events?wait=never", &key, b"{}"));
    let mut cut = connect(usual.address);
    let chunked = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    cut.send_head("POST /v1/events", &chunked, None).unwrap();
    cut.send(b"no length\r\n").unwrap();
    answers.push(cut.answer().unwrap());

    stream.memory().refuse(&topics::events(0), true);
    answers.push(post_json(usual.address, "{}"));
    stream.memory().refuse(&topics::events(0), false);
    stream.memory().fail(stream.memory().writes(), Fault::NotDone);
    answers.push(post_json(usual.address, "{}"));

    let json = [("content-type", "application/json")];
    let (small, gated) = site_with(|config| {
        config.limits = Limits { item_bytes: 20, depth: 2, attributes: 1 };
        (config.body_bytes, config.items, config.waiting_bytes) = (1000, 5, 1000);
        config.timeouts.body = Duration::from_millis(100);
    });
    answers.extend([
        post_json(small.address, &format!("{:1001}", "{}")),
        post_lines(small.address, &"{}\n".repeat(6)),
        post_lines(small.address, &format!("{:21}\n{{\"a\":[[]]}}\n{{\"a\":1,\"b\":2}}\n", "{}")),
    ]);
    let mut slow = connect(small.address);
    slow.send_head("POST /v1/events", &json, Some(2)).unwrap();
    answers.push(slow.answer().unwrap());
    gated.hold(true);
    let before = gated.appends();
    let mut first = connect(small.address);
    first.send_head("POST /v1/events", &json, Some(2)).unwrap();
    first.send(b"{}").unwrap();
    until("it is being written", || gated.appends() == before + 1);
    answers.push(post_json(small.address, &format!("{:1000}", "{}")));
    gated.hold(false);
    first.answer().unwrap();

    let tokens = Some(Tokens::parse("0123456789abcdef billing").unwrap());
    let config = GatewayConfig { tokens, ..GatewayConfig::new(1) };
    let closed = Site::start(Arc::new(Gated::new(1)), config);
    answers.push(post_json(closed.address, "{}"));
    answers
}

#[test]
fn every_status_that_is_listed_is_produced_and_the_other_way_round() {
    let document = document();
    let listed: BTreeSet<String> =
        document["paths"]["/v1/events"]["post"]["responses"].as_object().unwrap().keys().cloned().collect();
    let produced: BTreeSet<String> =
        answers().iter().map(|answer| check(&document, "post", "/v1/events", answer)).collect();
    assert_eq!(produced, listed);
}

#[test]
fn the_other_paths_answer_as_listed() {
    let document = document();
    let (site, _) = site();
    for path in ["/v1/openapi", "/healthz", "/metrics"] {
        let answer = connect(site.address).ask(&format!("GET {path}"), &[], b"");
        assert_eq!(check(&document, "get", path, &answer), "200");
    }
    assert_eq!(document["paths"].as_object().unwrap().len(), 4);
}

#[test]
fn every_reason_for_a_rejection_over_http_is_listed() {
    let document = document();
    let listed = &document["components"]["schemas"]["Result"]["properties"]["reason"]["enum"];
    // These two are of Kafka alone: an item of a request has bytes.
    let over_http = |reason: &Reason| !matches!(reason, Reason::NoValue | Reason::Empty);
    for reason in Reason::ALL.into_iter().filter(over_http) {
        assert!(listed.as_array().unwrap().contains(&reason.word().into()), "{reason:?}");
    }
}
