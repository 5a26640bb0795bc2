//! How a process ends: one flag that every loop looks at, and a wait that it cuts short.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::Deadline;

/// Shared by whoever must end together. Once set it stays set.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Not set.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Asks everyone to end, and wakes who waits.
    pub fn set(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether it was asked.
    pub fn is_set(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long, or until somebody asks to end; then true.
    pub fn wait(&self, time: Duration) -> bool {
        let deadline = Deadline::after(time);
        let mut set = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*set && !deadline.passed() {
            set = self.0.1.wait_timeout(set, deadline.left()).unwrap_or_else(PoisonError::into_inner).0;
        }
        *set
    }
}
