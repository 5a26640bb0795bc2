//! What the verifier must catch: a real archive, the damage, the finding. The numbers are those of the list of damages.
//!
//! Each row is a function `row_NN_…` of `testing::rows`, and a test of that name, three times: in `rows` here, in memory
//! and in a folder; in `tests/tampered.rs`, by the command on a folder; in `tests/tampered/bucket.rs`, by the command on
//! real servers with Object Lock, where it needs versions or locks. `rows` also shows what each check is for.
//!
//! | rows | what | where, beside `rows` |
//! |---|---|---|
//! | 1 | bits, runs, cuts and exchanges at random | `mutations` |
//! | 2 to 7, 33 | data: segments, trees files, schemas | `data` |
//! | 8, 9, 11 to 15, 22 | history: cut, rewritten, forked | `history`, `versions` |
//! | 10 | versions of `checkpoint` | `versions`, tests/s3_reading.rs |
//! | 5 in the exported view, 16 to 18 | proofs and views | the crate `tlog` |
//! | 19, 21 | notes and keys | `keys` |
//! | 20, 29 | witnesses, protected fields | to come |
//! | 23 to 26 | custody | `versions`, at random `heaps`, tests/s3_reading.rs, tests/s3_road/tampered.rs |
//! | 27 | what cannot be read | `withheld`, `reading`, tests/tampered/unread.rs |
//! | 28 | the verifier fails | tests/tampered.rs |
//! | 30 to 32, 34 | a chain's life | `lifecycle` |

mod bounded;
mod data;
mod heaps;
mod history;
mod keys;
mod lifecycle;
mod mutations;
mod quick;
mod ranged;
mod reading;
mod report;
mod rows;
mod versions;
mod withheld;

use std::sync::Arc;

use runtime::SystemClock;
use schemas::Micros;
use store::memory::Memory;

use crate::testing::rows::{CHAIN_0, CHAIN_1, both, chain_0_from, chain_1_from};
use crate::testing::{ChainBuilder, Objects, store_objects};
use crate::{Check, Known, Options, Report, Verdict, verify};

const BEGAN: Micros = Micros(1_795_253_400_000_000);

/// The chain of the rows, sealed on the day of the other suites.
fn chain_0() -> ChainBuilder {
    chain_0_from(BEGAN)
}

/// The chain beside it.
fn chain_1() -> ChainBuilder {
    chain_1_from(BEGAN)
}

/// A clock a year behind the last event.
fn now() -> Micros {
    Micros(1_826_789_400_000_000)
}

fn options() -> Options {
    Options { now: now(), ..Options::default() }
}

fn memory(objects: &Objects) -> Memory {
    let store = Memory::new(Arc::new(SystemClock));
    store_objects(objects, &store).unwrap();
    store
}

fn check(objects: &Objects) -> Report {
    verify(&memory(objects), &options())
}

fn check_zero(zero: &ChainBuilder) -> Report {
    check(&both(zero, &chain_1()))
}

fn known(name: &str, note: &[u8]) -> Known {
    Known::parse(name, note).unwrap()
}

/// The verdict is broken, and the first bad place is this one.
#[track_caller]
fn assert_broken(report: &Report, check: Check, key: &str, seqs: impl Into<Option<(u64, u64)>>) {
    assert_eq!(report.verdict, Verdict::Broken, "{report}");
    assert_eq!(report.exit_code(false), 1);
    let first = report.first.as_ref().unwrap();
    let place = (first.check, first.key.as_deref(), first.first_seq.zip(first.last_seq));
    assert_eq!(place, (check, Some(key), seqs.into()), "{report}");
    assert_ne!(first.expected, first.found);
}

/// Whether there is a finding of this check about this key.
fn has(report: &Report, check: Check, key: &str) -> bool {
    report.findings.iter().any(|finding| finding.check == check && finding.key.as_deref() == Some(key))
}

#[test]
fn an_archive_as_it_was_written_is_intact_and_the_report_says_what_was_checked() {
    let (zero, one) = (chain_0(), chain_1());
    let report = check(&both(&zero, &one));
    assert_eq!((report.verdict, report.exit_code(false)), (Verdict::Unanchored, 0), "{report}");
    assert_eq!(report.exit_code(true), 3, "unless an anchor is asked for");
    assert_eq!((&report.findings, &report.notices), (&vec![], &vec![]));
    let chain = &report.chains[0];
    assert_eq!((chain.events, chain.segments, chain.size, chain.first_seq), (565, 3, Some(565), Some(0)));
    assert_eq!(chain.first_sealed_at.as_deref(), Some("2026-11-21T09:30:00.000000Z"));
    assert_eq!(report.chains[1].events, 20);
    let text = report.to_string();
    assert!(text.contains("565 events in 3 segments, from seq 0"), "{text}");
    assert!(text.contains("taken from the archive on trust"));
    assert!(text.ends_with("verdict: intact but unanchored\n"));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["verdict"], "intact but unanchored");
    assert_eq!(json["chains"][0]["keys"][0]["pinned"], false);
}

#[test]
fn with_a_pinned_key_and_a_kept_checkpoint_of_each_chain_it_is_intact() {
    let (zero, one) = (chain_0(), chain_1());
    let store = memory(&both(&zero, &one));
    // The pinned key may bear any name.
    for name in [CHAIN_0, CHAIN_1, "acme.example/audit", "elsewhere/0"] {
        let mut options = Options { pinned: vec![zero.vkey().renamed(name)], ..options() };
        options.known = vec![known("kept-0", &zero.note(300)), known("kept-1", &one.note(10))];
        let report = verify(&store, &options);
        assert_eq!((report.verdict, report.exit_code(true)), (Verdict::Intact, 0), "{report}");
        options.known.pop();
        assert_eq!(verify(&store, &options).verdict, Verdict::Unanchored, "chain 1 has no anchor");
    }
    let without_key = Options {
        known: vec![known("kept-0", &zero.note(300)), known("kept-1", &one.note(10))],
        ..options()
    };
    assert_eq!(verify(&store, &without_key).verdict, Verdict::Unanchored);
}

#[test]
fn a_check_that_is_switched_off_finds_nothing() {
    let mut zero = chain_0();
    zero.change_trees(0, |trees| trees.segment_sha256.0[0] ^= 1);
    let store = memory(&both(&zero, &chain_1()));
    assert_broken(&verify(&store, &options()), Check::SegmentDigest, &zero.segment_key(0), (0, 299));
    let off = Options { off: vec![Check::SegmentDigest], ..options() };
    assert_eq!(verify(&store, &off).verdict, Verdict::Unanchored);
}
