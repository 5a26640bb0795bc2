//! Who is kept out, where only Kafka could let him in.

use std::time::Duration;

use rdkafka::producer::{BaseRecord, Producer};
use runtime::Deadline;
use stream::{Fence, Groups, Kind, Log, Role};

use super::{PATIENCE, Site, all, batch, connect, take_one, texts, win};

/// A process that was held up for so long that the group gave its lane away. It has heard nothing of that, and even
/// its transactional id means nothing any more (brokers forget an idle one): the generation in which its batch was
/// read keeps it out.
#[test]
fn a_zombie_whose_id_is_forgotten_is_kept_out_by_the_group() {
    let Some(site) = Site::new() else { return };
    for with_position in [true, false] {
        keeps_a_zombie_out(&site, with_position);
    }
}

fn keeps_a_zombie_out(site: &Site, with_position: bool) {
    let (lane, output) = (site.lane("zombie-in"), site.lane("zombie-out"));
    site.kafka.append(&batch(&lane, &["a", "b"])).unwrap();
    let group = site.name("group");
    let role = |fence: &str| Role {
        group: group.clone(),
        sources: vec![lane.topic.to_string()],
        fence: Fence::PerLane(site.name(fence)),
    };
    // A member that is not polled for two seconds is taken for dead, while its heart still beats.
    let hasty = connect(&site.broker, &[("max.poll.interval.ms", "2000"), ("session.timeout.ms", "2000")]);
    let mut zombie_member = hasty.join(&role("first")).unwrap();
    let mut zombie = win(&mut *zombie_member);
    zombie.start_at(&lane, 0).unwrap();
    let (value, offset) = take_one(&mut *zombie);
    assert_eq!(value, "a");

    let mut member = site.kafka.join(&role("second")).unwrap();
    let mut claim = win(&mut *member);
    // Not even a commit that brings no position, for it repeats the last.
    let positions = if with_position { vec![(lane.clone(), offset + 1)] } else { vec![] };
    let refused = zombie.commit(&batch(&output, &["zombie"]), &positions);
    assert!(refused.is_err(), "the zombie committed");
    let again = zombie.commit(&batch(&output, &["zombie"]), &[]);
    assert!(again.is_err(), "the zombie's dead claim committed");
    claim.start_at(&lane, 0).unwrap();
    let (value, offset) = take_one(&mut *claim);
    assert_eq!(value, "a");
    claim.commit(&batch(&output, &["A"]), &[(lane.clone(), offset + 1)]).unwrap();
    // What it wins before it has heard of its loss is worth as little.
    drop(zombie);
    if let Some(mut stale) = zombie_member.poll(Duration::from_secs(1)).unwrap() {
        let refused = stale.commit(&batch(&output, &["stale"]), &[(lane.clone(), offset + 1)]);
        assert!(refused.is_err(), "a claim that was won from what is long over committed");
    }
    assert_eq!(all(&site.kafka, &output), ["A"]);
}

/// What a dead owner left open would hide everything behind it for a minute; the next owner ends it first.
#[test]
fn a_hung_transaction_of_a_dead_owner_is_ended_by_the_next_claim() {
    let Some(site) = Site::new() else { return };
    let (lane, output) = (site.lane("hung-in"), site.lane("hung-out"));
    let fence = site.name("origin");
    let dead = site.stranger(&format!("{fence}/0"));
    dead.begin_transaction().unwrap();
    dead.send(BaseRecord::<(), str>::to(&output.topic).partition(0).payload("left open")).unwrap();
    dead.flush(PATIENCE).unwrap();
    site.kafka.append(&batch(&output, &["behind it"])).unwrap();
    assert!(site.kafka.last(&output).unwrap().is_empty(), "a record behind an open transaction was shown");

    let begun = Deadline::after(Duration::from_secs(20));
    let sources = vec![lane.topic.to_string()];
    let role = Role { group: site.name("group"), sources, fence: Fence::PerLane(fence) };
    let mut member = site.kafka.join(&role).unwrap();
    let mut claim = win(&mut *member);
    assert_eq!(texts(&site.kafka.last(&output).unwrap()), ["behind it"]);
    claim.commit(&batch(&output, &["next"]), &[]).unwrap();
    assert_eq!(all(&site.kafka, &output), ["behind it", "next"]);
    assert!(!begun.passed(), "the transaction was waited for");
    assert!(dead.commit_transaction(PATIENCE).is_err(), "the dead owner committed");
}

/// Another process has begun under the same name. The member that hears of it leaves its group, comes back and, being
/// the later one then, fences the other in its turn.
#[test]
fn a_fenced_member_joins_anew_and_wins_again() {
    let Some(site) = Site::new() else { return };
    let (lane, output) = (site.lane("again-in"), site.lane("again-out"));
    let fence = Fence::PerLane(site.name("origin"));
    let sources = vec![lane.topic.to_string()];
    let role = |group: &str| Role { group: site.name(group), sources: sources.clone(), fence: fence.clone() };
    let mut first_member = site.kafka.join(&role("first")).unwrap();
    let mut first = win(&mut *first_member);
    let mut second_member = site.kafka.join(&role("second")).unwrap();
    let mut second = win(&mut *second_member);
    assert_eq!(first.commit(&batch(&output, &["1"]), &[]).unwrap_err().kind(), Kind::Lost);
    drop(first);
    let mut first = win(&mut *first_member);
    assert_eq!(second.commit(&batch(&output, &["2"]), &[]).unwrap_err().kind(), Kind::Lost);
    first.commit(&batch(&output, &["3"]), &[]).unwrap();
    assert_eq!(all(&site.kafka, &output), ["3"]);
}
