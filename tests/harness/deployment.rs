//! A deployment on Kafka: a configuration, topics of its own on a broker that tests share, an archive in a folder or in a
//! bucket, and the stages as processes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use schemas::hex;
use store::Store;
use store::directory::{Directory, Options as StoreOptions};
use stream::kafka::{Kafka, Options, Topic};
use stream::{Batch, Lane, Log, topics};
use tempfile::TempDir;

use super::process::{self, Up, said};
#[cfg(feature = "s3")]
use super::s3::Bucket;
use super::wait_for;

pub const ORIGIN: &str = "acme.example/audit";

/// The broker that all tests share. None, said loudly, where there is none; with CI=true that is a failure.
pub fn broker() -> Option<String> {
    let broker = std::env::var("SEALOG_TEST_KAFKA").ok().filter(|broker| !broker.is_empty());
    if broker.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI tests on Kafka, but there is no broker");
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: no Kafka broker; run tests/run, or set SEALOG_TEST_KAFKA");
    }
    broker
}

/// See the module's text.
pub struct Deployment {
    pub folder: TempDir,
    pub broker: String,
    pub prefix: String,
    pub origin: String,
    pub chains: u32,
    /// Raw topics, with the prefix.
    pub raw: Vec<String>,
    pub config: PathBuf,
    pub kafka: Kafka,
    pub store: Arc<dyn Store>,
    /// What only the environment of its processes holds.
    pub env: Vec<(String, String)>,
    /// Where the archive is, for the commands that read it.
    pub place: Vec<String>,
}

impl Deployment {
    /// Of so many chains, with raw topics of so many partitions each. `more` is TOML that stands at its end. Nothing
    /// has been made but the raw topics.
    pub fn new(broker: &str, chains: u32, raw: &[(&str, u32)], more: &str) -> Deployment {
        Deployment::with_login(broker, Vec::new(), chains, raw, more)
    }

    /// The same at a broker that asks who comes: the tests come with this login, processes by the environment.
    pub fn with_login(
        broker: &str,
        login: Vec<(String, String)>,
        chains: u32,
        raw: &[(&str, u32)],
        more: &str,
    ) -> Deployment {
        Deployment::of(ORIGIN, broker, login, chains, raw, Place::Folder, more)
    }

    /// Of this origin. Chains of one name fence each other's owners, whatever the prefix.
    fn of(
        origin: &str,
        broker: &str,
        login: Vec<(String, String)>,
        chains: u32,
        raw: &[(&str, u32)],
        place: Place,
        more: &str,
    ) -> Deployment {
        let prefix = format!("t{}.", hex(&runtime::random_bytes::<4>()));
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(broker);
        options.prefix = prefix.clone();
        options.properties = login.into_iter().collect();
        let kafka = Kafka::connect(options).unwrap();
        let topics: Vec<Topic> = raw
            .iter()
            .map(|(name, partitions)| Topic {
                name: format!("{prefix}{name}"),
                partitions: *partitions,
                replicas: Some(1),
                config: BTreeMap::new(),
            })
            .collect();
        kafka.create_topics(&topics).unwrap();
        let raw: Vec<String> = topics.into_iter().map(|topic| topic.name).collect();
        let config = folder.path().join("sealog.toml");
        let Opened { store, env, place, toml: archive_toml } = place.open(&folder.path().join("archive"));
        let toml = format!(
            "origin = \"{origin}\"\nchains = {chains}\n\
             [kafka]\nbrokers = \"{broker}\"\nprefix = \"{prefix}\"\nraw_topics = {raw:?}\n\
             durability = \"single-broker\"\ningestor_id = \"one\"\n\
             {archive_toml}[data]\ndir = \"{}\"\n{more}",
            folder.path().join("data").display(),
        );
        std::fs::write(&config, toml).unwrap();
        let (broker, origin) = (broker.to_owned(), origin.to_owned());
        Deployment { folder, broker, prefix, origin, chains, raw, config, kafka, store, env, place }
    }

    /// The same, made by `sealog init`.
    pub fn made(broker: &str, chains: u32, raw: &[(&str, u32)], more: &str) -> Deployment {
        Deployment::new(broker, chains, raw, more).init(&[])
    }

    /// The same with an origin of its own, so that no other test disturbs who owns its chains.
    pub fn made_apart(broker: &str, chains: u32, raw: &[(&str, u32)], more: &str) -> Deployment {
        Deployment::of(&an_origin(), broker, Vec::new(), chains, raw, Place::Folder, more).init(&[])
    }

    /// The same, archiving to this bucket.
    #[cfg(feature = "s3")]
    pub fn made_in(
        bucket: &Bucket,
        broker: &str,
        chains: u32,
        raw: &[(&str, u32)],
        more: &str,
    ) -> Deployment {
        let place = Place::Bucket(Box::new(bucket.clone()));
        Deployment::of(&an_origin(), broker, Vec::new(), chains, raw, place, more).init(&["--yes"])
    }

    /// Another installation with this one's chains and archive, its topics made like this one's and empty.
    #[cfg(feature = "s3")]
    pub fn twin(&self, bucket: &Bucket, more: &str) -> Deployment {
        let place = Place::Bucket(Box::new(bucket.clone()));
        let twin =
            Deployment::of(&self.origin, &self.broker, Vec::new(), self.chains, &[("app", 1)], place, more);
        let own = [topics::EVENTS, topics::REJECTED, topics::SEALED];
        let made = self.kafka.describe_topics(&own).unwrap().into_iter().map(|state| {
            let found = state.found.unwrap();
            let settings = found.settings.unwrap().into_iter().filter(|(_, setting)| setting.own);
            let config = settings.filter_map(|(name, setting)| Some((name, setting.value?))).collect();
            Topic { name: state.name, partitions: found.partitions, replicas: Some(found.replicas), config }
        });
        twin.kafka.create_topics(&made.collect::<Vec<_>>()).unwrap();
        twin
    }

    fn init(self, flags: &[&str]) -> Deployment {
        let deployment = self;
        let init = deployment.sealog(&[&["init"], flags].concat());
        assert!(init.status.success(), "{}{}", said(&init), String::from_utf8_lossy(&init.stderr));
        deployment
    }

    /// Runs a command with its configuration.
    pub fn sealog(&self, args: &[&str]) -> Output {
        self.sealog_with(args, &[])
    }

    /// Runs a command with its configuration, and more environment.
    pub fn sealog_with(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealog"));
        command.args(args).arg("--config").arg(&self.config);
        command.envs(self.env.iter().cloned()).envs(env.iter().copied());
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Starts a stage, or `up`.
    pub fn start(&self, stage: &str) -> Up {
        self.start_with(stage, &[])
    }

    /// The same with more environment, as for a second process of the same stage.
    pub fn start_with(&self, stage: &str, env: &[(&str, &str)]) -> Up {
        let own = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<_> = own.chain(env.iter().copied()).collect();
        Up::run(&[stage, "--config", self.config.to_str().unwrap()], &all)
    }

    /// Runs a command that reads the archive.
    pub fn read(&self, verb: &str, args: &[&str]) -> Output {
        process::read(verb, &self.place, &self.env, args)
    }

    /// Produces values to a raw topic, as a service does.
    pub fn produce(&self, raw: &str, partition: u32, values: impl IntoIterator<Item = String>) {
        let mut batch = Batch::new();
        let lane = batch.lane(&Lane::new(raw, partition));
        values.into_iter().for_each(|value| batch.push(lane, None, &[], value.as_bytes()));
        self.kafka.append(&batch).unwrap();
    }

    /// Deletes one of Sealog's topics, and makes it again under the same name with the same settings.
    pub fn delete_and_make_anew(&self, topic: &str) {
        let name = self.kafka.topic_name(topic);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.broker);
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        for result in block_on(admin.delete_topics(&[&name], &AdminOptions::new())).unwrap() {
            result.unwrap();
        }
        let gone = || self.kafka.describe_topics(&[topic]).unwrap()[0].found.is_none();
        wait_for("the topic is gone", 30, || gone().then_some(()));
        let init = self.sealog(&["init"]);
        // What it says of the chains is another matter: here it makes the topic.
        assert!(said(&init).contains("made topic"), "{}", String::from_utf8_lossy(&init.stderr));
    }

    /// How many events of a chain are sealed, as its last Head says.
    pub fn sealed(&self, chain: u32) -> u64 {
        chainer::last_head(&self.kafka, &stream::topics::sealed(chain)).map_or(0, |head| head.size())
    }

    /// The archive.
    pub fn archive(&self) -> &dyn Store {
        &*self.store
    }

    /// The events of all chains, as JSON, but for Sealog's own.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let archive = self.archive();
        let chains = (0..self.chains).map(|chain| format!("{}/{chain}", self.origin));
        let all = chains.flat_map(|chain| super::archive::events(archive, &chain));
        all.filter(|event| event["producer"] != "sealog").collect()
    }

    /// The ids of those events, sorted.
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.events().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// How many links the archive holds under a Checkpoint, over all chains.
    pub fn archived(&self) -> u64 {
        let archive = self.archive();
        let newest = |chain| store::Notes::read(archive, &format!("{}/{chain}", self.origin)).ok()?.newest;
        (0..self.chains).filter_map(newest).map(|newest| newest.size).sum()
    }

    /// The archive is whole, as the command says that reads it from where it is.
    pub fn verified(&self, what: &str) {
        process::is_whole(&self.place, &self.env, what);
    }
}

/// A name that no other test's chains have.
fn an_origin() -> String {
    format!("acme.example/{}", hex(&runtime::random_bytes::<4>()))
}

/// Where a deployment archives to.
enum Place {
    /// In its own folder.
    Folder,
    #[cfg(feature = "s3")]
    Bucket(Box<Bucket>),
}

/// The archive, as the tests, the stages and the commands get to it.
struct Opened {
    store: Arc<dyn Store>,
    env: Vec<(String, String)>,
    place: Vec<String>,
    toml: String,
}

impl Place {
    fn open(self, folder: &Path) -> Opened {
        match self {
            Place::Folder => {
                std::fs::create_dir(folder).unwrap();
                let store = Directory::open(folder, StoreOptions { make_root: false }).unwrap();
                let path = folder.display().to_string();
                let toml = format!("[archive]\nurl = \"file:{path}\"\n");
                Opened { store: Arc::new(store), env: Vec::new(), place: vec![path], toml }
            }
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => {
                let (env, place, toml) = (bucket.env(), bucket.place(), bucket.toml());
                Opened { store: Arc::new(bucket.store()), env, place, toml }
            }
        }
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}
