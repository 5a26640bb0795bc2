//! Limits, one below and one above; and what may wait.

use std::time::Duration;

use ingestor::gateway::{GatewayConfig, GatewayError, Tls, Tokens};
use serde_json::json;
use stream::topics;

use crate::client::{connect, post, post_json, post_lines};
use crate::site::{events, records, site, site_with, until};

fn padded(bytes: usize) -> String {
    format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8))
}

#[test]
fn an_item_of_the_limit_is_taken_and_one_byte_more_is_rejected_with_its_bytes() {
    let (site, stream) = site();
    assert_eq!(post_json(site.address, &padded(1 << 20)).status, 202);
    let large = padded((1 << 20) + 1);
    let answer = post_json(site.address, &large);
    assert_eq!((answer.status, &answer.json()["results"][0]["reason"]), (422, &json!("too_large")));
    let events = events(&stream, 0);
    assert_eq!(events[1]["original"]["bytes"].as_str().unwrap(), &large[..1 << 20]);
    assert_eq!(records(&stream, &topics::rejected(0)).last().unwrap().value.unwrap(), large.as_bytes());
}

#[test]
fn an_item_that_no_record_can_hold_is_rejected_in_chunks() {
    let (site, stream) = site();
    let huge = padded(9 << 20);
    assert_eq!(post_lines(site.address, &format!("{huge}\n{{}}")).status, 207);
    let queue = records(&stream, &topics::rejected(0));
    assert_eq!(queue.len(), 5);
    assert_eq!(queue.iter().flat_map(|r| r.value.unwrap()).copied().collect::<Vec<_>>(), huge.as_bytes());
}

#[test]
fn a_body_of_the_limit_is_taken_and_one_byte_more_is_not() {
    let (site, stream) = site_with(|config| config.body_bytes = 1000);
    assert_eq!(post_json(site.address, &padded(1000)).status, 202);
    let answer = post_json(site.address, &padded(1001));
    assert_eq!((answer.status, answer.reason()), (413, "too_large".to_owned()));
    // The same when its length is not said before.
    for (bytes, status) in [(1000, 202), (1001, 413)] {
        let mut client = connect(site.address);
        let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
        client.send_head("POST /v1/events", &headers, None).unwrap();
        client.send(format!("{bytes:x}\r\n{}\r\n0\r\n\r\n", padded(bytes)).as_bytes()).unwrap();
        assert_eq!(client.answer().unwrap().status, status);
    }
    assert_eq!(events(&stream, 0).len(), 2);
}

#[test]
fn as_many_items_as_the_limit_are_taken_and_one_more_are_not() {
    let (site, stream) = site_with(|config| config.items = 10);
    assert_eq!(post_lines(site.address, &"{}\n".repeat(10)).status, 202);
    for (content_type, body) in [
        ("application/jsonl", "{}\n".repeat(11)),
        ("application/json", format!("[{}{{}}]", "{},".repeat(10))),
    ] {
        let answer = post(site.address, content_type, &[], body.as_bytes());
        assert_eq!((answer.status, answer.reason()), (413, "too_many".to_owned()));
    }
    assert_eq!(events(&stream, 0).len(), 10);
}

#[test]
fn depth_is_limited_however_deep_it_goes() {
    let (site, _) = site();
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert_eq!(post_json(site.address, &nested(64)).status, 202);
    for depth in [65, 400_000] {
        let answer = post_json(site.address, &nested(depth));
        assert_eq!((answer.status, &answer.json()["results"][0]["reason"]), (422, &json!("too_deep")));
    }
}

#[test]
fn an_idempotency_key_has_255_characters_at_most() {
    let (site, _) = site();
    let with = |keys: &[&str]| {
        let headers: Vec<_> = keys.iter().map(|key| ("idempotency-key", *key)).collect();
        post(site.address, "application/json", &headers, b"{}").status
    };
    assert_eq!(with(&[&"k".repeat(255)]), 202);
    for bad in [vec![""], vec![&"k".repeat(256)], vec!["a b"], vec!["schlüssel"], vec!["a", "b"]] {
        assert_eq!(with(&bad), 400, "{bad:?}");
    }
}

#[test]
fn when_too_much_waits_the_answer_is_429_until_it_is_written() {
    let (site, stream) = site_with(|config| (config.body_bytes, config.waiting_bytes) = (1000, 4000));
    stream.hold(true);
    let mut first = connect(site.address);
    let head = [("content-type", "application/json")];
    let body = padded(900);
    first.send_head("POST /v1/events", &head, Some(body.len())).unwrap();
    first.send(body.as_bytes()).unwrap();
    until("the first request is being written", || stream.appends() == 1);
    let mut others: Vec<_> = (0..5).map(|_| connect(site.address)).collect();
    let mut busy = 0;
    let mut waiting = Vec::new();
    for mut client in others.drain(..) {
        let before = site.metric("sealog_gateway_waiting_bytes");
        client.send_head("POST /v1/events", &head, Some(body.len())).unwrap();
        client.send(body.as_bytes()).unwrap();
        if before + 900.0 > 4000.0 {
            let answer = client.answer().unwrap();
            assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
            busy += 1;
        } else {
            until("its share is taken", || site.metric("sealog_gateway_waiting_bytes") > before + 900.0);
            waiting.push(client);
        }
    }
    assert!(busy > 0 && !waiting.is_empty());
    stream.hold(false);
    assert_eq!(first.answer().unwrap().status, 202);
    for mut client in waiting {
        assert_eq!(client.answer().unwrap().status, 202);
    }
    until("all shares are given back", || site.metric("sealog_gateway_waiting_bytes") == 0.0);
    assert_eq!(post_json(site.address, &body).status, 202);
}

#[test]
fn an_answer_that_nobody_reads_counts_as_waiting_until_its_connection_is_too_old() {
    let (site, _) = site_with(|config| {
        config.timeouts.connection = Duration::from_secs(2);
        config.timeouts.drain = Duration::from_secs(2);
    });
    let mut client = connect(site.address);
    let body = "{}\n".repeat(100_000);
    client.send_head("POST /v1/events", &[("content-type", "application/jsonl")], Some(body.len())).unwrap();
    client.send(body.as_bytes()).unwrap();
    until("the answer waits to be read", || {
        let durable = site.metric(r#"sealog_ingestor_events_total{source="http"}"#) == 100_000.0;
        durable && (1.0..9e6).contains(&site.metric("sealog_gateway_waiting_bytes"))
    });
    until("it is let go", || site.metric("sealog_gateway_connections") == 0.0);
    assert_eq!(site.metric("sealog_gateway_waiting_bytes"), 0.0);
}

#[test]
fn slow_clients_are_let_go() {
    let (site, _) = site_with(|config| {
        config.timeouts.header = Duration::from_millis(100);
        config.timeouts.body = Duration::from_millis(100);
    });
    let mut head = connect(site.address);
    head.send(b"POST /v1/events HTTP/1.1\r\nhost: x").unwrap();
    assert!(head.is_closed() || head.is_closed());
    let mut body = connect(site.address);
    body.send_head("POST /v1/events", &[("content-type", "application/json")], Some(10)).unwrap();
    let answer = body.answer().unwrap();
    assert_eq!((answer.status, answer.reason()), (408, "slow".to_owned()));
    let mut idle = connect(site.address);
    assert_eq!(idle.ask("GET /healthz", &[], b"").status, 200);
    assert!(idle.is_closed());
}

#[test]
fn a_client_beyond_the_number_of_connections_waits_for_its_turn() {
    let (site, _) = site_with(|config| config.max_connections = 1);
    let mut first = connect(site.address);
    assert_eq!(first.ask("GET /healthz", &[], b"").status, 200);
    let mut second = connect(site.address);
    second.send_head("GET /healthz", &[], None).unwrap();
    assert_eq!(site.metric("sealog_gateway_connections"), 1.0);
    drop(first);
    assert_eq!(second.answer().unwrap().status, 200);
}

#[test]
fn beyond_loopback_tokens_and_tls_are_needed() {
    let tokens = || Some(Tokens::parse("0123456789abcdef billing").unwrap());
    let (outside, inside) = ("10.0.0.1:7740".parse().unwrap(), "[::1]:7740".parse().unwrap());
    let mut config = GatewayConfig::new(1);
    assert!(config.check(inside).is_ok());
    assert!(matches!(config.check(outside), Err(GatewayError::NeedsTokens(_))));
    config.tokens = tokens();
    assert!(matches!(config.check(outside), Err(GatewayError::NeedsTls(_))));
    config.behind_tls_proxy = true;
    assert!(config.check(outside).is_ok());
    config.behind_tls_proxy = false;
    config.tls = Some(Tls { cert_pem: Vec::new(), key_pem: Vec::new() });
    assert!(config.check(outside).is_ok());
    config.waiting_bytes = 1;
    assert!(matches!(config.check(inside), Err(GatewayError::Config(_))));
}
