//! An archive with something of everything: several chains and segments, and events that a reader may stumble over.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::lines;
use crate::harness::process::{Up, said, sealog};

/// As docs/READING.md has it.
const ORIGIN: &str = "acme.example/audit";
pub const CHAINS: usize = 3;
/// A producer for each chain, by its number.
const PRODUCERS: [&str; CHAINS] = ["users", "billing", "portal"];
/// More than one segment, and more than one block of 256.
pub const PLAIN_EVENTS: usize = 1_000;
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// An archive of several chains and segments.
pub struct Archive {
    pub folder: TempDir,
}

impl Archive {
    pub fn new() -> Archive {
        let folder = tempfile::tempdir().unwrap();
        let tokens = PRODUCERS.map(|producer| format!("token-of-{producer}-0123456789 {producer}\n"));
        let all = private(&folder.path().join("tokens"), &tokens.concat());
        let settings = [
            ("SEALOG_ORIGIN", ORIGIN),
            ("SEALOG_CHAINS", &*CHAINS.to_string()),
            ("SEALOG_HTTP_TOKENS", &*all),
            ("SEALOG_SEGMENT_MAX_EVENTS", "400"),
        ];
        let up = Up::start(&folder.path().join("sealog-data"), &settings);
        let plain =
            (0..PLAIN_EVENTS).map(|n| format!(r#"{{"action":"user.login","actor":"u-{}","n":{n}}}"#, n % 7));
        let sent = [plain.collect(), odd_events(), Vec::from([r#"{"action":"door.opened"}"#.to_owned()])];
        for ((producer, token), events) in PRODUCERS.iter().zip(&tokens).zip(sent) {
            let token = private(&folder.path().join(producer), token);
            let file = folder.path().join("events.jsonl");
            fs::write(&file, events.join("\n")).unwrap();
            let send = sealog(&["send", file.to_str().unwrap(), "--url", &up.url, "--token-file", &token]);
            assert!(send.status.success(), "{}", String::from_utf8_lossy(&send.stderr));
        }
        post_garbage(&up.url, tokens[1].split(' ').next().unwrap());
        let (status, words) = up.stop();
        assert_eq!(status.code(), Some(0), "{words}");
        Archive { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("sealog-data/archive")
    }

    pub fn segments(&self, chain: usize) -> PathBuf {
        self.root().join(format!("{ORIGIN}/{chain}/segments"))
    }

    /// What `sealog cat` shows of a chain.
    pub fn shown(&self, chain: usize) -> Vec<Value> {
        let cat = sealog(&["cat", self.root().to_str().unwrap(), "--chain", &chain.to_string()]);
        assert!(cat.status.success(), "{}", String::from_utf8_lossy(&cat.stderr));
        lines(&said(&cat))
    }
}

/// Writes a file that only its owner can read, and answers its path.
fn private(path: &Path, text: &str) -> String {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// One event a line, each with something that a reader may stumble over.
fn odd_events() -> Vec<String> {
    let targets =
        |n: usize| (0..n).map(|n| json!({"id": format!("t-{n}"), "type": "door"})).collect::<Vec<_>>();
    let attributes = (0..990).map(|n| (format!("a-{n}"), json!(n))).collect::<serde_json::Map<_, _>>();
    let mut events = vec![
        json!({}),
        json!({"action": "unicode", "actor": "Ålice \u{1F512} \u{202E}gnirts", "reason": "e\u{301} 日本語 \u{0} \u{7f} \u{85} \u{2028}"}),
        json!({"action": "", "actor": null, "targets": [], "tenant": "", "reason": null}),
        json!({"action": "one target", "target": {"id": "door-1", "type": null, "name": "Front \"door\"\n"}}),
        json!({"action": "many targets", "targets": targets(300)}),
        json!({"action": "many attributes", "more": {"deep": [[1, 2.5e-300, null], {"x": true}]}, "b": false}),
        json!({"action": "long ago", "occurred_at": "0001-01-01T00:00:00Z", "seq": i64::MIN}),
        json!({"action": "before 1970", "occurred_at": "1969-12-31T23:59:59.999999Z", "seq": -1}),
        json!({"action": "far ahead", "occurred_at": "9999-12-31T23:59:59.999999Z", "seq": i64::MAX}),
        json!({"action": "outcomes", "outcome": "denied", "ip": "2001:db8::1", "region": "eu", "host": "web-1"}),
        Value::Object(attributes),
    ];
    let empty = json!({"action": "large", "padding": ""}).to_string().len();
    events.push(json!({"action": "large", "padding": "x".repeat(MAX_EVENT_BYTES - empty)}));
    events.iter().map(Value::to_string).collect()
}

/// What cannot be read is sealed with its bytes, here bytes that are no text.
fn post_garbage(url: &str, token: &str) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let request = agent.post(format!("{url}/v1/events")).header("content-type", "application/x-ndjson");
    let answer =
        request.header("authorization", format!("Bearer {token}")).send(&b"\xff\xfe\x00 no JSON\n"[..]);
    assert_eq!(answer.unwrap().status(), 422);
}
