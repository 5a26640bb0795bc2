//! What was sent lately with an Idempotency-Key, so that a retry is not sealed twice: for each item the key that its
//! producer, the Idempotency-Key and its place in the request make, and a hash of its bytes.

use std::collections::{HashMap, VecDeque};

use schemas::Hash;

use crate::ids::keyed_id;

/// An item's identity for its sender, and what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sent {
    /// The id that is derived from producer, key and place.
    pub key: u128,
    /// The first half of the SHA-256 of the item's bytes.
    pub content: u128,
}

impl Sent {
    pub fn new(producer: &str, key: &str, index: usize, sha256: &Hash) -> Sent {
        Sent::with_id(&keyed_id(producer, key, index), sha256)
    }

    /// From the id that was derived already.
    pub fn with_id(keyed_id: &str, sha256: &Hash) -> Sent {
        let half = sha256.0.first_chunk().map_or(0, |half| u128::from_be_bytes(*half));
        // The id is 32 hex digits by its making.
        Sent { key: u128::from_str_radix(keyed_id, 16).unwrap_or(0), content: half }
    }
}

/// Whether an item was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Not lately. It is remembered now.
    New,
    /// The very same was.
    Same,
    /// Its key was, with other bytes.
    Other,
}

/// The latest items, up to a number of them.
pub(super) struct Window {
    contents: HashMap<u128, u128>,
    order: VecDeque<u128>,
    most: usize,
    /// How many were remembered since the last `keep` or `forget`.
    fresh: usize,
}

impl Window {
    pub fn new(most: usize) -> Window {
        Window { contents: HashMap::new(), order: VecDeque::new(), most, fresh: 0 }
    }

    /// Looks for an item and remembers it if it is new.
    pub fn see(&mut self, sent: Sent) -> Seen {
        match self.contents.get(&sent.key) {
            Some(content) if *content == sent.content => Seen::Same,
            Some(_) => Seen::Other,
            None => {
                self.contents.insert(sent.key, sent.content);
                self.order.push_back(sent.key);
                self.fresh += 1;
                Seen::New
            }
        }
    }

    /// The items remembered since the last time are durable. Only now may they push out older ones.
    pub fn keep(&mut self) {
        self.fresh = 0;
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.contents.remove(&oldest);
            }
        }
    }

    /// The items remembered since the last time were not written, or nobody knows.
    pub fn forget(&mut self) {
        for _ in 0..self.fresh {
            if let Some(newest) = self.order.pop_back() {
                self.contents.remove(&newest);
            }
        }
        self.fresh = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(key: u128, content: u128) -> Sent {
        Sent { key, content }
    }

    #[test]
    fn a_repeat_is_known_until_enough_others_came() {
        let mut window = Window::new(2);
        assert_eq!(window.see(sent(1, 1)), Seen::New);
        assert_eq!((window.see(sent(1, 1)), window.see(sent(1, 2))), (Seen::Same, Seen::Other));
        window.keep();
        window.see(sent(2, 2));
        window.see(sent(3, 3));
        assert_eq!(window.see(sent(1, 1)), Seen::Same);
        window.keep();
        assert_eq!((window.see(sent(2, 2)), window.see(sent(1, 1))), (Seen::Same, Seen::New));
    }

    #[test]
    fn what_was_not_written_is_forgotten() {
        let mut window = Window::new(10);
        window.see(sent(1, 1));
        window.keep();
        window.see(sent(2, 2));
        window.forget();
        assert_eq!((window.see(sent(1, 1)), window.see(sent(2, 2))), (Seen::Same, Seen::New));
    }

    #[test]
    fn an_item_is_known_by_producer_key_place_and_bytes() {
        let of = |producer, key, index, bytes: &[u8]| Sent::new(producer, key, index, &Hash::of(&[bytes]));
        let one = of("p", "k", 0, b"a");
        assert_ne!(one.key, of("q", "k", 0, b"a").key);
        assert_ne!(one.key, of("p", "l", 0, b"a").key);
        assert_ne!(one.key, of("p", "k", 1, b"a").key);
        let other = of("p", "k", 0, b"b");
        assert!(one.key == other.key && one.content != other.content);
    }
}
