//! The walk over a whole archive: lists it, checks each chain, and looks for chains that should be there.

use std::ops::ControlFlow;

use schemas::{KeyNote, Layout, Place, Vkey};
use store::{Object, Store};

use crate::chain::{Outcome, check_chain};
use crate::custody::{Locks, of_marker};
use crate::finding::Findings;
use crate::inventory::{Inventory, Names, place_of};
use crate::known::misses;
use crate::reading::{MAX_KEY_NOTE, Source};
use crate::report::{ChainReport, CustodyReport, Notice, Report, Trust, Verdict};
use crate::{Check, Finding, Known, Options, Promise};

/// Chains that are walked side by side, each with threads of its own; one bound on bytes is for all of them.
const CHAINS_AT_ONCE: usize = 4;

/// Walks the archive in `store`. It never writes.
pub fn verify(store: &dyn Store, options: &Options) -> Report {
    let mut findings = Findings::without(&options.off);
    let inventory = Inventory::list(store, &mut findings);
    if !inventory.is_whole {
        return report(Vec::new(), findings, options, inventory.objects);
    }
    if options.custody == Some(Promise::Unseen) {
        let found = "no right to see what objects are locked with";
        findings.add(Finding::of(Check::Readable, "locks that can be looked at", found));
    }
    if inventory.chains.is_empty() {
        findings.add(Finding::of(Check::Empty, "at least one chain", "none: is this the archive's root?"));
    }
    let source = Source { store, reading: &options.reading, laid: &inventory.laid };
    if let Some(finding) = displaced(&source, &inventory, &options.pinned) {
        findings.add(finding);
        return report(Vec::new(), findings, options, inventory.objects);
    }
    let mut outcomes: Vec<(String, Outcome)> = Vec::new();
    let chains: Vec<(&String, &Names)> = inventory.chains.iter().collect();
    let walk = |nth: usize| {
        let (origin, names): (&String, &Names) = chains[nth];
        let known: Vec<&Known> = options.known.iter().filter(|known| known.origin() == origin).collect();
        (origin.clone(), check_chain(&source, origin, names, options, &known))
    };
    options.reading.ahead.with_threads(CHAINS_AT_ONCE).in_order(
        chains.len(),
        |_| 0,
        walk,
        |_, outcome| {
            outcomes.push(outcome);
            ControlFlow::Continue(())
        },
    );
    check_hidden_chains(&inventory, &mut findings);
    check_missing_chains(&inventory, &mut outcomes, options, &mut findings);
    outcomes.sort_by_cached_key(|(origin, _)| in_numeric_order(origin));
    report(outcomes, findings, options, inventory.objects)
}

/// Whether somebody named a folder above or below the archive's root: each chain's own name is then longer or shorter
/// than its path, by the same folders. Nothing else would fit, and nothing of it would say anything.
fn displaced(source: &Source<'_>, inventory: &Inventory, pinned: &[Vkey]) -> Option<Finding> {
    let mut advice = None;
    for origin in inventory.chains.keys() {
        let key = Layout::of(origin).key(&Place::Key(0));
        let open = |object: &Object| Some(KeyNote::open(&object.bytes, None).ok()?.vkey);
        let vkey = source.oldest_fitting(&key, MAX_KEY_NOTE, open).ok()?.1?;
        if !pinned.is_empty() && !pinned.iter().any(|pinned| pinned.same_key(&vkey)) {
            return None;
        }
        let name = vkey.name();
        let said = match (origin.strip_suffix(name), name.strip_suffix(origin.as_str())) {
            (Some(above), _) if above.ends_with('/') => format!("the root is the folder {above} in here"),
            (_, Some(below)) if below.ends_with('/') => format!("the root is where this folder is {below}"),
            _ => return None,
        };
        if *advice.get_or_insert(said.clone()) != said {
            return None;
        }
    }
    advice.map(|advice| Finding::of(Check::ArchiveRoot, "chains under their own names", advice))
}

/// Delete markers of chains of which nothing else is left.
fn check_hidden_chains(inventory: &Inventory, findings: &mut Findings) {
    for (key, entries) in &inventory.laid {
        let is_walked = place_of(key).is_some_and(|(origin, _)| inventory.chains.contains_key(origin));
        let markers = entries.iter().enumerate().filter(|(_, entry)| entry.delete_marker && !is_walked);
        for (nth, marker) in markers {
            findings.add(of_marker(marker, nth == 0).at(key).of_version(&marker.version));
        }
    }
}

/// Chains that chain 0, a pinned key or a kept checkpoint names, and that are not there.
fn check_missing_chains(
    inventory: &Inventory,
    outcomes: &mut [(String, Outcome)],
    options: &Options,
    findings: &mut Findings,
) {
    let is_missing = |origin: &str| !inventory.chains.contains_key(origin);
    for (_, outcome) in outcomes.iter_mut() {
        for opening in std::mem::take(&mut outcome.openings) {
            if is_missing(&opening.origin) {
                let expected = format!("chain {}, whose opening is recorded here", opening.origin);
                let finding = Finding::of(Check::ChainMissing, expected, "nothing of it in the archive");
                outcome.findings.add(finding.at(opening.key).seqs(opening.seq, opening.seq.0 + 1));
            }
        }
        let is_anchored = outcome.report.verdict == Verdict::Intact;
        outcome.report.verdict = Verdict::of(outcome.findings.worst(), is_anchored);
    }
    let mut missing = |origin: &str, who: String| {
        let finding = Finding::of(Check::ChainMissing, who, "nothing of it in the archive");
        findings.add(finding.in_chain(origin));
    };
    for known in options.known.iter().filter(|known| is_missing(known.origin())) {
        missing(known.origin(), format!("chain {}, which {} is about", known.origin(), known.name));
    }
    for vkey in &options.pinned {
        if misses(vkey, inventory.chains.keys().cloned()) {
            missing(vkey.name(), format!("chain {}, which a pinned key names", vkey.name()));
        }
    }
}

/// `a/2` before `a/10`.
fn in_numeric_order(origin: &str) -> (String, Option<u64>) {
    match origin.rsplit_once('/') {
        Some((deployment, number)) => match number.parse() {
            Ok(number) => (deployment.to_owned(), Some(number)),
            Err(_) => (origin.to_owned(), None),
        },
        None => (origin.to_owned(), None),
    }
}

fn report(outcomes: Vec<(String, Outcome)>, findings: Findings, options: &Options, objects: u64) -> Report {
    let worst = findings.worst();
    let verdicts = outcomes.iter().map(|(_, outcome)| outcome.report.verdict);
    let is_anchored = verdicts.clone().all(|verdict| verdict == Verdict::Intact) && !outcomes.is_empty();
    let verdict = verdicts.fold(Verdict::of(worst, is_anchored), Verdict::max);

    let (mut all, mut left_out) = (Vec::new(), 0);
    let (mut chains, mut notices): (Vec<ChainReport>, Vec<Notice>) = Default::default();
    let (mut segment_bytes, mut locks) = (0, Locks::default());
    for (origin, outcome) in outcomes {
        let (kept, more) = outcome.findings.into_sorted(Some(&origin));
        all.extend(kept);
        left_out += more;
        segment_bytes += outcome.segment_bytes;
        locks.add(&outcome.locks);
        notices.extend(outcome.notices);
        chains.push(outcome.report);
    }
    let (kept, more) = findings.into_sorted(None);
    all.extend(kept);
    let decides = |finding: &&Finding| Verdict::of(Some(finding.effect), false) == verdict;
    let trust = if options.pinned.is_empty() { Trust::Archive } else { Trust::Pinned };
    Report {
        format: 1,
        verdict,
        trust,
        first: all.iter().find(decides).cloned(),
        not_shown: not_shown(trust, &chains),
        chains,
        findings: all,
        findings_left_out: left_out + more,
        notices,
        custody: options.custody.map(|promise| CustodyReport::of(promise, locks)),
        objects,
        segment_bytes,
    }
}

/// What stays open whatever the verdict.
fn not_shown(trust: Trust, chains: &[ChainReport]) -> Vec<String> {
    let mut open = Vec::new();
    if trust == Trust::Archive {
        open.push(
            "Whose key this is: it was taken from the archive. Pin the operator's with --key.".to_owned(),
        );
    }
    let has_known = !chains.is_empty() && chains.iter().all(|chain| !chain.known.is_empty());
    let text = match has_known {
        true => {
            "Whether events sealed after the newest checkpoint that you kept were cut off again: keep a newer one."
        }
        false => {
            "Whether newer events were cut off, or everything was sealed anew with the same key: keep a checkpoint \
             elsewhere and give it with --known next time."
        }
    };
    open.push(text.to_owned());
    open.push("Whether an event is true, and what was never sent to Sealog.".to_owned());
    open
}
