//! Appending: one idempotent producer that all threads share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use runtime::{Deadline, Stop};

use super::failure::Ear;
use super::records::outgoing;
use super::settings::Settings;
use crate::{Batch, Error, Kind, Lane, Result};

/// Appends that are under way hold so much together; a single one may be larger.
const MOST_UNDER_WAY_BYTES: usize = 64 << 20;

/// Makes records durable. Its own thread takes the brokers' answers, so that a call waits for no other.
pub(super) struct Appender {
    producer: ThreadedProducer<Reports>,
    ear: Ear,
    settings: Arc<Settings>,
    under_way_bytes: AtomicUsize,
    /// Something of it got no answer in time.
    is_silent: AtomicBool,
}

/// What one call waits for: the records of one lane.
struct Receipt {
    missing: Mutex<Missing>,
    changed: Condvar,
}

struct Missing {
    records: usize,
    failed: Option<KafkaError>,
}

/// Takes the reports.
struct Reports(Ear);

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Receipt>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Arc<Receipt>) {
        let mut missing = receipt.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.records -= 1;
        if let Err((error, _)) = result {
            missing.failed.get_or_insert_with(|| error.clone());
        }
        if missing.records == 0 {
            receipt.changed.notify_all();
        }
    }
}

impl Appender {
    /// Connects in the background.
    pub fn new(settings: &Arc<Settings>, ear: &Ear) -> Result<Appender> {
        let producer = settings
            .appender()
            .create_with_context(Reports(ear.clone()))
            .map_err(|e| ear.explain("the Kafka producer could not be made; correct its properties", e))?;
        let (ear, settings) = (ear.clone(), Arc::clone(settings));
        let under_way_bytes = AtomicUsize::new(0);
        Ok(Appender { producer, ear, settings, under_way_bytes, is_silent: AtomicBool::new(false) })
    }

    /// Whether the next append needs a new one: the producer has given up for good, as librdkafka does when it can no
    /// longer rule out a doubled record, or it was not answered, and may never be (see `pulse`), or it holds records of
    /// an append that failed.
    pub fn is_broken(&self) -> bool {
        self.is_silent.load(Ordering::SeqCst) || self.producer.client().fatal_error().is_some()
    }

    /// One lane after the other, each acknowledged before the next is begun.
    pub fn append(&self, batch: &Batch) -> Result<()> {
        let bytes = batch.size_bytes();
        let others = self.under_way_bytes.fetch_add(bytes, Ordering::SeqCst);
        let result = if others > 0 && others + bytes > MOST_UNDER_WAY_BYTES {
            Err(Error::new(Kind::Full, format!("appends of {others} bytes wait for Kafka; slow down")))
        } else {
            let deadline = Deadline::after(self.settings.patience);
            let mut lanes = batch.lanes().iter().enumerate();
            lanes.try_for_each(|(n, lane)| self.append_lane(batch, lane, n == 0, &deadline))
        };
        self.under_way_bytes.fetch_sub(bytes, Ordering::SeqCst);
        result
    }

    /// The records of one lane. A lane of the batch stands where `Batch::lanes` has it, so its address tells.
    fn append_lane(&self, batch: &Batch, lane: &Lane, first: bool, deadline: &Deadline) -> Result<()> {
        let records = || batch.iter().filter(|r| std::ptr::eq(r.lane, lane));
        let count = records().count();
        let missing = Mutex::new(Missing { records: count, failed: None });
        let receipt = Arc::new(Receipt { missing, changed: Condvar::new() });
        let topic = self.settings.names.topic(&lane.topic);
        for (sent, record) in records().enumerate() {
            let nothing_written = first && sent == 0;
            if let Err(e) =
                self.send(outgoing(&record, &topic, Arc::clone(&receipt)), nothing_written, deadline)
            {
                if sent > 0 {
                    // What has been sent would still go its way behind the back of a retry: it goes with its producer.
                    self.is_silent.store(true, Ordering::SeqCst);
                }
                let what = format!("record {sent} of {count} was not taken for {lane}");
                return Err(match e.rdkafka_error_code() {
                    Some(Code::QueueFull) if nothing_written => Error::caused(Kind::Full, what, e),
                    // Full is only said where nothing was written.
                    Some(Code::QueueFull) => Error::caused(Kind::Away, what, e),
                    _ => self.ear.explain(what, e),
                });
            }
        }
        let mut missing = receipt.missing.lock().unwrap_or_else(PoisonError::into_inner);
        // The records end by their own timeout; this one is for a client that hangs.
        let deadline = Deadline::after(deadline.left() + Duration::from_secs(2));
        while missing.records > 0 {
            if deadline.passed() {
                self.is_silent.store(true, Ordering::SeqCst);
                return Err(self
                    .ear
                    .timeout(format!("{} records for {lane} got no answer", missing.records)));
            }
            let wait = receipt.changed.wait_timeout(missing, deadline.left());
            missing = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        match missing.failed.take() {
            None => Ok(()),
            Some(e) => {
                if e.rdkafka_error_code() == Some(Code::MessageTimedOut) {
                    self.is_silent.store(true, Ordering::SeqCst);
                }
                Err(self.ear.explain(format!("{count} records were appended to {lane} in part or not"), e))
            }
        }
    }

    /// Waits for room in the queue, unless nothing has been written yet: then the caller may be told to wait.
    fn send<'a>(
        &self,
        mut record: rdkafka::producer::BaseRecord<'a, [u8], [u8], Arc<Receipt>>,
        nothing_written: bool,
        deadline: &Deadline,
    ) -> Result<(), KafkaError> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back))
                    if !nothing_written && !deadline.passed() =>
                {
                    record = back;
                    Stop::new().wait(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::Options;
    use crate::topics::events;

    fn of_bytes(bytes: usize) -> Batch {
        let mut batch = Batch::new();
        let id = batch.lane(&events(0));
        (0..bytes >> 20).for_each(|_| batch.push(id, None, &[], &[0; 1 << 20]));
        batch
    }

    #[test]
    fn what_does_not_fit_beside_appends_under_way_is_full_and_a_silent_broker_away() {
        // The discard port of the machine: nobody listens there.
        let options = Options { patience: Duration::from_secs(2), ..Options::new("127.0.0.1:9") };
        let appender = Appender::new(&Arc::new(Settings::new(options).unwrap()), &Ear::default()).unwrap();
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| appender.append(&of_bytes(40 << 20)));
            while appender.under_way_bytes.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            assert_eq!(appender.append(&of_bytes(30 << 20)).unwrap_err().kind(), Kind::Full);
            assert_eq!(waiting.join().unwrap().unwrap_err().kind(), Kind::Away);
        });
        assert_eq!(appender.under_way_bytes.load(Ordering::SeqCst), 0);
        assert!(appender.is_broken(), "a client that was not answered may never be");
    }
}
