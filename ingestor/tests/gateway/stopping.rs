//! Stopping: what is in flight is finished, and what was acknowledged is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ingestor::gateway::{GatewayConfig, GatewayError};
use stream::{Batch, Error, Groups, Kind, Lane, Limit, Log, Member, Result, Role};

use crate::client::{connect, post_json};
use crate::site::{Gated, Site, events, site, until};

#[test]
fn a_request_in_flight_is_answered_and_no_other_is_taken() {
    let (site, stream) = site();
    let address = site.address;
    stream.hold(true);
    let client = thread::spawn(move || post_json(address, "{}").status);
    until("it is being written", || stream.appends() == 1);
    let mut idle = connect(address);
    assert_eq!(idle.ask("GET /healthz", &[], b"").status, 200);
    // One that has begun its request, but not said all of it.
    let mut late = connect(address);
    let before = site.metric("sealog_gateway_waiting_bytes");
    late.send_head("POST /v1/events", &[("content-type", "application/json")], Some(2)).unwrap();
    late.send(b"{").unwrap();
    until("its share is taken", || site.metric("sealog_gateway_waiting_bytes") == before + 2.0);
    until("three are connected", || site.metric("sealog_gateway_connections") == 3.0);
    site.ask_to_stop();
    assert!(idle.is_closed());
    late.send(b"}").unwrap();
    stream.hold(false);
    assert_eq!(client.join().unwrap(), 202);
    assert_eq!(late.answer().unwrap().status, 202);
    site.stop().unwrap();
    assert_eq!(events(&stream, 0).len(), 2);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn nothing_acknowledged_is_lost_when_it_stops_amid_traffic() {
    let (site, stream) = site();
    let (address, acknowledged) = (site.address, Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|c| {
            let acknowledged = acknowledged.clone();
            thread::spawn(move || {
                let (mut client, mut ids) = (connect(address), Vec::new());
                for n in 0.. {
                    let event = format!("{{\"id\":\"{c}-{n}\"}}");
                    let head = [("content-type", "application/json")];
                    match client.try_ask("POST /v1/events", &head, event.as_bytes()) {
                        Ok(answer) if answer.status == 202 => ids.extend(answer.ids()),
                        Ok(answer) => {
                            assert_eq!((answer.status, answer.reason()), (503, "stopping".to_owned()))
                        }
                        Err(_) => break,
                    }
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
                ids
            })
        })
        .collect();
    until("events flow", || acknowledged.load(Ordering::SeqCst) > 200);
    site.stop().unwrap();
    let mut written: Vec<_> =
        events(&stream, 0).iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
    let mut told: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    written.sort();
    told.sort();
    assert!(told.len() > 200);
    assert!(told.iter().all(|id| written.binary_search(id).is_ok()));
    let all = written.len();
    written.dedup();
    assert_eq!(written.len(), all);
}

/// A stream that finds itself damaged.
struct Damaged(Gated);

impl Log for Damaged {
    fn append(&self, _: &Batch) -> Result<()> {
        Err(Error::new(Kind::Damaged, "the disk tells lies"))
    }

    fn read(
        &self,
        lane: &Lane,
        from: u64,
        into: &mut Batch,
        limit: Limit,
        wait: std::time::Duration,
    ) -> Result<()> {
        self.0.read(lane, from, into, limit, wait)
    }

    fn last(&self, lane: &Lane) -> Result<Batch> {
        self.0.last(lane)
    }

    fn trim(&self, lane: &Lane, before: u64) -> Result<()> {
        self.0.trim(lane, before)
    }
}

impl Groups for Damaged {
    fn join(&self, role: &Role) -> Result<Box<dyn Member>> {
        self.0.join(role)
    }

    fn positions(&self, group: &str, lanes: &[Lane]) -> Result<Vec<Option<u64>>> {
        self.0.positions(group, lanes)
    }
}

#[test]
fn a_damaged_stream_ends_the_gateway_and_is_named() {
    let site = Site::start(Arc::new(Damaged(Gated::new(1))), GatewayConfig::new(1));
    assert_eq!(post_json(site.address, "{}").status, 503);
    let Err(GatewayError::Halted(why)) = site.ended() else { panic!("it goes on") };
    assert!(why.to_string().contains("the disk tells lies"));
}
