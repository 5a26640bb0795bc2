//! The Idempotency-Key: a retry is answered as the first time and written once.

use std::sync::Arc;
use std::thread;

use ingestor::gateway::GatewayConfig;
use serde_json::json;
use stream::{Log, topics};

use crate::client::post_keyed;
use crate::site::{Gated, Site, events, records, site, site_with, until};

const BODY: &str = "{\"n\":1}\n{\"id\":\"own\"}\nbroken\n";

#[test]
fn a_repeat_is_answered_alike_and_not_written_again() {
    let (site, stream) = site();
    let first = post_keyed(site.address, "k", BODY);
    assert_eq!((first.status, first.ids()[1].as_str()), (207, "own"));
    assert_eq!(first.ids()[0], ingestor::keyed_id("anonymous", "k", 0));
    let again = post_keyed(site.address, "k", BODY);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!((events(&stream, 0).len(), records(&stream, &topics::rejected(0)).len()), (3, 1));
    assert_eq!(site.metric("sealog_gateway_repeated_total"), 3.0);
    // Another key is another request, and so is none.
    assert_ne!(post_keyed(site.address, "k2", BODY).ids()[0], first.ids()[0]);
    assert_eq!(events(&stream, 0).len(), 6);
}

#[test]
fn other_bytes_under_a_used_key_are_a_conflict() {
    let (site, stream) = site();
    assert_eq!(post_keyed(site.address, "k", "{\"n\":1}\n{\"n\":2}\n").status, 202);
    let answer = post_keyed(site.address, "k", "{\"n\":1}\n{\"n\":3}\n{\"n\":4}\n");
    assert_eq!(answer.status, 207);
    assert_eq!(answer.statuses(), ["durable", "conflict", "durable"]);
    assert_eq!(answer.json()["results"][1]["reason"], "conflict");
    assert_eq!(post_keyed(site.address, "k", "{\"n\":5}\n").status, 422);
    let written: Vec<_> = events(&stream, 0).iter().map(|e| e["attributes"][0]["value"].clone()).collect();
    assert_eq!(written, [json!("1"), json!("2"), json!("4")]);
}

#[test]
fn repeats_that_come_at_once_are_written_once() {
    let (site, stream) = site();
    stream.hold(true);
    let address = site.address;
    let clients: Vec<_> =
        (0..16).map(|n| thread::spawn(move || post_keyed(address, &format!("k{}", n % 2), BODY))).collect();
    until("something is being written", || stream.appends() == 1);
    stream.hold(false);
    let answers: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!((answer.status, &answer.body), (207, &answers[n % 2].body));
    }
    assert_eq!((events(&stream, 0).len(), records(&stream, &topics::rejected(0)).len()), (6, 2));
}

#[test]
fn a_retry_after_a_restart_is_not_written_again() {
    let stream = Gated::new(2);
    let start = || Site::start(Arc::new(stream.clone()), GatewayConfig::new(2));
    let first = start();
    let answer = post_keyed(first.address, "k", BODY);
    let large = format!("{{\"a\":\"{}\"}}\n", "x".repeat(1 << 20));
    let rejected = post_keyed(first.address, "large", &large);
    first.stop().unwrap();
    let chain = ingestor::route("anonymous", 2);
    assert_eq!(events(&stream, chain).len(), 4);

    let second = start();
    assert_eq!(post_keyed(second.address, "k", BODY).body, answer.body);
    assert_eq!(post_keyed(second.address, "large", &large).body, rejected.body);
    let other = post_keyed(second.address, "k", "{\"n\":2}\n");
    assert_eq!(other.statuses(), ["conflict"]);
    assert_eq!(events(&stream, chain).len(), 4);
}

#[test]
fn a_restart_remembers_what_a_trimmed_lane_still_holds() {
    let stream = Gated::new(1);
    let start = || Site::start(Arc::new(stream.clone()), GatewayConfig::new(1));
    let first = start();
    for n in 0..4 {
        post_keyed(first.address, &format!("k{n}"), "{}\n");
    }
    first.stop().unwrap();
    let third = records(&stream, &topics::events(0)).get(2).unwrap().offset;
    stream.trim(&topics::events(0), third).unwrap();
    let second = start();
    for (n, appends) in [(2, 4), (3, 4), (0, 5)] {
        assert_eq!(post_keyed(second.address, &format!("k{n}"), "{}\n").status, 202);
        assert_eq!(stream.appends(), appends);
    }
}

#[test]
fn only_the_latest_items_are_remembered() {
    let (site, stream) = site_with(|config| config.window_items = 2);
    for key in ["a", "b", "c", "b", "a"] {
        assert_eq!(post_keyed(site.address, key, "{}\n").status, 202);
    }
    assert_eq!(events(&stream, 0).len(), 4);
}
