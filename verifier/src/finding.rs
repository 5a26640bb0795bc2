//! A finding: what is wrong, where, what should be there and what is. And the list of them, which stays bounded.

use schemas::Seq;
use serde::Serialize;
use store::Version;

use crate::{Check, Effect};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check failed.
    pub check: Check,
    /// What that means.
    pub effect: Effect,
    /// The chain's origin, where it is about one.
    pub chain: Option<String>,
    /// The first seq that it touches.
    pub first_seq: Option<u64>,
    /// The last.
    pub last_seq: Option<u64>,
    /// The object's key in the archive.
    pub key: Option<String>,
    /// Its version, where the store keeps versions.
    pub version: Option<String>,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// Signed notes that prove it, whole.
    pub proof: Vec<String>,
}

/// No text from an archive stands in a report longer than this.
const MAX_TEXT_BYTES: usize = 600;

impl Finding {
    /// A finding of `check`, as yet about nothing.
    pub(crate) fn of(check: Check, expected: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            check,
            effect: check.effect(),
            chain: None,
            first_seq: None,
            last_seq: None,
            key: None,
            version: None,
            expected: short(expected.into()),
            found: short(found.into()),
            proof: Vec::new(),
        }
    }

    /// About the object at `key`.
    pub(crate) fn at(mut self, key: impl Into<String>) -> Finding {
        self.key = Some(key.into());
        self
    }

    /// About that version, where the store keeps versions.
    pub(crate) fn of_version(mut self, version: &Version) -> Finding {
        self.version = (*version != Version::default()).then(|| version.0.clone());
        self
    }

    /// It touches the seqs from `first` to before `end`; none if they are none.
    pub(crate) fn seqs(mut self, first: Seq, end: u64) -> Finding {
        if first.0 < end {
            (self.first_seq, self.last_seq) = (Some(first.0), Some(end - 1));
        }
        self
    }

    /// About a chain.
    pub(crate) fn in_chain(mut self, origin: &str) -> Finding {
        self.chain = Some(origin.to_owned());
        self
    }

    /// Proved by these notes.
    pub(crate) fn proved_by(mut self, notes: impl IntoIterator<Item = String>) -> Finding {
        self.proof = notes.into_iter().collect();
        self
    }

    /// Whether `next` says the same of the seqs directly behind, so that one line can say both.
    fn runs_on_in(&self, next: &Finding) -> bool {
        let adjoins =
            matches!((self.last_seq, next.first_seq), (Some(last), Some(first)) if last + 1 == first);
        let is_same = self.key == next.key && self.version == next.version && self.proof == next.proof;
        adjoins && is_same && self.check == next.check
    }
}

fn short(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        let cut = (0..=MAX_TEXT_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// Findings in the order in which they were made: of each effect a thousand are kept, those of the lowest seqs, and the
/// rest counted. So what is only about custody, and may be said of every object, never hides what is broken; and whatever
/// is found first, the first bad place is shown.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    /// Of each effect, how many.
    counts: [usize; 3],
    /// Of each effect of which no more are kept, the highest seq that is.
    highest: [Option<u64>; 3],
    left_out: u64,
    worst: Option<Effect>,
    /// Checks whose findings are dropped, so that a test can see what each is for.
    off: Vec<Check>,
}

const MAX_FINDINGS: usize = 1_000;

impl Findings {
    pub(crate) fn without(off: &[Check]) -> Findings {
        Findings { off: off.to_vec(), ..Findings::default() }
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        if self.off.contains(&finding.check) {
            return;
        }
        self.worst = self.worst.max(Some(finding.effect));
        let count = &mut self.counts[finding.effect as usize];
        match self.kept.last_mut() {
            Some(last) if last.runs_on_in(&finding) => last.last_seq = finding.last_seq,
            _ if *count < MAX_FINDINGS => {
                *count += 1;
                self.kept.push(finding);
            }
            _ => {
                self.left_out += 1;
                self.keep_if_lower(finding);
            }
        }
    }

    /// Instead of the kept one of its effect with the highest seq.
    fn keep_if_lower(&mut self, finding: Finding) {
        let (effect, seq) = (finding.effect, place_of_seq(&finding));
        if self.highest[effect as usize].is_some_and(|highest| highest <= seq) {
            return;
        }
        let of_effect = self.kept.iter().enumerate().filter(|(_, kept)| kept.effect == effect);
        // The last of them that is highest, so that of the others the order stays.
        let Some((nth, highest)) =
            of_effect.map(|(nth, kept)| (nth, place_of_seq(kept))).max_by_key(|(_, seq)| *seq)
        else {
            return;
        };
        if seq < highest {
            self.kept.remove(nth);
            self.kept.push(finding);
            self.highest[effect as usize] = None;
        } else {
            self.highest[effect as usize] = Some(highest);
        }
    }

    /// Those about these keys are about these versions of them.
    pub(crate) fn of_versions(&mut self, versions: &[(&str, &Version)]) {
        for finding in self.kept.iter_mut().filter(|finding| finding.version.is_none()) {
            let of_key = versions.iter().find(|(key, _)| finding.key.as_deref() == Some(*key));
            finding.version = of_key.and_then(|(_, version)| finding.clone().of_version(version).version);
        }
    }

    pub(crate) fn append(&mut self, other: Findings) {
        other.kept.into_iter().for_each(|finding| self.add(finding));
        self.left_out += other.left_out;
        self.worst = self.worst.max(other.worst);
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Keeps those of the worst effect that come first, so many, and counts the rest.
    pub(crate) fn shorten(&mut self, count: usize) {
        let before = self.kept.len();
        self.kept.sort_by_key(|finding| (std::cmp::Reverse(finding.effect), place_of_seq(finding)));
        self.kept.truncate(count);
        self.left_out += (before - self.kept.len()) as u64;
    }

    pub(crate) fn worst(&self) -> Option<Effect> {
        self.worst
    }

    /// The findings by seq, those without one last, and how many more there were.
    pub(crate) fn into_sorted(mut self, chain: Option<&str>) -> (Vec<Finding>, u64) {
        self.kept.sort_by_key(place_of_seq);
        if let Some(origin) = chain {
            self.kept.iter_mut().for_each(|finding| finding.chain = Some(origin.to_owned()));
        }
        (self.kept, self.left_out)
    }
}

/// Where it stands among others: by seq, and last without one.
fn place_of_seq(finding: &Finding) -> u64 {
    finding.first_seq.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_last_is_shown_if_it_comes_first_in_the_chain() {
        let bad = |seq: u64| Finding::of(Check::LinkHash, "a", "b").at("k").seqs(Seq(seq), seq + 1);
        let at_risk = |seq: u64| Finding::of(Check::LaidOver, "a", "b").at("k").seqs(Seq(seq), seq + 1);
        let mut findings = Findings::default();
        (0..1_500).for_each(|n| findings.add(Finding::of(Check::Layout, "a", "b").at(format!("{n}"))));
        (0..1_500).for_each(|n| findings.add(bad(100_000 + 2 * n)));
        (0..1_500).for_each(|n| findings.add(at_risk(200_000 + 2 * n)));
        (0..700).rev().for_each(|n| findings.add(bad(10 + 2 * n)));
        findings.add(bad(150_000));
        findings.add(at_risk(5));
        let (kept, left_out) = findings.into_sorted(None);
        let seqs = |check| kept.iter().filter(move |one| one.check == check).filter_map(|one| one.first_seq);
        assert_eq!(seqs(Check::LaidOver).next(), Some(5));
        let (low, high) = ((0..700).map(|n| 10 + 2 * n), (0..300).map(|n| 100_000 + 2 * n));
        let broken: Vec<u64> = seqs(Check::LinkHash).collect();
        assert_eq!(broken, low.chain(high).collect::<Vec<_>>());
        assert_eq!(kept.len() as u64 + left_out, 3 * 1_500 + 700 + 2, "none is lost count of");
    }

    #[test]
    fn of_a_list_that_is_shortened_the_worst_and_first_stay_and_the_rest_is_counted() {
        let mut findings = Findings::default();
        (0..10).for_each(|n| findings.add(Finding::of(Check::Layout, "a", "b").at(format!("{n}"))));
        (0..10)
            .for_each(|n| findings.add(Finding::of(Check::Prev, "a", "b").seqs(Seq(90 - 9 * n), 91 - 9 * n)));
        findings.shorten(3);
        assert_eq!((findings.len(), findings.worst()), (3, Some(Effect::Broken)));
        let (kept, left_out) = findings.into_sorted(None);
        assert_eq!(kept.iter().map(|one| one.first_seq).collect::<Vec<_>>(), [Some(9), Some(18), Some(27)]);
        assert_eq!(left_out, 17);
    }

    #[test]
    fn a_run_of_seqs_is_one_finding_and_the_list_is_bounded() {
        let mut findings = Findings::default();
        let bad = |seq: u64| Finding::of(Check::LinkHash, "a", "b").at("k").seqs(Seq(seq), seq + 1);
        (5..9).for_each(|seq| findings.add(bad(seq)));
        (0..5_000).for_each(|n| findings.add(bad(100 + 2 * n)));
        let (kept, left_out) = findings.into_sorted(None);
        assert_eq!((kept[0].first_seq, kept[0].last_seq), (Some(5), Some(8)));
        assert_eq!((kept.len(), left_out), (1_000, 4_001));
        let mut findings = Findings::default();
        (0..2_000).for_each(|n| findings.add(Finding::of(Check::Layout, "a", "b").at(format!("{n}"))));
        findings.add(bad(7));
        let (kept, left_out) = findings.into_sorted(None);
        assert_eq!((kept.len(), left_out), (1_001, 1_000), "one effect leaves room for another");
        assert!(Finding::of(Check::Layout, "é".repeat(9_000), "").expected.len() < 700);
    }
}
