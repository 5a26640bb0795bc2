//! What to do about what Kafka refuses.

use rdkafka::error::RDKafkaErrorCode as Code;

/// For the end of a sentence that says what was refused. None where the code or Kafka's own words say it all.
pub(super) fn remedy(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::TopicAuthorizationFailed => {
            "allow it to this user by an ACL of the topic (docs/OPERATING.md, \"Rights\")"
        }
        Code::GroupAuthorizationFailed => {
            "allow this user by an ACL to Read the group, or to Describe it if only its positions are asked for"
        }
        Code::TransactionalIdAuthorizationFailed => "allow this user by an ACL to Write the transactional id",
        // Who may Write no topic at all is told so: the right to produce comes with the first topic's.
        Code::ClusterAuthorizationFailed => {
            "allow it to this user by an ACL of the cluster, or, if it is to produce, to Write the topic"
        }
        Code::SaslAuthenticationFailed | Code::Authentication => {
            "correct sasl.username, sasl.password or sasl.mechanism, or make this user known to the brokers"
        }
        Code::SSL => {
            "correct the ssl.* properties; ssl.ca.location names who signed the brokers' certificates"
        }
        Code::UnsupportedSASLMechanism => "correct sasl.mechanism",
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            "it is not there, or this user may not see it: make it, or allow by an ACL to Describe it"
        }
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => "raise the topic's max.message.bytes",
        _ => return None,
    })
}
