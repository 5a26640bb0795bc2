//! Cases about several owners: who is kept out, and that nothing is lost or doubled on the way.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use runtime::Deadline;

use super::{AMPLE, Fixture, Ground, Scene, TICK, batch, kind_of, texts};
use crate::{Batch, Claim, Kind, Lane, Limit, Member, Result};

/// The later owner of the same name, though of another group, ends the earlier one. Nothing of what the earlier one
/// commits from then on is seen, and its claim stays dead.
pub fn a_second_owner_fences_the_first(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "fence", 1);
    let lane = scene.source(0);
    scene.append(&lane, &["a"]);
    let (_first_member, mut first) = scene.own(&scene.per_lane("first"), &lane);
    first.commit(&batch(&scene.output(0), &["first"]), &[]).unwrap();
    let (_second_member, mut second) = scene.own(&scene.per_lane("second"), &lane);
    assert_eq!(texts(&scene.stream().last(&scene.output(0)).unwrap()), ["first"]);
    for _ in 0..3 {
        let refused = kind_of(first.commit(&batch(&scene.output(0), &["zombie"]), &[]));
        assert_eq!(refused, Some(Kind::Lost), "a fenced claim's commit");
    }
    second.commit(&batch(&scene.output(0), &["second"]), &[]).unwrap();
    let refused = kind_of(first.commit(&batch(&scene.output(0), &["zombie"]), &[(lane.clone(), 1)]));
    assert_eq!(refused, Some(Kind::Lost), "a dead claim's commit");
    assert_eq!(texts(&scene.take(&mut *second, 1)), ["a"]);
    second.commit(&batch(&scene.output(0), &["second again"]), &[]).unwrap();
    scene.holds_exactly(&scene.output(0), &["first", "second", "second again"]);
}

/// The same for a claim over all lanes: the name alone decides.
pub fn a_second_whole_owner_fences_the_first(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "fence-whole", 2);
    let lanes = [scene.source(0), scene.source(1)];
    let mut first_member = scene.join(&scene.whole("first", "ingestor"));
    let mut first = scene.win(&mut *first_member, &lanes);
    first.commit(&batch(&scene.output(0), &["first"]), &[]).unwrap();
    let mut other_member = scene.join(&scene.whole("other", "another name"));
    let mut other = scene.win(&mut *other_member, &lanes);
    other.commit(&batch(&scene.output(0), &["other"]), &[]).unwrap();
    first.commit(&batch(&scene.output(0), &["first again"]), &[]).unwrap();
    let mut second_member = scene.join(&scene.whole("second", "ingestor"));
    let mut second = scene.win(&mut *second_member, &lanes);
    assert_eq!(kind_of(first.commit(&batch(&scene.output(0), &["zombie"]), &[])), Some(Kind::Lost));
    second.commit(&batch(&scene.output(0), &["second"]), &[]).unwrap();
    scene.holds_exactly(&scene.output(0), &["first", "other", "first again", "second"]);
}

/// An owner commits as fast as it can while another wins: what `last` says right after the win is what stays.
pub fn a_fence_cuts_through_commits_under_way(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "cut-through", 1);
    let (lane, output) = (scene.source(0), &scene.output(0));
    let (_first_member, mut first) = scene.own(&scene.per_lane("first"), &lane);
    let (running, has_run) = mpsc::channel();
    std::thread::scope(|threads| {
        let zombie = threads.spawn(move || {
            let mut done = 0;
            loop {
                let (count, head) = (done.to_string(), format!("head {done}"));
                match first.commit(&batch(output, &[&count, &head]), &[]) {
                    Ok(()) => done += 1,
                    Err(e) => return (done, e.kind()),
                }
                // The receiver is gone once the second owner has won.
                let _ = running.send(());
            }
        });
        has_run.recv_timeout(scene.patience).expect("the first owner commits");
        let mut member = scene.join(&scene.per_lane("second"));
        let mut second = scene.win(&mut *member, std::slice::from_ref(&lane));
        let truth = scene.stream().last(output).unwrap();
        let (done, end) = zombie.join().unwrap();
        let seen = texts(&truth)[0]
            .strip_prefix("head ")
            .expect("a commit ends with its head")
            .parse::<u64>()
            .unwrap();
        // The commit that the fence cut may have been done before; what was acknowledged was.
        assert!(
            seen + 1 == done || (seen == done && end != Kind::Lost),
            "{done} acknowledged, {seen} seen, {end:?}"
        );
        second.commit(&batch(output, &["second"]), &[]).unwrap();
        let mut expected: Vec<String> =
            (0..=seen).flat_map(|n| [n.to_string(), format!("head {n}")]).collect();
        expected.push("second".into());
        scene.holds_exactly(output, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    });
}

/// The claim of a member that has left commits nothing; the next member wins the lane.
pub fn dropping_a_member_ends_its_claims(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "leave", 1);
    let lane = scene.source(0);
    let (member, mut orphan) = scene.own(&scene.per_lane("g"), &lane);
    orphan.commit(&batch(&scene.output(0), &["member"]), &[]).unwrap();
    drop(member);
    assert!(
        orphan.commit(&batch(&scene.output(0), &["orphan"]), &[]).is_err(),
        "an orphaned claim committed"
    );
    let (_next, mut claim) = scene.own(&scene.per_lane("g"), &lane);
    assert!(orphan.take(&mut Batch::new(), AMPLE, Duration::ZERO).is_err(), "an orphaned claim takes");
    claim.commit(&batch(&scene.output(0), &["next"]), &[]).unwrap();
    scene.holds_exactly(&scene.output(0), &["member", "next"]);
}

const LANES: u32 = 4;

/// A second member joins, the first leaves, and a loop that keeps its state in its outputs alone forwards every
/// record of every lane once and in order.
pub fn lanes_move_between_members_and_each_record_is_forwarded_once(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, "move", LANES);
    let role = scene.per_lane("g");
    let mut written = 0_u64;
    let mut append = |count: u64| {
        for partition in 0..LANES {
            let values: Vec<_> = (written..written + count).map(|n| n.to_string()).collect();
            scene.append(&scene.source(partition), &values.iter().map(String::as_str).collect::<Vec<_>>());
        }
        written += count;
        written
    };
    let mut first = Forwarder::new(scene.join(&role));
    let total = append(20);
    first.run_until(&scene, None, total);
    let total = append(20);
    let mut second = Forwarder::new(scene.join(&role));
    first.run_until(&scene, Some(&mut second), total);
    let deadline = Deadline::after(scene.patience);
    while !second.owns_a_lane() {
        assert!(!deadline.passed(), "the second member won no lane");
        first.step(&scene.ground).and_then(|()| second.step(&scene.ground)).unwrap();
    }
    let deadline = Deadline::after(scene.patience);
    // Whoever is settled knows that what it has not is the other's.
    while !(first.member.is_settled() && second.member.is_settled()) {
        assert!(!deadline.passed(), "the members have not settled who owns what");
        first.step(&scene.ground).and_then(|()| second.step(&scene.ground)).unwrap();
    }
    let total = append(20);
    first.run_until(&scene, Some(&mut second), total);
    drop(first);
    let total = append(20);
    second.run_until(&scene, None, total);
    let all: Vec<_> = (0..total).map(|n| n.to_string()).collect();
    for partition in 0..LANES {
        scene.holds_exactly(&scene.output(partition), &all.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// A stage in small: copies a lane of the source to the same lane of the output, the position in a header.
struct Forwarder {
    claims: BTreeMap<u32, Box<dyn Claim>>,
    member: Box<dyn Member>,
}

impl Forwarder {
    fn new(member: Box<dyn Member>) -> Forwarder {
        Forwarder { claims: BTreeMap::new(), member }
    }

    fn owns_a_lane(&self) -> bool {
        !self.claims.is_empty()
    }

    /// One round: new claims, then one commit a claim. A claim that failed is dropped.
    fn step(&mut self, ground: &Ground) -> Result<()> {
        // A claim that has come may replace one on the same lane: the old one goes first.
        for _ in 0..LANES {
            let Some(mut claim) = self.member.poll(Duration::from_millis(20))? else { break };
            let lane = claim.lanes()[0].clone();
            self.claims.remove(&lane.partition);
            let last = ground.stream.last(&Lane::new(&ground.output, lane.partition))?;
            let header = last.last().and_then(|r| r.headers.get("position"));
            let position = header.map_or(0, |p| u64::from_le_bytes(p.try_into().unwrap()));
            if claim.start_at(&lane, position).is_ok() {
                self.claims.insert(lane.partition, claim);
            }
        }
        self.claims.retain(|partition, claim| match forward(&mut **claim, ground, *partition) {
            Ok(()) => true,
            Err(e) => {
                assert!(
                    matches!(e.kind(), Kind::Lost | Kind::Away),
                    "lane {partition}: {e} ({:?})",
                    e.kind()
                );
                false
            }
        });
        Ok(())
    }

    /// Goes round, with the other where there is one, until each output lane ends with record `total` - 1.
    fn run_until(&mut self, scene: &Scene, mut other: Option<&mut Forwarder>, total: u64) {
        let deadline = Deadline::after(scene.patience);
        let end = (total - 1).to_string();
        let done = |p| texts(&scene.stream().last(&scene.output(p)).unwrap()) == [end.as_str()];
        while !(0..LANES).all(done) {
            assert!(!deadline.passed(), "{total} records a lane were not forwarded in time");
            self.step(&scene.ground).unwrap();
            if let Some(other) = other.as_deref_mut() {
                other.step(&scene.ground).unwrap();
            }
        }
    }
}

fn forward(claim: &mut dyn Claim, ground: &Ground, partition: u32) -> Result<()> {
    let (mut taken, mut outputs) = (Batch::new(), Batch::new());
    claim.take(&mut taken, Limit { records: 7, ..AMPLE }, TICK / 5)?;
    let Some(position) = taken.last().map(|r| r.offset + 1) else { return Ok(()) };
    let id = outputs.lane(&Lane::new(&ground.output, partition));
    for record in taken.iter() {
        outputs.push(
            id,
            record.key,
            &[("position", &(record.offset + 1).to_le_bytes())],
            record.value.unwrap(),
        );
    }
    claim.commit(&outputs, &[(Lane::new(&ground.source, partition), position)])
}
