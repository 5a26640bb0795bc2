//! The contract over memory, and what a test does to it.

use runtime::{ManualClock, SystemClock};

use super::*;
use crate::conformance::Case;

crate::conformance!(in_memory);

fn in_memory(case: Case) {
    case(&Memory::new(Arc::new(SystemClock)));
}

fn memory() -> Memory {
    Memory::new(Arc::new(ManualClock::at(Micros(1_000_000))))
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> Kind {
    result.unwrap_err().kind()
}

#[test]
fn a_lost_write_is_not_done_and_a_lost_answer_is() {
    let store = memory();
    store.fail_write(0, Fault::Lost);
    store.fail_write(2, Fault::AnswerLost);
    assert_eq!(kind(store.put_new("a", b"1", Keep::Evidence)), Kind::Away);
    assert_eq!(kind(store.get("a", None, None, 9)), Kind::Missing);
    store.put_new("a", b"1", Keep::Evidence).unwrap();
    assert_eq!(kind(store.replace_if("b", None, b"2", Keep::Hint)), Kind::Away);
    assert_eq!(store.get("b", None, None, 9).unwrap().bytes, b"2");
    assert_eq!(kind(store.put_new("a", b"1", Keep::Evidence)), Kind::Exists);
    assert_eq!(store.writes(), 4);
}

#[test]
fn a_lost_answer_hides_a_refusal_too() {
    let store = memory();
    store.put_new("a", b"1", Keep::Evidence).unwrap();
    store.fail_write(1, Fault::AnswerLost);
    assert_eq!(kind(store.put_new("a", b"2", Keep::Evidence)), Kind::Away);
    assert_eq!(store.get("a", None, None, 9).unwrap().bytes, b"1");
}

#[test]
fn a_store_that_is_away_answers_nothing_and_does_nothing() {
    let store = memory();
    store.set_away(true);
    assert_eq!(kind(store.put_new("a", b"1", Keep::Evidence)), Kind::Away);
    assert_eq!(kind(store.get("a", None, None, 9)), Kind::Away);
    assert_eq!(kind(store.list("", "", Listing::Newest(9))), Kind::Away);
    store.set_away(false);
    assert_eq!(kind(store.get("a", None, None, 9)), Kind::Missing);
}

#[test]
fn past_the_last_write_nothing_is_written_and_everything_is_read() {
    let store = memory();
    store.end_writes_at(Some(1));
    store.put_new("a", b"1", Keep::Evidence).unwrap();
    assert_eq!(kind(store.put_new("b", b"2", Keep::Evidence)), Kind::Away);
    assert_eq!(kind(store.replace_if("a", None, b"2", Keep::Hint)), Kind::Away);
    assert_eq!(store.get("a", None, None, 9).unwrap().bytes, b"1");
    assert_eq!(kind(store.get("b", None, None, 9)), Kind::Missing);
    store.end_writes_at(None);
    store.put_new("b", b"2", Keep::Evidence).unwrap();
}

#[test]
fn clones_share_their_objects_and_outlive_each_other() {
    let store = memory();
    let other = store.clone();
    other.put_new("a", b"1", Keep::Evidence).unwrap();
    drop(other);
    assert_eq!(store.get("a", None, None, 9).unwrap().bytes, b"1");
}

#[test]
fn evidence_is_locked_for_the_retention_and_a_hint_for_a_day() {
    let store = Memory::locking(Arc::new(ManualClock::at(Micros(5))), Mode::Compliance, 30 * DAY);
    store.put_new("evidence", b"", Keep::Evidence).unwrap();
    store.put_new("hint", b"", Keep::Hint).unwrap();
    let until = |key| store.get(key, None, None, 9).unwrap().lock;
    let lock = |mode, days: i64| Some(Lock { mode, until: Micros(5 + days * 86_400_000_000) });
    let expected = (lock(Mode::Compliance, 30), lock(Mode::Governance, 1));
    assert_eq!((until("evidence"), until("hint")), expected);
    let unlocked = memory();
    unlocked.put_new("evidence", b"", Keep::Evidence).unwrap();
    assert_eq!(unlocked.get("evidence", None, None, 9).unwrap().lock, None);
}

#[test]
fn a_store_may_lock_otherwise_than_it_promises() {
    let store = Memory::locking(Arc::new(ManualClock::at(Micros(5))), Mode::Compliance, 30 * DAY);
    let promised = store.retention();
    let locks = [None, Some(Retention { mode: Mode::Governance, period: DAY })];
    for less in locks {
        store.lock_with(less);
        assert_eq!(store.retention(), promised);
        store.lay_over("a", b"");
        let lock = store.get("a", None, None, 9).unwrap().lock;
        assert_eq!(lock.map(|lock| lock.mode), less.map(|less| less.mode));
    }
    store.lock_with(promised);
    store.lay_over("a", b"");
    let lock = store.get("a", None, None, 9).unwrap().lock.unwrap();
    assert_eq!(lock, Lock { mode: Mode::Compliance, until: Micros(5 + 30 * 86_400_000_000) });
}

#[test]
fn what_is_laid_over_is_newest_and_the_first_stays_readable() {
    let store = memory();
    let first = store.put_new("a", b"right", Keep::Evidence).unwrap();
    let second = store.lay_over("a", b"wrong");
    assert_eq!(store.get("a", None, None, 9).unwrap().bytes, b"wrong");
    assert_eq!(store.get("a", Some(&first), None, 9).unwrap().bytes, b"right");
    let page = store.list("", "", Listing::Versions(9)).unwrap();
    let listed: Vec<_> = page.entries.into_iter().map(|entry| (entry.version, entry.newest)).collect();
    assert_eq!(listed, [(second, true), (first, false)]);
    assert_eq!(store.list("", "", Listing::Newest(9)).unwrap().entries.len(), 1);
}

#[test]
fn a_delete_marker_hides_a_key_from_all_but_the_list_of_versions() {
    let store = memory();
    assert!(!store.get("a", None, None, 9).unwrap_err().is_hidden());
    let first = store.put_new("a", b"1", Keep::Evidence).unwrap();
    let marker = store.hide("a");
    assert_eq!(kind(store.get("a", None, None, 9)), Kind::Missing);
    assert!(store.get("a", None, Some(0..0), 9).unwrap_err().is_hidden());
    assert_eq!(kind(store.get("a", Some(&marker), None, 9)), Kind::Missing);
    assert_eq!(store.get("a", Some(&first), None, 9).unwrap().bytes, b"1");
    assert!(store.list("", "", Listing::Newest(9)).unwrap().entries.is_empty());
    let entries = store.list("", "", Listing::Versions(1)).unwrap().entries;
    assert_eq!(entries.iter().map(|entry| entry.delete_marker).collect::<Vec<_>>(), [true, false]);
    store.put_new("a", b"2", Keep::Evidence).unwrap();
    assert_eq!(store.get("a", None, None, 9).unwrap().bytes, b"2");
}

#[test]
fn damage_changes_bytes_in_place_and_remove_leaves_nothing() {
    let store = memory();
    let version = store.put_new("a", b"abc", Keep::Evidence).unwrap();
    assert!(store.damage("a", |bytes| bytes[1] ^= 1));
    let object = store.get("a", Some(&version), None, 9).unwrap();
    assert_eq!(object.bytes, b"acc");
    assert!(store.remove("a"));
    assert!(!store.remove("a") && !store.damage("a", Vec::clear));
    assert!(store.list("", "", Listing::Versions(9)).unwrap().entries.is_empty());
}
