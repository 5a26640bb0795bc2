//! What a chain is held against beside its own links: the checkpoints that the auditor kept, the pinned key.

use std::collections::BTreeMap;

use schemas::{Checkpoint, Hash, Place, Seq, Vkey};

use crate::chain::ChainCheck;
use crate::noted::read_note;
use crate::plan::Plan;
use crate::report::KnownReport;
use crate::{Check, Compared, Effect, Finding, Known};

impl ChainCheck<'_> {
    /// Holds the kept checkpoints against each other, and the chain against each of them.
    pub(crate) fn check_known(&mut self, known: &[&Known]) -> Vec<KnownReport> {
        self.check_known_agree(known);
        known.iter().map(|known| self.check_one_known(known)).collect()
    }

    /// Two roots of one size, both signed, prove two histories, whatever the archive holds.
    fn check_known_agree(&mut self, known: &[&Known]) {
        let signed: Vec<&Known> =
            known.iter().copied().filter(|known| known.is_signed_by(&self.ring)).collect();
        let mut by_root: BTreeMap<(u64, Hash), &Known> = BTreeMap::new();
        for known in signed {
            by_root.entry((known.checkpoint.size, known.checkpoint.root)).or_insert(known);
        }
        let say = |known: &Known| {
            let Checkpoint { root, size, .. } = known.checkpoint;
            format!("root {root} at size {size}, as {} says", known.name)
        };
        let by_root: Vec<&Known> = by_root.into_values().collect();
        for of_size in by_root.chunk_by(|one, next| one.checkpoint.size == next.checkpoint.size) {
            let (one, others) = (of_size[0], &of_size[1..]);
            let size = one.checkpoint.size;
            for other in others {
                let finding = Finding::of(Check::SplitView, say(one), say(other));
                let finding = finding.at(self.layout.key(&Place::Checkpoint(size)));
                let proof = [one.text(), other.text()];
                self.findings.add(finding.seqs(Seq(size.saturating_sub(1)), size).proved_by(proof));
            }
        }
    }

    fn check_one_known(&mut self, known: &Known) -> KnownReport {
        let (size, root) = (known.checkpoint.size, known.checkpoint.root);
        let key = self.layout.key(&Place::Checkpoint(size));
        let (name, compared) = (known.name.clone(), Compared::Nothing);
        let mut report = KnownReport { name, size, extended: Some(false), compared };
        let due = format!("root {root} at size {size}, as {} says", known.name);
        let last = (Seq(size.saturating_sub(1)), size);
        if size > self.size {
            let finding = Finding::of(Check::Known, due, format!("an archive of size {}", self.size));
            self.findings.add(finding.at(key).seqs(Seq(self.size), size).proved_by([known.text()]));
        } else if self.ring.at(size).is_some() && !known.is_signed_by(&self.ring) {
            let found =
                format!("{} is signed by no key of this chain that was in force at size {size}", known.name);
            let finding = Finding::of(Check::Known, due, found);
            self.findings.add(finding.at(key).seqs(last.0, last.1).proved_by([known.text()]));
        } else {
            let own = self.own_root(size);
            report.compared = own.map_or(Compared::Nothing, |(_, compared)| compared);
            match own {
                Some((own, compared)) if own == root => {
                    let is_followed = compared == Compared::Links && self.options.scope.is_full();
                    report.extended = is_followed.then_some(true);
                }
                Some((own, _)) => {
                    let finding = Finding::of(Check::Known, due, format!("root {own}"));
                    let proof = [Some(known.text()), self.note_text(size)].into_iter().flatten();
                    self.findings.add(finding.at(key).seqs(last.0, last.1).proved_by(proof));
                }
                None => {
                    report.extended = None;
                    self.say_not_compared(known);
                }
            }
        }
        report
    }

    /// Nothing gives the root at a kept checkpoint's size. Where all was walked, what stood in the way is said already;
    /// else it would pass though nobody has looked.
    fn say_not_compared(&mut self, known: &Known) {
        let (size, name) = (known.checkpoint.size, &known.name);
        if self.options.scope.is_full() && self.findings.worst() >= Some(Effect::Inconclusive) {
            let text = format!("the root at size {size} could not be computed to compare it with {name}");
            self.notice("not-compared", text);
            return;
        }
        let found = format!(
            "what gives that root was not looked at, so {name} was not compared: check all of the archive, or a range \
             with seq {}",
            size.saturating_sub(1)
        );
        let finding = Finding::of(Check::Readable, format!("the root at size {size}"), found);
        let finding = finding.at(self.layout.key(&Place::Checkpoint(size)));
        self.findings.add(finding.seqs(Seq(size.saturating_sub(1)), size));
    }

    /// The root at a size: over the links, else the one that the archive's checkpoint of that size has.
    fn own_root(&self, size: u64) -> Option<(Hash, Compared)> {
        let over_links = self.roots.get(&size).copied().flatten();
        let signed = || self.signed_roots.get(&size).copied();
        over_links
            .map(|root| (root, Compared::Links))
            .or_else(|| signed().map(|root| (root, Compared::Checkpoint)))
    }

    /// The archive's own note of that size, as proof.
    pub(crate) fn note_text(&self, size: u64) -> Option<String> {
        self.names.checkpoints.binary_search(&size).ok()?;
        read_note(self.source, &self.layout, &self.ring, size).signed.map(|(_, note)| note)
    }

    pub(crate) fn check_pinned(&mut self, pinned: &[Vkey]) {
        let has_unknown = self.ring.keys().any(|(_, vkey)| vkey.is_none());
        let has_pinned = self.ring.keys().any(|(_, vkey)| vkey.is_some_and(|vkey| pinned.contains(vkey)));
        let is_vouched_for = self.ring.is_vouched_for(pinned);
        if pinned.is_empty() || is_vouched_for || has_unknown || (has_pinned && self.newest.is_none()) {
            return;
        }
        let list = |keys: &mut dyn Iterator<Item = String>| keys.collect::<Vec<_>>().join(", ");
        let expected = format!("a chain signed by {}", list(&mut pinned.iter().map(Vkey::to_string)));
        let found = match has_pinned {
            true => "the key is one of the chain's, but has signed no checkpoint of it".to_owned(),
            false => list(&mut self.ring.keys().filter_map(|(_, vkey)| vkey.map(Vkey::to_string))),
        };
        let key = self.layout.key(&Place::Key(0));
        self.findings.add(Finding::of(Check::KeyPinned, expected, found).at(key).seqs(Seq(0), self.size));
    }

    /// The old key signs a cut, the new one from the size behind it on.
    pub(crate) fn check_key_places(&mut self, plan: &Plan) {
        let takeovers: Vec<u64> = self.ring.takeovers().filter(|size| *size <= self.size).collect();
        for first_size in takeovers {
            let cut = first_size - 1;
            let is_cut = cut == 0 || plan.spans.binary_search_by_key(&cut, |span| span.end).is_ok();
            if !is_cut {
                let finding = Finding::of(
                    Check::KeyPlace,
                    "a key from the size behind a cut on",
                    format!("from {first_size} on"),
                );
                let key = self.layout.key(&Place::Key(first_size));
                self.findings.add(finding.at(key).seqs(Seq(cut), cut + 1));
            }
        }
    }
}
