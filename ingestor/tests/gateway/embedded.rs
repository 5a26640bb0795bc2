//! On the embedded log: what was acknowledged is on the disk.

use std::sync::Arc;
use std::thread;

use ingestor::gateway::GatewayConfig;
use runtime::SystemClock;
use stream::embedded::{Embedded, Options};
use stream::topics;

use crate::client::{connect, post_keyed};
use crate::site::{Site, events};

#[test]
fn acknowledged_events_are_there_when_the_log_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let lanes = [(topics::EVENTS, 1), (topics::REJECTED, 1)];
        Embedded::open(dir.path(), Options::new(&lanes, Arc::new(SystemClock))).unwrap()
    };
    let site = Site::start(Arc::new(open()), GatewayConfig::new(1));
    let address = site.address;
    let clients: Vec<_> = (0..8)
        .map(|c| {
            thread::spawn(move || {
                let mut client = connect(address);
                let head = [("content-type", "application/json")];
                let send = |n| {
                    let event = format!("{{\"id\":\"{c}-{n}\"}}");
                    client.ask("POST /v1/events", &head, event.as_bytes()).ids()
                };
                (0..20).flat_map(send).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut told: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let keyed = post_keyed(address, "k", "{}\nbroken\n");
    assert_eq!(keyed.status, 207);
    told.extend(keyed.ids());
    site.stop().unwrap();

    let log = open();
    let mut written: Vec<_> = events(&log, 0).iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
    told.sort();
    written.sort();
    assert_eq!(written, told);
    let again = Site::start(Arc::new(log.clone()), GatewayConfig::new(1));
    assert_eq!(post_keyed(again.address, "k", "{}\nbroken\n").body, keyed.body);
    again.stop().unwrap();
    assert_eq!(events(&log, 0).len(), told.len());
}
