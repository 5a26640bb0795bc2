//! When Kafka is gone: chains go on from their archive, where that makes no second history.

use std::fs;
use std::sync::Arc;

use store::directory::Directory;
use stream::kafka::{Kafka, Options};

use crate::harness::archive::{events, own_acts};
use crate::harness::deployment::{Deployment, ORIGIN, broker};
use crate::harness::process::said;
use crate::harness::wait_for;

const QUICK: &str = "[segment]\nmax_age = \"2s\"\n";
const CHAIN: &str = "acme.example/audit/0";

fn event(name: &str, n: usize) -> String {
    format!("{{\"id\":\"{name}-{n:03}\",\"action\":\"a\"}}")
}

fn names(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{name}-{n:03}")).collect()
}

/// A deployment with one chain of a hundred events in its archive, stopped.
fn with_an_archive(broker: &str) -> Deployment {
    let deployment = Deployment::made(broker, 1, &[("app", 1)], QUICK);
    let up = deployment.start("up");
    deployment.produce(&deployment.raw[0], 0, (0..100).map(|n| event("before", n)));
    wait_for("they are archived", 30, || (deployment.archived() > 100).then_some(()));
    assert_eq!(up.stop().0.code(), Some(0));
    deployment
}

/// The same archive, key and guards with topics that are new, as on another cluster.
fn on_a_new_cluster(old: Deployment) -> Deployment {
    let prefix = format!("n{}", old.prefix);
    let toml = fs::read_to_string(&old.config).unwrap();
    let toml = toml.replace(&format!("prefix = \"{}\"", old.prefix), &format!("prefix = \"{prefix}\""));
    fs::write(&old.config, toml).unwrap();
    let mut options = Options::new(&old.broker);
    options.prefix = prefix.clone();
    let kafka = Kafka::connect(options).unwrap();
    // Another folder may stand in the archive's place by now.
    let archive = Directory::open_read_only(old.folder.path().join("archive")).unwrap();
    Deployment { prefix, kafka, store: Arc::new(archive), ..old }
}

fn error(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_chain_goes_on_from_its_archive_on_a_new_cluster() {
    let Some(broker) = broker() else { return };
    let deployment = on_a_new_cluster(with_an_archive(&broker));
    let archived = deployment.archived();
    let refused = deployment.sealog(&["init"]);
    assert!(!refused.status.success() && error(&refused).contains("sealog recover"), "{}", error(&refused));
    let recover = deployment.sealog(&["recover"]);
    assert_eq!(recover.status.code(), Some(0), "{}", error(&recover));
    assert!(said(&recover).contains(&format!("at size {archived}")), "{}", said(&recover));
    let again = deployment.sealog(&["recover"]);
    assert!(said(&again).contains("left as it is"), "{}{}", said(&again), error(&again));

    let up = deployment.start("up");
    assert_eq!(up.post(&event("after", 0)).0, 202);
    wait_for("the new event is archived", 30, || (deployment.archived() >= archived + 2).then_some(()));
    assert_eq!(up.stop().0.code(), Some(0));
    let all = events(deployment.archive(), CHAIN);
    assert_eq!(all[archived as usize]["action"], "sealog.recovered", "it stands before anything else");
    let ids = deployment.ids();
    assert!(
        names("before", 100).iter().all(|name| ids.contains(name)) && ids.contains(&"after-000".to_owned())
    );
    deployment.verified("after the recovery");
}

#[test]
fn where_audit_events_survived_nothing_that_waited_is_lost_or_sealed_twice() {
    let Some(broker) = broker() else { return };
    let deployment = with_an_archive(&broker);
    // They wait: an ingestor takes them, and nobody seals.
    let ingestor = deployment.start("ingestor");
    deployment.produce(&deployment.raw[0], 0, (0..50).map(|n| event("waiting", n)));
    wait_for("they are in audit.events", 30, || {
        (ingestor.metric("sealog_ingestor_events_total{source=\"kafka\"}") >= 50.0).then_some(())
    });
    assert_eq!(ingestor.stop().0.code(), Some(0));
    deployment.delete_and_make_anew(stream::topics::SEALED);
    let recover = deployment.sealog(&["recover"]);
    assert_eq!(recover.status.code(), Some(0), "{}", error(&recover));
    assert!(said(&recover).contains("the same topic"), "{}", said(&recover));
    let up = deployment.start("up");
    wait_for("what waited is archived", 30, || (deployment.archived() > 151).then_some(()));
    assert_eq!(up.stop().0.code(), Some(0));
    assert_eq!(deployment.ids(), [names("before", 100), names("waiting", 50)].concat());
    deployment.verified("with what had waited");
}

#[test]
fn a_chain_of_which_more_was_signed_than_is_archived_is_continued_under_a_new_origin_only() {
    let Some(broker) = broker() else { return };
    let deployment = with_an_archive(&broker);
    // One more cut is signed while the archive is away, and then Kafka is lost.
    let archive = deployment.folder.path().join("archive");
    let away = deployment.folder.path().join("away");
    let copied = std::process::Command::new("cp").args(["-a"]).arg(&archive).arg(&away).status().unwrap();
    assert!(copied.success());
    let archived = deployment.archived();
    let up = deployment.start("up");
    assert_eq!(up.post(&event("lost", 0)).0, 202);
    wait_for("one more is signed and archived", 30, || (deployment.archived() > archived + 1).then_some(()));
    assert_eq!(up.stop().0.code(), Some(0));
    fs::remove_dir_all(&archive).unwrap();
    fs::rename(&away, &archive).unwrap();
    let deployment = on_a_new_cluster(deployment);
    let refused = deployment.sealog(&["recover"]);
    assert!(!refused.status.success(), "{}", said(&refused));
    assert!(
        error(&refused).contains("two histories") && error(&refused).contains("--continues"),
        "{}",
        error(&refused)
    );
    let guards = deployment.folder.path().join("data/guards");
    fs::rename(&guards, deployment.folder.path().join("guards")).unwrap();
    let refused = deployment.sealog(&["recover"]);
    assert!(error(&refused).contains("--without-guard"), "{}", error(&refused));

    let toml = fs::read_to_string(&deployment.config).unwrap();
    fs::write(&deployment.config, toml.replace(ORIGIN, "acme.example/audit-2")).unwrap();
    let fresh = on_a_new_cluster(deployment);
    let init = fresh.sealog(&["init"]);
    assert_eq!(init.status.code(), Some(0), "{}", error(&init));
    let continues = fresh.sealog(&["recover", "--continues", ORIGIN]);
    assert_eq!(continues.status.code(), Some(0), "{}", error(&continues));
    let up = fresh.start("up");
    wait_for("the link is archived", 30, || {
        (own_acts(fresh.archive(), "acme.example/audit-2/0", "sealog.recovered") == 1).then_some(())
    });
    assert_eq!(up.stop().0.code(), Some(0));
    let linked = events(fresh.archive(), "acme.example/audit-2/0");
    let linked = linked.iter().find(|event| event["action"] == "sealog.recovered").unwrap();
    assert!(linked["attributes"].to_string().contains(CHAIN), "{linked}");
    fresh.verified("two origins in one archive");
}

#[test]
fn another_audit_events_is_gone_on_with_only_when_it_is_asked_for() {
    let Some(broker) = broker() else { return };
    let deployment = with_an_archive(&broker);
    deployment.delete_and_make_anew(stream::topics::EVENTS);
    // It grows past the old position, so that offsets alone would not tell.
    let ingestor = deployment.start("ingestor");
    deployment.produce(&deployment.raw[0], 0, (0..300).map(|n| event("new", n)));
    wait_for("they are in audit.events", 30, || {
        (ingestor.metric("sealog_ingestor_events_total{source=\"kafka\"}") >= 300.0).then_some(())
    });
    assert_eq!(ingestor.stop().0.code(), Some(0));
    let (status, words) = deployment.start("chainer").ends(60);
    assert!(status.code() == Some(1) && words.contains("another one than before"), "{words}");
    // What nobody has sealed must not be trimmed by an offset of the topic that was.
    let trimmer = deployment.start("trimmer");
    wait_for("the trimmer has seen that it is another topic", 30, || {
        (trimmer.metric("sealog_trimmer_passes_total") >= 2.0).then_some(())
    });
    assert_eq!(trimmer.stop().0.code(), Some(0));
    let recover = deployment.sealog(&["recover", "--new-source"]);
    assert_eq!(recover.status.code(), Some(0), "{}", error(&recover));
    let again = deployment.sealog(&["recover", "--new-source"]);
    assert!(error(&again).contains("no new source"), "{}{}", said(&again), error(&again));
    let up = deployment.start("up");
    wait_for("what is in the new topic is archived", 60, || (deployment.archived() > 401).then_some(()));
    assert_eq!(up.stop().0.code(), Some(0));
    assert_eq!(deployment.ids(), [names("before", 100), names("new", 300)].concat());
    deployment.verified("onto another source");
}
