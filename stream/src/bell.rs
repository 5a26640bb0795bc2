//! News within one process: whoever waits for a record or a claim is woken when there may be one.

use std::sync::{Condvar, Mutex, PoisonError};

use runtime::Deadline;

/// Rung for every change that somebody may wait for. It is never polled.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

/// How often a bell had rung when somebody looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard(u64);

impl Bell {
    /// To be asked before looking for what is waited for: a ring in between then ends the wait at once.
    pub fn heard(&self) -> Heard {
        Heard(*self.rings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes everyone who waits.
    pub fn ring(&self) {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.rung.notify_all();
    }

    /// Waits for a ring that was not heard yet. False when the deadline came first.
    pub fn wait(&self, heard: Heard, deadline: &Deadline) -> bool {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        while *rings == heard.0 {
            if deadline.passed() {
                return false;
            }
            rings = self.rung.wait_timeout(rings, deadline.left()).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
