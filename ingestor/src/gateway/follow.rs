//! The follower: one thread that reads `audit.sealed` on behalf of those who wait for their events' places. It reads
//! nothing while nobody waits, and knows an event by its hash, or by the Idempotency-Key of an earlier try.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use prometheus::IntGauge;
use runtime::Stop;
use schemas::framing::{SCHEMA_HEADER, schema_of};
use schemas::head::head_schema_hash;
use schemas::{Hash, SealedEvent, Seq, event_hash, event_schema_hash};
use stream::{Batch, Kind, Limit, Stream, topics};
use tokio::sync::{Notify, oneshot};
use tracing::{info, warn};

use super::recall::sent_by;

const LIMIT: Limit = Limit { records: 10_000, bytes: 16 << 20 };
/// How long all that are followed are waited for together, before it looks whether somebody came or left.
const WAIT: Duration = Duration::from_millis(100);
/// After an error.
const PAUSE: Duration = Duration::from_millis(500);
/// How far back a repeated item is looked for, in records of its chain.
pub(super) const BACK: u64 = 50_000;

/// How an event is known when it comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    /// By its event_hash: it was written just now.
    Event(Hash),
    /// By what its sender would call it: it was written at an earlier try.
    Sent(u128),
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
    /// From where on what is appended after the answer will stand.
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

/// The thread's state.
pub(super) struct Follower {
    stream: Arc<dyn Stream>,
    followed: BTreeMap<u32, Followed>,
    batch: Batch,
    /// Items that are looked for.
    looked_for: IntGauge,
    /// The last read failed; said once.
    failing: bool,
}

/// A chain on which somebody waits.
struct Followed {
    next: u64,
    wanted: HashMap<Wanted, Vec<(Weak<Found>, usize)>>,
}

impl Followed {
    fn forget_the_gone(&mut self) {
        self.wanted.retain(|_, waiting| {
            waiting.retain(|(found, _)| found.strong_count() > 0);
            !waiting.is_empty()
        });
    }

    fn saw(&mut self, wanted: Wanted, place: Place) {
        for (found, index) in self.wanted.remove(&wanted).unwrap_or_default() {
            if let Some(found) = found.upgrade() {
                found.put(index, place);
            }
        }
    }
}

impl Follower {
    pub fn new(stream: Arc<dyn Stream>, looked_for: IntGauge) -> Follower {
        Follower { stream, followed: BTreeMap::new(), batch: Batch::new(), looked_for, failing: false }
    }

    /// Follows until the end is said.
    pub fn run(mut self, inbox: &Receiver<Ask>) {
        loop {
            let asked = match self.followed.is_empty() {
                true => inbox.recv().map_err(|_| TryRecvError::Disconnected),
                false => inbox.try_recv(),
            };
            match asked {
                Ok(Ask::End) | Err(TryRecvError::Disconnected) => break,
                Ok(ask) => self.take(ask),
                Err(TryRecvError::Empty) => self.look(),
            }
        }
        self.looked_for.set(0);
    }

    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Mark { chain, answer } => {
                let end = || {
                    let last = self.stream.last(&topics::sealed(chain))?;
                    Ok(last.last().map_or(0, |record| record.offset + 1))
                };
                let _ = answer.send(self.followed.get(&chain).map_or_else(end, |followed| Ok(followed.next)));
            }
            Ask::Find { chain, from, wanted, found } => {
                let followed = self
                    .followed
                    .entry(chain)
                    .or_insert_with(|| Followed { next: from, wanted: HashMap::new() });
                // Others' events may be read once more: what was found of theirs is not looked for any more.
                followed.next = followed.next.min(from);
                for (wanted, index) in wanted {
                    followed.wanted.entry(wanted).or_default().push((found.clone(), index));
                }
            }
            Ask::End => {}
        }
    }

    /// Reads on, once, wherever somebody waits.
    fn look(&mut self) {
        let wait = WAIT / self.followed.len().max(1) as u32;
        let mut failed = false;
        for (chain, followed) in &mut self.followed {
            followed.forget_the_gone();
            if !followed.wanted.is_empty() {
                let read = read_on(&*self.stream, *chain, followed, &mut self.batch, wait);
                failed |= read.inspect_err(|error| say_once(self.failing, error)).is_err();
            }
        }
        if self.failing && !failed {
            info!("audit.sealed can be read again for those who wait");
        }
        self.failing = failed;
        if failed {
            Stop::new().wait(PAUSE);
        }
        self.followed.retain(|_, followed| !followed.wanted.is_empty());
        self.looked_for.set(self.followed.values().map(|f| f.wanted.len() as i64).sum());
    }
}

fn say_once(said: bool, error: &stream::Error) {
    if !said {
        warn!("whoever waits for a place waits longer: {error}");
    }
}

fn read_on(
    stream: &dyn Stream,
    chain: u32,
    followed: &mut Followed,
    batch: &mut Batch,
    wait: Duration,
) -> Result<(), stream::Error> {
    batch.clear(LIMIT.bytes);
    if let Err(error) = stream.read(&topics::sealed(chain), followed.next, batch, LIMIT, wait) {
        return match error.kind() {
            // Trimmed, or the topic is another one: what there is counts.
            Kind::OutOfRange { start, .. } if start != followed.next => {
                followed.next = start;
                Ok(())
            }
            _ => Err(error),
        };
    }
    let repeats = followed.wanted.keys().any(|wanted| matches!(wanted, Wanted::Sent(_)));
    for record in batch.iter() {
        followed.next = record.offset + 1;
        let (Ok(schema), Some(datum)) = (schema_of(record.headers.get(SCHEMA_HEADER)), record.value) else {
            continue;
        };
        if schema == head_schema_hash() {
            continue;
        }
        let Ok(sealed) = SealedEvent::parse(datum) else { continue };
        let place = Place { seq: sealed.seq, hash: sealed.hash };
        followed.saw(Wanted::Event(event_hash(&schema, sealed.event_bytes)), place);
        if repeats
            && schema == event_schema_hash()
            && let Ok(Some(sent)) = sent_by(sealed.event_bytes)
        {
            followed.saw(Wanted::Sent(sent.key), place);
        }
    }
    Ok(())
}
