//! The positions that groups have committed, many lanes in one request, each with the mark that stands beside it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::failure::Ear;
use super::hear_events;
use super::mark::Mark;
use super::settings::Settings;
use crate::{Lane, Result};

/// Making a client and letting it find its group's coordinator takes 100 ms: those of the last groups are kept.
const MOST_KEPT: usize = 2;

/// Where a group stands in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    /// One past the last record that was taken.
    pub offset: u64,
    /// Of the record before it. None: the position was committed by other means, or without knowing the record.
    pub mark: Option<Mark>,
}

impl Committed {
    /// Adds it to what is to be committed for `lane`, which is as Kafka knows it.
    pub fn put(self, list: &mut TopicPartitionList, lane: &Lane) -> Result<(), KafkaError> {
        put(list, lane, self.offset, self.mark.map(Mark::text).as_deref())
    }
}

/// Adds a position to what is to be committed, with what is to stand beside it.
pub(super) fn put(
    list: &mut TopicPartitionList,
    lane: &Lane,
    offset: u64,
    beside: Option<&str>,
) -> Result<(), KafkaError> {
    let mut element = list.add_partition(&lane.topic, lane.partition as i32);
    element.set_offset(Offset::Offset(offset as i64))?;
    if let Some(beside) = beside {
        element.set_metadata(beside);
    }
    Ok(())
}

/// What the group of `client` has committed for each of `lanes`, which are as Kafka knows them.
pub(super) fn committed<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    lanes: &[Lane],
    patience: Duration,
) -> Result<Vec<Option<Committed>>, KafkaError> {
    let with_mark = |(offset, beside): (u64, String)| Committed { offset, mark: Mark::parse(&beside) };
    let found = committed_as_it_stands(client, lanes, patience)?;
    Ok(found.into_iter().map(|position| position.map(with_mark)).collect())
}

/// The same, with whatever stands beside each position.
pub(super) fn committed_as_it_stands<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    lanes: &[Lane],
    patience: Duration,
) -> Result<Vec<Option<(u64, String)>>, KafkaError> {
    let mut asked = TopicPartitionList::with_capacity(lanes.len());
    for lane in lanes {
        asked.add_partition(&lane.topic, lane.partition as i32);
    }
    let found = client.committed_offsets(asked, patience)?;
    let position = |element: &TopicPartitionListElem| {
        element.error()?;
        // rdkafka panics at metadata that is no text, and anyone in the group may have left some.
        let beside = || catch_unwind(AssertUnwindSafe(|| element.metadata().to_owned())).unwrap_or_default();
        Ok(match element.offset() {
            Offset::Offset(offset) => Some((offset as u64, beside())),
            _ => None,
        })
    };
    // The answer stands in the order of the question; to look each lane up would be a search through all of them.
    found.elements().iter().map(position).collect()
}

/// Asks for the positions of whatever group.
pub(super) struct Positions {
    settings: Arc<Settings>,
    ear: Ear,
    /// By the group's name, the last used at the end.
    kept: Mutex<Vec<(String, BaseConsumer<Ear>)>>,
}

impl Positions {
    /// Nothing asked yet.
    pub fn new(settings: Arc<Settings>, ear: Ear) -> Positions {
        Positions { settings, ear, kept: Mutex::default() }
    }

    /// `Groups::positions`.
    pub fn of(&self, group: &str, lanes: &[Lane]) -> Result<Vec<Option<u64>>> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let group = self.settings.names.group(group);
        let failed = |e| self.ear.explain(format!("the positions of the group {group} were not read"), e);
        let client = match self.take_kept(&group) {
            Some(client) => client,
            None => self.settings.reader(&group).create_with_context(self.ear.clone()).map_err(failed)?,
        };
        let lanes: Vec<Lane> = lanes.iter().map(|lane| self.settings.names.lane(lane)).collect();
        let found = committed(&client, &lanes, self.settings.patience);
        hear_events(&client);
        let found = found.map_err(failed)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (kept.len() >= MOST_KEPT).then(|| kept.remove(0));
        kept.push((group.into_owned(), client));
        drop(kept);
        drop(oldest);
        Ok(found.into_iter().map(|position| position.map(|position| position.offset)).collect())
    }

    fn take_kept(&self, group: &str) -> Option<BaseConsumer<Ear>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(|(of, _)| of == group)?;
        Some(kept.remove(found).1)
    }
}
