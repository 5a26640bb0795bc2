//! Readers between two calls: kept for the next one on their lane, and let go when it does not come.
//!
//! Who follows several lanes reads them in turn, so each has its reader, up to a bound. Beyond it the newcomer is not
//! kept: to let the oldest go would be to let go of the one whose turn is next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use runtime::{Deadline, Stop};

use crate::Lane;

/// Each stands where it goes on: a lane and an offset.
pub(super) struct Kept<T> {
    shelf: Arc<Mutex<Shelf<T>>>,
    most: usize,
    unused: Duration,
}

struct Shelf<T> {
    all: Vec<One<T>>,
    /// A thread looks after them. There is none while nothing is kept.
    is_watched: bool,
}

struct One<T> {
    lane: Lane,
    next: u64,
    until: Deadline,
    what: T,
}

impl<T: Send + 'static> Kept<T> {
    /// Keeps so many, each for so long after it was used.
    pub fn new(most: usize, unused: Duration) -> Kept<T> {
        Kept { shelf: Arc::new(Mutex::new(Shelf { all: Vec::new(), is_watched: false })), most, unused }
    }

    /// One that goes on with `lane` at `next`; if there is none, one that stands elsewhere in it.
    pub fn take(&self, lane: &Lane, next: u64) -> Option<T> {
        let mut shelf = locked(&self.shelf);
        let here = shelf.all.iter().position(|one| one.lane == *lane && one.next == next);
        let found = here.or_else(|| shelf.all.iter().position(|one| one.lane == *lane))?;
        Some(shelf.all.remove(found).what)
    }

    /// Keeps it, if there is room.
    pub fn keep(&self, lane: Lane, next: u64, what: T) {
        let mut shelf = locked(&self.shelf);
        if shelf.all.len() >= self.most {
            // Closing takes its time, in which others may go on.
            drop(shelf);
            return drop(what);
        }
        shelf.all.push(One { lane, next, until: Deadline::after(self.unused), what });
        if !shelf.is_watched {
            let (kept, every) = (Arc::downgrade(&self.shelf), self.unused / 4);
            let watch = thread::Builder::new().name("kept readers".to_owned());
            // Without a thread they are kept until there is one for a later call.
            shelf.is_watched = watch.spawn(move || let_go(&kept, every)).is_ok();
        }
    }
}

/// Lets go of what was not used, until nothing is left.
fn let_go<T>(kept: &Weak<Mutex<Shelf<T>>>, every: Duration) {
    loop {
        Stop::new().wait(every);
        let Some(kept) = kept.upgrade() else { return };
        let mut shelf = locked(&kept);
        let (gone, all): (Vec<_>, Vec<_>) =
            std::mem::take(&mut shelf.all).into_iter().partition(|one| one.until.passed());
        shelf.is_watched = !all.is_empty();
        let is_done = all.is_empty();
        shelf.all = all;
        drop(shelf);
        drop(gone);
        if is_done {
            return;
        }
    }
}

fn locked<T>(shelf: &Mutex<Shelf<T>>) -> MutexGuard<'_, Shelf<T>> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn lane(partition: u32) -> Lane {
        Lane::new("t", partition)
    }

    #[test]
    fn lanes_that_are_read_in_turn_each_find_their_own_again() {
        let kept = Kept::new(3, LONG);
        (0..3).for_each(|n| kept.keep(lane(n), 0, n));
        for round in 0..5 {
            for n in 0..3 {
                assert_eq!(kept.take(&lane(n), round), Some(n));
                kept.keep(lane(n), round + 1, n);
            }
        }
    }

    #[test]
    fn one_too_many_is_not_kept_in_the_place_of_another() {
        let kept = Kept::new(2, LONG);
        (0..3).for_each(|n| kept.keep(lane(n), 0, n));
        assert_eq!([0, 1, 2].map(|n| kept.take(&lane(n), 0)), [Some(0), Some(1), None]);
    }

    #[test]
    fn the_one_that_stands_where_it_goes_on_comes_before_one_that_would_have_to_be_moved() {
        let kept = Kept::new(4, LONG);
        kept.keep(lane(0), 5, "behind");
        kept.keep(lane(0), 9, "here");
        assert_eq!(kept.take(&lane(0), 9), Some("here"));
        assert_eq!(kept.take(&lane(0), 9), Some("behind"));
        assert_eq!(kept.take(&lane(0), 9), None);
    }

    #[test]
    fn what_is_not_used_is_let_go_by_itself_and_so_is_what_comes_after_it() {
        let kept = Kept::new(2, Duration::from_millis(20));
        for _ in 0..2 {
            let what = Arc::new(());
            let seen = Arc::downgrade(&what);
            kept.keep(lane(0), 0, what);
            let deadline = Deadline::after(Duration::from_secs(10));
            while seen.strong_count() > 0 {
                assert!(!deadline.passed(), "it is still kept");
                thread::yield_now();
            }
        }
    }
}
