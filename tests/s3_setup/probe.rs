//! `sealog doctor --probe`: what it shows of a bucket that holds, of one that lets go, and of who asked.

use std::process::Command;

use store::{Listing, Mode, Store};

use super::site::{DAY, ORIGIN, Site, each};
use crate::harness::s3::Bucket;
use crate::harness::s3::identity::{credentials, restricted};
use crate::harness::s3::intruder::Intruder;
use crate::harness::s3::proxy::Proxy;
use crate::harness::s3::server::{Make, Server};

#[test]
fn a_probe_shows_that_what_is_locked_in_compliance_stays() {
    each(|make| {
        let Some(bucket) = Bucket::new(make) else { return };
        let site = Site::at(bucket, Mode::Compliance, 1);
        let (code, words) = site.run(&["doctor", "--probe"]);
        assert_eq!(code, Some(0), "{words}");
        for attack in ["shorten its retention", "downgrade its mode", "delete its version"] {
            for how in ["", " with bypass"] {
                assert!(
                    words.contains(&format!("ok     to {attack}{how}: refused")),
                    "{attack}{how}: {words}"
                );
            }
        }
        assert!(words.contains("lay a new version over it: it worked"), "{words}");
        assert!(words.contains("it was the lock that refused"), "{words}");

        // Two versions below one key are left, for a day. What was to be deleted is gone.
        let store = site.bucket.store();
        let left = store.list("", "", Listing::Versions(100)).unwrap().entries;
        assert!(left.len() == 2 && left[0].key == left[1].key, "{left:?}");
        assert!(left[0].key.starts_with(&format!("{ORIGIN}/0/probe/")), "{left:?}");
        for version in left {
            let lock = store.get(&version.key, Some(&version.version), Some(0..0), 0).unwrap().lock.unwrap();
            let days = (lock.until.0 - version.modified.0) as f64 / DAY.as_micros() as f64;
            assert!(lock.mode == Mode::Compliance && (0.99..1.01).contains(&days), "{lock:?}");
        }
    });
}

#[test]
fn a_probe_says_honestly_who_can_lift_a_lock() {
    each(|make| {
        let Some(site) = Site::new(make, Mode::Governance, 1) else { return };
        assert_eq!(site.run(&["init"]).0, Some(0));
        let (code, words) = site.run(&["doctor", "--probe"]);
        assert_eq!(code, Some(0), "{words}");
        assert!(words.contains("ok     to delete its version: refused"), "{words}");
        assert!(
            words.contains("note   to delete its version with bypass: it worked. This identity can lift"),
            "{words}"
        );
    });
}

#[test]
fn a_probe_under_an_identity_that_may_not_delete_proves_nothing_and_says_so() {
    let Some(bucket) = Bucket::new(Make::Minio) else { return };
    let everything = r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::*"}"#;
    let delete = r#"{"Effect":"Deny","Action":"s3:DeleteObject*","Resource":"arn:aws:s3:::*"}"#;
    let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{everything},{delete}]}}"#);
    let site = Site::at(bucket.with(restricted(&bucket.options, &policy)), Mode::Compliance, 1);
    let (code, words) = site.run(&["doctor", "--probe"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("WRONG  this identity may not delete versions"), "{words}");

    let site = Site::at(bucket.with(credentials(&bucket.options, "archiver")), Mode::Compliance, 1);
    let (code, words) = site.run(&["doctor", "--probe"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("WRONG  the probe could not be written"), "{words}");
}

/// A server whose lock somebody lifts just before a plain deletion comes: as if it did not hold.
#[test]
fn a_lock_that_does_not_hold_is_found() {
    let Some(bucket) = Bucket::new(Make::Minio) else { return };
    let server = Server::shared(Make::Minio);
    let intruder = Intruder::as_root(&server, &bucket.options.bucket);
    let proxy = Proxy::watched(&server.url, move |head, answer| {
        let line = head.lines().next().unwrap_or_default();
        if answer.is_none() && line.starts_with("DELETE") && !line.contains("-control") {
            let (path, query) = line.split(' ').nth(1).unwrap().split_once('?').unwrap();
            let key = path.splitn(3, '/').nth(2).unwrap().replace("%3A", ":");
            let version = query.split('&').find_map(|part| part.strip_prefix("versionId=")).unwrap();
            let _ = intruder.unlock(&key, &store::Version(version.to_owned()));
        }
        true
    });
    let site = Site::at(bucket.through(&proxy.url), Mode::Governance, 1);
    let (code, words) = site.run(&["doctor", "--probe"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(
        words.contains("WRONG  to delete its version: the server said yes, and it is gone now"),
        "{words}"
    );
}

#[test]
fn an_encryption_that_the_server_does_not_do_is_found() {
    // MinIO has keys of its own, versitygw does not know what is asked.
    for (make, wanted, is_done) in
        [(Make::Minio, "s3", true), (Make::Minio, "kms:nobody-s", false), (Make::Versitygw, "s3", false)]
    {
        let Some(bucket) = Bucket::new(make) else { return };
        let site = Site::at(bucket, Mode::Compliance, 1);
        let env = [("SEALOG_ARCHIVE_ENCRYPTION", wanted)];
        let (code, words) = site.run_with(&["doctor", "--probe"], "", &env);
        assert_eq!(code, Some(if is_done { 0 } else { 1 }), "{make:?} {wanted}: {words}");
        assert_eq!(words.contains("WRONG  the probe could not be written"), !is_done, "{words}");
    }
}

#[test]
fn a_folder_has_no_lock_to_probe() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sealog"))
        .args(["doctor", "--probe", "--data", folder.path().to_str().unwrap()])
        .output()
        .unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && words.contains("a folder, which locks nothing"), "{words}");
}
