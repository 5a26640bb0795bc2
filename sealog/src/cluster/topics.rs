//! What Sealog's topics must be, and what is wrong with those that are there. Pure: what Kafka says comes in as an
//! argument.

use std::collections::BTreeMap;
use std::fmt;

use stream::kafka::{FoundTopic, MAX_MESSAGE_BYTES, Topic, TopicState};
use stream::topics;

use crate::config::Durability;

/// A file of a trimmed topic: the active one is never deleted, and Kafka's default is a gigabyte.
const SEGMENT_BYTES: u64 = 128 << 20;
/// Rejections stay for a month for whoever wants to replay them. All of them are in the archive.
const REJECTED_MS: u64 = 30 * 86_400_000;
const MIN_IN_SYNC: &str = "min.insync.replicas";

/// What a setting must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Must {
    Be(&'static str),
    BeAtLeast(u64),
    /// It is given when the topic is made, and free afterwards.
    BeginAs(u64),
}

impl Must {
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Must::Be(right) => value == Some(right),
            Must::BeAtLeast(least) => {
                value.and_then(|value| value.parse::<u64>().ok()).is_some_and(|value| value >= *least)
            }
            Must::BeginAs(_) => true,
        }
    }

    /// The value to set.
    fn value(&self) -> String {
        match self {
            Must::Be(value) => (*value).to_owned(),
            Must::BeAtLeast(value) | Must::BeginAs(value) => value.to_string(),
        }
    }
}

/// One of Sealog's topics as it must be.
#[derive(Clone, Debug)]
pub struct Required {
    name: &'static str,
    partitions: u32,
    settings: Vec<(&'static str, Must)>,
}

/// Something that is wrong with a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The topic, as Sealog calls it.
    pub topic: String,
    /// The topic, as Kafka calls it.
    pub called: String,
    /// What is wrong.
    pub what: Wrong,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not there.
    Missing,
    /// Its settings may not be read.
    Unseen,
    /// It has another number of partitions than there are chains.
    Partitions { has: u32, chains: u32 },
    /// A setting is another one.
    Setting { name: &'static str, is: String, right: String },
    /// Too few brokers keep it.
    Replicas { has: u16 },
    /// Nobody serves these partitions now.
    Offline(Vec<u32>),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = &self.called;
        match &self.what {
            Wrong::Missing => write!(f, "the topic {topic} is missing: run `sealog init`"),
            Wrong::Unseen => write!(
                f,
                "the settings of {topic} may not be read: grant this identity DescribeConfigs on the topic"
            ),
            Wrong::Partitions { has, chains } if has < chains => write!(
                f,
                "{topic} has {has} partitions, but chains = {chains}: to grow, stop all stages and run `sealog init \
                 --grow`; else set chains = {has}"
            ),
            Wrong::Partitions { has, chains } => write!(
                f,
                "{topic} has {has} partitions, but chains = {chains}: set chains = {has}; a chain never goes away"
            ),
            Wrong::Setting { name, is, right } => write!(
                f,
                "{topic} has {name} = {is}, but must have {right}: run `sealog init --yes`, which sets it, or set it \
                 yourself"
            ),
            Wrong::Replicas { has } => write!(
                f,
                "{topic} is kept on {has} broker only: reassign its partitions to two or more \
                 (kafka-reassign-partitions), or say that this is a trial: kafka.durability = \"single-broker\""
            ),
            Wrong::Offline(partitions) => write!(
                f,
                "{topic}: no broker serves partition {}: look after the brokers",
                partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

/// Sealog's own topics for so many chains.
pub fn required(chains: u32, durability: Durability) -> Vec<Required> {
    let in_sync = match durability {
        Durability::Replicated => Must::BeAtLeast(2),
        Durability::SingleBroker => Must::BeAtLeast(1),
    };
    let common = [
        ("cleanup.policy", Must::Be("delete")),
        ("max.message.bytes", Must::BeAtLeast(MAX_MESSAGE_BYTES as u64)),
        ("unclean.leader.election.enable", Must::Be("false")),
        (MIN_IN_SYNC, in_sync),
        ("segment.bytes", Must::BeginAs(SEGMENT_BYTES)),
    ];
    // What is not archived yet is only here: Kafka forgets nothing of itself.
    let for_ever = [("retention.ms", Must::Be("-1")), ("retention.bytes", Must::Be("-1"))];
    let a_month = [("retention.ms", Must::BeginAs(REJECTED_MS))];
    let topic = |name, more: &[(&'static str, Must)]| Required {
        name,
        partitions: chains,
        settings: common.iter().chain(more).cloned().collect(),
    };
    vec![
        topic(topics::EVENTS, &for_ever),
        topic(topics::REJECTED, &a_month),
        topic(topics::SEALED, &for_ever),
    ]
}

impl Required {
    /// Its name, as Sealog calls it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What Kafka is told to make.
    pub fn to_make(&self, replicas: u16) -> Topic {
        let config = self.settings.iter().map(|(name, must)| ((*name).to_owned(), must.value())).collect();
        Topic { name: self.name.to_owned(), partitions: self.partitions, replicas: Some(replicas), config }
    }

    /// What is wrong with what was found.
    pub fn compare(&self, state: &TopicState, durability: Durability) -> Vec<Finding> {
        let Some(found) = &state.found else { return vec![self.finding(Wrong::Missing)] };
        let mut wrong = Vec::new();
        if found.partitions != self.partitions {
            wrong.push(Wrong::Partitions { has: found.partitions, chains: self.partitions });
        }
        if !found.offline.is_empty() {
            wrong.push(Wrong::Offline(found.offline.clone()));
        }
        if durability == Durability::Replicated && found.replicas < 2 {
            wrong.push(Wrong::Replicas { has: found.replicas });
        }
        wrong.extend(self.wrong_settings(found));
        wrong.into_iter().map(|what| self.finding(what)).collect()
    }

    fn wrong_settings(&self, found: &FoundTopic) -> Vec<Wrong> {
        let Some(settings) = &found.settings else { return vec![Wrong::Unseen] };
        let value = |name: &str| settings.get(name).and_then(|setting| setting.value.as_deref());
        let wrong = self.settings.iter().filter(|(name, must)| !must.holds(value(name)));
        let wrong = wrong.map(|(name, must)| Wrong::Setting {
            name,
            is: value(name).unwrap_or("unknown").to_owned(),
            right: must.value(),
        });
        wrong.collect()
    }

    fn finding(&self, what: Wrong) -> Finding {
        Finding { topic: self.name.to_owned(), called: self.name.to_owned(), what }
    }
}

/// The settings that mend these findings, by topic.
pub fn mending(findings: &[Finding]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut mending: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for finding in findings {
        if let Wrong::Setting { name, right, .. } = &finding.what {
            mending.entry(finding.topic.clone()).or_default().insert((*name).to_owned(), right.clone());
        }
    }
    mending
}

#[cfg(test)]
mod tests {
    use super::*;
    use stream::kafka::TopicSetting;

    fn as_made(required: &Required) -> TopicState {
        let made = required.to_make(3);
        let setting = |value: &String| TopicSetting { value: Some(value.clone()), own: true };
        let settings = made.config.iter().map(|(name, value)| (name.clone(), setting(value))).collect();
        let found = FoundTopic {
            partitions: made.partitions,
            replicas: 3,
            in_sync: 3,
            offline: Vec::new(),
            settings: Some(settings),
        };
        TopicState { name: made.name, found: Some(found) }
    }

    #[test]
    fn what_is_made_is_right_and_each_deviation_is_found() {
        for required in required(4, Durability::Replicated) {
            let right = as_made(&required);
            assert_eq!(required.compare(&right, Durability::Replicated), []);
            for (name, must) in &required.settings {
                let mut wrong = right.clone();
                let settings = wrong.found.as_mut().unwrap().settings.as_mut().unwrap();
                settings.get_mut(*name).unwrap().value = Some("0".to_owned());
                let found = required.compare(&wrong, Durability::Replicated);
                let free = matches!(must, Must::BeginAs(_));
                assert_eq!(found.len(), usize::from(!free), "{name}");
                if !free {
                    assert_eq!(mending(&found)[required.name][*name], must.value());
                    let text = found[0].to_string();
                    assert!(text.contains("sealog init --yes") && text.contains(name), "{text}");
                }
            }
        }
    }

    #[test]
    fn partitions_replicas_and_rights_are_named_with_what_to_do() {
        let required = required(4, Durability::Replicated).remove(0);
        let said = |change: &dyn Fn(&mut FoundTopic), durability| {
            let mut state = as_made(&required);
            change(state.found.as_mut().unwrap());
            let findings = required.compare(&state, durability);
            findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let replicated = Durability::Replicated;
        assert!(said(&|t| t.partitions = 3, replicated).contains("sealog init --grow"));
        assert!(said(&|t| t.partitions = 5, replicated).contains("set chains = 5"));
        assert!(said(&|t| t.replicas = 1, replicated).contains("single-broker"));
        assert_eq!(said(&|t| t.replicas = 1, Durability::SingleBroker), "");
        assert!(said(&|t| t.settings = None, replicated).contains("DescribeConfigs"));
        assert!(said(&|t| t.offline = vec![2], replicated).contains("partition 2"));
        let missing = TopicState { name: "audit.events".into(), found: None };
        assert!(required.compare(&missing, replicated)[0].to_string().contains("sealog init"));
    }
}
