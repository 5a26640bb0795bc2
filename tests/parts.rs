//! Checks of a part of an archive in a bucket, by the real command: a quick one, one of a range, and what is kept for the
//! next. Nothing of them reads as a pass of all of it.

use std::path::Path;

use runtime::{Clock, SystemClock};
use schemas::Micros;
use serde_json::Value;
use store::{Keep, Store};
use verifier::testing::{ChainBuilder, events};

use crate::harness::process::{read, said};
use crate::harness::s3::Bucket;
use crate::harness::s3::server::Make;

const CHAIN_0: &str = "acme.example/audit/0";

/// Thirty segments of four events.
fn chain() -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.clock = Micros(SystemClock.wall().0 - 7_200_000_000);
    for nth in 0..30 {
        chain.seal(events(4 * nth..4 * nth + 4));
    }
    chain
}

fn site(chain: &ChainBuilder) -> Option<Bucket> {
    let bucket = Bucket::new(Make::Minio)?;
    let store = bucket.store();
    for (key, bytes) in &chain.objects {
        let keep = if key.ends_with("/checkpoint") { Keep::Hint } else { Keep::Evidence };
        store.put_new(key, bytes, keep).unwrap();
    }
    Some(bucket)
}

fn report(bucket: &Bucket, args: &[&str]) -> (i32, Value) {
    let output = read("verify", &bucket.place(), &bucket.env(), &[&["--json"], args].concat());
    let report = serde_json::from_str(&said(&output));
    let report = report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

#[test]
fn a_part_of_an_archive_in_a_bucket_is_checked_as_such() {
    let chain = chain();
    let Some(bucket) = site(&chain) else { return };
    let (code, quick) = report(&bucket, &["--quick", "--sample", "3", "--seed", "5"]);
    assert_eq!(
        (code, quick["verdict"].as_str()),
        (0, Some("quick check: nothing wrong in what was looked at"))
    );
    let one = &quick["chains"][0];
    assert_eq!(
        (&one["segments"], &one["headers"], &quick["scope"]["seed"]),
        (&3.into(), &27.into(), &"5".into())
    );
    // Each segment and trees file, each note with that of size 0, the key and the schema.
    assert_eq!(quick["custody"]["locked"], 30 + 30 + 31 + 1 + 1, "{quick}");

    let (code, range) = report(&bucket, &["--from", "50", "--to", "57"]);
    assert_eq!(
        (code, range["verdict"].as_str()),
        (0, Some("range check: nothing wrong in what was looked at"))
    );
    assert_eq!((&range["events"], &range["chains"][0]["not_read"]), (&12.into(), &27.into()), "{range}");
    assert_eq!(report(&bucket, &["--from", "50", "--to", "57", "--require-anchor"]).0, 3);
    assert_eq!(report(&bucket, &["--from", "1000"]).0, 3, "nothing was there to be checked");
}

#[test]
fn what_one_check_keeps_the_next_is_held_against() {
    let mut chain = chain();
    let Some(bucket) = site(&chain) else { return };
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept.notes").display().to_string();
    assert_eq!(report(&bucket, &["--quick", "--keep", &kept]).0, 0);
    assert!(!Path::new(&kept).exists(), "of a part nothing is kept");
    assert_eq!(report(&bucket, &["--keep", &kept]).0, 0);
    let key = chain.vkey().to_string();
    let (code, next) = report(&bucket, &["--key", &key, "--known", &kept, "--require-anchor"]);
    assert_eq!((code, next["verdict"].as_str()), (0, Some("intact")), "{next}");

    // The archive of another day, written by who holds the key and begins anew.
    let before = chain.objects.clone();
    chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.clock = Micros(SystemClock.wall().0 - 7_200_000_000);
    for nth in 0..30 {
        chain.seal(events(900 + 4 * nth..900 + 4 * nth + 4));
    }
    assert_ne!(before, chain.objects);
    let Some(anew) = site(&chain) else { return };
    for part in [&[][..], &["--quick", "--sample", "0"], &["--from", "7", "--to", "7"]] {
        let (code, report) = report(&anew, &[&["--key", &key, "--known", &kept], part].concat());
        assert_eq!((code, report["first"]["check"].as_str()), (1, Some("known")), "{part:?}: {report}");
        assert_eq!(report["first"]["proof"].as_array().map(Vec::len), Some(2), "both signatures");
    }
}
