//! What the verifier must catch: a real archive, the damage, the finding. The number in each comment is the row of the
//! list of damages.

mod custody;
mod data;
mod flips;
mod history;
mod keys;
mod lifecycle;
mod reading;
mod spellings;
mod versions;
mod withheld;

use std::sync::Arc;

use runtime::SystemClock;
use schemas::Micros;
use store::memory::Memory;

use crate::testing::{ChainBuilder, Objects, events, opening, store_objects};
use crate::{Check, Known, Options, Report, Verdict, verify};

const CHAIN_0: &str = "acme.example/audit/0";
const CHAIN_1: &str = "acme.example/audit/1";

/// Chain 0 in three segments of 300, 5 and 260 events, the last of another day; it records the opening of chain 1.
fn chain_0() -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..299).chain([opening(CHAIN_1)])).seal(events(300..305));
    chain.clock.0 += 86_400_000_000;
    chain.seal(events(305..565));
    chain
}

/// Chain 1, of the same key, in two segments of 10 events.
fn chain_1() -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_1, 7);
    chain.seal(events(1_000..1_010)).seal(events(1_010..1_020));
    chain
}

/// Both chains as one archive.
fn both(zero: &ChainBuilder, one: &ChainBuilder) -> Objects {
    zero.objects.iter().chain(&one.objects).map(|(key, bytes)| (key.clone(), bytes.clone())).collect()
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
