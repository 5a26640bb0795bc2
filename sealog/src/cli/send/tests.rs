//! `send` against a real gateway, and against one that fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ingestor::gateway::{Gateway, GatewayConfig, Tokens};
use prometheus::Registry;
use runtime::{Stop, SystemClock};
use stream::memory::Memory;
use stream::{Batch, Limit, Log, topics};

use super::{Send, Tally, deliver};

const TOKEN: &str = "a-token-of-billing";

fn with(url: String, file: &std::path::Path) -> Send {
    Send {
        file: file.display().to_string(),
        url,
        token_file: None,
        ca_file: None,
        batch: 2,
        key: None,
        retries: 3,
        #[cfg(feature = "kafka")]
        topic: None,
        #[cfg(feature = "kafka")]
        config: None,
    }
}

fn sent(send: &Send) -> (anyhow::Result<Tally>, String) {
    let mut notes = Vec::new();
    let tally = deliver(send, &mut notes);
    (tally, String::from_utf8(notes).unwrap())
}

/// A gateway at work while `body` runs; gives back how many events it took.
fn with_gateway(body: impl FnOnce(String)) -> usize {
    let memory = Memory::new(&[(topics::EVENTS, 1), (topics::REJECTED, 1)], Arc::new(SystemClock));
    let config = GatewayConfig {
        tokens: Some(Tokens::parse(&format!("{TOKEN} billing")).unwrap()),
        ..GatewayConfig::new(1)
    };
    let gateway =
        Gateway::new(config, Arc::new(memory.clone()), Arc::new(SystemClock), &Registry::new()).unwrap();
    let (listener, stop) = (TcpListener::bind("127.0.0.1:0").unwrap(), Stop::new());
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::scope(|scope| {
        let serving = scope.spawn(|| gateway.serve(listener, &stop));
        body(url);
        stop.set();
        serving.join().unwrap().unwrap();
    });
    let mut events = Batch::new();
    let all = Limit { records: usize::MAX, bytes: usize::MAX };
    memory.read(&topics::events(0), 0, &mut events, all, Duration::ZERO).unwrap();
    events.len()
}

#[test]
fn each_line_is_an_event_and_those_rejected_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (events, token) = (dir.path().join("events"), dir.path().join("token"));
    std::fs::write(&events, "{\"n\":1}\n\n{\"n\":2}\r\nbroken\n{\"n\":3}").unwrap();
    std::fs::write(&token, format!("# mine\n{TOKEN} billing\n")).unwrap();
    let taken = with_gateway(|url| {
        let mut send = with(url, &events);
        let (refused, _) = sent(&send);
        assert!(format!("{:#}", refused.unwrap_err()).contains("401"));
        send.token_file = Some(token);
        let (tally, notes) = sent(&send);
        assert_eq!(tally.unwrap(), Tally { sent: 4, durable: 3 });
        assert_eq!(notes, "line 4: rejected: not JSON: expected value at line 1 column 1\n");
        // A name of its own makes it safe to send the file again.
        send.key = Some("nightly".to_owned());
        for _ in 0..2 {
            assert_eq!(sent(&send).0.unwrap(), Tally { sent: 4, durable: 3 });
        }
    });
    assert_eq!(taken, 8);
}

/// Answers one request a connection, as told; gives back each request's key and body.
fn answering(listener: TcpListener, answers: Vec<Option<&'static str>>) -> Vec<(String, String)> {
    let mut requests = Vec::new();
    for answer in answers {
        let (socket, _) = listener.accept().unwrap();
        let mut socket = BufReader::new(socket);
        let (mut key, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            socket.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line.trim_end().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "idempotency-key" => key = value.to_owned(),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).unwrap();
        requests.push((key, String::from_utf8(body).unwrap()));
        if let Some(answer) = answer {
            socket.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    }
    requests
}

macro_rules! answer {
    ($status:literal, $headers:literal, $body:literal) => {
        Some(concat!("HTTP/1.1 ", $status, " x\r\nconnection: close\r\n", $headers, "\r\n", $body))
    };
}

#[test]
fn a_batch_is_tried_again_under_its_key_until_it_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let events = dir.path().join("events");
    std::fs::write(&events, "{}\n{}\n{\"last\":1}\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let send = with(format!("http://{}", listener.local_addr().unwrap()), &events);
    let two = answer!(
        "202",
        "",
        "{\"results\":[{\"id\":\"a\",\"status\":\"durable\"},{\"id\":\"b\",\"status\":\"durable\"}]}"
    );
    let one = answer!(
        "422",
        "",
        "{\"results\":[{\"id\":\"c\",\"status\":\"conflict\",\"reason\":\"conflict\",\"error\":\"used\"}]}"
    );
    let busy = answer!("429", "retry-after: 0\r\n", "{\"reason\":\"busy\",\"error\":\"too much waits\"}");
    let away = answer!("503", "retry-after: 0\r\n", "");
    let server = thread::spawn(move || answering(listener, vec![busy, None, two, away, one]));
    let (tally, notes) = sent(&send);
    assert_eq!(tally.unwrap(), Tally { sent: 3, durable: 2 });
    assert!(
        notes.contains("429") && notes.contains("too much waits") && notes.contains("line 3: conflict: used"),
        "{notes}"
    );
    let requests = server.join().unwrap();
    let keys: Vec<_> = requests.iter().map(|(key, _)| key.as_str()).collect();
    assert!(keys[0].ends_with("-0") && keys[..3].iter().all(|key| *key == keys[0]));
    assert!(keys[3].ends_with("-1") && keys[3] == keys[4]);
    assert!(requests[..3].iter().all(|(_, body)| body == "{}\n{}\n"));
    assert_eq!(requests[4].1, "{\"last\":1}\n");
}

#[test]
fn tries_are_bounded_and_the_end_says_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let events = dir.path().join("events");
    std::fs::write(&events, "\n{}\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let send = with(format!("http://{}", listener.local_addr().unwrap()), &events);
    drop(listener);
    let (tally, notes) = sent(&send);
    let error = format!("{:#}", tally.unwrap_err());
    assert!(
        error.contains(
            "line 2 and those behind it are not confirmed; to go on, send the file again with --key "
        ) && error.contains("tried 4 times"),
        "{error}"
    );
    assert_eq!(notes.lines().count(), 1);
}

#[test]
fn what_no_gateway_says_is_an_error_and_not_a_retry() {
    let dir = tempfile::tempdir().unwrap();
    let events = dir.path().join("events");
    std::fs::write(&events, "{}\n").unwrap();
    for (answer, part) in [
        (answer!("404", "", "nothing here"), "404"),
        (answer!("202", "", "fine"), "not as a gateway does"),
        (answer!("202", "", "{\"results\":[]}"), "0 events of 1"),
        (answer!("302", "location: http://example/\r\n", ""), "302"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let send = with(format!("http://{}", listener.local_addr().unwrap()), &events);
        let server = thread::spawn(move || answering(listener, vec![answer]));
        let error = format!("{:#}", sent(&send).0.unwrap_err());
        assert!(error.contains(part), "{error}");
        server.join().unwrap();
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let file = std::path::Path::new("-");
    let stdin = Send { key: Some("k".to_owned()), ..with("http://127.0.0.1:1".to_owned(), file) };
    assert!(sent(&stdin).0.unwrap_err().to_string().contains("--key needs a FILE"));
    let url = with("127.0.0.1:7740".to_owned(), std::path::Path::new("/dev/null"));
    assert!(sent(&url).0.unwrap_err().to_string().contains("http://"));
    assert!(super::key_name("a b").is_err() && super::key_name("nightly").is_ok());
}
