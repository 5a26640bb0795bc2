//! How fast the core is: events of about 600 bytes, normalized into batches of a thousand on one core.

use std::time::Duration;

use runtime::Clock;
use schemas::Micros;
use schemas::event::{ReceivedFrom, Transport};
use stream::Batch;

use crate::{FallbackId, FreshIds, Lanes, Limits, Normalizer, RawRecord, UUID_CHARS};

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Events normalized.
    pub events: usize,
    /// Bytes of their originals.
    pub original_bytes: usize,
    /// Bytes of their datums and headers.
    pub written_bytes: usize,
    /// How long it took.
    pub took: Duration,
}

impl Measured {
    /// Events a second.
    pub fn events_per_second(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }
}

/// An event as services send it, 600 bytes long, different for every `n`.
pub fn sample(n: usize) -> String {
    let mut event = format!(
        r#"{{"id":"evt-{n:012}","action":"document.share","timestamp":"2026-11-21T09:30:{:02}.{:06}Z","actor":{{"id":"user-{}","type":"user","name":"Alice Example","department":"Finance"}},"targets":[{{"id":"doc-{}","type":"document"}},{{"id":"group-7","type":"group"}}],"outcome":"success","source_ip":"10.20.{}.{}","tenant":"acme","service":"drive","region":"eu-central-1","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","session":"s-{n:08}","changes":{{"role":{{"from":"reader","to":"writer"}},"expires":null}},"size":{},"ok":true,"comment":""#,
        n % 60,
        n % 1_000_000,
        n % 1000,
        n % 5000,
        n % 250,
        n % 200,
        n * 7,
    );
    while event.len() < 598 {
        event.push(char::from(b'a' + (event.len() % 26) as u8));
    }
    event.push_str("\"}");
    event
}

/// Normalizes so many events. Of the time only what the core takes counts, not the making of the originals.
pub fn normalize(clock: &dyn Clock, events: usize) -> Measured {
    let originals: Vec<String> = (0..1000).map(sample).collect();
    let mut normalizer = Normalizer::new(Limits::default());
    let ids = FreshIds::new(Micros(0), [7; 16]);
    let mut batch = Batch::new();
    let mut measured = Measured { events: 0, original_bytes: 0, written_bytes: 0, took: Duration::ZERO };
    let start = clock.boot();
    while measured.events < events {
        batch.clear(usize::MAX);
        let lanes = Lanes::of(0, &mut batch);
        for (part, original) in originals.iter().enumerate() {
            let mut id = [0; UUID_CHARS];
            let record = RawRecord {
                content_type: "application/json",
                bytes: original.as_bytes(),
                received_from: ReceivedFrom {
                    transport: Transport::Http,
                    peer: Some("127.0.0.1:40000"),
                    part: part as i32,
                    ..ReceivedFrom::default()
                },
                producer: "bench",
                fallback_id: FallbackId::Given(ids.get(part, &mut id)),
            };
            let taken = normalizer.take(&record, start, &mut batch, lanes);
            measured.events += usize::from(taken.is_ok());
            measured.original_bytes += original.len();
        }
        measured.written_bytes += batch.size_bytes();
    }
    measured.took = Duration::from_micros((clock.boot().0 - start.0).max(1) as u64);
    measured
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_an_event_of_600_bytes() {
        let measured = normalize(&runtime::SystemClock, 1000);
        assert_eq!((measured.events, measured.original_bytes), (1000, 600_000));
    }
}
