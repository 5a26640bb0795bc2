//! Topics, and letting go of records.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use runtime::{Deadline, Stop};

use super::failure::{Ear, kind_of_code};
use super::{Kafka, bounds, out_of_range, partition};
use crate::bell::Bell;
use crate::{Error, Kind, Lane, Result};

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
        let new = topics.iter().map(|topic| {
            let replication = TopicReplication::Fixed(topic.replicas.map_or(-1, i32::from));
            let mut new = NewTopic::new(&topic.name, topic.partitions as i32, replication);
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
                    return Err(Error::caused(kind_of_code(code), what, KafkaError::AdminOp(code)));
                }
            }
        }
        for topic in topics {
            self.wait_for_leaders(&admin, topic)?;
        }
        Ok(made)
    }

    /// A topic that was made a moment ago is not known to every broker yet.
    fn wait_for_leaders(&self, admin: &AdminClient<Ear>, topic: &Topic) -> Result<()> {
        let (name, patience) = (topic.name.as_str(), self.settings.patience);
        let deadline = Deadline::after(patience);
        loop {
            let found = admin
                .inner()
                .fetch_metadata(Some(name), deadline.left())
                .map_err(|e| self.ear.explain(format!("the topic {name} was not looked at"), e))?;
            let partitions = found.topics().iter().flat_map(|t| t.partitions());
            if partitions.filter(|p| p.leader() >= 0).count() > 0 {
                return Ok(());
            }
            if deadline.passed() {
                return Err(self.ear.timeout(format!("the topic {name} was made and is not to be seen")));
            }
            Stop::new().wait(Duration::from_millis(20));
        }
    }

    /// `Log::trim`.
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
                Err(out_of_range(lane, before, bounds(&reader, &self.ear, lane, self.settings.patience)?))
            }
            Some(e) => Err(self.ear.explain(what(), e)),
        }
    }

    fn admin(&self) -> Result<AdminClient<Ear>> {
        self.settings
            .plain()
            .create_with_context(self.ear.clone())
            .map_err(|e| self.ear.explain("the Kafka client could not be made", e))
    }

    fn admin_options(&self) -> AdminOptions {
        let patience = Some(self.settings.patience);
        AdminOptions::new().request_timeout(patience).operation_timeout(patience)
    }

    /// librdkafka's answers come by futures; here a thread waits for them.
    fn wait_for<T>(&self, what: &str, future: impl Future<Output = Result<T, KafkaError>>) -> Result<T> {
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
