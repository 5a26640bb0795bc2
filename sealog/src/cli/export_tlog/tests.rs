//! What an export does to its folder. Whether others can read it, tests/stock.rs sees.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use store::memory::Memory;
use verifier::testing::{ChainBuilder, Objects, events, store_objects};

use super::*;

const ORIGIN: &str = "acme.example/audit/0";

fn exported(objects: &Objects, to: &Path) -> Result<String> {
    let memory = Memory::new(Arc::new(SystemClock));
    store_objects(objects, &memory)?;
    let store: Arc<dyn Store> = Arc::new(memory);
    export(&store, ORIGIN, &Folder::open(to)?)
}

/// Every file of the log, by its path.
fn files(to: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, root: &Path, into: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                walk(&path, root, into)?;
            } else {
                into.insert(path.strip_prefix(root).unwrap().display().to_string(), fs::read(&path)?);
            }
        }
        Ok(())
    }
    let (root, mut found) = (to.join(ORIGIN), BTreeMap::new());
    walk(&root, &root, &mut found).unwrap();
    found
}

#[test]
fn an_export_goes_on_where_an_earlier_one_ended() {
    let (grown, anew) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    assert_eq!(exported(&chain.objects, grown.path()).unwrap(), "size 0, 0 files written, 0 were there");
    chain.seal(events(0..200)).seal(events(200..300));
    assert_eq!(exported(&chain.objects, grown.path()).unwrap(), "size 300, 5 files written, 0 were there");
    let full = grown.path().join(ORIGIN).join("tile/0/000");
    let written = fs::metadata(&full).unwrap().modified().unwrap();
    chain.seal(events(300..600));
    assert_eq!(exported(&chain.objects, grown.path()).unwrap(), "size 600, 5 files written, 2 were there");
    assert_eq!(exported(&chain.objects, grown.path()).unwrap(), "size 600, 0 files written, 7 were there");
    assert_eq!(fs::metadata(&full).unwrap().modified().unwrap(), written);

    exported(&chain.objects, anew.path()).unwrap();
    let (grown, anew) = (files(grown.path()), files(anew.path()));
    assert!(anew.iter().all(|(path, bytes)| grown.get(path) == Some(bytes)));
    let more: Vec<&str> = grown.keys().filter(|path| !anew.contains_key(*path)).map(String::as_str).collect();
    assert_eq!(
        more,
        ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"],
        "of the earlier checkpoint"
    );
}

#[test]
fn what_is_torn_or_gone_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    chain.seal(events(0..300));
    exported(&chain.objects, folder.path()).unwrap();
    let whole = files(folder.path());
    let log = folder.path().join(ORIGIN);
    // An export that ended before its checkpoint leaves anything behind; one that ended with it, nothing torn.
    chain.seal(events(300..520));
    fs::create_dir_all(log.join("tile/entries")).unwrap();
    fs::write(log.join("tile/entries/001"), vec![0; 256 * 86]).unwrap();
    fs::remove_file(log.join("tile/0/000")).unwrap();
    fs::write(log.join("tile/entries/000"), "cut").unwrap();
    exported(&chain.objects, folder.path()).unwrap();
    let (anew, now) = (tempfile::tempdir().unwrap(), files(folder.path()));
    exported(&chain.objects, anew.path()).unwrap();
    assert!(files(anew.path()).iter().all(|(path, bytes)| now.get(path) == Some(bytes)));
    assert_eq!(now["tile/0/000"], whole["tile/0/000"]);
}

#[test]
fn the_folder_of_another_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut chain, mut other) = (ChainBuilder::begin(ORIGIN, 7), ChainBuilder::begin(ORIGIN, 7));
    chain.seal(events(0..300));
    exported(&chain.objects, folder.path()).unwrap();
    let before = files(folder.path());
    let refused = |objects: &Objects| format!("{:#}", exported(objects, folder.path()).unwrap_err());
    other.seal(events(1..301));
    assert!(refused(&other.objects).contains("another log of this name"));
    let mut shorter = ChainBuilder::begin(ORIGIN, 7);
    shorter.seal(events(0..200));
    assert!(refused(&shorter.objects).contains("the archive ends at 200"));
    fs::write(folder.path().join(ORIGIN).join("checkpoint"), "garbage").unwrap();
    assert!(refused(&chain.objects).contains("no checkpoint"));
    fs::write(folder.path().join(ORIGIN).join("checkpoint"), &before["checkpoint"]).unwrap();
    assert_eq!(files(folder.path()), before, "nothing was written");
}

#[test]
fn a_damaged_archive_is_not_exported_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    chain.seal(events(0..200));
    exported(&chain.objects, folder.path()).unwrap();
    chain.seal(events(200..600));
    chain.change_trees(1, |trees| trees.completed[0].hashes[3] = schemas::Hash([3; 32]));
    let error = exported(&chain.objects, folder.path()).unwrap_err();
    assert!(format!("{error:#}").contains(&chain.trees_key(1)), "{error:#}");
    assert_eq!(files(folder.path())["checkpoint"], chain.note(200), "the earlier checkpoint stands");
}

#[test]
fn a_chain_that_cannot_be_read_keeps_none_of_the_others_from_being_exported() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Memory::new(Arc::new(SystemClock)));
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    chain.seal(events(0..300));
    store_objects(&chain.objects, &memory).unwrap();
    for junk in ["aaa/0", "zzz/0"] {
        memory.lay_over(&schemas::Layout::of(junk).key(&schemas::Place::Key(0)), b"junk");
    }
    let store: Arc<dyn Store> = Arc::new(memory);
    let origins = verifier::origins(store.as_ref()).unwrap();
    assert_eq!(origins, ["aaa/0", ORIGIN, "zzz/0"]);
    let mut said = Vec::new();
    let to = Folder::open(folder.path()).unwrap();
    let error = export_all(&store, &origins, &to, &mut said).unwrap_err().to_string();
    assert!(error.starts_with("2 of 3 chains") && error.contains("aaa/0/keys/"), "{error}");
    assert!(error.contains("zzz/0/keys/") && !error.contains(ORIGIN), "{error}");
    assert_eq!(
        String::from_utf8(said).unwrap(),
        format!("{ORIGIN}: size 300, 5 files written, 0 were there\n")
    );
    assert_eq!(files(folder.path())["checkpoint"], chain.note(300));
    let error = export_all(&store, &origins[..1], &to, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.starts_with("aaa/0: "), "{error}");
}

#[test]
fn two_exports_do_not_meet_in_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = Folder::open(folder.path()).unwrap();
    let refused = Folder::open(folder.path()).unwrap_err();
    assert!(refused.to_string().contains("another export"), "{refused}");
    drop(first);
    Folder::open(folder.path()).unwrap();
}
