//! A member of a consumer group: it turns the lanes that the group gives into claims.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use runtime::{Deadline, Stop};

use super::claim::KafkaClaim;
use super::failure::Ear;
use super::feed::Feed;
use super::group::{GroupConsumer, Rebalances};
use super::hold::{Hold, Holds};
use super::pulse::Pulse;
use super::settings::Settings;
use super::transaction::Transactions;
use crate::{Claim, Error, Fence, Kind, Member, Result, Role};

/// How often it is looked, while the group has no news, for claims that are ready, and for claims that were dropped.
const LOOK_FOR_READY: Duration = Duration::from_millis(10);
const LOOK_FOR_DROPPED: Duration = Duration::from_millis(100);
/// How long a topic may be missing.
const LOOK_FOR_TOPIC: Duration = Duration::from_secs(5);

/// What became of the attempt to make a claim: the producer, fenced in, where its role has outputs.
type Attempt = (Arc<Hold>, Result<Option<Transactions>>);

/// See the module's text.
pub(super) struct KafkaMember {
    settings: Arc<Settings>,
    ear: Ear,
    /// As Kafka knows it.
    role: Role,
    holds: Arc<Holds>,
    group: Arc<GroupConsumer>,
    feed: Arc<Feed>,
    /// Of the client in the group, and of the one that reads.
    pulses: [Pulse; 2],
    /// Producers are initialised side by side on threads that last as long: 64 chains in 0.6 s instead of 19.
    attempts: (mpsc::Sender<Attempt>, mpsc::Receiver<Attempt>),
    under_way: usize,
}

impl KafkaMember {
    /// Asks to be let in; the lanes come by `poll`.
    pub fn join(settings: Arc<Settings>, ear: Ear, role: &Role) -> Result<KafkaMember> {
        let role = as_kafka_knows_it(role, &settings);
        let whole = matches!(role.fence, Fence::Whole(_));
        let holds = Arc::new(Holds::new(whole));
        let rebalances = Rebalances::new(Arc::clone(&settings), ear.clone(), Arc::clone(&holds));
        let group: GroupConsumer = settings
            .member(&role.group)
            .create_with_context(rebalances)
            .map_err(|e| ear.explain(format!("the Kafka consumer of {} could not be made", role.group), e))?;
        for topic in &role.sources {
            wait_for_topic(&group, &ear, topic, settings.patience)?;
        }
        let feed = Arc::new(Feed::new(Arc::clone(&settings), &ear, &role.group, whole)?);
        let group = Arc::new(group);
        let attempts = mpsc::channel();
        let pulses = [(); 2].map(|()| Pulse::new(settings.patience));
        let member = KafkaMember { settings, ear, role, holds, group, feed, pulses, attempts, under_way: 0 };
        member.subscribe()?;
        Ok(member)
    }

    fn subscribe(&self) -> Result<()> {
        let topics: Vec<&str> = self.role.sources.iter().map(String::as_str).collect();
        self.group
            .subscribe(&topics)
            .map_err(|e| self.ear.explain(format!("the group {} was not joined", self.role.group), e))
    }

    /// Hears what the group and the brokers have to say, for so long at most.
    fn serve(&self, wait: Duration) -> Result<()> {
        self.feed.serve();
        let Some(Err(error)) = self.group.poll(wait) else { return Ok(()) };
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        let down = error.rdkafka_error_code() == Some(Code::AllBrokersDown);
        let no_topic =
            matches!(error.rdkafka_error_code(), Some(Code::UnknownTopicOrPartition | Code::UnknownTopic));
        let error = self.ear.explain(format!("the group {} has a problem", self.role.group), error);
        match error.kind() {
            // It was there when this member joined: a broker that starts, or one that will be asked by the next.
            Kind::Refused if !no_topic => Err(error),
            _ if fatal => Err(Error::caused(Kind::Refused, "this member cannot go on; join anew", error)),
            // Claims live on while brokers come back.
            Kind::Away if down && !self.holds.owns_any() => Err(error),
            _ => {
                tracing::debug!(%error, "kafka");
                Ok(())
            }
        }
    }

    /// Fails when a client of this member has none to ask any more: a member that joins anew has new ones.
    fn feel_pulses(&mut self) -> Result<()> {
        let Some(topic) = self.role.sources.first() else { return Ok(()) };
        let [of_group, of_feed] = &mut self.pulses;
        of_group.feel(&*self.group, &self.ear, topic)?;
        of_feed.feel(&*self.feed.consumer, &self.ear, topic)
    }

    /// Leaves the group and asks to be let in again, so that it says who owns what.
    fn rejoin(&self) -> Result<()> {
        tracing::info!(group = self.role.group, "fenced by another owner: joining anew");
        self.group.unsubscribe();
        let deadline = Deadline::after(self.settings.patience);
        while self.holds.owns_any() && !deadline.passed() {
            self.serve(LOOK_FOR_READY)?;
        }
        self.holds.lose_all();
        self.subscribe()
    }

    /// Begins to make a claim.
    fn attempt(&mut self, hold: Arc<Hold>) -> Result<()> {
        let id = match &self.role.fence {
            Fence::PerLane(name) => Some(format!("{name}/{}", hold.lanes[0].partition)),
            Fence::Whole(name) => Some(name.clone()),
            Fence::Reader => None,
        };
        let (settings, ear) = (Arc::clone(&self.settings), self.ear.clone());
        let done = self.attempts.0.clone();
        self.under_way += 1;
        let make = move || {
            let made = id.map(|id| Transactions::begin_under(&settings, &ear, &id)).transpose();
            // The member may have gone: then the claim goes too.
            let _ = done.send((hold, made));
        };
        if self.role.fence == Fence::Reader {
            make();
            return Ok(());
        }
        match thread::Builder::new().name("kafka-claim".into()).spawn(make) {
            Ok(_) => Ok(()),
            Err(e) => Err(Error::caused(Kind::Away, "no thread could be started for a claim", e)),
        }
    }
}

/// The role with Kafka's names.
fn as_kafka_knows_it(role: &Role, settings: &Settings) -> Role {
    let names = &settings.names;
    Role {
        group: names.group(&role.group).into_owned(),
        sources: role.sources.iter().map(|topic| names.topic(topic).into_owned()).collect(),
        fence: match &role.fence {
            Fence::Whole(id) => Fence::Whole(names.fence(id)),
            Fence::PerLane(id) => Fence::PerLane(names.fence(id)),
            Fence::Reader => Fence::Reader,
        },
    }
}

/// A topic that is not there is a mistake that a group would wait for in silence. A broker that has just started may
/// not know its topics yet, so it is asked for a while.
fn wait_for_topic(group: &GroupConsumer, ear: &Ear, topic: &str, patience: Duration) -> Result<()> {
    let deadline = Deadline::after(patience.min(LOOK_FOR_TOPIC));
    loop {
        let found = group
            .fetch_metadata(Some(topic), patience)
            .map_err(|e| ear.explain(format!("Kafka was not asked for the topic {topic}"), e))?;
        if found.topics().iter().any(|t| !t.partitions().is_empty()) {
            return Ok(());
        }
        if deadline.passed() {
            let what =
                format!("Kafka has no topic {topic}, or shows it to others; create it, or correct its name");
            return Err(Error::new(Kind::Refused, what));
        }
        Stop::new().wait(LOOK_FOR_DROPPED);
    }
}

impl Member for KafkaMember {
    fn poll(&mut self, wait: Duration) -> Result<Option<Box<dyn Claim>>> {
        let deadline = Deadline::after(wait);
        loop {
            let look = if self.under_way > 0 { LOOK_FOR_READY } else { LOOK_FOR_DROPPED };
            self.serve(deadline.left().min(look))?;
            self.feel_pulses()?;
            if self.holds.take_fenced() {
                self.rejoin()?;
            }
            // Thrown out, and the callback that says so has not come yet: a claim now would fence the rightful owner.
            let thrown_out = self.group.assignment_lost();
            if !thrown_out {
                self.holds.take_up().into_iter().try_for_each(|hold| self.attempt(hold))?;
            }
            while let Ok((hold, made)) = self.attempts.1.try_recv() {
                self.under_way -= 1;
                match made {
                    _ if hold.is_lost() || thrown_out => {}
                    Ok(producer) => {
                        let (holds, group) = (Arc::clone(&self.holds), (&self.group, &*self.role.group));
                        return Ok(Some(Box::new(KafkaClaim::new(hold, holds, group, &self.feed, producer))));
                    }
                    Err(error) => {
                        self.holds.give_up(&hold);
                        return Err(error);
                    }
                }
            }
            if deadline.passed() {
                return Ok(None);
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.under_way == 0 && self.holds.is_settled() && !self.group.assignment_lost()
    }
}

impl Drop for KafkaMember {
    /// The consumer leaves the group when it is dropped, so that the others need not wait for a timeout.
    fn drop(&mut self) {
        self.holds.lose_all();
    }
}
