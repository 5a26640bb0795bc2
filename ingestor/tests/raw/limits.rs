//! How large records may be, and what they become.

use std::sync::atomic::{AtomicUsize, Ordering};

use ingestor::CHUNK_BYTES;
use stream::{Claim, Member, Role};

use super::*;

const ITEM_BYTES: usize = 1 << 20;
/// What one commit holds at most, but for a single record that is larger by itself.
const MOST_COMMIT_BYTES: usize = 16 << 20;

/// An event of so many bytes.
fn event_of(bytes: usize) -> Vec<u8> {
    let (before, after) = (&br#"{"action":"a","pad":""#[..], &br#""}"#[..]);
    let pad = vec![b'x'; bytes - before.len() - after.len()];
    [before, &pad, after].concat()
}

type Headers<'a> = &'a [(&'a str, Option<&'a [u8]>)];
/// Key, headers and value of a record.
type Parts<'a> = (Option<&'a [u8]>, Headers<'a>, &'a [u8]);

fn put_one(memory: &Memory, key: Option<&[u8]>, headers: Headers, value: &[u8]) {
    let mut batch = Batch::new();
    let lane = batch.lane(&Lane::new(RAW, 0));
    batch.push_taken(lane, (0, 0), key, headers.iter().copied(), Some(value));
    memory.append(&batch).unwrap();
}

#[test]
fn a_record_of_the_limit_is_an_event_and_one_byte_more_is_rejected_with_all_its_bytes() {
    let memory = memory();
    let values =
        [event_of(ITEM_BYTES - 1), event_of(ITEM_BYTES), event_of(ITEM_BYTES + 1), event_of(3 << 20)];
    values.iter().for_each(|value| put(&memory, 0, &[Some(value)]));
    run(&ingestor(&memory), &memory, 4).unwrap();
    let events = events(&memory);
    for (event, value) in events.iter().zip(&values[..2]) {
        assert_eq!(
            (&event["action"], event["original"]["bytes"].as_str().unwrap().len()),
            (&json!("a"), value.len())
        );
    }
    for (event, value) in events[2..].iter().zip(&values[2..]) {
        assert_eq!(
            (&event["action"], &event["attributes"][0]["value"]),
            (&json!(REJECTED), &json!("too_large"))
        );
        assert_eq!(event["attributes"][2]["value"], json!(value.len().to_string()));
        assert_eq!(event["original"]["bytes"].as_str().unwrap().as_bytes(), &value[..ITEM_BYTES]);
    }
    let queue: Vec<_> = read(&memory, topics::REJECTED).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(
        queue.iter().map(Vec::len).collect::<Vec<_>>(),
        [ITEM_BYTES + 1, CHUNK_BYTES, (3 << 20) - CHUNK_BYTES]
    );
    assert_eq!(queue[0], values[2]);
    assert_eq!(queue[1..].concat(), values[3]);
}

/// Keys and headers as large as a record can be, beside values that can be read and values that cannot. The memory's
/// topics take no more than Kafka's do, so one that was larger would have ended the ingestor.
#[test]
fn whatever_the_key_and_the_headers_weigh_something_is_sealed_and_fits() {
    let memory = memory();
    let room = topics::MAX_RECORD_BYTES - 200;
    let (large, half) = (vec![b'k'; room], vec![b'h'; ITEM_BYTES - 100]);
    let (broken, event) = (vec![b'x'; 2 << 20], event_of(ITEM_BYTES));
    let many: Vec<_> = (0..80_000).map(|_| ("h", Some(&b"v"[..]))).collect();
    let cases: &[Parts] = &[
        (Some(&large), &[], b"{}"),
        (Some(&large), &[], b"x"),
        (None, &[("h", Some(&large))], b"{}"),
        (None, &[("h", Some(&large))], b"x"),
        (None, &[("content-type", Some(&large))], b"{}"),
        (None, &[("content-type", Some(&large))], b"x"),
        // Just within what is kept beside a rejected record, and a chunk that is full.
        (None, &[("content-type", Some(&half))], &broken),
        (Some(&half), &[], &broken),
        (Some(&half), &[("h", Some(&half))], &event),
        (Some(&half), &[("h", Some(&half)), ("content-type", Some(&half))], b"x"),
        (None, &many, &broken[..ITEM_BYTES]),
        (None, &many, &event),
    ];
    cases.iter().for_each(|(key, headers, value)| put_one(&memory, *key, headers, value));
    run(&ingestor(&memory), &memory, cases.len()).unwrap();
    let events = events(&memory);
    let offsets: Vec<_> =
        events.iter().map(|e| e["received_from"]["offset"].as_u64().unwrap() as usize).collect();
    assert_eq!(offsets, (0..cases.len()).collect::<Vec<_>>());
    for (event, (_, _, value)) in events.iter().zip(cases) {
        // What is no media type is not taken for one.
        assert_eq!(event["original"]["content_type"], "application/json");
        if event["action"] != REJECTED {
            assert_eq!(event["original"]["bytes"].as_str().unwrap().as_bytes(), *value);
        }
    }
}

/// A stream that notes the largest commit.
struct Watched {
    memory: Memory,
    largest: Arc<AtomicUsize>,
}

impl Log for Watched {
    fn append(&self, records: &Batch) -> stream::Result<()> {
        self.memory.append(records)
    }
    fn read(
        &self,
        lane: &Lane,
        from: u64,
        into: &mut Batch,
        limit: Limit,
        wait: Duration,
    ) -> stream::Result<()> {
        self.memory.read(lane, from, into, limit, wait)
    }
    fn last(&self, lane: &Lane) -> stream::Result<Batch> {
        self.memory.last(lane)
    }
    fn trim(&self, lane: &Lane, before: u64) -> stream::Result<()> {
        self.memory.trim(lane, before)
    }
}

impl Groups for Watched {
    fn join(&self, role: &Role) -> stream::Result<Box<dyn Member>> {
        Ok(Box::new(WatchedMember(self.memory.join(role)?, Arc::clone(&self.largest))))
    }
    fn positions(&self, group: &str, lanes: &[Lane]) -> stream::Result<Vec<Option<u64>>> {
        self.memory.positions(group, lanes)
    }
}

struct WatchedMember(Box<dyn Member>, Arc<AtomicUsize>);

impl Member for WatchedMember {
    fn poll(&mut self, wait: Duration) -> stream::Result<Option<Box<dyn Claim>>> {
        let claim = self.0.poll(wait)?;
        Ok(claim.map(|claim| Box::new(WatchedClaim(claim, Arc::clone(&self.1))) as Box<dyn Claim>))
    }
    fn is_settled(&self) -> bool {
        self.0.is_settled()
    }
}

struct WatchedClaim(Box<dyn Claim>, Arc<AtomicUsize>);

impl Claim for WatchedClaim {
    fn lanes(&self) -> &[Lane] {
        self.0.lanes()
    }
    fn start_at(&mut self, lane: &Lane, offset: u64) -> stream::Result<()> {
        self.0.start_at(lane, offset)
    }
    fn take(&mut self, into: &mut Batch, limit: Limit, wait: Duration) -> stream::Result<()> {
        self.0.take(into, limit, wait)
    }
    fn commit(&mut self, outputs: &Batch, positions: &[(Lane, u64)]) -> stream::Result<()> {
        self.1.fetch_max(outputs.size_bytes(), Ordering::SeqCst);
        self.0.commit(outputs, positions)
    }
}

#[test]
fn a_commit_is_bounded_however_much_waits_and_whatever_it_is() {
    let small_members: Vec<_> = (0..300).map(|n| format!("\"key{n}\":\"{n}\"")).collect();
    let cases: [(&str, Vec<u8>, usize); 5] = [
        ("rejections of 1 MiB", vec![b'x'; ITEM_BYTES], 24),
        ("rejections of 2 KiB", vec![b'x'; 2 << 10], 9_000),
        ("events of 1 MiB", event_of(ITEM_BYTES), 24),
        ("events of many attributes", format!("{{{}}}", small_members.join(",")).into_bytes(), 4_000),
        ("events of two bytes", b"{}".to_vec(), 9_000),
    ];
    for (what, value, count) in cases {
        let memory = memory();
        for _ in 0..count / 8 {
            put(&memory, 0, &[Some(&value[..]); 4]);
            put(&memory, 1, &[Some(&value[..]); 4]);
        }
        let largest = Arc::new(AtomicUsize::new(0));
        let watched = Watched { memory: memory.clone(), largest: Arc::clone(&largest) };
        run(&ingestor_on(Arc::new(watched)), &memory, count).unwrap();
        let largest = largest.load(Ordering::SeqCst);
        assert!(largest <= MOST_COMMIT_BYTES, "{what}: a commit of {largest} bytes");
    }
}
