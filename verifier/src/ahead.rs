//! Work on a few threads, ahead of whoever takes what comes of it, in order, within a bound on bytes.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How much is done at once. A clone shares the bound on bytes.
#[derive(Clone, Debug)]
pub struct Ahead {
    threads: usize,
    room: Arc<Room>,
    /// For what turns out to be larger than was set aside for it: one at a time.
    large: Arc<Room>,
}

impl Default for Ahead {
    /// Two threads a core, eight at most; 256 MiB.
    fn default() -> Ahead {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ahead::new((2 * cores).min(8), 256 << 20)
    }
}

impl Ahead {
    /// At most so many threads, and so many bytes on the way; more than that only for one thing that is larger.
    pub fn new(threads: usize, max_bytes: u64) -> Ahead {
        Ahead { threads: threads.max(1), room: Arc::new(Room::new(max_bytes)), large: Arc::new(Room::new(0)) }
    }

    /// The same room, and other threads.
    #[must_use]
    pub fn with_threads(&self, threads: usize) -> Ahead {
        Ahead { threads: threads.max(1), ..self.clone() }
    }

    /// How many threads it may use.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Room for so many bytes beside what is on the way in order, once there is some.
    pub(crate) fn room(&self, bytes: u64) -> Held<'_> {
        self.room.take(bytes)
    }

    /// Room for one thing whose size shows only when it is read. Whoever holds it must not wait for anybody else.
    pub(crate) fn room_for_one(&self) -> Held<'_> {
        self.large.take(1)
    }

    /// Does `work` for 0 to before `jobs`, and gives each result to `take`, in this order, on the caller's thread, until
    /// that breaks off. `bytes` says what a job holds from its beginning until it was taken.
    pub fn in_order<T: Send>(
        &self,
        jobs: usize,
        bytes: impl Fn(usize) -> u64 + Sync,
        work: impl Fn(usize) -> T + Sync,
        mut take: impl FnMut(usize, T) -> ControlFlow<()>,
    ) {
        let threads = self.threads.min(jobs);
        if threads <= 1 {
            for nth in 0..jobs {
                let _held = self.room.take(bytes(nth));
                if take(nth, work(nth)).is_break() {
                    return;
                }
            }
            return;
        }
        let row = Row::new(4 * self.threads);
        thread::scope(|scope| {
            let _ends = EndsWith(&row);
            for _ in 0..threads {
                scope.spawn(|| {
                    let _ends = EndsInPanic(&row);
                    while let Some((nth, held)) = row.claim(jobs, |nth| self.room.take(bytes(nth))) {
                        row.put(nth, (work(nth), held));
                    }
                });
            }
            for nth in 0..jobs {
                let Some((done, _held)) = row.next(nth) else { return };
                if take(nth, done).is_break() {
                    return;
                }
            }
        });
    }
}

/// A bound on bytes, shared.
#[derive(Debug)]
struct Room {
    max_bytes: u64,
    used_bytes: Mutex<u64>,
    freed: Condvar,
}

/// Bytes that are taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Room {
    fn new(max_bytes: u64) -> Room {
        Room { max_bytes, used_bytes: Mutex::new(0), freed: Condvar::new() }
    }

    /// Waits until there is room. What is larger than all of it waits until it is alone.
    fn take(&self, bytes: u64) -> Held<'_> {
        let is_full = |used: &mut u64| *used > 0 && used.saturating_add(bytes) > self.max_bytes;
        let used = locked(&self.used_bytes);
        let mut used = self.freed.wait_while(used, is_full).unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_add(bytes);
        Held { room: self, bytes }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *locked(&self.room.used_bytes) -= self.bytes;
        self.room.freed.notify_all();
    }
}

/// What is done and not taken yet. Jobs are claimed in order, so the one that is waited for never waits for room that
/// those behind it hold.
struct Row<T> {
    /// The next job to claim. Held while its room is waited for.
    claims: Mutex<usize>,
    state: Mutex<State<T>>,
    changed: Condvar,
    /// So many jobs are begun before the first of them is taken.
    width: usize,
}

struct State<T> {
    done: BTreeMap<usize, T>,
    taken: usize,
    has_ended: bool,
}

impl<T> Row<T> {
    fn new(width: usize) -> Row<T> {
        let state = State { done: BTreeMap::new(), taken: 0, has_ended: false };
        Row { claims: Mutex::new(0), state: Mutex::new(state), changed: Condvar::new(), width }
    }

    /// The next job, with its room. None when there is none, or nobody wants one any more.
    fn claim<R>(&self, jobs: usize, room: impl FnOnce(usize) -> R) -> Option<(usize, R)> {
        let mut next = locked(&self.claims);
        let nth = *next;
        if nth >= jobs {
            return None;
        }
        drop(self.wait_while(|state| !state.has_ended && nth >= state.taken + self.width));
        let held = room(nth);
        if locked(&self.state).has_ended {
            return None;
        }
        *next += 1;
        Some((nth, held))
    }

    fn put(&self, nth: usize, done: T) {
        let mut state = locked(&self.state);
        if !state.has_ended {
            state.done.insert(nth, done);
        }
        self.changed.notify_all();
    }

    /// None if a thread has panicked.
    fn next(&self, nth: usize) -> Option<T> {
        let mut state = self.wait_while(|state| !state.has_ended && !state.done.contains_key(&nth));
        state.taken = nth + 1;
        self.changed.notify_all();
        state.done.remove(&nth)
    }

    fn end(&self) {
        let mut state = locked(&self.state);
        state.has_ended = true;
        state.done.clear();
        self.changed.notify_all();
    }

    fn wait_while(&self, is_not_yet: impl FnMut(&mut State<T>) -> bool) -> MutexGuard<'_, State<T>> {
        self.changed.wait_while(locked(&self.state), is_not_yet).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the row when it is dropped, however that comes.
struct EndsWith<'a, T>(&'a Row<T>);

impl<T> Drop for EndsWith<'_, T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Ends the row if its thread panics: else the others would wait for it for ever.
struct EndsInPanic<'a, T>(&'a Row<T>);

impl<T> Drop for EndsInPanic<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end();
        }
    }
}

/// A thread that panicked has ended everything already.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow::{Break, Continue};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_come_in_order_whoever_is_first() {
        let mut taken = Vec::new();
        let spin =
            |nth: usize| (0..(nth * 7919) % 1_000).fold(nth, |sum, n| std::hint::black_box(sum ^ n ^ n));
        Ahead::new(8, 1 << 20).in_order(
            500,
            |_| 1,
            spin,
            |nth, done| {
                taken.push((nth, done));
                Continue(())
            },
        );
        assert_eq!(taken, (0..500).map(|n| (n, n)).collect::<Vec<_>>());
    }

    #[test]
    fn jobs_run_side_by_side() {
        // Each waits for the others: one after the other they would wait for ever.
        let all = Barrier::new(4);
        let mut taken = 0;
        Ahead::new(4, 100).in_order(
            4,
            |_| 10,
            |_| all.wait().is_leader(),
            |_, _| {
                taken += 1;
                Continue(())
            },
        );
        assert_eq!(taken, 4);
    }

    #[test]
    fn no_more_bytes_are_on_the_way_than_may_be() {
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let bytes = |nth: usize| if nth == 10 { 500 } else { 30 };
        let ahead = Ahead::new(8, 100);
        for other in [ahead.clone(), ahead.with_threads(2)] {
            other.in_order(
                100,
                bytes,
                |nth| {
                    let on_the_way = now.fetch_add(bytes(nth), Ordering::SeqCst) + bytes(nth);
                    if nth != 10 {
                        most.fetch_max(on_the_way, Ordering::SeqCst);
                    } else {
                        assert_eq!(on_the_way, 500, "what is too large is alone");
                    }
                    nth
                },
                |nth, _| {
                    now.fetch_sub(bytes(nth), Ordering::SeqCst);
                    Continue(())
                },
            );
        }
        assert!(most.load(Ordering::SeqCst) <= 100 && *locked(&ahead.room.used_bytes) == 0);
    }

    #[test]
    fn nothing_is_begun_far_ahead_and_breaking_off_ends_it() {
        let begun = AtomicUsize::new(0);
        let mut taken = 0;
        let begin = |nth| {
            begun.fetch_add(1, Ordering::SeqCst);
            nth
        };
        let take = |_, _| {
            taken += 1;
            if taken == 3 { Break(()) } else { Continue(()) }
        };
        Ahead::new(4, 1_000).in_order(1_000_000, |_| 1, begin, take);
        assert!(begun.load(Ordering::SeqCst) <= 3 + 16 + 4, "{begun:?}");
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_in_one_job_is_everybodys() {
        Ahead::new(4, 40).in_order(100, |_| 10, |nth| assert_ne!(nth, 7), |_, _| Continue(()));
    }
}
