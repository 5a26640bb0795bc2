//! Which deflate level a segment's blocks are worth: about 100 MB of realistic audit events of 600 bytes, sealed and
//! cut into blocks as a segment cuts them, then compressed at several levels. Run it by hand:
//! `cargo run --release -p schemas --example deflate_levels`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement run by hand, not part of Sealog"
)]

use std::time::{Duration, Instant};

use flate2::{Compress, Compression, FlushCompress, Status};
use schemas::event::{
    Attribute, AttributeType, AuditEvent, Environment, Outcome, Party, ReceivedFrom, Transport,
};
use schemas::segment::{BLOCK_BYTES, BLOCK_EVENTS};
use schemas::{Hash, Micros, SealedEvent, Walk, event_hash, event_schema_hash};

const TOTAL_BYTES: usize = 100_000_000;
const ROUNDS: u32 = 3;

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len() as u64) as usize]
    }
}

/// One JSON event of about 600 bytes as a service sends it, and the AuditEvent that comes of it.
fn event_bytes(dice: &mut Dice, n: u64, out: &mut Vec<u8>) -> usize {
    let hex = |dice: &mut Dice| format!("{:08x}{:08x}", dice.roll(1 << 32), dice.roll(1 << 32));
    let id = format!("{}{}", hex(dice), hex(dice));
    let trace = format!("{}{}", hex(dice), hex(dice));
    let action = dice.pick(&[
        "user.login",
        "user.logout",
        "document.read",
        "document.update",
        "role.grant",
        "export.start",
    ]);
    let user = format!("user-{}", dice.roll(5_000));
    let (email, document) = (format!("{user}@acme.example"), format!("doc-{}", dice.roll(1 << 20)));
    let address = format!("10.{}.{}.{}", dice.roll(4), dice.roll(256), dice.roll(256));
    let host = format!("web-{}", dice.roll(40));
    let (outcome, word) = match dice.roll(20) {
        0 => (Outcome::Denied, "denied"),
        1 => (Outcome::Failure, "failure"),
        _ => (Outcome::Success, "success"),
    };
    let session = hex(dice);
    let (took, status) = (dice.roll(900).to_string(), dice.pick(&["200", "200", "200", "204", "403", "500"]));
    let agent = dice.pick(&[
        "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36",
        "acme-cli/4.2",
    ]);
    let at = Micros(1_795_253_400_000_000 + n as i64 * 137 + dice.roll(100) as i64);
    let original = format!(
        r#"{{"id":"{id}","time":"{}","action":"{action}","actor":{{"id":"{user}","type":"user","name":"{email}"}},"target":{{"id":"{document}","type":"document"}},"outcome":"{word}","source_ip":"{address}","service":"documents","host":"{host}","region":"eu-central-1","tenant":"acme","trace_id":"{trace}","session":"{session}","method":"GET","path":"/api/v2/workspaces/acme/documents/{document}","duration_ms":{took},"http_status":{status},"user_agent":"{agent}"}}"#,
        at.rfc3339()
    );
    let attribute = |key, value, kind| Attribute { key, value, kind };
    AuditEvent {
        id: &id,
        source: "documents",
        dialect: "json/1",
        action,
        occurred_at: Some(at),
        received_at: Micros(at.0 + 4_000),
        actor: Some(Party { id: &user, kind: Some("user"), name: Some(&email) }),
        source_address: Some(&address),
        targets: &[Party { id: &document, kind: Some("document"), name: None }],
        outcome,
        environment: Environment {
            service: Some("documents"),
            host: Some(&host),
            region: Some("eu-central-1"),
            ..Environment::default()
        },
        tenant: Some("acme"),
        trace_id: Some(&trace),
        producer: "documents",
        received_from: ReceivedFrom {
            transport: Transport::Http,
            peer: Some("10.0.0.7:51422"),
            ..ReceivedFrom::default()
        },
        attributes: &[
            attribute("session", &session, AttributeType::String),
            attribute("duration_ms", &took, AttributeType::Number),
            attribute("http_status", status, AttributeType::Number),
            attribute("user_agent", agent, AttributeType::String),
        ],
        content_type: "application/json",
        original: original.as_bytes(),
        ..AuditEvent::default()
    }
    .encode(out);
    original.len()
}

fn main() {
    let (mut dice, mut walk) = (Dice(7), Walk::begin(Hash([1; 32])));
    let (mut blocks, mut block, mut event) = (Vec::new(), Vec::new(), Vec::new());
    let (mut total, mut originals, mut n) = (0, 0, 0);
    while total < TOTAL_BYTES {
        event.clear();
        originals += event_bytes(&mut dice, n, &mut event);
        let (link, hash) = walk
            .extend(event_hash(&event_schema_hash(), &event), Micros(1_795_253_400_000_000 + n as i64 * 140));
        let start = block.len();
        SealedEvent::splice(&mut block, &link, &hash, &event);
        total += block.len() - start;
        n += 1;
        if n % BLOCK_EVENTS == 0 {
            assert!(block.len() < BLOCK_BYTES);
            blocks.push(std::mem::take(&mut block));
        }
    }
    println!(
        "{n} events, {} bytes of JSON and {} bytes of datum each",
        originals as u64 / n,
        total as u64 / n
    );
    println!("level     MB/s  ratio  bytes an event");
    let mut packed = Vec::with_capacity(2 * BLOCK_BYTES);
    for level in [1, 2, 3, 4, 6] {
        let mut best = Duration::MAX;
        let mut written = 0;
        let mut compress = Compress::new(Compression::new(level), false);
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            written = 0;
            for block in &blocks {
                compress.reset();
                packed.clear();
                assert_eq!(
                    compress.compress_vec(block, &mut packed, FlushCompress::Finish).unwrap(),
                    Status::StreamEnd
                );
                written += packed.len();
            }
            best = best.min(begin.elapsed());
        }
        let megabytes = blocks.iter().map(Vec::len).sum::<usize>() as f64 / 1e6;
        println!(
            "{level:>5} {:>8.0} {:>6.2} {:>15.0}",
            megabytes / best.as_secs_f64(),
            megabytes * 1e6 / written as f64,
            written as f64 / (blocks.len() as u64 * BLOCK_EVENTS) as f64
        );
    }
}
