//! What Kafka has: its brokers, and topics with their settings. Nothing here changes anything.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, ConfigEntry, ConfigSource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataTopic;
use runtime::Deadline;

use super::Kafka;
use super::failure::Ear;
use crate::{Error, Kind, Result};

/// A topic that was asked for.
#[derive(Clone, Debug)]
pub struct TopicState {
    /// The name that was asked for.
    pub name: String,
    /// None: there is no such topic.
    pub found: Option<FoundTopic>,
}

/// A topic as the brokers describe it.
#[derive(Clone, Debug)]
pub struct FoundTopic {
    /// How many partitions it has.
    pub partitions: u32,
    /// On how many brokers each record is kept: the fewest among its partitions.
    pub replicas: u16,
    /// How many of them are up to date: the fewest among its partitions.
    pub in_sync: u16,
    /// The partitions that nobody serves now.
    pub offline: Vec<u32>,
    /// All its settings by name. None where the right to read them (DescribeConfigs) is missing.
    pub settings: Option<BTreeMap<String, TopicSetting>>,
}

/// One setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSetting {
    /// None where Kafka keeps it secret.
    pub value: Option<String>,
    /// It was set on this topic; else it comes from the brokers, and changes with them.
    pub own: bool,
}

/// The brokers that one connection reaches.
#[derive(Debug)]
pub struct Cluster {
    /// What the cluster calls itself. None if it does not say.
    pub id: Option<String>,
    /// Those that are up, by number.
    pub brokers: Vec<Broker>,
}

/// One broker.
#[derive(Debug)]
pub struct Broker {
    /// Its number in the cluster.
    pub id: i32,
    /// Where clients reach it.
    pub address: String,
    /// Its settings by name, without the secret ones. `Refused`: the right to read them is missing; `Away`: it did not
    /// answer.
    pub settings: Result<BTreeMap<String, String>>,
}

impl Kafka {
    /// Looks at these topics, and answers in their order. A topic that nobody may see ends it with `Refused`: whether
    /// that one exists cannot be said.
    pub fn describe_topics(&self, names: &[&str]) -> Result<Vec<TopicState>> {
        let deadline = Deadline::after(self.settings.patience);
        let of_kafka: Vec<String> = names.iter().map(|name| self.topic_name(name)).collect();
        let of_kafka: Vec<&str> = of_kafka.iter().map(String::as_str).collect();
        let mut states = self.topic_states(&self.admin()?, &of_kafka, &deadline)?;
        for (state, name) in states.iter_mut().zip(names) {
            state.name = (*name).to_owned();
        }
        Ok(states)
    }

    /// By the names that Kafka knows.
    pub(super) fn topic_states(
        &self,
        admin: &AdminClient<Ear>,
        names: &[&str],
        deadline: &Deadline,
    ) -> Result<Vec<TopicState>> {
        let mut states = Vec::with_capacity(names.len());
        for name in names {
            states.push(TopicState { name: (*name).to_owned(), found: self.look_at(admin, name, deadline)? });
        }
        let there = states.iter().filter(|state| state.found.is_some());
        let asked: Vec<_> = there.map(|state| ResourceSpecifier::Topic(&state.name)).collect();
        if asked.is_empty() {
            return Ok(states);
        }
        let what = "the settings of topics were not read";
        let options = self.admin_options_within(deadline.left());
        let answers = self.wait_for(what, admin.describe_configs(&asked, &options))?;
        let mut settings = BTreeMap::new();
        for answer in answers.into_iter().flatten() {
            // A right that is missing shows in that there are none at all.
            if let OwnedResourceSpecifier::Topic(name) = answer.specifier
                && !answer.entries.is_empty()
            {
                let entries = answer.entries.into_iter().map(|entry| (entry.name.clone(), setting(entry)));
                settings.insert(name, entries.collect());
            }
        }
        for state in &mut states {
            if let Some(found) = &mut state.found {
                found.settings = settings.remove(&state.name);
            }
        }
        Ok(states)
    }

    /// The partitions of a topic; None if there is no such topic.
    pub(super) fn look_at(
        &self,
        admin: &AdminClient<Ear>,
        name: &str,
        deadline: &Deadline,
    ) -> Result<Option<FoundTopic>> {
        let what = || format!("the topic {name} was not looked at");
        let answer = admin
            .inner()
            .fetch_metadata(Some(name), deadline.left())
            .map_err(|e| self.ear.explain(what(), e))?;
        let Some(topic) = answer.topics().first() else { return Ok(None) };
        match topic.error().map(Code::from) {
            None => Ok(Some(found(topic))),
            Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => Ok(None),
            // It is being made: nobody leads it yet.
            Some(Code::LeaderNotAvailable) => Ok(Some(found(topic))),
            Some(Code::TopicAuthorizationFailed) => {
                let what =
                    format!("the topic {name} may not be seen; allow this user by an ACL to Describe it");
                Err(Error::new(Kind::Refused, what))
            }
            Some(code) => Err(self.ear.explain(what(), KafkaError::MetadataFetch(code))),
        }
    }

    /// Looks at the brokers that are up, and asks each for its settings.
    pub fn describe_brokers(&self) -> Result<Cluster> {
        let (admin, deadline) = (self.admin()?, Deadline::after(self.settings.patience));
        let (client, what) = (admin.inner(), "the brokers were not looked at");
        // The cluster's id comes along with this.
        let answer = client.fetch_metadata(None, deadline.left()).map_err(|e| self.ear.explain(what, e))?;
        let id = client.fetch_cluster_id(deadline.left().min(Duration::from_secs(1)));
        let options = self.admin_options_within(deadline.left());
        // All are asked before the first is waited for: one that hangs takes no time from the others.
        let names: Vec<_> =
            answer.brokers().iter().map(|broker| [ResourceSpecifier::Broker(broker.id())]).collect();
        let asked: Vec<_> = names.iter().map(|name| admin.describe_configs(name, &options)).collect();
        let mut brokers = Vec::with_capacity(asked.len());
        for (broker, future) in answer.brokers().iter().zip(asked) {
            let what = format!("the settings of broker {} were not read", broker.id());
            let settings = self.wait_for(&what, future).and_then(|answers| {
                let entries = answers.into_iter().flatten().flat_map(|answer| answer.entries);
                let named = entries.filter_map(|entry| Some((entry.name, entry.value?)));
                let settings: BTreeMap<String, String> = named.collect();
                if settings.is_empty() {
                    let what = format!("{what}; allow this user by an ACL to DescribeConfigs of the cluster");
                    return Err(Error::new(Kind::Refused, what));
                }
                Ok(settings)
            });
            let address = format!("{}:{}", broker.host(), broker.port());
            brokers.push(Broker { id: broker.id(), address, settings });
        }
        brokers.sort_by_key(|broker| broker.id);
        Ok(Cluster { id, brokers })
    }
}

fn setting(entry: ConfigEntry) -> TopicSetting {
    let own = entry.source == ConfigSource::DynamicTopic;
    TopicSetting { value: entry.value.filter(|_| !entry.is_sensitive), own }
}

fn found(topic: &MetadataTopic) -> FoundTopic {
    let partitions = topic.partitions();
    let fewest = |count: fn(&rdkafka::metadata::MetadataPartition) -> usize| {
        partitions.iter().map(count).min().unwrap_or(0).try_into().unwrap_or(u16::MAX)
    };
    let offline = partitions.iter().filter(|p| p.leader() < 0).map(|p| p.id() as u32);
    FoundTopic {
        partitions: partitions.len() as u32,
        replicas: fewest(|p| p.replicas().len()),
        in_sync: fewest(|p| p.isr().len()),
        offline: offline.collect(),
        settings: None,
    }
}
