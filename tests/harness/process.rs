//! The command as a process: started, talked to, killed.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::wait_for;

/// So much of its log is shown of a process whose test has failed.
const LAST_LINES: usize = 40;

/// The command that was built with these tests.
pub fn sealog(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealog")).args(args).stdin(Stdio::null()).output().unwrap()
}

/// What a command said on standard output.
pub fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs a command on an archive: where that is, and what is in the environment of whoever comes to it.
pub fn read(verb: &str, place: &[String], env: &[(String, String)], args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealog"));
    command.arg(verb).args(place).args(args).envs(env.iter().cloned()).stdin(Stdio::null()).output().unwrap()
}

/// The archive is whole, and kept as was promised, as the command says.
pub fn is_whole(place: &[String], env: &[(String, String)], what: &str) {
    let verify = read("verify", place, env, &[]);
    let words = said(&verify);
    let is_whole = words.lines().last().is_some_and(|verdict| verdict.contains("intact but unanchored"));
    let errors = String::from_utf8_lossy(&verify.stderr);
    assert!(verify.status.success() && is_whole, "{what}: {words}{errors}");
}

/// A running process of the command: `sealog up`, or a stage. Dropped, it is killed.
pub struct Up {
    child: Child,
    pub url: String,
    pub banner: String,
    /// Logs go on being read, so that the process never waits for us.
    logs: Arc<Mutex<String>>,
    logging: Option<JoinHandle<()>>,
    rest: Option<JoinHandle<String>>,
}

impl Up {
    /// Starts `sealog up` on a free port with its data in `folder`, and waits until it listens.
    pub fn start(folder: &Path, more: &[(&str, &str)]) -> Up {
        Up::run(&["up", "--data", folder.to_str().unwrap()], more)
    }

    /// Starts any of the commands that run on, on a free port, and waits until it is up.
    pub fn run(args: &[&str], more: &[(&str, &str)]) -> Up {
        Up::try_run(args, more).unwrap_or_else(|said| panic!("sealog {} ended: {said}", args[0]))
    }

    /// The same; what it said if it ended instead.
    pub fn try_run(args: &[&str], more: &[(&str, &str)]) -> Result<Up, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealog"));
        command.args(args).args(["--listen", "127.0.0.1:0"]);
        command.envs(more.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let logs = Arc::new(Mutex::new(String::new()));
        let (stderr, kept) = (child.stderr.take().unwrap(), Arc::clone(&logs));
        let logging = std::thread::spawn(move || keep_lines(stderr, &kept));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("Ctrl-C") {
            if stdout.read_line(&mut banner).unwrap() == 0 {
                child.wait().unwrap();
                logging.join().unwrap();
                return Err(banner + &logs.lock().unwrap());
            }
        }
        let words = banner.split_whitespace().find(|word| word.starts_with("http")).unwrap();
        let url = words.trim_end_matches("/v1/events").trim_end_matches("/metrics").to_owned();
        let rest = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.read_to_string(&mut text);
            text
        });
        Ok(Up { child, url, banner, logs, logging: Some(logging), rest: Some(rest) })
    }

    /// Posts a body; status and answer.
    pub fn post(&self, body: &str) -> (u16, Value) {
        self.try_post(body).expect("the gateway answers")
    }

    /// Posts a body to a gateway that may be gone.
    pub fn try_post(&self, body: &str) -> Option<(u16, Value)> {
        post(&self.url, body)
    }

    /// Posts a body, and waits as the query says: `?wait=sealed`.
    pub fn post_waiting(&self, query: &str, key: Option<&str>, body: &str) -> (u16, Value) {
        send(&self.url, query, key, body).expect("the gateway answers")
    }

    /// The text of /metrics.
    pub fn metrics(&self) -> String {
        let response = ureq::get(format!("{}/metrics", self.url)).call();
        response.unwrap().body_mut().read_to_string().unwrap()
    }

    /// The value of one line of /metrics; 0 where there is none.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.metrics();
        let line = text.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }

    /// The sum of a metric over all chains; 0 where there is none.
    pub fn total(&self, name: &str) -> f64 {
        let text = self.metrics();
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The most memory that it ever held.
    pub fn peak_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Freezes it, until `go_on`.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen process go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits until it ends by itself. Answers how, and all it said.
    pub fn ends(mut self, seconds: u64) -> (ExitStatus, String) {
        let status = wait_for("the process ends", seconds, || self.child.try_wait().unwrap());
        let said = self.rest.take().unwrap().join().unwrap();
        self.logging.take().unwrap().join().unwrap();
        (status, said + &self.logs.lock().unwrap())
    }

    /// How many lines of its log so far hold these words.
    pub fn logged(&self, words: &str) -> usize {
        self.logs.lock().unwrap().lines().filter(|line| line.contains(words)).count()
    }

    /// Its log so far.
    pub fn all(&self) -> String {
        self.logs.lock().unwrap().clone()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// As a service manager ends it; it goes on until it has finished.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// As Ctrl-C does. Answers how it ended and what it said last.
    pub fn stop(self) -> (ExitStatus, String) {
        self.signal(Signal::INT);
        self.ends(60)
    }

    /// As an impatient Ctrl-C does, twice.
    pub fn stop_at_once(self) -> (ExitStatus, String) {
        self.signal(Signal::INT);
        // The second counts once the first has been taken up.
        wait_for("it is stopping", 10, || (self.logged("stopping: ") > 0).then_some(()));
        self.stop()
    }

    /// As a power failure does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What it said last may tell why a test failed.
        if std::thread::panicking() {
            let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
            let last: Vec<&str> = logs.lines().rev().take(LAST_LINES).collect();
            eprintln!("{}", self.banner.lines().next().unwrap_or_default());
            last.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
    }
}

/// Keeps what is read, line by line.
fn keep_lines(from: ChildStderr, into: &Mutex<String>) {
    let (mut from, mut line) = (BufReader::new(from), Vec::new());
    while from.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        into.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
}

/// Posts a body; None if there was no answer.
pub fn post(url: &str, body: &str) -> Option<(u16, Value)> {
    send(url, "", None, body)
}

/// The same under an Idempotency-Key.
pub fn post_with_key(url: &str, key: &str, body: &str) -> Option<(u16, Value)> {
    send(url, "", Some(key), body)
}

fn send(url: &str, query: &str, key: Option<&str>, body: &str) -> Option<(u16, Value)> {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let kind = if body.contains('\n') { "application/x-ndjson" } else { "application/json" };
    let mut request = agent.post(format!("{url}/v1/events{query}")).header("content-type", kind);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let mut response = request.send(body).ok()?;
    let text = response.body_mut().read_to_string().ok()?;
    Some((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
