//! Archives in memory, and what is asked of them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runtime::SystemClock;
use schemas::{AuditEvent, Micros, Place, Seq, Vkey};
use store::memory::{Between, Memory};
use store::{Listing, Object, Page, Result, Version};
use tlog::{Chain, Checked, Included, check};
use verifier::testing::{ChainBuilder, events, store_objects};

pub const ORIGIN: &str = "acme.example/audit/0";

/// A chain whose segments end at these sizes.
pub fn cut_at(cuts: &[u64]) -> ChainBuilder {
    let (mut chain, mut first) = (ChainBuilder::begin(ORIGIN, 7), 0);
    for cut in cuts {
        chain.seal(events(first..*cut));
        first = *cut;
    }
    chain
}

/// The archive of a chain.
pub fn archive(chain: &ChainBuilder) -> Memory {
    let memory = Memory::new(Arc::new(SystemClock));
    store_objects(&chain.objects, &memory).unwrap();
    memory
}

pub fn open(memory: &Memory) -> Chain {
    Chain::open(Arc::new(memory.clone()), ORIGIN).unwrap()
}

/// An event with this id, and so many bytes as it was received.
pub fn event_of(id: &str, bytes: usize) -> Vec<u8> {
    let mut state = 7u64;
    let original: Vec<u8> = (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    let mut out = Vec::new();
    AuditEvent {
        id,
        action: "user.login",
        received_at: Micros(1_795_253_400_000_000),
        content_type: "application/octet-stream",
        original: &original,
        ..AuditEvent::default()
    }
    .encode(&mut out);
    out
}

/// What the proof at that size holds, as whoever has the key sees it.
pub fn proved(chain: &Chain, seq: u64, size: u64, key: &Vkey) -> Included {
    let proof = chain.prove(Seq(seq), &chain.signed(size).unwrap()).unwrap();
    included(proof.as_bytes(), key)
}

pub fn included(proof: &[u8], key: &Vkey) -> Included {
    match check(proof, std::slice::from_ref(key)).unwrap() {
        Checked::Inclusion(included) => *included,
        Checked::Consistency(_) => panic!("it is about an event"),
    }
}

/// Counts what is asked of a store.
#[derive(Clone)]
pub struct Counting {
    below: Memory,
    gets: Arc<AtomicU64>,
    lists: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Counting {
    pub fn over(below: &Memory) -> Counting {
        let (gets, lists, bytes) = Default::default();
        Counting { below: below.clone(), gets, lists, bytes }
    }

    /// Gets, lists and bytes since it was asked last.
    pub fn take(&self) -> (u64, u64, u64) {
        let take = |count: &AtomicU64| count.swap(0, Ordering::SeqCst);
        (take(&self.gets), take(&self.lists), take(&self.bytes))
    }
}

impl Between for Counting {
    fn below(&self) -> &Memory {
        &self.below
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        let object = store::Store::get(&self.below, key, version, range, max_bytes)?;
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(object.bytes.len() as u64, Ordering::SeqCst);
        Ok(object)
    }

    fn list_between(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        store::Store::list(&self.below, prefix, after, listing)
    }
}

/// The segment that holds a seq, by its key.
pub fn segment_key(chain: &ChainBuilder, seq: u64) -> String {
    let nth = chain.cuts.iter().position(|cut| seq < *cut).unwrap();
    chain.segment_key(nth)
}

pub fn trees_key(chain: &ChainBuilder, size: u64) -> String {
    chain.key(&Place::Trees(size))
}
