//! The topics that a group has read, remembered where none of them is: Kafka forgets a group's positions together with
//! their topic, and a topic that was deleted and made anew would look like one that nobody has read yet. Its events would
//! get the ids of others.
//!
//! What is remembered stands in the metadata of a position that the group has in `audit.events/0`, which it never reads:
//! `sealog/topics/1:` and for each topic the first 4 bytes of the SHA-256 of its name, in hex. Kafka takes 4 KiB there,
//! so 500 topics are remembered.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use runtime::Deadline;
use sha2::{Digest, Sha256};

use super::group::GroupConsumer;
use super::positions::{committed_as_it_stands, put};
use super::settings::Settings;
use crate::{Lane, topics};

const KIND: &str = "sealog/topics/1:";
const MOST_TOPICS: usize = 500;
/// Kafka forgets a position in a topic that the group does not read, by default seven days after it was committed.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// What one claim knows of it.
#[derive(Default)]
pub(super) struct Known {
    /// As it stands in Kafka. None: not read yet.
    kept: Option<BTreeSet<u32>>,
    /// Until when it need not be written again.
    fresh: Option<Deadline>,
    has_warned: bool,
}

impl Known {
    /// Whether it is time to write it again.
    pub fn is_stale(&self) -> bool {
        self.fresh.as_ref().is_none_or(Deadline::passed)
    }

    /// Whether the group has read the topic, which is named as Kafka knows it.
    pub fn has(&mut self, memo: &impl Memo, topic: &str) -> Result<bool, KafkaError> {
        if self.kept.is_none() {
            self.kept = Some(self.read(memo)?);
        }
        Ok(self.kept.as_ref().is_some_and(|kept| kept.contains(&name_hash(topic))))
    }

    /// The group has positions in these topics. False: it could not be kept now, and is to be tried again.
    pub fn remember<'t>(&mut self, memo: &impl Memo, topics: impl Iterator<Item = &'t str>) -> bool {
        let topics: BTreeSet<u32> = topics.map(name_hash).collect();
        if topics.is_empty()
            || (!self.is_stale() && self.kept.as_ref().is_some_and(|kept| kept.is_superset(&topics)))
        {
            return true;
        }
        // Others of the group may have written since.
        let done = self.read(memo).and_then(|mut all| {
            all.extend(topics);
            if all.len() > MOST_TOPICS {
                let number = all.len();
                self.warn(&format!("{number} topics are more than the {MOST_TOPICS} that can be remembered"));
            } else {
                let hashes: String = all.iter().map(|hash| format!("{hash:08x}")).collect();
                memo.write(&format!("{KIND}{hashes}"))?;
                self.kept = Some(all);
            }
            self.fresh = Some(Deadline::after(FRESH));
            Ok(())
        });
        done.map_err(|error| self.warn(&error.to_string())).is_ok()
    }

    /// What may not be read is nothing. What only could not be read now is not taken for nothing: it would be written
    /// anew without what others have remembered.
    fn read(&mut self, memo: &impl Memo) -> Result<BTreeSet<u32>, KafkaError> {
        match memo.read() {
            Ok(text) => Ok(text.and_then(|text| parse(&text)).unwrap_or_default()),
            Err(error) if error.rdkafka_error_code() == Some(Code::TopicAuthorizationFailed) => {
                self.warn(&error.to_string());
                Ok(BTreeSet::new())
            }
            Err(error) => Err(error),
        }
    }

    fn warn(&mut self, why: &str) {
        if !std::mem::replace(&mut self.has_warned, true) {
            tracing::warn!(
                "which topics were read cannot be remembered, so one that is deleted and made anew will not be noticed: \
                 {why}; let this user Read audit.events"
            );
        }
    }
}

/// The place where it is kept, for a group.
pub(super) trait Memo {
    /// What stands there. None: nothing.
    fn read(&self) -> Result<Option<String>, KafkaError>;

    /// Puts this in the place of what stands there.
    fn write(&self, text: &str) -> Result<(), KafkaError>;
}

/// Beside the group's position in `audit.events/0`.
pub(super) struct BesidePosition<'a> {
    pub group: &'a GroupConsumer,
    pub settings: &'a Settings,
}

impl BesidePosition<'_> {
    fn place(&self) -> Lane {
        self.settings.names.lane(&topics::events(0))
    }
}

impl Memo for BesidePosition<'_> {
    fn read(&self) -> Result<Option<String>, KafkaError> {
        let found = committed_as_it_stands(self.group, &[self.place()], self.settings.patience)?;
        Ok(found.into_iter().flatten().map(|(_, beside)| beside).next())
    }

    fn write(&self, text: &str) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        put(&mut list, &self.place(), 0, Some(text))?;
        self.group.commit(&list, CommitMode::Sync)
    }
}

fn parse(metadata: &str) -> Option<BTreeSet<u32>> {
    let hashes = metadata.strip_prefix(KIND)?.as_bytes().chunks(8);
    Some(hashes.filter_map(|hash| u32::from_str_radix(std::str::from_utf8(hash).ok()?, 16).ok()).collect())
}

fn name_hash(topic: &str) -> u32 {
    Sha256::digest(topic).first_chunk().map_or(0, |first| u32::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// A memo that others of the group write too. Each read and each write takes the next failure from the plan.
    #[derive(Default)]
    struct Shared {
        text: RefCell<Option<String>>,
        reads_fail_with: Cell<Option<Code>>,
        writes_fail_with: Cell<Option<Code>>,
    }

    impl Shared {
        fn topics(&self) -> BTreeSet<u32> {
            self.text.borrow().as_deref().and_then(parse).unwrap_or_default()
        }
    }

    impl Memo for Shared {
        fn read(&self) -> Result<Option<String>, KafkaError> {
            match self.reads_fail_with.take() {
                Some(code) => Err(KafkaError::OffsetFetch(code)),
                None => Ok(self.text.borrow().clone()),
            }
        }

        fn write(&self, text: &str) -> Result<(), KafkaError> {
            match self.writes_fail_with.take() {
                Some(code) => Err(KafkaError::ConsumerCommit(code)),
                None => {
                    *self.text.borrow_mut() = Some(text.to_owned());
                    Ok(())
                }
            }
        }
    }

    fn hashes<const N: usize>(topics: [&str; N]) -> BTreeSet<u32> {
        topics.into_iter().map(name_hash).collect()
    }

    #[test]
    fn a_read_that_fails_is_an_error_and_is_done_again_when_next_asked() {
        let memo = Shared::default();
        assert!(Known::default().remember(&memo, ["app", "web"].into_iter()));
        let mut known = Known::default();
        for code in [Code::OperationTimedOut, Code::NotCoordinator] {
            memo.reads_fail_with.set(Some(code));
            let error = known.has(&memo, "app").unwrap_err();
            assert_eq!(error.rdkafka_error_code(), Some(code));
        }
        assert_eq!(known.has(&memo, "app"), Ok(true));
        assert_eq!(known.has(&memo, "another"), Ok(false));
    }

    #[test]
    fn nothing_is_written_over_what_could_not_be_read_and_it_is_tried_again() {
        let memo = Shared::default();
        assert!(Known::default().remember(&memo, ["of.others"].into_iter()));
        let mut known = Known::default();
        memo.reads_fail_with.set(Some(Code::OperationTimedOut));
        assert!(!known.remember(&memo, ["app"].into_iter()), "to be tried again");
        assert_eq!(memo.topics(), hashes(["of.others"]));
        memo.writes_fail_with.set(Some(Code::OperationTimedOut));
        assert!(!known.remember(&memo, ["app"].into_iter()), "to be tried again");
        assert!(known.is_stale());
        assert!(known.remember(&memo, ["app"].into_iter()));
        assert_eq!(memo.topics(), hashes(["of.others", "app"]));
        assert!(!known.is_stale());
    }

    #[test]
    fn what_may_not_be_read_is_nothing() {
        let memo = Shared::default();
        assert!(Known::default().remember(&memo, ["app"].into_iter()));
        memo.reads_fail_with.set(Some(Code::TopicAuthorizationFailed));
        assert_eq!(Known::default().has(&memo, "app"), Ok(false));
    }

    #[test]
    fn more_topics_than_there_is_room_for_are_not_read_back_at_every_commit() {
        let memo = Shared::default();
        assert!(Known::default().remember(&memo, ["of.others"].into_iter()));
        let many: Vec<String> = (0..MOST_TOPICS).map(|n| format!("topic-{n}")).collect();
        let mut known = Known::default();
        assert!(known.remember(&memo, many.iter().map(String::as_str)));
        assert_eq!(memo.topics(), hashes(["of.others"]), "it stays as it was");
        assert!(!known.is_stale());
    }

    #[test]
    fn what_is_remembered_is_found_again_for_ever() {
        assert_eq!(name_hash("app.audit"), 0x78d4_2381);
        assert_eq!(parse("sealog/topics/1:"), Some(BTreeSet::new()));
        assert_eq!(parse("sealog/topics/1:0000000aDEADBEEF"), Some(BTreeSet::from([10, 0xdead_beef])));
        assert_eq!((parse(""), parse("sealog/1:00")), (None, None));
        let most = KIND.len() + 8 * MOST_TOPICS;
        assert!(most <= 4096, "Kafka takes no {most} bytes beside a position");
    }
}
