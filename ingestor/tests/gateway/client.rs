//! As much of HTTP/1.1 as the tests need, over any connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Each item's status.
    pub fn statuses(&self) -> Vec<String> {
        self.each("status")
    }

    pub fn ids(&self) -> Vec<String> {
        self.each("id")
    }

    fn each(&self, name: &str) -> Vec<String> {
        let json = self.json();
        let results = json["results"].as_array().unwrap_or_else(|| panic!("{json}"));
        results.iter().map(|r| r[name].as_str().unwrap().to_owned()).collect()
    }

    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }
}

/// A connection.
pub struct Client<S: Read + Write = TcpStream>(BufReader<S>);

pub fn connect(address: SocketAddr) -> Client {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    Client::over(socket)
}

impl<S: Read + Write> Client<S> {
    pub fn over(io: S) -> Client<S> {
        Client(BufReader::new(io))
    }

    /// Sends a request and reads its answer.
    pub fn ask(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_ask(line, headers, body).unwrap()
    }

    pub fn try_ask(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        self.send_head(line, headers, Some(body.len()))?;
        self.0.get_mut().write_all(body)?;
        self.answer()
    }

    pub fn send_head(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        length: Option<usize>,
    ) -> io::Result<()> {
        let mut head = format!("{line} HTTP/1.1\r\nhost: gateway\r\n");
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        if let Some(length) = length {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        self.send(head.as_bytes())
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)?;
        self.0.get_mut().flush()
    }

    pub fn answer(&mut self) -> io::Result<Answer> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {line:?}")))?;
        let (mut headers, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            let value = value.trim().to_owned();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap();
            }
            headers.push((name.to_owned(), value));
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Answer { status, headers, body })
    }

    /// Whether the other side closes the connection without another word.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

/// Sends events on a connection of its own.
pub fn post(address: SocketAddr, content_type: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let headers = [&[("content-type", content_type)], headers].concat();
    connect(address).ask("POST /v1/events", &headers, body)
}

pub fn post_json(address: SocketAddr, body: &str) -> Answer {
    post(address, "application/json", &[], body.as_bytes())
}

pub fn post_lines(address: SocketAddr, body: &str) -> Answer {
    post(address, "application/x-ndjson", &[], body.as_bytes())
}

pub fn post_keyed(address: SocketAddr, key: &str, body: &str) -> Answer {
    post(address, "application/x-ndjson", &[("idempotency-key", key)], body.as_bytes())
}
