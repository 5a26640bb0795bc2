//! What to do about what Kafka refuses.

use rdkafka::error::RDKafkaErrorCode as Code;

/// For the end of a sentence that says what was refused. None where the code or Kafka's own words say it all.
pub(super) fn remedy(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::TopicAuthorizationFailed => "allow it to this user by an ACL of the topic",
        Code::GroupAuthorizationFailed => "allow this user by an ACL to Read the group",
        Code::TransactionalIdAuthorizationFailed => "allow this user by an ACL to Write the transactional id",
        Code::ClusterAuthorizationFailed => "allow it to this user by an ACL of the cluster",
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
