//! Prints what the gateway takes on the embedded log, 600 B an event, clients in the same process:
//! `cargo run --release -p ingestor --example gateway [DIR]`. DIR decides which disk; it is left as it was.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ingestor::bench::sample;
use ingestor::gateway::{Gateway, GatewayConfig};
use prometheus::Registry;
use runtime::{Clock, Deadline, Stop, SystemClock};
use stream::embedded::{Embedded, Options};
use stream::topics;

const TIME: Duration = Duration::from_secs(5);

fn main() {
    let place = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let dir = tempfile::tempdir_in(place).expect("a folder");
    let lanes = [(topics::EVENTS, 1), (topics::REJECTED, 1)];
    let log = Embedded::open(dir.path(), Options::new(&lanes, Arc::new(SystemClock))).expect("a log");
    let gateway = Gateway::new(GatewayConfig::new(1), Arc::new(log), Arc::new(SystemClock), &Registry::new());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (address, stop) = (listener.local_addr().expect("an address"), Stop::new());
    thread::scope(|scope| {
        scope.spawn(|| gateway.expect("a gateway").serve(listener, &stop).expect("it serves"));
        for (clients, events, kind, keyed) in [
            (1, 1, "application/json", false),
            (32, 1, "application/json", false),
            (128, 1, "application/json", false),
            (1, 5_000, "application/x-ndjson", true),
            (2, 5_000, "application/x-ndjson", true),
            (2, 5_000, "application/x-ndjson", false),
        ] {
            let mut took_us: Vec<i64> = thread::scope(|scope| {
                let client = |c| scope.spawn(move || send(address, c, events, kind, keyed));
                let clients: Vec<_> = (0..clients).map(client).collect();
                clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
            });
            took_us.sort_unstable();
            let p = |part: usize| took_us[took_us.len() * part / 100] as f64 / 1e3;
            let each_second = (took_us.len() * events) as f64 / TIME.as_secs_f64();
            println!(
                "{clients} clients, {events} events a request, keyed {keyed}: {each_second:.0} events/s, p50 {:.2} ms, p99 {:.2} ms",
                p(50),
                p(99)
            );
        }
        stop.set();
    });
}

/// Sends for a while; how long each request took, in µs.
fn send(address: SocketAddr, client: usize, events: usize, kind: &str, keyed: bool) -> Vec<i64> {
    let body: String = (0..events).map(|n| sample(client * 1_000_000 + n) + "\n").collect();
    let mut socket = BufReader::new(TcpStream::connect(address).expect("a connection"));
    let (deadline, mut took_us) = (Deadline::after(TIME), Vec::new());
    while !deadline.passed() {
        let started = SystemClock.boot().0;
        let key = if keyed { format!("idempotency-key: {client}-{started}\r\n") } else { String::new() };
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\n{key}content-length: {}\r\n\r\n",
            body.len()
        );
        socket.get_mut().write_all(&[head.as_bytes(), body.as_bytes()].concat()).expect("it is sent");
        let (mut line, mut length) = (String::new(), 0);
        while socket.read_line(&mut line).expect("an answer") > 2 {
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a length");
            }
            assert!(!line.starts_with("HTTP") || line.contains(" 202 "), "{line}");
            line.clear();
        }
        socket.read_exact(&mut vec![0; length]).expect("the answer's body");
        took_us.push(SystemClock.boot().0 - started);
    }
    took_us
}
