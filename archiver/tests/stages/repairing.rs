//! Laying the right versions over what hides them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use archiver::repair::{Plan, carry_out, plan};
use runtime::{Failure, ManualClock};
use schemas::{Checkpoint, Hash, Layout, Micros, Place, Seq, Trees};
use store::memory::Memory;
use store::{Mode, Store, versions};

use crate::jammed::{archive_into, is_hint, newest, newest_of_all, respelled, versions_of};
use crate::rig::signing;
use crate::{WatchedRig, a_rig, archived, halts, seal};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A chain of a few segments, each of them with full tiles, and what its archive holds.
pub fn an_archive() -> (WatchedRig, BTreeMap<String, Vec<u8>>) {
    let mut rig = a_rig(Arc::new(ManualClock::at(Micros(1_795_262_400_000_000))));
    rig.policy.max_events = 300;
    rig.store = Memory::locking(rig.clock.clone(), Mode::Compliance, YEAR);
    rig.append(0, 0..900);
    rig.run().unwrap();
    let contents = newest_of_all(&rig.store);
    assert!(contents.keys().filter(|key| key.contains("/segments/")).count() >= 3);
    (rig, contents)
}

fn planned(rig: &WatchedRig) -> Plan {
    plan(rig.store(), &rig.chain()).unwrap()
}

/// Plans and carries out; the keys that were put right.
pub fn repair(rig: &WatchedRig) -> Vec<String> {
    let (plan, mut done) = (planned(rig), Vec::new());
    carry_out(rig.store(), &*rig.clock, &plan, |step| done.push(step.key.clone())).unwrap();
    assert_eq!(done, plan.steps.iter().map(|step| step.key.clone()).collect::<Vec<_>>());
    done
}

#[test]
fn an_archive_that_nobody_touched_needs_nothing() {
    let (rig, _) = an_archive();
    assert_eq!(planned(&rig), Plan { chain: rig.chain(), ..Plan::default() });
}

#[test]
fn whatever_was_laid_over_a_key_its_right_version_comes_to_lie_on_top() {
    let (rig, contents) = an_archive();
    for (key, bytes) in &contents {
        let over: [&dyn Fn(); 4] = [
            &|| drop(rig.store.lay_over(key, b"junk")),
            &|| drop(rig.store.hide(key)),
            &|| {
                rig.store.lay_over(key, b"junk");
                rig.store.hide(key);
            },
            &|| {
                rig.store.hide(key);
                rig.store.lay_over(key, &[0; 1 << 20]);
            },
        ];
        for lay in over {
            lay();
            let count = versions_of(&rig.store, key).len();
            assert_eq!(repair(&rig), [key.as_str()]);
            assert!(newest(&rig.store, key) == *bytes, "{key}");
            let locked = rig.store.get(key, None, None, 1 << 30).unwrap().lock.unwrap();
            let mode = if is_hint(key) { Mode::Governance } else { Mode::Compliance };
            assert_eq!(locked.mode, mode, "{key}");
            assert_eq!(versions_of(&rig.store, key).len(), count + 1, "what was laid over stays to be seen");
            let after = planned(&rig);
            assert!(after.is_clean() && after.uncovered.is_empty(), "{key}: {after:?}");
        }
    }
}

#[test]
fn everything_can_be_put_right_at_once() {
    let (rig, contents) = an_archive();
    for key in contents.keys() {
        rig.store.lay_over(key, b"junk");
        rig.store.hide(key);
    }
    assert_eq!(repair(&rig).len(), contents.len());
    assert!(newest_of_all(&rig.store) == contents);
    assert!(planned(&rig).is_clean());
    rig.append(0, 900..1_000);
    rig.run().unwrap();
    assert_eq!(archived(&rig), rig.size());
}

/// The trees of the first segment and that segment's key.
pub fn first_cut(rig: &WatchedRig, contents: &BTreeMap<String, Vec<u8>>) -> (String, Trees, String) {
    let (key, file) = contents.iter().find(|(key, _)| key.contains("/trees/")).unwrap();
    let trees = Trees::parse(file).unwrap();
    let segment = format!("{}/{}", rig.chain(), trees.segment_key);
    (key.clone(), trees, segment)
}

#[test]
fn a_segment_and_trees_that_vouch_for_each_other_but_not_for_the_chain_do_not_fit() {
    let (rig, contents) = an_archive();
    let (trees_key, trees, segment_key) = first_cut(&rig, &contents);
    let right = &contents[&segment_key];
    let other_chains = {
        let mut other = an_archive().0;
        other.store = Memory::locking(other.clock.clone(), Mode::Compliance, YEAR);
        other.append_named("x", 0, 0..300);
        seal(&other);
        archive_into(&other, &other.store, false).unwrap();
        let next = Layout::of(&other.chain());
        let page = store::keys_after(&other.store, &next.segments(), "").unwrap();
        newest(&other.store, page.last().unwrap())
    };
    let mut longer = right.clone();
    longer.push(0);
    let mut damaged = right.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for bytes in [b"junk".to_vec(), longer, damaged, other_chains] {
        rig.store.lay_over(&segment_key, &bytes);
        let forged = Trees { segment_sha256: Hash::of(&[&bytes]), ..trees.clone() };
        rig.store.lay_over(&trees_key, &forged.to_bytes());
        let mut done = repair(&rig);
        done.sort();
        assert_eq!(done, [segment_key.clone(), trees_key.clone()]);
        assert!(newest_of_all(&rig.store) == contents);
    }
    let unlike = [
        Trees { first_seq: Seq(1), ..trees.clone() },
        Trees { segment_key: trees.segment_key.replace("2026-", "2025-"), ..trees.clone() },
        Trees { segment_sha256: Hash([0; 32]), ..trees.clone() },
    ];
    for forged in unlike {
        rig.store.lay_over(&trees_key, &forged.to_bytes());
        assert_eq!(repair(&rig), [trees_key.as_str()]);
    }
}

#[test]
fn a_segment_in_another_spelling_with_trees_that_say_so_is_as_right() {
    let (rig, contents) = an_archive();
    let (trees_key, trees, segment_key) = first_cut(&rig, &contents);
    let other = respelled(&contents[&segment_key]);
    rig.store.lay_over(&segment_key, &other);
    assert_eq!(repair(&rig), [segment_key.as_str()], "the trees have the digest of the first spelling");
    rig.store.lay_over(&segment_key, &other);
    let respelled = Trees { segment_sha256: Hash::of(&[&other]), ..trees };
    rig.store.lay_over(&trees_key, &respelled.to_bytes());
    assert!(planned(&rig).is_clean());
}

#[test]
fn where_no_version_fits_it_says_so_and_changes_nothing_there() {
    let (rig, contents) = an_archive();
    let (trees_key, _, segment_key) = first_cut(&rig, &contents);
    let schema = contents.keys().find(|key| key.contains("/schemas/")).unwrap();
    let jam = |key: &str| {
        assert!(rig.store.remove(key));
        rig.store.lay_over(key, b"junk");
        rig.store.lay_over(key, b"more junk");
    };
    [schema, &segment_key].into_iter().for_each(|key| jam(key));
    rig.store.lay_over(&trees_key, b"junk");
    let strange = Layout::of(&rig.chain()).key(&Place::Key(7));
    (0..2).for_each(|_| drop(rig.store.lay_over(&strange, b"junk")));
    let found = planned(&rig);
    let mut lost: Vec<&String> = found.lost.iter().map(|lost| &lost.key).collect();
    lost.sort();
    assert_eq!(lost, [&strange, schema, &segment_key, &trees_key]);
    assert!(found.steps.is_empty() && !found.is_clean());
    let before = newest_of_all(&rig.store);
    assert_eq!(repair(&rig), Vec::<String>::new());
    assert!(newest_of_all(&rig.store) == before);
}

#[test]
fn beyond_the_newest_checkpoint_nothing_says_what_is_right() {
    let (rig, contents) = an_archive();
    let (layout, size) = (Layout::of(&rig.chain()), rig.size());
    let next = [
        layout.key(&Place::Checkpoint(size + 5)),
        layout.key(&Place::segment(rig.clock.wall(), Seq(size))),
        layout.key(&Place::Trees(size + 5)),
    ];
    next.iter().for_each(|key| drop(rig.store.lay_over(key, b"junk")));
    let found = planned(&rig);
    assert_eq!(found.uncovered, next);
    assert!(found.is_clean());
    assert_eq!(contents.len() + 3, newest_of_all(&rig.store).len());
    // The archiver alone knows what is due there.
    rig.append(0, 900..905);
    let sealed = rig.run();
    halts(sealed, "--lay-over-junk");
    archive_into(&rig, &rig.store, true).unwrap();
    assert_eq!(archived(&rig), rig.size());
    // Now the archive vouches for it.
    assert!(planned(&rig).is_clean());
}

#[test]
fn what_was_written_to_since_it_was_looked_at_is_left_alone() {
    let (rig, contents) = an_archive();
    let (trees_key, ..) = first_cut(&rig, &contents);
    for hide in [false, true] {
        rig.store.lay_over(&trees_key, b"junk");
        let plan = planned(&rig);
        match hide {
            true => rig.store.hide(&trees_key),
            false => rig.store.lay_over(&trees_key, b"other junk"),
        };
        let result = carry_out(rig.store(), &*rig.clock, &plan, |_| panic!("nothing was done"));
        assert!(matches!(result, Err(Failure::Retry(_))), "{result:?}");
    }
    assert_eq!(repair(&rig), [trees_key]);
}

#[test]
fn what_is_laid_over_is_locked_as_evidence_is() {
    let (rig, contents) = an_archive();
    let (trees_key, ..) = first_cut(&rig, &contents);
    rig.store.lay_over(&trees_key, b"junk");
    rig.store.lock_with(None);
    halts(carry_out(rig.store(), &*rig.clock, &planned(&rig), |_| ()), "not locked");
}

#[test]
fn what_nobody_can_read_is_laid_over_and_a_step_that_fails_does_not_hold_up_the_others() {
    let (rig, contents) = an_archive();
    for key in contents.keys() {
        rig.store.lay_over_unreadable(key);
    }
    let plan = planned(&rig);
    assert_eq!(plan.steps.len(), contents.len(), "{plan:?}");
    let [first, .., last] = plan.steps.as_slice() else { panic!("{plan:?}") };
    let meanwhile = [first, last].map(|step| (rig.store.lay_over(&step.key, b"more junk"), &step.key));
    let mut done = 0;
    let result = carry_out(rig.store(), &*rig.clock, &plan, |_| done += 1);
    assert_eq!(done, contents.len() - 2);
    let Err(Failure::Retry(why)) = result else { panic!("{result:?}") };
    meanwhile.iter().for_each(|(_, key)| assert!(why.contains(*key), "{why}"));
    assert_eq!(repair(&rig).len(), 2);
    assert!(newest_of_all(&rig.store) == contents);
}

#[test]
fn a_chain_that_is_not_there_or_has_two_histories_is_not_repaired() {
    let (rig, _) = an_archive();
    halts(plan(rig.store(), "acme.example/other/0").map(drop), "no chain of this name");
    let layout = Layout::of(&rig.chain());
    let other = Checkpoint { origin: rig.chain(), size: rig.size(), root: Hash([1; 32]) };
    rig.store.lay_over(&layout.key(&Place::Checkpoint(rig.size())), other.sign(&signing()).as_bytes());
    halts(plan(rig.store(), &rig.chain()).map(drop), "both are signed");
    assert_eq!(versions::of_key(rig.store(), &layout.key(&Place::Hint)).unwrap().len(), 2);
}
