//! `?wait=`: whoever asks for it is answered when an event is sealed, or archived, and can prove it by what was answered.

use std::fs;

use serde_json::Value;

use crate::harness::process::{Up, files, is_whole, said, sealog};

const A_LOGIN: &str = r#"{"action":"user.login","actor":"alice"}"#;

fn only(answer: &Value) -> &Value {
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "{answer}");
    &results[0]
}

/// The public key that the first words name.
fn vkey(up: &Up) -> &str {
    let line = up.banner.lines().find(|line| line.contains("public")).unwrap();
    line.split_whitespace().last().unwrap()
}

#[test]
fn the_answer_names_the_place_that_cat_shows() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    let (status, answer) = up.post_waiting("?wait=sealed", None, A_LOGIN);
    let told = only(&answer).clone();
    assert_eq!((status, told["status"].as_str()), (200, Some("sealed")), "{answer}");
    assert_eq!(up.stop().0.code(), Some(0));

    let archive = folder.path().join("archive");
    let cat = sealog(&["cat", archive.to_str().unwrap(), "--where", "action=user.login"]);
    let shown: Value = serde_json::from_str(said(&cat).trim()).unwrap();
    assert_eq!(
        (&shown["seq"], &shown["hash"], &shown["event"]["id"]),
        (&told["seq"], &told["hash"], &told["id"])
    );
}

#[test]
fn the_proof_in_the_answer_holds_without_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[("SEALOG_SEGMENT_MAX_AGE", "1s")]);
    let (status, answer) = up.post_waiting("?wait=archived&seconds=60", None, A_LOGIN);
    let told = only(&answer);
    assert_eq!((status, told["status"].as_str()), (200, Some("archived")), "{answer}");
    let proof = folder.path().join("login.tlog-proof");
    fs::write(&proof, told["proof"].as_str().unwrap()).unwrap();
    let vkey = vkey(&up).to_owned();
    drop(up);

    fs::remove_dir_all(folder.path().join("archive")).unwrap();
    let check = sealog(&["check", proof.to_str().unwrap(), "--key", &vkey]);
    assert_eq!(check.status.code(), Some(0), "{}{}", said(&check), String::from_utf8_lossy(&check.stderr));
    assert!(
        said(&check).contains("alice") && said(&check).contains(told["hash"].as_str().unwrap()),
        "{}",
        said(&check)
    );
}

#[test]
fn a_retry_after_a_kill_is_told_the_first_try_s_place() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    let (_, first) = up.post_waiting("?wait=sealed", Some("once"), A_LOGIN);
    up.kill();
    let up = Up::start(folder.path(), &[]);
    let (status, again) = up.post_waiting("?wait=sealed", Some("once"), A_LOGIN);
    assert_eq!((status, only(&again)), (200, only(&first)));
    assert_eq!(up.stop().0.code(), Some(0));
    assert!(files(folder.path()).iter().any(|file| file.extension().is_some_and(|e| e == "avro")));
    is_whole(&[folder.path().join("archive").to_str().unwrap().to_owned()], &[], "after a kill and a retry");
}
