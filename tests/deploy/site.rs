//! A deployment without containers: what docker-compose.yml runs, as processes on this machine. Only hosts, ports and paths
//! are others than in the file.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use runtime::SystemClock;
use store::s3::{Credentials, Options, S3};
use tempfile::TempDir;

use super::compose::{Compose, Service};
use super::root;
use crate::harness::broker::Broker;
use crate::harness::process::{Up, said};
use crate::harness::s3::identity;
use crate::harness::s3::server::{Make, Server};
use crate::harness::wait_for;

/// As deploy/sealog.toml has it.
const BUCKET: &str = "audit-archive";
const PREFIX: &str = "demo";

/// See the module's text.
pub struct Site {
    folder: TempDir,
    compose: Compose,
    broker: Broker,
    s3_url: String,
    s3: Option<Minio>,
}

/// The S3 server. Dropped, it is killed.
struct Minio(Child);

impl Site {
    /// What this machine lacks for the S3 server; None if nothing.
    pub fn missing() -> Option<String> {
        Server::own_missing(Make::Minio)
    }

    /// Runs deploy/setup, and starts Kafka and the S3 server as their services say.
    pub fn start(compose: Compose) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        let setup = Command::new(root().join("deploy/setup")).arg(&site).output().unwrap();
        assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
        let broker =
            Broker::start(&folder.path().join("kafka"), &pairs(&kafka_settings(&compose.service("kafka"))));
        let port = free_port();
        let s3_url = format!("https://127.0.0.1:{port}");
        let mut site = Site { folder, compose, broker, s3_url, s3: None };
        site.s3 = Some(site.start_s3(port));
        site
    }

    fn site(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// A file of what deploy/setup made.
    fn file(&self, name: &str) -> String {
        self.site().join(name).to_str().unwrap().to_owned()
    }

    /// A word of a service's, with this machine's hosts and paths.
    fn here(&self, service: &Service<'_>, word: &str) -> String {
        let word = self.hosts_here(word);
        let paths = self.compose.paths(service);
        let Some((inside, from)) = paths.iter().find(|(inside, _)| word.starts_with(inside)) else {
            return word;
        };
        format!("{}{}", self.path(service, from).display(), &word[inside.len()..])
    }

    fn hosts_here(&self, text: &str) -> String {
        text.replace("kafka:9092", self.broker.address()).replace("https://s3:9000", &self.s3_url)
    }

    /// Where a service's file, folder or volume is here.
    fn path(&self, service: &Service<'_>, from: &str) -> PathBuf {
        if let Some(made) = from.strip_prefix("./deploy/site/") {
            return self.site().join(made);
        }
        if from == "./deploy/sealog.toml" {
            let path = self.folder.path().join("sealog.toml");
            let text = self.hosts_here(&fs::read_to_string(root().join(from)).unwrap());
            fs::write(&path, text.replace("/run/secrets/ca.pem", &self.file("ca.pem"))).unwrap();
            return path;
        }
        assert!(!from.starts_with('.'), "{from} is not known here, in {:?}", service.list("volumes"));
        let volume = self.folder.path().join("volumes").join(from);
        fs::create_dir_all(&volume).unwrap();
        volume
    }

    fn command(&self, service: &Service<'_>) -> Vec<String> {
        service.list("command").iter().map(|word| self.here(service, word)).collect()
    }

    fn environment(&self, service: &Service<'_>) -> Vec<(String, String)> {
        let given = service.environment().into_iter();
        let mut environment: Vec<_> = given.map(|(name, value)| (name, self.here(service, &value))).collect();
        // As the image has it.
        let is_sealog = service.value("image").as_str().is_some_and(|image| image.starts_with("sealog:"));
        if is_sealog {
            let data = self.here(service, "/var/lib/sealog");
            environment.push(("SEALOG_DATA_DIR".to_owned(), data));
        }
        environment
    }

    fn start_s3(&self, port: u16) -> Minio {
        let service = self.compose.service("s3");
        let mut words = self.command(&service);
        let address = words.iter().position(|word| word == ":9000").expect("the port that is published");
        words[address] = format!("127.0.0.1:{port}");
        let mut command = Command::new(minio());
        command.args(&words).envs(self.environment(&service)).env("HOME", self.folder.path());
        let log = fs::File::create(self.folder.path().join("s3.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut s3 = Minio(command.spawn().unwrap());
        wait_for("the S3 server answers", 60, || {
            let log = || fs::read_to_string(self.folder.path().join("s3.log")).unwrap();
            assert!(s3.0.try_wait().unwrap().is_none(), "the S3 server ended: {}", log());
            let asked = self.agent().get(format!("{}/minio/health/ready", self.s3_url)).call();
            asked.is_ok_and(|answer| answer.status() == 200).then_some(())
        });
        s3
    }

    /// Runs a service that ends. Answers what it said.
    pub fn run_once(&self, name: &str) -> String {
        let service = self.compose.service(name);
        let mut command = match name {
            "topics" => {
                assert_eq!(service.list("entrypoint"), ["/opt/kafka/bin/kafka-topics.sh"]);
                self.broker.tool("org.apache.kafka.tools.TopicCommand")
            }
            "identities" => match minio_client() {
                Some(path) => {
                    let mut command = Command::new("sh");
                    command.arg(root().join("deploy/minio/identities")).env("TMPDIR", self.folder.path());
                    command.env("PATH", path);
                    command
                }
                None => return self.lend_identities(),
            },
            _ => Command::new(env!("CARGO_BIN_EXE_sealog")),
        };
        command.args(self.command(&service)).envs(self.environment(&service)).stdin(Stdio::null());
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {}{errors}", said(&output));
        said(&output)
    }

    /// In place of users that only MinIO's own client makes: logins for an hour, restricted to the same policies.
    fn lend_identities(&self) -> String {
        let root_login = |name: &str| fs::read_to_string(self.site().join("s3").join(name)).unwrap();
        let credentials = Credentials::Given {
            access_key: root_login("root-user"),
            secret: root_login("root-password"),
            session: None,
        };
        let options = Options { credentials, ..self.options() };
        for name in identity::IDENTITIES {
            let policy = fs::read_to_string(self.site().join(format!("s3/iam/{name}.json"))).unwrap();
            let Credentials::Given { access_key, secret, session } = identity::restricted(&options, &policy)
            else {
                panic!("a login");
            };
            let text = format!(
                "[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret}\n\
                 aws_session_token = {}\n",
                session.unwrap()
            );
            fs::write(self.site().join("s3").join(name), text).unwrap();
        }
        String::new()
    }

    /// Starts a service that runs on, on a port of its own.
    pub fn start_stage(&self, name: &str) -> Up {
        let service = self.compose.service(name);
        let mut words = self.command(&service);
        // The only word that is left out: Up says where it listens.
        let listen = words.iter().position(|word| word == "--listen").unwrap();
        words.drain(listen..listen + 2);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Up::run(&words, &pairs(&self.environment(&service)))
    }

    /// Sends events of these numbers as a service does.
    pub fn send(&self, numbers: Range<usize>, to: &[&str]) -> Output {
        let file = self.folder.path().join("events.jsonl");
        let events: Vec<String> =
            numbers.map(|n| format!(r#"{{"id":"n-{n:03}","action":"demo"}}"#)).collect();
        fs::write(&file, events.join("\n")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealog"));
        command.arg("send").arg(file).args(to).stdin(Stdio::null());
        if to[0] == "--url" {
            command.args(["--token-file", &self.file("tokens"), "--ca-file", &self.file("ca.pem")]);
        }
        command.output().unwrap()
    }

    /// The same, to the raw topic of the configuration.
    pub fn send_to_topic(&self, numbers: Range<usize>) -> Output {
        let config = self.here(&self.compose.service("ingestor"), "/etc/sealog/sealog.toml");
        self.send(numbers, &["--topic", "app.audit", "--config", &config])
    }

    fn options(&self) -> Options {
        Options {
            prefix: PREFIX.to_owned(),
            endpoint: Some(self.s3_url.clone()),
            path_style: true,
            ca_pem: Some(fs::read(self.site().join("ca.pem")).unwrap()),
            ..Options::new(BUCKET)
        }
    }

    /// The archive, for the one who has this login.
    pub fn archive_as(&self, identity: &str) -> S3 {
        let text = fs::read_to_string(self.site().join("s3").join(identity)).unwrap();
        let value = |name: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once(" = "));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        let credentials = Credentials::Given {
            access_key: value("aws_access_key_id").unwrap(),
            secret: value("aws_secret_access_key").unwrap(),
            session: value("aws_session_token"),
        };
        S3::open(Options { credentials, ..self.options() }, Arc::new(SystemClock)).unwrap()
    }

    /// What the auditor runs.
    pub fn verify(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealog"));
        command.arg("verify").arg(format!("s3://{BUCKET}/{PREFIX}"));
        command.args(["--endpoint", &self.s3_url, "--ca", &self.file("ca.pem")]);
        command.env("AWS_SHARED_CREDENTIALS_FILE", self.file("s3/auditor"));
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// What Prometheus is shown, by a server that the authority vouches for.
    pub fn metrics(&self, url: &str) -> String {
        let mut answer = self.agent().get(format!("{url}/metrics")).call().unwrap();
        let mut text = String::new();
        answer.body_mut().as_reader().read_to_string(&mut text).unwrap();
        text
    }

    fn agent(&self) -> ureq::Agent {
        let pem = fs::read(self.site().join("ca.pem")).unwrap();
        let authority = ureq::tls::Certificate::from_pem(&pem).unwrap();
        let trusted = ureq::tls::RootCerts::new_with_certs(&[authority]);
        let tls = ureq::tls::TlsConfig::builder().root_certs(trusted).build();
        ureq::Agent::config_builder().tls_config(tls).build().new_agent()
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pairs(owned: &[(String, String)]) -> Vec<(&str, &str)> {
    owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// What the image makes of its environment, but for where the broker is, which the test says.
fn kafka_settings(service: &Service<'_>) -> Vec<(String, String)> {
    const PLACE: [&str; 5] = ["node.", "process.", "listener", "controller.", "log.dirs"];
    let settings = service.environment().into_iter().map(|(name, value)| {
        let name = name.strip_prefix("KAFKA_").expect("a setting").replace('_', ".").to_lowercase();
        (name, value)
    });
    let is_place =
        |name: &str| PLACE.iter().any(|place| name.starts_with(place)) || name.contains("listener");
    settings.filter(|(name, _)| !is_place(name)).collect()
}

/// The server's binary, of the version that the image has.
fn minio() -> PathBuf {
    let script = root().join("tests/services/s3");
    assert!(Command::new(script).args(["--install", "minio"]).status().unwrap().success());
    let image = fs::read_to_string(root().join("deploy/minio/Dockerfile")).unwrap();
    let version = image.split("github.com/minio/minio@").nth(1).unwrap().split_whitespace().next().unwrap();
    services().join("s3").join(format!("minio-{version}")).join("minio")
}

/// A PATH with MinIO's client, where it is installed: tests/services/minio-client does it.
fn minio_client() -> Option<String> {
    let script = root().join("tests/services/minio-client");
    let asked = if std::env::var_os("SEALOG_TEST_LONG").is_some() { "--path" } else { "--path-if-installed" };
    let output = Command::new(script).arg(asked).output().unwrap();
    let folder = Path::new(said(&output).trim_end()).parent().map(Path::to_owned)?;
    output.status.success().then(|| format!("{}:{}", folder.display(), std::env::var("PATH").unwrap()))
}

fn services() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("services")
}

/// One that nobody listens on, below the range that the kernel gives to outgoing connections.
fn free_port() -> u16 {
    let drawn = || 20_000 + u16::from_le_bytes(runtime::random_bytes::<2>()) % 12_000;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(drawn).find(is_free).unwrap()
}
