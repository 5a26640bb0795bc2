//! Keys at which more versions lie than anybody looks into: whether the right one is among them is not known. It is said,
//! nothing is concluded from it, and other keys are gone on with.

use archiver::repair::plan;
use runtime::Failure;
use schemas::{Layout, Place};
use store::memory::Memory;
use store::versions::MAX_VERSIONS;

use crate::jammed::{archive_into, expected, is_as_expected, is_hint, newest, sealed, up_to};
use crate::repairing::{an_archive, first_cut, repair};

/// Lays the bytes where nobody looks: in the middle of so much junk.
pub fn bury(store: &Memory, key: &str, bytes: &[u8]) {
    let _ = store.remove(key);
    let lay_junk = || (0..MAX_VERSIONS / 2).for_each(|_| drop(store.lay_over(key, b"junk")));
    lay_junk();
    store.lay_over(key, bytes);
    lay_junk();
}

pub fn says_what_to_do(result: Result<(), Failure>, key: &str) {
    let Err(Failure::Halt(why)) = result else { panic!("{key}: it goes on: {result:?}") };
    for part in [key, "too many versions", "Nothing was laid over them", "sealog archiver --lay-over-junk"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(!why.contains("other bytes"), "nobody knows that: {why}");
}

#[test]
fn an_archiver_says_that_there_are_too_many_and_told_to_lays_what_is_due_on_top() {
    let rig = sealed();
    let expected = expected(&rig);
    for (key, bytes) in expected.iter().filter(|(key, _)| !is_hint(key)) {
        let store = up_to(key, &expected, &rig);
        bury(&store, key, bytes);
        says_what_to_do(archive_into(&rig, &store, false), key);
        assert_eq!(newest(&store, key), b"junk");
        archive_into(&rig, &store, true).unwrap_or_else(|why| panic!("{key}: {why}"));
        assert!(is_as_expected(&store, &expected), "{key}");
        archive_into(&rig, &store, false).unwrap();
    }
}

#[test]
fn a_start_without_a_position_puts_again_what_may_be_buried() {
    let rig = sealed();
    let expected = expected(&rig);
    let buried = |key: &String| !is_hint(key) && !key.contains("/keys/") && !key.contains("/schemas/");
    for (key, bytes) in expected.iter().filter(|(key, _)| buried(key)) {
        let store = up_to("", &expected, &rig);
        bury(&store, key, bytes);
        rig.stream.forget_positions();
        says_what_to_do(archive_into(&rig, &store, false), key);
        archive_into(&rig, &store, true).unwrap_or_else(|why| panic!("{key}: {why}"));
        assert!(is_as_expected(&store, &expected), "{key}");
    }
}

#[test]
fn a_repair_reports_such_a_key_and_puts_the_others_right() {
    let (rig, contents) = an_archive();
    let (trees, _, segment) = first_cut(&rig, &contents);
    let schema = contents.keys().find(|key| key.contains("/schemas/")).unwrap();
    let notes: Vec<_> = contents.keys().filter(|key| key.contains("/checkpoints/")).collect();
    let other = Layout::of(&rig.chain()).key(&Place::Key(0));
    for key in [schema, &trees, &segment, notes[0], notes[1]] {
        bury(&rig.store, key, &contents[key]);
        rig.store.lay_over(&other, b"junk");
        let found = plan(rig.store(), &rig.chain()).unwrap();
        let [lost] = found.lost.as_slice() else { panic!("{key}: {:?}", found.lost) };
        assert!(lost.key == *key && lost.why.contains("too many versions"), "{lost:?}");
        assert_eq!(repair(&rig), [other.as_str()], "{key}");
        assert!(newest(&rig.store, &other) == contents[&other]);
        assert!(rig.store.remove(key));
        rig.store.lay_over(key, &contents[key]);
    }
    // What leans on a note of which nothing is known is left open too, and not called lost for good.
    bury(&rig.store, notes[1], &contents[notes[1]]);
    rig.store.lay_over(&segment, b"junk");
    rig.store.lay_over(&other, b"junk");
    let found = plan(rig.store(), &rig.chain()).unwrap();
    let mut lost: Vec<_> = found.lost.iter().map(|lost| lost.key.as_str()).collect();
    lost.sort_unstable();
    assert_eq!(lost, [notes[1].as_str(), segment.as_str()]);
    assert!(found.lost.iter().all(|lost| lost.why.contains("too many versions")), "{:?}", found.lost);
    assert_eq!(repair(&rig), [other]);
}
