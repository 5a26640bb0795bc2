//! The prefix: what Sealog's own topics and groups are called in this cluster, so that several installations share it.
//!
//! Stages speak of `audit.events`; Kafka may know it as `acme.audit.events`. Names of others are left alone.

use std::borrow::Cow;

use crate::{Batch, Error, Kind, Lane, Result, topics};

/// The longest prefix; Kafka takes names of 249 characters.
const MAX_PREFIX_CHARS: usize = 100;
/// Groups of Sealog's own begin with it.
const OWN_GROUPS: &str = "sealog.";

/// Turns the stages' names into Kafka's, and back.
pub(super) struct Names {
    prefix: String,
}

impl Names {
    /// Refuses what Kafka would not take in a name.
    pub fn new(prefix: String) -> Result<Names> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if prefix.chars().count() > MAX_PREFIX_CHARS || !prefix.chars().all(fits) {
            let what = format!(
                "the prefix {prefix:?} cannot stand before names in Kafka: give up to {MAX_PREFIX_CHARS} letters, \
                 digits, '.', '_' and '-'"
            );
            return Err(Error::new(Kind::Refused, what));
        }
        Ok(Names { prefix })
    }

    /// What Kafka calls the topic.
    pub fn topic<'a>(&self, topic: &'a str) -> Cow<'a, str> {
        self.prefixed(topic, topics::is_own(topic))
    }

    /// What Kafka calls the group.
    pub fn group<'a>(&self, group: &'a str) -> Cow<'a, str> {
        self.prefixed(group, group.starts_with(OWN_GROUPS))
    }

    /// Under which name claims are fenced.
    pub fn fence(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }

    fn prefixed<'a>(&self, name: &'a str, own: bool) -> Cow<'a, str> {
        if own && !self.prefix.is_empty() {
            Cow::Owned(format!("{}{name}", self.prefix))
        } else {
            Cow::Borrowed(name)
        }
    }

    /// What stages call a topic of Kafka's.
    pub fn back<'a>(&self, topic: &'a str) -> &'a str {
        topic.strip_prefix(&self.prefix).filter(|rest| topics::is_own(rest)).unwrap_or(topic)
    }

    /// The lane as Kafka knows it.
    pub fn lane(&self, lane: &Lane) -> Lane {
        match self.topic(&lane.topic) {
            Cow::Borrowed(_) => lane.clone(),
            Cow::Owned(topic) => Lane { topic: topic.into(), partition: lane.partition },
        }
    }

    /// What Kafka calls the topics of a batch's lanes, in their order.
    pub fn topics_of<'b>(&self, batch: &'b Batch) -> Vec<Cow<'b, str>> {
        batch.lanes().iter().map(|lane| self.topic(&lane.topic)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_bear_the_prefix_and_those_of_others_do_not() {
        let names = Names::new("acme.".into()).unwrap();
        assert_eq!(names.topic("audit.events"), "acme.audit.events");
        assert_eq!(names.lane(&topics::sealed(3)), Lane::new("acme.audit.sealed", 3));
        assert_eq!(
            (names.topic("app.audit"), names.topic("audit.other")),
            ("app.audit".into(), "audit.other".into())
        );
        assert_eq!(
            (names.group("sealog.ingestor"), names.group("siem")),
            ("acme.sealog.ingestor".into(), "siem".into())
        );
        assert_eq!((names.back("acme.audit.events"), names.back("acme.app")), ("audit.events", "acme.app"));
        // Another installation's, which nobody here has a name for.
        assert_eq!(names.back("other.audit.events"), "other.audit.events");
        assert_eq!(names.fence("host-1"), "acme.host-1");
    }

    #[test]
    fn without_a_prefix_every_name_stays() {
        let names = Names::new(String::new()).unwrap();
        for name in ["audit.events", "app.audit", "sealog.ingestor"] {
            assert_eq!(
                (names.topic(name), names.group(name), names.back(name)),
                (name.into(), name.into(), name)
            );
        }
    }

    #[test]
    fn a_prefix_that_kafka_would_not_take_is_refused() {
        for prefix in ["a b", "a/b", "ä", &"x".repeat(101)] {
            assert_eq!(Names::new(prefix.into()).map(|_| ()).unwrap_err().kind(), Kind::Refused, "{prefix}");
        }
    }
}
