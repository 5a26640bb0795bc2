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
use crate::revoked::{not_shown_of_revoked, revoked_reports, unknown_revoked};
use crate::{Check, Effect, Finding, Known, Options, Promise, Scope};

/// Chains that are walked side by side, each with threads of its own; one bound on bytes is for all of them.
const CHAINS_AT_ONCE: usize = 4;
/// Of all chains; of those behind so many only the first few are kept, and the rest counted.
const MAX_FINDINGS: usize = 50_000;
const FEW_FINDINGS: usize = 5;

/// Walks the archive in `store`. It never writes.
pub fn verify(store: &dyn Store, options: &Options) -> Report {
    let mut findings = Findings::without(&options.off);
    let inventory = Inventory::list(store, options.watch.as_deref(), &mut findings);
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
    let mut kept = 0;
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
        |_, (origin, mut outcome)| {
            kept += outcome.findings.len();
            if kept > MAX_FINDINGS {
                outcome.findings.shorten(FEW_FINDINGS);
            }
            outcomes.push((origin, outcome));
            ControlFlow::Continue(())
        },
    );
    check_nothing_is_in_range(&outcomes, options, &mut findings);
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

/// Where a range was asked for and no chain has an event in it, there is nothing that could be right: what was to be
/// checked may be what was cut off.
fn check_nothing_is_in_range(outcomes: &[(String, Outcome)], options: &Options, findings: &mut Findings) {
    let is_range = matches!(options.scope, Scope::Range { .. });
    // What is broken, or could not be read, may hold one.
    let is_open = outcomes.iter().any(|(_, one)| one.findings.worst() >= Some(Effect::Inconclusive));
    if is_range && !is_open && !outcomes.is_empty() && outcomes.iter().all(|(_, one)| one.in_range == 0) {
        findings.add(Finding::of(Check::Empty, "an event in the range", "no chain has one"));
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
        outcome.report.verdict = outcome.report.verdict.with(outcome.findings.worst());
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
    let verdicts = outcomes.iter().map(|(_, outcome)| outcome.report.verdict);
    let is_anchored = verdicts.clone().all(|verdict| verdict == Verdict::Intact) && !outcomes.is_empty();
    let nothing_wrong = Verdict::of_nothing_wrong(&options.scope, is_anchored);
    let verdict = verdicts.fold(nothing_wrong.with(findings.worst()), Verdict::max);

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
    notices.extend(unknown_revoked(&options.revoked, &chains));
    let (kept, more) = findings.into_sorted(None);
    all.extend(kept);
    let decides = |finding: &&Finding| Verdict::of(finding.effect) == verdict;
    let trust = if options.pinned.is_empty() { Trust::Archive } else { Trust::Pinned };
    Report {
        format: 1,
        verifier: format!("sealog {}", env!("CARGO_PKG_VERSION")),
        archive: options.archive.clone(),
        checked_at: options.now.rfc3339(),
        scope: options.scope.report(),
        verdict,
        trust,
        revoked: revoked_reports(&options.revoked),
        first: all.iter().find(decides).cloned(),
        not_shown: not_shown(trust, options, &chains),
        events: chains.iter().map(|chain| chain.events).sum(),
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
fn not_shown(trust: Trust, options: &Options, chains: &[ChainReport]) -> Vec<String> {
    let mut open = crate::part::not_shown(&options.scope, chains);
    open.extend(not_shown_of_revoked(&options.revoked));
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
