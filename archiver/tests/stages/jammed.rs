//! What an archiver does where something stands under a key of its chain before it comes there, or lies over it since:
//! it adopts the same, halts at anything else, and lays nothing over it but when it is told to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runtime::{Clock, Failure, ManualClock, Stop};
use schemas::avro::put_long;
use schemas::segment::sync_marker;
use schemas::{Checkpoint, Hash, KeyNote, Layout, Micros, Place, SegmentFile, Signing, Trees, first_prev};
use store::memory::Memory;
use store::{Listing, Mode, Notes, Retention, Store, Tail, Version, versions};
use stream::{Log, topics};

use crate::rig::{ORIGIN, Rig, signing};
use crate::watched::Watched;
use crate::{WatchedRig, a_rig, archived, halts, seal};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A chain that is sealed, and an archive for it that locks, in which nothing is yet.
pub fn sealed() -> WatchedRig {
    let mut rig = a_rig(Arc::new(ManualClock::at(Micros(1_795_262_400_000_000))));
    rig.append(0, 0..25);
    seal(&rig);
    rig.store = an_empty_store(&rig);
    rig
}

fn an_empty_store(rig: &WatchedRig) -> Memory {
    Memory::locking(rig.clock.clone(), Mode::Compliance, YEAR)
}

/// An archive that holds what an archiver writes before it comes to `key`.
pub fn up_to(key: &str, expected: &[(String, Vec<u8>)], rig: &WatchedRig) -> Memory {
    let store = an_empty_store(rig);
    let before = expected.iter().take_while(|(other, _)| other != key);
    before.filter(|(other, _)| !is_hint(other)).for_each(|(other, bytes)| drop(store.lay_over(other, bytes)));
    store
}

/// Archives what is sealed into `store`.
pub fn archive_into(rig: &WatchedRig, store: &Memory, lay_over: bool) -> Result<(), Failure> {
    let stop = Stop::new();
    stop.set();
    let mut archiver = rig.archiver();
    (archiver.store, archiver.lay_over) = (Arc::new(store.clone()), lay_over);
    archiver.run(&stop)
}

/// What an archive of the rig's chain holds that nobody tampered with, in the order in which it is written.
pub fn expected(rig: &WatchedRig) -> Vec<(String, Vec<u8>)> {
    let store = an_empty_store(rig);
    archive_into(rig, &store, false).unwrap();
    let mut contents: Vec<_> = newest_of_all(&store).into_iter().collect();
    assert!(
        contents.len() >= 2 + 2 + 3 * 3,
        "key, schema, hint, notes, and three segments: {}",
        contents.len()
    );
    // Versions are numbered as they are written.
    let first_written = |key: &str| versions_of(&store, key).last().unwrap().0[1..].parse::<u64>().unwrap();
    contents.sort_by_key(|(key, _)| first_written(key));
    contents
}

/// Whether the newest version of each key is what an archiver writes.
pub fn is_as_expected(store: &Memory, expected: &[(String, Vec<u8>)]) -> bool {
    newest_of_all(store) == expected.iter().cloned().collect()
}

pub fn newest_of_all(store: &Memory) -> BTreeMap<String, Vec<u8>> {
    let keys = store.list("", "", Listing::Newest(1_000)).unwrap().entries.into_iter().map(|entry| entry.key);
    keys.map(|key| (key.clone(), newest(store, &key))).collect()
}

pub fn newest(store: &Memory, key: &str) -> Vec<u8> {
    store.get(key, None, None, 1 << 30).unwrap().bytes
}

pub fn versions_of(store: &Memory, key: &str) -> Vec<Version> {
    versions::of_key(store, key).unwrap().into_iter().map(|entry| entry.version).collect()
}

pub fn is_hint(key: &str) -> bool {
    key.ends_with("/checkpoint")
}

fn place(key: &str) -> Place {
    Place::parse(key.strip_prefix(&format!("{ORIGIN}/0/")).unwrap()).unwrap()
}

#[test]
fn junk_that_stood_there_before_halts_whatever_it_jams_and_is_left_alone() {
    let rig = sealed();
    let expected = expected(&rig);
    for (key, _) in &expected {
        let store = up_to(key, &expected, &rig);
        store.lay_over(key, b"junk");
        let result = archive_into(&rig, &store, false);
        if is_hint(key) {
            result.unwrap();
            assert_ne!(newest(&store, key), b"junk", "`checkpoint` is replaced");
            continue;
        }
        // Without its first key nothing of the archive is believed.
        let why = if matches!(place(key), Place::Key(0)) { "sealog verify" } else { "sealog archive repair" };
        let Err(Failure::Halt(said)) = result else { panic!("{key}: it goes on") };
        assert!(said.contains(key) && said.contains(why), "{said}");
        assert_eq!((versions_of(&store, key).len(), newest(&store, key).as_slice()), (1, b"junk".as_slice()));
    }
}

#[test]
fn told_to_it_lays_what_is_due_over_junk_and_the_junk_stays_to_be_seen() {
    let rig = sealed();
    let expected = expected(&rig);
    for (key, _) in &expected {
        let store = up_to(key, &expected, &rig);
        let junk = store.lay_over(key, b"junk");
        archive_into(&rig, &store, true).unwrap_or_else(|why| panic!("{key}: {why}"));
        assert!(is_as_expected(&store, &expected), "{key}");
        assert_eq!(versions_of(&store, key).last(), Some(&junk));
        archive_into(&rig, &store, false).unwrap();
    }
    let store = an_empty_store(&rig);
    expected.iter().for_each(|(key, _)| drop(store.lay_over(key, b"junk")));
    archive_into(&rig, &store, true).unwrap();
    assert!(is_as_expected(&store, &expected), "all of them at once");
}

#[test]
fn junk_that_nobody_can_read_is_laid_over_like_any_other() {
    let rig = sealed();
    let expected = expected(&rig);
    for (key, _) in &expected {
        let store = up_to(key, &expected, &rig);
        let junk = store.lay_over_unreadable(key);
        archive_into(&rig, &store, true).unwrap_or_else(|why| panic!("{key}: {why}"));
        assert!(is_as_expected(&store, &expected), "{key}");
        assert_eq!(versions_of(&store, key).last(), Some(&junk));
    }
}

#[test]
fn what_a_key_for_this_chain_signed_is_no_junk() {
    let rig = sealed();
    let layout = Layout::of(&rig.chain());
    let stranger = Signing::from_seed(&[8; 32]);
    let another_key = KeyNote { first_size: 0, vkey: stranger.vkey(&rig.chain()) }.sign(&stranger, None);
    let another_end = Checkpoint { origin: rig.chain(), size: 10, root: Hash([1; 32]) }.sign(&signing());
    let segment = expected(&rig).into_iter().find(|(key, _)| key.contains("/segments/")).unwrap();
    let mut another_segment = segment.1.clone();
    another_segment.push(0);
    for (key, bytes) in [
        (layout.key(&Place::Key(0)), another_key.into_bytes()),
        (layout.key(&Place::Checkpoint(10)), another_end.into_bytes()),
        (segment.0, another_segment),
    ] {
        let store = an_empty_store(&rig);
        store.lay_over(&key, &bytes);
        halts(archive_into(&rig, &store, true), "a second history");
        assert_eq!(versions_of(&store, &key).len(), 1, "{key}");
    }
}

#[test]
fn what_another_archiver_wrote_is_adopted_under_whatever_lies_over_it() {
    let rig = sealed();
    let expected = expected(&rig);
    for (key, bytes) in expected.iter().filter(|(key, _)| !is_hint(key)) {
        let store = up_to(key, &expected, &rig);
        let right = store.lay_over(key, bytes);
        archive_into(&rig, &store, false).unwrap();
        assert_eq!(versions_of(&store, key), [right], "{key} was not written twice");

        let store = up_to(key, &expected, &rig);
        store.lay_over(key, b"junk from before");
        store.lay_over(key, bytes);
        store.lay_over(key, b"junk");
        archive_into(&rig, &store, false).unwrap_or_else(|why| panic!("{key}: {why}"));
        assert_eq!(versions_of(&store, key).len(), 3, "{key}: nothing was laid over it");
        assert_eq!(Tail::read(&store, &rig.chain()).unwrap().unwrap().checkpoint.size, rig.size());

        let store = up_to(key, &expected, &rig);
        store.lay_over(key, bytes);
        store.hide(key);
        archive_into(&rig, &store, false).unwrap_or_else(|why| panic!("{key}: {why}"));
        assert_eq!(Tail::read(&store, &rig.chain()).unwrap().unwrap().checkpoint.size, rig.size());
        // A Checkpoint is found under a delete marker, and what it covers is archived. All else is put once more.
        let is_archived = matches!(place(key), Place::Checkpoint(_));
        assert_eq!(versions_of(&store, key).len(), if is_archived { 2 } else { 3 }, "{key}");
    }
}

/// The same segment with blocks that are not compressed at all, which is a spelling of deflate too.
pub fn respelled(segment: &[u8]) -> Vec<u8> {
    let file = SegmentFile::parse(segment).unwrap();
    let mut out = file.header.to_bytes();
    let (mut blocks, mut plain) = (file.blocks(), Vec::new());
    while let Some(block) = blocks.next_into(&mut plain).unwrap() {
        let mut stored = Vec::new();
        let mut parts = plain.chunks(0xffff).peekable();
        while let Some(part) = parts.next() {
            stored.push(u8::from(parts.peek().is_none()));
            stored.extend_from_slice(&(part.len() as u16).to_le_bytes());
            stored.extend_from_slice(&(!(part.len() as u16)).to_le_bytes());
            stored.extend_from_slice(part);
        }
        put_long(&mut out, block.events as i64);
        put_long(&mut out, stored.len() as i64);
        out.extend_from_slice(&stored);
        out.extend_from_slice(&sync_marker(&file.header.origin, file.header.first_seq));
    }
    out
}

#[test]
fn a_segment_in_another_spelling_is_adopted_as_it_is() {
    let rig = sealed();
    for (key, bytes) in expected(&rig).into_iter().filter(|(key, _)| key.contains("/segments/")) {
        let store = an_empty_store(&rig);
        let other = respelled(&bytes);
        assert_ne!(other, bytes);
        store.lay_over(&key, &other);
        store.lay_over(&key, b"junk");
        archive_into(&rig, &store, false).unwrap();
        assert_eq!(versions_of(&store, &key).len(), 2);
        let trees = newest_of_all(&store).into_iter().filter(|(key, _)| key.contains("/trees/"));
        let digests: Vec<Hash> = trees.map(|(_, file)| Trees::parse(&file).unwrap().segment_sha256).collect();
        assert!(digests.contains(&Hash::of(&[&other])), "the trees have the digest of what is there");
        assert_eq!(archived_in(&store), rig.size());
    }
}

fn archived_in(store: &Memory) -> u64 {
    Notes::read(store, &format!("{ORIGIN}/0")).unwrap().newest.unwrap().size
}

#[test]
fn a_store_that_locks_less_than_was_asked_for_gets_nothing_more() {
    let rig = sealed();
    let (governance, a_day_less) = (Mode::Governance, YEAR - Duration::from_secs(86_400));
    for (locks, lacks) in [
        (None, "not locked"),
        (Some(Retention { mode: governance, period: YEAR }), "governance"),
        (Some(Retention { mode: Mode::Compliance, period: a_day_less }), "locked until"),
    ] {
        let store = an_empty_store(&rig);
        store.lock_with(locks);
        halts(archive_into(&rig, &store, false), lacks);
        let written = newest_of_all(&store);
        assert_eq!(written.len(), 1, "the first that is not locked is the last: {:?}", written.keys());
        store.lock_with(store.retention());
        halts(archive_into(&rig, &store, false), "sealog locks --extend");
        // As if it had been extended.
        let (key, bytes) = written.first_key_value().unwrap();
        store.lay_over(key, bytes);
        archive_into(&rig, &store, false).unwrap();
        assert_eq!(archived_in(&store), rig.size());
    }
}

#[test]
fn when_the_retention_was_raised_it_says_what_locks_for_longer_what_is_there() {
    let rig = sealed();
    let expected: Vec<_> = expected(&rig).into_iter().filter(|(key, _)| !is_hint(key)).collect();
    rig.stream.forget_positions();
    for lay_over in [false, true] {
        for count in 1..=expected.len() {
            let store = an_empty_store(&rig);
            store.lock_with(Some(Retention { mode: Mode::Compliance, period: YEAR / 2 }));
            expected[..count].iter().for_each(|(key, bytes)| drop(store.lay_over(key, bytes)));
            store.lock_with(store.retention());
            let Err(Failure::Halt(why)) = archive_into(&rig, &store, lay_over) else { panic!("{count}") };
            assert!(why.contains("locked until") && why.contains("`sealog locks --extend`"), "{why}");
            assert!(expected[..count].iter().any(|(key, _)| why.starts_with(key.as_str())), "{why}");
            assert_eq!(newest_of_all(&store).len(), count, "nothing is put behind it: {why}");
            // As if all of it had been extended.
            expected[..count].iter().for_each(|(key, bytes)| drop(store.lay_over(key, bytes)));
            archive_into(&rig, &store, lay_over).unwrap();
            assert_eq!(archived_in(&store), rig.size());
        }
    }
}

#[test]
fn a_store_that_encrypts_otherwise_than_was_asked_for_gets_nothing_more() {
    let rig = sealed();
    for (key, bytes) in expected(&rig).into_iter().filter(|(key, _)| !is_hint(key)) {
        let store = up_to(&key, &expected(&rig), &rig);
        store.encrypt(false);
        halts(archive_into(&rig, &store, false), "not encrypted");
        assert_eq!(newest(&store, &key), bytes, "it is the last that is written");
        store.encrypt(true);
        rig.stream.forget_positions();
        halts(archive_into(&rig, &store, false), "is there already, but it is not encrypted");
        store.lay_over(&key, &bytes);
        archive_into(&rig, &store, false).unwrap();
        assert_eq!(archived_in(&store), rig.size());
    }
}

#[test]
fn of_two_that_fit_the_one_that_is_locked_is_adopted() {
    let rig = sealed();
    let expected = expected(&rig);
    for (key, bytes) in expected.iter().filter(|(key, _)| !is_hint(key)) {
        let store = up_to(key, &expected, &rig);
        store.lay_over(key, bytes);
        store.lock_with(None);
        store.lay_over(key, bytes);
        store.lock_with(store.retention());
        archive_into(&rig, &store, false).unwrap_or_else(|why| panic!("{key}: {why}"));
        assert_eq!(versions_of(&store, key).len(), 2, "{key}");
    }
}

#[test]
fn a_chain_whose_archive_was_overlaid_or_hidden_goes_on() {
    for hide in [false, true] {
        let rig = sealed();
        archive_into(&rig, &rig.store, false).unwrap();
        let before = newest_of_all(&rig.store);
        for key in before.keys() {
            rig.store.lay_over(key, b"junk");
            if hide {
                rig.store.hide(key);
            }
        }
        rig.append(0, 25..60);
        rig.run().unwrap();
        assert_eq!(archived(&rig), rig.size());
        let hint = Layout::of(&rig.chain()).key(&Place::Hint);
        assert_eq!(Checkpoint::parse(&newest(&rig.store, &hint)).unwrap().0.size, rig.size());
        let tail = Tail::read(&rig.store, &rig.chain()).unwrap().unwrap();
        assert_eq!(tail.tiles.tree().root(), tail.checkpoint.root);
        let first = first_prev(&rig.chain(), &signing().vkey(&rig.chain()).to_string());
        assert_ne!(tail.last_hash, first);
    }
}

#[test]
fn junk_in_the_place_of_the_hint_does_not_keep_a_chains_opening_off_the_record() {
    let clock: Arc<dyn Clock> = Arc::new(runtime::SystemClock);
    let lanes = [topics::EVENTS, topics::REJECTED, topics::SEALED].map(|topic| (topic, 2));
    let rig: Rig<Watched> =
        Rig::on(Watched::over(stream::memory::Memory::new(&lanes, clock.clone())), 2, clock);
    let hint = Layout::of(&format!("{ORIGIN}/1")).key(&Place::Hint);
    for junk in [b"junk".to_vec(), vec![b'x'; 1 << 20]] {
        rig.store.lay_over(&hint, &junk);
    }
    rig.begin().unwrap();
    rig.run().unwrap();
    let opening = rig.stream.last(&topics::events(0)).unwrap();
    assert!(opening.last().is_some(), "chain 0 was told that chain 1 has begun");
    assert!(Checkpoint::parse(&newest(&rig.store, &hint)).is_ok());
}
