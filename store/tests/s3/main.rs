//! The seam on real servers with Object Lock: its promises, and what only such a server can do or get wrong. MinIO
//! judges, versitygw is the second.
//!
//! SEALOG_TEST_S3_MINIO and SEALOG_TEST_S3_VERSITYGW = "URL ACCESS SECRET" name servers; without them `tests/services/s3`
//! starts some. Each test has a bucket of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken promise ends the test with a sentence")]

mod buckets;
mod extending;
mod faults;
mod found;
#[allow(dead_code, reason = "the whole road uses more of it")]
#[path = "../../../tests/harness/s3/intruder.rs"]
mod intruder;
mod listing;
mod locks;
#[allow(dead_code, reason = "the whole road uses more of it")]
#[path = "../../../tests/harness/s3/proxy.rs"]
mod proxy;
mod secured;
#[allow(dead_code, reason = "the whole road uses more of it")]
#[path = "../../../tests/harness/s3/server.rs"]
mod server;
mod speed;

use std::fmt::Debug;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use runtime::SystemClock;
use server::{Make, Server};
use store::conformance::Case;
use store::s3::{Credentials, Options, S3};
use store::{Keep, Kind, Mode, Retention, Store};

/// Where a test runs.
struct Site {
    server: Arc<Server>,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Site {
    /// None where the test is to be skipped.
    fn on(make: Make) -> Option<Site> {
        if let Some(missing) = Server::missing(make) {
            skip(&format!("no {make:?}: {missing}"));
            return None;
        }
        Some(Site { server: Server::shared(make) })
    }

    /// For a bucket that no test has used, and that is not there yet.
    fn options(&self) -> Options {
        let unique: [u8; 8] = runtime::random_bytes();
        Options {
            endpoint: Some(self.server.url.clone()),
            path_style: true,
            ca_pem: self.server.ca_pem.clone(),
            retention: Some(Retention { mode: Mode::Compliance, period: DAY }),
            credentials: Credentials::Given {
                access_key: self.server.access.clone(),
                secret: self.server.secret.clone(),
                session: None,
            },
            ..Options::new(&format!("test-{:016x}", u64::from_be_bytes(unique)))
        }
    }

    /// A store in a new bucket.
    fn store(&self, options: Options) -> S3 {
        let store = open(options);
        assert!(store.make_bucket().unwrap());
        store
    }
}

fn open(options: Options) -> S3 {
    S3::open(options, Arc::new(SystemClock)).unwrap()
}

fn kind<T: Debug>(result: store::Result<T>) -> Kind {
    result.unwrap_err().kind()
}

/// Says so past the harness, which would keep it to itself. CI tests everything.
#[allow(clippy::disallowed_methods, reason = "whether this is CI is the environment's to say")]
fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI tests everything, but here is {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

fn in_a_bucket(make: Make, prefix: &str, case: Case) {
    let Some(site) = Site::on(make) else { return };
    case(&site.store(Options { prefix: prefix.to_owned(), ..site.options() }));
}

mod the_contract_on_minio {
    use super::*;

    fn in_its_bucket(case: Case) {
        in_a_bucket(Make::Minio, "", case);
    }
    store::conformance!(in_its_bucket);
}

mod the_contract_on_versitygw {
    use super::*;

    fn in_its_bucket(case: Case) {
        in_a_bucket(Make::Versitygw, "", case);
    }
    store::conformance!(in_its_bucket);
}

/// Under a prefix everything is as at the bucket's root, but that keys are shorter.
mod the_contract_below_a_prefix {
    use super::*;

    fn in_its_folder(case: Case) {
        in_a_bucket(Make::Minio, "archives/acme", case);
    }
    store::conformance! { in_its_folder:
        what_was_put_is_read_back,
        a_second_put_says_exists_and_changes_nothing,
        a_replace_with_a_stale_tag_says_changed_and_changes_nothing,
        what_is_not_there_is_missing,
        an_empty_store_lists_nothing,
        keys_come_in_the_order_of_their_bytes,
        after_is_exclusive_and_need_not_be_a_key,
        a_prefix_is_the_beginning_of_a_key_and_no_more,
        pages_say_whether_more_may_follow,
        an_entry_says_what_a_read_says,
        every_version_is_listed_newest_first,
        what_is_not_a_key_is_refused_by_every_verb,
        a_prefix_that_no_key_has_is_refused,
    }
}

/// Makes each a test on either server.
macro_rules! on_both_servers {
    ($($file:ident { $($test:ident,)* })*) => {
        mod on_minio {
            $($(#[test]
            fn $test() {
                super::on(super::Make::Minio, super::$file::$test);
            })*)*
        }
        mod on_versitygw {
            $($(#[test]
            fn $test() {
                super::on(super::Make::Versitygw, super::$file::$test);
            })*)*
        }
    };
}

fn on(make: Make, test: fn(&Site)) {
    if let Some(site) = Site::on(make) {
        test(&site);
    }
}

on_both_servers! {
    buckets {
        a_bucket_that_was_made_locks_and_keeps_versions,
        a_bucket_without_object_lock_is_seen,
        a_missing_bucket_is_refused_with_its_name,
        objects_are_encrypted_as_configured,
    }
    extending {
        a_lock_is_made_longer_and_never_shorter,
        what_is_not_locked_or_weakly_is_locked,
        whether_locks_can_be_seen_is_known,
    }
    faults {
        what_may_work_later_is_asked_again,
        an_answer_that_was_lost_is_found_in_the_bucket,
        an_answer_that_was_cut_is_asked_for_again,
        asking_again_has_an_end,
        what_cannot_work_is_not_asked_again,
        junk_whose_headers_are_no_text_is_passed_over,
        a_write_is_one_plain_request_with_its_sum,
        a_server_with_too_much_to_do_is_waited_for,
        a_server_that_is_held_up_is_away_and_the_object_is_there_once,
        a_clock_that_is_an_hour_wrong_writes_nothing,
        wrong_credentials_are_refused_at_once,
    }
    found {
        the_environment_and_profiles_are_looked_at,
        without_credentials_it_says_where_they_go,
    }
    listing {
        all_of_1_100_versions_of_a_key_come_on_one_page,
        of_more_versions_than_are_kept_nothing_is_concluded,
        keys_come_back_from_a_list_as_they_were_put,
        archives_under_prefixes_are_apart,
    }
    locks {
        each_object_is_locked_and_says_so,
        a_legal_hold_is_seen,
        nobody_can_delete_shorten_or_downgrade_what_is_locked,
        junk_laid_over_an_object_does_not_replace_it,
        a_delete_marker_hides_an_object_and_takes_nothing_away,
    }
    secured {
        a_servers_own_authority_is_trusted_if_it_is_given,
    }
}

/// It would have to be cut into parts. No server is asked.
#[test]
fn what_one_write_cannot_take_is_refused() {
    let given = Credentials::Given { access_key: "a".to_owned(), secret: "b".to_owned(), session: None };
    let endpoint = Some("http://127.0.0.1:1".to_owned());
    let store = open(Options { endpoint, credentials: given, ..Options::new("bucket") });
    // The system gives room for what is written, and nothing is.
    let body = vec![0; (5 << 30) + 1];
    let error = store.put_new("segments/0", &body, Keep::Evidence).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("5 GiB"), "{error}");
}

/// Each with a word on what is wrong.
#[test]
fn what_no_server_takes_is_refused_when_the_store_is_opened() {
    let period = |seconds| Some(Retention { mode: Mode::Governance, period: Duration::from_secs(seconds) });
    let good = Options { endpoint: Some("http://127.0.0.1:1".to_owned()), ..Options::new("bucket") };
    let refused = |options: Options| S3::open(options, Arc::new(SystemClock)).err().map(|error| error.kind());
    assert_eq!(refused(good.clone()), None);
    for bad in [
        Options { bucket: String::new(), ..good.clone() },
        Options { endpoint: Some("127.0.0.1:9000".to_owned()), ..good.clone() },
        Options { retention: period(0), ..good.clone() },
        Options { retention: period(200 * 366 * 24 * 60 * 60), ..good.clone() },
        Options { prefix: "a//b".to_owned(), ..good.clone() },
    ] {
        assert_eq!(refused(bad.clone()), Some(Kind::Refused), "{bad:?}");
    }
}

#[test]
#[ignore = "a measurement"]
fn writing_to_minio() {
    on(Make::Minio, speed::writing_64_segments_of_8_mib);
}

#[test]
#[ignore = "a measurement"]
fn writing_to_versitygw() {
    on(Make::Versitygw, speed::writing_64_segments_of_8_mib);
}
