//! Revoked keys: what they signed from their size on, and what a key signed that they handed over to, counts only as far
//! as something else vouches for it.

use schemas::{Place, Seq, Vkey};

use crate::chain::ChainCheck;
use crate::report::{ChainReport, KnownReport, Notice, RevokedReport};
use crate::{Check, Compared, Finding};

/// The revoked keys as keys of `origin`, each once. A key that is named for this chain is revoked from the smallest size
/// given with it. One that is named for others only is revoked from 0 on: it signs here too, and nobody has said how far
/// it may be believed.
pub(crate) fn revoked_for(revoked: &[(Vkey, u64)], origin: &str) -> Vec<(Vkey, u64)> {
    let mut keys: Vec<(Vkey, u64)> = Vec::new();
    for (vkey, _) in revoked {
        let here = vkey.renamed(origin);
        if !keys.iter().any(|(known, _)| *known == here) {
            let size = said_for(revoked, &here).unwrap_or(0);
            keys.push((here, size));
        }
    }
    keys
}

/// The smallest size that was given with this key under this name.
fn said_for(revoked: &[(Vkey, u64)], vkey: &Vkey) -> Option<u64> {
    revoked.iter().filter(|(named, _)| named == vkey).map(|(_, size)| *size).min()
}

/// As a report names them.
pub(crate) fn revoked_reports(revoked: &[(Vkey, u64)]) -> Vec<RevokedReport> {
    revoked.iter().map(|(vkey, size)| RevokedReport { vkey: vkey.to_string(), size: *size }).collect()
}

/// Of each revoked key that is no key of any chain: it may be mistyped, and then the right one is not revoked.
pub(crate) fn unknown_revoked(revoked: &[(Vkey, u64)], chains: &[ChainReport]) -> Vec<Notice> {
    let is_of = |vkey: &Vkey, chain: &ChainReport| {
        let here = vkey.renamed(&chain.origin).to_string();
        chain.keys.iter().any(|key| key.vkey.as_deref() == Some(&here))
    };
    let unknown = revoked.iter().filter(|(vkey, _)| !chains.iter().any(|chain| is_of(vkey, chain)));
    unknown
        .map(|(vkey, _)| Notice {
            kind: "revoked-unknown",
            chain: vkey.name().to_owned(),
            text: format!("{vkey} was given as revoked and is no key of this archive: is it the right one?"),
        })
        .collect()
}

/// What a revoked key leaves open whatever the verdict.
pub(crate) fn not_shown_of_revoked(revoked: &[(Vkey, u64)]) -> Option<String> {
    let text = "Whether what a revoked key signed below its size is from before the theft: who holds the key can sign any \
                size. Only a checkpoint kept from before shows it.";
    (!revoked.is_empty()).then(|| text.to_owned())
}

impl ChainCheck<'_> {
    /// The last checkpoint, by name, below the size of each revoked key.
    pub(crate) fn last_sizes_that_count(&self) -> Vec<u64> {
        let sizes = &self.names.checkpoints;
        let below = |from: u64| sizes.partition_point(|size| *size < from).checked_sub(1);
        let revoked = revoked_for(&self.options.revoked, self.origin);
        revoked.iter().filter_map(|(_, from)| below(*from)).map(|nth| sizes[nth]).collect()
    }

    /// Whether anything but a revoked key vouches for the chain's end. Which key signed a checkpoint follows from its
    /// name, so every one is looked at, however little of the archive is walked.
    pub(crate) fn check_revoked(&mut self, known: &[KnownReport], pinned: &[Vkey]) {
        let reach = known.iter().filter(|known| agrees(known)).map(|known| known.size).max().unwrap_or(0);
        self.ring.revoke_successors(reach, pinned);
        let vouched = reach.max(self.ring.counts_to());
        let is_revoked =
            |size: u64| size > vouched && self.ring.revoked_from(size).is_some_and(|from| size >= from);
        let mut alone = self.names.checkpoints.iter().copied().filter(|size| is_revoked(*size));
        let Some(first) = alone.next() else { return };
        let end = alone.next_back().unwrap_or(first);
        let found = format!(
            "seqs {vouched} to {} are vouched for by a revoked key alone: {}",
            end - 1,
            self.why_revoked(first)
        );
        let expected =
            "a signature that counts, or a checkpoint that was kept from before the theft: --known";
        let key = self.layout.key(&Place::Checkpoint(first));
        self.findings.add(Finding::of(Check::KeyRevoked, expected, found).at(key).seqs(Seq(vouched), end));
    }

    fn why_revoked(&self, size: u64) -> String {
        let Some(vkey) = self.ring.at(size) else {
            return "what it handed over to has a note that does not hold".to_owned();
        };
        let revoked = &self.options.revoked;
        match said_for(revoked, vkey) {
            Some(from) => format!("{vkey} is revoked from size {from} on"),
            None if revoked.iter().any(|(named, _)| named.same_key(vkey)) => {
                format!("no size was given for this chain: give it with --revoked {vkey}@SIZE")
            }
            None => format!("it handed over to {vkey}; pin that with --key if it is the operator's new one"),
        }
    }
}

/// Whether the chain has the root of a kept checkpoint at its size, as far as it was looked at.
fn agrees(known: &KnownReport) -> bool {
    match known.extended {
        Some(extended) => extended,
        None => known.compared != Compared::Nothing,
    }
}
