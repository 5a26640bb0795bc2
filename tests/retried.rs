//! A request whose answer was lost with the gateway is answered as the first time when it comes again, also when what
//! it brought has been archived meanwhile.

use std::path::Path;

use crate::harness::process::{Up, post_with_key, said, sealog};
use crate::harness::wait_for;

const BODY: &str = "{\"action\":\"paid\"}\n{\"action\":\"paid\"}\n";

const MORE: usize = 3_000;

/// Waits until the trimmer has looked at all that is archived now.
fn trimmed(up: &Up) {
    let passes = || up.metric("sealog_trimmer_passes_total");
    let before = passes();
    // The first of two that end from now on may have begun before.
    wait_for("the trimmer has looked", 30, || (passes() >= before + 2.0).then_some(()));
}

fn paid(folder: &Path) -> usize {
    said(&sealog(&["cat", folder.join("archive").to_str().unwrap(), "--where", "action=paid"]))
        .lines()
        .count()
}

/// Sends a request, kills the gateway when it is archived and the trimmer has been there, and sends it again. Answers
/// whether the answers were the same, and how many events there are in the end.
fn retried_after_a_kill(retries: &str) -> (bool, usize) {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("SEALOG_LOG_FILE_BYTES", "1MiB"),
        ("SEALOG_SEGMENT_MAX_IDLE", "50ms"),
        ("SEALOG_TRIMMER_RETRIES", retries),
    ];
    let up = Up::start(folder.path(), &settings);
    let first = post_with_key(&up.url, "a-key", BODY).unwrap();
    assert_eq!(first.0, 202, "{first:?}");
    // More than a file of the log holds: whole files are what goes.
    let more = format!("{{\"action\":\"more\",\"padding\":\"{}\"}}\n", "x".repeat(1_000)).repeat(MORE);
    assert_eq!(up.post(&more).0, 202);
    let all = (1 + 2 + MORE) as f64;
    wait_for("it is archived", 20, || (up.metric("sealog_archiver_archived_size") >= all).then_some(()));
    trimmed(&up);
    up.kill();
    let up = Up::start(folder.path(), &settings);
    let again = post_with_key(&up.url, "a-key", BODY).unwrap();
    let other = post_with_key(&up.url, "another-key", BODY).unwrap();
    assert_eq!((again.0, other.0), (202, 202));
    assert_ne!(again.1["results"], other.1["results"]);
    assert_eq!(up.stop().0.code(), Some(0));
    let verify = sealog(&["verify", folder.path().join("archive").to_str().unwrap()]);
    assert_eq!(verify.status.code(), Some(0), "{}", said(&verify));
    (again == first, paid(folder.path()))
}

#[test]
fn a_retry_after_a_kill_is_known_though_all_of_it_was_archived() {
    let (same, events) = retried_after_a_kill("10m");
    assert!(same, "it is answered as the first time");
    assert_eq!(events, 2 + 2, "each request is sealed once");
}

#[test]
fn where_nothing_is_kept_for_retries_one_is_sealed_twice() {
    let (_, events) = retried_after_a_kill("0s");
    assert_eq!(events, 2 + 2 + 2, "this is what the time is for");
}
