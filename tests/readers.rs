//! Tools that know nothing of Sealog read its segments: avro-tools, fastavro and Polars find the same events as
//! `sealog cat`, value by value, and what docs/READING.md shows does what it says.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, iter};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::process::{Up, files, said, sealog};

/// As docs/READING.md has it.
const ORIGIN: &str = "acme.example/audit";
const CHAINS: usize = 3;
/// A producer for each chain, by its number.
const PRODUCERS: [&str; CHAINS] = ["users", "billing", "portal"];
/// More than one segment, and more than one block of 256.
const PLAIN_EVENTS: usize = 1_000;
const MAX_EVENT_BYTES: usize = 1 << 20;

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

/// An archive of several chains and segments.
struct Archive {
    folder: TempDir,
}

impl Archive {
    fn new() -> Archive {
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
        let plain = (0..PLAIN_EVENTS).map(|n| format!(r#"{{"action":"user.login","actor":"u-{}","n":{n}}}"#, n % 7));
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

    fn segments(&self, chain: usize) -> PathBuf {
        self.root().join(format!("{ORIGIN}/{chain}/segments"))
    }

    /// What `sealog cat` shows of a chain.
    fn shown(&self, chain: usize) -> Vec<Value> {
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
    let targets = |n: usize| (0..n).map(|n| json!({"id": format!("t-{n}"), "type": "door"})).collect::<Vec<_>>();
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
    let answer = request.header("authorization", format!("Bearer {token}")).send(&b"\xff\xfe\x00 no JSON\n"[..]);
    assert_eq!(answer.unwrap().status(), 422);
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
            assert_eq!(prevs[1..], shown[..shown.len() - 1].iter().map(|e| e["hash"].clone()).collect::<Vec<_>>());
            for (read, shown) in read.iter().zip(&shown) {
                for field in ["seq", "sealed_at", "hash", "event"] {
                    assert!(read[field] == shown[field], "{tool}, chain {chain}: {}", differing(read, shown));
                }
            }
        }
    }
    let odd = archive.shown(1);
    let has = |what: &str, holds: &dyn Fn(&Value) -> bool| assert!(odd.iter().any(|e| holds(&e["event"])), "{what}");
    has("an event of a MiB", &|e| e["original"]["bytes"].as_str().is_some_and(|b| b.len() == MAX_EVENT_BYTES));
    has("bytes that are no text", &|e| e["original"]["bytes"]["base64"].is_string());
    has("a time before 1970", &|e| e["occurred_at"].as_i64() == Some(-1));
    has("a text with a NUL", &|e| e["reason"].as_str().is_some_and(|reason| reason.contains('\0')));
    has("many targets", &|e| e["targets"].as_array().is_some_and(|targets| targets.len() == 300));
    assert!(files(&archive.segments(0)).len() > 2, "several segments");
    assert_eq!(archive.shown(0).iter().filter(|line| line["event"]["producer"] == "users").count(), PLAIN_EVENTS);
}

/// The field that differs, cut to what a person can read.
fn differing(read: &Value, shown: &Value) -> String {
    let cut = |value: &Value| value.to_string().chars().take(300).collect::<String>();
    let fields = shown["event"].as_object().unwrap().keys();
    let field = fields.into_iter().find(|field| read["event"][field.as_str()] != shown["event"][field.as_str()]);
    let Some(field) = field else { return format!("seq, time or hash of {}", cut(shown)) };
    format!("{field} is {}, not {}", cut(&read["event"][field.as_str()]), cut(&shown["event"][field.as_str()]))
}

/// The blocks of a page that are marked as of this language, in order.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    page.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

#[test]
fn what_the_page_on_reading_shows_does_what_it_says() {
    let Some(readers) = Readers::find() else { return };
    let archive = Archive::new();
    let page = fs::read_to_string(root().join("docs/READING.md")).unwrap();
    let here = archive.folder.path();
    symlink(root().join("docs").canonicalize().unwrap(), here.join("docs")).unwrap();
    let events = archive.shown(0).len();

    let python = |script: &str| {
        let mut command = Command::new(&readers.python);
        command.args(["-c", script]).current_dir(here).env("PYTHONPATH", "docs/reading");
        run(command, script)
    };
    let shell = |script: &str| {
        let beside = Path::new(&readers.python).parent().unwrap().display();
        let given = format!(
            "set -euo pipefail; PATH={beside}:$PATH\n\
             avro-tools() {{ java -XX:TieredStopAtLevel=1 -jar {} \"$@\" 2>/dev/null; }}\n",
            readers.avro_tools
        );
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{given}{script}")]).current_dir(here);
        run(command, script)
    };

    let [avro_tools, athena] = blocks(&page, "sh")[..] else { panic!("two blocks for the shell") };
    let [fastavro, polars] = blocks(&page, "python")[..] else { panic!("two blocks for Python") };
    let by_avro_tools = shell(avro_tools);
    assert_eq!(by_avro_tools.lines().next().unwrap().trim(), events.to_string());
    assert!(by_avro_tools.contains("sealog.checkpoint"), "{by_avro_tools}");
    assert_eq!(fs::read_to_string(here.join("events.jsonl")).unwrap().split_terminator('\n').count(), events);
    let schema: Value = serde_json::from_str(&fs::read_to_string(here.join("sealed.avsc")).unwrap()).unwrap();
    assert_eq!(schema["name"], "SealedEvent");
    let by_fastavro = python(fastavro);
    assert!(by_fastavro.contains(&format!(": {events}}}")), "{by_fastavro}");
    let by_polars = python(polars);
    assert!(by_polars.contains("user.login") && by_polars.contains("\n0 breaks"), "{by_polars}");

    let queries = json!(blocks(&page, "sql"));
    let script = format!(
        "import duckdb, json\nfor query in json.loads({:?}):\n    answer = duckdb.sql(query)\n    \
         print(json.dumps([] if answer is None else answer.fetchall(), default=str))",
        queries.to_string()
    );
    let answers = lines(&python(&script));
    assert_eq!(answers[1][0][1], events, "events a day: {}", answers[1]);
    assert_eq!(answers[2].as_array().unwrap().iter().map(|row| row[2].as_u64().unwrap()).sum::<u64>(), events as u64);
    assert_eq!(answers[3], json!([]), "a chain that is whole has no breaks");

    shell(athena);
    let statement = fs::read_to_string(here.join("sealed.sql")).unwrap();
    says_the_same(&page, &statement);
    assert!(!schema_of(&statement).to_string().contains("doc"), "no quotes get into the statement");
}

/// What the page shows of the statement for Athena is what is made, but for what it leaves out.
fn says_the_same(page: &str, statement: &str) {
    let shown = page.split("```\n").find(|block| block.starts_with("CREATE EXTERNAL TABLE")).unwrap();
    let made: Vec<&str> = statement.lines().collect();
    assert_eq!(shown.lines().count(), made.len());
    for (shown, made) in shown.lines().zip(made) {
        let (begins, ends) = shown.split_once(" … ").or_else(|| shown.split_once('…')).unwrap_or((shown, ""));
        assert!(made.starts_with(begins) && made.ends_with(ends), "{shown} stands for {made}");
        assert!(shown.contains('…') || shown == made, "{shown} is {made}");
    }
}

/// The columns of the statement and the schema in it are of one shape.
fn schema_of(statement: &str) -> Value {
    let literal = statement.split("'avro.schema.literal' = '").nth(1).unwrap().split('\'').next().unwrap();
    let schema: Value = serde_json::from_str(literal).unwrap();
    let fields = iter::once(&schema["fields"]).chain(iter::once(&schema["fields"][4]["type"]["fields"]));
    for field in fields.flat_map(|fields| fields.as_array().unwrap()) {
        assert!(statement.contains(&format!("`{}`", field["name"].as_str().unwrap())), "{field} is no column");
    }
    schema
}
