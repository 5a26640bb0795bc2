//! What is found and said of archives in a store that locks in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::{Clock, SystemClock};
use serde_json::Value;
use store::memory::Memory;
use store::{Mode, Store};
use verifier::testing::{ChainBuilder, events, store_objects};

use super::*;

const ORIGIN: &str = "acme.example/audit/0";
const DAY: Retention = Retention { mode: Mode::Compliance, period: Duration::from_secs(24 * 60 * 60) };

fn archive() -> Memory {
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    chain.seal(events(0..3)).seal(events(3..5));
    let store = Memory::locking(Arc::new(SystemClock), DAY.mode, DAY.period);
    store_objects(&chain.objects, &store).unwrap();
    store
}

fn key(path: &str) -> String {
    format!("{ORIGIN}/{path}")
}

/// The lines but the last, and the last.
fn said(store: &dyn Store, promise: Option<Retention>, longer: Option<Longer<'_>>) -> (Vec<Value>, Value) {
    let is_done = longer.as_ref().is_some_and(|longer| longer.lock_with.is_some());
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, true, false);
    let rules = Rules { promise, now: SystemClock.wall(), longer };
    walk(store, &|take| pages(store, take), &rules, |found| Ok(printer.line(found, is_done)?)).unwrap();
    printer.end(true, promise).unwrap();
    let text = String::from_utf8(out).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap()["summary"].take();
    (lines, last)
}

/// Keys with their findings, where there are some.
fn found(lines: &[Value]) -> Vec<(String, String)> {
    let names = |line: &Value| {
        let names: Vec<&str> =
            line["findings"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
        names.join(" ")
    };
    let with = lines.iter().filter(|line| line["findings"] != serde_json::json!([]));
    with.map(|line| (line["key"].as_str().unwrap().to_owned(), names(line))).collect()
}

#[test]
fn an_archive_that_is_kept_as_promised_has_no_findings() {
    let store = archive();
    for promise in [Some(DAY), None, Some(Retention { mode: Mode::Governance, ..DAY })] {
        let (lines, summary) = said(&store, promise, None);
        assert_eq!(found(&lines), []);
        assert_eq!(summary["versions"], lines.len());
        assert_eq!(summary["is_whole"], true);
        assert_eq!(summary["findings"], serde_json::json!({}));
        assert_eq!(summary["compliance"], lines.len(), "{summary}");
    }
    let (_, summary) = said(&store, Some(DAY), None);
    assert_eq!(summary["promise"], "compliance for 1 day");
}

#[test]
fn what_is_short_hidden_laid_over_or_unknown_is_found_where_it_is() {
    let store = archive();
    let promise = Retention { period: 2 * DAY.period, ..DAY };
    let (lines, summary) = said(&store, Some(promise), None);
    assert_eq!(summary["findings"], serde_json::json!({ "lock-short": found(&lines).len() }));
    assert!(!found(&lines).iter().any(|(key, _)| key.ends_with("/checkpoint")), "a hint is locked for a day");

    let note = key("checkpoints/00000000000000000003.note");
    let trees = key("trees/00000000000000000005.tiles");
    store.lay_over(&note, b"junk");
    store.hide(&trees);
    store.hide(&key("checkpoint"));
    store.put_new("README", b"?", store::Keep::Evidence).unwrap();
    store.put_new(&key("probe/x"), b"?", store::Keep::Evidence).unwrap();
    let (lines, summary) = said(&store, Some(DAY), None);
    let expected = [
        ("README".to_owned(), "layout".to_owned()),
        (key("checkpoint"), "hidden".to_owned()),
        (note, "laid-over".to_owned()),
        (trees, "hidden".to_owned()),
    ];
    assert_eq!(found(&lines), expected);
    assert_eq!(
        (&summary["delete_markers"], &summary["findings"]["hidden"]),
        (&Value::from(2), &Value::from(2))
    );

    let loose = Memory::new(Arc::new(SystemClock));
    loose.put_new(&key("checkpoints/00000000000000000000.note"), b"?", store::Keep::Evidence).unwrap();
    let (lines, summary) = said(&loose, None, None);
    assert_eq!(found(&lines)[0].1, "lock-missing");
    assert_eq!(summary["unlocked"], 1);
}

/// A store that answers so when it is asked for one of these keys.
struct Odd {
    archive: Memory,
    answers: Vec<(String, store::Kind)>,
}

impl Store for Odd {
    fn put_new(&self, key: &str, body: &[u8], keep: store::Keep) -> store::Result<Version> {
        self.archive.put_new(key, body, keep)
    }

    fn replace_if(
        &self,
        key: &str,
        expected: Option<&store::Tag>,
        body: &[u8],
        keep: store::Keep,
    ) -> store::Result<Version> {
        self.archive.replace_if(key, expected, body, keep)
    }

    fn get(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<std::ops::Range<u64>>,
        max_bytes: u64,
    ) -> store::Result<store::Object> {
        match self.answers.iter().find(|(odd, _)| odd == key) {
            Some((_, kind)) => Err(store::Error::new(*kind, key, "as planned")),
            None => self.archive.get(key, version, range, max_bytes),
        }
    }

    fn retention(&self) -> Option<Retention> {
        self.archive.retention()
    }

    fn list(&self, prefix: &str, after: &str, listing: store::Listing) -> store::Result<store::Page> {
        self.archive.list(prefix, after, listing)
    }
}

/// One that is encrypted with somebody's own key, one whose lock has ended since it was listed, and one that Sealog does
/// not know.
#[test]
fn one_odd_object_ends_no_walk() {
    let archive = archive();
    let (refused, gone) =
        (key("checkpoints/00000000000000000003.note"), key("trees/00000000000000000005.tiles"));
    archive.lay_over("README", b"?");
    archive.lay_over(&refused, b"junk");
    let whole = said(&archive, Some(DAY), None).0;
    let answers = vec![
        (refused.clone(), store::Kind::Refused),
        (gone.clone(), store::Kind::Missing),
        ("README".to_owned(), store::Kind::Away),
    ];
    let odd = Odd { archive, answers };
    let least = Least::Period(3 * DAY.period);
    let lock_with = |_: &str, _: &Version, lock: Lock| Ok(lock);
    let longer = Longer { least, mode: DAY.mode, lock_with: Some(&lock_with) };
    let (lines, summary) = said(&odd, Some(DAY), Some(longer));
    assert_eq!(lines.len(), whole.len() - 1);
    assert!(lines.iter().all(|line| line["key"] != gone));
    assert_eq!(
        found(&lines),
        [("README".to_owned(), "layout".to_owned()), (refused.clone(), "laid-over".to_owned())]
    );
    let said_so = lines.iter().filter(|line| line["refused"] == format!("{refused}: as planned")).count();
    assert_eq!(
        (said_so, &summary["refused"], &summary["is_whole"]),
        (2, &Value::from(2), &Value::from(false))
    );
    assert_eq!(summary["unlocked"], 0, "what could not be looked at is not said to be without a lock");
    let extended = lines.iter().filter(|line| line.get("extend_to").is_some()).count();
    assert!(extended > 3 && summary["extended"] == extended, "{summary}");
}

#[test]
fn what_may_not_be_locked_is_said_and_the_others_are_locked() {
    let store = archive();
    let least = Least::Period(3 * DAY.period);
    let refused = key("checkpoints/00000000000000000003.note");
    let lock_with = |key: &str, _: &Version, lock: Lock| match key == refused {
        true => Err(store::Error::new(store::Kind::Refused, key, "as planned")),
        false => Ok(lock),
    };
    let longer = || Some(Longer { least, mode: DAY.mode, lock_with: Some(&lock_with) });
    let all = said(&archive(), Some(DAY), Some(Longer { lock_with: None, ..longer().unwrap() })).1;
    let (lines, summary) = said(&store, Some(DAY), longer());
    assert_eq!(summary["extended"], all["to_extend"].as_u64().unwrap() - 1);
    assert_eq!((&summary["refused"], &summary["is_whole"]), (&Value::from(1), &Value::from(false)));
    let line = lines.iter().find(|line| line["key"] == refused).unwrap();
    assert_eq!((&line["mode"], line.get("extend_to")), (&Value::from("compliance"), None));
}

#[test]
fn lists_of_many_pages_are_walked_to_their_end() {
    let store = archive();
    for n in 0..1_500 {
        store
            .put_new(&key(&format!("checkpoints/{:020}.note", 100 + n)), b"?", store::Keep::Evidence)
            .unwrap();
    }
    (0..1_100).for_each(|_| drop(store.lay_over(&key("checkpoint"), b"hint")));
    let before = archive();
    let known = said(&before, Some(DAY), None).0.len();
    let (lines, summary) = said(&store, Some(DAY), None);
    assert_eq!((lines.len(), found(&lines)), (known + 2_600, vec![]));
    assert_eq!(summary["versions"], known + 2_600);
    assert!(lines.is_sorted_by_key(|line| line["key"].as_str().unwrap().to_owned()));
}

/// A server's answers end where they like.
#[test]
fn a_list_that_comes_in_parts_of_any_size_is_judged_as_a_whole() {
    let store = archive();
    let (note, hint) = (key("checkpoints/00000000000000000003.note"), key("checkpoint"));
    (0..3).for_each(|_| drop(store.lay_over(&note, b"junk")));
    store.hide(&note);
    store.hide(&hint);
    (0..3).for_each(|_| drop(store.lay_over(&hint, b"hint")));
    store.hide(&hint);
    let rules = Rules { promise: Some(DAY), now: SystemClock.wall(), longer: None };
    let judged = |size: usize| {
        let in_parts = |take: &mut dyn FnMut(Vec<store::Entry>) -> Result<()>| {
            pages(&store, &mut |entries| entries.chunks(size).try_for_each(|part| take(part.to_vec())))
        };
        let mut judged = Vec::new();
        walk(&store, &in_parts, &rules, |found| {
            judged.push((found.key.to_owned(), found.kept.version.clone(), found.flaws.clone()));
            Ok(())
        })
        .unwrap();
        judged
    };
    let whole = judged(1_000);
    let of = |key: &str| -> Vec<store::custody::Flaw> {
        whole.iter().filter(|(of, ..)| of == key).flat_map(|(.., flaws)| flaws.clone()).collect()
    };
    use store::custody::Flaw::{Hides, LaidOver, Marker};
    assert_eq!(of(&note), [Hides, LaidOver, LaidOver, LaidOver]);
    assert_eq!(of(&hint), [Hides, Marker]);
    for size in 1..8 {
        assert_eq!(judged(size), whole, "parts of {size}");
    }
}

#[test]
fn only_with_consent_is_evidence_locked_for_longer() {
    let store = archive();
    let least = Least::Period(3 * DAY.period);
    let (lines, summary) = said(&store, Some(DAY), Some(Longer { least, mode: DAY.mode, lock_with: None }));
    let to_extend = lines.iter().filter(|line| line.get("extend_to").is_some()).count();
    assert!(to_extend > 5 && summary["to_extend"] == to_extend && summary["extended"] == 0, "{summary}");
    assert!(lines.iter().all(|line| line["key"] != key("checkpoint") || line.get("extend_to").is_none()));

    let locked = Mutex::new(Vec::new());
    let lock_with = |key: &str, _: &Version, lock: Lock| {
        locked.lock().unwrap().push(key.to_owned());
        Ok(lock)
    };
    let longer = Longer { least, mode: DAY.mode, lock_with: Some(&lock_with) };
    let (lines, summary) = said(&store, Some(Retention { period: 3 * DAY.period, ..DAY }), Some(longer));
    assert_eq!((&summary["extended"], &summary["to_extend"]), (&Value::from(to_extend), &Value::from(0)));
    assert_eq!(found(&lines), [], "what was found is what there is afterwards");
    assert_eq!(locked.into_inner().unwrap().len(), to_extend);
}

#[test]
fn a_date_or_a_period_that_cannot_be_meant_is_refused() {
    let now = SystemClock.wall();
    for bad in ["2006-11-21", "2126-12-31", "tomorrow", ""] {
        assert!(date(bad, now).is_err(), "{bad}");
    }
    date("2036-11-21", now).unwrap();
    date("2036-11-21T09:30:00Z", now).unwrap();
    for bad in ["", "0s", "7", "101y", "7 parsecs"] {
        assert!(period_of(bad).is_err(), "{bad}");
    }
    assert_eq!(period_of("10y").unwrap(), Duration::from_secs(10 * 365 * 86_400));
}
