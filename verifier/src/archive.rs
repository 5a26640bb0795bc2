//! The walk over a whole archive: lists it, checks each chain, and looks for chains that should be there.

use schemas::{KeyNote, Layout, Place, Vkey};
use store::Store;

use crate::chain::{Outcome, check_chain};
use crate::finding::Findings;
use crate::inventory::Inventory;
use crate::known::misses;
use crate::reading::{self, MAX_KEY_NOTE};
use crate::report::{ChainReport, Notice, Report, Trust, Verdict};
use crate::{Check, Finding, Known, Options};

/// Walks the archive in `store`. It never writes.
pub fn verify(store: &dyn Store, options: &Options) -> Report {
    let mut findings = Findings::without(&options.off);
    let inventory = Inventory::list(store, &mut findings);
    if !inventory.is_whole {
        return report(Vec::new(), findings, options, inventory.objects);
    }
    if inventory.chains.is_empty() {
        findings.add(Finding::of(Check::Empty, "at least one chain", "none: is this the archive's root?"));
    }
    if let Some(finding) = displaced(store, &inventory, &options.pinned) {
        findings.add(finding);
        return report(Vec::new(), findings, options, inventory.objects);
    }
    let mut outcomes: Vec<(String, Outcome)> = Vec::new();
    for (origin, names) in &inventory.chains {
        let known: Vec<&Known> = options.known.iter().filter(|known| known.origin() == origin).collect();
        outcomes.push((origin.clone(), check_chain(store, origin, names, options, &known)));
    }
    check_missing_chains(&inventory, &mut outcomes, options, &mut findings);
    outcomes.sort_by_cached_key(|(origin, _)| in_numeric_order(origin));
    report(outcomes, findings, options, inventory.objects)
}

/// Whether somebody named a folder above or below the archive's root: each chain's own name is then longer or shorter
/// than its path, by the same folders. Nothing else would fit, and nothing of it would say anything.
fn displaced(store: &dyn Store, inventory: &Inventory, pinned: &[Vkey]) -> Option<Finding> {
    let mut advice = None;
    for origin in inventory.chains.keys() {
        let key = Layout::of(origin).key(&Place::Key(0));
        let note = reading::read(store, &key, MAX_KEY_NOTE).ok()?;
        let vkey = KeyNote::open(&note, None).ok()?.vkey;
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
    let mut segment_bytes = 0;
    for (origin, outcome) in outcomes {
        let (kept, more) = outcome.findings.into_sorted(Some(&origin));
        all.extend(kept);
        left_out += more;
        segment_bytes += outcome.segment_bytes;
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
