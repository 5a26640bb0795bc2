//! What comes back of what was written, and what does not count.

use rdkafka::producer::{BaseRecord, Producer, PurgeConfig};
use runtime::Deadline;
use stream::kafka::UNREADABLE_HEADER;
use stream::{Batch, Log};

use super::{PATIENCE, Site, all, batch, texts, wire};

/// 20,000 aborted records and their mark stand behind the last one that counts.
#[test]
fn an_aborted_tail_is_skipped() {
    let Some(site) = Site::new() else { return };
    let lane = site.lane("aborted");
    site.kafka.append(&batch(&lane, &["a", "b"])).unwrap();
    let stranger = site.stranger(&site.name("stranger"));
    stranger.begin_transaction().unwrap();
    for n in 0..20_000 {
        let value = format!("aborted {n}");
        stranger.send(BaseRecord::<(), str>::to(&lane.topic).partition(0).payload(&value)).unwrap();
    }
    stranger.flush(PATIENCE).unwrap();
    stranger.purge(PurgeConfig::default().queue());
    stranger.abort_transaction(PATIENCE).unwrap();

    let deadline = Deadline::after(PATIENCE);
    let last = site.kafka.last(&lane).unwrap();
    assert_eq!(texts(&last), ["b"]);
    assert_eq!(all(&site.kafka, &lane), ["a", "b"]);
    assert!(!deadline.passed(), "skipping took {PATIENCE:?}");
    let end = site.kafka.last(&lane).unwrap().last().unwrap().offset;
    assert!(end > 20_000, "the aborted records are not there: the lane ends at {end}");
}

/// Keys, times and headers that a producer gave go through a stage unharmed.
#[test]
fn a_forwarded_record_keeps_its_time() {
    let Some(site) = Site::new() else { return };
    let lane = site.lane("time");
    let mut records = Batch::new();
    let id = records.lane(&lane);
    records.push_taken(id, (0, 1_600_000_000_123), Some(b"k"), [("n", None)], None);
    site.kafka.append(&records).unwrap();
    let last = site.kafka.last(&lane).unwrap();
    let last = last.last().unwrap();
    assert_eq!((last.time_ms, last.key, last.value), (1_600_000_000_123, Some(&b"k"[..]), None));
    assert_eq!(last.headers.iter().collect::<Vec<_>>(), [("n", None)]);
}

/// Anyone who may write to a raw topic can name a header with bytes that are no text.
#[test]
fn a_header_whose_name_is_no_text_stops_nobody() {
    let Some(site) = Site::new() else { return };
    let lane = site.lane("header");
    wire::produce(
        &site.broker,
        &lane.topic,
        &[(b"fine", b"1"), (b"\xff\xfe", b"2"), (b"too", b"3")],
        b"value",
    );
    assert_eq!(all(&site.kafka, &lane), ["value"]);
    let mut got = Batch::new();
    let one = stream::Limit { records: 1, bytes: 1 << 20 };
    site.kafka.read(&lane, 0, &mut got, one, PATIENCE).unwrap();
    let headers: Vec<_> = got.get(0).unwrap().headers.iter().collect();
    assert_eq!(headers, [("fine", Some(&b"1"[..])), (UNREADABLE_HEADER, None), ("too", Some(&b"3"[..]))]);
}
