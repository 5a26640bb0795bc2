//! One transactional producer: initialised once, then a transaction a commit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::TopicPartitionList;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use runtime::{Deadline, Stop};

use super::EVENTS_TO_HEAR;
use super::failure::{Ear, is_fenced};
use super::records::outgoing;
use super::settings::Settings;
use crate::{Batch, Error, Kind, Result};

/// How long the thread pauses between two looks at what is under way.
const PAUSE: Duration = Duration::from_millis(1);

/// A producer under a transactional id. Whoever initialises the same id later fences it.
pub(super) struct Transactions {
    producer: BaseProducer<Failures>,
    id: String,
    ear: Ear,
    settings: Arc<Settings>,
}

/// Why a commit did not happen, and whether another producer has the id now.
pub(super) struct Failed {
    pub error: Error,
    pub fenced: bool,
}

/// Takes the reports of records that did not arrive.
struct Failures {
    ear: Ear,
    first: Mutex<Option<KafkaError>>,
}

impl ClientContext for Failures {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.ear.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.ear.error(error, reason);
    }
}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            // What was purged was purged because of something else.
            match error.rdkafka_error_code() {
                Some(Code::PurgeQueue | Code::PurgeInflight) if first.is_some() => {}
                _ => drop(first.get_or_insert_with(|| error.clone())),
            }
        }
    }
}

impl Transactions {
    /// Fences every earlier producer under `id` and ends the transaction that it left open: committed if its end had
    /// been begun, else aborted. When this has returned, a read sees what there is.
    pub fn begin_under(settings: &Arc<Settings>, ear: &Ear, id: &str) -> Result<Transactions> {
        let context = Failures { ear: ear.clone(), first: Mutex::new(None) };
        let producer: BaseProducer<Failures> = settings
            .transactional(id)
            .create_with_context(context)
            .map_err(|e| ear.explain(format!("the Kafka producer {id} could not be made"), e))?;
        let done = producer.init_transactions(settings.patience);
        // Logs and complaints are events that wait to be asked for.
        producer.poll(Duration::ZERO);
        done.map_err(|e| match ear.explain(format!("transactions were not begun under {id}"), e) {
            // Two that initialise at once: the later one wins, this one may try again.
            lost if lost.kind() == Kind::Lost => Error::caused(Kind::Away, "another process began too", lost),
            other => other,
        })?;
        Ok(Transactions { producer, id: id.to_owned(), ear: ear.clone(), settings: Arc::clone(settings) })
    }

    /// All of `outputs` and `positions`, or nothing of either, and nothing if `check` says no: it is asked while the
    /// records are on their way. After an error drop the producer: what it left open ends with the next one under its
    /// id.
    pub fn commit(
        &self,
        outputs: &Batch,
        (positions, read_as): (&TopicPartitionList, &ConsumerGroupMetadata),
        check: impl FnOnce() -> Result<()>,
    ) -> Result<(), Failed> {
        let deadline = Deadline::after(self.settings.patience);
        let topics = self.settings.names.topics_of(outputs);
        self.producer.begin_transaction().map_err(|e| self.failed("begin", e))?;
        for record in outputs.iter() {
            self.send(&record, &topics[record.lane_id.index()], &deadline)?;
        }
        check().map_err(|error| Failed { error, fenced: false })?;
        if positions.count() > 0 {
            self.producer
                .send_offsets_to_transaction(positions, read_as, deadline.left())
                .map_err(|e| self.failed("take the positions", e))?;
        }
        self.wait_for_records(&deadline)?;
        self.producer.commit_transaction(deadline.left().max(PAUSE)).map_err(|e| {
            let Failed { error, fenced } = self.failed("end", e);
            // The end may have been tried twice, and the first try may have been heard: this is not known to be lost.
            let error = match error.kind() {
                Kind::Lost => Error::caused(Kind::Away, "its outcome is not known", error),
                _ => error,
            };
            Failed { error, fenced }
        })
    }

    fn send(&self, record: &crate::Record, topic: &str, deadline: &Deadline) -> Result<(), Failed> {
        let mut out = outgoing(record, topic, ());
        loop {
            match self.producer.send(out) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) if !deadline.passed() => {
                    out = back;
                    self.serve();
                    Stop::new().wait(PAUSE);
                }
                Err((e, _)) => return Err(self.failed(&format!("take a record for {}", record.lane), e)),
            }
        }
    }

    /// Until the last record is acknowledged. `commit_transaction` would wait too, but 100 ms at a time.
    fn wait_for_records(&self, deadline: &Deadline) -> Result<(), Failed> {
        loop {
            self.serve();
            let first = self.producer.context().first.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(e) = first {
                return Err(self.failed("write its records", e));
            }
            if self.producer.in_flight_count() == 0 {
                return Ok(());
            }
            if deadline.passed() {
                return Err(self.failed("write its records", KafkaError::Global(Code::OperationTimedOut)));
            }
            Stop::new().wait(PAUSE);
        }
    }

    /// Takes what events there are. `poll` takes one a call, and with a wait would not return before it is over.
    fn serve(&self) {
        let mut left = self.producer.in_flight_count();
        loop {
            self.producer.poll(Duration::ZERO);
            let now = self.producer.in_flight_count();
            if now >= left {
                return;
            }
            left = now;
        }
    }

    fn failed(&self, step: &str, cause: KafkaError) -> Failed {
        // What was refused, and on which topic, is said in events that nobody may have asked for yet.
        (0..EVENTS_TO_HEAR).for_each(|_| self.producer.poll(Duration::ZERO));
        // A record that failed because of the fence says only that it was purged; the client knows more.
        let fatal = self.producer.client().fatal_error().map(|(code, _)| code);
        let code = cause.rdkafka_error_code();
        let fenced = [code, fatal].into_iter().flatten().any(is_fenced);
        let what = format!("the transaction of {} did not {step}", self.id);
        let error = if fenced {
            Error::caused(Kind::Lost, format!("{what}: another owner has begun under this id"), cause)
        } else if code.is_some_and(is_of_the_past) {
            Error::caused(Kind::Lost, format!("{what}: the group has shared its lanes anew"), cause)
        } else {
            self.ear.explain(what, cause)
        };
        Failed { error, fenced }
    }
}

/// Whether the group has had a rebalance since the batch was read.
fn is_of_the_past(code: Code) -> bool {
    matches!(code, Code::IllegalGeneration | Code::UnknownMemberId | Code::RebalanceInProgress)
}
