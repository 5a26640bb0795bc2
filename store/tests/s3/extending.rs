//! A lock is made longer, and never shorter or weaker, whoever asks and with whatever rights.

use runtime::{Clock, SystemClock};
use schemas::Micros;
use store::s3::Options;
use store::{Keep, Kind, Lock, Mode, Retention, Store, Version};

use super::intruder::Intruder;
use super::{DAY, Site, kind, open};

const HOUR_US: i64 = 3_600_000_000;

/// By version: also of one that others lie over.
pub fn a_lock_is_made_longer_and_never_shorter(site: &Site) {
    let options = site.options();
    let root = Intruder::as_root(&site.server, &options.bucket);
    let store = site.store(options);
    let version = store.put_new("segments/0", b"evidence", Keep::Evidence).unwrap();
    root.lay_over("segments/0", b"junk");
    let lock = || store.get("segments/0", Some(&version), Some(0..0), 0).unwrap().lock.unwrap();
    let first = lock();
    let later = Lock { until: Micros(first.until.0 + HOUR_US), ..first };
    assert_eq!(store.extend("segments/0", &version, later).unwrap(), later);
    assert_eq!(lock(), later);
    // Once more, and to a part of a second, which servers do not know.
    assert_eq!(store.extend("segments/0", &version, later).unwrap(), later);
    let part = Lock { until: Micros(later.until.0 - 999_999), ..later };
    assert_eq!(store.extend("segments/0", &version, part).unwrap(), later);

    let weaker = Lock { mode: Mode::Governance, until: Micros(later.until.0 + HOUR_US) };
    for less in [first, weaker, Lock { mode: Mode::Governance, ..later }] {
        let error = store.extend("segments/0", &version, less).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.to_string().contains("never made shorter or weaker"), "{error}");
        assert_eq!(lock(), later);
    }
    assert_eq!(kind(store.extend("segments/1", &version, later)), Kind::Missing);
}

/// What has no lock gets one. What has a weak one keeps its mode, or gets the stricter where the server lets it without
/// a right to bypass.
pub fn what_is_not_locked_or_weakly_is_locked(site: &Site) {
    let options = Options { retention: None, ..site.options() };
    let store = site.store(options.clone());
    let until = Micros((SystemClock.wall().0 / 1_000_000 + 7_200) * 1_000_000);
    let loose = store.put_new("a", b"loose", Keep::Evidence).unwrap();
    let lock = Lock { mode: Mode::Governance, until };
    assert_eq!(store.extend("a", &loose, lock).unwrap(), lock);
    let longer = Lock { until: Micros(until.0 + HOUR_US), ..lock };
    assert_eq!(store.extend("a", &loose, longer).unwrap(), longer);
    assert_eq!(kind(store.extend("a", &loose, lock)), Kind::Refused);

    let strict = Lock { mode: Mode::Compliance, ..longer };
    let has = |version: &Version| store.get("a", Some(version), Some(0..0), 0).unwrap().lock;
    match store.extend("a", &loose, strict) {
        Ok(lock) => assert_eq!((lock, has(&loose)), (strict, Some(strict))),
        Err(error) => assert_eq!((error.kind(), has(&loose)), (Kind::Refused, Some(longer)), "{error}"),
    }

    // Evidence in governance mode.
    let weak = Retention { mode: Mode::Governance, period: DAY };
    let weak = open(Options { retention: Some(weak), ..options });
    let version = weak.put_new("b", b"weak", Keep::Evidence).unwrap();
    let lock = weak.get("b", None, None, 10).unwrap().lock.unwrap();
    let longer = Lock { until: Micros(lock.until.0 + HOUR_US), ..lock };
    assert_eq!(weak.extend("b", &version, longer).unwrap(), longer);
}

/// Of what has none, it must be known whether one could be seen.
pub fn whether_locks_can_be_seen_is_known(site: &Site) {
    let store = site.store(site.options());
    let locked = store.put_new("a", b"locked", Keep::Evidence).unwrap();
    assert!(store.may_see_lock("a", &locked).unwrap());
    let loose = open(Options { retention: None, ..site.options() });
    assert!(loose.make_bucket().unwrap());
    let version = loose.put_new("b", b"loose", Keep::Evidence).unwrap();
    assert!(loose.may_see_lock("b", &version).unwrap(), "there is none, and it can be seen");
}
