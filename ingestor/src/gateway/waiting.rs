//! How many bytes wait in the gateway, from a body's first byte to the answer: the bound on its memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntGauge;

/// The bound, shared by all requests.
pub(super) struct Waiting {
    bytes: AtomicUsize,
    most: usize,
    gauge: IntGauge,
}

/// A request's share. It is given back when dropped.
pub(super) struct Reserved {
    waiting: Arc<Waiting>,
    bytes: usize,
}

impl Waiting {
    pub fn new(most: usize, gauge: IntGauge) -> Arc<Waiting> {
        Arc::new(Waiting { bytes: AtomicUsize::new(0), most, gauge })
    }

    /// A share of so many bytes, if there is room.
    pub fn reserve(self: &Arc<Waiting>, bytes: usize) -> Option<Reserved> {
        let mut reserved = Reserved { waiting: self.clone(), bytes: 0 };
        reserved.grow_to(bytes).then_some(reserved)
    }
}

impl Reserved {
    /// Makes the share at least this large. False, and as it was, if there is no room.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let fits = |now: usize| now.checked_add(more).filter(|sum| *sum <= self.waiting.most);
        let grown = self.waiting.bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok();
        if grown {
            self.waiting.gauge.add(more as i64);
            self.bytes += more;
        }
        grown
    }

    /// Makes the share larger by so much. False, and as it was, if there is no room.
    pub fn grow_by(&mut self, bytes: usize) -> bool {
        self.grow_to(self.bytes.saturating_add(bytes))
    }

    /// Makes the share this large, room or not: what was taken in is being turned into something else.
    pub fn become_bytes(&mut self, bytes: usize) {
        self.waiting.bytes.fetch_add(bytes, Ordering::SeqCst);
        self.waiting.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        self.waiting.gauge.add(bytes as i64 - self.bytes as i64);
        self.bytes = bytes;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.become_bytes(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_out_of_one_bound_and_go_back() {
        let gauge = IntGauge::new("waiting", "waiting").unwrap();
        let waiting = Waiting::new(10, gauge.clone());
        let mut first = waiting.reserve(6).unwrap();
        assert!(waiting.reserve(5).is_none() && first.grow_to(10) && !first.grow_to(11));
        first.become_bytes(12);
        assert_eq!(gauge.get(), 12);
        assert!(waiting.reserve(1).is_none());
        drop(first);
        assert_eq!(gauge.get(), 0);
        assert!(waiting.reserve(10).is_some());
    }
}
