//! A newcomer's first minutes: `sealog up`, an event, `sealog verify`, a byte that is changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::process::{Up, files, said, sealog};
use crate::harness::wait_for;

#[test]
fn an_event_is_sealed_archived_and_verified_while_it_runs_and_after_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    assert!(up.banner.contains("curl") && up.banner.contains("sealog verify "), "{}", up.banner);
    let (status, answer) = up.post(r#"{"action":"user.login","actor":"alice"}"#);
    assert_eq!(status, 202, "{answer}");
    let id = answer["results"][0]["id"].as_str().unwrap().to_owned();

    let archive = folder.path().join("archive");
    let archive = archive.to_str().unwrap();
    let shown = wait_for("the event is archived", 10, || {
        let cat = sealog(&["cat", archive, "--where", "action=user.login"]);
        said(&cat).contains(&id).then(|| said(&cat))
    });
    assert!(shown.contains("alice"), "{shown}");
    let verify = sealog(&["verify", archive]);
    assert!(said(&verify).contains("intact but unanchored"), "{}", said(&verify));
    assert_eq!(verify.status.code(), Some(0));

    let (status, last_words) = up.stop();
    assert_eq!(status.code(), Some(0), "{last_words}");
    assert!(last_words.contains("Everything is sealed and archived"), "{last_words}");
    let verify = sealog(&["verify", archive]);
    assert_eq!(verify.status.code(), Some(0), "{}", said(&verify));

    let segment =
        files(folder.path()).into_iter().rfind(|f| f.extension().is_some_and(|e| e == "avro")).unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() - 40;
    bytes[middle] ^= 1;
    fs::set_permissions(&segment, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&segment, bytes).unwrap();
    let verify = sealog(&["verify", archive]);
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert_eq!(verify.status.code(), Some(1));
    assert!(said(&verify).contains(name) && said(&verify).contains("seq"), "{}", said(&verify));
}

#[test]
fn everything_acknowledged_before_a_stop_is_archived_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    let events: String = (0..1_000).map(|n| format!("{{\"id\":\"n-{n}\",\"action\":\"a\"}}\n")).collect();
    assert_eq!(up.post(&events).0, 202);
    assert_eq!(up.stop().0.code(), Some(0));
    let cat = sealog(&["cat", folder.path().join("archive").to_str().unwrap(), "--where", "action=a"]);
    assert_eq!(said(&cat).lines().count(), 1_000);
}

#[test]
fn a_chain_goes_on_where_it_was_and_its_key_and_name_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut banners = Vec::new();
    for round in 0..3 {
        let up = Up::start(folder.path(), &[]);
        assert_eq!(up.post(&format!("{{\"id\":\"r-{round}\",\"action\":\"a\"}}")).0, 202);
        banners.push(up.banner.lines().find(|line| line.contains("public")).unwrap().to_owned());
        assert_eq!(up.stop().0.code(), Some(0));
    }
    assert!(banners.iter().all(|banner| *banner == banners[0]));
    let mode = fs::metadata(folder.path().join("chainer.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let archive = folder.path().join("archive");
    let archive = archive.to_str().unwrap();
    let cat = sealog(&["cat", archive]);
    assert_eq!(said(&cat).matches("sealog.start").count(), 3, "each start is on the record");
    assert_eq!(
        sealog(&["verify", archive, "--key", banners[0].trim().split(' ').next_back().unwrap()])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn several_chains_share_the_load_and_chain_0_records_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[("SEALOG_CHAINS", "3"), ("SEALOG_ORIGIN", "acme.example/audit")]);
    let archive = folder.path().join("archive");
    let archive = archive.to_str().unwrap();
    wait_for("the openings are archived", 20, || {
        let cat = sealog(&["cat", archive, "--where", "action=sealog.chain_opened"]);
        (said(&cat).lines().count() == 2).then_some(())
    });
    assert_eq!(up.stop().0.code(), Some(0));
    let verify = sealog(&["verify", archive]);
    assert_eq!(verify.status.code(), Some(0), "{}", said(&verify));
    fs::remove_dir_all(folder.path().join("archive/acme.example/audit/2")).unwrap();
    assert_eq!(sealog(&["verify", archive]).status.code(), Some(1), "a chain that is gone is missed");
}

#[test]
fn a_second_up_and_a_taken_port_are_refused_with_what_to_do() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let up = Up::start(folder.path(), &[]);
    let second = sealog(&["up", "--listen", "127.0.0.1:0", "--data", folder.path().to_str().unwrap()]);
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && error.contains(&up.url) && error.contains("--data"), "{error}");
    let port = up.url.strip_prefix("http://").unwrap();
    let taken = sealog(&["up", "--listen", port, "--data", other.path().to_str().unwrap()]);
    let error = String::from_utf8(taken.stderr).unwrap();
    assert!(!taken.status.success() && error.contains("--listen"), "{error}");
}

#[test]
fn metrics_tell_what_went_in_and_what_came_out() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    assert_eq!(up.post(r#"{"action":"a"}"#).0, 202);
    wait_for("both events are archived", 10, || {
        (up.metric("sealog_archiver_archived_size{chain=\"0\"}") >= 2.0).then_some(())
    });
    assert!(up.metric("sealog_chainer_events_total{chain=\"0\"}") >= 2.0);
    assert!(up.metric("sealog_chainer_last_seq{chain=\"0\"}") >= 1.0);
    let text = up.metrics();
    for name in ["sealog_chainer_commit_seconds", "sealog_archiver_oldest_waiting_seconds", "sealog_gateway_"]
    {
        assert!(text.contains(name), "{name} is missing from\n{text}");
    }
    assert_eq!(up.stop().0.code(), Some(0));
}

#[test]
fn when_the_archive_is_gone_a_stop_says_what_waits_and_the_next_start_archives_it() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, copy) = (folder.path().join("archive"), folder.path().join("copy"));
    let up = Up::start(folder.path(), &[]);
    assert_eq!(up.post(r#"{"id":"before","action":"a"}"#).0, 202);
    wait_for("it is archived", 10, || (up.metric("sealog_archiver_archived_size") >= 2.0).then_some(()));
    // The disk under the archive goes away: what was on it comes back later.
    for file in files(&archive) {
        let to = copy.join(file.strip_prefix(&archive).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, to).unwrap();
    }
    fs::remove_dir_all(&archive).unwrap();
    assert_eq!(up.post(r#"{"id":"meanwhile","action":"a"}"#).0, 202);
    wait_for("it is sealed", 10, || (up.metric("sealog_chainer_last_seq") >= 2.0).then_some(()));
    let (status, last_words) = up.stop_at_once();
    assert_eq!(status.code(), Some(0), "{last_words}");
    assert!(last_words.contains("Events that wait, sealed and durable: "), "{last_words}");

    fs::rename(&copy, &archive).unwrap();
    let up = Up::start(folder.path(), &[]);
    assert_eq!(up.stop().0.code(), Some(0));
    let archive = archive.to_str().unwrap();
    let cat = said(&sealog(&["cat", archive, "--where", "action=a"]));
    assert!(cat.contains("before") && cat.contains("meanwhile") && cat.lines().count() == 2, "{cat}");
    assert_eq!(sealog(&["verify", archive]).status.code(), Some(0));
}

#[test]
fn when_nothing_can_be_signed_a_stop_does_not_say_that_all_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let (guards, away) = (folder.path().join("guards"), folder.path().join("away"));
    let up = Up::start(folder.path(), &[]);
    wait_for("its start is archived", 10, || {
        (up.metric("sealog_archiver_archived_size") >= 1.0).then_some(())
    });
    fs::rename(&guards, &away).unwrap();
    assert_eq!(up.post(r#"{"id":"waits","action":"a"}"#).0, 202);
    let (status, last_words) = up.stop_at_once();
    assert_eq!(status.code(), Some(1), "{last_words}");
    assert!(last_words.contains("Stopped before everything was sealed: "), "{last_words}");
    assert!(!last_words.contains("Everything is sealed"), "{last_words}");

    fs::rename(&away, &guards).unwrap();
    let up = Up::start(folder.path(), &[]);
    assert_eq!(up.stop().0.code(), Some(0));
    let archive = folder.path().join("archive");
    let cat = said(&sealog(&["cat", archive.to_str().unwrap(), "--where", "action=a"]));
    assert!(cat.contains("waits") && cat.lines().count() == 1, "{cat}");
}

#[test]
fn beyond_loopback_it_asks_for_tokens_and_tls_first() {
    let folder = tempfile::tempdir().unwrap();
    let refused = sealog(&["up", "--listen", "0.0.0.0:0", "--data", folder.path().to_str().unwrap()]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && error.contains("token"), "{error}");
}
