//! The configuration of each of the clients: our defaults, over them the user's properties, over them what
//! correctness fixes.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::failure::Ear;
use super::names::Names;
use super::{MAX_MESSAGE_BYTES, Options};
use crate::{Error, Kind, Result};

/// Properties that the promises of the seam rest on, and why nobody else may set them.
const FIXED: &[(&str, &str)] = &[
    ("bootstrap.servers", "it is given by itself"),
    ("metadata.broker.list", "it is given by itself"),
    ("group.id", "it is the stage's"),
    ("group.protocol", "claims follow the classic protocol's cooperative rebalances"),
    ("partition.assignment.strategy", "claims follow cooperative rebalances"),
    ("transactional.id", "it fences the owners of a chain"),
    ("enable.idempotence", "without it a record could be doubled"),
    ("acks", "what is acknowledged must survive a broker"),
    ("request.required.acks", "what is acknowledged must survive a broker"),
    ("isolation.level", "only committed records may be seen"),
    ("enable.auto.commit", "a position is committed with its outputs"),
    ("auto.commit.enable", "a position is committed with its outputs"),
    ("enable.auto.offset.store", "a position is committed with its outputs"),
    ("auto.offset.reset", "a lane that lost its position must stop, not skip"),
    ("enable.partition.eof", "the end of a lane is looked for only where it is needed"),
    ("delivery.report.only.error", "an append is answered by its reports"),
    ("test.mock.num.brokers", "there is no broker to test against in here"),
];

/// Two names for one thing: a user's word under the one must not be overruled by our default under the other.
const ALIASES: &[(&str, &str)] = &[
    ("linger.ms", "queue.buffering.max.ms"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
];

/// Makes the configurations.
pub(super) struct Settings {
    brokers: String,
    properties: BTreeMap<String, String>,
    /// What own topics and groups are called.
    pub names: Names,
    /// How long a verb may take that has no wait of its own.
    pub patience: Duration,
}

impl Settings {
    /// Refuses a property that is fixed.
    pub fn new(options: Options) -> Result<Settings> {
        for (name, why) in FIXED {
            if options.properties.contains_key(*name) {
                let what = format!("the Kafka property {name} cannot be set: {why}; remove it");
                return Err(Error::new(Kind::Refused, what));
            }
        }
        let Options { brokers, prefix, properties, patience } = options;
        Ok(Settings { brokers, properties, names: Names::new(prefix)?, patience })
    }

    /// The addresses, for messages.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    fn build(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        // Why a connection was closed is an Info; what is shown is decided where logs are heard.
        config.set_log_level(RDKafkaLogLevel::Info);
        let most = MAX_MESSAGE_BYTES.to_string();
        let common = [
            ("client.id", "sealog"),
            ("message.max.bytes", &most),
            ("socket.keepalive.enable", "true"),
            // A request on a dead connection fails before the call that waits for it does.
            ("socket.timeout.ms", "10000"),
            ("reconnect.backoff.max.ms", "2000"),
            // New partitions are new chains: half a minute until they are seen, not five.
            ("topic.metadata.refresh.interval.ms", "30000"),
        ];
        for (name, value) in common.iter().chain(defaults) {
            if !self.is_set_as_alias(name) {
                config.set(*name, *value);
            }
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        config
    }

    fn is_set_as_alias(&self, name: &str) -> bool {
        ALIASES.iter().any(|(ours, theirs)| *ours == name && self.properties.contains_key(*theirs))
    }

    /// A client that neither produces nor consumes.
    pub fn plain(&self) -> ClientConfig {
        self.build(&[], &[])
    }

    /// Membership in a group; its partitions are never fetched by this client.
    pub fn member(&self, group: &str) -> ClientConfig {
        let defaults = [
            ("session.timeout.ms", "10000"),
            // A rebalance is heard of by a heartbeat, and moving a lane takes two.
            ("heartbeat.interval.ms", "1000"),
            // A stage that hangs for so long is taken for dead; the fence holds if it is not.
            ("max.poll.interval.ms", "60000"),
            // Positions that were committed a moment ago are answered at the second try: 5 ms, not 100.
            ("retry.backoff.ms", "5"),
        ];
        let mut config = self.reader(group);
        for (name, value) in defaults {
            if !self.properties.contains_key(name) {
                config.set(name, value);
            }
        }
        config.set("partition.assignment.strategy", "cooperative-sticky");
        config
    }

    /// Reading lanes that are assigned by hand. librdkafka asks for a group's name and does not join it.
    pub fn reader(&self, group: &str) -> ClientConfig {
        let defaults = [
            ("check.crcs", "true"),
            // A queue: each lane's where they are split, else all lanes' together.
            ("queued.max.messages.kbytes", "8192"),
            ("fetch.message.max.bytes", "2097152"),
            ("fetch.max.bytes", "16777216"),
            // A full queue is looked at again after this; the default of a second would stall a stage that is fast.
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.error.backoff.ms", "100"),
        ];
        let fixed = [
            ("group.id", group),
            ("group.protocol", "classic"),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
        ];
        self.build(&defaults, &fixed)
    }

    /// A reader that says where the lane ends, soon.
    pub fn tail_reader(&self, group: &str) -> ClientConfig {
        let mut config = self.reader(group);
        config.set("enable.partition.eof", "true");
        // The end is noticed by a fetch that brings nothing: it must not wait long for more.
        config.set("fetch.wait.max.ms", "10");
        config
    }

    /// A producer that is fenced under `id`.
    pub fn transactional(&self, id: &str) -> ClientConfig {
        let defaults = [
            // A dead owner's open transaction hides everyone's records behind it for this long at most.
            ("transaction.timeout.ms", "10000"),
            // The first try to send offsets meets a coordinator that is not ready: 10 ms a commit, not 110.
            ("retry.backoff.ms", "1"),
            // A commit waits for its last record: no lingering.
            ("linger.ms", "0"),
            // A commit has 10,000 records at most, so this is never reached by one that keeps to it.
            ("queue.buffering.max.messages", "100000"),
            ("queue.buffering.max.kbytes", "65536"),
        ];
        let fixed = [
            ("transactional.id", id),
            ("enable.idempotence", "true"),
            ("acks", "all"),
            // Reports of records that arrived would be made, queued and thrown away, one by one.
            ("delivery.report.only.error", "true"),
        ];
        self.build(&defaults, &fixed)
    }

    /// The producer of `append`.
    pub fn appender(&self) -> ClientConfig {
        let patience_ms = self.patience.as_millis().to_string();
        let defaults = [
            ("linger.ms", "1"),
            ("queue.buffering.max.messages", "500000"),
            ("queue.buffering.max.kbytes", "131072"),
            ("message.timeout.ms", &patience_ms),
        ];
        self.build(&defaults, &[("enable.idempotence", "true"), ("acks", "all")])
    }

    /// Has librdkafka look at the properties, so that a misspelt one is refused now and not by the first claim.
    pub fn check(&self) -> Result<()> {
        for config in [self.member("check"), self.transactional("check"), self.appender()] {
            config
                .create_native_config()
                .map_err(|e| Ear::default().explain("a Kafka property was not accepted; correct it", e))?;
        }
        Ok(())
    }
}
