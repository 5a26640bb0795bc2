//! `?wait=`: an answer that comes once the events are sealed, or archived, and says where they stand.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use axum::http::StatusCode;
use runtime::Deadline;
use schemas::framing::{SCHEMA_HEADER, schema_of};
use schemas::{Hash, Seq, event_hash};
use stream::topics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;
use tracing::warn;

use super::connections::Closing;
use super::follow::{Ask, Found, Place, Wanted, found};
use super::prepare::Prepared;
use super::query::{Point, Wait};
use super::refusal::Refusal;
use super::waiting::Reserved;
use super::window::Seen;

/// How long it may take to learn where a chain ends.
const MARK: Duration = Duration::from_secs(5);
/// How often the archive is asked how far it is, for all who wait together.
const LOOK: Duration = Duration::from_millis(250);

/// The archive, for those who wait until their events are in it.
pub trait Archived: Send + Sync {
    /// How many events of a chain its newest archived checkpoint covers.
    fn size(&self, chain: u32) -> Result<u64, String>;

    /// The proof that the event at `seq`, which is covered and whose link has this hash, is there: a C2SP tlog-proof.
    fn proof(&self, chain: u32, seq: u64, hash: &Hash) -> Result<String, String>;
}

/// What is known of an item that was waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub chain: u32,
    pub place: Place,
    /// That it is archived.
    pub proof: Option<String>,
}

/// Where a request stands in `audit.sealed` before it is appended, and its seat among those that wait.
pub(super) struct Mark {
    chain: u32,
    from: u64,
    _seat: OwnedSemaphorePermit,
}

/// What all that wait share.
pub(super) struct Points {
    follower: mpsc::Sender<Ask>,
    /// Told to the follower beside what it is asked, which it may be far behind with.
    ended: Arc<AtomicBool>,
    archive: Option<Arc<dyn Archived>>,
    /// A client that has gone is waited for like one that listens, so only so many wait.
    seats: Arc<Semaphore>,
    sizes: Vec<Arc<Size>>,
}

impl Points {
    pub fn new(
        follower: mpsc::Sender<Ask>,
        ended: Arc<AtomicBool>,
        archive: Option<Arc<dyn Archived>>,
        (chains, seats): (u32, usize),
    ) -> Points {
        let sizes = (0..chains).map(|_| Arc::default()).collect();
        Points { follower, ended, archive, seats: Arc::new(Semaphore::new(seats)), sizes }
    }

    /// From now on nobody waits.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = self.follower.send(Ask::End);
    }

    /// Where on its chain the request will stand. Nothing was appended yet, so nothing is lost if this is refused.
    pub async fn mark(&self, wait: Wait, prepared: &Prepared) -> Result<Option<Mark>, Refusal> {
        if wait.point == Point::Archived && self.archive.is_none() {
            let detail = "this gateway does not know the archive: wait=sealed, or configure [archive]";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_query", detail));
        }
        let lanes = prepared.batch.lanes().iter();
        let Some(chain) = lanes.map(|lane| lane.partition).next() else { return Ok(None) };
        let seat = self.seats.clone().try_acquire_owned().map_err(|_| Refusal::crowded())?;
        let (answer, answered) = oneshot::channel();
        self.follower.send(Ask::Mark { chain, answer }).map_err(|_| Refusal::stopping())?;
        match timeout(MARK, answered).await {
            Ok(Ok(Ok(from))) => Ok(Some(Mark { chain, from, _seat: seat })),
            Ok(Ok(Err(error))) => {
                warn!("a request cannot wait: {error}");
                Err(Refusal::unreadable())
            }
            Ok(Err(_)) => Err(Refusal::stopping()),
            Err(_) => Err(Refusal::unreadable()),
        }
    }

    /// What has become of the items by the time that all are there, that the time is over, or that the connection is to
    /// be closed. Of what waits only this is kept.
    pub async fn reach(
        &self,
        mark: Mark,
        wait: Wait,
        (prepared, reserved): (&mut Prepared, &mut Reserved),
        closing: &mut Closing,
    ) -> Vec<Option<Reached>> {
        let (wanted, items) = (wanted(prepared), prepared.items.len());
        prepared.let_go_of_records();
        reserved.become_bytes(prepared.kept_bytes());
        let (found, mut proofs) = (found(items, wanted.len()), vec![None; items]);
        let chain = mark.chain;
        let ask = Ask::Find { chain, from: mark.from, wanted, found: Arc::downgrade(&found) };
        if self.follower.send(ask).is_ok() {
            let waiting = self.wait_for(chain, wait.point, &found, reserved, &mut proofs);
            // What was found stays, however the waiting ends.
            tokio::select! {
                _ = timeout(wait.time, waiting) => {}
                () = closing.told() => {}
            }
        }
        let reached = |(place, proof): (Option<Place>, _)| place.map(|place| Reached { chain, place, proof });
        found.places().into_iter().zip(proofs).map(reached).collect()
    }

    /// Returns when all were found and, if that is asked, proved as far as there is room.
    async fn wait_for(
        &self,
        chain: u32,
        point: Point,
        found: &Found,
        reserved: &mut Reserved,
        proofs: &mut [Option<String>],
    ) {
        found.all().await;
        let (Point::Archived, Some(archive)) = (point, &self.archive) else { return };
        let places = found.places();
        let Some(last) = places.iter().flatten().map(|place| place.seq).max() else { return };
        self.covered(archive, chain, last).await;
        for (place, kept) in places.into_iter().zip(proofs) {
            if let Some(place) = place {
                // An answer without the proof says so: it can be had later, when there is room.
                *kept = proof(archive, chain, place).await.filter(|proof| reserved.grow_by(proof.len()));
            }
        }
    }

    /// Waits until the archive covers this seq.
    async fn covered(&self, archive: &Arc<dyn Archived>, chain: u32, seq: Seq) {
        let Some(known) = self.sizes.get(chain as usize) else { return };
        while known.size.load(Ordering::SeqCst) <= seq.0 {
            match known.turn() {
                Some(turn) => {
                    let archive = archive.clone();
                    // It ends by itself, also when whoever has begun it has gone.
                    let asked = tokio::task::spawn_blocking(move || turn.ask(&*archive, chain));
                    let _ = asked.await;
                }
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

/// How far the archive of a chain was when it was last asked. Of all who wait one asks at a time, and so often.
#[derive(Default)]
struct Size {
    size: AtomicU64,
    is_asked: AtomicBool,
    rests: Mutex<Option<Deadline>>,
}

/// Whoever has it asks.
struct Turn(Arc<Size>);

impl Size {
    fn turn(self: &Arc<Size>) -> Option<Turn> {
        let rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = rests.is_none_or(|until| until.passed());
        (is_due && !self.is_asked.swap(true, Ordering::SeqCst)).then(|| Turn(self.clone()))
    }
}

impl Turn {
    fn ask(self, archive: &dyn Archived, chain: u32) {
        match archive.size(chain) {
            Ok(size) => drop(self.0.size.fetch_max(size, Ordering::SeqCst)),
            Err(error) => warn!("whoever waits for the archive waits longer: {error}"),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.rests.lock().unwrap_or_else(PoisonError::into_inner) = Some(Deadline::after(LOOK));
        self.0.is_asked.store(false, Ordering::SeqCst);
    }
}

/// Each item with what it is known by; one in conflict stands nowhere.
fn wanted(prepared: &Prepared) -> Vec<(Wanted, usize)> {
    let (mut wanted, mut at) = (Vec::with_capacity(prepared.items.len()), 0);
    for (index, item) in prepared.items.iter().enumerate() {
        let records = (at..at + item.records).filter_map(|at| prepared.batch.get(at));
        at += item.records;
        let event = records.filter(|record| &*record.lane.topic == topics::EVENTS).find_map(|record| {
            let schema = schema_of(record.headers.get(SCHEMA_HEADER)).ok()?;
            Some(event_hash(&schema, record.value?))
        });
        match (item.seen, event, item.sent) {
            (Seen::New, Some(event), _) => wanted.push((Wanted::Event(event), index)),
            (Seen::Same, _, Some(sent)) => wanted.push((Wanted::Sent(sent), index)),
            _ => {}
        }
    }
    wanted
}

async fn proof(archive: &Arc<dyn Archived>, chain: u32, place: Place) -> Option<String> {
    let archive = archive.clone();
    let prove = move || archive.proof(chain, place.seq.0, &place.hash);
    let made = tokio::task::spawn_blocking(prove).await.ok()?;
    made.inspect_err(|error| warn!(chain, seq = place.seq.0, "no proof could be made: {error}")).ok()
}
