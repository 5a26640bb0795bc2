//! Rows 23 and 24 at random: whoever may write to a bucket with Object Lock, and has no key, lays things over the evidence
//! and hides it, many times over. The evidence stays what it is, and each object that was touched is named.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use runtime::ManualClock;
use schemas::Micros;
use store::memory::Memory;
use store::{Keep, Mode, Retention, Store};

use super::mutations::{Dice, archive, asked_for, spoilt};
use super::options;
use crate::testing::Objects;
use crate::{Ahead, Check, Options, Promise, Reading, Verdict, verify};

const PROMISED: Retention = Retention { mode: Mode::Compliance, period: Duration::from_secs(365 * 86_400) };
/// Behind the last event of the archive.
const WRITTEN: Micros = Micros(1_795_353_400_000_000);

fn bucket(objects: &Objects) -> Memory {
    let store = Memory::locking(Arc::new(ManualClock::at(WRITTEN)), PROMISED.mode, PROMISED.period);
    for (key, bytes) in objects {
        let keep = if key.ends_with("/checkpoint") { Keep::Hint } else { Keep::Evidence };
        store.put_new(key, bytes, keep).unwrap();
    }
    store
}

/// What lies over which key now: what it was with some damage, another object of the archive, or a delete marker. Not
/// over `checkpoint`, which is no evidence and of which an old version proves something.
fn act(dice: &mut Dice, objects: &Objects, store: &Memory) -> (String, String) {
    let keys: Vec<&String> = objects.keys().filter(|key| !key.ends_with("/checkpoint")).collect();
    let key = keys[dice.below(keys.len())];
    let what = match dice.below(4) {
        0 => {
            store.hide(key);
            "hidden".to_owned()
        }
        1 => {
            let other = keys[dice.below(keys.len())];
            store.lay_over(key, &objects[other]);
            format!("{other} laid over it")
        }
        _ => {
            let kind = dice.below(7);
            let (what, bytes) = spoilt(dice, kind, &objects[key]);
            store.lay_over(key, &bytes);
            format!("a copy laid over it, but for {what}")
        }
    };
    (key.clone(), what)
}

#[test]
fn whatever_is_laid_over_the_evidence_it_is_found_below_and_each_key_named() {
    let (seed, count) = asked_for();
    let count = count / 2;
    println!("{count} heaps; SEALOG_TEST_SEED={seed} makes them again");
    let (objects, mut dice) = (archive(), Dice(seed));
    let near = Reading { ahead: Ahead::new(1, 64 << 20), ..Reading::default() };
    let afar = Reading { ahead: Ahead::new(4, 64 << 20), is_remote: true, part_bytes: Some(1_000) };
    let read_so = |reading: &Reading| {
        let custody = Some(Promise::OfTheBucket(PROMISED));
        Options { reading: reading.clone(), custody, ..options() }
    };
    let whole = verify(&bucket(&objects), &read_so(&near));
    assert_eq!(whole.verdict, Verdict::Unanchored, "{whole}");
    for _ in 0..count {
        let store = bucket(&objects);
        let acts: Vec<(String, String)> =
            (0..1 + dice.below(12)).map(|_| act(&mut dice, &objects, &store)).collect();
        let report = verify(&store, &read_so(if dice.below(2) == 0 { &near } else { &afar }));
        let context = || format!("SEALOG_TEST_SEED={seed}: {acts:#?}:\n{report}");
        assert_eq!(report.verdict, Verdict::CustodyAtRisk, "{}", context());
        assert_eq!(report.exit_code(false), 1);
        let of_custody = |check| matches!(check, Check::Hidden | Check::LaidOver);
        assert!(report.findings.iter().all(|finding| of_custody(finding.check)), "{}", context());
        let read = |report: &crate::Report| -> Vec<_> {
            report.chains.iter().map(|chain| (chain.events, chain.root.clone())).collect()
        };
        assert_eq!(read(&report), read(&whole), "{}", context());
        let named: BTreeSet<&String> =
            report.findings.iter().filter_map(|found| found.key.as_ref()).collect();
        let touched: BTreeSet<&String> = acts.iter().map(|(key, _)| key).collect();
        assert_eq!(named, touched, "{}", context());
    }
}
