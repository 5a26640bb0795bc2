//! Clocks. A stage holds a `&dyn Clock` and hands its core the time as an argument.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use schemas::Micros;

/// Where a loop gets the time from.
pub trait Clock: Send + Sync {
    /// Wall time, UTC. It can jump.
    fn wall(&self) -> Micros;
    /// Time since the machine started, suspension included. It never goes back.
    fn boot(&self) -> Micros;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Micros {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Micros(since.as_micros() as i64),
            Err(before) => Micros(-(before.duration().as_micros() as i64)),
        }
    }

    fn boot(&self) -> Micros {
        let time = clock_gettime(ClockId::Boottime);
        Micros(time.tv_sec * 1_000_000 + time.tv_nsec / 1_000)
    }
}

/// A clock that a test moves by hand.
#[derive(Debug)]
pub struct ManualClock {
    wall_us: AtomicI64,
    boot_us: AtomicI64,
}

impl ManualClock {
    /// Starts at `wall`, an hour after the boot.
    pub fn at(wall: Micros) -> ManualClock {
        ManualClock { wall_us: AtomicI64::new(wall.0), boot_us: AtomicI64::new(3_600_000_000) }
    }

    /// Lets time pass on both clocks.
    pub fn pass(&self, time: Duration) {
        self.boot_us.fetch_add(time.as_micros() as i64, Ordering::SeqCst);
        self.jump(time.as_micros() as i64);
    }

    /// Moves the wall clock alone, as an administrator or a bad time server would.
    pub fn jump(&self, by_us: i64) {
        self.wall_us.fetch_add(by_us, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Micros {
        Micros(self.wall_us.load(Ordering::SeqCst))
    }

    fn boot(&self) -> Micros {
        Micros(self.boot_us.load(Ordering::SeqCst))
    }
}

/// A point in time that has not been reached yet, or has.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    pub fn after(wait: Duration) -> Deadline {
        Deadline(Instant::now() + wait)
    }

    /// What is left; zero once it has passed.
    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn passed(&self) -> bool {
        self.left().is_zero()
    }
}
