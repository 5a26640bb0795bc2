//! Files on the machine's own disk: rolling, trimming, opening again, and who may.

use std::fs;
use std::path::Path;

use runtime::Clock;
use tempfile::TempDir;

use super::*;
use crate::Kind;

fn names(dir: &Path) -> Vec<String> {
    let entry = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(dir.join("t-0")).unwrap().map(entry).collect();
    names.sort();
    names
}

fn strings(log: &Embedded, from: u64) -> Vec<String> {
    let (values, error) = read_all(log, &lane(), from);
    assert!(error.is_none(), "{error:?}");
    values.into_iter().map(|v| String::from_utf8(v).unwrap()).collect()
}

#[test]
fn a_lane_rolls_from_file_to_file_and_is_the_same_after_opening_again() {
    let dir = TempDir::new().unwrap();
    let log = Embedded::open(dir.path(), options(2_000)).unwrap();
    let all: Vec<String> = (0..200).map(|n| format!("record {n}")).collect();
    for batch in all.chunks(7) {
        log.append(&records(&lane(), batch)).unwrap();
    }
    let files = names(dir.path());
    assert!(files.len() > 4 && files[0] == "00000000000000000000.log", "{files:?}");
    for name in &files {
        assert!(fs::metadata(dir.path().join("t-0").join(name)).unwrap().len() <= 2_000);
    }
    assert_eq!(strings(&log, 0), all);
    drop(log);
    let log = Embedded::open(dir.path(), options(2_000)).unwrap();
    // From every offset, so from places that no index knows yet.
    for from in (0..=200).rev() {
        assert_eq!(strings(&log, from), all[from as usize..]);
    }
    assert_eq!(log.last(&lane()).unwrap().last().unwrap().value, Some(&b"record 199"[..]));
    log.append(&records(&lane(), &["record 200"])).unwrap();
    assert_eq!(strings(&log, 199), ["record 199", "record 200"]);
}

#[test]
fn a_read_from_anywhere_in_a_large_file_finds_its_place() {
    let dir = TempDir::new().unwrap();
    let open = || Embedded::open(dir.path(), options(64 << 20)).unwrap();
    let log = open();
    let value = |n: usize| format!("{n} {}", "x".repeat(n % 3_000));
    for first in (0..3_000).step_by(300) {
        let values: Vec<_> = (first..first + 300).map(value).collect();
        log.append(&records(&lane(), &values)).unwrap();
    }
    let check = |log: &Embedded| {
        for n in (0..3_000).step_by(97).rev().chain([2_999, 0]) {
            let mut got = Batch::new();
            // So many that the walk comes to the next commit, wherever it began.
            let limit = Limit { records: 301, bytes: 4 << 20 };
            log.read(&lane(), n as u64, &mut got, limit, Duration::ZERO).unwrap();
            let expected: Vec<_> = (n..(n + 301).min(3_000)).map(|n| value(n).into_bytes()).collect();
            assert!(got.iter().map(|r| r.value.unwrap()).eq(expected.iter().map(Vec::as_slice)), "from {n}");
        }
    };
    check(&log);
    drop(log);
    // As the last file, and as an older one whose index is learned.
    let log = open();
    check(&log);
    drop(log);
    let log = Embedded::open(dir.path(), options(1)).unwrap();
    log.append(&records(&lane(), &["in a file of its own"])).unwrap();
    drop(log);
    let log = open();
    log.read(&lane(), 3_000, &mut Batch::new(), ALL, Duration::ZERO).unwrap();
    check(&log);
    assert_eq!(read_all(&log, &lane(), 0).0.len(), 3_001);
}

#[test]
fn trimming_removes_whole_files_but_never_the_last_record() {
    let dir = TempDir::new().unwrap();
    let log = Embedded::open(dir.path(), options(1)).unwrap();
    for n in 0..10 {
        log.append(&records(&lane(), &[n.to_string()])).unwrap();
    }
    log.trim(&lane(), 3).unwrap();
    assert_eq!(names(dir.path())[0], "00000000000000000003.log");
    assert_eq!(
        log.read(&lane(), 2, &mut Batch::new(), ALL, Duration::ZERO).unwrap_err().kind(),
        Kind::OutOfRange { start: 3, end: 10 }
    );
    assert_eq!(strings(&log, 3).len(), 7);
    for before in [10, u64::MAX] {
        log.trim(&lane(), before).unwrap();
        assert_eq!(names(dir.path()), ["00000000000000000009.log"]);
        assert_eq!(log.last(&lane()).unwrap().last().unwrap().value, Some(&b"9"[..]));
    }
    drop(log);
    let log = Embedded::open(dir.path(), options(1)).unwrap();
    assert_eq!(strings(&log, 9), ["9"]);
    log.append(&records(&lane(), &["10"])).unwrap();
    assert_eq!(strings(&log, 9), ["9", "10"]);
}

#[test]
fn the_last_record_is_found_in_the_file_before_an_empty_one() {
    let dir = TempDir::new().unwrap();
    let log = Embedded::open(dir.path(), options(1)).unwrap();
    log.append(&records(&lane(), &["a"])).unwrap();
    log.append(&records(&lane(), &["b"])).unwrap();
    drop(log);
    // As if the process had died right after it had begun the second file.
    let second = dir.path().join("t-0/00000000000000000001.log");
    fs::OpenOptions::new().write(true).open(&second).unwrap().set_len(32).unwrap();
    let log = Embedded::open(dir.path(), options(1)).unwrap();
    assert_eq!(log.last(&lane()).unwrap().last().unwrap().value, Some(&b"a"[..]));
    log.trim(&lane(), 1).unwrap();
    assert_eq!(strings(&log, 0), ["a"]);
    log.append(&records(&lane(), &["c"])).unwrap();
    assert_eq!(strings(&log, 0), ["a", "c"]);
}

#[test]
fn a_folder_is_opened_once_at_a_time() {
    let dir = TempDir::new().unwrap();
    let log = Embedded::open(dir.path(), options(1_000)).unwrap();
    let clone = log.clone();
    let refused = Embedded::open(dir.path(), options(1_000)).err().unwrap();
    assert_eq!(refused.kind(), Kind::Refused);
    assert!(refused.to_string().contains(&dir.path().display().to_string()), "{refused}");
    drop(log);
    assert!(Embedded::open(dir.path(), options(1_000)).is_err(), "a clone still has it");
    drop(clone);
    Embedded::open(dir.path(), options(1_000)).unwrap();
}

#[test]
fn what_was_not_named_is_refused() {
    let dir = TempDir::new().unwrap();
    let log = Embedded::open(dir.path(), options(1_000)).unwrap();
    let mut batch = records(&lane(), &["a"]);
    let id = batch.lane(&Lane::new("unknown", 0));
    batch.push(id, None, &[], b"b");
    assert_eq!(log.append(&batch).unwrap_err().kind(), Kind::Refused);
    assert_eq!(strings(&log, 0), Vec::<String>::new(), "nothing was written on the other lane");
    for name in ["", "..", "a/b", ".hidden", "a b"] {
        let options = Options { lanes: vec![(name.into(), 1)], ..options(1_000) };
        assert_eq!(
            Embedded::open(TempDir::new().unwrap().path(), options).err().unwrap().kind(),
            Kind::Refused
        );
    }
}

#[test]
fn records_carry_the_clocks_time_over_a_restart() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::at(Micros(5_000_000)));
    let options = || Options { clock: clock.clone(), ..options(10_000) };
    let log = Embedded::open(dir.path(), options()).unwrap();
    log.append(&records(&lane(), &["a"])).unwrap();
    clock.pass(Duration::from_secs(2));
    log.append(&records(&lane(), &["b", "c"])).unwrap();
    drop(log);
    let log = Embedded::open(dir.path(), options()).unwrap();
    let mut got = Batch::new();
    log.read(&lane(), 0, &mut got, ALL, Duration::ZERO).unwrap();
    assert_eq!(got.iter().map(|r| r.time_ms).collect::<Vec<_>>(), [5_000, 7_000, 7_000]);
    assert_eq!(clock.wall(), Micros(7_000_000));
}
