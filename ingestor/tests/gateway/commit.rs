//! Group commit: requests that come while something is being written share the next append.

use std::thread;

use stream::memory::Fault;
use stream::topics;

use crate::client::{connect, post_json, post_keyed};
use crate::site::{Site, events, site, until};

const CLIENTS: usize = 32;

fn send(site: &Site, n: usize) -> thread::JoinHandle<u16> {
    let address = site.address;
    thread::spawn(move || {
        let head = [("content-type", "application/json")];
        connect(address).ask("POST /v1/events", &head, format!("{{\"id\":\"e{n}\"}}").as_bytes()).status
    })
}

#[test]
fn clients_that_send_at_once_share_appends() {
    let (site, stream) = site();
    stream.hold(true);
    let first = send(&site, 0);
    until("the first is being written", || stream.appends() == 1);
    let one = site.metric("sealog_gateway_waiting_bytes");
    let others: Vec<_> = (1..CLIENTS).map(|n| send(&site, n)).collect();
    until("all wait", || site.metric("sealog_gateway_waiting_bytes") >= one * CLIENTS as f64);
    stream.hold(false);
    assert!([first].into_iter().chain(others).all(|client| client.join().unwrap() == 202));
    // The last to come may still have been on its way to the appender when it was let go.
    assert!(stream.appends() <= 4, "{} appends", stream.appends());
    let mut ids: Vec<_> = events(&stream, 0).iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), CLIENTS);
    assert_eq!(site.metric(r#"sealog_ingestor_commit_items_sum{source="http"}"#), CLIENTS as f64);
}

#[test]
fn nothing_is_durable_before_the_append_returns() {
    let (site, stream) = site();
    stream.hold(true);
    let client = send(&site, 0);
    until("it is being written", || stream.appends() == 1);
    assert!(!client.is_finished() && events(&stream, 0).is_empty());
    stream.hold(false);
    assert_eq!(client.join().unwrap(), 202);
}

#[test]
fn a_stream_that_is_full_or_away_is_said_with_when_to_try_again() {
    let (site, stream) = site();
    stream.memory().refuse(&topics::events(0), true);
    let answer = post_json(site.address, "{}");
    assert_eq!(
        (answer.status, answer.reason(), answer.header("retry-after")),
        (503, "full".to_owned(), Some("5"))
    );
    stream.memory().refuse(&topics::events(0), false);
    assert_eq!(post_json(site.address, "{}").status, 202);
    stream.memory().fail(stream.memory().writes(), Fault::NotDone);
    let answer = post_json(site.address, "{}");
    assert_eq!(
        (answer.status, answer.reason(), answer.header("retry-after")),
        (503, "away".to_owned(), Some("2"))
    );
    assert_eq!(post_json(site.address, "{}").status, 202);
    assert_eq!(events(&stream, 0).len(), 2);
}

#[test]
fn whatever_becomes_of_an_append_a_retry_with_its_key_is_written_once() {
    for fault in Fault::ALL {
        let (site, stream) = site();
        assert_eq!(post_keyed(site.address, "before", "{}\n").status, 202);
        stream.memory().fail(stream.memory().writes(), fault);
        let failed = post_keyed(site.address, "k", "{\"n\":1}\nbroken\n");
        assert_eq!(failed.status, 503, "{fault:?}");
        let again = post_keyed(site.address, "k", "{\"n\":1}\nbroken\n");
        assert_eq!(
            (again.status, again.statuses()),
            (207, vec!["durable".to_owned(), "rejected".to_owned()])
        );
        let ids: Vec<_> = events(&stream, 0).iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids[1..], again.ids(), "{fault:?}");
    }
}
