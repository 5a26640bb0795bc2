//! The servers that the suite runs on: given by the environment, or started by `tests/services/s3`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use runtime::Deadline;
use tempfile::TempDir;

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    Minio,
    Versitygw,
}

impl Make {
    fn name(self) -> &'static str {
        match self {
            Make::Minio => "minio",
            Make::Versitygw => "versitygw",
        }
    }

    #[allow(clippy::disallowed_methods, reason = "which server to test against is the environment's to say")]
    fn given(self) -> Option<String> {
        let variable = format!("SEALOG_TEST_S3_{}", self.name().to_uppercase());
        std::env::var(variable).ok().filter(|given| !given.is_empty())
    }
}

/// A server that answers. One that was started here is ended when it is dropped.
pub struct Server {
    pub make: Make,
    pub url: String,
    pub access: String,
    pub secret: String,
    /// The authority behind its certificate, if it has one.
    pub ca_pem: Option<Vec<u8>>,
    own: Option<Own>,
}

struct Own {
    script: Child,
    pid: String,
    _data: TempDir,
}

/// Those that tests share. The last of them to end takes it along.
static SHARED: [Mutex<Weak<Server>>; 2] = [const { Mutex::new(Weak::new()) }; 2];

impl Server {
    /// What this machine lacks to run one; None if nothing.
    pub fn missing(make: Make) -> Option<String> {
        let said = Command::new(script()).args(["--check", make.name()]).output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap().trim().replace('\n', "; ");
        (!said.is_empty() && make.given().is_none()).then_some(said)
    }

    /// One for all tests: the one that is given, or one that is started.
    pub fn shared(make: Make) -> Arc<Server> {
        let mut shared = SHARED[make as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(match make.given() {
            Some(given) => Server::known(make, &given),
            None => Server::start(make, &[], &[]),
        });
        *shared = Arc::downgrade(&server);
        server
    }

    fn known(make: Make, given: &str) -> Server {
        let mut words = given.split(' ').map(str::to_owned);
        let mut word = || words.next().expect("URL ACCESS SECRET");
        Server { make, url: word(), access: word(), secret: word(), ca_pem: None, own: None }
    }

    /// One of a test's own, that it may stop. `arguments` go before its name, `settings` into its environment.
    pub fn start(make: Make, arguments: &[&str], settings: &[(&str, &str)]) -> Server {
        let data = tempfile::tempdir().unwrap();
        let mut command = Command::new(script());
        command.args(arguments).arg(make.name()).arg(data.path()).envs(settings.iter().copied());
        let mut script = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<_> = line.trim_end().splitn(6, ' ').collect();
        assert_eq!(words.first(), Some(&"READY"), "tests/services/s3 did not start {make:?}");
        let after = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)).map(str::to_owned);
        Server {
            make,
            url: words[1].to_owned(),
            access: after("access=").unwrap(),
            secret: after("secret=").unwrap(),
            ca_pem: after("ca=").map(|path| std::fs::read(path).unwrap()),
            own: Some(Own { script, pid: after("pid=").unwrap(), _data: data }),
        }
    }

    /// Holds the server up for as long as `work` takes: its connections stay, and nothing is answered.
    pub fn stopped_while<T>(&self, work: impl FnOnce() -> T) -> T {
        let _goes_on = GoesOn(self);
        self.signal("-STOP");
        // On a busy machine the last of its threads may still answer after the signal is sent.
        let deadline = Deadline::after(Duration::from_secs(30));
        while !self.has_stopped() {
            assert!(!deadline.passed(), "the server does not stop");
            thread::yield_now();
        }
        work()
    }

    /// Whether each of its threads stands still.
    fn has_stopped(&self) -> bool {
        let pid = &self.own.as_ref().expect("a server of the test's own").pid;
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let stats = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")));
        // A thread that has ended meanwhile has no state. The state stands behind the name, which is in brackets.
        stats.flatten().all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
    }

    fn signal(&self, signal: &str) {
        let own = self.own.as_ref().expect("a server of the test's own");
        assert!(Command::new("kill").args([signal, &own.pid]).status().unwrap().success());
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Once the script has ended, the server has, and its number may be another's.
        if matches!(self.script.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-KILL", &self.pid]).status();
            let _ = self.script.wait();
        }
    }
}

/// Also when `work` panics: a server that is held up could not be ended either.
struct GoesOn<'a>(&'a Server);

impl Drop for GoesOn<'_> {
    fn drop(&mut self) {
        self.0.signal("-CONT");
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/services/s3")
}
