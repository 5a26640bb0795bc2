//! Cases about `Log`: what anyone may append and read.

use std::sync::Barrier;
use std::time::Duration;

use runtime::Deadline;

use super::{AMPLE, Fixture, Scene, batch, kind_of, texts};
use crate::{Batch, Kind, Limit, Record};

/// Everything that a record is, so that two can be compared.
#[derive(Debug, PartialEq)]
struct Parts<'a> {
    key: Option<&'a [u8]>,
    headers: Vec<(&'a str, Option<&'a [u8]>)>,
    value: Option<&'a [u8]>,
}

fn parts<'a>(r: &Record<'a>) -> Parts<'a> {
    Parts { key: r.key, headers: r.headers.iter().collect(), value: r.value }
}

/// Keys (none, empty, some), headers (null, empty, repeated), empty values and tombstones, on lanes that alternate.
pub fn appended_records_come_back_whole_and_in_order(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "whole", 2);
    let mut written = Batch::new();
    let lanes = [written.lane(&scene.output(0)), written.lane(&scene.output(1))];
    for round in 0..50_u8 {
        for lane in lanes {
            written.push(
                lane,
                Some(&[b'k', round]),
                &[("sealog.schema", &[7; 32]), ("empty", b"")],
                &[round; 600],
            );
            written.push(lane, Some(b""), &[], b"");
            written.push(lane, None, &[], &[round]);
            let headers = [("null", None), ("twice", Some(&b"1"[..])), ("twice", Some(&b"2"[..]))];
            written.push_taken(lane, (0, 0), Some(b"tomb"), headers, None);
            written.push_taken(lane, (0, 0), None, [], None);
        }
    }
    scene.stream().append(&written).unwrap();
    for lane in [scene.output(0), scene.output(1)] {
        let expected: Vec<_> = written.iter().filter(|r| *r.lane == lane).collect();
        let got = scene.read(&lane, 0, expected.len());
        for (expected, got) in expected.iter().zip(got.iter()) {
            assert_eq!(parts(&got), parts(expected), "record {} of {lane}", got.offset);
            assert_eq!(got.lane, &lane);
            assert!(got.time_ms > 0, "record {} of {lane} has no time", got.offset);
        }
    }
}

/// Offsets rise, and reading again from any record on gives the same rest.
pub fn offsets_rise_and_a_second_read_gives_the_same(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "rise", 1);
    let lane = scene.output(0);
    for part in [&["a", "b", "c"][..], &["d"], &["e", "f"]] {
        scene.append(&lane, part);
    }
    let first = scene.read(&lane, 0, 6);
    assert_eq!(texts(&first), ["a", "b", "c", "d", "e", "f"]);
    let offsets: Vec<_> = first.iter().map(|r| r.offset).collect();
    assert!(offsets.is_sorted_by(|a, b| a < b), "offsets do not rise: {offsets:?}");
    for (skip, from) in offsets.iter().enumerate() {
        let again = scene.read(&lane, *from, 6 - skip);
        assert!(
            again
                .iter()
                .map(|r| (r.offset, r.time_ms, r.value))
                .eq(first.iter().skip(skip).map(|r| (r.offset, r.time_ms, r.value)))
        );
    }
}

/// Nothing new is no error: neither on a lane that never held a record nor behind its last one.
pub fn a_read_at_the_end_brings_nothing(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "end", 1);
    let lane = scene.output(0);
    let mut got = Batch::new();
    scene.stream().read(&lane, 0, &mut got, AMPLE, Duration::ZERO).unwrap();
    assert!(got.is_empty(), "an empty lane gave {:?}", texts(&got));
    scene.append(&lane, &["a"]);
    let end = scene.read(&lane, 0, 1).last().unwrap().offset + 1;
    for wait in [Duration::ZERO, Duration::from_millis(20)] {
        scene.stream().read(&lane, end, &mut got, AMPLE, wait).unwrap();
        assert!(got.is_empty(), "behind the last record came {:?}", texts(&got));
    }
}

/// A read that waits returns when a record comes, not when its wait is over.
pub fn a_waiting_read_wakes_up(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "read-wakes", 1);
    let lane = scene.output(0);
    let started = Barrier::new(2);
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let (mut got, deadline) = (Batch::new(), Deadline::after(scene.patience * 2));
            started.wait();
            scene.stream().read(&lane, 0, &mut got, AMPLE, scene.patience * 2).unwrap();
            assert_eq!(texts(&got), ["a"]);
            assert!(deadline.left() > scene.patience, "the read slept on after the record had come");
        });
        started.wait();
        scene.append(&lane, &["a"]);
        reader.join().unwrap();
    });
}

/// The bounds that the error names are right: at both a read succeeds.
pub fn a_read_outside_the_lane_is_out_of_range(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "range", 1);
    let lane = scene.output(0);
    for value in ["a", "b", "c", "d"] {
        scene.append(&lane, &[value]);
    }
    let all = scene.read(&lane, 0, 4);
    let last = all.last().unwrap().offset;
    let behind = kind_of(scene.stream().read(&lane, last + 1_000, &mut Batch::new(), AMPLE, scene.patience));
    let Some(Kind::OutOfRange { start, end }) = behind else {
        panic!("a read behind the end of {lane} gave {behind:?}")
    };
    assert!(start <= all.get(0).unwrap().offset && end > last, "{lane} is said to hold {start} to {end}");
    let mut none = Batch::new();
    scene.stream().read(&lane, end, &mut none, AMPLE, Duration::ZERO).unwrap();
    assert!(none.is_empty(), "at the end that the error named came {:?}", texts(&none));

    scene.stream().trim(&lane, last).unwrap();
    let mut got = Batch::new();
    match kind_of(scene.stream().read(&lane, 0, &mut got, AMPLE, scene.patience)) {
        // Storage may keep them a while longer.
        None => assert_eq!(got.get(0).unwrap().value, Some(&b"a"[..])),
        Some(Kind::OutOfRange { start, end: later }) => {
            assert!(0 < start && start <= last && later >= end, "{lane} is said to hold {start} to {later}");
            let rest = all.iter().filter(|r| r.offset >= start).count();
            assert_eq!(texts(&scene.read(&lane, start, rest)), ["a", "b", "c", "d"][4 - rest..]);
        }
        other => panic!("a read of a trimmed offset of {lane} gave {other:?}"),
    }
}

/// Neither more records than asked for nor more bytes, but for a single record that is larger.
pub fn a_read_keeps_its_limits(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "read-limits", 1);
    let lane = scene.output(0);
    let small = "s".repeat(400);
    let large = "l".repeat(5_000);
    scene.append(&lane, &[&small, &small, &small, &large, &small]);
    for limit in
        [Limit { records: 2, ..AMPLE }, Limit { bytes: 1_000, ..AMPLE }, Limit { records: 2, bytes: 900 }]
    {
        let (mut at, mut seen, deadline) = (0, 0, Deadline::after(scene.patience));
        while seen < 5 {
            assert!(!deadline.passed(), "only {seen} of 5 records came under {limit:?}");
            let mut got = Batch::new();
            scene.stream().read(&lane, at, &mut got, limit, scene.patience).unwrap();
            assert!(got.len() <= limit.records, "{} records came under {limit:?}", got.len());
            let fits = got.size_bytes() <= limit.bytes || got.len() == 1;
            assert!(fits, "{} bytes in {} records came under {limit:?}", got.size_bytes(), got.len());
            at = got.last().map_or(at, |r| r.offset + 1);
            seen += got.len();
        }
    }
}

/// Of an empty lane nothing; else the one record behind which there is none, with its key, headers and offset.
pub fn last_is_the_last_committed_record(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "last", 2);
    let lane = scene.output(1);
    assert!(scene.stream().last(&lane).unwrap().is_empty(), "an empty lane has a last record");
    let mut written = Batch::new();
    let ids = [written.lane(&scene.output(0)), written.lane(&lane)];
    written.push(ids[1], None, &[], b"first");
    written.push(ids[1], Some(b"k"), &[("h", b"v")], b"second");
    written.push(ids[0], None, &[], b"elsewhere");
    scene.stream().append(&written).unwrap();
    scene.last_becomes(&lane, "second");
    let last = scene.stream().last(&lane).unwrap();
    let read = scene.read(&lane, 0, 2);
    let (last, read) = (last.last().unwrap(), read.last().unwrap());
    assert_eq!((parts(&last), last.offset, last.time_ms), (parts(&read), read.offset, read.time_ms));
    scene.append(&lane, &["third"]);
    scene.last_becomes(&lane, "third");
}

/// What stands at and behind the offset given is still read, `last` still works, and offsets go on from where they
/// were.
pub fn a_trimmed_lane_keeps_what_was_not_let_go(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "trim", 1);
    let lane = scene.output(0);
    for value in ["a", "b", "c", "d"] {
        scene.append(&lane, &[value]);
    }
    let offsets: Vec<_> = scene.read(&lane, 0, 4).iter().map(|r| r.offset).collect();
    scene.stream().trim(&lane, offsets[2]).unwrap();
    assert_eq!(texts(&scene.read(&lane, offsets[2], 2)), ["c", "d"]);
    scene.stream().trim(&lane, offsets[1]).unwrap();
    scene.stream().trim(&lane, offsets[3]).unwrap();
    scene.last_becomes(&lane, "d");
    scene.append(&lane, &["e"]);
    let rest = scene.read(&lane, offsets[3], 2);
    assert_eq!(texts(&rest), ["d", "e"]);
    assert_eq!(rest.get(0).unwrap().offset, offsets[3]);
}

/// The largest record passes; one byte more, and no record of the batch is written, on no lane.
pub fn an_append_with_too_large_a_record_leaves_nothing(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "append-too-large", 2);
    let most = fixture.max_record_bytes();
    let mut fits = Batch::new();
    let id = fits.lane(&scene.output(0));
    fits.push_with(id, Some(b"key"), &[], |arena| arena.extend(std::iter::repeat_n(b'x', most - 3)));
    scene.stream().append(&fits).unwrap();
    assert_eq!(scene.read(&scene.output(0), 0, 1).get(0).unwrap().value.map(<[u8]>::len), Some(most - 3));

    let mut over = batch(&scene.output(1), &["small"]);
    let id = over.lane(&scene.source(0));
    over.push_with(id, Some(b"key"), &[], |arena| arena.extend(std::iter::repeat_n(b'x', most - 2)));
    assert_eq!(kind_of(scene.stream().append(&over)), Some(Kind::TooLarge));
    scene.holds_exactly(&scene.output(1), &[]);
    scene.holds_exactly(&scene.source(0), &[]);
}
