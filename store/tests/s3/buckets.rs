//! What a bucket promises is seen before anything is written to it.

use std::time::Duration;

use store::s3::{Bucket, Encryption, Options, Versioning};
use store::{Keep, Kind, Mode, Retention, Store};

use super::intruder::Intruder;
use super::{DAY, Site, kind, open};
use crate::server::Make;

/// With a default retention in whole days, and none if none is configured.
pub fn a_bucket_that_was_made_locks_and_keeps_versions(site: &Site) {
    let options = site.options();
    let store = open(options.clone());
    assert_eq!(kind(store.look_at_bucket()), Kind::Missing);
    assert!(store.make_bucket().unwrap());
    let expected = Bucket {
        versioning: Versioning::On,
        object_lock: true,
        default_retention: Some(Retention { mode: Mode::Compliance, period: DAY }),
        public_access_blocked: None,
    };
    let seen = store.look_at_bucket().unwrap();
    // Neither server knows of it; one that did would have closed the bucket.
    assert_ne!(seen.public_access_blocked, Some(false));
    assert_eq!(Bucket { public_access_blocked: None, ..seen }, expected);
    assert!(!store.make_bucket().unwrap(), "it is there already");

    // The default gets stricter, and never less strict.
    let month = |mode| Retention { mode, period: 30 * DAY };
    for (retention, then) in [
        (month(Mode::Governance), month(Mode::Compliance)),
        (Retention { mode: Mode::Governance, period: DAY }, month(Mode::Compliance)),
    ] {
        let store = open(Options { retention: Some(retention), ..options.clone() });
        store.secure_bucket().unwrap();
        assert_eq!(store.look_at_bucket().unwrap().default_retention, Some(then));
    }

    let longer = Retention { mode: Mode::Governance, period: DAY + Duration::from_secs(1) };
    let other = site.store(Options { retention: Some(longer), ..site.options() });
    let seen = other.look_at_bucket().unwrap().default_retention;
    assert_eq!(seen, Some(Retention { mode: Mode::Governance, period: 2 * DAY }));
    let none = site.store(Options { retention: None, ..site.options() });
    let seen = none.look_at_bucket().unwrap();
    assert_eq!((seen.object_lock, seen.default_retention), (true, None));
}

/// And it cannot be written to as if it had one.
pub fn a_bucket_without_object_lock_is_seen(site: &Site) {
    let options = site.options();
    Intruder::as_root(&site.server, &options.bucket).make_plain_bucket();
    let store = open(options.clone());
    let seen = store.look_at_bucket().unwrap();
    assert_eq!((seen.versioning, seen.object_lock), (Versioning::Never, false));
    assert_eq!(seen.default_retention, None);
    assert!(!store.make_bucket().unwrap(), "nothing is changed");
    assert_eq!(store.look_at_bucket().unwrap(), seen);
    assert_eq!(kind(store.put_new("a", b"", Keep::Evidence)), Kind::Refused);

    // Another key: versitygw has stored what it refused to lock.
    let unlocked = open(Options { retention: None, ..options });
    let version = unlocked.put_new("b", b"plain", Keep::Evidence).unwrap();
    let object = unlocked.get("b", Some(&version), None, 100).unwrap();
    assert_eq!((object.bytes.as_slice(), object.lock, object.version), (b"plain".as_slice(), None, version));
}

/// A bucket that is not there is not made by the way.
pub fn a_missing_bucket_is_refused_with_its_name(site: &Site) {
    let options = site.options();
    let store = open(options);
    assert_eq!(kind(store.put_new("a", b"", Keep::Evidence)), Kind::Refused);
    assert_eq!(kind(store.list("", "", store::Listing::Newest(10))), Kind::Refused);
    let error = store.get("a", None, None, 10).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("there is no such bucket"), "{error}");
    assert_eq!(kind(store.look_at_bucket()), Kind::Missing);
}

/// Where the server can do it. Where it cannot, the write says so.
pub fn objects_are_encrypted_as_configured(site: &Site) {
    let ways = [
        (Encryption::ServerKeys, "AES256"),
        (Encryption::KmsKey(Some("sealog-tests".to_owned())), "aws:kms"),
        (Encryption::KmsKey(None), "aws:kms"),
    ];
    for (encryption, name) in ways {
        let options = Options { encryption: encryption.clone(), ..site.options() };
        let root = Intruder::as_root(&site.server, &options.bucket);
        let store = site.store(options);
        let written = store.put_new("a", b"secret at rest", Keep::Evidence);
        if site.server.make == Make::Versitygw {
            assert_eq!(kind(written), Kind::Refused, "{encryption:?}");
            continue;
        }
        let version = written.unwrap();
        let how = root.head("a", &version).server_side_encryption().map(|how| how.as_str().to_owned());
        assert_eq!(how.as_deref(), Some(name), "{encryption:?}");
        assert_eq!(store.get("a", Some(&version), None, 100).unwrap().bytes, b"secret at rest");
        // Each way of reading says so of what anybody else has put.
        root.lay_over("b", b"plain");
        for range in [None, Some(0..3), Some(0..0)] {
            let otherwise = |key| store.get(key, None, range.clone(), 100).unwrap().encrypted_otherwise;
            assert_eq!(otherwise("a"), None, "{encryption:?} {range:?}");
            let said = otherwise("b").unwrap_or_default();
            assert!(said.contains("nothing that the server tells of"), "{encryption:?} {range:?}: {said}");
        }
    }
}
