//! A web server of the test's own. It lists folders as nginx and Apache do, byte for byte but for the dates' columns, and
//! can be told to do wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use schemas::Micros;

/// Whose pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    Nginx,
    NginxJson,
    Apache,
}

/// What happens to a request instead.
#[derive(Clone, Debug)]
pub enum Instead {
    /// So many times this status.
    Status(u16, u32),
    /// Sent there.
    Redirect(String),
    /// The answer ends after so many bytes of its body, so many times.
    Cut(usize, u32),
    /// This page.
    Page(String),
    /// The same answer, and its end is told otherwise.
    Ending(Ending),
}

/// How an answer says where it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    #[default]
    Length,
    /// In chunks, with a last one.
    Chunks,
    /// In chunks, with a last one after [`LONG_BYTES`].
    LateChunks,
    /// Not at all: the connection ends.
    Connection,
}

/// More than anybody reads of a small object.
pub const LONG_BYTES: usize = 64 << 20;

/// What the server does before it answers.
type Deed = Box<dyn FnOnce(&Before) + Send>;

/// What a deed can wait for.
pub struct Before {
    shared: Arc<Shared>,
}

impl Before {
    /// Whether `path` is asked for while this is waited for.
    pub fn is_asked_within(&self, path: &str, at_most: Duration) -> bool {
        let asked = self.shared.asked.lock().unwrap();
        let is_missing = |asked: &mut Vec<String>| !asked.iter().any(|asked| asked == path);
        !self.shared.was_asked.wait_timeout_while(asked, at_most, is_missing).unwrap().1.timed_out()
    }
}

/// It ends when it is dropped.
pub struct Server {
    /// Of the folder.
    pub url: String,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    pages: Pages,
    has_ended: AtomicBool,
    without_ranges: AtomicBool,
    instead: Mutex<BTreeMap<String, Instead>>,
    /// The page of each folder, instead of its own.
    everywhere: Mutex<Option<String>>,
    deeds: Mutex<BTreeMap<String, Deed>>,
    asked: Mutex<Vec<String>>,
    was_asked: Condvar,
    late_bytes: AtomicUsize,
    connections: AtomicUsize,
}

impl Server {
    /// Serves `folder` under `/copy/`.
    pub fn of(folder: &Path, pages: Pages) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            pages,
            has_ended: AtomicBool::new(false),
            without_ranges: AtomicBool::new(false),
            instead: Mutex::default(),
            everywhere: Mutex::default(),
            deeds: Mutex::default(),
            asked: Mutex::default(),
            was_asked: Condvar::new(),
            late_bytes: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.has_ended.load(Ordering::SeqCst) {
                    return;
                }
                serving.connections.fetch_add(1, Ordering::SeqCst);
                let (stream, shared) = (stream.unwrap(), serving.clone());
                stream.set_nodelay(true).unwrap();
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Server { url: format!("http://{address}/copy"), address, shared }
    }

    /// For what lies at `path` below the folder.
    pub fn instead(&self, path: &str, what: Instead) {
        self.shared.instead.lock().unwrap().insert(path.to_owned(), what);
    }

    /// For every folder of which nothing else was said.
    pub fn everywhere(&self, page: String) {
        *self.shared.everywhere.lock().unwrap() = Some(page);
    }

    /// Once, before `path` is answered for the first time from now on.
    pub fn before(&self, path: &str, deed: impl FnOnce(&Before) + Send + 'static) {
        self.shared.deeds.lock().unwrap().insert(path.to_owned(), Box::new(deed));
    }

    /// How much of [`Ending::LateChunks`] was taken, at most.
    pub fn late_bytes(&self) -> usize {
        self.shared.late_bytes.load(Ordering::SeqCst)
    }

    /// From now on whole objects are sent.
    pub fn give_no_ranges(&self) {
        self.shared.without_ranges.store(true, Ordering::SeqCst);
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// What was asked for so far, below the folder.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// What is answered.
#[derive(Default)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    ending: Ending,
}

impl Shared {
    fn serve(self: &Arc<Shared>, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if line == "\r\n" {
                    break;
                }
                lines.push(line.trim_end().to_owned());
            }
            let mut words = lines[0].split(' ');
            let (verb, target) = (words.next().unwrap(), words.next().unwrap());
            let range = lines
                .iter()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
            let (answer, cut) = self.answer(target, range.as_deref());
            let ends_here = cut.is_some() || answer.ending == Ending::Connection;
            if self.write(stream, verb, &answer, cut).is_err() || ends_here {
                return;
            }
        }
    }

    fn write(
        &self,
        mut stream: &TcpStream,
        verb: &str,
        answer: &Answer,
        cut: Option<usize>,
    ) -> std::io::Result<()> {
        let ending = match answer.ending {
            Ending::Length => format!("Content-Length: {}\r\n", answer.body.len()),
            Ending::Chunks | Ending::LateChunks => "Transfer-Encoding: chunked\r\n".to_owned(),
            Ending::Connection => String::new(),
        };
        let mut head = format!("HTTP/1.1 {} X\r\n{ending}", answer.status);
        for (name, value) in &answer.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if verb == "GET" {
            let body = &answer.body[..cut.unwrap_or(answer.body.len())];
            match answer.ending {
                Ending::Length | Ending::Connection => stream.write_all(body)?,
                Ending::Chunks => write!(stream, "{:x}\r\n", body.len())
                    .and_then(|()| stream.write_all(&[body, b"\r\n0\r\n\r\n"].concat()))?,
                Ending::LateChunks => self.write_late(stream, body)?,
            }
        }
        stream.flush()
    }

    fn write_late(&self, mut stream: &TcpStream, body: &[u8]) -> std::io::Result<()> {
        let part = [format!("{:x}\r\n", 1 << 20).as_bytes(), &[b'x'; 1 << 20], b"\r\n"].concat();
        write!(stream, "{:x}\r\n", body.len())?;
        stream.write_all(&[body, b"\r\n"].concat())?;
        for _ in 0..LONG_BYTES >> 20 {
            stream.write_all(&part)?;
            self.late_bytes.fetch_add(1 << 20, Ordering::SeqCst);
        }
        stream.write_all(b"0\r\n\r\n")
    }

    /// And after how many bytes it is cut.
    fn answer(self: &Arc<Shared>, target: &str, range: Option<&str>) -> (Answer, Option<usize>) {
        let plain = |status| Answer {
            status,
            headers: Vec::new(),
            body: b"<html><title>Error</title></html>".to_vec(),
            ending: Ending::Length,
        };
        let Some(path) = target.strip_prefix("/copy/") else { return (plain(404), None) };
        let path = decoded(path);
        self.asked.lock().unwrap().push(path.clone());
        self.was_asked.notify_all();
        let deed = self.deeds.lock().unwrap().remove(&path);
        if let Some(deed) = deed {
            deed(&Before { shared: self.clone() });
        }
        let mut instead = self.instead.lock().unwrap();
        let mut ending = Ending::Length;
        let cut = match instead.get_mut(&path) {
            Some(Instead::Status(status, times)) if *times > 0 => {
                *times -= 1;
                return (plain(*status), None);
            }
            Some(Instead::Redirect(to)) => {
                return (Answer { headers: vec![("Location", to.clone())], ..plain(301) }, None);
            }
            Some(Instead::Page(page)) => {
                return (Answer { body: page.clone().into_bytes(), ..plain(200) }, None);
            }
            Some(Instead::Cut(bytes, times)) if *times > 0 => {
                *times -= 1;
                Some(*bytes)
            }
            Some(Instead::Ending(other)) => {
                ending = *other;
                None
            }
            _ => None,
        };
        drop(instead);
        let everywhere = self.everywhere.lock().unwrap().clone();
        if let Some(page) = everywhere.filter(|_| path.is_empty() || path.ends_with('/')) {
            return (Answer { body: page.into_bytes(), ..plain(200) }, None);
        }
        let file = self.folder.join(&path);
        match fs::metadata(&file) {
            Ok(found) if found.is_dir() && (path.is_empty() || path.ends_with('/')) => {
                (self.page(&file, target), cut)
            }
            Ok(found) if found.is_dir() => {
                (Answer { headers: vec![("Location", format!("{target}/"))], ..plain(301) }, None)
            }
            Ok(_) if !path.ends_with('/') => (Answer { ending, ..self.object(&file, range) }, cut),
            _ => (plain(404), None),
        }
    }

    fn object(&self, file: &Path, range: Option<&str>) -> Answer {
        let body = fs::read(file).unwrap();
        let modified = ("Last-Modified", http_date(modified(file)));
        let Some(range) = range.filter(|_| !self.without_ranges.load(Ordering::SeqCst)) else {
            return Answer { status: 200, headers: vec![modified], body, ..Answer::default() };
        };
        let (first, last) = range.split_once('-').unwrap();
        let first: usize = first.parse().unwrap();
        let end =
            last.parse().map_or(body.len(), |last: u64| body.len().min(last.saturating_add(1) as usize));
        if first >= body.len() {
            let range = ("Content-Range", format!("bytes */{}", body.len()));
            return Answer { status: 416, headers: vec![range], ..Answer::default() };
        }
        let said = ("Content-Range", format!("bytes {first}-{}/{}", end - 1, body.len()));
        Answer {
            status: 206,
            headers: vec![said, modified],
            body: body[first..end].to_vec(),
            ..Answer::default()
        }
    }

    fn page(&self, folder: &Path, target: &str) -> Answer {
        let mut names: Vec<(String, bool, u64, Micros)> = fs::read_dir(folder)
            .unwrap()
            .flatten()
            .map(|entry| {
                let found = entry.metadata().unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, found.is_dir(), found.len(), modified(&entry.path()))
            })
            .collect();
        // As servers do: folders first, and then in an order of their own.
        names.sort_by_key(|(name, is_folder, ..)| (!is_folder, name.to_lowercase()));
        let (kind, body) = match self.pages {
            Pages::Nginx => ("text/html", nginx(&decoded(target), &names)),
            Pages::NginxJson => ("application/json", nginx_json(&names)),
            Pages::Apache => ("text/html;charset=UTF-8", apache(target, &names)),
        };
        Answer {
            status: 200,
            headers: vec![("Content-Type", kind.to_owned())],
            body: body.into_bytes(),
            ..Answer::default()
        }
    }
}

type Name = (String, bool, u64, Micros);

fn nginx(shown: &str, names: &[Name]) -> String {
    let mut page = format!(
        "<html>\r\n<head><title>Index of {0}</title></head>\r\n<body>\r\n<h1>Index of {0}</h1><hr><pre><a href=\"../\">../</a>\r\n",
        html(shown)
    );
    for (name, is_folder, size, _) in names {
        let slash = if *is_folder { "/" } else { "" };
        let size = if *is_folder { "-".to_owned() } else { size.to_string() };
        let (link, text) = (encoded(name), html(name));
        writeln!(page, "<a href=\"{link}{slash}\">{text}{slash}</a>      21-Nov-2026 09:30   {size:>19}\r")
            .unwrap();
    }
    page + "</pre><hr></body>\r\n</html>\r\n"
}

fn nginx_json(names: &[Name]) -> String {
    let lines: Vec<String> = names
        .iter()
        .map(|(name, is_folder, size, modified)| {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            let date = http_date(*modified);
            match is_folder {
                true => format!("{{ \"name\":\"{name}\", \"type\":\"directory\", \"mtime\":\"{date}\" }}"),
                false => {
                    format!(
                        "{{ \"name\":\"{name}\", \"type\":\"file\", \"mtime\":\"{date}\", \"size\":{size} }}"
                    )
                }
            }
        })
        .collect();
    format!("[\r\n{}\r\n]", lines.join(",\r\n"))
}

fn apache(target: &str, names: &[Name]) -> String {
    let shown = html(&decoded(target));
    let mut page = format!(
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html>\n <head>\n  <title>Index of {shown}</title>\n \
         </head>\n <body>\n<h1>Index of {shown}</h1>\n  <table>\n   <tr><th valign=\"top\"><img src=\"/icons/blank.gif\" \
         alt=\"[ICO]\"></th><th><a href=\"?C=N;O=D\">Name</a></th><th><a href=\"?C=M;O=A\">Last modified</a></th><th><a \
         href=\"?C=S;O=A\">Size</a></th></tr>\n<tr><td valign=\"top\"><img src=\"/icons/back.gif\" \
         alt=\"[PARENTDIR]\"></td><td><a href=\"/\">Parent Directory</a></td><td>&nbsp;</td></tr>\n"
    );
    for (name, is_folder, ..) in names {
        let slash = if *is_folder { "/" } else { "" };
        let (link, text) = (encoded(name), html(name));
        writeln!(
            page,
            "<tr><td valign=\"top\"><img src=\"/icons/unknown.gif\" alt=\"[   ]\"></td><td><a \
             href=\"{link}{slash}\">{text}{slash}</a></td><td align=\"right\">2026-11-21 09:30  </td><td \
             align=\"right\">1.2K</td></tr>"
        )
        .unwrap();
    }
    page + "   <tr><th colspan=\"4\"><hr></th></tr>\n</table>\n<address>Apache/2.4 Server</address>\n</body></html>\n"
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~=!".contains(&byte);
    name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'%', [high, low, behind @ ..]) => {
                bytes.push(
                    u8::from_str_radix(&format!("{}{}", char::from(*high), char::from(*low)), 16).unwrap(),
                );
                rest = behind;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn modified(path: &Path) -> Micros {
    let since = fs::metadata(path).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
    Micros(since.as_secs() as i64 * 1_000_000)
}

fn http_date(at: Micros) -> String {
    let text = at.rfc3339();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months[text[5..7].parse::<usize>().unwrap() - 1];
    format!("Sat, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19])
}
