//! Lanes that are read in turn, and places that are gone back to: a reader that is moved gives what stands there.

use std::time::Duration;

use runtime::Deadline;
use stream::kafka::Kafka;
use stream::{Batch, Kind, Lane, Limit, Log};

use super::{AMPLE, PATIENCE, Site, batch, texts};

const LANES: u32 = 6;
const RECORDS: u64 = 500;
const TEN: Limit = Limit { records: 10, bytes: 64 << 20 };
const SOON: Duration = Duration::from_millis(100);

fn text(lane: &Lane, n: u64) -> String {
    format!("{} of lane {}", n, lane.partition)
}

/// The ten from there on, however many calls bring them.
fn ten_from(kafka: &Kafka, lane: &Lane, from: u64) {
    let (mut got, deadline) = (Batch::new(), Deadline::after(PATIENCE));
    while got.len() < 10 {
        assert!(!deadline.passed(), "{lane} from {from} on: {:?}", texts(&got));
        let (next, left) = (from + got.len() as u64, 10 - got.len());
        kafka.read(lane, next, &mut got, Limit { records: left, ..TEN }, SOON).unwrap();
    }
    let expected: Vec<String> = (from..from + 10).map(|n| text(lane, n)).collect();
    assert_eq!(texts(&got), expected);
}

#[test]
fn lanes_read_in_turn_give_what_stands_where_each_read_begins() {
    let Some(site) = Site::new() else { return };
    let topic = site.topic("turns", LANES);
    let lanes: Vec<Lane> = (0..LANES).map(|n| Lane::new(&topic, n)).collect();
    for lane in &lanes {
        let values: Vec<String> = (0..RECORDS).map(|n| text(lane, n)).collect();
        site.kafka.append(&batch(lane, &values.iter().map(String::as_str).collect::<Vec<_>>())).unwrap();
    }
    // On, ahead over what has been fetched already, and back.
    for from in [0, 10, 20, 200, 210, 5, 15, 490, 0, 480] {
        lanes.iter().for_each(|lane| ten_from(&site.kafka, lane, from));
    }
    for lane in &lanes {
        let mut got = Batch::new();
        site.kafka.read(lane, RECORDS, &mut got, AMPLE, SOON).unwrap();
        assert_eq!(texts(&got), [""; 0], "nothing stands at the end");
        let beyond = site.kafka.read(lane, RECORDS + 1, &mut got, AMPLE, SOON).unwrap_err();
        assert_eq!(beyond.kind(), Kind::OutOfRange { start: 0, end: RECORDS });
        ten_from(&site.kafka, lane, 100);
    }
    // What comes later is seen by the readers that waited at the end.
    for lane in &lanes {
        site.kafka.read(lane, RECORDS, &mut Batch::new(), AMPLE, Duration::ZERO).unwrap();
    }
    for lane in &lanes {
        let later: Vec<String> = (RECORDS..RECORDS + 10).map(|n| text(lane, n)).collect();
        site.kafka.append(&batch(lane, &later.iter().map(String::as_str).collect::<Vec<_>>())).unwrap();
    }
    lanes.iter().for_each(|lane| ten_from(&site.kafka, lane, RECORDS));
}

/// A reader queues less than such a record; it waits as a spare where it is one too many, and is forgotten by a move.
#[test]
fn a_reader_that_is_moved_forgets_the_record_that_did_not_fit() {
    let Some(site) = Site::new() else { return };
    let lane = site.lane("large");
    let values: Vec<String> = (0..4).map(|n| n.to_string().repeat(3 << 20)).collect();
    for value in &values {
        site.kafka.append(&batch(&lane, &[value])).unwrap();
    }
    let one = Limit { records: 2, bytes: 4 << 20 };
    for from in [0, 1, 0, 2, 3, 1] {
        let mut got = Batch::new();
        site.kafka.read(&lane, from as u64, &mut got, one, PATIENCE).unwrap();
        assert!(texts(&got) == [values[from].as_str()], "{} records from {from}", got.len());
    }
}
