//! Who holds which lanes: what the group gives and takes, and the claims that were made of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Lane;

/// The lanes of one claim, as its owner and the group see them.
#[derive(Default)]
pub(super) struct Hold {
    /// Sorted. Never changes.
    pub lanes: Vec<Lane>,
    lost: AtomicBool,
    released: AtomicBool,
    committing: Mutex<()>,
}

impl Hold {
    fn of(lanes: Vec<Lane>) -> Arc<Hold> {
        Arc::new(Hold { lanes, ..Hold::default() })
    }

    /// Whether the group has taken a lane of it.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// The claim is gone; its lanes may be claimed again.
    pub fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
    }

    /// While the guard lives, the lanes are not given to another member of the group.
    pub fn committing(&self) -> MutexGuard<'_, ()> {
        self.committing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on nothing is taken or committed; a commit that runs is waited for.
    fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
        drop(self.committing());
    }
}

/// All holds of one member. Shared with the callback that the group's rebalances come by.
pub(super) struct Holds {
    /// One hold over all lanes, instead of one a lane.
    whole: bool,
    state: Mutex<State>,
    fenced: AtomicBool,
}

#[derive(Default)]
struct State {
    owned: BTreeSet<Lane>,
    holds: Vec<Arc<Hold>>,
    /// Whether all that the group gives this member is in `owned`: not so between a loss and the next word of it.
    settled: bool,
}

impl Holds {
    /// None yet.
    pub fn new(whole: bool) -> Holds {
        Holds { whole, state: Mutex::default(), fenced: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The group gives these lanes. A hold over all lanes ends, for it is not over all of them any more.
    pub fn gain(&self, lanes: Vec<Lane>) {
        let ended = {
            let mut state = self.state();
            let ends = self.whole && !lanes.is_empty();
            state.owned.extend(lanes);
            state.settled = true;
            if ends { std::mem::take(&mut state.holds) } else { Vec::new() }
        };
        ended.iter().for_each(|hold| hold.lose());
    }

    /// The group takes these lanes, and gives them to another when this has returned.
    pub fn lose(&self, lanes: &[Lane]) {
        let ended: Vec<_> = {
            let mut state = self.state();
            state.settled = false;
            for lane in lanes {
                state.owned.remove(lane);
            }
            let has_any = |hold: &Hold| lanes.iter().any(|lane| hold.lanes.binary_search(lane).is_ok());
            state.holds.extract_if(.., |hold| has_any(hold)).collect()
        };
        ended.iter().for_each(|hold| hold.lose());
    }

    /// The member leaves.
    pub fn lose_all(&self) {
        let state = std::mem::take(&mut *self.state());
        state.holds.iter().for_each(|hold| hold.lose());
    }

    /// The attempt to make a claim of it failed; it may be made again.
    pub fn give_up(&self, hold: &Arc<Hold>) {
        self.state().holds.retain(|h| !Arc::ptr_eq(h, hold));
    }

    /// Whether the group has given any lane.
    pub fn owns_any(&self) -> bool {
        !self.state().owned.is_empty()
    }

    /// Whether the group has shared its lanes, and all that are owned are held.
    pub fn is_settled(&self) -> bool {
        let state = self.state();
        let live = state.holds.iter().filter(|hold| !hold.released.load(Ordering::SeqCst));
        state.settled && live.map(|hold| hold.lanes.len()).sum::<usize>() == state.owned.len()
    }

    /// New holds for the lanes that are owned and not held.
    pub fn take_up(&self) -> Vec<Arc<Hold>> {
        let mut state = self.state();
        state.holds.retain(|hold| !hold.released.load(Ordering::SeqCst));
        // Holds are on owned lanes, and no two on the same.
        if state.holds.iter().map(|hold| hold.lanes.len()).sum::<usize>() == state.owned.len() {
            return Vec::new();
        }
        let free: Vec<Lane> = {
            let held: BTreeSet<&Lane> = state.holds.iter().flat_map(|hold| &hold.lanes).collect();
            state.owned.iter().filter(|lane| !held.contains(lane)).cloned().collect()
        };
        let new: Vec<_> = match self.whole {
            _ if free.is_empty() => Vec::new(),
            true => vec![Hold::of(free)],
            false => free.into_iter().map(|lane| Hold::of(vec![lane])).collect(),
        };
        state.holds.extend(new.iter().cloned());
        new
    }

    /// A producer of this member was fenced: another process has lanes that this one thinks are its own.
    pub fn set_fenced(&self) {
        self.fenced.store(true, Ordering::SeqCst);
    }

    /// Whether that has happened since this was last asked.
    pub fn take_fenced(&self) -> bool {
        self.fenced.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::events;

    fn lanes(holds: &[Arc<Hold>]) -> Vec<&[Lane]> {
        holds.iter().map(|h| &h.lanes[..]).collect()
    }

    #[test]
    fn a_lane_is_held_once_until_it_is_released_or_lost() {
        let holds = Holds::new(false);
        holds.gain(vec![events(0), events(1)]);
        let first = holds.take_up();
        assert_eq!(lanes(&first), [&[events(0)], &[events(1)]]);
        assert!(holds.take_up().is_empty());
        first[0].release();
        assert_eq!(lanes(&holds.take_up()), [&[events(0)]]);
        holds.lose(&[events(1)]);
        assert!(first[1].is_lost() && !first[0].is_lost() && holds.take_up().is_empty());
        holds.gain(vec![events(1)]);
        assert_eq!(lanes(&holds.take_up()), [&[events(1)]]);
    }

    #[test]
    fn a_whole_hold_ends_with_any_change_and_comes_back_over_what_is_left() {
        let holds = Holds::new(true);
        holds.gain(vec![events(0)]);
        let first = holds.take_up();
        holds.gain(vec![]);
        assert!(!first[0].is_lost());
        holds.gain(vec![events(1)]);
        assert!(first[0].is_lost());
        let second = holds.take_up();
        assert_eq!(lanes(&second), [&[events(0), events(1)]]);
        holds.lose(&[events(0)]);
        assert!(second[0].is_lost());
        assert_eq!(lanes(&holds.take_up()), [&[events(1)]]);
    }

    #[test]
    fn it_is_settled_once_the_group_has_spoken_and_all_that_it_gave_is_held() {
        let holds = Holds::new(false);
        assert!(!holds.is_settled(), "nobody has said anything");
        holds.gain(vec![events(0), events(1)]);
        assert!(!holds.is_settled());
        let held = holds.take_up();
        assert!(holds.is_settled());
        held[0].release();
        assert!(!holds.is_settled(), "it is to be held again");
        holds.take_up();
        holds.lose(&[events(1)]);
        assert!(!holds.is_settled(), "it may come back");
        holds.gain(vec![]);
        assert!(holds.is_settled());
        holds.lose_all();
        assert!(!holds.is_settled());
        holds.gain(vec![]);
        assert!(holds.is_settled(), "others have all of them");
    }

    #[test]
    fn losing_a_hold_waits_for_the_commit_that_runs() {
        let holds = Holds::new(false);
        holds.gain(vec![events(0)]);
        let hold = holds.take_up().remove(0);
        std::thread::scope(|threads| {
            let committing = hold.committing();
            let losing = threads.spawn(|| holds.lose(&[events(0)]));
            while !hold.is_lost() {
                std::thread::yield_now();
            }
            assert!(!losing.is_finished());
            drop(committing);
        });
    }
}
