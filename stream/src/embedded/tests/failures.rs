//! Syncs that hang or fail, disks that are full: nothing is acknowledged early, nothing half done stays.

use std::sync::mpsc;

use runtime::Deadline;

use super::sim::{Chance, Faults, SimDisk};
use super::*;
use crate::{Fence, Groups, Kind, Role};

const PATIENCE: Duration = Duration::from_secs(10);

fn values(log: &Embedded) -> Vec<String> {
    let (values, error) = read_all(log, &lane(), 0);
    assert!(error.is_none(), "{error:?}");
    values.into_iter().map(|v| String::from_utf8(v).unwrap()).collect()
}

fn kind(result: Result<()>) -> Option<Kind> {
    result.err().map(|e| e.kind())
}

#[test]
fn nothing_is_acknowledged_or_seen_before_its_sync_has_returned() {
    let disk = SimDisk::default();
    let log = open(&disk, options(4_096)).unwrap();
    log.append(&records(&lane(), &["before"])).unwrap();
    disk.fail(Faults { hold_syncs: true, ..Faults::default() });
    let (done, acknowledged) = mpsc::channel();
    std::thread::scope(|threads| {
        threads.spawn(|| done.send(log.append(&records(&lane(), &["held"])).is_ok()));
        disk.wait_for_held_sync(Deadline::after(PATIENCE));
        let early = acknowledged.try_recv();
        let seen = values(&log);
        let last = log.last(&lane()).unwrap();
        disk.fail(Faults::default());
        assert!(early.is_err(), "acknowledged before the sync");
        assert_eq!(seen, ["before"]);
        assert_eq!(last.last().unwrap().value, Some(&b"before"[..]));
        assert!(acknowledged.recv_timeout(PATIENCE).unwrap());
    });
    assert_eq!(values(&log), ["before", "held"]);
}

#[test]
fn writers_that_wait_for_a_sync_share_the_next_one() {
    let disk = SimDisk::default();
    let log = open(&disk, options(4_096)).unwrap();
    log.append(&records(&lane(), &["first"])).unwrap();
    let before = disk.syncs();
    disk.fail(Faults { hold_syncs: true, ..Faults::default() });
    std::thread::scope(|threads| {
        let append = |value: String| {
            let log = &log;
            threads.spawn(move || log.append(&records(&lane(), &[value])).unwrap())
        };
        append("held".into());
        disk.wait_for_held_sync(Deadline::after(PATIENCE));
        let waiting: Vec<_> = (0..10).map(|n| append(n.to_string())).collect();
        let (deadline, of_lane) = (Deadline::after(PATIENCE), log.0.lane(&lane()).unwrap());
        while of_lane.waiting_records() < 10 && !deadline.passed() {
            std::thread::yield_now();
        }
        let came = of_lane.waiting_records();
        disk.fail(Faults::default());
        assert_eq!(came, 10, "writers that wait");
        waiting.into_iter().for_each(|writer| writer.join().unwrap());
    });
    assert_eq!(disk.syncs() - before, 2);
    assert_eq!(values(&log).len(), 12);
}

#[test]
fn a_full_disk_is_full_until_there_is_room_and_keeps_no_half_frame() {
    for spare in 0..200 {
        let disk = SimDisk::default();
        let log = open(&disk, options(150)).unwrap();
        log.append(&records(&lane(), &["a", "b"])).unwrap();
        let held: usize = disk.files().values().map(Vec::len).sum();
        disk.fail(Faults { capacity_bytes: Some(held as u64 + spare), ..Faults::default() });
        let wide = "w".repeat(200);
        assert_eq!(kind(log.append(&records(&lane(), &[&wide]))), Some(Kind::Full), "{spare} bytes to spare");
        assert_eq!(values(&log), ["a", "b"]);
        for chances in 0..4 {
            let lost = disk.after_power_loss(&mut Chance(chances));
            assert_eq!(values(&open(&lost, options(150)).unwrap()), ["a", "b"]);
        }
        disk.fail(Faults::default());
        log.append(&records(&lane(), &["c"])).unwrap();
        assert_eq!(values(&log), ["a", "b", "c"]);
        drop(log);
        assert_eq!(values(&open(&disk, options(150)).unwrap()), ["a", "b", "c"]);
    }
}

#[test]
fn a_failed_sync_stops_the_lane_until_it_is_opened_again() {
    let disk = SimDisk::default();
    let log = open(&disk, options(4_096)).unwrap();
    log.append(&records(&lane(), &["a"])).unwrap();
    disk.fail(Faults { fail_syncs: 1, ..Faults::default() });
    assert_eq!(kind(log.append(&records(&lane(), &["unknown"]))), Some(Kind::Away));
    assert_eq!(kind(log.append(&records(&lane(), &["b"]))), Some(Kind::Damaged));
    assert_eq!(values(&log), ["a"], "what was acknowledged is still read");
    log.append(&records(&Lane::new("t", 1), &["other lanes go on"])).unwrap();
    drop(log);
    let log = open(&disk, options(4_096)).unwrap();
    log.append(&records(&lane(), &["b"])).unwrap();
    assert_eq!(values(&log), ["a", "b"]);
}

#[test]
fn a_failed_sync_whose_frame_cannot_be_taken_back_leaves_it_whole_or_not_at_all() {
    for (fail_syncs, fail_cuts) in [(2, false), (1, true)] {
        let disk = SimDisk::default();
        let log = open(&disk, options(4_096)).unwrap();
        log.append(&records(&lane(), &["a"])).unwrap();
        disk.fail(Faults { fail_syncs, fail_cuts, ..Faults::default() });
        assert_eq!(kind(log.append(&records(&lane(), &["unknown", "twice"]))), Some(Kind::Away));
        assert_eq!(kind(log.append(&records(&lane(), &["b"]))), Some(Kind::Damaged));
        drop(log);
        for chances in 0..16 {
            let lost = disk.after_power_loss(&mut Chance(chances));
            let kept = values(&open(&lost, options(4_096)).unwrap());
            assert!(kept == ["a"] || kept == ["a", "unknown", "twice"], "{kept:?}");
        }
    }
}

#[test]
fn a_write_that_fails_is_taken_back_and_the_lane_goes_on() {
    let disk = SimDisk::default();
    let log = open(&disk, options(4_096)).unwrap();
    log.append(&records(&lane(), &["a"])).unwrap();
    disk.fail(Faults { fail_writes: true, ..Faults::default() });
    assert_eq!(kind(log.append(&records(&lane(), &["lost"]))), Some(Kind::Away));
    disk.fail(Faults::default());
    log.append(&records(&lane(), &["b"])).unwrap();
    assert_eq!(values(&log), ["a", "b"]);
}

#[test]
fn a_file_that_could_not_be_begun_is_begun_again_at_the_same_offset() {
    let disk = SimDisk::default();
    let log = open(&disk, options(220)).unwrap();
    log.append(&records(&lane(), &["a", "b"])).unwrap();
    disk.fail(Faults { fail_syncs: 1, ..Faults::default() });
    let too_wide_for_the_file = "w".repeat(200);
    assert_eq!(kind(log.append(&records(&lane(), &[&too_wide_for_the_file]))), Some(Kind::Away));
    // It would fit the first file. But the second one's name may have come to stay.
    log.append(&records(&lane(), &["c"])).unwrap();
    assert_eq!(values(&log), ["a", "b", "c"]);
    drop(log);
    assert_eq!(values(&open(&disk, options(220)).unwrap()), ["a", "b", "c"]);
}

#[test]
fn a_lane_over_its_bound_is_full_until_it_is_trimmed() {
    let disk = SimDisk::default();
    let bounded = || Options { max_lane_bytes: 400, ..options(100) };
    let log = open(&disk, bounded()).unwrap();
    let mut taken = 0;
    while log.append(&records(&lane(), &["0123456789"])).is_ok() {
        taken += 1;
    }
    assert!(taken >= 2, "{taken} appends were taken");
    assert_eq!(kind(log.append(&records(&lane(), &["0123456789"]))), Some(Kind::Full));
    log.append(&records(&Lane::new("t", 1), &["another lane"])).unwrap();
    drop(log);
    let log = open(&disk, bounded()).unwrap();
    assert_eq!(kind(log.append(&records(&lane(), &["0123456789"]))), Some(Kind::Full), "after a restart too");
    log.trim(&lane(), taken - 1).unwrap();
    log.append(&records(&lane(), &["0123456789"])).unwrap();
}

#[test]
fn a_commit_that_was_refused_on_its_second_lane_does_not_say_that_nothing_was_written() {
    let disk = SimDisk::default();
    let log = open(&disk, options(4_096)).unwrap();
    let mut both = records(&lane(), &["first"]);
    let id = both.lane(&Lane::new("t", 1));
    both.push(id, Some(b"key"), &[("h", b"x")], &[b'w'; 300]);
    disk.fail(Faults { capacity_bytes: Some(300), ..Faults::default() });
    assert_eq!(kind(log.append(&both)), Some(Kind::Away));
    assert_eq!(values(&log), ["first"]);
}

#[test]
fn a_claim_whose_commit_failed_is_dead_and_the_truth_is_what_last_says() {
    let disk = SimDisk::default();
    let log = open(&disk, options(4_096)).unwrap();
    let role = Role { group: "g".into(), sources: vec!["t".into()], fence: Fence::Whole("one".into()) };
    let mut member = log.join(&role).unwrap();
    let mut claim = member.poll(Duration::ZERO).unwrap().unwrap();
    disk.fail(Faults { fail_writes: true, ..Faults::default() });
    assert_eq!(kind(claim.commit(&records(&lane(), &["a"]), &[(lane(), 7)])), Some(Kind::Away));
    disk.fail(Faults::default());
    assert_eq!(kind(claim.commit(&records(&lane(), &["a"]), &[])), Some(Kind::Lost));
    assert!(log.last(&lane()).unwrap().is_empty());
    assert_eq!(log.positions(&role.group, &[lane()]).unwrap(), [None]);
    drop(claim);
    let mut claim = member.poll(Duration::ZERO).unwrap().unwrap();
    claim.commit(&records(&lane(), &["a"]), &[]).unwrap();
    assert_eq!(values(&log), ["a"]);
}

#[test]
fn a_claim_is_not_won_while_the_one_before_it_commits() {
    let disk = SimDisk::default();
    let log = open(&disk, options(4_096)).unwrap();
    let role = Role { group: "g".into(), sources: vec!["t".into()], fence: Fence::Whole("one".into()) };
    let mut first_member = log.join(&role).unwrap();
    let mut first = first_member.poll(Duration::ZERO).unwrap().unwrap();
    first.commit(&records(&lane(), &["before"]), &[]).unwrap();
    disk.fail(Faults { hold_syncs: true, ..Faults::default() });
    std::thread::scope(|threads| {
        let committing = threads.spawn(|| first.commit(&records(&lane(), &["under way"]), &[]));
        disk.wait_for_held_sync(Deadline::after(PATIENCE));
        let (won, truth) = mpsc::channel();
        let (log, role) = (&log, &role);
        threads.spawn(move || {
            let mut member = log.join(role).unwrap();
            let claim = member.poll(PATIENCE).unwrap().expect("the later member wins");
            won.send(values(log)).unwrap();
            drop(claim);
        });
        let early = truth.recv_timeout(Duration::from_millis(50));
        disk.fail(Faults::default());
        assert!(early.is_err(), "won in mid-commit, and saw {early:?}");
        assert_eq!(truth.recv_timeout(PATIENCE).unwrap(), ["before", "under way"]);
        committing.join().unwrap().unwrap();
    });
    assert_eq!(kind(first.commit(&records(&lane(), &["after"]), &[])), Some(Kind::Lost));
}
