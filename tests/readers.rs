//! Tools that know nothing of Sealog read its segments: avro-tools, fastavro and Polars find the same events as
//! `sealog cat`, value by value, and what docs/READING.md shows does what it says.

mod archive;
mod page;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use self::archive::{Archive, CHAINS, MAX_EVENT_BYTES, PLAIN_EVENTS};
use crate::harness::process::{files, said};

/// What is installed of the readers.
struct Readers {
    python: String,
    avro_tools: String,
}

impl Readers {
    /// None, said loudly, where they cannot be had; in CI they must.
    fn find() -> Option<Readers> {
        let said = |verb: &str| {
            let output = Command::new(root().join("tests/services/readers")).arg(verb).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "tests/services/readers {verb}: {errors}");
            said(&output).trim_end().to_owned()
        };
        let missing = said("--check").replace('\n', "; ");
        if missing.is_empty() {
            return Some(Readers { python: said("--python"), avro_tools: said("--avro-tools") });
        }
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI reads with other tools, but {missing}");
        let _ = writeln!(std::io::stderr(), "SKIPPED: no other tools read segments: {missing}");
        None
    }

    /// What the tool reads below this folder, an event a line.
    fn read(&self, tool: &str, segments: &Path) -> Vec<Value> {
        let mut command = Command::new(&self.python);
        command.arg(root().join("tests/readers/read.py")).arg(tool).arg(segments).arg(&self.avro_tools);
        lines(&run(command, tool))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What it says on standard output; it must end well. Nothing is left beside the sources.
fn run(mut command: Command, what: &str) -> String {
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed: {}{errors}", said(&output));
    said(&output)
}

fn lines(text: &str) -> Vec<Value> {
    // Not `lines()`: an event may hold other ends of lines.
    text.split_terminator('\n').map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn avro_tools_fastavro_and_polars_read_what_cat_shows() {
    let Some(readers) = Readers::find() else { return };
    let archive = Archive::new();
    for chain in 0..CHAINS {
        let shown = archive.shown(chain);
        for tool in ["avro-tools", "fastavro", "polars"] {
            let mut read = readers.read(tool, &archive.segments(chain));
            assert_eq!(read.len(), shown.len(), "{tool} counts the events of chain {chain}");
            // `sealog cat` leaves prev out: it is the hash before.
            let prevs: Vec<Value> = read.iter_mut().map(|event| event["prev"].take()).collect();
            assert_eq!(
                prevs[1..],
                shown[..shown.len() - 1].iter().map(|e| e["hash"].clone()).collect::<Vec<_>>()
            );
            for (read, shown) in read.iter().zip(&shown) {
                for field in ["seq", "sealed_at", "hash", "event"] {
                    assert!(read[field] == shown[field], "{tool}, chain {chain}: {}", differing(read, shown));
                }
            }
        }
    }
    let odd = archive.shown(1);
    let has = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        assert!(odd.iter().any(|e| holds(&e["event"])), "{what}")
    };
    has("an event of a MiB", &|e| {
        e["original"]["bytes"].as_str().is_some_and(|b| b.len() == MAX_EVENT_BYTES)
    });
    has("bytes that are no text", &|e| e["original"]["bytes"]["base64"].is_string());
    has("a time before 1970", &|e| e["occurred_at"].as_i64() == Some(-1));
    has("a text with a NUL", &|e| e["reason"].as_str().is_some_and(|reason| reason.contains('\0')));
    has("many targets", &|e| e["targets"].as_array().is_some_and(|targets| targets.len() == 300));
    assert!(files(&archive.segments(0)).len() > 2, "several segments");
    assert_eq!(
        archive.shown(0).iter().filter(|line| line["event"]["producer"] == "users").count(),
        PLAIN_EVENTS
    );
}

/// The field that differs, cut to what a person can read.
fn differing(read: &Value, shown: &Value) -> String {
    let cut = |value: &Value| value.to_string().chars().take(300).collect::<String>();
    let fields = shown["event"].as_object().unwrap().keys();
    let field =
        fields.into_iter().find(|field| read["event"][field.as_str()] != shown["event"][field.as_str()]);
    let Some(field) = field else { return format!("seq, time or hash of {}", cut(shown)) };
    format!(
        "{field} is {}, not {}",
        cut(&read["event"][field.as_str()]),
        cut(&shown["event"][field.as_str()])
    )
}
