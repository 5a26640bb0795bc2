//! Every row of the list of damages, in memory and in a folder; and what each check is for: without it, which rows pass
//! unseen.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use runtime::ManualClock;
use schemas::Micros;
use store::directory::Directory;
use store::memory::{Memory, Withholding};
use store::{Keep, Store};

use crate::testing::rows::{ALL, Act, BEGAN, Case};
use crate::{Check, Known, Options, Report, Verdict, verify};

/// Numbers of the list that have no row here, and where they are tried.
const ELSEWHERE: [(u8, &str); 6] = [
    (16, "tlog, an inner node as a leaf"),
    (17, "tlog, an index past the size, and a proof of another length"),
    (18, "tlog, a proof for another event"),
    (20, "to come, with witnesses"),
    (28, "tests/tampered.rs, the command that fails"),
    (29, "to come, with protected fields"),
];
const LAST_NUMBER: u8 = 34;

/// Written two days after the first event was sealed, and checked a year after it.
const WRITTEN_AFTER: Duration = Duration::from_secs(2 * 86_400);
const CHECKED_AFTER_US: i64 = 365 * 86_400_000_000;

/// As the archiver writes it.
fn write(case: &Case, store: &dyn Store) {
    for (key, bytes) in &case.objects {
        let keep = if key.ends_with("/checkpoint") { Keep::Hint } else { Keep::Evidence };
        store.put_new(key, bytes, keep).unwrap();
    }
}

/// Without the care for what a power cut leaves, which takes its time.
fn copy(case: &Case, folder: &Path) {
    for (key, bytes) in &case.objects {
        let file = folder.join(key);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

fn in_memory(case: &Case) -> Box<dyn Store> {
    let clock = Arc::new(ManualClock::at(BEGAN));
    clock.pass(WRITTEN_AFTER);
    let store = match case.bucket.and_then(|bucket| bucket.with) {
        Some(with) => Memory::locking(clock, with.mode, with.period),
        None => Memory::new(clock),
    };
    write(case, &store);
    for act in &case.acts {
        match act {
            Act::LayOver(key, bytes) => drop(store.lay_over(key, bytes)),
            Act::Hide(key) => drop(store.hide(key)),
        }
    }
    match case.withheld {
        Some((words, kind)) => Box::new(Withholding { inner: store, words: words.to_owned(), kind }),
        None => Box::new(store),
    }
}

fn checked(case: &Case, store: &dyn Store, off: &[Check]) -> Report {
    let known = case.known.iter().map(|note| Known::parse("kept.note", note).unwrap()).collect();
    let options = Options {
        pinned: case.pinned.clone(),
        revoked: case.revoked.clone(),
        known,
        now: Micros(BEGAN.0 + CHECKED_AFTER_US),
        custody: case.bucket.map(|bucket| bucket.promise),
        off: off.to_vec(),
        ..Options::default()
    };
    verify(store, &options)
}

#[track_caller]
fn assert_said(case: &Case, report: &Report) {
    let what = &case.what;
    assert_eq!(report.verdict, case.verdict, "{what}: {report}");
    let found: BTreeSet<&str> = report.findings.iter().map(|finding| finding.check.name()).collect();
    if let Some(checks) = &case.checks {
        let due: BTreeSet<&str> = checks.iter().map(|check| check.name()).collect();
        assert_eq!(found, due, "{what}: {report}");
    }
    assert_eq!(report.first.is_none(), found.is_empty(), "{what}: {report}");
    // Whoever looks at a bucket must be told at which version. Of strange objects, which are no evidence, not of all.
    if let (Some(first), true) = (&report.first, case.verdict == Verdict::CustodyAtRisk) {
        let has_versions = case.bucket.is_some() && first.check != Check::Layout;
        assert!(!has_versions || first.version.is_some(), "{what}: {report}");
    }
    if let (Some(due), Some(first)) = (&case.first, &report.first) {
        let seqs = first.first_seq.zip(first.last_seq);
        assert!(due.is(first.check.name(), first.key.as_deref(), seqs), "{what}: not {due:?}: {report}");
        assert_ne!(first.expected, first.found, "{what}: {report}");
    }
}

/// Both give the same report. A folder keeps no versions, locks nothing and withholds nothing.
fn check_row(cases: fn() -> Vec<Case>) {
    let cases = cases();
    assert!(!cases.is_empty());
    for case in cases {
        let report = checked(&case, &*in_memory(&case), &[]);
        assert_said(&case, &report);
        if case.bucket.is_some() || case.withheld.is_some() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        copy(&case, folder.path());
        let of_folder = checked(&case, &Directory::open_read_only(folder.path()).unwrap(), &[]);
        assert_eq!(without_versions(of_folder), without_versions(report), "{}", case.what);
    }
}

/// A folder has none.
fn without_versions(mut report: Report) -> String {
    report.findings.iter_mut().chain(&mut report.first).for_each(|finding| finding.version = None);
    serde_json::to_string_pretty(&report).unwrap()
}

macro_rules! tests {
    ($($row:ident,)*) => {
        $(#[test]
        fn $row() {
            check_row($crate::testing::rows::$row);
        })*
    };
}

crate::each_row!(tests);

#[test]
fn every_row_of_the_list_is_here_or_elsewhere() {
    let here: BTreeSet<u8> = ALL.iter().map(|row| row.number()).collect();
    let elsewhere: BTreeSet<u8> = ELSEWHERE.iter().map(|(number, _)| *number).collect();
    assert_eq!(here.intersection(&elsewhere).count(), 0);
    let all: BTreeSet<u8> = here.union(&elsewhere).copied().collect();
    assert_eq!(all, (1..=LAST_NUMBER).collect());
}

/// A case and the checks that find it.
struct Found {
    row: &'static str,
    case: Case,
    checks: BTreeSet<&'static str>,
}

static FOUND: LazyLock<Vec<Found>> = LazyLock::new(|| {
    let cases = ALL.iter().flat_map(|row| (row.cases)().into_iter().map(|case| (row.name, case)));
    let found = cases.map(|(row, case)| {
        let report = checked(&case, &*in_memory(&case), &[]);
        let checks = report.findings.iter().map(|finding| finding.check.name()).collect();
        Found { row, case, checks }
    });
    found.collect()
});

/// The rule: of each check there is a damage that it alone finds, so that without it the archive passes for intact. That
/// another check would have had less to say is not enough.
#[test]
fn without_any_one_check_some_row_passes_unseen() {
    let (mut table, mut idle) = (String::new(), Vec::new());
    for check in Check::ALL {
        let finds = FOUND.iter().filter(|found| found.checks.contains(check.name()));
        let (mut unseen, mut by_others) = (BTreeSet::new(), BTreeSet::new());
        for found in finds {
            let report = checked(&found.case, &*in_memory(&found.case), &[*check]);
            match report.verdict {
                Verdict::Intact | Verdict::Unanchored => unseen.insert(number_of(found.row)),
                _ => by_others.insert(number_of(found.row)),
            };
        }
        let rows = |rows: &BTreeSet<&str>| rows.iter().copied().collect::<Vec<_>>().join(" ");
        let (name, alone, shared) = (check.name(), rows(&unseen), rows(&by_others));
        writeln!(table, "{name:20} without it unseen: {alone:20} found by others too: {shared}").unwrap();
        if unseen.is_empty() {
            idle.push(name);
        }
    }
    println!("{table}");
    assert!(
        idle.is_empty(),
        "no row needs {idle:?}: give each a damage that it alone finds, or take it out\n{table}"
    );
}

fn number_of(row: &'static str) -> &'static str {
    &row["row_".len().."row_00".len()]
}

/// Every damage that can be found without looking outside the archive is found by something.
#[test]
fn with_every_check_switched_off_nothing_is_found() {
    for found in FOUND.iter() {
        let report = checked(&found.case, &*in_memory(&found.case), Check::ALL);
        let verdict = report.verdict;
        let passes = matches!(verdict, Verdict::Intact | Verdict::Unanchored);
        assert!(passes, "{} {}: {report}", found.row, found.case.what);
    }
}
