//! A broker of our own, killed and started again in the middle of everything.

use std::sync::Arc;
use std::time::Duration;

use runtime::Deadline;
use stream::kafka::{Kafka, Options};
use stream::{Fence, Groups, Kind, Log, Role};

use super::own_broker::Broker;
use super::{PATIENCE, Site, all, batch, has_own_broker, texts};

/// A stage in small counts up in its output, each commit two records. Whatever its claim says when the broker dies,
/// after the restart `last` is the truth, and no number is missing or there twice.
#[test]
fn a_killed_broker_loses_and_doubles_nothing() {
    if !has_own_broker() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let mut running = Broker::start(data.path(), &[]);
    // A call into the gap is given up sooner than a stage would.
    let options = Options { patience: Duration::from_secs(5), ..Options::new(running.address()) };
    let site =
        Site { broker: running.address().to_owned(), kafka: Arc::new(Kafka::connect(options).unwrap()) };
    let (lane, output) = (site.lane("restart-in"), site.lane("restart-out"));
    let sources = vec![lane.topic.to_string()];
    let role = Role { group: site.name("group"), sources, fence: Fence::PerLane(site.name("origin")) };
    let mut member = site.kafka.join(&role).unwrap();
    let mut claim = None;
    let (mut next, mut acknowledged, mut failures) = (0_u64, 0_u64, 0);
    let (mut killed, mut started_again) = (false, false);
    let deadline = Deadline::after(PATIENCE * 3);
    while acknowledged < 200 || failures == 0 {
        assert!(!deadline.passed(), "{acknowledged} commits and {failures} failures");
        if acknowledged == 100 && !killed {
            running.kill();
            killed = true;
        }
        if claim.is_none() {
            // What a stage does about Away: it waits and tries again.
            let won = match member.poll(Duration::from_millis(100)) {
                Ok(won) => won,
                Err(e) if e.kind() == Kind::Away => continue,
                Err(e) => panic!("poll failed: {e}"),
            };
            let Some(won) = won else { continue };
            let Ok(last) = site.kafka.last(&output) else { continue };
            next = texts(&last).first().map_or(0, |t| t.parse::<u64>().unwrap() + 1);
            assert!(
                next >= acknowledged * 2,
                "{acknowledged} commits were acknowledged, {next} records are there"
            );
            claim = Some(won);
        }
        let Some(owner) = &mut claim else { continue };
        match owner.commit(&batch(&output, &[&next.to_string(), &(next + 1).to_string()]), &[]) {
            Ok(()) => {
                next += 2;
                acknowledged = next / 2;
            }
            Err(e) => {
                assert!(matches!(e.kind(), Kind::Away | Kind::Lost), "{e}");
                failures += 1;
                claim = None;
            }
        }
        if killed && failures == 1 && !started_again {
            running.restart();
            started_again = true;
        }
    }
    drop((claim, member));
    let expected: Vec<String> = (0..next).map(|n| n.to_string()).collect();
    assert_eq!(all(&site.kafka, &output), expected);
}
