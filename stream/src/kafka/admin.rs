//! Topics made and changed, and letting go of records. What there is says `describe.rs`.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use runtime::{Deadline, Stop};

use super::bounds::bounds;
use super::describe::{FoundTopic, TopicSetting};
use super::failure::Ear;
use super::{Kafka, partition};
use crate::bell::Bell;
use crate::{Error, Kind, Lane, Result};

/// Between two looks at what the brokers know already.
const PAUSE: Duration = Duration::from_millis(20);

/// What a broker has taken shows within milliseconds; what does not show after this it has refused.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);

/// A topic to be made.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions; for `audit.*` one a chain.
    pub partitions: u32,
    /// On how many brokers each record is kept; None leaves it to the brokers.
    pub replicas: Option<u16>,
    /// Kafka's settings of topics, by name.
    pub config: BTreeMap<String, String>,
}

/// Where the waiting thread is woken.
struct Wakes(Bell);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.ring();
    }
}

impl Kafka {
    /// Makes those topics that are not there yet, and answers with their names once they can be used. Topics that are
    /// there are left as they are.
    pub fn create_topics(&self, topics: &[Topic]) -> Result<Vec<String>> {
        let names: Vec<String> = topics.iter().map(|topic| self.topic_name(&topic.name)).collect();
        let new = topics.iter().zip(&names).map(|(topic, name)| {
            let replication = TopicReplication::Fixed(topic.replicas.map_or(-1, i32::from));
            let mut new = NewTopic::new(name, topic.partitions as i32, replication);
            new.config = topic.config.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            new
        });
        let new: Vec<NewTopic> = new.collect();
        let admin = self.admin()?;
        let options = self.admin_options();
        let results = self.wait_for("topics were not made", admin.create_topics(&new, &options))?;
        let mut made = Vec::new();
        for result in results {
            match result {
                Ok(name) => made.push(name),
                Err((_, Code::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    let what = format!("the topic {name} was not made");
                    return Err(self.ear.explain(what, KafkaError::AdminOp(code)));
                }
            }
        }
        let deadline = Deadline::after(self.settings.patience);
        for (topic, name) in topics.iter().zip(&names) {
            // One that was there already has the partitions that it has.
            let partitions = if made.contains(name) { topic.partitions } else { 1 };
            self.wait_for_leaders(&admin, name, partitions, &deadline)?;
        }
        let made = topics.iter().zip(&names).filter(|(_, name)| made.contains(name));
        Ok(made.map(|(topic, _)| topic.name.clone()).collect())
    }

    /// Sets these of the topic's settings and leaves the others as they are. One call after another: of two at the same
    /// time each may undo what the other has set, for Kafka takes all of a topic's own settings at once.
    pub fn set_topic(&self, name: &str, settings: &BTreeMap<String, String>) -> Result<()> {
        let (admin, deadline) = (self.admin()?, Deadline::after(self.settings.patience));
        let name = self.topic_name(name);
        let what = format!("the settings of the topic {name} were not changed");
        let before = self.settings_of(&admin, &name, &what, &deadline)?;
        let is_set = |name: &str, value: &str| {
            before.get(name).is_some_and(|setting| setting.own && setting.value.as_deref() == Some(value))
        };
        let changed: Vec<_> = settings.iter().filter(|(name, value)| !is_set(name, value)).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(&name));
        for (other, setting) in &before {
            match &setting.value {
                _ if !setting.own || settings.contains_key(other) => {}
                Some(value) => change = change.set(other, value),
                None => {
                    let remedy = "change them with Kafka's own tools";
                    let what = format!("{what}: that would take away {other}, a secret one; {remedy}");
                    return Err(Error::new(Kind::Refused, what));
                }
            }
        }
        for (name, value) in settings {
            change = change.set(name, value);
        }
        let options = self.admin_options_within(deadline.left());
        self.wait_for(&what, admin.alter_configs(&[change], &options))?;
        // The answer has no errors in it as rdkafka gives it on, so the effect is looked for; and the next call must not
        // take what was before for what is.
        let taken = Deadline::after(TAKEN_WITHIN);
        loop {
            let now = self.settings_of(&admin, &name, &what, &Deadline::after(self.settings.patience))?;
            if changed.iter().all(|(name, _)| now.get(*name) != before.get(*name)) {
                return Ok(());
            }
            if taken.passed() {
                let names: Vec<_> = changed.iter().map(|(name, _)| name.as_str()).collect();
                let remedy = "correct their values, and allow this user by an ACL to AlterConfigs of it";
                let what = format!("{what}: Kafka did not take {}; {remedy}", names.join(", "));
                return Err(Error::new(Kind::Refused, what));
            }
            Stop::new().wait(PAUSE);
        }
    }

    /// Grows a topic to so many partitions, and answers once they can be used. `Refused` if it has more: a topic never
    /// shrinks.
    pub fn add_partitions(&self, name: &str, partitions: u32) -> Result<()> {
        let (admin, deadline) = (self.admin()?, Deadline::after(self.settings.patience));
        let name = self.topic_name(name);
        let what = format!("the topic {name} did not get {partitions} partitions");
        let Some(FoundTopic { partitions: there, .. }) = self.look_at(&admin, &name, &deadline)? else {
            return Err(Error::new(Kind::Refused, format!("{what}: there is no such topic; make it first")));
        };
        if there > partitions {
            let what = format!("{what}: it has {there}, and a topic never shrinks; ask for {there} or more");
            return Err(Error::new(Kind::Refused, what));
        }
        if there < partitions {
            let more = [NewPartitions::new(&name, partitions as usize)];
            let options = self.admin_options_within(deadline.left());
            let results = self.wait_for(&what, admin.create_partitions(&more, &options))?;
            if let Some(Err((_, code))) = results.into_iter().next() {
                return Err(self.ear.explain(what, KafkaError::AdminOp(code)));
            }
        }
        self.wait_for_leaders(&admin, &name, partitions, &deadline)
    }

    /// All settings of a topic that must be there.
    fn settings_of(
        &self,
        admin: &AdminClient<Ear>,
        name: &str,
        what: &str,
        deadline: &Deadline,
    ) -> Result<BTreeMap<String, TopicSetting>> {
        let found = self.topic_states(admin, &[name], deadline)?.pop().and_then(|state| state.found);
        let Some(found) = found else {
            return Err(Error::new(Kind::Refused, format!("{what}: there is no such topic; make it first")));
        };
        found.settings.ok_or_else(|| {
            let what =
                format!("{what}: they may not be read; allow this user by an ACL to DescribeConfigs of it");
            Error::new(Kind::Refused, what)
        })
    }

    /// A topic that was made or grew a moment ago is not known to every broker yet.
    fn wait_for_leaders(
        &self,
        admin: &AdminClient<Ear>,
        name: &str,
        partitions: u32,
        deadline: &Deadline,
    ) -> Result<()> {
        loop {
            if let Some(found) = self.look_at(admin, name, deadline)?
                && found.partitions - found.offline.len() as u32 >= partitions
            {
                return Ok(());
            }
            if deadline.passed() {
                let what = format!("the topic {name} was made, and not all its partitions are to be seen");
                return Err(self.ear.timeout(what));
            }
            Stop::new().wait(PAUSE);
        }
    }

    /// `Log::trim`, of a lane as Kafka knows it.
    pub(super) fn delete_records(&self, lane: &Lane, before: u64) -> Result<()> {
        let what = || format!("records of {lane} below {before} were not let go of");
        let admin = self.admin()?;
        let (list, options) = (partition(lane, Offset::Offset(before as i64)), self.admin_options());
        let done = self.wait_for(&what(), admin.delete_records(&list, &options))?;
        let failed = done.elements().first().and_then(|e| e.error().err());
        match failed {
            None => Ok(()),
            Some(e) if e.rdkafka_error_code() == Some(Code::OffsetOutOfRange) => {
                let reader: BaseConsumer<Ear> = self
                    .settings
                    .plain()
                    .create_with_context(self.ear.clone())
                    .map_err(|e| self.ear.explain(what(), e))?;
                let bounds = bounds(&reader, &self.ear, lane, self.settings.patience)?;
                Err(Error::out_of_range(lane, before, bounds))
            }
            Some(e) => Err(self.ear.explain(what(), e)),
        }
    }

    pub(super) fn admin(&self) -> Result<AdminClient<Ear>> {
        let mut config = self.settings.plain();
        // To librdkafka this is a producer, and one of those would make the topics that it asks about.
        config.set("allow.auto.create.topics", "false");
        config
            .create_with_context(self.ear.clone())
            .map_err(|e| self.ear.explain("the Kafka client could not be made", e))
    }

    fn admin_options(&self) -> AdminOptions {
        self.admin_options_within(self.settings.patience)
    }

    /// For a request that is not the first of its call.
    pub(super) fn admin_options_within(&self, left: Duration) -> AdminOptions {
        // To librdkafka no time at all is an error of its own.
        let left = Some(left.max(Duration::from_millis(1)));
        AdminOptions::new().request_timeout(left).operation_timeout(left)
    }

    /// librdkafka's answers come by futures; here a thread waits for them.
    pub(super) fn wait_for<T>(
        &self,
        what: &str,
        future: impl Future<Output = Result<T, KafkaError>>,
    ) -> Result<T> {
        let mut future = pin!(future);
        let wakes = Arc::new(Wakes(Bell::default()));
        let waker = Waker::from(Arc::clone(&wakes));
        // The request ends by its own timeout; this one is for a client that hangs.
        let deadline = Deadline::after(self.settings.patience * 2);
        while !deadline.passed() {
            let heard = wakes.0.heard();
            if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return done.map_err(|e| self.ear.explain(what, e));
            }
            wakes.0.wait(heard, &deadline);
        }
        Err(Error::caused(Kind::Away, what, self.ear.timeout("no answer in time")))
    }
}
