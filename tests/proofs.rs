//! Proofs that leave the archive, over the whole road: events over HTTP, `sealog prove`, and `sealog check` without the
//! archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use store::directory::{self, Directory};
use tempfile::TempDir;
use verifier::testing::{ChainBuilder, events, store_objects};

use crate::harness::process::{Up, read, said, sealog};
use crate::harness::{archive, wait_for};

/// An archive that `sealog up` made, of three events and its own acts, in two segments at least.
struct Site {
    folder: TempDir,
    archive: PathBuf,
    origin: String,
    key: String,
}

impl Site {
    fn made() -> Site {
        let folder = tempfile::tempdir().unwrap();
        let up = Up::start(folder.path(), &[]);
        let archive = folder.path().join("archive");
        let origin = || {
            let store = Directory::open_read_only(&archive).ok()?;
            verifier::origins(&store).ok()?.pop()
        };
        let origin = wait_for("a chain in the archive", 30, origin);
        let store = Directory::open_read_only(&archive).unwrap();
        for (id, nth) in [("login-1", 1), ("login-2", 2), ("login-2", 3)] {
            // The same id from two producers: both are events.
            let body = format!(
                r#"{{"id":"{id}","source":"web-{nth}","action":"user.login","actor":"alice-{nth}"}}"#
            );
            assert_eq!(up.post(&body).0, 202, "{body}");
            let is_archived = || archive::ids(&store, &origin).len() == nth;
            wait_for("the event is archived", 30, || is_archived().then_some(()));
        }
        up.stop();
        let vkey = store::Notes::read(&store, &origin).unwrap().keys[0].vkey.to_string();
        let key = folder.path().join("operator.vkey");
        fs::write(&key, format!("{vkey}\n")).unwrap();
        Site { archive, origin, key: key.display().to_string(), folder }
    }

    fn prove(&self, args: &[&str]) -> Output {
        let index = self.path("index");
        sealog(&[&["prove", self.archive.to_str().unwrap(), "--index", &index], args].concat())
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn note(&self, size: u64) -> String {
        self.archive.join(&self.origin).join(format!("checkpoints/{size:020}.note")).display().to_string()
    }

    fn check(&self, proof: &str, more: &[&str]) -> Output {
        sealog(&[&["check", proof, "--key", &self.key], more].concat())
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn kept(name: &str, output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", error(output));
    fs::write(name, &output.stdout).unwrap();
    name.to_owned()
}

#[test]
fn an_event_is_proved_by_its_id_or_its_seq_and_checked_when_the_archive_is_gone() {
    let site = Site::made();
    let by_id = kept(&site.path("id.tlog-proof"), &site.prove(&["login-1"]));
    let store = Directory::open_read_only(&site.archive).unwrap();
    let events = archive::events(&store, &site.origin);
    let seq = events.iter().position(|event| event["id"] == "login-1").unwrap().to_string();
    let by_seq = kept(&site.path("seq.tlog-proof"), &site.prove(&[&seq]));
    assert_eq!(fs::read(&by_id).unwrap(), fs::read(&by_seq).unwrap());
    let first =
        kept(&site.path("first.tlog-proof"), &site.prove(&[&seq, "--chain", "0", "--in-tree", "first"]));
    assert_ne!(fs::read(&first).unwrap(), fs::read(&by_seq).unwrap(), "it leads to an earlier tree");

    // Two events have that id: both are said, and none is chosen.
    let two = site.prove(&["login-2"]);
    assert_eq!(two.status.code(), Some(2), "{}", error(&two));
    assert_eq!(error(&two).matches("seq ").count(), 2, "{}", error(&two));
    assert!(two.stdout.is_empty());

    let none = site.prove(&["login-9"]);
    assert_eq!((none.status.code(), none.stdout.len()), (Some(1), 0), "{}", error(&none));
    let beyond = site.prove(&["1000000"]);
    assert_eq!((beyond.status.code(), beyond.stdout.len()), (Some(1), 0), "{}", error(&beyond));
    assert!(error(&beyond).contains("no seq 1000000"), "{}", error(&beyond));
    let as_id = site.prove(&[&seq, "--id"]);
    assert_eq!(as_id.status.code(), Some(1), "no event has a number as its id: {}", error(&as_id));
    assert_eq!(site.prove(&["0", "--chain", "nowhere"]).status.code(), Some(2));
    assert_eq!(sealog(&["prove", "/nowhere/at/all", "0"]).status.code(), Some(2));
    #[cfg(feature = "http")]
    assert_eq!(sealog(&["prove", "http://127.0.0.1:1/", "0"]).status.code(), Some(3), "nobody listens there");

    let printed = said(&sealog(&["cat", site.archive.to_str().unwrap(), "--where", "id=login-1"]));
    fs::rename(&site.archive, site.folder.path().join("gone")).unwrap();
    for proof in [&by_id, &first] {
        let checked = site.check(proof, &[]);
        assert_eq!(checked.status.code(), Some(0), "{}", error(&checked));
        let words = said(&checked);
        let (line, sentence) = words.split_once('\n').unwrap();
        assert_eq!(format!("{line}\n"), printed, "the line that `sealog cat` prints");
        assert!(
            sentence.starts_with(&format!("proved: this event is seq {seq} of chain {}", site.origin)),
            "{words}"
        );
    }
    let json: Value = serde_json::from_str(&said(&site.check(&by_id, &["--json"]))).unwrap();
    assert_eq!((&json["holds"], &json["event"]["id"]), (&Value::from(true), &Value::from("login-1")));
    refusals(&site, &by_id);
}

/// What is wrong with a proof, a key or the question has its exit code, and nothing of the event is printed.
fn refusals(site: &Site, proof: &str) {
    let text = fs::read_to_string(proof).unwrap();
    let changed = site.path("changed");
    for (part, other) in [("index ", "index 1"), ("extra U0xQ", "extra U0xR"), ("\n\nlocal/", "\n\nlocel/")] {
        assert!(text.contains(part), "{text}");
        fs::write(&changed, text.replacen(part, other, 1)).unwrap();
        let refused = site.check(&changed, &[]);
        assert_eq!(
            (refused.status.code(), refused.stdout.len()),
            (Some(1), 0),
            "{part}: {}",
            error(&refused)
        );
        assert!(error(&refused).contains("not proved"), "{}", error(&refused));
        let json: Value = serde_json::from_str(&said(&site.check(&changed, &["--json"]))).unwrap();
        assert_eq!(json["holds"], false);
        assert!(json.get("event").is_none(), "{json}");
    }
    let other = schemas::Signing::from_seed(&[9; 32]).vkey("acme.example/audit/0").to_string();
    assert_eq!(sealog(&["check", proof, "--key", &other]).status.code(), Some(1));
    assert_eq!(sealog(&["check", proof]).status.code(), Some(2), "without a key nothing is proved");
    assert_eq!(sealog(&["check", &site.path("nothing"), "--key", &other]).status.code(), Some(2));
    assert_eq!(site.check(proof, &["--known", proof]).status.code(), Some(2));
}

#[test]
fn a_kept_checkpoint_is_shown_to_be_the_beginning_of_the_archive() {
    let site = Site::made();
    let sizes: Vec<u64> = sizes(&site.archive.join(&site.origin).join("checkpoints"));
    assert!(sizes.len() > 2, "{sizes:?}");
    let (old, new) = (sizes[1], sizes[sizes.len() - 1]);
    let note = site.path("kept.note");
    fs::copy(site.note(old), &note).unwrap();
    let grown = kept(&site.path("grown.proof"), &site.prove(&["--consistency", &note, "newest"]));
    let named = site.prove(&["--consistency", &note, &site.note(new)]);
    assert_eq!(named.stdout, fs::read(&grown).unwrap());
    let checked = site.check(&grown, &["--known", &note]);
    assert_eq!(checked.status.code(), Some(0), "{}", error(&checked));
    assert!(said(&checked).contains(&format!("begins with all {old} events")), "{}", said(&checked));
    let json: Value = serde_json::from_str(&said(&site.check(&grown, &["--json"]))).unwrap();
    assert_eq!((&json["old"]["size"], &json["new"]["size"]), (&Value::from(old), &Value::from(new)));

    let rows = site.path("rows");
    fs::write(&rows, [fs::read(site.note(new)).unwrap(), fs::read(&note).unwrap()].concat()).unwrap();
    assert_eq!(site.check(&grown, &["--known", &rows]).status.code(), Some(0), "it is one of those kept");
    let several = site.prove(&["--consistency", &rows, "newest"]);
    assert_eq!(several.status.code(), Some(2), "{}", error(&several));

    let other = site.check(&grown, &["--known", &site.note(new)]);
    assert_eq!(other.status.code(), Some(1), "another one was kept: {}", error(&other));
    let text = fs::read_to_string(&grown).unwrap();
    fs::write(site.path("changed"), text.replacen("old ", "old  ", 1)).unwrap();
    assert_eq!(site.check(&site.path("changed"), &[]).status.code(), Some(1));
    let back = site.prove(&["--consistency", &site.note(new), &note]);
    assert_eq!((back.status.code(), back.stdout.len()), (Some(1), 0), "{}", error(&back));
    assert_eq!(site.prove(&["--consistency", &site.key, "newest"]).status.code(), Some(2), "no checkpoint");
    assert_eq!(site.prove(&["--consistency", &note]).status.code(), Some(2));
}

fn sizes(folder: &Path) -> Vec<u64> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut sizes: Vec<u64> = names.map(|name| name.trim_end_matches(".note").parse().unwrap()).collect();
    sizes.sort_unstable();
    sizes
}

/// Two chains whose segments are of some hundred events.
fn two_chains() -> [ChainBuilder; 2] {
    ["acme.example/audit/0", "acme.example/audit/1"].map(|origin| {
        let mut chain = ChainBuilder::begin(origin, 7);
        chain.seal(events(0..300)).seal(events(300..900));
        chain
    })
}

fn in_a_folder(chains: &[ChainBuilder]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive");
    let store = Directory::open(&path, directory::Options { make_root: true }).unwrap();
    chains.iter().for_each(|chain| store_objects(&chain.objects, &store).unwrap());
    (folder, path.display().to_string())
}

#[test]
fn where_there_are_several_chains_the_one_that_is_meant_is_asked_for() {
    let chains = two_chains();
    let (folder, path) = in_a_folder(&chains);
    let index = folder.path().join("index").display().to_string();
    let prove = |args: &[&str]| sealog(&[&["prove", &path, "--index", &index], args].concat());
    let unsaid = prove(&["7"]);
    assert_eq!(unsaid.status.code(), Some(2));
    assert!(error(&unsaid).contains("audit/0, acme.example/audit/1"), "{}", error(&unsaid));
    let of_each = ["0", "1"].map(|chain| prove(&["7", "--chain", chain]).stdout);
    assert_ne!(of_each[0], of_each[1]);
    assert_eq!(prove(&["7", "--chain", "acme.example/audit/1"]).stdout, of_each[1]);
    assert_eq!(prove(&["e-7"]).status.code(), Some(2), "each of them has one");
    assert_eq!(prove(&["e-7", "--chain", "1"]).stdout, of_each[1]);

    let kept = folder.path().join("kept").display().to_string();
    fs::write(&kept, chains.iter().flat_map(|chain| chain.note(300)).collect::<Vec<u8>>()).unwrap();
    assert_eq!(prove(&["--consistency", &kept, "newest"]).status.code(), Some(2));
    let grown = prove(&["--consistency", &kept, "newest", "--chain", "1"]);
    assert_eq!(grown.status.code(), Some(0), "{}", error(&grown));
    let proof = folder.path().join("proof").display().to_string();
    fs::write(&proof, &grown.stdout).unwrap();
    // One key serves both chains.
    let key = chains[0].vkey().to_string();
    let checked = sealog(&["check", &proof, "--key", &key, "--known", &kept]);
    assert!(said(&checked).contains("of chain acme.example/audit/1"), "{}", error(&checked));
}

#[test]
fn an_archive_that_was_rewritten_has_no_proof_that_it_goes_on_from_what_was_kept() {
    let [chain, _] = two_chains();
    let mut other = ChainBuilder::begin("acme.example/audit/0", 7);
    other.seal(events(1_000..1_300)).seal(events(300..900));
    let (folder, path) = in_a_folder(&[other]);
    let kept = folder.path().join("kept").display().to_string();
    fs::write(&kept, chain.note(300)).unwrap();
    let refused = sealog(&["prove", &path, "--consistency", &kept, "newest"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0), "{}", error(&refused));
}

#[cfg(feature = "s3")]
#[test]
fn a_proof_from_a_bucket_that_somebody_wrote_to_is_the_one_from_a_clean_folder() {
    use crate::harness::s3::Bucket;
    use crate::harness::s3::intruder::Intruder;
    use crate::harness::s3::server::{Make, Server};

    let Some(bucket) = Bucket::new(Make::Minio) else { return };
    let chains = two_chains();
    chains.iter().for_each(|chain| store_objects(&chain.objects, &bucket.store()).unwrap());
    let (folder, path) = in_a_folder(&chains);
    let index = folder.path().join("index").display().to_string();
    let args = |event| vec![event, "--chain", "0", "--index", &index];
    let from_folder =
        ["300", "e-899"].map(|event| read("prove", std::slice::from_ref(&path), &[], &args(event)).stdout);
    let from_bucket = || {
        ["300", "e-899"].map(|event| {
            let output = read("prove", &bucket.place(), &bucket.env(), &args(event));
            assert_eq!(output.status.code(), Some(0), "{}", error(&output));
            output.stdout
        })
    };
    assert_eq!(from_bucket(), from_folder);
    let intruder = Intruder::as_root(&Server::shared(Make::Minio), &bucket.options.bucket);
    for key in [chains[0].segment_key(1), chains[0].trees_key(1)] {
        let right = &chains[0].objects[&key];
        let mut changed = right.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        intruder.lay_over(&format!("{}/{key}", bucket.options.prefix), &changed);
        intruder.lay_over(&format!("{}/{key}", bucket.options.prefix), b"junk");
    }
    fs::remove_dir_all(&index).unwrap();
    assert_eq!(from_bucket(), from_folder);
    let key = format!("{}/{}", bucket.options.prefix, chains[0].segment_key(1));
    intruder.delete(&key, None, false).unwrap();
    assert_eq!(from_bucket(), from_folder, "a delete marker hides it");
}
