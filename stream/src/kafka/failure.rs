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

/// How the client's logs call `TopicAuthorizationFailed`.
const TOPIC_REFUSED: &str = "Topic authorization failed";

/// Listens to every client of one connection. librdkafka tries again by itself and lets a call run into its timeout;
/// why ("connection refused", "authentication failed") it says only here.
#[derive(Clone, Default)]
pub(super) struct Ear {
    last: Arc<Mutex<Option<Complaint>>>,
    /// Its client bears a group's name, and asks for that group's coordinator, only because librdkafka wants one.
    of_no_group: bool,
}

struct Complaint {
    kind: Kind,
    code: Option<Code>,
    what: String,
    fresh: Deadline,
}

impl Ear {
    /// For clients that are in no group. A right that they do not need explains nothing that goes wrong: it would turn
    /// what passes into a refusal.
    pub fn of_no_group(&self) -> Ear {
        Ear { last: Arc::clone(&self.last), of_no_group: true }
    }

    /// An error of the seam: `what` was being done when `cause` came.
    pub fn explain(&self, what: impl Into<String>, cause: KafkaError) -> Error {
        let mut kind = kind_of(&cause);
        if let KafkaError::ClientConfig(_, said, property, value) = &cause {
            return Error::caused(kind, what, without_value(said, property, value));
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let complaint = last.as_ref().filter(|complaint| !complaint.fresh.passed());
        // A transaction that was refused does not say which topic; the complaint does.
        let explains = |complaint: &&Complaint| match &cause {
            _ if kind == Kind::Away => true,
            KafkaError::Transaction(_) => complaint.code.is_some() && complaint.code == code_of(&cause),
            _ => false,
        };
        let what = match complaint.filter(explains) {
            Some(complaint) => {
                // A wrong password looks like a broker that does not answer.
                kind = complaint.kind;
                with_remedy(
                    format!("{} (Kafka's client says: {})", what.into(), complaint.what),
                    complaint.code,
                )
            }
            None if kind == Kind::Away => what.into(),
            None => with_remedy(what.into(), code_of(&cause)),
        };
        Error::caused(kind, what, cause)
    }

    /// Keeps a complaint, unless the one that is there says more.
    fn hear(&self, kind: Kind, code: Option<Code>, what: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
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
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
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
        // What a transaction may not write fails later as "purged"; what was refused, and on which topic, stands here.
        if facility == "ADDPARTS" && message.contains(TOPIC_REFUSED) {
            let what = message.split_once("]: ").map_or(message, |(_thread, what)| what);
            self.hear(Kind::Refused, Some(Code::TopicAuthorizationFailed), what);
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
        if self.of_no_group && error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed) {
            return;
        }
        // That one topic is not to be seen, in which some client reads, is no reason to refuse what waits for another.
        let kind = match kind_of(&error) {
            Kind::Refused if !error.rdkafka_error_code().is_some_and(is_unknown_lane) => Kind::Refused,
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

/// Whether it says that a topic or a partition is not there, for all that the client knows.
pub(super) fn is_unknown_lane(code: Code) -> bool {
    matches!(code, Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition)
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

/// What the client says of a property, without its value: a misspelt name may stand before a password.
fn without_value(said: &str, property: &str, value: &str) -> String {
    let said = if value.is_empty() { said.to_owned() } else { said.replace(value, "…") };
    // Where the value is a part of the name, the name has gone with it.
    if said.contains(property) { said } else { format!("{said} (the property {property})") }
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

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;

    use super::*;

    const REFUSED_GROUP: KafkaError = KafkaError::Global(Code::GroupAuthorizationFailed);

    #[test]
    fn a_refusal_explains_a_timeout_but_not_of_a_group_that_is_only_a_name() {
        let ear = Ear::default();
        ear.of_no_group().error(REFUSED_GROUP, "FindCoordinator response error");
        assert_eq!(ear.timeout("a commit").kind(), Kind::Away);
        ear.error(REFUSED_GROUP, "FindCoordinator response error");
        let error = ear.timeout("the positions of a group");
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.to_string().contains("an ACL to Read the group"), "{error}");
    }

    #[test]
    fn a_topic_that_is_gone_makes_no_refusal_of_what_only_passes() {
        let ear = Ear::default();
        let reason = "Subscribed topic not available: raw.gone: Broker: Unknown topic or partition";
        ear.error(KafkaError::Global(Code::UnknownTopicOrPartition), reason);
        let error = ear.timeout("a commit to another topic");
        assert_eq!(error.kind(), Kind::Away, "{error}");
        assert!(error.to_string().contains("raw.gone"), "{error}");
    }

    #[test]
    fn a_transaction_that_may_not_write_a_topic_names_it_and_is_not_tried_again() {
        let ear = Ear::default();
        let log = "[thrd:main]: TxnCoordinator/1: Failed to add partition \"audit.sealed\" [0] to transaction: \
                   Broker: Topic authorization failed";
        ear.log(RDKafkaLogLevel::Warning, "ADDPARTS", log);
        let error = ear.explain("it did not write", KafkaError::MessageProduction(Code::PurgeQueue));
        assert_eq!(error.kind(), Kind::Refused);
        assert!(
            error.to_string().contains("\"audit.sealed\"") && error.to_string().contains("an ACL of"),
            "{error}"
        );
    }

    #[test]
    fn a_property_that_is_not_accepted_is_named_without_its_value() {
        let said = |said: &str, property: &str| {
            let cause = KafkaError::ClientConfig(
                RD_KAFKA_CONF_UNKNOWN,
                said.into(),
                property.into(),
                "hunter2".into(),
            );
            let error = Ear::default().explain("not accepted", cause);
            assert_eq!(error.kind(), Kind::Refused);
            error.to_string()
        };
        for (text, property) in [
            ("No such configuration property: \"sasl.pasword\"", "sasl.pasword"),
            ("Invalid value \"hunter2\" for configuration property \"ssl.key.password\"", "ssl.key.password"),
        ] {
            let error = said(text, property);
            assert!(error.contains(property) && !error.contains("hunter2"), "{error}");
        }
    }
}
