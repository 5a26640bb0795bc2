//! Who owns which lanes, for the streams that live in one process: members, claims and fences over a `Shelf`.
//!
//! The member that joined a group last owns all lanes of its sources. It wins them when it polls; then every earlier
//! claim of the group on them, and every claim under the same fence name, has ended. When it goes, the member that
//! joined before it wins them again, if it polls.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::Deadline;

use crate::bell::Bell;
use crate::{Batch, Claim, Error, Fence, Kind, Lane, Limit, Member, Result, Role};

/// Where the records are. What it gives and takes needs no waiting but for the storage.
pub(crate) trait Shelf: Send + Sync + 'static {
    /// The table of who owns its lanes. Its bell is rung whenever records have become visible.
    fn owners(&self) -> &Owners;

    /// The lanes of a topic; an unknown one is `Refused`.
    fn lanes(&self, topic: &str) -> Result<Vec<Lane>>;

    /// Adds to `into` what the lane holds from `from` on, up to `limit`.
    fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit) -> Result<()>;

    /// Writes the commit of a claim; runs `beside` once where the positions beside it count.
    fn commit(&self, outputs: &Batch, beside: &mut dyn FnMut()) -> Result<()>;
}

/// Reads as `Log::read` promises: the shelf's read, with its wait.
pub(crate) fn read(
    shelf: &impl Shelf,
    (lane, from): (&Lane, u64),
    into: &mut Batch,
    limit: Limit,
    wait: Duration,
) -> Result<()> {
    let (before, deadline) = (into.len(), Deadline::after(wait));
    loop {
        let heard = shelf.owners().bell.heard();
        shelf.read(lane, from, into, limit)?;
        if into.len() > before || limit.records == 0 || !shelf.owners().bell.wait(heard, &deadline) {
            return Ok(());
        }
    }
}

/// Joins as `Groups::join` promises.
pub(crate) fn join<S: Shelf>(shelf: &Arc<S>, role: &Role) -> Result<Box<dyn Member>> {
    let mut lanes = Vec::new();
    for topic in &role.sources {
        lanes.extend(shelf.lanes(topic)?);
    }
    let id = shelf.owners().table().enter(&role.group);
    Ok(Box::new(LocalMember { shelf: shelf.clone(), role: role.clone(), lanes, id, won: Vec::new() }))
}

/// Members, claims and positions of one stream.
#[derive(Default)]
pub(crate) struct Owners {
    /// Rung for new records and for every change of who owns what.
    pub bell: Bell,
    table: Mutex<Table>,
    /// Kept as long as the process lives: a hint, as the seam says.
    positions: Mutex<HashMap<(String, Lane), u64>>,
}

#[derive(Default)]
struct Table {
    entered: u64,
    /// Who is in a group, in the order of joining.
    members: Vec<(u64, String)>,
    tenures: HashMap<Key, Arc<Tenure>>,
}

/// What can have one owner only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A lane, for the members of a group.
    Lane(String, Lane),
    /// A fence name, for everyone.
    Fence(String),
}

/// One claim's right to commit.
#[derive(Debug)]
struct Tenure {
    /// Held during a commit, so that ending a tenure waits for the commit under way.
    busy: Mutex<()>,
    over: AtomicBool,
    lanes: Vec<Lane>,
}

impl Tenure {
    /// No commit succeeds any more once this returns.
    fn end(&self) {
        let _idle = lock(&self.busy);
        self.over.store(true, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

impl Owners {
    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    /// Ends every claim on the lane, as if its owner had been cut off. A member that still owns it may win it again.
    pub fn revoke(&self, lane: &Lane) {
        for tenure in self.table().tenures.values().filter(|t| t.lanes.contains(lane)) {
            tenure.end();
        }
        self.bell.ring();
    }

    /// The position last committed for the lane by the group.
    pub fn position(&self, group: &str, lane: &Lane) -> Option<u64> {
        lock(&self.positions).get(&(group.to_owned(), lane.clone())).copied()
    }

    fn keep(&self, group: &str, positions: &[(Lane, u64)]) {
        let mut kept = lock(&self.positions);
        for (lane, position) in positions {
            kept.insert((group.to_owned(), lane.clone()), *position);
        }
    }
}

impl Table {
    fn enter(&mut self, group: &str) -> u64 {
        self.entered += 1;
        self.members.push((self.entered, group.to_owned()));
        self.entered
    }

    fn leave(&mut self, id: u64) {
        self.members.retain(|(member, _)| *member != id);
    }

    fn is_newest(&self, id: u64, group: &str) -> bool {
        self.members.iter().rfind(|(_, g)| g == group).is_some_and(|(newest, _)| *newest == id)
    }

    /// Ends whatever stands under the keys and puts a new tenure there.
    fn win(&mut self, keys: Vec<Key>, lanes: Vec<Lane>) -> Arc<Tenure> {
        let tenure = Arc::new(Tenure { busy: Mutex::new(()), over: AtomicBool::new(false), lanes });
        for key in keys {
            if let Some(earlier) = self.tenures.insert(key, tenure.clone()) {
                earlier.end();
            }
        }
        tenure
    }
}

struct LocalMember<S: Shelf> {
    shelf: Arc<S>,
    role: Role,
    lanes: Vec<Lane>,
    id: u64,
    won: Vec<Arc<Tenure>>,
}

impl<S: Shelf> LocalMember<S> {
    /// The lanes of the next claim to be handed out, if there is one.
    fn due(&self) -> Option<Vec<Lane>> {
        let free = |lane: &&Lane| !self.won.iter().any(|t| t.lanes.contains(lane));
        match self.role.fence {
            Fence::Whole(_) => (self.won.is_empty() && !self.lanes.is_empty()).then(|| self.lanes.clone()),
            Fence::PerLane(_) | Fence::Reader => self.lanes.iter().find(free).map(|lane| vec![lane.clone()]),
        }
    }

    fn keys(&self, lanes: &[Lane]) -> Vec<Key> {
        let mut keys: Vec<_> =
            lanes.iter().map(|lane| Key::Lane(self.role.group.clone(), lane.clone())).collect();
        match &self.role.fence {
            Fence::PerLane(name) => {
                keys.extend(lanes.iter().map(|lane| Key::Fence(format!("{name}/{}", lane.partition))));
            }
            Fence::Whole(name) => keys.push(Key::Fence(name.clone())),
            Fence::Reader => {}
        }
        keys
    }
}

impl<S: Shelf> Member for LocalMember<S> {
    fn poll(&mut self, wait: Duration) -> Result<Option<Box<dyn Claim>>> {
        let (shelf, deadline) = (self.shelf.clone(), Deadline::after(wait));
        let owners = shelf.owners();
        loop {
            let heard = owners.bell.heard();
            {
                let mut table = owners.table();
                self.won.retain(|tenure| !tenure.is_over());
                if table.is_newest(self.id, &self.role.group)
                    && let Some(lanes) = self.due()
                {
                    let tenure = table.win(self.keys(&lanes), lanes);
                    self.won.push(tenure.clone());
                    drop(table);
                    owners.bell.ring();
                    return Ok(Some(Box::new(LocalClaim::new(shelf, self.role.group.clone(), tenure))));
                }
            }
            if !owners.bell.wait(heard, &deadline) {
                return Ok(None);
            }
        }
    }

    fn is_settled(&self) -> bool {
        let is_won = |lane| self.won.iter().any(|tenure| !tenure.is_over() && tenure.lanes.contains(lane));
        !self.shelf.owners().table().is_newest(self.id, &self.role.group) || self.lanes.iter().all(is_won)
    }
}

impl<S: Shelf> Drop for LocalMember<S> {
    fn drop(&mut self) {
        self.shelf.owners().table().leave(self.id);
        self.won.iter().for_each(|tenure| tenure.end());
        self.shelf.owners().bell.ring();
    }
}

struct LocalClaim<S: Shelf> {
    shelf: Arc<S>,
    group: String,
    tenure: Arc<Tenure>,
    /// Where each lane goes on; None until `start_at`.
    next: Vec<Option<u64>>,
    /// Which lane is read first, so that a full one does not starve the others.
    turn: usize,
}

impl<S: Shelf> LocalClaim<S> {
    fn new(shelf: Arc<S>, group: String, tenure: Arc<Tenure>) -> LocalClaim<S> {
        let next = vec![None; tenure.lanes.len()];
        LocalClaim { shelf, group, tenure, next, turn: 0 }
    }

    fn check(&self) -> Result<()> {
        if self.tenure.is_over() {
            return Err(Error::new(
                Kind::Lost,
                format!("{} is no longer the owner of {}", self.group, self.names()),
            ));
        }
        Ok(())
    }

    fn names(&self) -> String {
        self.tenure.lanes.iter().map(Lane::to_string).collect::<Vec<_>>().join(", ")
    }

    /// What the first lane has that has anything, without waiting. Mixing lanes would gain nothing: the next call
    /// begins with the next lane.
    fn take_now(&mut self, into: &mut Batch, limit: Limit) -> Result<()> {
        let (before, lanes) = (into.len(), self.tenure.lanes.len());
        for lane in (0..lanes).map(|n| (self.turn + n) % lanes) {
            let from = self.next[lane].ok_or_else(|| {
                let what =
                    format!("nobody said where to start on {}: call start_at first", self.tenure.lanes[lane]);
                Error::new(Kind::Refused, what)
            })?;
            self.shelf.read(&self.tenure.lanes[lane], from, into, limit)?;
            if into.len() > before {
                self.next[lane] = into.last().map(|r| r.offset + 1);
                self.turn = lane + 1;
                break;
            }
        }
        Ok(())
    }

    /// An error ends the claim, but for those that leave it as it was.
    fn ended_by(&self, error: Error) -> Error {
        if !matches!(error.kind(), Kind::OutOfRange { .. } | Kind::TooLarge) {
            self.tenure.over.store(true, Ordering::SeqCst);
            self.shelf.owners().bell.ring();
        }
        error
    }
}

impl<S: Shelf> Claim for LocalClaim<S> {
    fn lanes(&self) -> &[Lane] {
        &self.tenure.lanes
    }

    fn start_at(&mut self, lane: &Lane, offset: u64) -> Result<()> {
        self.check()?;
        let Some(at) = self.tenure.lanes.iter().position(|l| l == lane) else {
            let what = format!("{lane} is not of this claim, which covers {}", self.names());
            return Err(self.ended_by(Error::new(Kind::Refused, what)));
        };
        self.next[at] = Some(offset);
        Ok(())
    }

    fn take(&mut self, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()> {
        let (before, deadline) = (into.len(), Deadline::after(wait));
        loop {
            let heard = self.shelf.owners().bell.heard();
            self.check()?;
            self.take_now(into, limit).map_err(|e| self.ended_by(e))?;
            if into.len() > before || limit.records == 0 {
                return Ok(());
            }
            if !self.shelf.owners().bell.wait(heard, &deadline) {
                return self.check();
            }
        }
    }

    fn commit(&mut self, outputs: &Batch, positions: &[(Lane, u64)]) -> Result<()> {
        // Whoever fences this claim waits here until the commit has been done or not.
        let _busy = lock(&self.tenure.busy);
        self.check()?;
        let owners = self.shelf.owners();
        let mut keep = || owners.keep(&self.group, positions);
        self.shelf.commit(outputs, &mut keep).map_err(|e| self.ended_by(e))
    }
}

impl<S: Shelf> Drop for LocalClaim<S> {
    fn drop(&mut self) {
        self.tenure.end();
        self.shelf.owners().bell.ring();
    }
}

/// A thread that panicked with a lock held has left nothing half done here: each change under a lock is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
