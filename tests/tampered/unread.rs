//! Row 27 on a real server: whatever request is refused, cut off or never answered, what was not read is neither intact
//! nor broken. A man in the middle does it, from any request on.

use std::process::Output;

use serde_json::Value;
use verifier::testing::rows::{self, Case};

use super::bucket::write;
use super::verified;
use crate::harness::is_long;
use crate::harness::process::said;
use crate::harness::s3::Bucket;
use crate::harness::s3::proxy::{Act, Proxy};
use crate::harness::s3::server::{Make, Server};

/// A whole archive, behind a man in the middle.
struct Site {
    bucket: Bucket,
    proxy: Proxy,
    /// Requests that a check takes.
    requests: usize,
}

impl Site {
    fn on(make: Make) -> Option<Site> {
        let bucket = Bucket::new(make)?;
        write(&Case::of("whole", &rows::chain_0()), &bucket.store());
        let proxy = Proxy::before(&Server::shared(make).url);
        let bucket = bucket.through(&proxy.url);
        let site = Site { bucket, proxy, requests: 0 };
        assert_eq!(site.verify().status.code(), Some(0));
        let requests = site.proxy.heads().len();
        Some(Site { requests, ..site })
    }

    fn verify(&self) -> Output {
        verified(&self.bucket.place(), &self.bucket.env(), &[])
    }

    /// From the request after these on.
    fn verify_with(&self, passed: usize, act: Act) -> Output {
        self.proxy.plan(&vec![Act::Pass; passed]);
        self.proxy.otherwise(act);
        let output = self.verify();
        self.proxy.otherwise(Act::Pass);
        output
    }
}

#[track_caller]
fn assert_inconclusive(make: Make, output: &Output, what: &str) {
    let (words, errors) = (said(output), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{what}: {words}{errors}");
    // Where not even the bucket was reached there is no report.
    if words.is_empty() {
        assert!(errors.contains("verdict: inconclusive"), "{what}: {errors}");
        return;
    }
    let report: Value = serde_json::from_str(&words).unwrap();
    assert_eq!(report["verdict"], "inconclusive", "{what}: {report:#}");
    let findings = report["findings"].as_array().unwrap();
    // versitygw tells a lock apart from its object, and a lock that it refuses to tell reads as none.
    let is_lock = |finding: &Value| finding["check"] == "lock-missing" && make == Make::Versitygw;
    let is_due = |finding: &Value| finding["check"] == "readable" || is_lock(finding);
    assert!(findings.iter().all(is_due), "{what}: {report:#}");
}

/// Every third request. What comes last on versitygw is not of the objects but of locks and holds.
fn whatever_request_is_refused_nothing_is_said(make: Make) {
    let Some(site) = Site::on(make) else { return };
    assert!(site.requests > 30, "{} requests", site.requests);
    let last = if make == Make::Versitygw { site.requests / 2 } else { site.requests - 1 };
    for passed in (0..last).step_by(3).chain([last]) {
        for act in [Act::Refuse(403, "AccessDenied"), Act::Refuse(404, "NoSuchKey")] {
            let output = site.verify_with(passed, act);
            assert_inconclusive(make, &output, &format!("{act:?} from request {passed} on"));
        }
    }
    assert_eq!(site.verify().status.code(), Some(0));
}

/// It is asked for again for a minute, which only the long form waits for.
fn what_comes_late_is_waited_for_and_what_never_comes_is_said(make: Make) {
    let Some(site) = Site::on(make) else { return };
    for act in [Act::Refuse(503, "SlowDown"), Act::CutBefore, Act::CutWithin] {
        let some = [vec![Act::Pass; site.requests / 2], vec![act; 3]].concat();
        site.proxy.plan(&some);
        assert_eq!(site.verify().status.code(), Some(0), "{act:?}, three times");
    }
    // The last request of a check on versitygw is about a hold, of which nothing is said.
    if !is_long() || make == Make::Versitygw {
        return;
    }
    for act in [Act::Refuse(503, "SlowDown"), Act::CutBefore, Act::Hang] {
        let output = site.verify_with(site.requests - 1, act);
        assert_inconclusive(make, &output, &format!("{act:?} of the last request"));
    }
}

crate::harness::s3::on_both_servers! {
    whatever_request_is_refused_nothing_is_said,
    what_comes_late_is_waited_for_and_what_never_comes_is_said,
}
