//! The rows that need versions or locks, on real servers with Object Lock: whoever may write there lays things over the
//! evidence and hides it, and cannot take it away.

use std::sync::Arc;

use runtime::{Clock, SystemClock};
use schemas::Micros;
use store::{Keep, Mode, Retention, Store};
use verifier::Promise;
use verifier::testing::rows::{self, Act, Case, Row};

use super::{assert_said, brought, verified};
use crate::harness::s3::Bucket;
use crate::harness::s3::intruder::Intruder;
use crate::harness::s3::server::{Make, Server};

/// A lock may end later than it must.
const A_MINUTE_US: i64 = 60_000_000;

/// What is locked and to what it is held, where that can be had on a server that locks all that it is given.
fn kept_with(case: &Case) -> Option<(Retention, Option<Retention>)> {
    let bucket = case.bucket?;
    // AWS lays a marker over nothing; these servers do not.
    let is_there = |act: &Act| !matches!(act, Act::Hide(key) if !case.objects.contains_key(key));
    if !case.acts.iter().all(is_there) {
        return None;
    }
    match (bucket.with?, bucket.promise) {
        (with, Promise::Told(told)) => Some((with, Some(told))),
        (with, Promise::OfTheBucket(promised)) if promised == with => Some((with, None)),
        _ => None,
    }
}

/// As the archiver writes it.
pub fn write(case: &Case, store: &dyn Store) {
    for (key, bytes) in &case.objects {
        let keep = if key.ends_with("/checkpoint") { Keep::Hint } else { Keep::Evidence };
        store.put_new(key, bytes, keep).unwrap();
    }
}

/// A bucket of its own that holds the archive, and somebody came.
fn tampered(make: Make, server: &Arc<Server>, case: &Case, with: Retention) -> Bucket {
    let mut bucket = Bucket::named_at(server);
    bucket.options.retention = Some(with);
    assert!(bucket.store().make_bucket().unwrap());
    write(case, &bucket.store());
    let intruder = Intruder::as_root(server, &bucket.options.bucket);
    let full = |key: &str| format!("{}/{key}", bucket.options.prefix);
    for act in &case.acts {
        match act {
            Act::LayOver(key, bytes) => {
                let version = intruder.lay_over(&full(key), bytes);
                // Elsewhere the bucket's default does it.
                if make == Make::Versitygw {
                    let until = SystemClock.wall().0 + with.period.as_micros() as i64 + A_MINUTE_US;
                    intruder.retain(&full(key), &version, with.mode, Micros(until), false).unwrap();
                }
            }
            Act::Hide(key) => intruder.delete(&full(key), None, false).unwrap(),
        }
    }
    bucket
}

fn check_row(make: Make, cases: fn() -> Vec<Case>) {
    if Bucket::new(make).is_none() {
        return;
    }
    let server = Server::shared(make);
    let cases = cases();
    let kept = cases.iter().filter_map(|case| Some((case, kept_with(case)?)));
    for (case, (with, told)) in kept {
        let (desk, bucket) = (tempfile::tempdir().unwrap(), tampered(make, &server, case, with));
        let mut args = brought(case, desk.path());
        if let Some(told) = told {
            let mode = if told.mode == Mode::Compliance { "compliance" } else { "governance" };
            args.extend(["--locked".to_owned(), format!("{mode}:{}d", told.period.as_secs() / 86_400)]);
        }
        assert_said(case, &verified(&bucket.place(), &bucket.env(), &args));
    }
}

macro_rules! in_buckets {
    ($($row:ident,)*) => {
        mod on_minio {
            $(#[test]
            fn $row() {
                super::check_row(super::Make::Minio, super::rows::$row);
            })*
        }
        mod on_versitygw {
            $(#[test]
            fn $row() {
                super::check_row(super::Make::Versitygw, super::rows::$row);
            })*
        }

        #[test]
        fn every_row_that_needs_a_bucket_is_tried_in_one() {
            let tried: Vec<&str> = vec![$(stringify!($row)),*];
            let has_some = |row: &&Row| (row.cases)().iter().any(|case| kept_with(case).is_some());
            let due: Vec<&str> = rows::ALL.iter().filter(has_some).map(|row| row.name).collect();
            assert_eq!(tried, due);
        }
    };
}

in_buckets! {
    row_08_the_tail_cut_off,
    row_10_versions_of_checkpoint_going_back,
    row_11_two_roots_of_one_size,
    row_22_sealed_at_goes_back_or_is_ahead,
    row_23_delete_markers,
    row_24_newer_versions_laid_over,
    row_25_locks_missing_liftable_or_short,
    row_26_objects_that_the_layout_does_not_know,
}
