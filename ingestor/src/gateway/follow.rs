//! The follower: one thread that reads `audit.sealed` on behalf of those who wait for their events' places. It reads
//! nothing while nobody waits, and knows an event by its hash, or by the Idempotency-Key of an earlier try.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use prometheus::IntGauge;
use runtime::{Deadline, Stop};
use schemas::framing::{SCHEMA_HEADER, schema_of};
use schemas::head::head_schema_hash;
use schemas::{Hash, SealedEvent, Seq, event_hash, event_schema_hash};
use stream::{Batch, Kind, Limit, Stream, topics};
use tokio::sync::{Notify, oneshot};
use tracing::{info, warn};

use super::recall::sent_by;
use super::window::Sent;

const LIMIT: Limit = Limit { records: 10_000, bytes: 16 << 20 };
/// How long all that are followed are waited for together, before it looks whether somebody came or left.
const WAIT: Duration = Duration::from_millis(100);
/// How long one is waited for, however many are followed.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// After an error.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a chain that cannot be read is left alone, so that it does not take the others' time.
const REST: Duration = Duration::from_secs(30);
/// How long at a time it looks behind, before those who look ahead have their turn.
const TURN: Duration = Duration::from_secs(1);
/// How long, at most, it looks behind for the same.
const BEHIND: Duration = Duration::from_secs(10);
/// How far back a repeated item is looked for, in records of its chain.
const BACK: u64 = 50_000;

/// How an event is known when it comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    /// By its event_hash: it was written just now.
    Event(Hash),
    /// By what its sender would call it, and what it said: it was written at an earlier try.
    Sent(Sent),
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub seq: Seq,
    pub hash: Hash,
}

/// What was found for one request, item by item. Whoever waits holds it; the follower forgets who is gone.
pub(super) struct Found {
    places: Mutex<Vec<Option<Place>>>,
    missing: AtomicUsize,
    changed: Notify,
}

impl Found {
    /// Waits until all that is wanted was found.
    pub async fn all(&self) {
        while self.missing.load(Ordering::SeqCst) > 0 {
            self.changed.notified().await;
        }
    }

    /// What was found so far.
    pub fn places(&self) -> Vec<Option<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, index: usize, place: Place) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places[index].replace(place).is_none() && self.missing.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.changed.notify_one();
        }
    }
}

/// What comes to the follower.
pub(super) enum Ask {
    /// From where on what is appended after the answer will stand. Whoever asks may have given up by then.
    Mark { chain: u32, answer: oneshot::Sender<Result<u64, stream::Error>> },
    /// Look for these, each with the number of its item, from there on.
    Find { chain: u32, from: u64, wanted: Vec<(Wanted, usize)>, found: Weak<Found> },
    /// Nobody waits any more.
    End,
}

/// What to hold for a request of so many items, of which so many are looked for.
pub(super) fn found(items: usize, wanted: usize) -> Arc<Found> {
    Arc::new(Found {
        places: Mutex::new(vec![None; items]),
        missing: AtomicUsize::new(wanted),
        changed: Notify::new(),
    })
}

type Waiting = HashMap<Wanted, Vec<(Weak<Found>, usize)>>;

/// The thread's state.
pub(super) struct Follower {
    stream: Arc<dyn Stream>,
    followed: BTreeMap<u32, Followed>,
    /// Where repeated items are looked for, one after the other. It never holds up those who look ahead.
    behind: VecDeque<Behind>,
    /// Chains that could not be read.
    resting: BTreeMap<u32, Deadline>,
    batch: Batch,
    /// Items that are looked for.
    looked_for: IntGauge,
    /// Nobody is to wait any more, whatever is asked.
    ended: Arc<AtomicBool>,
    /// The last read failed; said once.
    failing: bool,
}

/// A chain on which somebody waits.
struct Followed {
    next: u64,
    /// How far it was read, whoever has come since.
    seen: u64,
    waiting: Waiting,
}

/// A stretch of a chain that was sealed before somebody asked for it.
struct Behind {
    chain: u32,
    next: u64,
    end: u64,
    /// From then on it is given up. None: it is not begun, and others may still join.
    until: Option<Deadline>,
    waiting: Waiting,
}

fn forget_the_gone(waiting: &mut Waiting) {
    waiting.retain(|_, who| {
        who.retain(|(found, _)| found.strong_count() > 0);
        !who.is_empty()
    });
}

fn saw(waiting: &mut Waiting, wanted: &Wanted, place: Place) {
    for (found, index) in waiting.remove(wanted).unwrap_or_default() {
        if let Some(found) = found.upgrade() {
            found.put(index, place);
        }
    }
}

impl Follower {
    pub fn new(stream: Arc<dyn Stream>, looked_for: IntGauge, ended: Arc<AtomicBool>) -> Follower {
        let (followed, behind, resting, batch, failing) = Default::default();
        Follower { stream, followed, behind, resting, batch, looked_for, ended, failing }
    }

    /// Follows until the end is said.
    pub fn run(mut self, inbox: &Receiver<Ask>) {
        while !self.ended.load(Ordering::SeqCst) {
            let asked = match self.followed.is_empty() && self.behind.is_empty() {
                true => inbox.recv().map_err(|_| TryRecvError::Disconnected),
                false => inbox.try_recv(),
            };
            match asked {
                Ok(Ask::End) | Err(TryRecvError::Disconnected) => break,
                Ok(ask) if !self.ended.load(Ordering::SeqCst) => self.take(ask),
                Ok(_) => break,
                Err(TryRecvError::Empty) => self.look(),
            }
        }
        self.looked_for.set(0);
    }

    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Mark { chain, answer } if !answer.is_closed() => {
                let _ = answer.send(self.end_of(chain));
            }
            Ask::Find { chain, from, wanted, found } => {
                let repeats: Vec<_> =
                    wanted.iter().filter(|(wanted, _)| matches!(wanted, Wanted::Sent(_))).copied().collect();
                if !repeats.is_empty() {
                    self.look_behind(chain, from, repeats, &found);
                }
                let followed = self.followed.entry(chain).or_insert_with(|| Followed {
                    next: from,
                    seen: from,
                    waiting: Waiting::new(),
                });
                // What stands between was read before it was known that it is wanted.
                followed.next = followed.next.min(from);
                for (wanted, index) in wanted {
                    followed.waiting.entry(wanted).or_default().push((found.clone(), index));
                }
            }
            Ask::Mark { .. } | Ask::End => {}
        }
    }

    /// Where what is sealed from now on will stand.
    fn end_of(&mut self, chain: u32) -> Result<u64, stream::Error> {
        let lane = topics::sealed(chain);
        if rests(&self.resting, chain) {
            return Err(stream::Error::new(Kind::Away, format!("{lane} could not be read a moment ago")));
        }
        if let Some(followed) = self.followed.get(&chain) {
            return Ok(followed.seen);
        }
        match self.stream.last(&lane) {
            Ok(last) => Ok(last.last().map_or(0, |record| record.offset + 1)),
            Err(error) => {
                self.resting.insert(chain, Deadline::after(REST));
                Err(error)
            }
        }
    }

    /// Looks for repeated items before `end` as well, together with others who wait for the same.
    fn look_behind(&mut self, chain: u32, end: u64, wanted: Vec<(Wanted, usize)>, found: &Weak<Found>) {
        let next = end.saturating_sub(BACK);
        let joined = self.behind.iter().position(|behind| behind.chain == chain && behind.until.is_none());
        let at = joined.unwrap_or_else(|| {
            self.behind.push_back(Behind { chain, next, end, until: None, waiting: Waiting::new() });
            self.behind.len() - 1
        });
        if let Some(behind) = self.behind.get_mut(at) {
            (behind.next, behind.end) = (behind.next.min(next), behind.end.max(end));
            for (wanted, index) in wanted {
                behind.waiting.entry(wanted).or_default().push((found.clone(), index));
            }
        }
    }

    /// Reads on, once, wherever somebody waits.
    fn look(&mut self) {
        let mut failed = self.look_at_behind().is_err();
        let wait = (WAIT / self.followed.len().max(1) as u32).max(LEAST_WAIT);
        for (chain, followed) in &mut self.followed {
            forget_the_gone(&mut followed.waiting);
            if followed.waiting.is_empty() || rests(&self.resting, *chain) {
                continue;
            }
            let Followed { next, waiting, .. } = followed;
            let read = read_on(&*self.stream, *chain, next, waiting, &mut self.batch, wait);
            followed.seen = followed.seen.max(followed.next);
            match read {
                Ok(()) => drop(self.resting.remove(chain)),
                Err(error) => {
                    say_once(self.failing, &error);
                    self.resting.insert(*chain, Deadline::after(REST));
                    failed = true;
                }
            }
        }
        if self.failing && !failed && self.resting.is_empty() {
            info!("audit.sealed can be read again for those who wait");
            self.failing = false;
        }
        self.failing |= failed;
        if failed || self.followed.keys().all(|chain| rests(&self.resting, *chain)) {
            Stop::new().wait(PAUSE);
        }
        self.resting.retain(|_, until| !until.passed());
        self.followed.retain(|_, followed| !followed.waiting.is_empty());
        self.looked_for.set(self.followed.values().map(|followed| followed.waiting.len() as i64).sum());
    }

    /// Goes on with the first search behind, for a while: each turn between there and ahead has its price on Kafka.
    fn look_at_behind(&mut self) -> Result<(), stream::Error> {
        let turn = Deadline::after(TURN);
        let mut read = Ok(());
        while let Some(behind) = self.behind.front_mut() {
            forget_the_gone(&mut behind.waiting);
            let given_up = behind.until.get_or_insert_with(|| Deadline::after(BEHIND)).passed();
            if behind.waiting.is_empty() || behind.next >= behind.end || given_up {
                self.behind.pop_front();
                break;
            }
            if turn.passed() || read.is_err() {
                break;
            }
            let Behind { chain, next, waiting, .. } = behind;
            read = read_on(&*self.stream, *chain, next, waiting, &mut self.batch, WAIT);
        }
        read.inspect_err(|error| say_once(self.failing, error))
    }
}

fn rests(resting: &BTreeMap<u32, Deadline>, chain: u32) -> bool {
    resting.get(&chain).is_some_and(|until| !until.passed())
}

fn say_once(said: bool, error: &stream::Error) {
    if !said {
        warn!("whoever waits for a place waits longer: {error}");
    }
}

fn read_on(
    stream: &dyn Stream,
    chain: u32,
    next: &mut u64,
    waiting: &mut Waiting,
    batch: &mut Batch,
    wait: Duration,
) -> Result<(), stream::Error> {
    batch.clear(LIMIT.bytes);
    if let Err(error) = stream.read(&topics::sealed(chain), *next, batch, LIMIT, wait) {
        return match error.kind() {
            // Trimmed, or the topic is another one: what there is counts.
            Kind::OutOfRange { start, .. } if start != *next => {
                *next = start;
                Ok(())
            }
            _ => Err(error),
        };
    }
    let repeats = waiting.keys().any(|wanted| matches!(wanted, Wanted::Sent(_)));
    for record in batch.iter() {
        *next = record.offset + 1;
        let (Ok(schema), Some(datum)) = (schema_of(record.headers.get(SCHEMA_HEADER)), record.value) else {
            continue;
        };
        if schema == head_schema_hash() {
            continue;
        }
        let Ok(sealed) = SealedEvent::parse(datum) else { continue };
        let place = Place { seq: sealed.seq, hash: sealed.hash };
        saw(waiting, &Wanted::Event(event_hash(&schema, sealed.event_bytes)), place);
        if repeats
            && schema == event_schema_hash()
            && let Ok(Some(sent)) = sent_by(sealed.event_bytes)
        {
            saw(waiting, &Wanted::Sent(sent), place);
        }
    }
    Ok(())
}
