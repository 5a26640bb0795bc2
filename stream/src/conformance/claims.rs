//! Cases about one owner: what a claim takes and commits.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::Deadline;

use super::{AMPLE, Fixture, Scene, TICK, batch, kind_of, texts};
use crate::{Batch, Fence, Kind, Limit};

/// From the offset that `start_at` names on, in order, with what is appended later; `start_at` may go back.
pub fn a_claim_takes_what_was_appended(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "takes", 1);
    let lane = scene.source(0);
    scene.append(&lane, &["a", "b"]);
    let (_member, mut claim) = scene.own(&scene.per_lane("g"), &lane);
    assert_eq!(claim.lanes(), std::slice::from_ref(&lane));
    let first = scene.take(&mut *claim, 2);
    assert_eq!(texts(&first), ["a", "b"]);
    scene.append(&lane, &["c"]);
    assert_eq!(texts(&scene.take(&mut *claim, 1)), ["c"]);
    claim.start_at(&lane, first.get(1).unwrap().offset).unwrap();
    assert_eq!(texts(&scene.take(&mut *claim, 2)), ["b", "c"]);
    let mut none = Batch::new();
    claim.take(&mut none, AMPLE, Duration::ZERO).unwrap();
    assert!(none.is_empty(), "at the end came {:?}", texts(&none));
}

/// Neither more records than asked for nor more bytes, but for a single record that is larger; none is left out.
pub fn a_take_keeps_its_limits(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "take-limits", 1);
    let lane = scene.source(0);
    let values: Vec<String> = [400, 401, 402, 5_000, 403].iter().map(|n| "x".repeat(*n)).collect();
    scene.append(&lane, &values.iter().map(String::as_str).collect::<Vec<_>>());
    let (_member, mut claim) = scene.own(&scene.per_lane("g"), &lane);
    for limit in
        [Limit { records: 2, ..AMPLE }, Limit { bytes: 1_000, ..AMPLE }, Limit { records: 2, bytes: 900 }]
    {
        claim.start_at(&lane, 0).unwrap();
        let (mut all, deadline) = (Vec::new(), Deadline::after(scene.patience));
        while all.len() < 5 {
            assert!(!deadline.passed(), "only {} of 5 records came under {limit:?}", all.len());
            let mut got = Batch::new();
            claim.take(&mut got, limit, scene.patience).unwrap();
            assert!(got.len() <= limit.records, "{} records came under {limit:?}", got.len());
            let fits = got.size_bytes() <= limit.bytes || got.len() == 1;
            assert!(fits, "{} bytes in {} records came under {limit:?}", got.size_bytes(), got.len());
            all.extend(got.iter().map(|r| r.value.unwrap().len()));
        }
        assert_eq!(all, [400, 401, 402, 5_000, 403], "under {limit:?}");
    }
}

/// A take that waits returns when a record comes, not when its wait is over.
pub fn a_waiting_take_wakes_up(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "take-wakes", 1);
    let lane = scene.source(0);
    let (_member, mut claim) = scene.own(&scene.per_lane("g"), &lane);
    let started = Barrier::new(2);
    std::thread::scope(|threads| {
        let appender = threads.spawn(|| {
            started.wait();
            scene.append(&lane, &["a"]);
        });
        started.wait();
        let (mut got, deadline) = (Batch::new(), Deadline::after(scene.patience * 2));
        claim.take(&mut got, AMPLE, scene.patience * 2).unwrap();
        assert_eq!(texts(&got), ["a"]);
        assert!(deadline.left() > scene.patience, "the take slept on after the record had come");
        appender.join().unwrap();
    });
}

/// Behind the end, or trimmed: the error says so with the bounds, and the claim goes on from within them.
pub fn a_take_outside_the_lane_leaves_the_claim_alive(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "take-range", 1);
    let lane = scene.source(0);
    for value in ["a", "b", "c"] {
        scene.append(&lane, &[value]);
    }
    let last = scene.read(&lane, 0, 3).last().unwrap().offset;
    let (_member, mut claim) = scene.own(&scene.per_lane("g"), &lane);
    // Where the lane is asked only at the take, the take says it.
    let behind = claim
        .start_at(&lane, last + 1_000)
        .and_then(|()| claim.take(&mut Batch::new(), AMPLE, scene.patience));
    assert_eq!(behind.as_ref().err().and_then(|e| e.lane()), Some(&lane), "which lane is out of range");
    let behind = behind.map_err(|e| e.kind());
    let Err(Kind::OutOfRange { start, end }) = behind else {
        panic!("a take behind the end of {lane} gave {behind:?}")
    };
    assert!(start == 0 && end > last, "{lane} is said to hold {start} to {end}");
    scene.stream().trim(&lane, last).unwrap();
    let mut got = Batch::new();
    let trimmed = claim.start_at(&lane, 0).and_then(|()| claim.take(&mut got, AMPLE, scene.patience));
    match trimmed.map_err(|e| e.kind()) {
        Ok(()) => assert_eq!(got.get(0).unwrap().value, Some(&b"a"[..])),
        Err(Kind::OutOfRange { start, .. }) => {
            assert!(0 < start && start <= last, "{lane} starts at {start}")
        }
        Err(other) => panic!("a take of a trimmed offset of {lane} gave {other:?}"),
    }
    claim.start_at(&lane, last).unwrap();
    assert_eq!(texts(&scene.take(&mut *claim, 1)), ["c"]);
    claim.commit(&batch(&scene.output(0), &["C"]), &[(lane, last + 1)]).unwrap();
    scene.holds_exactly(&scene.output(0), &["C"]);
}

/// All records of a commit, in their order, on each of its lanes; and the position beside them.
pub fn a_commit_arrives_on_all_its_lanes(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "commit", 2);
    let lane = scene.source(0);
    scene.append(&lane, &["a", "b"]);
    let role = scene.per_lane("g");
    let (_member, mut claim) = scene.own(&role, &lane);
    let mut outputs = Batch::new();
    let ids = [outputs.lane(&scene.output(0)), outputs.lane(&scene.output(1))];
    let mut position = 0;
    for (n, value) in ["A", "B"].iter().enumerate() {
        position = scene.take(&mut *claim, 1).last().unwrap().offset + 1;
        outputs.clear(0);
        let _ = (outputs.lane(&scene.output(0)), outputs.lane(&scene.output(1)));
        outputs.push(ids[1], Some(&[n as u8]), &[("h", b"v")], value.as_bytes());
        outputs.push(ids[0], None, &[], value.to_lowercase().as_bytes());
        outputs.push(ids[1], None, &[], b"Head");
        claim.commit(&outputs, &[(lane.clone(), position)]).unwrap();
    }
    let got = scene.read(&scene.output(1), 0, 4);
    assert_eq!(got.get(2).unwrap().key, Some(&[1][..]));
    assert_eq!(got.get(2).unwrap().headers.get("h"), Some(&b"v"[..]));
    scene.holds_exactly(&scene.output(1), &["A", "Head", "B", "Head"]);
    scene.holds_exactly(&scene.output(0), &["a", "b"]);
    if fixture.keeps_positions() {
        scene.position_becomes(&role, &lane, position);
    }
}

/// Whenever it is asked, the last record is one that ends a commit.
pub fn last_never_shows_half_a_commit(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "half", 1);
    let (_member, mut claim) = scene.own(&scene.per_lane("g"), &scene.source(0));
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let observer = threads.spawn(|| {
            let mut asked = 0;
            while asked == 0 || !done.load(Ordering::SeqCst) {
                let last = scene.stream().last(&scene.output(0)).unwrap();
                assert!(
                    last.is_empty() || texts(&last) == ["Head"],
                    "in mid-commit last is {:?}",
                    texts(&last)
                );
                asked += 1;
            }
        });
        for _ in 0..20 {
            let mut values = vec!["event"; 50];
            values.push("Head");
            claim.commit(&batch(&scene.output(0), &values), &[]).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        observer.join().unwrap();
    });
}

/// Nothing of the batch is written, on no lane; the same claim commits what fits, and the position only with it.
pub fn a_commit_with_too_large_a_record_leaves_nothing_and_the_claim_alive(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "commit-too-large", 2);
    let lane = scene.source(0);
    scene.append(&lane, &["a"]);
    let (_member, mut claim) = scene.own(&scene.per_lane("g"), &lane);
    let position = scene.take(&mut *claim, 1).last().unwrap().offset + 1;
    let mut over = batch(&scene.output(1), &["small"]);
    let id = over.lane(&scene.output(0));
    let most = fixture.max_record_bytes();
    over.push_with(id, None, &[], |arena| arena.extend(std::iter::repeat_n(b'x', most + 1)));
    assert_eq!(kind_of(claim.commit(&over, &[(lane.clone(), position)])), Some(Kind::TooLarge));
    claim.commit(&batch(&scene.output(1), &["fits"]), &[(lane, position)]).unwrap();
    scene.holds_exactly(&scene.output(1), &["fits"]);
    scene.holds_exactly(&scene.output(0), &[]);
}

/// With a position and no records, and with neither.
pub fn a_commit_may_be_empty(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "empty", 1);
    let lane = scene.source(0);
    scene.append(&lane, &["a"]);
    let role = scene.per_lane("g");
    let (_member, mut claim) = scene.own(&role, &lane);
    let position = scene.take(&mut *claim, 1).last().unwrap().offset + 1;
    claim.commit(&Batch::new(), &[(lane.clone(), position)]).unwrap();
    claim.commit(&Batch::new(), &[]).unwrap();
    claim.commit(&batch(&scene.output(0), &["A"]), &[]).unwrap();
    scene.holds_exactly(&scene.output(0), &["A"]);
    if fixture.keeps_positions() {
        scene.position_becomes(&role, &lane, position);
    }
}

/// One claim, three lanes: all of each, in its order, committed together; a lane can start anywhere.
pub fn a_whole_claim_takes_from_all_its_lanes(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "whole-claim", 3);
    let lanes = [scene.source(0), scene.source(1), scene.source(2)];
    for lane in &lanes {
        scene.append(lane, &["a", "b", "c"]);
    }
    let second = scene.read(&lanes[2], 0, 2).last().unwrap().offset;
    let role = scene.whole("g", "one");
    let mut member = scene.join(&role);
    let mut claim = scene.win(&mut *member, &lanes);
    assert_eq!(claim.lanes().len(), 3);
    for (lane, offset) in lanes.iter().zip([0, 0, second]) {
        claim.start_at(lane, offset).unwrap();
    }
    let got = scene.take(&mut *claim, 8);
    let mut positions = Vec::new();
    for (lane, expected) in lanes.iter().zip([&["a", "b", "c"][..], &["a", "b", "c"], &["b", "c"]]) {
        let of_lane: Vec<_> = got.iter().filter(|r| r.lane == lane).collect();
        let values: Vec<_> = of_lane.iter().map(|r| std::str::from_utf8(r.value.unwrap()).unwrap()).collect();
        assert_eq!(values, expected, "what came from {lane}");
        positions.push((lane.clone(), of_lane.last().unwrap().offset + 1));
    }
    claim.commit(&batch(&scene.output(1), &["8 events"]), &positions).unwrap();
    scene.holds_exactly(&scene.output(1), &["8 events"]);
    if fixture.keeps_positions() {
        for (lane, position) in &positions {
            scene.position_becomes(&role, lane, *position);
        }
    }
}

/// Two of three lanes are to start where nothing is: one after the other is named, and nothing of the third is lost.
/// Moved, all go on.
pub fn a_whole_claim_says_which_lane_is_out_of_range(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "whole-range", 3);
    let lanes = [scene.source(0), scene.source(1), scene.source(2)];
    let mut member = scene.join(&scene.whole("g", "one"));
    let mut claim = scene.win(&mut *member, &lanes);
    for lane in &lanes {
        scene.append(lane, &["a", "b"]);
    }
    for (lane, offset) in lanes.iter().zip([0, 1_000, 2_000]) {
        claim.start_at(lane, offset).unwrap();
    }
    let (mut got, mut named, deadline) = (Batch::new(), Vec::new(), Deadline::after(scene.patience));
    while got.len() < 6 {
        assert!(!deadline.passed(), "{} of 6 records came, and {named:?} were out of range", got.len());
        let before = got.len();
        match claim.take(&mut got, AMPLE, TICK) {
            Ok(()) => {}
            Err(e) => {
                assert!(matches!(e.kind(), Kind::OutOfRange { start: 0, end: 2.. }), "{e}");
                assert_eq!(got.len(), before, "a take that failed brought something");
                let lane = e.lane().expect("out of range says which lane").clone();
                claim.start_at(&lane, 0).unwrap();
                named.push(lane);
            }
        }
    }
    named.sort();
    assert_eq!(named, lanes[1..]);
    for lane in &lanes {
        let values = got.iter().filter(|r| r.lane == lane).map(|r| r.value.unwrap());
        assert_eq!(values.collect::<Vec<_>>(), [b"a", b"b"], "what came from {lane}");
    }
    claim.commit(&batch(&scene.output(0), &["6 events"]), &[(lanes[2].clone(), 2)]).unwrap();
    scene.holds_exactly(&scene.output(0), &["6 events"]);
}

/// A claim without outputs. Its group has no position before the first commit, and the last one after.
pub fn a_reader_commits_positions(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "reader", 1);
    let lane = scene.source(0);
    scene.append(&lane, &["a", "b"]);
    let role = scene.role("archiver", Fence::Reader);
    assert_eq!(scene.stream().positions(&role.group, std::slice::from_ref(&lane)).unwrap(), [None]);
    let (member, mut claim) = scene.own(&role, &lane);
    for _ in 0..2 {
        let position = scene.take(&mut *claim, 1).last().unwrap().offset + 1;
        claim.commit(&Batch::new(), &[(lane.clone(), position)]).unwrap();
        if fixture.keeps_positions() {
            scene.position_becomes(&role, &lane, position);
        }
    }
    drop((claim, member));
    let other = scene.role("another", Fence::Reader);
    assert_eq!(
        scene.stream().positions(&other.group, std::slice::from_ref(&lane)).unwrap(),
        [None],
        "a position of another group"
    );
}

/// While the member still owns the lanes; and what was committed through the first is the truth for the second.
pub fn a_dropped_claim_is_handed_out_again(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "again", 1);
    let lane = scene.source(0);
    scene.append(&lane, &["a", "b"]);
    let (mut member, mut claim) = scene.own(&scene.per_lane("g"), &lane);
    for value in ["A", "B", "C"] {
        claim.start_at(&lane, 0).unwrap();
        assert_eq!(texts(&scene.take(&mut *claim, 2)), ["a", "b"]);
        claim.commit(&batch(&scene.output(0), &[value]), &[]).unwrap();
        drop(claim);
        claim = scene.win(&mut *member, std::slice::from_ref(&lane));
        // At once: the claim was won after the commit.
        assert_eq!(texts(&scene.stream().last(&scene.output(0)).unwrap()), [value]);
    }
    assert!(member.poll(Duration::ZERO).unwrap().is_none(), "a lane whose claim lives was handed out twice");
}
