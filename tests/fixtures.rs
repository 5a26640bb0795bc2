//! A data folder and an archive of version 1 stand as fixtures: this version verifies them and goes on with them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::process::{Up, files, said, sealog};

fn a_copy_of_v1() -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/v1");
    let folder = tempfile::tempdir().unwrap();
    for file in files(&from) {
        let to = folder.path().join(file.strip_prefix(&from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

fn sent(archive: &str) -> usize {
    said(&sealog(&["cat", archive, "--where", "action=fixture.event"])).lines().count()
}

#[test]
fn the_archive_of_v1_verifies_against_a_checkpoint_that_was_kept() {
    let folder = a_copy_of_v1();
    let archive = folder.path().join("archive");
    let archive = archive.to_str().unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/kept");
    let key = fs::read_to_string(kept.join("vkey")).unwrap();
    let known: Vec<String> = files(&kept)
        .iter()
        .filter(|f| f.extension().is_some_and(|e| e == "note"))
        .map(|f| f.display().to_string())
        .collect();
    let mut args = vec!["verify", archive, "--key", key.trim()];
    for note in &known {
        args.extend(["--known", note.as_str()]);
    }
    let verify = sealog(&args);
    assert!(said(&verify).ends_with("verdict: intact\n"), "{}", said(&verify));
    assert_eq!(sent(archive), 800);
}

#[test]
fn the_data_folder_of_v1_is_gone_on_with() {
    let folder = a_copy_of_v1();
    let up = Up::start(folder.path(), &[("SEALOG_CHAINS", "2")]);
    let (status, answer) = up.post(r#"{"id":"of-today","action":"fixture.event"}"#);
    assert_eq!(status, 202, "{answer}");
    let (status, last_words) = up.stop();
    assert_eq!(status.code(), Some(0), "{last_words}");
    let archive = folder.path().join("archive");
    let archive = archive.to_str().unwrap();
    assert_eq!(sent(archive), 801);
    let verify = sealog(&["verify", archive]);
    assert_eq!(verify.status.code(), Some(0), "{}", said(&verify));
}
