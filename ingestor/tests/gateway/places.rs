//! `?wait=`: the answer comes when the events are sealed or archived, and says where they stand; what was acknowledged
//! is never taken back because somebody has waited in vain.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ingestor::gateway::Archived;
use schemas::{Hash, Link};
use stream::topics;

use crate::client::{Answer, connect};
use crate::site::{Gated, Site, records, site, site_with, until};

fn ask(site: &Site, query: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = [&[("content-type", "application/x-ndjson")], headers].concat();
    connect(site.address).ask(&format!("POST /v1/events?{query}"), &headers, body.as_bytes())
}

/// Waits until a request has appended its events, and seals them.
fn seal_when_appended(stream: &Gated, events: usize) -> Vec<Link> {
    until("the events are appended", || records(stream, &topics::events(0)).len() == events);
    stream.seal()
}

fn places(answer: &Answer) -> Vec<Option<(u64, String)>> {
    let place = |result: &serde_json::Value| {
        Some((result["seq"].as_u64()?, result["hash"].as_str().unwrap().to_owned()))
    };
    answer.json()["results"].as_array().unwrap().iter().map(place).collect()
}

/// The places of these links.
fn of(links: &[Link]) -> Vec<Option<(u64, String)>> {
    links.iter().map(|link| Some((link.seq.0, schemas::hex(link.hash().bytes())))).collect()
}

#[test]
fn who_waits_is_told_seq_and_hash_once_the_events_are_sealed() {
    let (site, stream) = site();
    // What stood there before is nobody's answer.
    assert_eq!(ask(&site, "", &[], "{\"id\":\"twin\"}\n").status, 202);
    stream.seal();
    let (sealed, answer) = thread::scope(|scope| {
        let waiting =
            scope.spawn(|| ask(&site, "wait=sealed", &[], "{\"id\":\"twin\"}\n{\"id\":\"b\"}\nbroken\n"));
        (seal_when_appended(&stream, 4), waiting.join().unwrap())
    });
    assert_eq!(answer.status, 207);
    assert_eq!(answer.statuses(), ["sealed", "sealed", "rejected"], "a rejection is sealed too");
    assert_eq!(places(&answer), of(&sealed[1..4]));
    assert_eq!(answer.json()["results"][0]["chain"], 0);
}

#[test]
fn many_wait_at_once_and_each_gets_its_own() {
    let (site, stream) = site();
    let (sealed, answers) = thread::scope(|scope| {
        let ask = |n: usize| ask(&site, "wait=sealed", &[], &format!("{{\"n\":{n}}}\n"));
        let waiting: Vec<_> = (0..20).map(|n| scope.spawn(move || ask(n))).collect();
        let sealed = seal_when_appended(&stream, 20);
        (sealed, waiting.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>())
    });
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.statuses() == ["sealed"]));
    let mut told: Vec<_> = answers.iter().flat_map(places).collect();
    told.sort();
    assert_eq!(told, of(&sealed));
    until("nothing is looked for", || site.metric("sealog_gateway_looked_for") == 0.0);
}

#[test]
fn a_retry_is_told_the_place_that_the_first_try_got() {
    let (site, stream) = site();
    let key = [("idempotency-key", "k")];
    assert_eq!(ask(&site, "", &key, "{\"n\":1}\n{\"n\":2}\n").status, 202);
    let sealed = stream.seal();
    let again = ask(&site, "wait=sealed", &key, "{\"n\":1}\n{\"n\":2}\n");
    assert_eq!((again.status, places(&again)), (200, of(&sealed)));
    let other = ask(&site, "wait=sealed", &key, "{\"n\":1}\n{\"n\":3}\n");
    assert_eq!((other.status, other.statuses()), (207, vec!["sealed".to_owned(), "conflict".to_owned()]));
    assert_eq!(records(&stream, &topics::events(0)).len(), 2);
}

#[test]
fn a_retry_is_not_told_the_place_of_another_event_under_its_key() {
    // The gateway forgets the first use of the key: it remembers one item.
    let (site, stream) = site_with(|config| config.window_items = 1);
    let key = [("idempotency-key", "k")];
    assert_eq!(ask(&site, "", &key, "{\"n\":1}\n").status, 202);
    assert_eq!(ask(&site, "", &[("idempotency-key", "l")], "{}\n").status, 202);
    assert_eq!(ask(&site, "", &key, "{\"n\":2}\n").status, 202);
    let sealed = stream.seal();
    assert_eq!(sealed.len(), 3);
    let again = ask(&site, "wait=sealed", &key, "{\"n\":2}\n");
    assert_eq!(places(&again), of(&sealed[2..]));
}

#[test]
fn retries_of_what_is_not_sealed_yet_wait_for_it_and_hold_up_nobody() {
    let (site, stream) = site();
    let key = [("idempotency-key", "k")];
    assert_eq!(ask(&site, "", &key, "{}\n").status, 202);
    thread::scope(|scope| {
        let ask = |seconds| ask(&site, &format!("wait=sealed&seconds={seconds}"), &key, "{}\n");
        let repeats: Vec<_> = (0..8).map(|_| scope.spawn(move || ask(3))).collect();
        until("repeats are looked for", || site.metric("sealog_gateway_looked_for") == 1.0);
        let other = scope.spawn(|| self::ask(&site, "wait=sealed&seconds=60", &[], "{\"n\":1}\n"));
        until("the other is appended", || records(&stream, &topics::events(0)).len() == 2);
        let sealed = stream.seal();
        assert_eq!(places(&other.join().unwrap()), of(&sealed[1..]));
        for repeat in repeats {
            assert_eq!(places(&repeat.join().unwrap()), of(&sealed[..1]));
        }
    });
}

#[test]
fn only_so_many_wait_and_the_others_are_told_at_once() {
    let (site, stream) = site_with(|config| config.max_connections = 16);
    thread::scope(|scope| {
        let site = &site;
        let asked: Vec<_> = (0..4)
            .map(|n| scope.spawn(move || ask(site, "wait=sealed", &[], &format!("{{\"n\":{n}}}\n"))))
            .collect();
        until("all seats are taken", || site.metric("sealog_gateway_looked_for") == 4.0);
        let more = ask(site, "wait=sealed", &[], "{}\n");
        assert_eq!((more.status, more.reason()), (429, "busy".to_owned()));
        assert_eq!(ask(site, "", &[], "{}\n").status, 202, "who does not wait is served");
        stream.seal();
        assert!(asked.into_iter().all(|one| one.join().unwrap().status == 200));
    });
}

#[test]
fn a_connection_that_is_to_be_closed_answers_what_waits_on_it() {
    let (site, _stream) = site_with(|config| config.timeouts.connection = Duration::from_millis(500));
    let answer = ask(&site, "wait=sealed&seconds=60", &[], "{}\n");
    assert_eq!((answer.status, answer.statuses()), (202, vec!["durable".to_owned()]));
}

#[test]
fn when_the_time_is_over_what_is_known_is_said() {
    let (site, stream) = site();
    let answer = ask(&site, "wait=sealed&seconds=1", &[], "{}\n");
    assert_eq!(
        (answer.status, answer.statuses(), places(&answer)),
        (202, vec!["durable".to_owned()], vec![None])
    );
    assert_eq!(records(&stream, &topics::events(0)).len(), 1);
}

#[test]
fn a_stop_does_not_wait_for_who_waits() {
    let (site, stream) = site();
    let answer = thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&site, "wait=sealed&seconds=300", &[], "{}\n"));
        until("it is looked for", || site.metric("sealog_gateway_looked_for") == 1.0);
        site.ask_to_stop();
        waiting.join().unwrap()
    });
    assert_eq!((answer.status, answer.statuses()), (202, vec!["durable".to_owned()]));
    site.stop().unwrap();
    assert_eq!(records(&stream, &topics::events(0)).len(), 1);
}

/// An archive that covers so many events.
#[derive(Default)]
struct Covers {
    size: AtomicU64,
    asked: AtomicU64,
    fails: Mutex<Option<u64>>,
}

impl Archived for Covers {
    fn size(&self, _: u32) -> Result<u64, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.size.load(Ordering::SeqCst))
    }

    fn proof(&self, chain: u32, seq: u64, _: &Hash) -> Result<String, String> {
        match *self.fails.lock().unwrap() {
            Some(fails) if fails == seq => Err("the archive is away".to_owned()),
            _ => Ok(format!("proof of {chain}/{seq}\n")),
        }
    }
}

#[test]
fn who_waits_for_the_archive_gets_proofs_and_who_gets_none_is_told_how_far_it_is() {
    let archive = Arc::new(Covers { fails: Mutex::new(Some(1)), ..Covers::default() });
    let (site, stream) = site_with(|config| config.archive = Some(archive.clone()));
    let (sealed, answer) = thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&site, "wait=archived", &[], "{\"n\":1}\n{\"n\":2}\n"));
        let sealed = seal_when_appended(&stream, 2);
        until("the archive was asked twice", || archive.asked.load(Ordering::SeqCst) > 1);
        archive.size.store(2, Ordering::SeqCst);
        (sealed, waiting.join().unwrap())
    });
    assert_eq!((answer.status, answer.statuses()), (202, vec!["archived".to_owned(), "sealed".to_owned()]));
    assert_eq!(answer.json()["results"][0]["proof"], "proof of 0/0\n");
    assert_eq!(places(&answer), of(&sealed));
}

#[test]
fn what_cannot_be_waited_for_is_refused_before_anything_is_taken() {
    let (site, stream) = site();
    let refused = |query: &str, body: &str, reason: &str| {
        let answer = ask(&site, query, &[], body);
        assert_eq!(answer.reason(), reason, "{query}");
        answer.status
    };
    assert_eq!(refused("wait=tomorrow", "{}\n", "bad_query"), 400);
    assert_eq!(refused("wait=archived", "{}\n", "bad_query"), 400);
    assert_eq!(refused("wait=sealed", &"{}\n".repeat(1_001), "too_many"), 413);
    assert_eq!(records(&stream, &topics::events(0)).len(), 0);
    // Two chains, and a stream that has the events of both but seals only one of them.
    let (site, stream) = site_with(|config| config.chains = 2);
    let lost = |answer: Answer| (answer.status, answer.reason());
    let anonymous = topics::sealed(ingestor::route("anonymous", 2));
    stream.hide(&anonymous);
    assert_eq!(lost(ask(&site, "wait=sealed", &[], "{}\n")), (503, "unreadable".to_owned()));
    assert!((0..2).all(|chain| records(&stream, &topics::events(chain)).is_empty()));
}
