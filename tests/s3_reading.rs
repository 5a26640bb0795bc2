//! Archives read from where they are: a bucket on MinIO, and a copy behind a web server. What `verify` and `cat` say of
//! them is what they say of a folder; and what a bucket alone can tell, how it keeps its objects.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use runtime::{Clock, SystemClock};
use schemas::{Micros, Place};
use serde_json::Value;
use store::directory::{self, Directory};
use store::{Keep, Kind, Mode, Retention, Store};
use tempfile::TempDir;
use verifier::testing::{ChainBuilder, Objects, events};

use crate::harness::process::{read, said};
use crate::harness::s3::Bucket;
use crate::harness::s3::identity;
use crate::harness::s3::intruder::Intruder;
use crate::harness::s3::server::{Make, Server};

const CHAIN_0: &str = "acme.example/audit/0";
const HOUR_US: i64 = 3_600_000_000;

/// Three segments, sealed this long ago; the first is of more than one part.
fn chain(sealed_us_ago: i64) -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.clock = Micros(SystemClock.wall().0 - sealed_us_ago);
    chain.seal(events(0..300)).seal(events(300..305)).seal(events(305..400));
    chain
}

/// As the archiver writes them.
fn write(objects: &Objects, store: &dyn Store) {
    for (key, bytes) in objects {
        let keep = if key.ends_with("/checkpoint") { Keep::Hint } else { Keep::Evidence };
        store.put_new(key, bytes, keep).unwrap();
    }
}

/// An archive in a bucket of its own, and who has the keys of root there.
struct Site {
    bucket: Bucket,
    zero: ChainBuilder,
}

impl Site {
    fn new() -> Option<Site> {
        Site::holding(chain(2 * HOUR_US))
    }

    fn holding(zero: ChainBuilder) -> Option<Site> {
        let bucket = Bucket::new(Make::Minio)?;
        write(&zero.objects, &bucket.store());
        Some(Site { bucket, zero })
    }

    fn root(&self) -> Intruder {
        Intruder::as_root(&Server::shared(Make::Minio), &self.bucket.options.bucket)
    }

    /// The key in the bucket.
    fn full(&self, key: &str) -> String {
        format!("{}/{key}", self.bucket.options.prefix)
    }

    /// The exit code and the report.
    fn verify(&self, args: &[&str]) -> (i32, Value) {
        report(&self.bucket.place(), &self.bucket.env(), args)
    }
}

fn report(place: &[String], env: &[(String, String)], args: &[&str]) -> (i32, Value) {
    let output = read("verify", place, env, &[&["--json"], args].concat());
    let words = said(&output);
    let report = serde_json::from_str(&words);
    let report = report.unwrap_or_else(|_| panic!("{words}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

/// Check, key and version of each finding.
fn findings(report: &Value) -> BTreeSet<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = report["findings"].as_array().unwrap();
    all.iter().map(|one| (text(&one["check"]), text(&one["key"]), text(&one["version"]))).collect()
}

/// The evidence is whole, and of how it is kept this is found and no more.
#[track_caller]
fn assert_at_risk(found: (i32, Value), expected: &[(&str, &str, &str)]) {
    let (code, report) = found;
    let owned = |(check, key, version): &(&str, &str, &str)| {
        ((*check).to_owned(), (*key).to_owned(), (*version).to_owned())
    };
    assert_eq!(findings(&report), expected.iter().map(owned).collect(), "{report}");
    assert_eq!((code, report["verdict"].as_str()), (1, Some("custody at risk")), "{report}");
    assert_eq!(report["chains"][0]["events"], 400, "{report}");
}

/// What a report says of the evidence: not where and when it was looked at, and not what only a bucket knows.
fn of_the_evidence(mut report: Value) -> Value {
    for key in ["archive", "checked_at", "custody"] {
        report[key] = Value::Null;
    }
    report
}

/// The same archive in a folder.
fn copy(objects: &Objects) -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    write(objects, &Directory::open(folder.path(), directory::Options::default()).unwrap());
    let place = vec![folder.path().display().to_string()];
    (folder, place)
}

fn two_chains() -> Objects {
    let mut one = ChainBuilder::begin("acme.example/audit/1", 7);
    one.clock = Micros(SystemClock.wall().0 - 50 * HOUR_US);
    one.seal(events(1_000..1_003));
    one.clock.0 += 25 * HOUR_US;
    one.seal(events(1_003..1_010));
    chain(2 * HOUR_US).objects.into_iter().chain(one.objects).collect()
}

const QUESTIONS: [&[&str]; 5] = [
    &[],
    &["--chain", "1"],
    &["--from", "299", "--to", "306"],
    &["--limit", "3", "--where", "id~e-1*"],
    &["--fields", "event"],
];

#[test]
fn a_bucket_on_minio_says_what_its_copy_in_a_folder_says() {
    a_bucket_says_what_its_copy_says(Make::Minio);
}

#[test]
fn a_bucket_on_versitygw_says_what_its_copy_in_a_folder_says() {
    a_bucket_says_what_its_copy_says(Make::Versitygw);
}

fn a_bucket_says_what_its_copy_says(make: Make) {
    let Some(bucket) = Bucket::new(make) else { return };
    let objects = two_chains();
    write(&objects, &bucket.store());
    let (_folder, copied) = copy(&objects);
    let (code, of_bucket) = report(&bucket.place(), &bucket.env(), &[]);
    let (_, of_copy) = report(&copied, &[], &[]);
    assert_eq!((code, &of_bucket["custody"]["promised_by"]), (0, &Value::from("bucket")), "{of_bucket}");
    assert_eq!(of_bucket["custody"]["locked"], of_bucket["custody"]["evidence"]);
    assert_eq!(of_the_evidence(of_bucket), of_the_evidence(of_copy));
    for question in QUESTIONS {
        let output = read("cat", &bucket.place(), &bucket.env(), question);
        assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
        assert_eq!(said(&output), said(&read("cat", &copied, &[], question)), "{question:?}");
    }
}

/// A web server that ends when it is dropped.
struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_copy_behind_a_web_server_says_what_the_folder_says() {
    let objects = two_chains();
    let (folder, copied) = copy(&objects);
    let started = Command::new("python3")
        .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI tests everything, but there is no python3");
        eprintln!("SKIPPED: no python3");
        return;
    };
    let stdout = child.stdout.take().unwrap();
    let _python = Python(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let port = line.split_once("port ").unwrap().1.split(' ').next().unwrap();
    let place = vec![format!("http://127.0.0.1:{port}/")];
    let [(code, of_web), (_, of_copy)] = [place.as_slice(), &copied].map(|place| report(place, &[], &[]));
    assert_eq!(code, 0, "{of_web}");
    assert_eq!(of_the_evidence(of_web), of_the_evidence(of_copy));
    for question in QUESTIONS {
        let output = read("cat", &place, &[], question);
        assert_eq!(said(&output), said(&read("cat", &copied, &[], question)), "{question:?}: {output:?}");
    }
}

/// Row 23.
#[test]
fn what_a_delete_marker_hides_is_checked_and_printed() {
    let Some(site) = Site::new() else { return };
    let before = said(&read("cat", &site.bucket.place(), &site.bucket.env(), &[]));
    let mut expected = Vec::new();
    for key in [site.zero.segment_key(1), site.zero.trees_key(1), site.zero.key(&Place::Checkpoint(305))] {
        site.root().delete(&site.full(&key), None, false).unwrap();
        let gone = site.bucket.store().get(&key, None, None, 1 << 20).unwrap_err();
        assert_eq!(gone.kind(), Kind::Missing);
        let versions = store::versions::of_key(&site.bucket.store(), &key).unwrap();
        assert!(versions[0].delete_marker);
        expected.push((key, versions[0].version.0.clone()));
    }
    let expected: Vec<_> = expected.iter().map(|(key, v)| ("hidden", key.as_str(), v.as_str())).collect();
    assert_at_risk(site.verify(&[]), &expected);
    assert_eq!(said(&read("cat", &site.bucket.place(), &site.bucket.env(), &[])), before);
}

/// Row 24.
#[test]
fn what_lies_below_a_newer_version_is_checked_and_printed() {
    let Some(site) = Site::new() else { return };
    let before = said(&read("cat", &site.bucket.place(), &site.bucket.env(), &[]));
    let mut expected = Vec::new();
    let zero = &site.zero;
    let schema = zero.objects.keys().find(|key| key.contains("/schemas/")).unwrap();
    let other_segment = zero.objects[&zero.segment_key(2)].clone();
    for (key, junk) in [
        (zero.segment_key(1), other_segment),
        (zero.trees_key(2), b"junk".to_vec()),
        (zero.key(&Place::Checkpoint(300)), zero.note(305)),
        (
            zero.key(&Place::Key(0)),
            ChainBuilder::begin(CHAIN_0, 9).objects[&zero.key(&Place::Key(0))].clone(),
        ),
        (schema.clone(), Vec::new()),
    ] {
        expected.push((key.clone(), site.root().lay_over(&site.full(&key), &junk).0));
    }
    let expected: Vec<_> = expected.iter().map(|(key, v)| ("laid-over", key.as_str(), v.as_str())).collect();
    assert_at_risk(site.verify(&[]), &expected);
    assert_eq!(said(&read("cat", &site.bucket.place(), &site.bucket.env(), &[])), before);
}

/// Row 24: more of them than one answer of the server holds.
#[test]
fn more_than_a_thousand_versions_bury_nothing() {
    let Some(site) = Site::new() else { return };
    let key = site.zero.segment_key(1);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| (0..170).for_each(|_| site.root_lays(&key)));
        }
    });
    let (code, report) = site.verify(&[]);
    assert_eq!((code, report["verdict"].as_str()), (1, Some("custody at risk")));
    assert_eq!(report["chains"][0]["events"], 400);
    let count =
        report["findings"].as_array().unwrap().len() as u64 + report["findings_left_out"].as_u64().unwrap();
    assert_eq!(count, 6 * 170);
}

impl Site {
    fn root_lays(&self, key: &str) {
        thread_local! {
            static ROOT: std::cell::OnceCell<Intruder> = const { std::cell::OnceCell::new() };
        }
        ROOT.with(|root| drop(root.get_or_init(|| self.root()).lay_over(&self.full(key), b"junk")));
    }
}

/// Row 25: one object less than the others.
#[test]
fn a_lock_that_is_too_short_is_found() {
    let Some(bucket) = Bucket::new(Make::Minio) else { return };
    let zero = chain(2 * HOUR_US);
    let (key, mut objects) = (zero.trees_key(1), zero.objects.clone());
    let bytes = objects.remove(&key).unwrap();
    let hour = Retention { mode: Mode::Compliance, period: Duration::from_secs(3_600) };
    let mut short = bucket.clone();
    short.options.retention = Some(hour);
    let version = short.store().put_new(&key, &bytes, Keep::Evidence).unwrap();
    write(&objects, &bucket.store());
    let site = Site { bucket, zero };
    assert_at_risk(site.verify(&[]), &[("lock-short", &key, &version.0)]);
    assert_eq!(site.verify(&["--locked", "compliance:1h"]).0, 0, "an auditor may be told otherwise");
    let (code, report) = site.verify(&["--locked", "compliance:7y"]);
    assert_eq!((code, &report["custody"]["promised_by"]), (1, &Value::from("auditor")));
    assert!(findings(&report).len() > 5, "{report}");
}

/// Row 25: in governance mode, and not at all.
#[test]
fn a_lock_that_can_be_lifted_or_was_is_found() {
    let Some(server) = Bucket::new(Make::Minio).map(|_| Server::shared(Make::Minio)) else { return };
    let mut bucket = Bucket::named_at(&server);
    bucket.options.retention =
        Some(Retention { mode: Mode::Governance, period: Duration::from_secs(86_400) });
    assert!(bucket.store().make_bucket().unwrap());
    let zero = chain(2 * HOUR_US);
    write(&zero.objects, &bucket.store());
    let site = Site { bucket, zero };
    assert_eq!(site.verify(&[]).0, 0, "no more was promised");
    let (code, report) = site.verify(&["--locked", "compliance:1d"]);
    assert_eq!((code, report["verdict"].as_str()), (1, Some("custody at risk")), "{report}");
    assert!(findings(&report).iter().all(|(check, ..)| check == "lock-mode"), "{report}");
    let key = site.zero.segment_key(0);
    let version = site.bucket.store().get(&key, None, Some(0..0), 0).unwrap().version;
    site.root().unlock(&site.full(&key), &version).unwrap();
    assert_at_risk(site.verify(&[]), &[("lock-missing", &key, &version.0)]);
}

/// Row 22.
#[test]
fn what_was_sealed_later_than_the_bucket_has_it_is_found() {
    let Some(site) = Site::holding(chain(-HOUR_US)) else { return };
    let (code, report) = site.verify(&[]);
    assert_eq!((code, report["first"]["check"].as_str()), (1, Some("sealed-ahead")), "{report}");
    assert_eq!(report["first"]["key"].as_str(), Some(site.zero.segment_key(0).as_str()));
    assert!(report["first"]["version"].is_string());
}

/// Row 10, and junk that anybody may lay over a hint.
#[test]
fn versions_of_a_checkpoint_may_not_go_back() {
    let Some(site) = Site::new() else { return };
    let hint = site.zero.key(&Place::Hint);
    let junk = site.root().lay_over(&site.full(&hint), b"junk");
    assert_at_risk(site.verify(&[]), &[("laid-over", &hint, &junk.0)]);
    let back = site.root().lay_over(&site.full(&hint), &site.zero.note(300));
    let (code, report) = site.verify(&[]);
    assert_eq!((code, report["first"]["check"].as_str()), (1, Some("hint-order")), "{report}");
    assert_eq!(report["first"]["version"].as_str(), Some(back.0.as_str()));
}

/// Row 27.
#[test]
fn what_cannot_be_reached_is_inconclusive_and_says_why() {
    let Some(site) = Site::new() else { return };
    let mut elsewhere = site.bucket.clone();
    elsewhere.options.bucket = "nowhere-at-all".to_owned();
    let mut nobody = site.bucket.env();
    nobody
        .iter_mut()
        .filter(|(name, _)| name == "AWS_SECRET_ACCESS_KEY")
        .for_each(|(_, secret)| secret.push('x'));
    for (place, env, words) in [
        (elsewhere.place(), site.bucket.env(), "there is no such bucket"),
        (site.bucket.place(), nobody, "the server does not know these credentials"),
    ] {
        for verb in ["verify", "cat"] {
            let output = read(verb, &place, &env, &[]);
            let errors = String::from_utf8_lossy(&output.stderr).into_owned() + &said(&output);
            assert!(errors.contains(words), "{verb}: {errors}");
            let expected = if verb == "verify" { 3 } else { 1 };
            assert_eq!(output.status.code(), Some(expected), "{verb}: {errors}");
        }
    }
    // Locks that may not be seen. MinIO gives keys with fewer rights.
    let policy = identity::policy("auditor").replace("\"s3:GetObjectRetention\",", "");
    let policy = policy.replace("BUCKET", &site.bucket.options.bucket).replace("PREFIX", "evidence");
    let policy = policy.replace("\"s3:GetBucketPublicAccessBlock\",", "");
    let blind = site.bucket.with(identity::restricted(&site.bucket.options, &policy));
    let (code, unseen) = report(&blind.place(), &blind.env(), &[]);
    assert_eq!((code, &unseen["custody"]["promised_by"]), (3, &Value::from("unseen")), "{unseen}");
    assert_eq!(
        unseen["chains"][0]["verdict"], "intact but unanchored",
        "the evidence is checked all the same"
    );
    // Above the root.
    let mut above = site.bucket.clone();
    above.options.prefix = "evidence/acme.example".to_owned();
    let (code, report) = report(&above.place(), &above.env(), &[]);
    assert_eq!((code, report["first"]["check"].as_str()), (3, Some("archive-root")), "{report}");
}
