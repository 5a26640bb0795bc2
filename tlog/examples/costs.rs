//! What proofs cost: requests, bytes and time of one proof, and what the index by id takes to build and to ask, over an
//! archive in a folder that is made for it.
//!
//!   cargo run --release -p tlog --example costs -- [events] [events a segment]
#![allow(clippy::unwrap_used, reason = "a measurement: what fails ends it")]

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runtime::{Clock, SystemClock};
use schemas::{AuditEvent, Micros, Seq};
use store::directory::{Directory, Options};
use store::{Keep, Listing, Object, Page, Result, Retention, Store, Tag, Version};
use tlog::{Chain, Index, check};
use verifier::testing::{ChainBuilder, store_objects};

const ORIGIN: &str = "acme.example/audit/0";

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|n| n.parse().unwrap()).collect();
    let events = numbers.first().copied().unwrap_or(1_000_000);
    let in_segment = numbers.get(1).copied().unwrap_or(50_000);
    let folder = tempfile::tempdir().unwrap();
    let key = make(&folder.path().join("archive"), events, in_segment);
    let store = Arc::new(Counting::over(Directory::open_read_only(folder.path().join("archive")).unwrap()));
    let shared: Arc<dyn Store> = store.clone();

    for (what, seq) in
        [("first", 0), ("one in the middle", events / 2 + 12_345 % events), ("last", events - 1)]
    {
        let seq = Seq(seq.min(events - 1));
        store.take();
        let (opened, opening_us) = timed(|| Chain::open(shared.clone(), ORIGIN).unwrap());
        let open = store.take();
        let newest = opened.newest_signed().unwrap();
        let (proof, us) = timed(|| opened.prove(seq, &newest).unwrap());
        let cost = store.take();
        let (held, check_us) = timed(|| check(proof.as_bytes(), std::slice::from_ref(&key)).is_ok());
        assert!(held);
        println!(
            "{what} event, newest tree: opening {} in {opening_us} us, proof {} in {us} us, {} bytes long, checked in \
             {check_us} us",
            words(open),
            words(cost),
            proof.len()
        );
        let opened = Chain::open(shared.clone(), ORIGIN).unwrap();
        store.take();
        let first = opened.first_covering(seq.0).unwrap();
        let (_, us) = timed(|| opened.prove(seq, &first).unwrap());
        println!("{what} event, first tree: proof {} in {us} us", words(store.take()));
    }

    let chains = [Chain::open(shared, ORIGIN).unwrap()];
    store.take();
    let index = Index::open(&folder.path().join("index"), "costs").unwrap();
    let (built, us) = timed(|| index.update(&chains[0]).unwrap());
    assert_eq!(built.events, events);
    println!("index built: {} events/s, {}", events * 1_000_000 / us.max(1), words(store.take()));
    drop(index);
    let file = std::fs::read_dir(folder.path().join("index")).unwrap().next().unwrap().unwrap();
    println!("index: {} bytes an event", file.metadata().unwrap().len() / events);
    let (index, us) = timed(|| Index::open(&folder.path().join("index"), "costs").unwrap());
    println!("index opened in {us} us");
    let (built, us) = timed(|| index.update(&chains[0]).unwrap());
    assert_eq!(built.events, 0);
    println!("index brought up to date, with nothing new, in {us} us");
    let wanted: Vec<u64> = (0..1_000).map(|n| n * 7_919 % events).collect();
    let mut all_us = Vec::new();
    for seq in &wanted {
        let (found, us) = timed(|| index.find(&chains, &id(*seq)).unwrap());
        assert_eq!(found.first().map(|found| found.seq), Some(Seq(*seq)));
        all_us.push(us);
    }
    let first = all_us[0];
    all_us.sort_unstable();
    println!(
        "an id looked up, the event read and compared: {} us at the median, {first} us the first",
        all_us[500]
    );
    let ((), us) =
        timed(|| wanted.iter().for_each(|seq| drop(index.find(&chains, &format!("no-{seq}")).unwrap())));
    println!("an id that no event has: {} us", us as f64 / 1_000.0);
}

/// An id as services make them: no order in it.
fn id(n: u64) -> String {
    schemas::derived_id(&[&n.to_be_bytes()])
}

/// The archive; the key that signed it.
fn make(folder: &Path, events: u64, in_segment: u64) -> schemas::Vkey {
    let store = Directory::open(folder, Options { make_root: true }).unwrap();
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    let (mut first, mut bytes) = (0, 0);
    let (_, us) = timed(|| {
        while first < events {
            let last = (first + in_segment).min(events);
            chain.seal((first..last).map(event));
            // The hint is replaced; here it is written once, at the end.
            let hint = chain.key(&schemas::Place::Hint);
            let is_last = last == events;
            let mut objects = std::mem::take(&mut chain.objects);
            objects.retain(|key, _| {
                let is_schema = key.ends_with(".avsc");
                (*key != hint || is_last) && (!is_schema || first == 0)
            });
            bytes += objects.values().map(Vec::len).sum::<usize>();
            store_objects(&objects, &store).unwrap();
            chain.records.clear();
            first = last;
        }
    });
    println!(
        "{events} events, {in_segment} a segment: {} MB, made in {} s",
        bytes / 1_000_000,
        us / 1_000_000
    );
    chain.vkey()
}

fn event(n: u64) -> Vec<u8> {
    let (id, at) = (id(n), Micros(1_795_253_400_000_000 + n as i64));
    let noise = schemas::derived_id(&[b"noise", &n.to_be_bytes()]);
    let original = format!(
        "{{\"action\":\"user.login\",\"actor\":{{\"id\":\"user-{}\"}},\"session\":\"{noise}\",\"address\":\"10.0.{}.{}\",\
         \"agent\":\"Mozilla/5.0 (X11; Linux x86_64)\",\"n\":{n}}}",
        n % 5_000,
        n % 250,
        n % 199
    );
    let mut out = Vec::new();
    AuditEvent {
        id: &id,
        source: "web",
        action: "user.login",
        occurred_at: Some(at),
        received_at: at,
        content_type: "application/json",
        original: original.as_bytes(),
        producer: "web",
        ..AuditEvent::default()
    }
    .encode(&mut out);
    out
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, u64) {
    let begun = SystemClock.boot();
    let result = run();
    (result, (SystemClock.boot().0 - begun.0) as u64)
}

fn words((gets, lists, bytes): (u64, u64, u64)) -> String {
    format!("{gets} GET, {lists} LIST, {bytes} bytes")
}

/// Counts what is asked of the store below.
struct Counting {
    below: Directory,
    gets: AtomicU64,
    lists: AtomicU64,
    bytes: AtomicU64,
}

impl Counting {
    fn over(below: Directory) -> Counting {
        let (gets, lists, bytes) = Default::default();
        Counting { below, gets, lists, bytes }
    }

    fn take(&self) -> (u64, u64, u64) {
        let take = |count: &AtomicU64| count.swap(0, Ordering::SeqCst);
        (take(&self.gets), take(&self.lists), take(&self.bytes))
    }
}

impl Store for Counting {
    fn put_new(&self, key: &str, body: &[u8], keep: Keep) -> Result<Version> {
        self.below.put_new(key, body, keep)
    }

    fn replace_if(&self, key: &str, tag: Option<&Tag>, body: &[u8], keep: Keep) -> Result<Version> {
        self.below.replace_if(key, tag, body, keep)
    }

    fn get(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let object = self.below.get(key, version, range, max_bytes)?;
        self.bytes.fetch_add(object.bytes.len() as u64, Ordering::SeqCst);
        Ok(object)
    }

    fn retention(&self) -> Option<Retention> {
        self.below.retention()
    }

    fn list(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        self.below.list(prefix, after, listing)
    }
}
