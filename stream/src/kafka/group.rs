//! The client of a member that is in its group: what the group gives and takes comes to it.

use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::failure::Ear;
use super::feed::listed;
use super::hold::Holds;
use super::settings::Settings;
use crate::Lane;

/// The client.
pub(super) type GroupConsumer = BaseConsumer<Rebalances>;

/// The group's side of a member: what it gives and takes comes here, on the thread that polls.
pub(super) struct Rebalances {
    ear: Ear,
    settings: Arc<Settings>,
    holds: Arc<Holds>,
}

impl Rebalances {
    /// Hears for `holds`.
    pub fn new(settings: Arc<Settings>, ear: Ear, holds: Arc<Holds>) -> Rebalances {
        Rebalances { ear, settings, holds }
    }

    /// Who hears what this client says.
    pub fn ear(&self) -> &Ear {
        &self.ear
    }
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.ear.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.ear.error(error, reason);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, group: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let names = &self.settings.names;
        let lane = |e: &TopicPartitionListElem| Lane::new(names.back(e.topic()), e.partition() as u32);
        let lanes: Vec<Lane> = list.elements().iter().map(lane).collect();
        let done = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // This client fetches nothing: paused, and at the end, so that no committed position is asked for.
            let done = list
                .set_all_offsets(Offset::End)
                .and_then(|()| group.incremental_assign(list))
                .and_then(|()| group.pause(list));
            tracing::debug!(lanes = listed(lanes.iter()), "lanes won");
            self.holds.gain(lanes);
            done
        } else {
            tracing::debug!(lanes = listed(lanes.iter()), "lanes lost");
            self.holds.lose(&lanes);
            group.incremental_unassign(list)
        };
        if let Err(error) = done {
            // librdkafka leaves the group over it and comes back.
            tracing::warn!(%error, "the group's assignment was not followed");
        }
    }
}
