//! What may work later is asked again, within bounds; what cannot work is not. Nothing is ever written twice.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use runtime::{Clock, Deadline, ManualClock, SystemClock};
use store::s3::{Credentials, Options, S3, Timeouts};
use store::versions::fitting;
use store::{Keep, Kind, Listing, Object, Store};

use super::proxy::{Act, Proxy};
use super::server::Server;
use super::{Site, kind, open};

const SHORT: Timeouts = Timeouts {
    connect: Duration::from_millis(500),
    attempt: Duration::from_secs(1),
    whole: Duration::from_secs(3),
};

/// A store that reaches its new bucket through a proxy.
fn behind_a_proxy(site: &Site) -> (Proxy, S3) {
    let options = site.options();
    site.store(options.clone());
    let proxy = Proxy::before(&site.server.url);
    let endpoint = Some(proxy.url.clone());
    // The server is as slow as the machine is busy.
    let timeouts = Timeouts { attempt: Duration::from_secs(3), whole: Duration::from_secs(6), ..SHORT };
    (proxy, open(Options { endpoint, timeouts, ..options }))
}

fn versions(store: &S3, key: &str) -> usize {
    store.list(key, "", Listing::Versions(100)).unwrap().entries.len()
}

const PASSING: [Act; 14] = [
    Act::Refuse(429, "TooManyRequests"),
    Act::Refuse(500, "InternalError"),
    Act::Refuse(502, ""),
    Act::Refuse(503, "SlowDown"),
    Act::Refuse(503, "ServiceUnavailable"),
    Act::Refuse(507, "XMinioStorageFull"),
    Act::Refuse(400, "RequestTimeout"),
    Act::Refuse(400, "Throttling"),
    Act::Refuse(400, "ThrottlingException"),
    Act::Refuse(403, "RequestTimeTooSkewed"),
    Act::Refuse(409, "ConditionalRequestConflict"),
    Act::Refuse(409, "OperationAborted"),
    Act::CutBefore,
    Act::Hang,
];

/// Each is met once or twice, then the request passes.
pub fn what_may_work_later_is_asked_again(site: &Site) {
    let (proxy, store) = behind_a_proxy(site);
    for (nth, act) in PASSING.into_iter().enumerate() {
        let key = format!("segments/{nth}");
        // There is no time for two answers that do not come.
        let met = if matches!(act, Act::Hang) { 1 } else { 2 };
        proxy.plan(&[act, act][..met]);
        if let Err(error) = store.put_new(&key, b"once", Keep::Evidence) {
            panic!("{act:?}: {error}");
        }
        let seen = proxy.seen();
        // A busy server may refuse more than is planned.
        assert!(seen.len() > met, "{act:?}: {seen:?}");
        assert!(seen.iter().all(|line| *line == seen[0] && line.starts_with("PUT ")), "{seen:?}");
        assert_eq!(versions(&store, &key), 1, "{act:?}");
        proxy.plan(&[act]);
        assert_eq!(store.get(&key, None, None, 10).unwrap().bytes, b"once", "{act:?}");
        proxy.plan(&[act]);
        assert_eq!(store.list(&key, "", Listing::Newest(10)).unwrap().entries.len(), 1, "{act:?}");
    }
}

/// The one whose answer was lost finds its own object there.
pub fn an_answer_that_was_lost_is_found_in_the_bucket(site: &Site) {
    let (proxy, store) = behind_a_proxy(site);
    proxy.plan(&[Act::CutAfter]);
    assert_eq!(kind(store.put_new("segments/0", b"once", Keep::Evidence)), Kind::Exists);
    assert!(proxy.seen().len() >= 2, "{:?}", proxy.seen());
    let object = store.get("segments/0", None, None, 10).unwrap();
    assert_eq!((object.bytes.as_slice(), object.lock.is_some()), (b"once".as_slice(), true));
    assert_eq!(versions(&store, "segments/0"), 1);
    proxy.plan(&[Act::Refuse(409, "ConditionalRequestConflict"), Act::CutAfter]);
    assert_eq!(kind(store.replace_if("segments/0", Some(&object.tag), b"more", Keep::Hint)), Kind::Changed);
    assert_eq!(store.get("segments/0", None, None, 10).unwrap().bytes, b"more");
    assert_eq!(versions(&store, "segments/0"), 2);
}

/// Half an object is never taken for one.
pub fn an_answer_that_was_cut_is_asked_for_again(site: &Site) {
    let (proxy, store) = behind_a_proxy(site);
    let body: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    store.put_new("segments/0", &body, Keep::Evidence).unwrap();
    for range in [None, Some(100..700_000)] {
        proxy.plan(&[Act::CutWithin, Act::CutWithin]);
        let Object { bytes, .. } = store.get("segments/0", None, range.clone(), u64::MAX).unwrap();
        assert!(bytes == range.map_or(&body[..], |range| &body[range.start as usize..range.end as usize]));
        assert!(proxy.seen().len() >= 3, "{:?}", proxy.seen());
    }
    proxy.plan(&[Act::CutWithin]);
    assert_eq!(store.list("", "", Listing::Versions(10)).unwrap().entries.len(), 1);
    assert!(proxy.seen().len() >= 2, "{:?}", proxy.seen());
}

/// With what was the last, and how often it was asked.
pub fn asking_again_has_an_end(site: &Site) {
    let (proxy, store) = behind_a_proxy(site);
    proxy.otherwise(Act::Refuse(503, "SlowDown"));
    let bound = Deadline::after(Duration::from_secs(9));
    let error = store.put_new("segments/0", b"once", Keep::Evidence).unwrap_err();
    assert_eq!(error.kind(), Kind::Away);
    assert!(error.to_string().contains("SlowDown") && error.to_string().contains("503"), "{error}");
    assert!(!bound.passed(), "it took longer than 9 s");
    let tries = proxy.seen().len();
    assert!((4..20).contains(&tries), "asked {tries} times");
    assert!(error.to_string().contains(&format!("asked {tries} times")), "{error}");
    proxy.otherwise(Act::CutBefore);
    assert_eq!(kind(store.get("segments/0", None, None, 10)), Kind::Away);
    proxy.otherwise(Act::Pass);
    assert_eq!(kind(store.get("segments/0", None, None, 10)), Kind::Missing);
}

/// Once is enough, and the error says whose word it is.
pub fn what_cannot_work_is_not_asked_again(site: &Site) {
    let (proxy, store) = behind_a_proxy(site);
    for (status, code, expected) in [
        (403, "AccessDenied", Kind::Refused),
        (400, "InvalidRequest", Kind::Refused),
        (501, "NotImplemented", Kind::Refused),
        (412, "PreconditionFailed", Kind::Exists),
    ] {
        proxy.plan(&[Act::Refuse(status, code)]);
        let error = store.put_new("segments/0", b"once", Keep::Evidence).unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
        // What is there may be looked at, to see whether it is that which cannot be written over.
        let writes = proxy.seen().iter().filter(|line| line.starts_with("PUT ")).count();
        assert_eq!(writes, 1, "{code}");
        assert!(expected == Kind::Exists || error.to_string().contains(code), "{error}");
    }
    assert_eq!(versions(&store, ""), 0);
}

/// Such an answer comes every time: it is no outage, and what lies below is found.
pub fn junk_whose_headers_are_no_text_is_passed_over(site: &Site) {
    let (proxy, store) = behind_a_proxy(site);
    let first = store.put_new("checkpoint", b"right", Keep::Evidence).unwrap();
    let tag = store.get("checkpoint", None, None, 10).unwrap().tag;
    store.replace_if("checkpoint", Some(&tag), b"junk", Keep::Evidence).unwrap();
    for (version, range) in [(None, None), (None, Some(0..2)), (Some(&first), Some(0..0))] {
        proxy.plan(&[Act::Garble]);
        let error = store.get("checkpoint", version, range, 10).unwrap_err();
        assert_eq!((error.kind(), proxy.seen().len()), (Kind::Refused, 1), "{error}");
        assert!(error.to_string().contains("not text"), "{error}");
    }
    // The newest, the list, and the newest once more.
    proxy.plan(&[Act::Garble, Act::Pass, Act::Garble]);
    let right = |object: &Object| (object.bytes == b"right").then_some(());
    let (found, ()) = fitting(&store, "checkpoint", 10, right).unwrap().unwrap();
    assert_eq!(found.version, first);

    // The list says enough of the newest to lay another over it.
    let look = || store.get("checkpoint", None, Some(0..0), 0);
    let seen = look().unwrap();
    proxy.plan(&[Act::Garble]);
    let listed = look().unwrap();
    assert!(proxy.seen()[..2].iter().zip(["HEAD ", "GET "]).all(|(line, verb)| line.starts_with(verb)));
    let known = |object: &Object| (object.version.clone(), object.size_bytes, object.modified, object.lock);
    assert_eq!((known(&listed), listed.tag.clone()), (known(&seen), seen.tag));
    assert_eq!((listed.bytes.len(), listed.size_bytes, listed.lock.is_some()), (0, 4, true));
    proxy.plan(&[Act::Garble, Act::Refuse(403, "AccessDenied")]);
    assert_eq!(kind(look()), Kind::Refused);
    store.replace_if("checkpoint", Some(&listed.tag), b"right", Keep::Evidence).unwrap();
}

/// Never in parts, and with nothing behind the body that a server might not look at.
pub fn a_write_is_one_plain_request_with_its_sum(site: &Site) {
    let (proxy, store) = behind_a_proxy(site);
    let body = vec![7; 9 << 20];
    proxy.plan(&[]);
    store.put_new("segments/0", &body, Keep::Evidence).unwrap();
    let heads = proxy.heads();
    // More than one only if the server was busy: then they are the same.
    let head = heads.last().unwrap().to_lowercase();
    assert!(heads.iter().all(|other| other.lines().next() == heads[0].lines().next()), "{heads:?}");
    let has = |line: &str| head.lines().any(|is| is.starts_with(line));
    assert!(head.starts_with("put /") && has("content-length: 9437184") && has("if-none-match: *"), "{head}");
    assert!(has("x-amz-checksum-sha256: ") && has("x-amz-object-lock-mode: compliance"), "{head}");
    assert!(!has("x-amz-trailer") && !has("transfer-encoding") && !head.contains("aws-chunked"), "{head}");
    assert!(!head.contains("crc"), "{head}");
}

/// 16 write at once to a server that takes two, and refuses the others with 429 or 503.
pub fn a_server_with_too_much_to_do_is_waited_for(site: &Site) {
    let server = Server::start(site.server.make, &[], &[("SEALOG_S3_MAX_REQUESTS", "2")]);
    let site = Site { server: Arc::new(server) };
    let store = site.store(site.options());
    let body = vec![7; 1 << 20];
    thread::scope(|scope| {
        for writer in 0..16 {
            let (store, body) = (&store, &body);
            scope.spawn(move || {
                for n in 0..4 {
                    let key = format!("segments/{writer}/{n}");
                    if let Err(error) = store.put_new(&key, body, Keep::Evidence) {
                        // Its first try may have been written and not answered.
                        assert_eq!(error.kind(), Kind::Exists, "{error}");
                    }
                }
            });
        }
    });
    assert_eq!(versions(&store, ""), 64);
}

/// Its connections stay, and nothing is answered: as a machine does that is too busy, or a network that is gone.
pub fn a_server_that_is_held_up_is_away_and_the_object_is_there_once(site: &Site) {
    let server = Arc::new(Server::start(site.server.make, &[], &[]));
    let site = Site { server };
    let options = Options { timeouts: SHORT, ..site.options() };
    site.store(Options { timeouts: Timeouts::default(), ..options.clone() });
    let store = open(options.clone());
    let body = vec![7; 300_000];
    store.put_new("segments/before", &body, Keep::Evidence).unwrap();
    site.server.stopped_while(|| {
        for asking in [
            &(|| kind(store.put_new("segments/0", &body, Keep::Evidence))) as &dyn Fn() -> Kind,
            &|| kind(store.get("segments/before", None, None, u64::MAX)),
            &|| kind(store.list("", "", Listing::Newest(10))),
        ] {
            let bound = Deadline::after(SHORT.whole + SHORT.attempt + Duration::from_secs(2));
            assert_eq!(asking(), Kind::Away);
            assert!(!bound.passed(), "it took too long to say that the server is away");
        }
    });
    let deadline = Deadline::after(Duration::from_secs(30));
    let patient = open(Options { timeouts: Timeouts::default(), ..options });
    loop {
        match patient.put_new("segments/0", &body, Keep::Evidence) {
            Ok(_) => break,
            Err(error) if error.kind() == Kind::Exists => break,
            Err(error) => assert!(error.kind() == Kind::Away && !deadline.passed(), "{error}"),
        }
    }
    let object = patient.get("segments/0", None, None, u64::MAX).unwrap();
    assert!(object.bytes == body && object.lock.is_some());
    assert_eq!(versions(&patient, "segments/0"), 1);
}

/// A lock would have a wrong date. The server's clock is the judge, and nothing is written.
pub fn a_clock_that_is_an_hour_wrong_writes_nothing(site: &Site) {
    let options = Options { timeouts: SHORT, ..site.options() };
    let right = site.store(options.clone());
    for hours in [-1, 1] {
        let clock = ManualClock::at(SystemClock.wall());
        clock.jump(hours * 3_600_000_000);
        let wrong = S3::open(options.clone(), Arc::new(clock)).unwrap();
        let error = wrong.put_new("segments/0", b"once", Keep::Evidence).unwrap_err();
        assert_eq!(error.kind(), Kind::Away, "{error}");
        assert!(error.to_string().contains("clock"), "{error}");
    }
    assert_eq!(versions(&right, ""), 0);
}

/// Somebody else's, or mistyped. What is said of it holds no secret.
pub fn wrong_credentials_are_refused_at_once(site: &Site) {
    let options = site.options();
    site.store(options.clone());
    let given = |access_key: &str, secret: &str| Credentials::Given {
        access_key: access_key.to_owned(),
        secret: secret.to_owned(),
        session: None,
    };
    for credentials in [given(&site.server.access, "not-the-secret"), given("nobody", "not-the-secret")] {
        let options = Options { credentials, ..options.clone() };
        assert!(!format!("{options:?}").contains("not-the-secret"));
        let store = open(options);
        let bound = Deadline::after(Duration::from_secs(10));
        for error in [
            store.put_new("a", b"", Keep::Evidence).unwrap_err(),
            store.get("a", None, None, 10).unwrap_err(),
            store.list("", "", Listing::Newest(10)).unwrap_err(),
            store.look_at_bucket().unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::Refused, "{error}");
            assert!(error.to_string().contains("does not know these credentials"), "{error}");
            assert!(!format!("{error:?}").contains("not-the-secret"), "{error:?}");
        }
        assert!(!bound.passed(), "it was asked again");
    }
}
