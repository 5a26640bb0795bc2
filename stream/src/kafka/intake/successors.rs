//! Whether the topics that are read are those that were read: one that was deleted and made anew under its name is not.
//!
//! Three things tell. The record before a position, by its mark (`inlets.rs`), where the position has outlived the topic.
//! That a topic was read and has no position any more, when a claim begins. And that a position has gone since the last
//! commit, while the topic is read. All this is for topics of others: a chain looks itself whether its source is the one
//! that it knows.

use std::sync::Arc;

use rdkafka::consumer::Consumer;

use super::{Intake, REMEDY};
use crate::kafka::group::GroupConsumer;
use crate::kafka::known::BesidePosition;
use crate::kafka::positions::{Committed, committed};
use crate::{Error, Kind, Lane, Result};

impl Intake {
    /// Refuses a topic that the group has read and has no position in any more.
    pub(super) fn check_topics(&mut self, group: &GroupConsumer) -> Result<()> {
        let feed = Arc::clone(&self.feed);
        let memo = BesidePosition { group, settings: &feed.settings };
        for topic in self.inlets.by_name.keys() {
            let has_position = self.inlets.has_position(topic);
            let is_known = !has_position
                && self.known.has(&memo, topic).map_err(|e| {
                    feed.ear
                        .explain(format!("which topics the group {} has read was not read", self.group), e)
                })?;
            if is_known && !self.group_has_any(group, topic)? {
                let what = format!(
                    "the group {} has read {topic} before and has no position in it any more: the topic was deleted \
                     and made anew, or the position was. {REMEDY}",
                    self.group
                );
                return Err(Error::new(Kind::Refused, what));
            }
        }
        self.remember(group);
        Ok(())
    }

    /// Whether the group has a position in any lane of the topic; most of them may be others' to read.
    fn group_has_any(&self, group: &GroupConsumer, topic: &str) -> Result<bool> {
        let found = group.fetch_metadata(Some(topic), self.feed.settings.patience).map_err(|e| {
            self.feed.ear.explain(format!("Kafka was not asked for the partitions of {topic}"), e)
        })?;
        let partitions = found.topics().iter().map(|found| found.partitions().len()).max().unwrap_or(0);
        let lanes: Vec<Lane> = (0..partitions as u32).map(|partition| Lane::new(topic, partition)).collect();
        Ok(self.positions_of(group, &lanes)?.iter().any(Option::is_some))
    }

    fn remember(&mut self, group: &GroupConsumer) {
        let topics = self.inlets.by_name.keys().map(String::as_str);
        let read = topics.filter(|topic| self.inlets.has_position(topic));
        let memo = BesidePosition { group, settings: &self.feed.settings };
        self.has_news = !self.known.remember(&memo, read);
    }

    /// Positions were committed: what there is to remember is remembered.
    pub fn committed(&mut self, group: &GroupConsumer) {
        if self.is_foreign && (self.has_news || self.known.is_stale()) {
            self.remember(group);
        }
    }

    /// Those of these lanes that the group has a position in, as Kafka knows them; none where sources are our own.
    pub fn with_position(&self, lanes: &[(Lane, u64)]) -> Vec<Lane> {
        let known = lanes.iter().filter_map(|(lane, _)| self.inlets.get(lane));
        let known = known.filter(|inlet| inlet.has_position && self.is_foreign);
        known.map(|inlet| inlet.place.clone()).collect()
    }

    /// Refuses to go on if the group has no position any more in one of these lanes, where it had one: Kafka forgets
    /// positions with their topic, so it is another topic that is read now, and its first records were passed over.
    pub fn check_positions(&self, group: &GroupConsumer, places: &[Lane]) -> Result<()> {
        if places.is_empty() {
            return Ok(());
        }
        let found = self.positions_of(group, places)?;
        let Some((place, _)) = places.iter().zip(found).find(|(_, found)| found.is_none()) else {
            return Ok(());
        };
        let what = format!(
            "the group {} has lost its position in {place}: the topic was deleted and made anew while it was read, or \
             the position was deleted. {REMEDY}",
            self.group
        );
        Err(Error::new(Kind::Refused, what))
    }

    pub(super) fn positions_of(
        &self,
        group: &GroupConsumer,
        places: &[Lane],
    ) -> Result<Vec<Option<Committed>>> {
        committed(group, places, self.feed.settings.patience).map_err(|e| {
            self.feed.ear.explain(format!("the positions of the group {} were not read", self.group), e)
        })
    }
}
