//! S3 servers with Object Lock: those that all tests share, given by the environment or started by `tests/services/s3`,
//! and a test's own, which can be killed, held up, started again, kept busy and run out of room. The suites of other
//! crates take this file as theirs by its path.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
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

/// One of a test's own.
struct Own {
    script: Child,
    pid: String,
    data: Arc<TempDir>,
    arguments: Vec<String>,
    settings: Vec<(String, String)>,
    /// The size of the disk that it alone sees in place of `data`. It is gone with the server.
    disk_mib: Option<u32>,
}

/// Those that tests share. The last of them to end takes it along.
static SHARED: [Mutex<Weak<Server>>; 2] = [const { Mutex::new(Weak::new()) }; 2];

/// What fills a small disk.
const BALLAST: &str = "ballast";

impl Server {
    /// What this machine lacks to run one; None if nothing, or if one is given.
    pub fn missing(make: Make) -> Option<String> {
        Server::own_missing(make).filter(|_| make.given().is_none())
    }

    /// What this machine lacks to run one of a test's own; None if nothing.
    pub fn own_missing(make: Make) -> Option<String> {
        let said = Command::new(script()).args(["--check", make.name()]).output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap().trim().replace('\n', "; ");
        (!said.is_empty()).then_some(said)
    }

    /// What this machine lacks to give a server a small disk; None if nothing.
    pub fn small_disk_missing() -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = on_a_small_disk(1, folder.path());
        let lacks = match command.arg("true").output() {
            Ok(output) if output.status.success() => return None,
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        Some(format!("a disk of its own cannot be mounted with unshare: {lacks}"))
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

    /// One of a test's own. `arguments` go before its name, `settings` into its environment: SEALOG_S3_MAX_REQUESTS=n
    /// makes it refuse whatever comes while n requests are at work.
    pub fn start(make: Make, arguments: &[&str], settings: &[(&str, &str)]) -> Server {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Server::run(make, Arc::new(tempfile::tempdir().unwrap()), arguments, settings, None)
    }

    /// One of a test's own on a disk of this size, which `fill` fills.
    pub fn on_a_small_disk(make: Make, disk_mib: u32) -> Server {
        Server::run(make, Arc::new(tempfile::tempdir().unwrap()), Vec::new(), Vec::new(), Some(disk_mib))
    }

    fn run(
        make: Make,
        data: Arc<TempDir>,
        arguments: Vec<String>,
        settings: Vec<(String, String)>,
        disk_mib: Option<u32>,
    ) -> Server {
        let mut command = Command::new(script());
        if let Some(disk_mib) = disk_mib {
            command = on_a_small_disk(disk_mib, data.path());
            command.arg(script());
        }
        command.args(&arguments).arg(make.name()).arg(data.path());
        command.envs(settings.iter().map(|(name, value)| (name, value)));
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
            ca_pem: after("ca=").map(|path| fs::read(path).unwrap()),
            own: Some(Own { script, pid: after("pid=").unwrap(), data, arguments, settings, disk_mib }),
        }
    }

    /// As a power failure does.
    pub fn kill(&mut self) {
        self.own_mut().end();
    }

    /// Starts it again on its data, at its URL; kills it first if it runs.
    pub fn restart(&mut self) {
        let make = self.make;
        let own = self.own_mut();
        assert!(own.disk_mib.is_none(), "a small disk is gone with its server");
        own.end();
        *self = Server::run(make, own.data.clone(), own.arguments.clone(), own.settings.clone(), None);
    }

    /// Holds the server up for as long as `work` takes: its connections stay, and nothing is answered.
    pub fn stopped_while<T>(&self, work: impl FnOnce() -> T) -> T {
        let _goes_on = GoesOn(self);
        self.freeze();
        work()
    }

    /// Holds it up until `go_on`. None of its threads does anything when this returns.
    pub fn freeze(&self) {
        self.signal("-STOP");
        // On a busy machine the last of its threads may still answer after the signal is sent.
        let deadline = Deadline::after(Duration::from_secs(30));
        while !self.has_stopped() {
            assert!(!deadline.passed(), "the server does not stop");
            thread::yield_now();
        }
    }

    /// Lets one that is held up go on.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    /// Leaves no room on a small disk.
    pub fn fill(&self) {
        let mut ballast = File::options().append(true).create(true).open(self.ballast()).unwrap();
        let block = vec![0; 1 << 16];
        // By ever less, until not a byte goes in.
        for bytes in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&block[..bytes]).is_ok() {}
        }
    }

    /// Takes away what filled it.
    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    /// As the server sees it.
    fn ballast(&self) -> PathBuf {
        let own = self.own.as_ref().expect("a server of the test's own");
        assert!(own.disk_mib.is_some(), "it has no small disk");
        let data = own.data.path().strip_prefix("/").unwrap();
        Path::new("/proc").join(&own.pid).join("root").join(data).join(BALLAST)
    }

    /// Whether each of its threads stands still.
    fn has_stopped(&self) -> bool {
        let pid = &self.own.as_ref().expect("a server of the test's own").pid;
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let stats = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")));
        // A thread that has ended meanwhile has no state. The state stands behind the name, which is in brackets.
        stats.flatten().all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
    }

    fn signal(&self, signal: &str) {
        let own = self.own.as_ref().expect("a server of the test's own");
        assert!(Command::new("kill").args([signal, &own.pid]).status().unwrap().success());
    }

    fn own_mut(&mut self) -> &mut Own {
        self.own.as_mut().expect("a server of the test's own")
    }
}

impl Own {
    fn end(&mut self) {
        // Once the script has ended, the server has, and its number may be another's.
        if matches!(self.script.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-KILL", &self.pid]).status();
            let _ = self.script.wait();
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.end();
    }
}

/// Also when `work` panics: a server that is held up could not be ended either.
struct GoesOn<'a>(&'a Server);

impl Drop for GoesOn<'_> {
    fn drop(&mut self) {
        self.0.go_on();
    }
}

/// Runs what is added to it with a small disk in this place, in a namespace of its own: nobody has to be root for it.
fn on_a_small_disk(disk_mib: u32, place: &Path) -> Command {
    const MOUNTED: &str = "mount -t tmpfs -o size=$1m tmpfs \"$2\" && shift 2 && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", MOUNTED, "sh"]);
    command.arg(disk_mib.to_string()).arg(place);
    command
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/services/s3")
}
