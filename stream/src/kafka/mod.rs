//! The seam on Apache Kafka, through librdkafka.
//!
//! A lane is a partition, a role is a consumer group, a commit is a transaction. What fences an owner are two things:
//! its transactional id, for a new owner initialises it before it reads anything; and the group's generation at the
//! time its batch was read, which goes into the transaction with the position and still holds when the broker has
//! forgotten the id.
//!
//! A commit is a whole transaction: begun, filled and ended within one call, so that a revoke has nothing to abort. It
//! waits for the call that runs and marks the claim lost. After any error in it the producer is dropped with whatever
//! it left open, and the next claim's initialisation ends that.
//!
//! Rebalances are *cooperative*: a chainer that joins takes over some chains, and the others are not stopped, not
//! fenced, not read anew. A commit that meets a new generation fails even where its lane has stayed (the batch was
//! read before it): that claim is won again.
//!
//! Group and reading are two clients. The one that is in the group fetches nothing; the other is assigned by hand
//! from the offset that `start_at` names, so that a read that fails leaves the group alone. A claim on one lane has a
//! queue of its own: claims can be read on threads of their own, and none delays another. A claim over all lanes has one
//! queue for all of them, so that its memory does not grow with their number.
//!
//! A position stands with a *mark* of the record before it. And which topics of others a group has read is remembered
//! in one place, for Kafka forgets positions with their topic: metadata of a position of the group in `audit.events/0`,
//! which it does not read. (Tools that list the group show it, with a lag that means nothing.)
//!
//! Visible is what a broker has marked as committed, milliseconds after the commit was acknowledged. `Log::last` may
//! miss a commit that other processes made in that time; after a claim has been won there is none. And records of one
//! `append` on one lane become visible together only as far as they fit into one request (about 1 MB).
//!
//! *Threads*: a librdkafka client has one of its own, one a broker, and one or two for coordinators and the first
//! contact. A member has two clients, each claim with outputs one more; `append` and `last` have one each from their
//! first use on, `read` one for each lane that was read within the last half minute, 64 at most. *Memory*: a lane that a
//! claim reads queues 8 MiB and at most one answer of 2 MiB more, or one larger record, one that `read` reads 1 MiB and
//! the same; a claim over all lanes 8 MiB for them together, and one answer of 16 MiB more from each broker; a commit in
//! work has its records twice; appends under way hold 64 MiB together.

mod admin;
mod append;
mod bounds;
mod claim;
mod describe;
mod failure;
mod feed;
mod group;
mod hold;
mod intake;
mod known;
mod mark;
mod member;
mod names;
mod positions;
mod pulse;
mod read;
mod records;
mod remedy;
mod settings;
mod transaction;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use runtime::Deadline;

pub use admin::Topic;
use append::Appender;
pub use describe::{Broker, Cluster, FoundTopic, TopicSetting, TopicState};
use failure::Ear;
use positions::Positions;
use read::Readers;
pub use records::UNREADABLE_HEADER;
use settings::Settings;

use crate::{Batch, Groups, Lane, Limit, Log, Member, Result, Role, topics};

/// What `max.message.bytes` of a topic must be to take a record of `topics::MAX_RECORD_BYTES`: Kafka counts its own
/// framing too.
pub const MAX_MESSAGE_BYTES: usize = topics::MAX_RECORD_BYTES + (64 << 10);

/// So long each broker has to answer before one that refuses decides.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// A client that was refused has said why among its first events.
const EVENTS_TO_HEAR: usize = 20;

/// How to reach Kafka.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port`, several with commas between them.
    pub brokers: String,
    /// Stands before the names of Sealog's own topics (`topics`) and groups (`sealog.…`), so that several installations
    /// share a cluster. Empty for none.
    pub prefix: String,
    /// Any property of librdkafka, for all clients alike: TLS, SASL, sizes. They win over ours, but for the few that
    /// the promises of the seam rest on: those are refused.
    pub properties: BTreeMap<String, String>,
    /// How long a verb may take that has no wait of its own.
    pub patience: Duration,
}

impl Options {
    /// These brokers, no prefix, no further properties, 15 s of patience.
    pub fn new(brokers: impl Into<String>) -> Options {
        Options {
            brokers: brokers.into(),
            prefix: String::new(),
            properties: BTreeMap::new(),
            patience: Duration::from_secs(15),
        }
    }
}

/// A stream that lives in Kafka.
pub struct Kafka {
    settings: Arc<Settings>,
    ear: Ear,
    /// Made by the first append, and anew after it has failed for good.
    appender: Mutex<Option<Arc<Appender>>>,
    readers: Readers,
    positions: Positions,
}

impl Kafka {
    /// Answers when a broker has. `Refused`: a property that is fixed or wrong, or a login that failed.
    pub fn connect(options: Options) -> Result<Kafka> {
        let settings = Arc::new(Settings::new(options)?);
        settings.check()?;
        let (ear, brokers) = (Ear::default(), settings.brokers());
        let client: BaseConsumer<Ear> = settings
            .plain()
            .create_with_context(ear.clone())
            .map_err(|e| ear.explain("the Kafka client could not be made; correct its properties", e))?;
        let deadline = Deadline::after(settings.patience);
        while client.client().fetch_cluster_id(deadline.left().min(FIRST_ANSWER)).is_none() {
            hear_events(&client);
            // A wrong password stays wrong, whatever the patience.
            if deadline.passed() || ear.heard_refusal() {
                return Err(ear.timeout(format!("no broker answered at {brokers}")));
            }
        }
        let readers = Readers::new(Arc::clone(&settings), ear.of_no_group());
        let positions = Positions::new(Arc::clone(&settings), ear.clone());
        Ok(Kafka { settings, ear, appender: Mutex::new(None), readers, positions })
    }

    /// What a topic is called in Kafka: with the prefix, if it is one of Sealog's own.
    pub fn topic_name(&self, topic: &str) -> String {
        self.settings.names.topic(topic).into_owned()
    }

    fn appender(&self) -> Result<Arc<Appender>> {
        let mut slot = self.appender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(appender) = &*slot
            && !appender.is_broken()
        {
            return Ok(Arc::clone(appender));
        }
        let appender = Arc::new(Appender::new(&self.settings, &self.ear)?);
        Ok(Arc::clone(slot.insert(appender)))
    }
}

impl Log for Kafka {
    fn append(&self, records: &Batch) -> Result<()> {
        records::check_sizes(records)?;
        self.appender()?.append(records)
    }

    fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()> {
        self.readers.read(lane, from, into, limit, wait)
    }

    fn last(&self, lane: &Lane) -> Result<Batch> {
        self.readers.last(lane)
    }

    fn settle(&self, lane: &Lane, wait: Duration) -> Result<()> {
        self.readers.settle(&self.settings.names.lane(lane), wait)
    }

    fn trim(&self, lane: &Lane, before: u64) -> Result<()> {
        self.delete_records(&self.settings.names.lane(lane), before).map_err(|error| error.at(lane))
    }
}

impl Groups for Kafka {
    fn join(&self, role: &Role) -> Result<Box<dyn Member>> {
        Ok(Box::new(member::KafkaMember::join(Arc::clone(&self.settings), self.ear.clone(), role)?))
    }

    fn positions(&self, group: &str, lanes: &[Lane]) -> Result<Vec<Option<u64>>> {
        self.positions.of(group, lanes)
    }
}

/// What a client complained of comes by events; a call that polls nothing has left them lying. Only for a client that
/// reads no lane.
fn hear_events(client: &BaseConsumer<Ear>) {
    for _ in 0..EVENTS_TO_HEAR {
        client.poll(Duration::ZERO);
    }
}

/// A lane in librdkafka's terms.
fn partition(lane: &Lane, offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    // Only an offset that cannot be written down is refused, and none of ours is.
    let _ = list.add_partition_offset(&lane.topic, lane.partition as i32, offset);
    list
}
