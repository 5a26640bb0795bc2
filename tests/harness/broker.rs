//! A Kafka broker of a test's own: started, killed, held up, started again, and fed by Kafka's own tools. The suites of
//! other crates take this file as theirs by its path.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What `tests/services/kafka` has started. Dropped, it is killed.
pub struct Broker {
    folder: PathBuf,
    users: Option<String>,
    settings: String,
    script: Child,
    pid: String,
    address: String,
    ca: Option<PathBuf>,
}

impl Broker {
    /// What this machine lacks to run one; None if nothing.
    pub fn missing() -> Option<String> {
        let said = Command::new(script()).arg("--check").output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap().trim().replace('\n', "; ");
        (!said.is_empty()).then_some(said)
    }

    /// Open to everyone, with its data in `folder` and these settings of Kafka's besides the script's.
    pub fn start(folder: &Path, settings: &[(&str, &str)]) -> Broker {
        Broker::run(folder.to_owned(), None, joined(settings, "=", ";"))
    }

    /// With TLS, logins and rights. `users` are names and passwords; there is also one `admin` with the password
    /// `admin` who may do everything. The others may do what `acls` allows them.
    pub fn secure(folder: &Path, users: &[(&str, &str)], settings: &[(&str, &str)]) -> Broker {
        Broker::run(folder.to_owned(), Some(joined(users, ":", " ")), joined(settings, "=", ";"))
    }

    fn run(folder: PathBuf, users: Option<String>, settings: String) -> Broker {
        let mut command = Command::new(script());
        if users.is_some() {
            command.arg("--secure");
        }
        command.arg(&folder).stdin(Stdio::null()).stdout(Stdio::piped());
        command
            .env("SEALOG_KAFKA_SETTINGS", &settings)
            .env("SEALOG_KAFKA_USERS", users.as_deref().unwrap_or(""));
        let mut script = command.spawn().expect("tests/services/kafka runs");
        let mut line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut words = line.trim_end().splitn(4, ' ');
        assert_eq!(words.next(), Some("READY"), "tests/services/kafka did not start a broker");
        let address = words.next().unwrap().to_owned();
        let pid = words.next().unwrap().strip_prefix("pid=").unwrap().to_owned();
        let ca = words.next().map(|word| PathBuf::from(word.strip_prefix("ca=").unwrap()));
        Broker { folder, users, settings, script, pid, address, ca }
    }

    /// `host:port`; the same after a restart.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The certificate that a secure broker is known by.
    pub fn ca(&self) -> &Path {
        self.ca.as_deref().expect("a secure broker")
    }

    /// The properties of librdkafka with which this user comes to a secure broker.
    pub fn login(&self, user: &str, password: &str) -> Vec<(String, String)> {
        let properties = [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", user),
            ("sasl.password", password),
            ("ssl.ca.location", self.ca().to_str().unwrap()),
        ];
        properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// Changes the rights at a secure broker: lines as `allow ingestor topic:raw.* read,describe`; what they can say
    /// stands in `tests/services/kafka`. Takes about two seconds, however many they are.
    pub fn acls(&self, rules: &str) {
        let mut command = Command::new(script());
        command.arg("--acls").arg(&self.folder);
        feed(command, rules);
    }

    /// Sends lines to a topic with Kafka's own console producer; its properties as `parse.headers=true` say what is in
    /// a line. Each line is acknowledged when this returns. To a secure broker it comes as `admin`.
    pub fn console_producer(&self, topic: &str, lines: &[&str], properties: &[&str]) {
        let mut command = self.tool("org.apache.kafka.tools.ConsoleProducer");
        command.args(["--bootstrap-server", &self.address, "--topic", topic, "--max-block-ms", "10000"]);
        for property in properties {
            command.args(["--property", property]);
        }
        if self.users.is_some() {
            command.arg("--producer.config").arg(self.folder.join("admin.properties"));
        }
        let said = feed(command, &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        // It ends well even if nothing arrived.
        assert!(!said.contains("ERROR"), "the console producer says: {said}");
    }

    /// As a power failure does.
    pub fn kill(&mut self) {
        self.signal("-KILL");
        self.script.wait().unwrap();
    }

    /// Starts it again on its data, at its address; kills it first if it runs.
    pub fn restart(&mut self) {
        if self.is_running() {
            self.kill();
        }
        *self = Broker::run(self.folder.clone(), self.users.clone(), self.settings.clone());
    }

    /// Holds the broker up for as long as `work` takes: its connections stay, and nothing is answered.
    pub fn stopped_while<T>(&self, work: impl FnOnce() -> T) -> T {
        let _goes_on = GoesOn(self);
        self.signal("-STOP");
        work()
    }

    /// One of Kafka's own tools, by its class.
    pub fn tool(&self, class: &str) -> Command {
        let classpath = Command::new(script()).arg("--classpath").output().unwrap().stdout;
        let mut command = Command::new("java");
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
        command.arg(String::from_utf8(classpath).unwrap().trim_end()).arg(class);
        command
    }

    /// False once the script has ended: then the broker has, and its number may be another's.
    fn is_running(&mut self) -> bool {
        matches!(self.script.try_wait(), Ok(None))
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.pid]).status().unwrap().success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = Command::new("kill").args(["-KILL", &self.pid]).status();
            let _ = self.script.wait();
        }
    }
}

/// Also when `work` panics: a broker that is held up could not be ended either.
struct GoesOn<'a>(&'a Broker);

impl Drop for GoesOn<'_> {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-CONT", &self.0.pid]).status();
    }
}

/// Beside the folder of whatever crate this is part of.
fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/services/kafka")
}

fn joined(pairs: &[(&str, &str)], within: &str, between: &str) -> String {
    let mut text = String::new();
    for (n, (name, value)) in pairs.iter().enumerate() {
        write!(text, "{}{name}{within}{value}", if n == 0 { "" } else { between }).unwrap();
    }
    text
}

/// Runs it with this text as its input, and answers what it said.
fn feed(mut command: Command, text: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|threads| {
        // On a thread of its own: a child that says much before it has read all would wait for us, and we for it. A
        // child that has ended early takes no more, and says below why.
        threads.spawn(move || drop(input.write_all(text.as_bytes())));
        child.wait_with_output().unwrap()
    });
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}");
    said.into_owned()
}
