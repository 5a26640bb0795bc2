//! A bucket before it is used: what `sealog init` makes and refuses, what an archiver refuses, and what `sealog doctor`
//! finds.

mod probe;
mod site;

use store::Mode;
use store::s3::{Credentials, Versioning};

use crate::harness::s3::Bucket;
use crate::harness::s3::identity::credentials;
use crate::harness::s3::proxy::{Act, Proxy};
use crate::harness::s3::server::{Make, Server};
use crate::harness::wait_for;
use site::{Site, each};

/// Nobody listens there. What is refused before Kafka is asked needs no broker.
const NO_KAFKA: &str = "[kafka]\nbrokers = \"127.0.0.1:1\"\n";

#[test]
fn a_bucket_that_nobody_can_empty_is_made_only_when_it_is_meant() {
    each(|make| {
        let Some(site) = Site::new(make, Mode::Compliance, 1) else { return };
        let (code, words) = site.run(&["init"]);
        assert_eq!(code, Some(1), "{words}");
        for part in
            ["compliance for 1 day", "cannot be deleted before 20", "sealog init --yes", "Nothing was made"]
        {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(site.promises().is_none(), "nothing was made");

        let (code, words) = site.run(&["init", "--yes"]);
        assert_eq!(code, Some(0), "{words}");
        assert!(words.contains("made bucket") && words.contains("nobody can lift that"), "{words}");
        let made = site.promises().unwrap();
        assert_eq!((made.versioning, made.object_lock), (Versioning::On, true));
        assert_eq!(made.default_retention, site.bucket.options.retention);

        let (code, words) = site.run(&["init"]);
        assert_eq!(code, Some(0), "{words}");
        assert!(
            words.contains("nothing was changed") && words.contains("cannot be deleted before 20"),
            "{words}"
        );
        assert_eq!(site.promises().unwrap(), made);
        let (code, words) = site.run(&["doctor"]);
        assert!(code == Some(0) && words.contains("Object Lock: on"), "{words}");
    });
}

#[test]
fn a_lock_that_can_be_lifted_needs_no_yes_and_says_by_whom() {
    each(|make| {
        let Some(site) = Site::new(make, Mode::Governance, 2) else { return };
        let (code, words) = site.run(&["init"]);
        assert_eq!(code, Some(0), "{words}");
        assert!(
            words.contains("governance for 2 days") && words.contains("s3:BypassGovernanceRetention"),
            "{words}"
        );
        assert_eq!(site.promises().unwrap().default_retention, site.bucket.options.retention);
    });
}

#[test]
fn a_bucket_without_locks_is_refused_by_everyone_who_would_write_and_left_as_it_is() {
    each(|make| {
        let Some(site) = Site::new(make, Mode::Governance, 1) else { return };
        site.as_root(&Server::shared(make)).make_plain_bucket();
        let before = site.promises().unwrap();
        for flags in [vec!["init"], vec!["init", "--yes"]] {
            let (code, words) = site.run(&flags);
            assert_eq!(code, Some(1), "{words}");
            assert!(words.contains("no Object Lock") && words.contains("does not exist yet"), "{words}");
        }
        for (command, more) in [("up", ""), ("archiver", NO_KAFKA), ("up", NO_KAFKA)] {
            let refused = site.start(command, more, &[]).err().expect("it refuses");
            assert!(refused.contains("no Object Lock") && !refused.contains("is up"), "{command}: {refused}");
        }
        assert!(!site.folder.path().join("data/chainer.key").exists(), "no chain was begun");
        let (code, words) = site.run(&["doctor", "--probe"]);
        assert_eq!(code, Some(1), "{words}");
        for part in ["versioning is off", "no Object Lock", "not probed"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert_eq!(site.promises().unwrap(), before);
    });
}

#[test]
fn a_default_that_is_too_short_or_too_weak_is_refused_and_mended_only_with_yes() {
    each(|make| {
        let Some(weaker) = Site::new(make, Mode::Governance, 2) else { return };
        assert_eq!(weaker.run(&["init"]).0, Some(0));
        for (site, what) in [
            (weaker.with(Mode::Governance, 3), "is governance for 2 days, but governance for 3 days"),
            (weaker.with(Mode::Compliance, 1), "is governance for 2 days, but compliance for 1 day"),
        ] {
            let (code, words) = site.run(&["init"]);
            assert_eq!(code, Some(1), "{words}");
            assert!(words.contains("nothing was touched") && words.contains(what), "{words}");
            for (command, more) in [("up", ""), ("archiver", NO_KAFKA)] {
                let refused = site.start(command, more, &[]).err().expect("it refuses");
                assert!(
                    refused.contains(what) && refused.contains("sealog init --yes"),
                    "{command}: {refused}"
                );
            }
            let (code, words) = site.run(&["doctor"]);
            assert!(code == Some(1) && words.contains("WRONG") && words.contains(what), "{words}");
        }
        assert_eq!(weaker.promises().unwrap().default_retention, weaker.bucket.options.retention);

        let stricter = weaker.with(Mode::Compliance, 3);
        let (code, words) = stricter.run(&["init", "--yes"]);
        assert_eq!(code, Some(0), "{words}");
        assert!(words.contains("set on bucket") && words.contains("compliance for 3 days"), "{words}");
        assert_eq!(stricter.promises().unwrap().default_retention, stricter.bucket.options.retention);
        // Less is promised than the bucket does by itself: nothing is taken away.
        for command in [vec!["init", "--yes"], vec!["doctor"]] {
            let (code, words) = weaker.run(&command);
            assert!(code == Some(0) && words.contains("told --locked governance:172800s"), "{words}");
        }
        assert_eq!(stricter.promises().unwrap().default_retention, stricter.bucket.options.retention);
    });
}

#[test]
fn what_is_not_there_or_not_ours_is_said_with_what_to_do() {
    each(|make| {
        let Some(site) = Site::new(make, Mode::Governance, 1) else { return };
        for command in ["up", "archiver"] {
            let more = if command == "archiver" { NO_KAFKA } else { "" };
            let refused = site.start(command, more, &[]).err().expect("it refuses");
            assert!(
                refused.contains("there is no bucket") && refused.contains("sealog init"),
                "{command}: {refused}"
            );
        }
        assert!(site.promises().is_none(), "no stage makes a bucket");
        let (_, words) = site.run(&["doctor"]);
        assert!(words.contains("WRONG") && words.contains("there is no bucket"), "{words}");

        let (code, words) = site.run_with(&["doctor"], "", &[("AWS_SECRET_ACCESS_KEY", "wrong")]);
        assert!(code == Some(1) && words.contains("does not know these credentials"), "{words}");
        let (code, words) = site.run_with(&["init"], "", &[("AWS_SECRET_ACCESS_KEY", "wrong")]);
        assert!(code == Some(1) && words.contains("does not know these credentials"), "{words}");
    });
}

#[test]
fn an_archiver_that_may_not_look_at_its_bucket_names_the_right() {
    let Some(bucket) = Bucket::new(Make::Minio) else { return };
    let readers = Site::at(bucket.with(credentials(&bucket.options, "chainer")), Mode::Compliance, 1);
    let refused = readers.start("archiver", NO_KAFKA, &[]).err().expect("it refuses");
    assert!(refused.contains("s3:GetBucketObjectLockConfiguration"), "{refused}");
    // Who only reads notes is not asked for that right, and comes as far as Kafka.
    let refused = readers.start("trimmer", NO_KAFKA, &[]).err().expect("there is no Kafka");
    assert!(refused.contains("kafka.brokers") && !refused.contains("GetBucket"), "{refused}");
}

#[test]
fn a_bucket_that_is_away_at_the_start_is_waited_for_and_events_are_taken() {
    each(|make| {
        let Some(bucket) = Bucket::new(make) else { return };
        let proxy = Proxy::before(bucket.options.endpoint.as_deref().unwrap());
        let site = Site::at(bucket.through(&proxy.url), Mode::Compliance, 1);
        let first = site.start("up", "", &[]).unwrap();
        assert!(
            first.banner.contains(&format!("verify {} --endpoint", site.bucket.url())),
            "{}",
            first.banner
        );
        let (status, said) = first.stop();
        assert!(status.success(), "{said}");

        proxy.otherwise(Act::Refuse(503, "SlowDown"));
        let up = site.start("up", "", &[]).unwrap();
        assert_eq!(up.post(r#"{"action":"user.login"}"#).0, 202);
        let asked = proxy.seen().len();
        wait_for("it is asked again", 60, || (proxy.seen().len() > asked).then_some(()));
        proxy.otherwise(Act::Pass);
        let (status, said) = up.stop();
        assert!(status.success() && said.contains("Everything is sealed and archived"), "{said}");
        bucket.verified("after the bucket came back");
    });
}

#[test]
fn a_bucket_that_comes_back_and_does_not_keep_enough_halts_the_archiver() {
    let Some(bucket) = Bucket::new(Make::Minio) else { return };
    let proxy = Proxy::before(bucket.options.endpoint.as_deref().unwrap());
    let site = Site::at(bucket.through(&proxy.url), Mode::Compliance, 1);
    assert!(site.start("up", "", &[]).unwrap().stop().0.success());

    proxy.otherwise(Act::Refuse(503, "SlowDown"));
    let up = site.with(Mode::Compliance, 2).start("up", "", &[]).unwrap();
    proxy.otherwise(Act::Pass);
    let (status, said) = up.ends(60);
    assert!(!status.success() && said.contains("halted: the bucket of s3://"), "{said}");
    assert!(said.contains("is compliance for 1 day, but compliance for 2 days is configured"), "{said}");
}

#[test]
fn the_clock_is_named_when_a_server_refuses_it() {
    let Some(bucket) = Bucket::new(Make::Minio) else { return };
    let proxy = Proxy::before(bucket.options.endpoint.as_deref().unwrap());
    proxy.otherwise(Act::Refuse(403, "RequestTimeTooSkewed"));
    let (code, words) = Site::at(bucket.through(&proxy.url), Mode::Compliance, 1).run(&["doctor"]);
    assert!(code == Some(1) && words.contains("this machine's clock is not the server's"), "{words}");
}

#[test]
fn no_log_shows_a_secret_whatever_is_logged() {
    let Some(bucket) = Bucket::new(Make::Minio) else { return };
    let Credentials::Given { secret, .. } = bucket.options.credentials.clone() else { panic!() };
    let site = Site::at(bucket, Mode::Compliance, 1);
    for filter in ["trace", "aws_sigv4=trace,aws_smithy_runtime=trace,hyper_util=trace,sealog=trace"] {
        let up = site.start("up", "", &[("SEALOG_LOG", filter)]).unwrap();
        assert_eq!(up.post(r#"{"action":"user.login"}"#).0, 202);
        let (status, all) = up.stop();
        assert!(status.success(), "{all}");
        for word in [secret.as_str(), "Signature", "authorization", "x-amz-"] {
            assert!(!all.contains(word), "{filter} shows {word}");
        }
    }
}
