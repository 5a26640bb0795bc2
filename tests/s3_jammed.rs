//! Junk in a bucket, put there by somebody with the right to put: over the hint, over evidence of every kind, and where
//! the next segment is due. Stages go by versions and signatures, the verifier finds the evidence below and reports what
//! lies over it, and `sealog archive repair` lays the right version on top.

use std::process::Output;

use runtime::{Clock, SystemClock};
use schemas::{Layout, Place, Seq};
use store::{Listing, Notes, Store, keys_after};

use crate::harness::deployment::{Deployment, broker};
use crate::harness::process::{Up, read, said};
use crate::harness::s3::intruder::Intruder;
use crate::harness::s3::server::{Make, Server};
use crate::harness::s3::{Bucket, on_both_servers};
use crate::harness::wait_for;

const SMALL: &str = "[segment]\nmax_events = 10\nmax_age = \"1s\"\n";
const JUNK: &[u8] = b"nothing that anybody signed";

/// A deployment with one chain, and somebody who may put what he likes.
struct Site {
    deployment: Deployment,
    bucket: Bucket,
    layout: Layout,
    intruder: Intruder,
    sent: u64,
}

impl Site {
    /// None where the test is to be skipped.
    fn on(make: Make) -> Option<Site> {
        let (Some(broker), Some(bucket)) = (broker(), Bucket::new(make)) else { return None };
        let intruder = Intruder::as_root(&Server::shared(make), &bucket.options.bucket);
        let deployment = Deployment::made_in(&bucket, &broker, 1, &[("app", 1)], SMALL);
        let layout = Layout::of(&format!("{}/0", deployment.origin));
        Some(Site { deployment, bucket, layout, intruder, sent: 0 })
    }

    fn start(&self, stages: &[&str]) -> Vec<Up> {
        stages.iter().map(|stage| self.deployment.start(stage)).collect()
    }

    fn stop(&self, stages: Vec<Up>) {
        for up in stages {
            let (status, words) = up.stop();
            assert!(status.success(), "{words}");
        }
    }

    fn send(&mut self, count: u64) {
        let of = |n: u64| format!("{{\"id\":\"e-{n}\",\"action\":\"user.login\"}}");
        self.deployment.produce(&self.deployment.raw[0], 0, (self.sent..self.sent + count).map(of));
        self.sent += count;
    }

    /// All that was sent has come, each event once, however much junk lies about.
    fn wait_until_archived(&self) {
        let expected = |ids: &[String]| {
            let mut expected: Vec<String> = (0..self.sent).map(|n| format!("e-{n}")).collect();
            expected.sort();
            ids == expected
        };
        wait_for("all is archived", 90, || expected(&self.ids()).then_some(()));
    }

    /// As `cat` reads them, which goes by what was signed.
    fn ids(&self) -> Vec<String> {
        let cat = self.deployment.read("cat", &["--fields", "event"]);
        let lines = said(&cat);
        let events = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let sent = events.filter(|event| event["producer"] != "sealog");
        let mut ids: Vec<String> = sent.map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// Runs the road until so many more events are in the archive.
    fn archive(&mut self, count: u64) {
        let stages = self.start(&["ingestor", "chainer", "archiver"]);
        self.send(count);
        self.wait_until_archived();
        self.stop(stages);
    }

    fn lay_over(&self, key: &str) {
        self.intruder.lay_over(&format!("{}/{key}", self.bucket.options.prefix), JUNK);
    }

    /// The newest object of that folder.
    fn newest(&self, folder: &str) -> String {
        keys_after(&self.bucket.store(), folder, "").unwrap().pop().unwrap()
    }

    /// What who asks for the key is given.
    fn given(&self, key: &str) -> Vec<u8> {
        self.bucket.store().get(key, None, None, 1 << 30).unwrap().bytes
    }

    /// The evidence is whole, and what lies over it is reported.
    fn is_at_risk(&self, what: &str) {
        let verify = self.deployment.read("verify", &[]);
        let words = all(&verify);
        let verdict = said(&verify).lines().last().unwrap_or_default().to_owned();
        assert!(verify.status.code() == Some(1) && verdict.contains("custody at risk"), "{what}: {words}");
        assert!(!words.contains("BROKEN"), "{what}: {words}");
    }

    fn repair(&self, flags: &[&str]) -> Output {
        let place = [&["repair".to_owned()], self.deployment.place.as_slice()].concat();
        read("archive", &place, &self.deployment.env, flags)
    }

    /// Shows what it would do and writes nothing; then does it; then finds nothing to do.
    fn is_repaired(&self, keys: &[String]) {
        let before = self.versions();
        let shown = self.repair(&[]);
        assert_eq!(shown.status.code(), Some(1), "{}", all(&shown));
        assert!(keys.iter().all(|key| said(&shown).contains(key.as_str())), "{}", all(&shown));
        assert_eq!(self.versions(), before, "only shown");
        let done = self.repair(&["--yes"]);
        assert!(done.status.success(), "{}", all(&done));
        assert_eq!(self.versions(), before + keys.len(), "each is laid over once: {}", all(&done));
        let again = self.repair(&["--yes"]);
        assert!(again.status.success() && said(&again).contains("nothing hides"), "{}", all(&again));
        assert_eq!(self.versions(), before + keys.len());
        for key in keys {
            assert_ne!(self.given(key), JUNK, "{key}");
        }
    }

    fn versions(&self) -> usize {
        self.bucket.store().list("", "", Listing::Versions(100_000)).unwrap().entries.len()
    }
}

fn all(output: &Output) -> String {
    format!("{}{}", said(output), String::from_utf8_lossy(&output.stderr))
}

/// Over one of each kind, while nobody looks. The stages go on, and all that was sent comes.
fn junk_over_every_kind_stops_nobody(make: Make) {
    let Some(mut site) = Site::on(make) else { return };
    site.archive(25);
    let layout = site.layout.clone();
    let folders = [layout.keys(), layout.checkpoints(), layout.schemas(), layout.segments(), layout.trees()];
    let mut keys: Vec<String> = folders.iter().map(|folder| site.newest(folder)).collect();
    keys.push(layout.key(&Place::Hint));
    keys.iter().for_each(|key| site.lay_over(key));
    site.is_at_risk("junk over every kind");
    site.archive(25);
    site.is_at_risk("the stages went on");

    let locks = site.deployment.read("locks", &["--findings"]);
    assert_eq!(locks.status.code(), Some(1), "{}", all(&locks));
    let evidence = &keys[..5];
    for key in evidence {
        let laid = |line: &&str| line.starts_with(key.as_str());
        assert_eq!(said(&locks).lines().filter(laid).count(), 1, "{key}: {}", all(&locks));
    }
    assert!(said(&locks).contains("laid-over 5"), "{}", all(&locks));

    // The archiver has replaced the hint meanwhile.
    site.is_repaired(evidence);
    site.is_at_risk("what was laid over stays to be seen");
}

/// Before anybody else has looked.
fn junk_over_the_hint_is_put_right(make: Make) {
    let Some(mut site) = Site::on(make) else { return };
    site.archive(10);
    let hint = site.layout.key(&Place::Hint);
    site.lay_over(&hint);
    site.is_repaired(&[hint]);
    site.archive(10);
}

/// Readers look below it. Where nothing can be put over a marker, that is said.
fn what_a_delete_marker_hides_is_found(make: Make) {
    let Some(mut site) = Site::on(make) else { return };
    site.archive(10);
    let keys = [site.newest(&site.layout.checkpoints()), site.newest(&site.layout.segments())];
    for key in &keys {
        site.intruder.delete(&format!("{}/{key}", site.bucket.options.prefix), None, false).unwrap();
    }
    site.is_at_risk("hidden");
    site.archive(10);
    match make {
        Make::Minio => site.is_repaired(&keys),
        Make::Versitygw => {
            let repair = site.repair(&["--yes"]);
            assert_eq!(repair.status.code(), Some(3), "{}", all(&repair));
            assert!(all(&repair).contains("take the marker away"), "{}", all(&repair));
        }
    }
    site.is_at_risk("the markers stay to be seen");
}

/// Nothing signed says yet what belongs there. The archiver halts and lays nothing over it; told to, it puts what is due.
fn junk_where_the_next_segment_is_due_halts_the_archiver(make: Make) {
    let Some(mut site) = Site::on(make) else { return };
    site.archive(10);
    let archived = site.deployment.archived();
    let next = site.layout.key(&Place::segment(SystemClock.wall(), Seq(archived)));
    site.lay_over(&next);
    let stages = site.start(&["ingestor", "chainer"]);
    site.send(10);
    let archiver = site.deployment.start("archiver");
    let (status, words) = archiver.ends(60);
    assert!(!status.success() && words.contains(&next) && words.contains("--lay-over-junk"), "{words}");
    assert_eq!(site.given(&next), JUNK);
    assert_eq!(site.deployment.archived(), archived);

    let repair = site.repair(&["--yes"]);
    assert!(said(&repair).contains(&format!("left to the archiver: {next}")), "{}", all(&repair));
    let config = site.deployment.config.to_str().unwrap().to_owned();
    let env: Vec<_> = site.deployment.env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let archiver = Up::run(&["archiver", "--lay-over-junk", "--config", &config], &env);
    site.wait_until_archived();
    site.stop(stages.into_iter().chain([archiver]).collect());
    site.is_at_risk("junk lies below a segment");
    site.archive(10);
}

/// The same without Kafka, where one process is all stages. It is stopped, and started once with the flag.
fn junk_where_the_next_segment_is_due_halts_all_of_up(make: Make) {
    let Some(bucket) = Bucket::new(make) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("sealog.toml"));
    std::fs::write(&config, format!("origin = \"acme.example/audit\"\n{}", bucket.toml())).unwrap();
    let env = bucket.env();
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let common = ["up", "--config", config.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let start = |more: &[&str]| Up::run(&[&common[..], more].concat(), &env);
    let archived = || Notes::read(&bucket.store(), "acme.example/audit/0").unwrap().newest.unwrap().size;

    let (status, words) = start(&[]).stop();
    assert!(status.success(), "{words}");
    let before = archived();
    let layout = Layout::of("acme.example/audit/0");
    let next = layout.key(&Place::segment(SystemClock.wall(), Seq(before)));
    let intruder = Intruder::as_root(&Server::shared(make), &bucket.options.bucket);
    intruder.lay_over(&format!("{}/{next}", bucket.options.prefix), JUNK);

    // That it was started is the next event.
    let (status, words) = start(&[]).ends(60);
    assert!(!status.success() && words.contains(&next), "{words}");
    assert!(words.contains("--lay-over-junk` (or `sealog up` with it)"), "{words}");
    assert_eq!(archived(), before);
    let (status, words) = start(&["--lay-over-junk"]).stop();
    assert!(status.success() && words.contains("Everything is sealed and archived"), "{words}");
    assert!(archived() > before, "{words}");
    let (status, words) = start(&[]).stop();
    assert!(status.success(), "{words}");
    let verify = read("verify", &bucket.place(), &bucket.env(), &[]);
    let words = all(&verify);
    assert!(words.contains("custody at risk") && !words.contains("BROKEN"), "{words}");
}

on_both_servers! {
    junk_over_every_kind_stops_nobody,
    junk_over_the_hint_is_put_right,
    what_a_delete_marker_hides_is_found,
    junk_where_the_next_segment_is_due_halts_the_archiver,
    junk_where_the_next_segment_is_due_halts_all_of_up,
}
