//! Whether a client that lives long is still answered.
//!
//! librdkafka forgets a broker that the cluster takes for dead. Where it was the last one, the client may be left with
//! none to ask, for ever, and says nothing: who reads gets no records, who is in a group no lanes
//! (confluentinc/librdkafka#5301). A broker alone is taken for dead by itself, after a pause longer than its session and
//! for a moment at each start. So the client is asked now and then; one that has had no answer for long is given up,
//! and its successor begins with the addresses that it was given.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use runtime::Deadline;

use super::failure::Ear;
use crate::Result;

const EVERY: Duration = Duration::from_secs(5);
/// One that has not answered is asked again after this, and waited for as long.
const AGAIN: Duration = Duration::from_secs(1);

/// Of one client.
pub(super) struct Pulse {
    next: Deadline,
    patience: Duration,
    given_up: Deadline,
    /// It was asked and did not answer. A process that was frozen has missed the time without having asked.
    asked_in_vain: bool,
}

impl Pulse {
    /// Of a client that has just been made.
    pub fn new(patience: Duration) -> Pulse {
        let given_up = Deadline::after(EVERY + patience);
        Pulse { next: Deadline::after(EVERY), patience, given_up, asked_in_vain: false }
    }

    /// Asks about `topic`, as Kafka knows it, when it is time to. `Away`: there has been no answer for the whole
    /// patience.
    pub fn feel<C: ConsumerContext>(
        &mut self,
        client: &BaseConsumer<C>,
        ear: &Ear,
        topic: &str,
    ) -> Result<()> {
        if !self.next.passed() {
            return Ok(());
        }
        match client.fetch_metadata(Some(topic), AGAIN) {
            Ok(_) => *self = Pulse::new(self.patience),
            Err(error) if self.asked_in_vain && self.given_up.passed() => {
                return Err(ear.explain("no broker has answered for long; asking anew", error));
            }
            Err(_) => (self.next, self.asked_in_vain) = (Deadline::after(AGAIN), true),
        }
        Ok(())
    }
}
