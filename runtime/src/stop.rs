//! How a process ends: one word that every loop looks at, and waits that it cuts short.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Deadline;

/// What a stage does before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Whatever there was to do when the stop came is done.
    Finish,
    /// What was begun is done: another process goes on with the rest.
    HandOver,
}

/// How urgent it is. A later level holds the earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    #[default]
    Nothing,
    /// Finish what was begun, then end.
    Finish,
    /// End without what cannot be finished now; all of it is durable.
    Abandon,
}

/// Shared by whoever must end together. What was asked is never taken back.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(Mutex<Asked>, Condvar)>);

impl Stop {
    /// Nothing is asked.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Asks everyone to finish and end, and wakes who waits.
    pub fn set(&self) {
        self.ask(Asked::Finish);
    }

    /// Asks everyone to end now, with whatever cannot be finished left where it is durable.
    pub fn abandon(&self) {
        self.ask(Asked::Abandon);
    }

    /// Whether anyone asked to end.
    pub fn is_set(&self) -> bool {
        *self.asked() >= Asked::Finish
    }

    /// Whether what cannot be finished is to be left.
    pub fn is_abandoned(&self) -> bool {
        *self.asked() >= Asked::Abandon
    }

    /// Waits so long, or until somebody asks to end; then true.
    pub fn wait(&self, time: Duration) -> bool {
        self.wait_until(Asked::Finish, time)
    }

    /// Waits so long, also while everyone is asked to finish; true once it is to be left.
    pub fn wait_patiently(&self, time: Duration) -> bool {
        self.wait_until(Asked::Abandon, time)
    }

    fn wait_until(&self, level: Asked, time: Duration) -> bool {
        let deadline = Deadline::after(time);
        let mut asked = self.asked();
        while *asked < level && !deadline.passed() {
            asked = self.0.1.wait_timeout(asked, deadline.left()).unwrap_or_else(PoisonError::into_inner).0;
        }
        *asked >= level
    }

    fn ask(&self, level: Asked) {
        let mut asked = self.asked();
        *asked = level.max(*asked);
        self.0.1.notify_all();
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_wait_is_cut_short_by_abandoning_alone() {
        let stop = Stop::new();
        assert!(!stop.wait(Duration::from_millis(1)));
        stop.set();
        assert!(stop.wait(Duration::from_secs(60)) && !stop.is_abandoned());
        assert!(!stop.wait_patiently(Duration::from_millis(1)));
        stop.abandon();
        stop.set();
        assert!(stop.wait_patiently(Duration::from_secs(60)) && stop.is_set());
    }
}
