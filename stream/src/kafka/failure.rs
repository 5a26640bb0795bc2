//! What librdkafka reports, turned into the kinds of the seam; and what it says in between, kept for the message.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use runtime::Deadline;

use crate::{Error, Kind};

/// A complaint explains a timeout for so long.
const FRESH: Duration = Duration::from_secs(60);

/// Listens to every client of one connection. librdkafka tries again by itself and lets a call run into its timeout;
/// why ("connection refused", "authentication failed") it says only here.
#[derive(Clone, Default)]
pub(super) struct Ear(Arc<Mutex<Option<Complaint>>>);

struct Complaint {
    kind: Kind,
    what: String,
    fresh: Deadline,
}

impl Ear {
    /// An error of the seam: `what` was being done when `cause` came.
    pub fn explain(&self, what: impl Into<String>, cause: KafkaError) -> Error {
        let mut kind = kind_of(&cause);
        if kind != Kind::Away {
            return Error::caused(kind, what, cause);
        }
        let what = match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(complaint) if !complaint.fresh.passed() => {
                // A wrong password looks like a broker that does not answer.
                kind = complaint.kind;
                format!("{} (Kafka's client says: {})", what.into(), complaint.what)
            }
            _ => what.into(),
        };
        Error::caused(kind, what, cause)
    }

    /// A call that was not answered in time.
    pub fn timeout(&self, what: impl Into<String>) -> Error {
        self.explain(what, KafkaError::Global(Code::OperationTimedOut))
    }
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            // A property of consumers that a producer is told of is no news: users give one list for both.
            _ if facility == "CONFWARN" => tracing::trace!(facility, message),
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, message, "kafka")
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::warn!(facility, message, "kafka"),
            _ => tracing::debug!(facility, message, "kafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        // Where a read has to start anew, and where a lane ends, is an answer and no complaint.
        if matches!(error.rdkafka_error_code(), Some(Code::AutoOffsetReset | Code::PartitionEOF)) {
            return;
        }
        let kind = match kind_of(&error) {
            Kind::Refused => Kind::Refused,
            _ => Kind::Away,
        };
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That all brokers are down follows what one of them was down for, and says less.
        let says_less = error.rdkafka_error_code() == Some(Code::AllBrokersDown);
        if !(says_less && last.as_ref().is_some_and(|complaint| !complaint.fresh.passed())) {
            *last = Some(Complaint { kind, what: reason.to_owned(), fresh: Deadline::after(FRESH) });
        }
    }
}

impl ConsumerContext for Ear {}

/// Whether another producer has taken over the transactional id.
pub(super) fn is_fenced(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

fn kind_of(error: &KafkaError) -> Kind {
    match error {
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_) => Kind::Refused,
        KafkaError::AdminOp(code) => kind_of_code(*code),
        other => other.rdkafka_error_code().map_or(Kind::Away, kind_of_code),
    }
}

/// `Away` is the rest: whatever may pass.
pub(super) fn kind_of_code(code: Code) -> Kind {
    match code {
        code if is_fenced(code) => Kind::Lost,
        Code::QueueFull => Kind::Full,
        Code::BadMessage | Code::BadCompression | Code::InvalidMessage | Code::LogTruncation => Kind::Damaged,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::Authentication
        | Code::SSL
        | Code::UnsupportedSASLMechanism
        | Code::UnsupportedFeature
        | Code::UnsupportedVersion
        | Code::InvalidConfig
        | Code::InvalidArgument
        | Code::InvalidTopic
        | Code::InvalidGroupId
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidSessionTimeout
        | Code::InvalidTransactionTimeout
        | Code::InconsistentGroupProtocol
        | Code::PolicyViolation
        // Our own limit was kept: the topic takes less than the design says.
        | Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition => Kind::Refused,
        _ => Kind::Away,
    }
}
