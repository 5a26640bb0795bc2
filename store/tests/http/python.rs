//! Python's own server, over HTTP and over HTTPS.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use store::conformance::Case;
use store::directory::{Directory, Options};
use store::http::Http;
use store::{Keep, Kind, Listing, Store};

use super::{Copy, read_contract, skip};

/// It ends when it is dropped.
struct Python {
    child: Child,
    port: String,
}

/// Serves the folder that is its first argument, over TLS if a second names certificate and key; says its port.
const PROGRAM: &str = r#"
import functools, http.server, ssl, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=sys.argv[1]))
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

impl Python {
    /// None where there is no Python.
    fn serving(folder: &Path, certificate: Option<&Path>) -> Option<Python> {
        let mut command = Command::new("python3");
        command.args(["-c", PROGRAM]).arg(folder).args(certificate);
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = started else {
            skip("no python3");
            return None;
        };
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        assert!(!port.is_empty(), "python's http.server did not start");
        Some(Python { child, port: port.trim().to_owned() })
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn in_a_copy(case: Case) {
    let mut python = None;
    let copy = Copy::behind(|folder| {
        python = Python::serving(folder, None);
        format!("http://127.0.0.1:{}/", python.as_ref().map_or("1", |python| python.port.as_str()))
    });
    if python.is_some() {
        case(&copy);
    }
}

read_contract!(in_a_copy);

#[test]
fn over_https_the_authority_that_is_given_is_trusted_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let [both, certificate, key] = ["both.pem", "cert.pem", "key.pem"].map(|name| folder.path().join(name));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return skip("no openssl");
    }
    let pem = std::fs::read(&certificate).unwrap();
    std::fs::write(&both, [pem.clone(), std::fs::read(&key).unwrap()].concat()).unwrap();
    let archive = folder.path().join("archive");
    let written = Directory::open(&archive, Options { make_root: true }).unwrap();
    written.put_new("a/0/checkpoint", b"four", Keep::Hint).unwrap();
    let Some(python) = Python::serving(&archive, Some(&both)) else { return };
    let url = format!("https://127.0.0.1:{}/", python.port);

    let store = Http::open(&url, Some(&pem)).unwrap();
    assert_eq!(store.get("a/0/checkpoint", None, None, 10).unwrap().bytes, b"four");
    assert_eq!(store.list("", "", Listing::Newest(10)).unwrap().entries.len(), 1);
    let other = another_authority(&folder.path().join("other"));
    let refused = Http::open(&url, Some(&other)).unwrap().get("a/0/checkpoint", None, None, 10).unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused, "{refused}");
    assert!(refused.to_string().contains("--ca"), "{refused}");
    assert_eq!(Http::open(&url, Some(b"no PEM")).err().map(|error| error.kind()), Some(Kind::Refused));
}

/// Another authority.
fn another_authority(at: &Path) -> Vec<u8> {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=other",
            "-keyout",
        ])
        .arg(at.with_extension("key"))
        .arg("-out")
        .arg(at)
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    std::fs::read(at).unwrap()
}
