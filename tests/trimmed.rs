//! What is archived is trimmed: the logs in the data folder stay bounded however much goes through.

use std::path::Path;

use crate::harness::process::{Up, files, said, sealog};
use crate::harness::wait_for;

fn log_bytes(folder: &Path) -> u64 {
    files(&folder.join("log")).iter().filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum()
}

#[test]
fn logs_stay_bounded_while_ten_times_as_much_goes_through() {
    let folder = tempfile::tempdir().unwrap();
    let small = [
        ("SEALOG_LOG_FILE_BYTES", "1MiB"),
        ("SEALOG_SEGMENT_MAX_IDLE", "50ms"),
        ("SEALOG_TRIMMER_RETRIES", "0s"),
    ];
    let up = Up::start(folder.path(), &small);
    let padding = "x".repeat(1_000);
    let mut sent = 0;
    for round in 0..40 {
        let body: String = (0..1_000)
            .map(|n| format!("{{\"id\":\"t-{round}-{n}\",\"action\":\"a\",\"padding\":\"{padding}\"}}\n"))
            .collect();
        sent += body.len() as u64;
        assert_eq!(up.post(&body).0, 202);
    }
    assert!(sent > 40_000_000);
    // Three lanes, each with the file that is written and one that is not wholly archived.
    wait_for("the logs are trimmed", 60, || (log_bytes(folder.path()) < 8 << 20).then_some(()));
    assert_eq!(up.post(r#"{"action":"after"}"#).0, 202);
    assert_eq!(up.stop().0.code(), Some(0));
    let up = Up::start(folder.path(), &small);
    let (status, last_words) = up.stop();
    assert_eq!(status.code(), Some(0), "a trimmed log is gone on with: {status} {last_words}");
    let archive = folder.path().join("archive");
    let verify = sealog(&["verify", archive.to_str().unwrap()]);
    assert_eq!(verify.status.code(), Some(0), "{}", said(&verify));
    let cat = sealog(&["cat", archive.to_str().unwrap(), "--where", "action=a", "--fields", "event"]);
    assert_eq!(said(&cat).lines().count(), 40_000);
}

#[test]
fn rejections_do_not_fill_the_disk_either() {
    let folder = tempfile::tempdir().unwrap();
    let up =
        Up::start(folder.path(), &[("SEALOG_LOG_FILE_BYTES", "1MiB"), ("SEALOG_SEGMENT_MAX_IDLE", "50ms")]);
    let body = format!("\"{}\"\n", "x".repeat(1_000)).repeat(1_000) + "{\"action\":\"a\"}\n";
    for _ in 0..10 {
        assert_eq!(up.post(&body).0, 207, "a string is no event, the last line is one");
    }
    let rejected = folder.path().join("log/audit.rejected-0");
    let bytes =
        || files(&rejected).iter().filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum::<u64>();
    wait_for("the queue for replay is trimmed", 60, || (bytes() < 4 << 20).then_some(()));
    assert_eq!(up.stop().0.code(), Some(0));
    let archive = folder.path().join("archive");
    let cat = sealog(&["cat", archive.to_str().unwrap(), "--where", "action=sealog.rejected"]);
    assert_eq!(said(&cat).lines().count(), 10_000, "each rejection is in the archive");
    assert_eq!(sealog(&["verify", archive.to_str().unwrap()]).status.code(), Some(0));
}
