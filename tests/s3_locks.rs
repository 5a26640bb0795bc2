//! `sealog locks` on real servers: every version is listed with what holds it, and what is short is locked for longer.

use std::collections::BTreeMap;
use std::process::Output;
use std::thread;

use serde_json::Value;
use store::{Lock, Mode, Store};
use verifier::testing::{ChainBuilder, events, store_objects};

use crate::harness::process::{read, said, sealog};
use crate::harness::s3::identity;
use crate::harness::s3::intruder::Intruder;
use crate::harness::s3::server::{Make, Server};
use crate::harness::s3::{Bucket, on_both_servers};

const ORIGIN: &str = "acme.example/audit/0";

/// An archive of one chain, and root at its bucket.
struct Site {
    bucket: Bucket,
    root: Intruder,
}

impl Site {
    /// None where the test is to be skipped.
    fn on(make: Make) -> Option<Site> {
        let bucket = Bucket::new(make)?;
        let mut chain = ChainBuilder::begin(ORIGIN, 7);
        chain.seal(events(0..3)).seal(events(3..5));
        store_objects(&chain.objects, &bucket.store()).unwrap();
        let root = Intruder::as_root(&Server::shared(make), &bucket.options.bucket);
        Some(Site { bucket, root })
    }

    fn locks(&self, args: &[&str]) -> Output {
        read("locks", &self.bucket.place(), &self.bucket.env(), args)
    }

    /// Its lines as JSON, and the summary.
    fn listed(&self, args: &[&str]) -> (Vec<Value>, Value) {
        let output = self.locks(&[&["--json"], args].concat());
        let lines = said(&output);
        let mut lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let summary = lines.pop().unwrap_or_else(|| panic!("{}", all(&output)));
        (lines, summary["summary"].clone())
    }

    fn lock(&self, key: &str) -> Lock {
        self.bucket.store().get(key, None, Some(0..0), 0).unwrap().lock.unwrap()
    }

    fn in_bucket(&self, key: &str) -> String {
        format!("{}/{key}", self.bucket.options.prefix)
    }
}

fn key(path: &str) -> String {
    format!("{ORIGIN}/{path}")
}

fn all(output: &Output) -> String {
    format!("{}{}", said(output), String::from_utf8_lossy(&output.stderr))
}

/// More than one answer of S3 holds, with a delete marker on top of another key.
fn every_version_is_listed_and_what_is_wrong_is_said(make: Make) {
    let Some(site) = Site::on(make) else { return };
    let clean = site.locks(&[]);
    assert!(clean.status.success() && said(&clean).ends_with("no findings\n"), "{}", all(&clean));
    assert!(said(&clean).contains("promised: compliance for 1 day"), "{}", all(&clean));
    let before = site.listed(&[]).0.len();

    let (note, trees) =
        (key("checkpoints/00000000000000000003.note"), key("trees/00000000000000000005.tiles"));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..138).for_each(|_| drop(site.root.lay_over(&site.in_bucket(&note), b"junk"))));
        }
    });
    site.root.delete(&site.in_bucket(&trees), None, false).unwrap();
    site.root.lay_over(&site.in_bucket("README"), b"?");
    let (lines, summary) = site.listed(&[]);
    assert_eq!(lines.len(), before + 8 * 138 + 2);
    let mut per_key: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &lines {
        *per_key.entry(line["key"].as_str().unwrap()).or_default() += 1;
    }
    assert_eq!((per_key[note.as_str()], per_key[trees.as_str()], per_key["README"]), (8 * 138 + 1, 2, 1));
    assert!(lines.is_sorted_by_key(|line| line["key"].as_str().unwrap().to_owned()));
    let count = |name: &str| summary["findings"][name].as_u64().unwrap_or(0);
    assert_eq!((count("laid-over"), count("hidden"), count("layout")), (8 * 138, 1, 1), "{summary}");
    let held =
        lines.iter().find(|line| line["key"] == note && line["findings"] == serde_json::json!([])).unwrap();
    assert_eq!((&held["mode"], &held["newest"]), (&Value::from("compliance"), &Value::from(false)));
    let marker = lines.iter().find(|line| line["delete_marker"] == true).unwrap();
    assert_eq!((&marker["key"], &marker["newest"]), (&Value::from(trees), &Value::from(true)));

    let shown = site.locks(&["--findings"]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(said(&shown).contains("FINDING hidden: "), "{}", all(&shown));
    let wanted = site.listed(&["--locked", "compliance:7y"]).1;
    assert!(wanted["findings"]["lock-short"].as_u64().unwrap() >= before as u64 - 1, "{wanted}");
}

/// Shown first, then done for all evidence and nothing else, and not twice.
fn evidence_is_locked_for_longer_with_consent_and_never_for_less(make: Make) {
    let Some(site) = Site::on(make) else { return };
    let note = key("checkpoints/00000000000000000005.note");
    site.root.lay_over(&site.in_bucket(&key("probe/x")), b"not evidence");
    let first = site.lock(&note);
    let shown = site.locks(&["--extend", "3d"]);
    assert!(shown.status.success() && said(&shown).contains("nothing was changed"), "{}", all(&shown));
    assert_eq!(site.lock(&note), first);

    let (lines, done) = site.listed(&["--extend", "3d", "--yes"]);
    let extended: Vec<&str> = lines
        .iter()
        .filter(|line| line.get("extend_to").is_some())
        .map(|line| line["key"].as_str().unwrap())
        .collect();
    assert_eq!(done["extended"], extended.len(), "{done}");
    assert!(extended.contains(&note.as_str()));
    assert!(
        !extended.iter().any(|key| key.ends_with("/checkpoint") || key.contains("/probe/")),
        "{extended:?}"
    );
    let longer = site.lock(&note);
    let gained_h = (longer.until.0 - first.until.0) / 3_600_000_000;
    assert!((47..=48).contains(&gained_h) && longer.mode == Mode::Compliance, "{gained_h}");

    for less in [["--extend", "1d"], ["--extend", "3d"], ["--until", &first.until.date()]] {
        let (_, summary) = site.listed(&[&less[..], &["--yes"]].concat());
        assert_eq!(
            (&summary["extended"], &summary["to_extend"]),
            (&Value::from(0), &Value::from(0)),
            "{less:?}"
        );
    }
    assert_eq!(site.lock(&note), longer);
    let held = site.locks(&["--locked", "compliance:3d"]);
    assert!(held.status.success(), "{}", all(&held));
}

/// A folder as a console makes one, and evidence that this identity may not read.
#[test]
fn one_odd_object_ends_no_walk() {
    let Some(site) = Site::on(Make::Minio) else { return };
    let before = site.listed(&[]).0.len();
    site.root.lay_over(&site.in_bucket("prod/"), b"?");
    let (lines, summary) = site.listed(&["--extend", "3d", "--yes"]);
    assert_eq!(lines.len(), before + 1, "{summary}");
    assert_eq!(summary["findings"], serde_json::json!({ "layout": 1 }));
    assert_eq!(site.locks(&["--locked", "compliance:3d"]).status.code(), Some(1));

    let note = key("checkpoints/00000000000000000003.note");
    let deny = format!(
        r#""Statement": [{{ "Effect": "Deny", "Action": ["s3:GetObject", "s3:GetObjectVersion"],
        "Resource": "arn:aws:s3:::BUCKET/PREFIX/{note}" }},"#
    );
    let policy = identity::policy("auditor").replacen("\"Statement\": [", &deny, 1);
    let short_sighted = site.bucket.with(identity::restricted_to(&site.bucket.options, &policy));
    let output = read("locks", &short_sighted.place(), &short_sighted.env(), &[]);
    let words = all(&output);
    assert_eq!(output.status.code(), Some(3), "{words}");
    assert_eq!(words.matches("  REFUSED ").count(), 1, "{words}");
    assert!(words.contains("1 versions could not be looked at"), "{words}");
    assert_eq!(
        said(&output).lines().filter(|line| line.contains(" version ")).count(),
        before + 1,
        "{words}"
    );
}

/// What it cannot see is not said to be missing, nothing is not said to be right, and what cannot be meant is not begun.
#[test]
fn who_may_not_see_locks_is_told_so() {
    let Some(site) = Site::on(Make::Minio) else { return };
    let note = key("checkpoints/00000000000000000003.note");
    let version = site.root.lay_over(&site.in_bucket(&note), b"junk");
    let policy = identity::policy("auditor").replace("        \"s3:GetObjectRetention\",\n", "");
    let blind = site.bucket.with(identity::restricted_to(&site.bucket.options, &policy));
    assert!(!blind.store().may_see_lock(&note, &version).unwrap());
    let output = read("locks", &blind.place(), &blind.env(), &[]);
    assert_eq!(output.status.code(), Some(3), "{}", all(&output));
    assert!(all(&output).contains("may not see locks"), "{}", all(&output));
    let mut elsewhere = site.bucket.clone();
    elsewhere.options.prefix = "elsewhere".to_owned();
    let empty = read("locks", &elsewhere.place(), &elsewhere.env(), &[]);
    assert!(empty.status.code() == Some(3) && all(&empty).contains("nothing is there"), "{}", all(&empty));
    for usage in [&["--yes"][..], &["--extend", "7"], &["--until", "2001-01-01"], &["--locked", "7y"]] {
        assert_eq!(site.locks(usage).status.code(), Some(2), "{usage:?}");
    }
}

#[test]
fn a_folder_locks_nothing_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    chain.seal(events(0..3));
    let store =
        store::directory::Directory::open(folder.path(), store::directory::Options { make_root: false });
    store_objects(&chain.objects, &store.unwrap()).unwrap();
    let output = sealog(&["locks", path]);
    assert_eq!(output.status.code(), Some(1));
    let words = all(&output);
    assert!(words.contains("a folder locks nothing") && words.contains("lock-missing"), "{words}");
    let refused = sealog(&["locks", path, "--extend", "7y"]);
    assert_eq!(refused.status.code(), Some(2));
}

on_both_servers! {
    every_version_is_listed_and_what_is_wrong_is_said,
    evidence_is_locked_for_longer_with_consent_and_never_for_less,
}
