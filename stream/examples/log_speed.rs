//! How fast the embedded log is on this disk: `cargo run --release -p stream --no-default-features --example log_speed
//! -- FOLDER [COMMITS]`. Writes the folder's lanes, reads them back, and says what it saw. Every write is synced.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that fails has nothing to say")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runtime::{Clock, SystemClock};
use stream::embedded::{Embedded, Options};
use stream::{Batch, Lane, Limit, Log};

const RECORD_BYTES: usize = 600;
const COMMIT_RECORDS: usize = 1_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("give a folder to write in");
    let commits = arguments.next().map_or(1_000, |n| n.parse().expect("COMMITS is a number"));
    let options = Options::new(&[("one", 1), ("two", 2), ("many", 1)], Arc::new(SystemClock));
    let log = Embedded::open(Path::new(&folder), options).unwrap();

    println!("commits of {COMMIT_RECORDS} records of {RECORD_BYTES} bytes:");
    measure("1 lane", 1, COMMIT_RECORDS, || commit(&log, &Lane::new("one", 0), COMMIT_RECORDS, commits));
    measure("2 lanes", 2, COMMIT_RECORDS, || {
        std::thread::scope(|threads| {
            let log = &log;
            let write = |lane| move || commit(log, &Lane::new("two", lane), COMMIT_RECORDS, commits / 2);
            let lanes = [0, 1].map(|lane| threads.spawn(write(lane)));
            lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
        })
    });
    println!("appends of one record of {RECORD_BYTES} bytes to one lane:");
    for writers in [1, 32] {
        measure(&format!("{writers} writers"), writers, 1, || {
            std::thread::scope(|threads| {
                let (log, commits) = (&log, commits);
                let write = move || commit(log, &Lane::new("many", 0), 1, commits);
                let all: Vec<_> = (0..writers).map(|_| threads.spawn(write)).collect();
                all.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
            })
        });
    }
    println!("reads of up to {COMMIT_RECORDS} records:");
    measure("commits", 1, COMMIT_RECORDS, || read(&log, &Lane::new("one", 0)));
    measure("single records", 1, COMMIT_RECORDS, || read(&log, &Lane::new("many", 0)));
}

/// How long each call took, in microseconds.
fn commit(log: &Embedded, lane: &Lane, records: usize, commits: usize) -> Vec<i64> {
    let mut value: Vec<u8> = (0..RECORD_BYTES - 32).map(|n| ((n * 151) >> 3) as u8).collect();
    let mut batch = Batch::new();
    (0..commits)
        .map(|nth| {
            batch.clear(usize::MAX);
            let id = batch.lane(lane);
            for record in 0..records {
                value[..8].copy_from_slice(&((nth * records + record) as u64).to_le_bytes());
                batch.push(id, Some(b"acme"), &[("sealog", b"0123456789abcd")], &value);
            }
            timed(|| log.append(&batch).unwrap())
        })
        .collect()
}

fn read(log: &Embedded, lane: &Lane) -> Vec<i64> {
    let (mut at, mut batch, mut times) = (0, Batch::new(), Vec::new());
    let limit = Limit { records: COMMIT_RECORDS, bytes: 16 << 20 };
    loop {
        batch.clear(usize::MAX);
        times.push(timed(|| log.read(lane, at, &mut batch, limit, Duration::ZERO).unwrap()));
        match batch.last() {
            Some(last) => at = last.offset + 1,
            None => return times,
        }
    }
}

fn timed(work: impl FnOnce()) -> i64 {
    let start = SystemClock.boot().0;
    work();
    SystemClock.boot().0 - start
}

fn measure(what: &str, threads: usize, records: usize, work: impl FnOnce() -> Vec<i64>) {
    let start = SystemClock.boot().0;
    let mut times = work();
    let seconds = (SystemClock.boot().0 - start) as f64 / 1e6;
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 1_000] as f64 / 1_000.0;
    println!(
        "  {what:<15} {:>10.0} records/s   a call: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms   ({} calls, {threads} at a time)",
        (times.len() * records) as f64 / seconds,
        at(500),
        at(990),
        at(999),
        times.len(),
    );
}
