//! The contract over a folder, and what only a folder has: steps, crashes, links, modes, a read-only root.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;
use tempfile::{TempDir, tempdir};

use super::disk::Step;
use super::*;
use crate::conformance::Case;

crate::conformance!(in_a_folder);

fn in_a_folder(case: Case) {
    let root = tempdir().unwrap();
    case(&open(&root));
}

fn open(root: &TempDir) -> Directory {
    Directory::open(root, Options::default()).unwrap()
}

/// A store that asks `before` ahead of each step.
fn open_watched(
    root: &TempDir,
    before: impl Fn(Step) -> io::Result<()> + Send + Sync + 'static,
) -> Result<Directory> {
    Directory::open_on(Disk { before: Some(Box::new(before)) }, root.path(), Options::default())
}

/// A store whose process dies ahead of the `nth` step: that one fails, and all that follow.
fn open_dying(root: &TempDir, nth: usize) -> (Result<Directory>, Arc<AtomicBool>) {
    let (steps, died) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let seen = died.clone();
    let store = open_watched(root, move |_| {
        if steps.fetch_add(1, Ordering::SeqCst) < nth {
            return Ok(());
        }
        seen.store(true, Ordering::SeqCst);
        Err(Errno::IO.into())
    });
    (store, died)
}

/// A store whose every `step` fails.
fn open_failing(root: &TempDir, step: Step, errno: Errno) -> Directory {
    open_watched(root, move |at| if at == step { Err(errno.into()) } else { Ok(()) }).unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> Kind {
    result.unwrap_err().kind()
}

fn keys(store: &Directory) -> Vec<(String, u64)> {
    let page = store.list("", "", Listing::Newest(1_000)).unwrap();
    page.entries.into_iter().map(|entry| (entry.key, entry.size_bytes)).collect()
}

fn parts_in(root: &TempDir) -> usize {
    let names = fs::read_dir(root.path().join(".tmp")).unwrap();
    names.filter(|name| name.as_ref().unwrap().path().extension().is_some_and(|end| end == "part")).count()
}

/// Everything below the root, with what a write would change.
fn snapshot(root: &std::path::Path) -> BTreeMap<PathBuf, (u64, u32, i64, i64, i64, i64)> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(path) = open.pop() {
        let m = fs::symlink_metadata(&path).unwrap();
        if m.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        all.insert(path, (m.ino(), m.mode(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()));
    }
    all
}

#[test]
fn the_file_is_synced_before_it_is_linked_and_its_folders_before_the_answer() {
    use Step::*;
    let root = tempdir().unwrap();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = steps.clone();
    let store = open_watched(&root, move |step| {
        seen.lock().unwrap().push(step);
        Ok(())
    });
    let store = store.unwrap();
    let taken = || std::mem::take(&mut *steps.lock().unwrap());
    assert_eq!(taken(), [MakeFolder]);
    store.put_new("a/b", b"1", Keep::Evidence).unwrap();
    let file = [Create, Write, MakeReadOnly, SyncFile];
    assert_eq!(taken(), [&[MakeFolder], &file[..], &[Link, SyncFolder, SyncFolder, Remove]].concat());
    assert_eq!(kind(store.put_new("a/b", b"2", Keep::Evidence)), Kind::Exists);
    assert_eq!(taken(), [SyncFolder, SyncFolder]);
    let tag = store.get("a/b", None, None, 9).unwrap().tag;
    assert_eq!(taken(), []);
    store.replace_if("a/b", Some(&tag), b"3", Keep::Hint).unwrap();
    assert_eq!(taken(), [&file[..], &[Rename, SyncFolder, SyncFolder]].concat());
}

#[test]
fn a_put_that_dies_at_any_step_leaves_all_or_nothing_and_the_next_open_clears() {
    let body = vec![7; 100_000];
    for nth in 0.. {
        let root = tempdir().unwrap();
        let (store, died) = open_dying(&root, nth);
        let answer = store.and_then(|store| store.put_new("a/b/c", &body, Keep::Evidence));
        if !died.load(Ordering::SeqCst) {
            assert_eq!(nth, 12, "the number of steps");
            answer.unwrap();
            break;
        }
        // The last step only removes the temporary: by then the write is done.
        assert_eq!(answer.is_ok(), nth == 11, "step {nth}");
        let next = open(&root);
        assert_eq!(parts_in(&root), 0);
        match next.get("a/b/c", None, None, u64::MAX) {
            Ok(object) => assert!(object.bytes == body && nth > 7, "step {nth}"),
            Err(error) => assert!(error.kind() == Kind::Missing && nth <= 7, "step {nth}"),
        }
        match next.put_new("a/b/c", &body, Keep::Evidence) {
            Ok(_) => assert!(nth <= 7),
            Err(error) => assert!(error.kind() == Kind::Exists && nth > 7, "step {nth}: {error}"),
        }
    }
}

#[test]
fn a_replace_that_dies_at_any_step_leaves_the_old_or_the_new() {
    for nth in 1.. {
        let root = tempdir().unwrap();
        open(&root).put_new("hint", b"old", Keep::Hint).unwrap();
        let (store, died) = open_dying(&root, nth - 1);
        let store = store.unwrap();
        let tag = store.get("hint", None, None, 9).unwrap().tag;
        let answer = store.replace_if("hint", Some(&tag), b"new", Keep::Hint);
        let now = open_after(store, &root).get("hint", None, None, 9).unwrap().bytes;
        assert_eq!(parts_in(&root), 0);
        if !died.load(Ordering::SeqCst) {
            assert_eq!((nth - 1, now.as_slice()), (6, b"new".as_slice()));
            answer.unwrap();
            break;
        }
        assert_eq!(kind(answer), Kind::Away);
        assert_eq!(now, if nth - 1 < 5 { b"old" } else { b"new" });
    }
}

/// As a process does that starts after another has died.
fn open_after(dead: Directory, root: &TempDir) -> Directory {
    drop(dead);
    open(root)
}

#[test]
fn a_write_that_died_is_made_to_last_before_its_trace_is_removed() {
    let root = tempdir().unwrap();
    open(&root);
    let steps = Arc::new(Mutex::new(Vec::new()));
    let watch = || {
        let seen = steps.clone();
        move |step| {
            seen.lock().unwrap().push(step);
            Ok(())
        }
    };
    open_watched(&root, watch()).unwrap();
    assert_eq!(std::mem::take(&mut *steps.lock().unwrap()), []);
    fs::write(root.path().join(".tmp/0123.part"), b"half").unwrap();
    open_watched(&root, watch()).unwrap();
    assert_eq!(*steps.lock().unwrap(), [Step::SyncAll, Step::Remove]);
}

#[test]
fn the_temporaries_of_a_living_process_are_left_alone() {
    let root = tempdir().unwrap();
    let living = open(&root);
    fs::write(root.path().join(".tmp/0123.part"), b"half").unwrap();
    let second = open(&root);
    assert_eq!(parts_in(&root), 1);
    second.put_new("a", b"1", Keep::Evidence).unwrap();
    drop(living);
    // The second still writes.
    let third = open(&root);
    assert_eq!(parts_in(&root), 1);
    drop((second, third));
    open(&root);
    assert_eq!(parts_in(&root), 0);
}

#[test]
fn a_write_that_fails_leaves_no_temporary_and_names_the_path() {
    for (step, errno, expected) in [
        (Step::Create, Errno::ACCESS, Kind::Refused),
        (Step::Write, Errno::NOSPC, Kind::Away),
        (Step::SyncFile, Errno::IO, Kind::Away),
        (Step::Link, Errno::DQUOT, Kind::Away),
        (Step::MakeFolder, Errno::ROFS, Kind::Refused),
    ] {
        let root = tempdir().unwrap();
        open(&root);
        let store = open_failing(&root, step, errno);
        let error = store.put_new("a/b", b"1", Keep::Evidence).unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
        let path = root.path().join("a/b");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(parts_in(&root), 0);
        assert_eq!(keys(&store), []);
    }
}

#[test]
fn objects_end_read_only_and_nothing_of_the_write_is_left() {
    let root = tempdir().unwrap();
    let store = open(&root);
    store.put_new("a/b", b"1", Keep::Evidence).unwrap();
    store.replace_if("hint", None, b"1", Keep::Hint).unwrap();
    let tag = store.get("hint", None, None, 9).unwrap().tag;
    store.replace_if("hint", Some(&tag), b"2", Keep::Hint).unwrap();
    for key in ["a/b", "hint"] {
        let metadata = fs::metadata(root.path().join(key)).unwrap();
        assert_eq!((metadata.permissions().mode() & 0o7777, metadata.nlink()), (0o444, 1), "{key}");
    }
    assert_eq!(parts_in(&root), 0);
}

#[test]
fn a_replace_is_dated_later_than_what_it_replaces_though_the_clock_went_back() {
    let root = tempdir().unwrap();
    let store = open(&root);
    store.put_new("hint", b"1", Keep::Hint).unwrap();
    let file = fs::File::open(root.path().join("hint")).unwrap();
    let future = std::time::UNIX_EPOCH + std::time::Duration::new(4_000_000_000, 999_999_900);
    file.set_modified(future).unwrap();
    let before = store.get("hint", None, None, 9).unwrap();
    store.replace_if("hint", Some(&before.tag), b"2", Keep::Hint).unwrap();
    let after = store.get("hint", None, None, 9).unwrap();
    assert!(after.modified > before.modified, "{:?} is not after {:?}", after.modified, before.modified);
    assert_eq!(kind(store.replace_if("hint", Some(&before.tag), b"3", Keep::Hint)), Kind::Changed);
}

#[test]
fn what_is_no_object_is_listed_and_never_read() {
    let root = tempdir().unwrap();
    let outside = tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    let store = open(&root);
    store.put_new("a/object", b"four", Keep::Evidence).unwrap();
    symlink(outside.path(), root.path().join("folder")).unwrap();
    symlink(outside.path().join("secret"), root.path().join("a/link")).unwrap();
    let _socket = UnixListener::bind(root.path().join("a/socket")).unwrap();
    for name in [&b"\xff"[..], b"\xfe"] {
        fs::write(root.path().join("a").join(OsStr::from_bytes(name)), b"not UTF-8").unwrap();
    }
    let odd = |key: &str| (key.to_owned(), 0);
    // Two names that are not UTF-8 are two entries.
    let (fe, ff) = (odd("a/\u{fffd}fe"), odd("a/\u{fffd}ff"));
    let listed = [odd("a/link"), ("a/object".to_owned(), 4), odd("a/socket"), fe, ff, odd("folder")];
    assert_eq!(keys(&store), listed);
    for key in ["a/link", "folder", "folder/secret", "a/socket"] {
        assert_eq!(kind(store.get(key, None, None, 100)), Kind::Refused, "{key}");
        assert_eq!(kind(store.put_new(key, b"mine", Keep::Evidence)), Kind::Refused, "{key}");
        assert_eq!(kind(store.replace_if(key, None, b"mine", Keep::Hint)), Kind::Refused, "{key}");
    }
    assert_eq!(kind(store.get("a/\u{fffd}ff", None, None, 100)), Kind::Missing);
    assert_eq!(kind(store.list("folder/", "", Listing::Newest(9))), Kind::Refused);
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_cannot_take_the_place_of_an_object_nor_an_object_that_of_a_folder() {
    let root = tempdir().unwrap();
    let store = open(&root);
    store.put_new("a/b", b"1", Keep::Evidence).unwrap();
    assert_eq!(kind(store.put_new("a", b"2", Keep::Evidence)), Kind::Refused);
    assert_eq!(kind(store.replace_if("a", None, b"2", Keep::Hint)), Kind::Refused);
    assert_eq!(kind(store.put_new("a/b/c", b"2", Keep::Evidence)), Kind::Refused);
    assert_eq!(keys(&store), [("a/b".to_owned(), 1)]);
    assert_eq!(parts_in(&root), 0);
}

#[test]
fn a_read_only_store_writes_nothing() {
    let root = tempdir().unwrap();
    fs::create_dir_all(root.path().join("a")).unwrap();
    fs::write(root.path().join("a/b"), b"four").unwrap();
    let before = snapshot(root.path());
    let store = Directory::open_read_only(&root).unwrap();
    assert_eq!(store.get("a/b", None, None, 100).unwrap().bytes, b"four");
    assert_eq!(keys(&store), [("a/b".to_owned(), 4)]);
    let tag = store.get("a/b", None, None, 100).unwrap().tag;
    assert_eq!(kind(store.put_new("c/d", b"1", Keep::Evidence)), Kind::Refused);
    assert_eq!(kind(store.put_new("a/b", b"1", Keep::Evidence)), Kind::Refused);
    assert_eq!(kind(store.replace_if("a/b", Some(&tag), b"1", Keep::Hint)), Kind::Refused);
    assert_eq!(kind(store.replace_if("e", None, b"1", Keep::Hint)), Kind::Refused);
    drop(store);
    assert_eq!(snapshot(root.path()), before);
}

#[test]
fn a_root_that_is_missing_is_said_so_and_made_only_when_asked() {
    let above = tempdir().unwrap();
    let root = above.path().join("data/archive");
    for opened in [Directory::open_read_only(&root), Directory::open(&root, Options::default())] {
        let error = opened.err().unwrap();
        assert_eq!(error.kind(), Kind::Missing);
        assert!(error.to_string().contains("data/archive"), "{error}");
    }
    assert_eq!(fs::read_dir(above.path()).unwrap().count(), 0);
    let store = Directory::open(&root, Options { make_root: true }).unwrap();
    store.put_new("a", b"1", Keep::Evidence).unwrap();
    drop(store);
    assert_eq!(keys(&Directory::open(&root, Options { make_root: true }).unwrap()), [("a".to_owned(), 1)]);
    let error = Directory::open_read_only(root.join("a")).err().unwrap();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
}
