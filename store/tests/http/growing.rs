//! A copy that changes while it is listed, or of which the server hides a part.

use std::fs;
use std::time::Duration;

use store::{Kind, Listing, Store};

use super::faults::{keys, serving};
use super::server::Instead;

/// Long enough for a request that is on its way already.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

#[test]
fn a_listed_folder_that_is_not_there_is_asked_for_again_and_never_empty() {
    let all = ["a/segments/date=2026-11-20/1", "a/segments/date=2026-11-21/2", "a/trees/2"];
    let objects: Vec<(&str, &[u8])> = all.iter().map(|key| (*key, b"x".as_slice())).collect();
    let (_folder, server, store) = serving(&objects);
    for hidden in ["a/", "a/segments/", "a/segments/date=2026-11-20/", "a/trees/"] {
        server.instead(hidden, Instead::Status(404, 1));
        assert_eq!(keys(&store, "", ""), all, "{hidden}");
        server.instead(hidden, Instead::Status(404, 1_000));
        let error = store.list("", "", Listing::Newest(10)).unwrap_err();
        assert_eq!(error.kind(), Kind::Away, "{hidden}");
        assert!(error.to_string().starts_with(hidden), "{error}");
        assert_eq!(keys(&store, hidden, ""), [""; 0], "no folder lists what the prefix names");
        server.instead(hidden, Instead::Status(404, 0));
    }
}

#[test]
fn what_a_listed_checkpoint_covers_is_listed_however_fast_the_archive_grows() {
    let objects: [(&str, &[u8]); 4] = [
        ("a/checkpoints/1", b""),
        ("a/segments/date=2026-11-21/1", b""),
        ("a/trees/1", b""),
        ("b/keys/0", b""),
    ];
    let (folder, server, store) = serving(&objects);
    let root = folder.path().to_owned();
    server.before("a/checkpoints/", move |before| {
        // Whatever else is asked for by now is answered as it was.
        before.is_asked_within("a/trees/", ON_ITS_WAY);
        for grown in ["a/segments/date=2026-11-21/2", "a/trees/2", "a/checkpoints/2"] {
            fs::write(root.join(grown), "").unwrap();
        }
    });
    let listed = [
        "a/checkpoints/1",
        "a/checkpoints/2",
        "a/segments/date=2026-11-21/1",
        "a/segments/date=2026-11-21/2",
        "a/trees/1",
        "a/trees/2",
        "b/keys/0",
    ];
    assert_eq!(keys(&store, "", ""), listed);
}

#[test]
fn a_folder_that_comes_to_be_beside_the_checkpoints_is_listed() {
    let (folder, server, store) = serving(&[("a/checkpoints/1", b""), ("a/keys/0", b"")]);
    let root = folder.path().to_owned();
    server.before("a/checkpoints/", move |_| {
        for grown in ["a/segments/date=2026-11-21/1", "a/trees/1"] {
            fs::create_dir_all(root.join(grown).parent().unwrap()).unwrap();
            fs::write(root.join(grown), "").unwrap();
        }
    });
    let listed = ["a/checkpoints/1", "a/keys/0", "a/segments/date=2026-11-21/1", "a/trees/1"];
    assert_eq!(keys(&store, "a/", ""), listed);
    assert_eq!(
        server.asked(),
        ["a/", "a/checkpoints/", "a/", "a/keys/", "a/segments/", "a/segments/date=2026-11-21/", "a/trees/"]
    );
}

#[test]
fn days_beside_each_other_are_asked_for_at_once() {
    let objects: [(&str, &[u8]); 2] =
        [("a/segments/date=2026-11-20/1", b""), ("a/segments/date=2026-11-21/2", b"")];
    let (_folder, server, store) = serving(&objects);
    server.before("a/segments/date=2026-11-20/", |before| {
        assert!(before.is_asked_within("a/segments/date=2026-11-21/", Duration::from_secs(20)));
    });
    assert_eq!(keys(&store, "", ""), objects.map(|(key, _)| key));
}
