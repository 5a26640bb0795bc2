//! A secured broker, its users, and the processes that come to it. Whatever any of them says is searched for
//! passwords.

use std::path::Path;
use std::process::Output;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use stream::kafka::{Kafka, Options};
use stream::{Batch, Lane, Log};

use super::table::Names;
use crate::harness::broker::Broker;
use crate::harness::deployment::Deployment;
use crate::harness::process::Up;

/// Identities, and the broker that knows them.
pub struct Site {
    pub broker: Broker,
    /// Part of every password, and of nothing else.
    token: String,
}

impl Site {
    /// With these users besides the administrator.
    pub fn start(folder: &Path, users: &[String]) -> Site {
        let token = schemas::hex(&runtime::random_bytes::<8>());
        let users: Vec<(String, String)> =
            users.iter().map(|user| (user.clone(), password(user, &token))).collect();
        let users: Vec<(&str, &str)> = users.iter().map(|(user, word)| (&**user, &**word)).collect();
        Site { broker: Broker::secure(folder, &users, &[]), token }
    }

    /// A deployment whose raw topics the administrator has made.
    pub fn deployment(&self, chains: u32, more: &str) -> Deployment {
        let login = self.broker.login("admin", "admin");
        Deployment::with_login(self.broker.address(), login, chains, &[("app", 1)], more)
    }

    /// What says to a process as whom it comes.
    pub fn login(&self, user: &str) -> String {
        let login = self.broker.login(user, &password(user, &self.token));
        login.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
    }

    /// Runs a command as `user`. Answers how it ended, and its last words if it failed.
    pub fn command(
        &self,
        place: &Deployment,
        user: &str,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> (Output, String) {
        let login = self.login(user);
        let env = [&[("SEALOG_KAFKA_PROPERTIES", &*login), ("SEALOG_LOG", "debug")], env].concat();
        let output = place.sealog_with(args, &env);
        let [out, err] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
        let last = self.last_words(&format!("{out}{err}"));
        (output, last)
    }

    /// Starts a stage as `user`.
    pub fn start_as(&self, place: &Deployment, user: &str, stage: &str, env: &[(&str, &str)]) -> Up {
        let up = self.try_start(place, &self.login(user), stage, env);
        up.unwrap_or_else(|said| panic!("{stage} as {user} ended: {said}"))
    }

    /// Starts a stage as `user`, who lacks something, and waits for its end. Answers its last words.
    pub fn refused(&self, place: &Deployment, user: &str, stage: &str) -> String {
        // Seen where one does not end.
        eprintln!("{stage} as {user}");
        self.refused_with(place, &self.login(user), stage)
    }

    /// The same with these properties.
    pub fn refused_with(&self, place: &Deployment, login: &str, stage: &str) -> String {
        let said = match self.try_start(place, login, stage, &[]) {
            Err(said) => said,
            Ok(up) => {
                let (status, said) = up.ends(60);
                assert_eq!(status.code(), Some(1), "{stage}: {said}");
                said
            }
        };
        self.last_words(&said)
    }

    fn try_start(
        &self,
        place: &Deployment,
        login: &str,
        stage: &str,
        env: &[(&str, &str)],
    ) -> Result<Up, String> {
        let env = [&[("SEALOG_KAFKA_PROPERTIES", login), ("SEALOG_LOG", "debug")], env].concat();
        Up::try_run(&[stage, "--config", place.config.to_str().unwrap()], &env)
    }

    /// Ends a stage that is well, having looked at all that others may see of it.
    pub fn stop(&self, up: Up) {
        self.keeps_secrets(&up.metrics());
        let command_line = std::fs::read(format!("/proc/{}/cmdline", up.id())).unwrap();
        self.keeps_secrets(&String::from_utf8_lossy(&command_line));
        let (status, said) = up.stop();
        self.keeps_secrets(&said);
        assert_eq!(status.code(), Some(0), "{said}");
    }

    /// No part of a password is in it.
    pub fn keeps_secrets(&self, said: &str) {
        assert!(!said.contains(&self.token), "it says a password: {said}");
    }

    /// The error that a process ended with; it must be the last that it says.
    fn last_words(&self, said: &str) -> String {
        self.keeps_secrets(said);
        // What came before them ends with a line.
        let lines = format!("\n{said}");
        lines.rfind("\nsealog: ").map_or(String::new(), |at| lines[at + 1..].to_owned())
    }

    /// Produces as `user`, as a service does.
    pub fn produce(&self, user: &str, raw: &str, values: &[String]) -> stream::Result<()> {
        let properties = self.broker.login(user, &password(user, &self.token)).into_iter().collect();
        let kafka = Kafka::connect(Options { properties, ..Options::new(self.broker.address()) })?;
        let mut batch = Batch::new();
        let lane = batch.lane(&Lane::new(raw, 0));
        values.iter().for_each(|value| batch.push(lane, None, &[], value.as_bytes()));
        kafka.append(&batch)
    }

    /// A reader that the trimmer waits for has read so far.
    pub fn siem_has_read(&self, topic: &str, chains: u32, offset: i64) {
        let mut config = ClientConfig::new();
        config.extend(self.broker.login("admin", "admin"));
        config.set("bootstrap.servers", self.broker.address()).set("group.id", "siem");
        let reader: BaseConsumer = config.create().unwrap();
        let mut read = TopicPartitionList::new();
        for chain in 0..chains {
            read.add_partition_offset(topic, chain as i32, Offset::Offset(offset)).unwrap();
        }
        reader.commit(&read, CommitMode::Sync).unwrap();
    }
}

/// How a deployment's things are called.
pub fn names(place: &Deployment, origin: &str) -> Names {
    Names { prefix: place.prefix.clone(), origin: origin.to_owned(), raw: place.raw[0].clone() }
}

fn password(user: &str, token: &str) -> String {
    format!("of-{user}-{token}")
}
