//! The loop over raw topics, on a stream in memory in which each write fails in each way.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

mod limits;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ingestor::{Ingestor, Limits, Metrics};
use prometheus::Registry;
use runtime::{Deadline, Failure, ManualClock, Stop, SystemClock};
use schemas::avro::{Input, to_json};
use schemas::event::event_shape;
use schemas::own_act::{GAP, REJECTED};
use schemas::{Micros, derived_id};
use serde_json::{Value, json};
use stream::memory::{Fault, Memory};
use stream::{Batch, Groups, Lane, Limit, Log, Stream, topics};

const RAW: &str = "app.audit";
const CHAINS: u32 = 2;
const ALL: Limit = Limit { records: usize::MAX, bytes: usize::MAX };

fn memory() -> Memory {
    let lanes = [(RAW, 2), (topics::EVENTS, CHAINS), (topics::REJECTED, CHAINS)];
    Memory::new(&lanes, Arc::new(ManualClock::at(Micros(1_795_253_400_000_000))))
}

fn ingestor(memory: &Memory) -> Ingestor {
    ingestor_on(Arc::new(memory.clone()))
}

fn ingestor_on(stream: Arc<dyn Stream>) -> Ingestor {
    Ingestor {
        stream,
        clock: Arc::new(SystemClock),
        metrics: Metrics::register(&Registry::new(), "kafka").unwrap(),
        topics: vec![RAW.to_owned()],
        id: "ingestor-0".to_owned(),
        chains: CHAINS,
        limits: Limits::default(),
    }
}

/// Writes records to a raw lane.
fn put(memory: &Memory, partition: u32, values: &[Option<&[u8]>]) {
    let mut batch = Batch::new();
    let lane = batch.lane(&Lane::new(RAW, partition));
    for value in values {
        let headers = [("content-type", Some(&b"application/json"[..])), ("h", None)];
        batch.push_taken(lane, (0, 0), Some(b"key"), headers, *value);
    }
    memory.append(&batch).unwrap();
}

fn read(memory: &Memory, topic: &str) -> Vec<(u32, Vec<u8>)> {
    let lanes = (0..CHAINS).map(|chain| Lane::new(topic, chain));
    let mut found = Vec::new();
    for lane in lanes {
        let mut batch = Batch::new();
        memory.read(&lane, 0, &mut batch, ALL, Duration::ZERO).unwrap();
        found.extend(batch.iter().map(|r| (lane.partition, r.value.unwrap().to_vec())));
    }
    found
}

fn events(memory: &Memory) -> Vec<Value> {
    let json = |datum: &[u8]| to_json(event_shape(), &mut Input::new("event", datum)).unwrap();
    read(memory, topics::EVENTS).iter().map(|(_, datum)| json(datum)).collect()
}

/// Runs the loop until there are so many events, or it ends by itself.
fn run(ingestor: &Ingestor, memory: &Memory, expected: usize) -> Result<(), Failure> {
    let stop = Stop::new();
    thread::scope(|scope| {
        let running = scope.spawn(|| ingestor.run(&stop));
        let deadline = Deadline::after(Duration::from_secs(30));
        while events(memory).len() < expected && !running.is_finished() {
            assert!(!deadline.passed(), "{} of {expected} events", events(memory).len());
            stop.wait(Duration::from_millis(2));
        }
        stop.set();
        running.join().unwrap()
    })
}

#[test]
fn records_become_events_with_their_place_and_rejections() {
    let memory = memory();
    put(&memory, 0, &[Some(br#"{"action":"a"}"#), Some(b"broken"), None, Some(b"")]);
    put(&memory, 1, &[Some(br#"{"id":"own","producer":"me"}"#)]);
    let ingestor = ingestor(&memory);
    run(&ingestor, &memory, 5).unwrap();
    let events = events(&memory);
    let of = |partition: i64, offset: i64| {
        let from = |e: &&Value| {
            e["received_from"]["partition"] == partition && e["received_from"]["offset"] == offset
        };
        events.iter().find(from).unwrap_or_else(|| panic!("{partition}/{offset}"))
    };
    let first = of(0, 0);
    assert_eq!(first["id"], derived_id(&[RAW.as_bytes(), b"0", b"0", b"0"]));
    assert_eq!((&first["producer"], &first["action"]), (&json!("kafka:app.audit"), &json!("a")));
    assert_eq!(
        first["received_from"],
        json!({"transport": "kafka", "topic": RAW, "partition": 0, "offset": 0,
            "broker_time": "2026-11-21T09:30:00.000000Z", "key": "key", "peer": null, "part": 0,
            "headers": [{"key": "content-type", "value": "application/json"}, {"key": "h", "value": null}]})
    );
    for (offset, reason) in [(1, "not_json"), (2, "no_value"), (3, "empty")] {
        let rejected = of(0, offset);
        assert_eq!(
            (&rejected["action"], &rejected["attributes"][0]["value"]),
            (&json!(REJECTED), &json!(reason))
        );
    }
    assert_eq!((&of(1, 0)["id"], &of(1, 0)["marks"]), (&json!("own"), &json!(["conflict"])));
    let queue: Vec<_> = read(&memory, topics::REJECTED).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(queue, [b"broken".to_vec(), Vec::new(), Vec::new()]);
}

#[test]
fn a_lane_goes_on_where_it_was_and_stays_in_order_on_one_chain() {
    let memory = memory();
    let ingestor = ingestor(&memory);
    for round in 0..3 {
        let values: Vec<_> = (0..50).map(|n| format!("{{\"action\":\"{}\"}}", round * 50 + n)).collect();
        put(&memory, 0, &values.iter().map(|v| Some(v.as_bytes())).collect::<Vec<_>>());
        run(&ingestor, &memory, (round + 1) * 50).unwrap();
    }
    let actions: Vec<_> = events(&memory).iter().map(|e| e["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(actions, (0..150).map(|n| n.to_string()).collect::<Vec<_>>());
    let chains: Vec<_> = read(&memory, topics::EVENTS).iter().map(|(chain, _)| *chain).collect();
    assert!(chains.iter().all(|chain| *chain == ingestor::route("kafka:app.audit/0", CHAINS)));
}

/// Puts records in three rounds with a run behind each; with a fault at one write of the loop, if any is given.
fn rounds(fault: Option<(u64, Fault)>) -> (Memory, u64) {
    let memory = memory();
    let ingestor = ingestor(&memory);
    let mut loops_writes = 0;
    for round in 0..3u32 {
        put(&memory, round % 2, &[Some(b"{}"), Some(b"broken"), Some(b"{\"n\":1}")]);
        let before = memory.writes();
        if let Some((_, fault)) = fault.filter(|(write, _)| *write == u64::from(round)) {
            memory.fail(before, fault);
        }
        run(&ingestor, &memory, (round as usize + 1) * 3).unwrap();
        loops_writes += memory.writes() - before;
    }
    // What a failed write may have left to be done twice is done by now.
    put(&memory, 0, &[Some(b"{}")]);
    run(&ingestor, &memory, 10).unwrap();
    (memory, loops_writes)
}

#[test]
fn whichever_write_fails_however_nothing_is_missing_and_nothing_twice() {
    let (whole, writes) = rounds(None);
    let ids = |memory: &Memory| {
        let mut ids: Vec<_> = events(memory).iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let expected = ids(&whole);
    assert_eq!((expected.len(), writes), (10, 3));
    let (ids, expected) = (&ids, &expected);
    thread::scope(|scope| {
        for write in 0..writes {
            for fault in Fault::ALL {
                scope.spawn(move || {
                    let (memory, _) = rounds(Some((write, fault)));
                    assert_eq!(ids(&memory), *expected, "write {write}, {fault:?}");
                    assert_eq!(read(&memory, topics::REJECTED).len(), 3, "write {write}, {fault:?}");
                });
            }
        }
    });
}

#[test]
fn records_that_were_deleted_unread_leave_an_event_that_says_so() {
    let memory = memory();
    let ingestor = ingestor(&memory);
    put(&memory, 0, &[Some(b"{}"), Some(b"{}")]);
    run(&ingestor, &memory, 2).unwrap();
    let position = memory.positions(&ingestor.role().group, &[Lane::new(RAW, 0)]).unwrap()[0];
    assert_eq!(position, Some(2));
    put(&memory, 0, &[Some(b"{}"), Some(b"{}"), Some(b"{\"action\":\"late\"}")]);
    memory.trim(&Lane::new(RAW, 0), 4).unwrap();
    run(&ingestor, &memory, 4).unwrap();
    let events = events(&memory);
    assert_eq!((&events[2]["action"], &events[2]["producer"]), (&json!(GAP), &json!("sealog")));
    assert_eq!(said_of_gap(&events[2]), json!([RAW, "0", "2", "4"]));
    assert_eq!(events[3]["action"], "late");
}

/// Topic, partition, from and to.
fn said_of_gap(event: &Value) -> Value {
    event["attributes"].as_array().unwrap().iter().map(|a| a["value"].clone()).collect()
}

#[test]
fn a_gap_is_said_though_nothing_has_come_behind_it_and_only_once() {
    let memory = memory();
    let ingestor = ingestor(&memory);
    for partition in 0..2 {
        put(&memory, partition, &[Some(b"{}")]);
    }
    run(&ingestor, &memory, 2).unwrap();
    for partition in 0..2 {
        put(&memory, partition, &[Some(b"{}"), Some(b"{}")]);
        memory.trim(&Lane::new(RAW, partition), 3).unwrap();
    }
    run(&ingestor, &memory, 4).unwrap();
    put(&memory, 0, &[Some(b"{\"action\":\"late\"}")]);
    run(&ingestor, &memory, 5).unwrap();
    let events = events(&memory);
    let mut gaps: Vec<_> = events.iter().filter(|e| e["action"] == GAP).map(said_of_gap).collect();
    gaps.sort_by_key(Value::to_string);
    assert_eq!(gaps, [json!([RAW, "0", "1", "3"]), json!([RAW, "1", "1", "3"])]);
    assert!(events.iter().any(|e| e["action"] == "late"));
}

#[test]
fn what_was_deleted_before_the_first_start_is_no_gap() {
    let memory = memory();
    put(&memory, 0, &[Some(b"{}"), Some(b"{}")]);
    memory.trim(&Lane::new(RAW, 0), 1).unwrap();
    run(&ingestor(&memory), &memory, 1).unwrap();
    assert_eq!(events(&memory)[0]["received_from"]["offset"], 1);
}

#[test]
fn a_topic_that_was_made_anew_halts_the_ingestor() {
    let memory = memory();
    let ingestor = ingestor(&memory);
    // A position beyond the lane's end, as the group still has it.
    let mut member = memory.join(&ingestor.role()).unwrap();
    let deadline = Deadline::after(Duration::from_secs(10));
    let mut claim = loop {
        assert!(!deadline.passed());
        if let Some(claim) = member.poll(Duration::from_millis(10)).unwrap() {
            break claim;
        }
    };
    claim.commit(&Batch::new(), &[(Lane::new(RAW, 0), 99)]).unwrap();
    drop((claim, member));
    let Err(Failure::Halt(why)) = run(&ingestor, &memory, usize::MAX) else { panic!("it goes on") };
    assert!(why.contains("app.audit/0 ends at 0, but was read up to 99"), "{why}");
}
