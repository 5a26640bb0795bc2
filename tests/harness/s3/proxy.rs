//! A man in the middle: what a network and a busy server do to single requests. It passes each request on as it came
//! and the answer back, but for those that a plan or a watchman says otherwise of. The suites of other crates take this
//! file as theirs by its path.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// It gets its answer.
    Pass,
    /// The server says no, without having done anything: a status, and S3's name for it.
    Refuse(u16, &'static str),
    /// The connection ends before the server has seen it.
    CutBefore,
    /// It is done, and the connection ends before the answer.
    CutAfter,
    /// The connection ends in the middle of the answer's body.
    CutWithin,
    /// It gets its answer, and in its head is a header that is not UTF-8: as of an object that was put with one.
    Garble,
    /// It is not answered for as long as the one who asks keeps the connection.
    Hang,
}

/// Is told of each request that a plan lets pass, by its head: when it has come whole and the server knows nothing of it,
/// and again with the head of the answer, when nobody else knows that. False: the connection ends there.
type Watchman = dyn Fn(&str, Option<&str>) -> bool + Send + Sync;

/// In front of a server, for requests that come one a connection.
pub struct Proxy {
    pub url: String,
    inner: Arc<Inner>,
    acceptor: Option<JoinHandle<()>>,
}

struct Inner {
    upstream: String,
    plan: Mutex<VecDeque<Act>>,
    /// For all that the plan does not name.
    otherwise: Mutex<Act>,
    /// Of each request.
    heads: Mutex<Vec<String>>,
    has_ended: AtomicBool,
    watchman: Box<Watchman>,
}

impl Proxy {
    /// Before the server at this URL, without TLS.
    pub fn before(url: &str) -> Proxy {
        Proxy::watched(url, |_, _| true)
    }

    /// The same, with a watchman. Requests come to him on threads of their own, and wait for him.
    pub fn watched(
        url: &str,
        watchman: impl Fn(&str, Option<&str>) -> bool + Send + Sync + 'static,
    ) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url_here = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            upstream: url.strip_prefix("http://").unwrap().to_owned(),
            plan: Mutex::default(),
            otherwise: Mutex::new(Act::Pass),
            heads: Mutex::default(),
            has_ended: AtomicBool::new(false),
            watchman: Box::new(watchman),
        });
        let shared = inner.clone();
        let acceptor = thread::spawn(move || {
            for client in listener.incoming() {
                if shared.has_ended.load(Ordering::SeqCst) {
                    break;
                }
                let (client, shared) = (client.unwrap(), shared.clone());
                thread::spawn(move || drop(shared.serve(client)));
            }
        });
        Proxy { url: url_here, inner, acceptor: Some(acceptor) }
    }

    /// What becomes of the next requests. What was seen so far is forgotten.
    pub fn plan(&self, acts: &[Act]) {
        *self.inner.plan.lock().unwrap() = acts.iter().copied().collect();
        self.inner.heads.lock().unwrap().clear();
    }

    /// What becomes of all requests that the plan does not name.
    pub fn otherwise(&self, act: Act) {
        *self.inner.otherwise.lock().unwrap() = act;
    }

    /// The first lines of the requests since the last plan.
    pub fn seen(&self) -> Vec<String> {
        self.heads().iter().map(|head| head.lines().next().unwrap_or_default().to_owned()).collect()
    }

    /// The requests since the last plan, without their bodies.
    pub fn heads(&self) -> Vec<String> {
        self.inner.heads.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.has_ended.store(true, Ordering::SeqCst);
        // Wakes it up.
        let _ = TcpStream::connect(self.url.strip_prefix("http://").unwrap());
        let _ = self.acceptor.take().unwrap().join();
    }
}

impl Inner {
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let (head, body) = read_message(&mut reader)?;
        self.heads.lock().unwrap().push(head.clone());
        let act = self.plan.lock().unwrap().pop_front();
        let act = act.unwrap_or(*self.otherwise.lock().unwrap());
        let mut client = client;
        match act {
            Act::CutBefore => Ok(()),
            Act::Hang => {
                client.set_read_timeout(Some(Duration::from_secs(60)))?;
                reader.read_to_end(&mut Vec::new()).map(drop)
            }
            Act::Refuse(status, code) => {
                let xml = format!("<Error><Code>{code}</Code><Message>As planned.</Message></Error>");
                let length = xml.len();
                write!(
                    client,
                    "HTTP/1.1 {status} No\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\
                     Connection: close\r\n\r\n{xml}"
                )
            }
            Act::Pass | Act::CutAfter | Act::CutWithin | Act::Garble => {
                if !(self.watchman)(&head, None) {
                    return Ok(());
                }
                let (answer_head, answer) = self.forward(&head, &body)?;
                if !(self.watchman)(&head, Some(&answer_head)) {
                    return Ok(());
                }
                let answer = match act {
                    Act::CutAfter => return Ok(()),
                    Act::CutWithin => &answer[..answer.len() / 2],
                    _ => &answer,
                };
                if let Act::Garble = act {
                    let (status, rest) = answer_head.split_once("\r\n").unwrap();
                    write!(client, "{status}\r\nContent-Disposition: x")?;
                    client.write_all(b"\xff\r\n")?;
                    client.write_all(rest.as_bytes())?;
                } else {
                    client.write_all(answer_head.as_bytes())?;
                }
                client.write_all(answer)
            }
        }
    }

    /// On a connection of its own, which the server may keep: told to close it, it answers a request that it refuses
    /// without having read it, and what is unread tears the answer.
    fn forward(&self, head: &str, body: &[u8]) -> io::Result<(String, Vec<u8>)> {
        let mut server = TcpStream::connect(&self.upstream)?;
        server.write_all(head.as_bytes())?;
        server.write_all(body)?;
        let mut reader = BufReader::new(server);
        let answer_head = read_head(&mut reader)?;
        let answer = read_answer(&mut reader, &answer_head, head.starts_with("HEAD "))?;
        // Whether the server says so or not.
        let answer_head = answer_head.strip_suffix("\r\n").unwrap_or(&answer_head).to_owned();
        Ok((format!("{answer_head}Connection: close\r\n\r\n"), answer))
    }
}

/// Up to the empty line, which is part of it.
pub fn read_head(reader: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// A request with its body.
fn read_message(reader: &mut impl BufRead) -> io::Result<(String, Vec<u8>)> {
    let head = read_head(reader)?;
    let length = header(&head, "content-length");
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

/// The body of an answer, as it is on the line.
fn read_answer(reader: &mut impl BufRead, head: &str, is_of_head: bool) -> io::Result<Vec<u8>> {
    let status = head.split(' ').nth(1).unwrap_or_default();
    let mut body = Vec::new();
    if is_of_head || ["204", "304"].contains(&status) {
        return Ok(body);
    }
    if let Some(length) = header(head, "content-length") {
        reader.take(length.parse().unwrap()).read_to_end(&mut body)?;
    } else if header(head, "transfer-encoding").is_some() {
        // Each chunk has its length in hex on a line before it, and ends with an empty one; the last has none.
        let mut left = 1;
        while left > 0 {
            let start = body.len();
            reader.read_until(b'\n', &mut body)?;
            let line = str::from_utf8(&body[start..]).unwrap_or_default().trim_end();
            left = u64::from_str_radix(line, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            reader.by_ref().take(left + 2).read_to_end(&mut body)?;
        }
    } else {
        reader.read_to_end(&mut body)?;
    }
    Ok(body)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(is, _)| is.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
