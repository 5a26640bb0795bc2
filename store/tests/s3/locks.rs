//! What is written is locked, and nobody gets it out of its place: not even root.

use runtime::{Clock, SystemClock};
use schemas::Micros;
use store::s3::Options;
use store::{Keep, Kind, Listing, Lock, Mode, Retention, Store};

use super::intruder::Intruder;
use super::server::Make;
use super::{DAY, Site, kind};

const DAY_US: i64 = DAY.as_micros() as i64;

/// Of an object whose lock was asked for between the two times.
fn check_lock(lock: Option<Lock>, mode: Mode, period_us: i64, before: Micros, after: Micros) {
    let lock = lock.expect("a lock");
    assert_eq!(lock.mode, mode);
    assert_eq!(lock.until.0 % 1_000_000, 0);
    let (least, most) = match mode {
        Mode::Compliance => (before.0 + period_us, after.0 + period_us + 1_000_000),
        Mode::Governance => (before.0 + period_us - 1_000_000, after.0 + period_us),
    };
    assert!((least..=most).contains(&lock.until.0), "{} is not within {least} and {most}", lock.until.0);
}

/// Evidence for the whole period, a hint for a day, each as its newest version and when others lie over it.
pub fn each_object_is_locked_and_says_so(site: &Site) {
    let week = Retention { mode: Mode::Compliance, period: 7 * DAY };
    let options = Options { retention: Some(week), ..site.options() };
    let root = Intruder::as_root(&site.server, &options.bucket);
    let store = site.store(options);
    let before = SystemClock.wall();
    let evidence = store.put_new("segments/0", b"evidence", Keep::Evidence).unwrap();
    let hint = store.replace_if("checkpoint", None, b"hint", Keep::Hint).unwrap();
    let after = SystemClock.wall();
    let check = |version: Option<_>, range| {
        let object = store.get("segments/0", version, range, 100).unwrap();
        check_lock(object.lock, Mode::Compliance, 7 * DAY_US, before, after);
    };
    check(None, None);
    check(Some(&evidence), None);
    check(Some(&evidence), Some(2..4));
    check(Some(&evidence), Some(0..0));
    let tag = store.get("checkpoint", None, None, 100).unwrap().tag;
    store.replace_if("checkpoint", Some(&tag), b"newer", Keep::Hint).unwrap();
    root.lay_over("segments/0", b"junk");
    check(Some(&evidence), None);
    check(Some(&evidence), Some(2..4));
    check(Some(&evidence), Some(0..0));
    let object = store.get("checkpoint", Some(&hint), None, 100).unwrap();
    check_lock(object.lock, Mode::Governance, DAY_US, before, after);
    let sha256 = root.head("segments/0", &evidence).checksum_sha256().map(str::to_owned);
    assert_eq!(sha256.as_deref(), Some("7oJQ+3bglLNLRx8Tpz275R0a4ULp31nXwNMewg8KCo4="));
}

/// The very same calls delete what is not locked.
pub fn nobody_can_delete_shorten_or_downgrade_what_is_locked(site: &Site) {
    let options = site.options();
    let root = Intruder::as_root(&site.server, &options.bucket);
    let store = site.store(options);
    let version = store.put_new("segments/0", b"evidence", Keep::Evidence).unwrap();
    let lock = store.get("segments/0", None, None, 100).unwrap().lock.unwrap();
    let hour = Micros(3_600_000_000);
    let (sooner, later) = (Micros(lock.until.0 - hour.0), Micros(lock.until.0 + hour.0));
    for bypass in [false, true] {
        let refused = [
            root.delete("segments/0", Some(&version), bypass),
            root.retain("segments/0", &version, Mode::Compliance, sooner, bypass),
            root.retain("segments/0", &version, Mode::Governance, lock.until, bypass),
            root.retain("segments/0", &version, Mode::Governance, later, bypass),
            root.unlock("segments/0", &version),
        ];
        for (nth, answer) in refused.iter().enumerate() {
            assert!(answer.is_err(), "try {nth} with bypass {bypass} was allowed");
        }
    }
    let object = store.get("segments/0", Some(&version), None, 100).unwrap();
    assert_eq!((object.bytes.as_slice(), object.lock), (b"evidence".as_slice(), Some(lock)));
    // Longer is allowed, and then holds.
    root.retain("segments/0", &version, Mode::Compliance, later, false).unwrap();
    assert_eq!(store.get("segments/0", Some(&version), None, 100).unwrap().lock.unwrap().until, later);
    assert!(root.retain("segments/0", &version, Mode::Compliance, lock.until, true).is_err());

    let unlocked = Options { retention: None, ..site.options() };
    let root = Intruder::as_root(&site.server, &unlocked.bucket);
    let store = site.store(unlocked);
    let version = store.put_new("segments/0", b"loose", Keep::Evidence).unwrap();
    assert_eq!(store.get("segments/0", Some(&version), None, 100).unwrap().lock, None);
    root.delete("segments/0", Some(&version), false).unwrap();
    assert_eq!(kind(store.get("segments/0", None, None, 100)), Kind::Missing);
    assert_eq!(kind(store.get("segments/0", Some(&version), None, 100)), Kind::Missing);
}

/// Of the newest version, and of one that another lies over.
pub fn a_legal_hold_is_seen(site: &Site) {
    let options = site.options();
    let root = Intruder::as_root(&site.server, &options.bucket);
    let store = site.store(options);
    let version = store.put_new("segments/0", b"evidence", Keep::Evidence).unwrap();
    let is_held = |version| store.get("segments/0", Some(version), Some(0..0), 0).unwrap().is_held;
    assert!(!is_held(&version));
    root.hold("segments/0", &version);
    assert!(is_held(&version));
    let junk = root.lay_over("segments/0", b"junk");
    assert!(is_held(&version) && !is_held(&junk));
}

/// It is what a read returns then; the list of versions shows both, and ours is where it was.
pub fn junk_laid_over_an_object_does_not_replace_it(site: &Site) {
    let options = site.options();
    let root = Intruder::as_root(&site.server, &options.bucket);
    let store = site.store(options);
    let ours = store.put_new("segments/0", b"evidence", Keep::Evidence).unwrap();
    let junk = root.lay_over("segments/0", b"junk");
    assert_eq!(kind(store.put_new("segments/0", b"evidence", Keep::Evidence)), Kind::Exists);
    assert_eq!(store.get("segments/0", None, None, 100).unwrap().bytes, b"junk");
    assert_eq!(store.get("segments/0", Some(&ours), None, 100).unwrap().bytes, b"evidence");
    let listed = store.list("segments/", "", Listing::Versions(10)).unwrap().entries;
    let listed: Vec<_> = listed.into_iter().map(|entry| (entry.version, entry.newest)).collect();
    assert_eq!(listed, [(junk, true), (ours, false)]);
}

/// A marker hides the object from reads and from the list of the newest. Whether the key is free then, servers see
/// differently; what was written is there in any case.
pub fn a_delete_marker_hides_an_object_and_takes_nothing_away(site: &Site) {
    let options = site.options();
    let root = Intruder::as_root(&site.server, &options.bucket);
    let store = site.store(options);
    assert!(
        !store.get("segments/0", None, Some(0..0), 100).unwrap_err().is_hidden(),
        "nothing ever was there"
    );
    let ours = store.put_new("segments/0", b"evidence", Keep::Evidence).unwrap();
    root.delete("segments/0", None, false).unwrap();
    assert_eq!(kind(store.get("segments/0", None, None, 100)), Kind::Missing);
    assert_eq!(kind(store.get("segments/0", None, Some(0..4), 100)), Kind::Missing);
    let error = store.get("segments/0", None, Some(0..0), 100).unwrap_err();
    // versitygw says so to who wants bytes alone; it puts nothing over a marker either.
    let is_said = site.server.make == Make::Minio;
    assert_eq!((error.kind(), error.is_hidden()), (Kind::Missing, is_said), "{error}");
    assert!(store.list("", "", Listing::Newest(10)).unwrap().entries.is_empty());
    let listed = store.list("", "", Listing::Versions(10)).unwrap().entries;
    let [marker, version] = listed.as_slice() else { panic!("a marker and a version, not {listed:?}") };
    assert!(marker.delete_marker && marker.newest && marker.size_bytes == 0, "{marker:?}");
    assert!(!version.delete_marker && !version.newest && version.version == ours, "{version:?}");
    assert_eq!(kind(store.get("segments/0", Some(&marker.version), None, 100)), Kind::Missing);
    assert_eq!(store.get("segments/0", Some(&ours), None, 100).unwrap().bytes, b"evidence");
    match store.put_new("segments/0", b"again", Keep::Evidence) {
        Ok(_) => assert_eq!(store.get("segments/0", None, None, 100).unwrap().bytes, b"again"),
        Err(error) => assert_eq!(error.kind(), Kind::Exists, "{error}"),
    }
    assert_eq!(store.get("segments/0", Some(&ours), None, 100).unwrap().bytes, b"evidence");
}
