//! A broker of our own, killed and started again in the middle of everything.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use runtime::Deadline;
use stream::kafka::{Kafka, Options};
use stream::{Fence, Groups, Kind, Log, Role};

use super::{PATIENCE, Site, all, batch, broker, skip, texts};

/// What `tests/services/kafka` has started.
struct Broker {
    script: Child,
    address: String,
    pid: String,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/services/kafka")
}

impl Broker {
    fn start(data: &Path) -> Broker {
        let mut script = Command::new(script())
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/services/kafka runs");
        let mut line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some("READY"), "tests/services/kafka did not start a broker");
        let address = words.next().unwrap().to_owned();
        let pid = words.next().unwrap().strip_prefix("pid=").unwrap().to_owned();
        Broker { script, address, pid }
    }

    fn signal(&mut self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.pid]).status().unwrap().success());
        self.script.wait().unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Once the script has ended the broker has, and its number may be another's.
        if let Ok(None) = self.script.try_wait() {
            let _ = Command::new("kill").arg(&self.pid).status();
            let _ = self.script.wait();
        }
    }
}

/// A stage in small counts up in its output, each commit two records. Whatever its claim says when the broker dies,
/// after the restart `last` is the truth, and no number is missing or there twice.
#[test]
fn a_killed_broker_loses_and_doubles_nothing() {
    if broker().is_none() {
        return;
    }
    let missing = Command::new(script()).arg("--check").output().unwrap().stdout;
    if !missing.is_empty() {
        skip(&format!("no broker of its own: {}", String::from_utf8_lossy(&missing).trim()));
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let mut running = Broker::start(data.path());
    // A call into the gap is given up sooner than a stage would.
    let options = Options { patience: Duration::from_secs(5), ..Options::new(&running.address) };
    let site = Site { broker: running.address.clone(), kafka: Arc::new(Kafka::connect(options).unwrap()) };
    let (lane, output) = (site.lane("restart-in"), site.lane("restart-out"));
    let sources = vec![lane.topic.to_string()];
    let role = Role { group: site.name("group"), sources, fence: Fence::PerLane(site.name("origin")) };
    let mut member = site.kafka.join(&role).unwrap();
    let mut claim = None;
    let (mut next, mut acknowledged, mut killed, mut failures) = (0_u64, 0_u64, false, 0);
    let deadline = Deadline::after(PATIENCE * 3);
    while acknowledged < 200 || failures == 0 {
        assert!(!deadline.passed(), "{acknowledged} commits and {failures} failures");
        if acknowledged == 100 && !killed {
            running.signal("-KILL");
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
        if killed && failures == 1 && running.script.try_wait().unwrap().is_some() {
            running = Broker::start(data.path());
        }
    }
    drop((claim, member));
    let expected: Vec<String> = (0..next).map(|n| n.to_string()).collect();
    assert_eq!(all(&site.kafka, &output), expected);
}
