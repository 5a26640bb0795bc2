//! What a chain is held against beside its own links: the checkpoints that the auditor kept, the pinned key.

use schemas::{Place, Seq, Vkey};

use crate::chain::ChainCheck;
use crate::noted::read_note;
use crate::plan::Plan;
use crate::report::KnownReport;
use crate::{Check, Finding, Known};

impl ChainCheck<'_> {
    /// Holds the chain against each kept checkpoint.
    pub(crate) fn check_known(&mut self, known: &[&Known]) -> Vec<KnownReport> {
        known.iter().map(|known| self.check_one_known(known)).collect()
    }

    fn check_one_known(&mut self, known: &Known) -> KnownReport {
        let (size, root) = (known.checkpoint.size, known.checkpoint.root);
        let key = self.layout.key(&Place::Checkpoint(size));
        let mut report = KnownReport { name: known.name.clone(), size, extended: Some(false) };
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
            match self.roots.get(&size).copied().flatten() {
                Some(own) if own == root => report.extended = Some(true),
                Some(own) => {
                    let finding = Finding::of(Check::Known, due, format!("root {own}"));
                    let proof = [Some(known.text()), self.note_text(size)].into_iter().flatten();
                    self.findings.add(finding.at(key).seqs(last.0, last.1).proved_by(proof));
                }
                None => {
                    report.extended = None;
                    let text = format!(
                        "the root at size {size} could not be computed to compare it with {}",
                        known.name
                    );
                    self.notice("not-compared", text);
                }
            }
        }
        report
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
