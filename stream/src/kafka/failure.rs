//! What librdkafka reports, turned into the kinds of the seam; and what it says in between, kept for the message.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use runtime::Deadline;

use super::remedy::remedy;
use crate::{Error, Kind};

/// A complaint explains a timeout for so long.
const FRESH: Duration = Duration::from_secs(60);

/// Listens to every client of one connection. librdkafka tries again by itself and lets a call run into its timeout;
/// why ("connection refused", "authentication failed") it says only here.
#[derive(Clone, Default)]
pub(super) struct Ear(Arc<Mutex<Option<Complaint>>>);

struct Complaint {
    kind: Kind,
    code: Option<Code>,
    what: String,
    fresh: Deadline,
}

impl Ear {
    /// An error of the seam: `what` was being done when `cause` came.
    pub fn explain(&self, what: impl Into<String>, cause: KafkaError) -> Error {
        let mut kind = kind_of(&cause);
        if kind != Kind::Away {
            let what = with_remedy(what.into(), code_of(&cause));
            return Error::caused(kind, what, cause);
        }
        let what = match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(complaint) if !complaint.fresh.passed() => {
                // A wrong password looks like a broker that does not answer.
                kind = complaint.kind;
                with_remedy(
                    format!("{} (Kafka's client says: {})", what.into(), complaint.what),
                    complaint.code,
                )
            }
            _ => what.into(),
        };
        Error::caused(kind, what, cause)
    }

    /// Keeps a complaint, unless the one that is there says more.
    fn hear(&self, kind: Kind, code: Option<Code>, what: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = last.as_ref().filter(|complaint| !complaint.fresh.passed());
        let says_more = |complaint: &Complaint| match code {
            // That all brokers are down follows what one of them was down for.
            Some(code) => code == Code::AllBrokersDown,
            // That a connection was closed follows an error, if there was one.
            None => complaint.code.is_some_and(|code| code != Code::AllBrokersDown),
        };
        if !fresh.is_some_and(says_more) {
            *last = Some(Complaint { kind, code, what: what.to_owned(), fresh: Deadline::after(FRESH) });
        }
    }

    /// Whether something was refused a moment ago.
    pub fn heard_refusal(&self) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().is_some_and(|complaint| !complaint.fresh.passed() && complaint.kind == Kind::Refused)
    }

    /// A call that was not answered in time.
    pub fn timeout(&self, what: impl Into<String>) -> Error {
        self.explain(what, KafkaError::Global(Code::OperationTimedOut))
    }
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Why a connection was closed is told of here alone; that the other end speaks TLS, for one.
        if facility == "FAIL" && matches!(level, RDKafkaLogLevel::Info | RDKafkaLogLevel::Warning) {
            let what = message.split_once("]: ").map_or(message, |(_thread, what)| what);
            let hint = "if it stays so, check that security.protocol is what the brokers speak";
            self.hear(Kind::Away, None, &format!("{what}; {hint}"));
        }
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
        self.hear(kind, error.rdkafka_error_code(), reason);
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
        other => code_of(other).map_or(Kind::Away, kind_of_code),
    }
}

fn code_of(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

fn with_remedy(what: String, code: Option<Code>) -> String {
    match code.and_then(remedy) {
        Some(remedy) => format!("{what}; {remedy}"),
        None => what,
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
