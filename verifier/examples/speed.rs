//! How fast a walk over an archive is, beside inflating and hashing the same bytes and nothing else.
//!
//! `cargo run --release -p verifier --features testing --example speed [events]`

use std::sync::Arc;

use runtime::{Clock, SystemClock};
use schemas::event::{Attribute, AttributeType, Party};
use schemas::{AuditEvent, Hash, Micros, SegmentFile};
use store::memory::Memory;
use verifier::testing::{ChainBuilder, store_objects};
use verifier::{Options, verify};

const EVENTS_A_SEGMENT: u64 = 50_000;

/// An event of about 600 bytes, a third of them its original; as much of it repeats as in real ones.
fn event(n: u64) -> Vec<u8> {
    let random = schemas::hex(&Hash::of(&[&n.to_be_bytes()]).0);
    let (user, door) = (format!("user-{}", n % 977), format!("door-{}", n % 131));
    let original = format!(
        "{{\"id\":\"{}\",\"action\":\"door.open\",\"actor\":\"{user}\",\"target\":\"{door}\",\"session\":\"{}\",\
         \"ip\":\"10.1.{}.{}\",\"agent\":\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\",\"n\":{n}}}",
        &random[..32],
        &random[32..],
        n % 256,
        n % 251
    );
    let attributes = [
        Attribute { key: "session", value: &random[32..], kind: AttributeType::String },
        Attribute { key: "agent", value: "Mozilla/5.0 (X11; Linux x86_64)", kind: AttributeType::String },
    ];
    let mut out = Vec::new();
    AuditEvent {
        id: &random[..32],
        source: "door-controller",
        dialect: "json/1",
        action: "door.open",
        category: Some("access"),
        occurred_at: Some(Micros(1_795_253_400_000_000 + n as i64)),
        received_at: Micros(1_795_253_400_000_000 + n as i64),
        actor: Some(Party { id: &user, kind: Some("user"), name: None }),
        targets: &[Party { id: &door, kind: Some("door"), name: None }],
        producer: "doors",
        attributes: &attributes,
        content_type: "application/json",
        original: original.as_bytes(),
        ..AuditEvent::default()
    }
    .encode(&mut out);
    out
}

fn main() {
    let events = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(170_000u64);
    let mut chain = ChainBuilder::begin("acme.example/audit/0", 7);
    for first in (0..events).step_by(EVENTS_A_SEGMENT as usize) {
        chain.seal((first..events.min(first + EVENTS_A_SEGMENT)).map(event));
    }
    let plain_bytes: usize = chain.records.iter().map(|record| record.event.len()).sum();
    let store = Memory::new(Arc::new(SystemClock));
    store_objects(&chain.objects, &store).expect("memory takes everything");
    let segments: Vec<&Vec<u8>> =
        chain.objects.iter().filter(|(key, _)| key.ends_with(".avro")).map(|(_, bytes)| bytes).collect();
    let packed_bytes: usize = segments.iter().map(|bytes| bytes.len()).sum();
    println!(
        "{events} events, {:.1} MB of event bytes ({} each), {:.1} MB of segments",
        plain_bytes as f64 / 1e6,
        plain_bytes as u64 / events,
        packed_bytes as f64 / 1e6
    );
    for _ in 0..3 {
        let inflated = timed("inflate", events, plain_bytes, || {
            let (mut plain, mut inflated) = (Vec::new(), 0);
            for segment in &segments {
                let mut blocks = SegmentFile::parse(segment).expect("a good segment").blocks();
                while blocks.next_into(&mut plain).expect("a good block").is_some() {
                    inflated += plain.len();
                }
            }
            inflated
        });
        timed("inflate + SHA-256 of it", events, plain_bytes, || {
            let mut plain = Vec::new();
            for segment in &segments {
                let mut blocks = SegmentFile::parse(segment).expect("a good segment").blocks();
                while blocks.next_into(&mut plain).expect("a good block").is_some() {
                    Hash::of(&[&plain]);
                }
            }
            inflated
        });
        let report = timed("verify", events, plain_bytes, || verify(&store, &Options::default()));
        assert_eq!(report.verdict.words(), "intact but unanchored");
    }
}

fn timed<T>(what: &str, events: u64, bytes: usize, work: impl FnOnce() -> T) -> T {
    let start = SystemClock.boot();
    let out = work();
    let seconds = (SystemClock.boot().0 - start.0) as f64 / 1e6;
    let (events_a_second, mb_a_second) = (events as f64 / seconds, bytes as f64 / 1e6 / seconds);
    println!(
        "{what:>24}: {seconds:.3} s, {events_a_second:>9.0} events/s, {mb_a_second:>6.0} MB/s of event bytes"
    );
    out
}
