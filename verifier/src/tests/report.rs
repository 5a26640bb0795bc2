//! The Report as others read it: its JSON schema, the page for a person, the tables in the documents.

use std::path::Path;

use jsonschema::Validator;
use runtime::SystemClock;
use serde_json::Value;
use store::memory::Memory;
use store::{Mode, Retention};

use super::{CHAIN_0, known, memory, options};
use crate::testing::{ChainBuilder, events, store_objects};
use crate::{Bound, Check, Effect, Notice, Options, Promise, Report, Scope, Verdict, verify};

fn document(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn schema() -> Value {
    serde_json::from_str(&document("docs/report.schema.json")).unwrap()
}

fn validator() -> Validator {
    jsonschema::validator_for(&schema()).unwrap()
}

fn chain() -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..5)).seal(events(5..10)).seal(events(10..15));
    chain
}

/// A report of each verdict, with everything in it that can be.
fn reports() -> Vec<Report> {
    let chain = chain();
    let year = std::time::Duration::from_secs(365 * 86_400);
    let pinned = || vec![chain.vkey()];
    let intact = Options { pinned: pinned(), known: vec![known("kept", &chain.note(5))], ..options() };
    let in_scope = |scope| Options { scope, known: vec![known("kept", &chain.note(5))], ..options() };
    let range = Scope::Range { from: Some(Bound::Seq(6)), to: Some(Bound::Time(options().now)) };
    let quick = Scope::Quick { sample: 1, seed: u64::MAX };
    let whole = memory(&chain.objects);
    let mut reports = vec![
        verify(&whole, &options()),
        verify(&whole, &intact),
        verify(&whole, &in_scope(range)),
        verify(&whole, &in_scope(quick)),
    ];

    let mut broken = chain.objects.clone();
    broken.remove(&chain.segment_key(1));
    broken.remove(&chain.key(&schemas::Place::Checkpoint(15)));
    broken.insert(chain.key(&schemas::Place::Hint), chain.note(15));
    reports.push(verify(
        &memory(&broken),
        &Options { known: vec![known("kept", &chain.note(15))], ..options() },
    ));

    let locking = Memory::locking(std::sync::Arc::new(SystemClock), Mode::Compliance, year);
    store_objects(&chain.objects, &locking).unwrap();
    locking.hide(&chain.segment_key(1));
    let promised = Retention { mode: Mode::Compliance, period: year };
    let now = runtime::Clock::wall(&SystemClock);
    for promise in [Promise::Told(promised), Promise::Nobody, Promise::Unseen] {
        reports.push(verify(&locking, &Options { custody: Some(promise), now, ..options() }));
    }

    let revoked = vec![(chain.vkey(), 10), (schemas::Signing::from_seed(&[9; 32]).vkey(CHAIN_0), 0)];
    reports.push(verify(&whole, &Options { revoked, ..options() }));

    reports.push(verify(&Memory::new(std::sync::Arc::new(SystemClock)), &options()));
    reports
}

#[test]
fn reports_of_every_verdict_are_as_the_schema_says() {
    let (validator, reports) = (validator(), reports());
    let all = [
        Verdict::Intact,
        Verdict::Unanchored,
        Verdict::InRange,
        Verdict::InSample,
        Verdict::CustodyAtRisk,
        Verdict::Inconclusive,
        Verdict::Broken,
    ];
    for verdict in all {
        assert!(reports.iter().any(|report| report.verdict == verdict), "no report is {}", verdict.words());
    }
    for report in &reports {
        let json = serde_json::to_value(report).unwrap();
        let wrong: Vec<String> = validator
            .iter_errors(&json)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", report.verdict.words());
        assert_eq!(json["verdict"], report.verdict.words());
    }
    let words: Vec<Value> = all.iter().map(|verdict| verdict.words().into()).collect();
    assert_eq!(schema()["$defs"]["verdict"]["enum"], Value::from(words));
}

/// Everything in `value` that is an object, by where it stands.
fn objects_in(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(at.to_owned());
            members.iter().for_each(|(name, member)| objects_in(member, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(nth, item)| objects_in(item, &format!("{at}/{nth}"), found));
        }
        _ => {}
    }
}

#[test]
fn a_property_that_the_schema_does_not_know_fails_wherever_it_stands_and_so_does_one_that_is_missing() {
    let (validator, mut looked_at) = (validator(), 0);
    for report in reports() {
        let json = serde_json::to_value(&report).unwrap();
        let mut places = Vec::new();
        objects_in(&json, "", &mut places);
        for place in places {
            let mut more = json.clone();
            let members = more.pointer_mut(&place).unwrap().as_object_mut().unwrap();
            let names: Vec<String> = members.keys().cloned().collect();
            members.insert("unheard_of".to_owned(), Value::Null);
            assert!(!validator.is_valid(&more), "one more at {place:?}");
            for name in names {
                let mut less = json.clone();
                less.pointer_mut(&place).unwrap().as_object_mut().unwrap().remove(&name);
                assert!(!validator.is_valid(&less), "{place}/{name} is missing");
            }
            looked_at += 1;
        }
    }
    assert!(looked_at > 40, "{looked_at}");
}

#[test]
fn the_names_of_checks_and_notices_are_those_in_the_schema() {
    let schema = schema();
    let names: Vec<Value> = Check::ALL.iter().map(|check| check.name().into()).collect();
    assert_eq!(schema["$defs"]["finding"]["properties"]["check"]["enum"], Value::from(names));
    let kinds: Vec<Value> = Notice::KINDS.iter().map(|kind| (*kind).into()).collect();
    assert_eq!(schema["properties"]["notices"]["items"]["properties"]["kind"]["enum"], Value::from(kinds));
    for report in reports() {
        assert!(report.notices.iter().all(|notice| Notice::KINDS.contains(&notice.kind)), "{report}");
    }
}

#[test]
fn the_table_of_checks_in_the_format_is_the_verifiers() {
    let line = |check: &Check| {
        let effect = match check.effect() {
            Effect::Broken => "broken",
            Effect::Inconclusive => "inconclusive",
            Effect::Custody => "custody",
        };
        format!("| `{}` | {effect} | {} |\n", check.name(), check.what())
    };
    let table: String = Check::ALL.iter().map(line).collect();
    let head = "| check | effect | what must hold |\n|---|---|---|\n";
    let format = document("docs/FORMAT.md");
    assert!(
        format.contains(&format!("{head}{table}\n")),
        "docs/FORMAT.md should have this table:\n{head}{table}"
    );
}

#[test]
fn the_page_says_what_was_checked_against_what_and_what_it_does_not_show() {
    let chain = chain();
    let options = Options {
        archive: "s3://acme-audit/evidence\u{1b}[2J".to_owned(),
        pinned: vec![chain.vkey()],
        known: vec![known("kept.note", &chain.note(5))],
        ..options()
    };
    let page = verify(&memory(&chain.objects), &options).to_string();
    for due in [
        "archive: s3://acme-audit/evidence\\u{1b}[2J\n",
        "checked: 2027-11-21T09:30:00.000000Z by sealog ",
        ", all of it\n",
        "15 events of 1 chain, sealed 2026-11-21T09:30:00.000000Z to 2026-11-21T09:30:14.000000Z\n",
        "chain acme.example/audit/0: intact\n",
        "15 events in 3 segments, from seq 0",
        "signed up to size 15, root ",
        "from size 0 on: pinned\n",
        "known: kept.note (size 5): extended\n",
        "found:   nothing wrong in ",
        "This check does not show:\n",
        "Whether an event is true",
        "verdict: intact\n",
    ] {
        assert!(page.contains(due), "{due:?} in\n{page}");
    }
    assert!(page.contains(&chain.vkey().to_string()), "{page}");
}

#[test]
fn the_page_names_the_first_bad_place_exactly() {
    let chain = chain();
    let mut objects = chain.objects.clone();
    objects.remove(&chain.segment_key(1));
    let page = verify(&memory(&objects), &options()).to_string();
    let place = format!(
        "first bad place: segment-missing, chain {CHAIN_0}, seqs 5 to 9\n    object:   {}\n    expected: the segment of seqs 5 to 9\n    found:    nothing\n",
        chain.segment_key(1)
    );
    assert!(page.contains(&place), "{page}");
    assert!(page.ends_with("verdict: broken\n"), "{page}");
}
