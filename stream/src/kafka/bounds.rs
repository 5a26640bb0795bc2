//! What lanes hold, asked until somebody can say it.
//!
//! Of a lane that nobody leads librdkafka says the same as of one that is not there, or that this user may not see: an
//! unknown partition. The first passes. It comes whenever a cluster takes a broker for dead, be it for a moment, and
//! lasts until one of the lane's replicas is back. So the brokers are asked what there is, which also renews what the
//! client remembers of it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataTopic;
use runtime::{Deadline, Stop};

use super::failure::{Ear, is_unknown_lane};
use crate::{Error, Lane, Result};

/// How long the brokers are given before they are asked again.
const SETTLE: Duration = Duration::from_millis(50);
/// How long a lane may be missing: a broker that has just started, or one that was not there when the lane was made, may
/// not know it yet.
const LOOK_FOR_LANE: Duration = Duration::from_secs(5);

/// What the brokers say of a lane that the client knows nobody to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// It is there. Whether somebody leads it changes by itself.
    There,
    /// It is not.
    Missing,
    /// Only an administrator can change it.
    Forbidden,
}

/// What one lane holds: its first offset, and one past the last that is committed for sure.
pub(super) fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    ear: &Ear,
    lane: &Lane,
    patience: Duration,
) -> Result<(u64, u64)> {
    asked_until_known(consumer, &[lane], patience, |wait| {
        let (start, end) = consumer.fetch_watermarks(&lane.topic, lane.partition as i32, wait)?;
        Ok((start.max(0) as u64, end.max(0) as u64))
    })
    .map_err(|error| not_read(ear, lane, error))
}

/// The error of lanes, by their names, whose bounds were not read.
pub(super) fn not_read(ear: &Ear, lanes: impl Display, error: KafkaError) -> Error {
    let without_leader = error.rdkafka_error_code() == Some(Code::LeaderNotAvailable);
    let hint =
        if without_leader { "; no broker leads it, see whether those that keep it are up" } else { "" };
    ear.explain(format!("the bounds of {lanes} were not read{hint}"), error)
}

/// Asks about these lanes, which are as Kafka knows them, until there is an answer that does not pass; for so long at
/// most as a verb may take.
pub(super) fn asked_until_known<C: ConsumerContext, T>(
    consumer: &BaseConsumer<C>,
    lanes: &[&Lane],
    patience: Duration,
    ask: impl Fn(Duration) -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    let deadline = Deadline::after(patience);
    let missing = Deadline::after(patience.min(LOOK_FOR_LANE));
    loop {
        let error = match ask(deadline.left()) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let (error, left) = match error.rdkafka_error_code() {
            Some(code) if passes(code) => (error, deadline.left()),
            Some(code) if is_unknown_lane(code) => match look_at(consumer, lanes, deadline.left()) {
                Ok(Seen::There) => (KafkaError::MetadataFetch(Code::LeaderNotAvailable), deadline.left()),
                Ok(Seen::Missing) => (error, missing.left()),
                Ok(Seen::Forbidden) => return Err(error),
                // That nobody could be asked is the news, and no word about the lane.
                Err(unanswered) => (unanswered, deadline.left()),
            },
            _ => return Err(error),
        };
        if left < SETTLE {
            return Err(error);
        }
        Stop::new().wait(SETTLE);
    }
}

/// A lane whose leader has just died, or has just begun to lead.
fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::NotLeaderForPartition
            | Code::LeaderNotAvailable
            | Code::OffsetNotAvailable
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
    )
}

/// The worst that is said of any of these lanes.
fn look_at<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    lanes: &[&Lane],
    wait: Duration,
) -> Result<Seen, KafkaError> {
    let deadline = Deadline::after(wait);
    let topics: BTreeSet<&str> = lanes.iter().map(|lane| &*lane.topic).collect();
    let mut worst = Seen::There;
    for name in topics {
        let answer = consumer.fetch_metadata(Some(name), deadline.left())?;
        let found = answer.topics().first();
        let is_there = |lane: &&Lane| {
            let partitions = found.map(MetadataTopic::partitions).unwrap_or_default();
            partitions.iter().any(|partition| partition.id() == lane.partition as i32)
        };
        let has_all = lanes.iter().filter(|lane| *lane.topic == *name).all(is_there);
        let said = found.and_then(MetadataTopic::error).map(Code::from);
        worst = worst.max(seen(said, has_all));
    }
    Ok(worst)
}

/// What it means that the brokers say this of a topic, and name all of its lanes that were asked for, or not.
fn seen(said: Option<Code>, has_all: bool) -> Seen {
    match said {
        Some(Code::TopicAuthorizationFailed) => Seen::Forbidden,
        None | Some(Code::LeaderNotAvailable) if has_all => Seen::There,
        _ => Seen::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_without_a_leader_is_there_and_one_that_may_not_be_seen_is_not_waited_for() {
        assert_eq!(seen(None, true), Seen::There);
        assert_eq!(seen(Some(Code::LeaderNotAvailable), true), Seen::There);
        assert_eq!(seen(None, false), Seen::Missing);
        assert_eq!(seen(Some(Code::UnknownTopicOrPartition), false), Seen::Missing);
        assert_eq!(seen(Some(Code::TopicAuthorizationFailed), false), Seen::Forbidden);
    }
}
