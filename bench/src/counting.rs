//! Stands before an S3 server and counts what it is asked, by kind. What it passes on is untouched.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// How often each kind was asked for.
pub type Counts = BTreeMap<String, u64>;

/// It ends with the process.
pub struct Counting {
    /// Where it listens.
    pub url: String,
    counts: Arc<Mutex<Counts>>,
}

impl Counting {
    /// Before the server at this URL, without TLS.
    pub fn before(url: &str) -> Result<Counting> {
        let upstream = url.strip_prefix("http://").context("give a URL that begins with http://")?;
        let upstream = upstream.trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let here = format!("http://{}", listener.local_addr()?);
        let counts = Arc::<Mutex<Counts>>::default();
        let shared = counts.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, counts) = (upstream.clone(), shared.clone());
                thread::spawn(move || pass(client, &upstream, &counts));
            }
        });
        Ok(Counting { url: here, counts })
    }

    /// What was counted since the last call.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Requests are read one by one, for as long as the client keeps the connection; answers flow back as they come.
fn pass(client: TcpStream, upstream: &str, counts: &Mutex<Counts>) -> io::Result<()> {
    let mut server = TcpStream::connect(upstream)?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut answers, &mut back);
        back.shutdown(Shutdown::Both)
    });
    let mut requests = BufReader::with_capacity(1 << 16, client);
    while let Some(head) = read_head(&mut requests)? {
        *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(kind(&head)).or_default() += 1;
        server.write_all(head.as_bytes())?;
        io::copy(&mut requests.by_ref().take(body_bytes(&head)), &mut server)?;
    }
    server.shutdown(Shutdown::Write)
}

/// Up to the empty line, which is part of it. None: the client has ended.
fn read_head(requests: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if requests.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

fn body_bytes(head: &str) -> u64 {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, length)| length.trim().parse().ok()).unwrap_or(0)
}

/// S3's name for a request: what is in its method, its path and its query.
fn kind(head: &str) -> String {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let has_key = path.trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty());
    let asks = |name: &str| query.split('&').any(|part| part.split('=').next() == Some(name));
    let of = match (method, has_key) {
        ("PUT", true) if asks("retention") => "PutObjectRetention",
        ("PUT", true) => "PutObject",
        ("HEAD", true) => "HeadObject",
        ("GET", true) if asks("retention") => "GetObjectRetention",
        ("GET", true) if asks("legal-hold") => "GetObjectLegalHold",
        ("GET", true) => "GetObject",
        ("GET", false) if asks("versions") => "ListObjectVersions",
        ("GET", false) if asks("list-type") => "ListObjectsV2",
        ("GET", false) => "looking at the bucket",
        _ => return format!("{method} {query}"),
    };
    of.to_owned()
}
