//! One connection that is kept open: just enough HTTP to send a body and read a status.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result};

pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Connection {
    pub fn open(host: &str) -> Result<Connection> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream: BufReader::new(stream),
            host: host.to_owned(),
            head: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Sends one request and reads the whole answer; its status.
    pub fn post(&mut self, content_type: &str, body: &[u8]) -> Result<u16> {
        self.head.clear();
        write!(
            self.head,
            "POST /v1/events HTTP/1.1\r\nhost: {}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        )?;
        self.head.extend_from_slice(body);
        self.stream.get_mut().write_all(&self.head)?;
        self.answer()
    }

    /// Reads a page.
    pub fn get(&mut self, path: &str) -> Result<String> {
        write!(self.stream.get_mut(), "GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host)?;
        self.answer()?;
        Ok(String::from_utf8_lossy(&self.body).into_owned())
    }

    fn answer(&mut self) -> Result<u16> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("no status")?.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        Ok(status)
    }
}
